/* A provider that is never the bottleneck: one thread, epoll, answers made once at start.
 *
 *     upstream PORT KEY
 *
 * POST anything          a chat completion of about 600 bytes, or, with "stream":true in the body, 60 events of about
 *                        200 bytes, each in a send() of its own, and [DONE]
 * POST …/messages        the same as an Anthropic message, POST …/responses as an OpenAI response; their streams end with
 *                        message_stop and response.completed
 *   a model "…pace<k>…"  puts k milliseconds between two events
 *   "include_usage"      puts one more event, with the usage, ahead of [DONE]
 * GET /stats             what it has seen, as JSON: requests, streams, bad_auth, bad_model, open, largest_body
 *
 * bad_auth counts requests that did not carry KEY as bearer token or as x-api-key, bad_model those whose model is not one of its own
 * ("fake…"). They are answered all the same: the counters prove afterwards that whoever stood in front did the work.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS_PER_STREAM = 60, MAX_PACED = 4096, BATCH = 256, NOT_STREAMING = -1, NOT_PACED = -1 };

typedef struct {
    char text[2048];
    size_t length;
} blob;

/* What is said in one dialect: a plain answer; and of a stream what comes first, each event, and what comes last. */
typedef struct voice {
    const char *path;
    blob answer, opening, event, usage, ending;
} voice;

typedef struct {
    int fd;
    int waits_to_write;
    char *in;
    size_t in_length, in_capacity;
    char *out;
    size_t out_length, out_sent, out_capacity;
    const struct voice *voice; /* of the stream under way */
    int events_left;           /* NOT_STREAMING while no stream is under way */
    int wants_usage;
    int64_t pace_ns, next_ns; /* pace 0: as fast as it goes */
    int paced_slot;           /* its place in `paced`, or NOT_PACED */
} connection;

static struct {
    unsigned long long requests, streams, bad_auth, bad_model;
    size_t largest_body;
    int open;
} seen;

static int poller;
static const char *key;
static connection *paced[MAX_PACED];
static int paced_count;
static blob stream_head;
static voice voices[] = { { .path = "/messages " }, { .path = "/responses " }, { .path = "" } };

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void as_http_chunk(blob *b, const char *data) {
    b->length = (size_t)snprintf(b->text, sizeof b->text, "%zx\r\n%s\r\n", strlen(data), data);
}

#define SENTENCE                                                                                                       \
    "The quick brown fox jumps over the lazy dog while a patient gateway relays every token of this sentence to its "  \
    "caller, unchanged and in order."

static void as_plain_answer(blob *b, const char *body) {
    b->length = (size_t)snprintf(b->text, sizeof b->text,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\nx-request-id: req_fake\r\n\r\n%s",
        strlen(body), body);
}

static void as_ending(blob *b, const char *data) {
    as_http_chunk(b, data);
    strcpy(b->text + b->length, "0\r\n\r\n");
    b->length += 5;
}

static void make_messages(voice *v) {
    as_plain_answer(&v->answer,
        "{\"id\":\"msg_fake0123456789abcdef\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"fake-model\","
        "\"content\":[{\"type\":\"text\",\"text\":\"" SENTENCE "\"}],\"stop_reason\":\"end_turn\","
        "\"stop_sequence\":null,\"usage\":{\"input_tokens\":21,\"cache_creation_input_tokens\":0,"
        "\"cache_read_input_tokens\":0,\"output_tokens\":34,\"service_tier\":\"standard\"}}");
    as_http_chunk(&v->opening,
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_fake0123456789abcdef\","
        "\"type\":\"message\",\"role\":\"assistant\",\"model\":\"fake-model\",\"content\":[],\"stop_reason\":null,"
        "\"stop_sequence\":null,\"usage\":{\"input_tokens\":21,\"output_tokens\":1}}}\n\n"
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,"
        "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n");
    as_http_chunk(&v->event,
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,"
        "\"delta\":{\"type\":\"text_delta\",\"text\":\" tokens\"}}\n\n");
    as_ending(&v->ending,
        "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\","
        "\"stop_sequence\":null},\"usage\":{\"output_tokens\":60}}\n\n"
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
}

#define RESPONSE(status, output, usage)                                                                                \
    "{\"id\":\"resp_fake0123456789abcdef\",\"object\":\"response\",\"created_at\":1790000000,\"status\":\"" status     \
    "\",\"error\":null,\"incomplete_details\":null,\"model\":\"fake-model\",\"output\":[" output "],\"usage\":" usage "}"
#define MESSAGE(text)                                                                                                  \
    "{\"id\":\"msg_fake\",\"type\":\"message\",\"status\":\"completed\",\"role\":\"assistant\",\"content\":["          \
    "{\"type\":\"output_text\",\"text\":\"" text "\",\"annotations\":[]}]}"
#define COUNTS                                                                                                         \
    "{\"input_tokens\":21,\"input_tokens_details\":{\"cached_tokens\":0},\"output_tokens\":34,"                        \
    "\"output_tokens_details\":{\"reasoning_tokens\":0},\"total_tokens\":55}"

static void make_responses(voice *v) {
    as_plain_answer(&v->answer, RESPONSE("completed", MESSAGE(SENTENCE), COUNTS));
    as_http_chunk(&v->opening,
        "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":"
        RESPONSE("in_progress", "", "null") "}\n\n"
        "event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"sequence_number\":1,"
        "\"output_index\":0,\"item\":{\"id\":\"msg_fake\",\"type\":\"message\",\"status\":\"in_progress\","
        "\"role\":\"assistant\",\"content\":[]}}\n\n");
    as_http_chunk(&v->event,
        "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":2,"
        "\"item_id\":\"msg_fake\",\"output_index\":0,\"content_index\":0,\"delta\":\" tokens\",\"logprobs\":[]}\n\n");
    as_ending(&v->ending,
        "event: response.completed\ndata: {\"type\":\"response.completed\",\"sequence_number\":3,\"response\":"
        RESPONSE("completed", MESSAGE(" tokens"), COUNTS) "}\n\n");
}

static void make_chat(voice *v) {
    as_plain_answer(&v->answer,
        "{\"id\":\"chatcmpl-fake0123456789abcdef\",\"object\":\"chat.completion\",\"created\":1790000000,"
        "\"model\":\"fake-model\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":"
        "\"" SENTENCE "\",\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"stop\"}],"
        "\"usage\":{\"prompt_tokens\":21,\"completion_tokens\":34,\"total_tokens\":55,"
        "\"prompt_tokens_details\":{\"cached_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":0}},"
        "\"system_fingerprint\":\"fp_fake\"}");
    as_http_chunk(&v->event,
        "data: {\"id\":\"chatcmpl-fake0123456789abcdef\",\"object\":\"chat.completion.chunk\",\"created\":1790000000,"
        "\"model\":\"fake-model\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" tokens\"},"
        "\"finish_reason\":null}]}\n\n");
    as_http_chunk(&v->usage,
        "data: {\"id\":\"chatcmpl-fake0123456789abcdef\",\"object\":\"chat.completion.chunk\",\"created\":1790000000,"
        "\"model\":\"fake-model\",\"choices\":[],\"usage\":{\"prompt_tokens\":21,\"completion_tokens\":60,"
        "\"total_tokens\":81}}\n\n");
    as_ending(&v->ending,
        "data: {\"id\":\"chatcmpl-fake0123456789abcdef\",\"object\":\"chat.completion.chunk\",\"created\":1790000000,"
        "\"model\":\"fake-model\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
        "data: [DONE]\n\n");
}

static void make_answers(void) {
    stream_head.length = (size_t)snprintf(stream_head.text, sizeof stream_head.text,
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
        "Transfer-Encoding: chunked\r\n\r\n");
    make_messages(&voices[0]);
    make_responses(&voices[1]);
    make_chat(&voices[2]);
}

/* The one that the request's path asks for; the last one is for every other path. */
static const voice *voice_of(const char *line, size_t length) {
    for (const voice *v = voices;; v++)
        if (!*v->path || memmem(line, length, v->path, strlen(v->path))) return v;
}

static void queue(connection *c, const char *bytes, size_t length) {
    if (c->out_sent == c->out_length) c->out_sent = c->out_length = 0;
    if (c->out_length + length > c->out_capacity) {
        c->out_capacity = (c->out_length + length) * 2;
        c->out = realloc(c->out, c->out_capacity);
    }
    memcpy(c->out + c->out_length, bytes, length);
    c->out_length += length;
}

static void queue_blob(connection *c, const blob *b) { queue(c, b->text, b->length); }

static void watch_for_writing(connection *c, int wanted) {
    if (c->waits_to_write == wanted) return;
    struct epoll_event e = { .events = EPOLLIN | (wanted ? EPOLLOUT : 0), .data.ptr = c };
    epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &e);
    c->waits_to_write = wanted;
}

/* 0: all sent; 1: the socket is full, more when it can be written again; -1: broken */
static int flush(connection *c) {
    while (c->out_sent < c->out_length) {
        ssize_t sent = send(c->fd, c->out + c->out_sent, c->out_length - c->out_sent, MSG_NOSIGNAL);
        if (sent >= 0) c->out_sent += (size_t)sent;
        else if (errno == EAGAIN) {
            watch_for_writing(c, 1);
            return 1;
        } else if (errno != EINTR) return -1;
    }
    watch_for_writing(c, 0);
    return 0;
}

static void stop_pacing(connection *c) {
    if (c->paced_slot == NOT_PACED) return;
    connection *last = paced[--paced_count];
    paced[c->paced_slot] = last;
    last->paced_slot = c->paced_slot;
    c->paced_slot = NOT_PACED;
}

static void start_pacing(connection *c) {
    c->next_ns = now_ns() + c->pace_ns;
    if (c->paced_slot != NOT_PACED || paced_count == MAX_PACED) return;
    c->paced_slot = paced_count;
    paced[paced_count++] = c;
}

static void drop(connection *c) {
    stop_pacing(c);
    close(c->fd);
    free(c->in);
    free(c->out);
    free(c);
    seen.open--;
}

static void queue_next_event(connection *c) {
    if (c->events_left-- > 0) {
        queue_blob(c, &c->voice->event);
        return;
    }
    if (c->wants_usage) queue_blob(c, &c->voice->usage);
    queue_blob(c, &c->voice->ending);
    c->events_left = NOT_STREAMING;
}

/* Sends the events of an unpaced stream until it ends or the socket is full; -1: broken. */
static int pump(connection *c) {
    while (c->events_left != NOT_STREAMING && !c->pace_ns) {
        queue_next_event(c);
        int state = flush(c);
        if (state) return state < 0 ? -1 : 0;
    }
    return 0;
}

static int holds(const char *body, size_t length, const char *a, const char *b) {
    return memmem(body, length, a, strlen(a)) || memmem(body, length, b, strlen(b));
}

static int answer_call(connection *c, const voice *v, const char *body, size_t length) {
    seen.requests++;
    if (length > seen.largest_body) seen.largest_body = length;
    if (!holds(body, length, "\"model\":\"fake", "\"model\": \"fake")) seen.bad_model++;
    if (!holds(body, length, "\"stream\":true", "\"stream\": true")) {
        queue_blob(c, &v->answer);
        return flush(c) < 0 ? -1 : 0;
    }
    seen.streams++;
    const char *pace = memmem(body, length, "pace", 4);
    c->pace_ns = pace ? atoi(pace + 4) * 1000000LL : 0;
    c->wants_usage = memmem(body, length, "include_usage", 13) != NULL;
    c->events_left = EVENTS_PER_STREAM;
    c->voice = v;
    queue_blob(c, &stream_head);
    queue_blob(c, &v->opening);
    if (!c->pace_ns) return pump(c);
    queue_next_event(c);
    start_pacing(c);
    return flush(c) < 0 ? -1 : 0;
}

static int answer_stats(connection *c) {
    char body[512], whole[700];
    int length = snprintf(body, sizeof body,
        "{\"requests\":%llu,\"streams\":%llu,\"bad_auth\":%llu,\"bad_model\":%llu,\"open\":%d,\"largest_body\":%zu}\n",
        seen.requests, seen.streams, seen.bad_auth, seen.bad_model, seen.open, seen.largest_body);
    length = snprintf(whole, sizeof whole,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", length, body);
    queue(c, whole, (size_t)length);
    return flush(c) < 0 ? -1 : 0;
}

static int is_header(const char *line, const char *name) { return strncasecmp(line, name, strlen(name)) == 0; }

static int is_key(const char *text) { return !strncmp(text, key, strlen(key)) && text[strlen(key)] == '\r'; }

typedef struct {
    size_t body_length;
    int has_key;
} request_head;

static request_head read_head(const char *head, const char *end) {
    request_head h = { 0 };
    const char *line = head;
    while ((line = memchr(line, '\n', (size_t)(end - line))) && ++line < end) {
        if (is_header(line, "content-length:")) h.body_length = strtoul(line + 15, NULL, 10);
        else if (is_header(line, "authorization: bearer ")) h.has_key |= is_key(line + 22);
        else if (is_header(line, "x-api-key: ")) h.has_key |= is_key(line + 11);
    }
    return h;
}

/* Takes whole requests off the input while no stream is under way; -1: close. */
static int take_requests(connection *c) {
    while (c->events_left == NOT_STREAMING && c->in_length) {
        char *blank = memmem(c->in, c->in_length, "\r\n\r\n", 4);
        if (!blank) return 0;
        size_t head_length = (size_t)(blank - c->in) + 4;
        request_head head = read_head(c->in, blank + 2);
        size_t total = head_length + head.body_length;
        if (c->in_length < total) return 0;
        int state;
        if (!strncmp(c->in, "GET ", 4)) state = answer_stats(c);
        else {
            seen.bad_auth += !head.has_key;
            const char *line_end = memchr(c->in, '\n', head_length);
            state = answer_call(c, voice_of(c->in, (size_t)(line_end - c->in)), c->in + head_length, head.body_length);
        }
        memmove(c->in, c->in + total, c->in_length - total);
        c->in_length -= total;
        if (state < 0) return -1;
    }
    return 0;
}

static int receive(connection *c) {
    if (c->in_capacity - c->in_length < 4096) {
        c->in_capacity *= 2;
        c->in = realloc(c->in, c->in_capacity);
    }
    ssize_t got = recv(c->fd, c->in + c->in_length, c->in_capacity - c->in_length, 0);
    if (got == 0) return -1;
    if (got < 0) return errno == EAGAIN || errno == EINTR ? 0 : -1;
    c->in_length += (size_t)got;
    return take_requests(c);
}

static int serve(connection *c, uint32_t events) {
    if (events & EPOLLOUT) {
        int state = flush(c);
        if (state < 0 || (state == 0 && pump(c) < 0)) return -1;
    }
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) return receive(c);
    return 0;
}

static int send_paced_event(connection *c) {
    queue_next_event(c);
    if (c->events_left == NOT_STREAMING) stop_pacing(c);
    else c->next_ns += c->pace_ns;
    if (flush(c) < 0) return -1;
    return take_requests(c);
}

static void send_due_events(void) {
    int64_t now = now_ns();
    for (int i = 0; i < paced_count;) {
        connection *c = paced[i];
        if (c->next_ns <= now && send_paced_event(c) < 0) drop(c);
        else if (i < paced_count && paced[i] == c) i++; /* else the last one has moved into this slot */
    }
}

static struct timespec *until_next_event(struct timespec *t) {
    if (!paced_count) return NULL;
    int64_t next = paced[0]->next_ns;
    for (int i = 1; i < paced_count; i++)
        if (paced[i]->next_ns < next) next = paced[i]->next_ns;
    int64_t wait = next - now_ns();
    if (wait < 0) wait = 0;
    t->tv_sec = wait / 1000000000LL;
    t->tv_nsec = wait % 1000000000LL;
    return t;
}

static void accept_all(int listener) {
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        connection *c = calloc(1, sizeof *c);
        c->fd = fd;
        c->events_left = NOT_STREAMING;
        c->paced_slot = NOT_PACED;
        c->in_capacity = 8192;
        c->in = malloc(c->in_capacity);
        seen.open++;
        struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e);
    }
}

static int listen_on(int port) {
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    if (bind(fd, (void *)&address, sizeof address) || listen(fd, 4096)) {
        perror("upstream: listen");
        exit(1);
    }
    return fd;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: upstream PORT KEY\n");
        return 2;
    }
    key = argv[2];
    signal(SIGPIPE, SIG_IGN);
    make_answers();
    int listener = listen_on(atoi(argv[1]));
    poller = epoll_create1(0);
    struct epoll_event e = { .events = EPOLLIN, .data.ptr = NULL }, ready[BATCH];
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &e);
    for (;;) {
        struct timespec wait;
        int count = epoll_pwait2(poller, ready, BATCH, until_next_event(&wait), NULL);
        for (int i = 0; i < count; i++) {
            connection *c = ready[i].data.ptr;
            if (!c) accept_all(listener);
            else if (serve(c, ready[i].events) < 0) drop(c);
        }
        if (paced_count) send_due_events();
    }
}
