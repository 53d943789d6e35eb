/* A closed-loop HTTP/1.1 load generator that understands server-sent events: one thread, epoll.
 *
 *     load -a 127.0.0.1:9000 -c 16 -d 5 -f body.json [-w 1] [-p PATH] [-H "Name: value"]… [-x TEXT] [-s [-k N] [-e LINE]]
 *          [-n N]
 *
 * -c connections, each with one request in flight      -d seconds measured, after -w seconds of warm-up
 * -f file with the request's body                      -H one more header
 * -x text that the body of every good answer holds     -n stop after this many answers, if that comes first
 * -s answers are streams: count their "data:" events, time the first one, and ask for the line that -e begins with,
 *    "data: [DONE]" if it is not given
 * -k abandon every stream once N events have come: the connection is closed and another one opened
 *
 * Prints one JSON object; times are in microseconds. An answer counts when it ended inside the measured window.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 256, HEAD_LIMIT = 16384, READ_SIZE = 1 << 18 };
enum { LINE_SKIPPED = -1 };
static const char *done_line = "data: [DONE]";

typedef enum { IN_HEAD, IN_SIZED_BODY, IN_CHUNK_SIZE, IN_CHUNK, AFTER_CHUNK, IN_TRAILER, UNTIL_CLOSE } phase;

typedef struct {
    int fd;
    phase phase;
    int status, closes;
    char head[HEAD_LIMIT];
    size_t head_length;
    size_t remaining; /* of the body, or of the chunk under way */
    char size_line[32];
    size_t size_length;
    size_t body_length;
    size_t matched; /* of the expected text */
    int found;
    int line_matched; /* of done_line, on the line under way; LINE_SKIPPED once it can be neither */
    int events, done;
    int64_t asked, first_event, last_event;
} connection;

typedef struct {
    float *values;
    size_t count, capacity;
} samples;

static struct {
    const char *address, *path, *body_file, *expected;
    int connections, streams, abandon_after;
    double seconds, warm_up;
    unsigned long answers_wanted;
    char headers[8192];
} options = { .address = "127.0.0.1:9000", .path = "/v1/chat/completions", .connections = 1, .seconds = 5, .warm_up = 1 };

static struct {
    unsigned long answered; /* in the whole run; the others within the window */
    unsigned long good, bad_status, bad_body, broken, reconnects, abandoned, events;
    double body_bytes;
    samples latency, first_event, gap;
} seen;

static int poller, measuring;
static struct sockaddr_in server;
static char *request;
static size_t request_length;

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void record(samples *s, int64_t from, int64_t to) {
    if (s->count == s->capacity) {
        s->capacity = s->capacity ? s->capacity * 2 : 65536;
        s->values = realloc(s->values, s->capacity * sizeof *s->values);
    }
    s->values[s->count++] = (float)((double)(to - from) / 1e3);
}

static int ascending(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void print_quantile(const char *name, const samples *sorted, double q) {
    double value = sorted->count ? sorted->values[(size_t)(q * (double)(sorted->count - 1) + 0.5)] : 0;
    printf(",\"%s\":%.1f", name, value);
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void open_connection(connection *c) {
    int on = 1;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(c->fd, (void *)&server, sizeof server)) fail("load: connect");
    struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };
    epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &e);
}

static void ask(connection *c) {
    c->phase = IN_HEAD;
    c->status = c->closes = c->found = c->line_matched = c->events = c->done = 0;
    c->head_length = c->remaining = c->size_length = c->body_length = c->matched = 0;
    c->first_event = c->last_event = 0;
    c->asked = now_ns();
    for (size_t sent = 0; sent < request_length;) {
        ssize_t n = send(c->fd, request + sent, request_length - sent, MSG_NOSIGNAL);
        if (n <= 0) return; /* the read that follows finds it closed, and counts it */
        sent += (size_t)n;
    }
}

static void ask_anew(connection *c) {
    close(c->fd);
    open_connection(c);
    if (measuring) seen.reconnects++;
    ask(c);
}

/* Restarts at the first character only: enough for a text that does not overlap itself. */
static void look_for_expected(connection *c, const char *bytes, size_t length) {
    size_t wanted = strlen(options.expected);
    for (size_t i = 0; i < length && !c->found; i++) {
        if (bytes[i] == options.expected[c->matched]) c->found = ++c->matched == wanted;
        else c->matched = bytes[i] == options.expected[0];
    }
}

/* Counts the lines that begin with "data:" and are not the last one. */
static void count_events(connection *c, const char *bytes, size_t length) {
    const char *end = bytes + length;
    for (const char *p = bytes; p < end; p++) {
        if (c->line_matched == LINE_SKIPPED) {
            p = memchr(p, '\n', (size_t)(end - p));
            if (!p) return;
            c->line_matched = 0;
        } else if (*p == '\n') c->line_matched = 0;
        else if (*p != done_line[c->line_matched]) {
            if (c->line_matched >= 5) {
                c->events++;
                if (measuring) seen.events++;
            }
            c->line_matched = LINE_SKIPPED;
        } else if (!done_line[++c->line_matched]) {
            c->done = 1;
            c->line_matched = LINE_SKIPPED;
        }
    }
}

static void take_body(connection *c, const char *bytes, size_t length, int64_t now) {
    c->body_length += length;
    if (options.expected && !c->found) look_for_expected(c, bytes, length);
    if (!options.streams) return;
    int before = c->events;
    count_events(c, bytes, length);
    if (c->events == before && !c->done) return;
    if (!c->first_event) c->first_event = now;
    else if (measuring) record(&seen.gap, c->last_event, now);
    c->last_event = now;
}

static void finish(connection *c, int64_t now) {
    seen.answered++;
    if (measuring) {
        if (c->status != 200) seen.bad_status++;
        else if ((options.expected && !c->found) || (options.streams && !c->done)) seen.bad_body++;
        else {
            seen.good++;
            seen.body_bytes += (double)c->body_length;
            record(&seen.latency, c->asked, now);
            if (options.streams) record(&seen.first_event, c->asked, c->first_event);
        }
    }
    if (c->closes) ask_anew(c);
    else ask(c);
}

static void abandon(connection *c) {
    seen.answered++;
    if (measuring) seen.abandoned++;
    ask_anew(c);
}

static void read_head(connection *c) {
    c->status = atoi(c->head + sizeof "HTTP/1.1");
    c->phase = UNTIL_CLOSE;
    for (char *line = c->head; (line = strchr(line, '\n')) && *++line;) {
        if (!strncasecmp(line, "content-length:", 15)) {
            c->remaining = strtoul(line + 15, NULL, 10);
            c->phase = IN_SIZED_BODY;
        } else if (!strncasecmp(line, "transfer-encoding: chunked", 26)) c->phase = IN_CHUNK_SIZE;
        else if (!strncasecmp(line, "connection: close", 17)) c->closes = 1;
    }
}

/* Returns how many bytes it took; the head is whole once the phase has changed. */
static size_t take_head(connection *c, const char *bytes, size_t length) {
    size_t before = c->head_length, room = sizeof c->head - 1 - before;
    size_t taken = length < room ? length : room;
    memcpy(c->head + before, bytes, taken);
    c->head_length += taken;
    c->head[c->head_length] = 0;
    char *blank = strstr(c->head, "\r\n\r\n");
    if (!blank) return taken;
    blank[2] = 0;
    read_head(c);
    return (size_t)(blank + 4 - c->head) - before;
}

static size_t take_counted(connection *c, const char *bytes, size_t length, int64_t now) {
    size_t taken = length < c->remaining ? length : c->remaining;
    take_body(c, bytes, taken, now);
    c->remaining -= taken;
    return taken;
}

static void take_size_character(connection *c, char character) {
    if (character != '\n') {
        if (c->size_length < sizeof c->size_line - 1) c->size_line[c->size_length++] = character;
        return;
    }
    c->size_line[c->size_length] = 0;
    c->remaining = strtoul(c->size_line, NULL, 16);
    c->size_length = 0;
    c->phase = c->remaining ? IN_CHUNK : IN_TRAILER;
}

/* 1 at the blank line that ends the trailer. */
static int take_trailer_character(connection *c, char character) {
    if (character == '\r') return 0;
    if (character != '\n') {
        c->size_length++;
        return 0;
    }
    if (!c->size_length) return 1;
    c->size_length = 0;
    return 0;
}

static void take(connection *c, const char *bytes, size_t length, int64_t now) {
    int whole = 0;
    while (length && !whole) {
        size_t taken = 1;
        switch (c->phase) {
        case IN_HEAD:
            taken = take_head(c, bytes, length);
            if (c->phase == IN_HEAD && c->head_length == sizeof c->head - 1) {
                seen.broken++;
                ask_anew(c);
                return;
            }
            whole = c->phase == IN_SIZED_BODY && !c->remaining;
            break;
        case IN_SIZED_BODY:
            taken = take_counted(c, bytes, length, now);
            whole = !c->remaining;
            break;
        case IN_CHUNK_SIZE: take_size_character(c, *bytes); break;
        case IN_CHUNK:
            taken = take_counted(c, bytes, length, now);
            if (!c->remaining) c->phase = AFTER_CHUNK;
            break;
        case AFTER_CHUNK:
            if (*bytes == '\n') c->phase = IN_CHUNK_SIZE;
            break;
        case IN_TRAILER: whole = take_trailer_character(c, *bytes); break;
        case UNTIL_CLOSE:
            take_body(c, bytes, length, now);
            taken = length;
            break;
        }
        bytes += taken;
        length -= taken;
        if (options.abandon_after && c->events >= options.abandon_after) {
            abandon(c);
            return;
        }
    }
    if (whole) finish(c, now); /* requests are not pipelined, so nothing of another answer follows */
}

static void receive(connection *c) {
    static char bytes[READ_SIZE];
    ssize_t got = recv(c->fd, bytes, sizeof bytes, 0);
    int64_t now = now_ns();
    if (got > 0) take(c, bytes, (size_t)got, now);
    else if (got < 0 && errno == EINTR) return;
    else if (c->phase == UNTIL_CLOSE) {
        c->closes = 1;
        finish(c, now);
    } else {
        if (measuring) seen.broken++;
        ask_anew(c);
    }
}

static char *read_file(const char *name, size_t *length) {
    FILE *file = fopen(name, "rb");
    if (!file) fail(name);
    fseek(file, 0, SEEK_END);
    *length = (size_t)ftell(file);
    rewind(file);
    char *bytes = malloc(*length + 1);
    if (fread(bytes, 1, *length, file) != *length) fail(name);
    fclose(file);
    return bytes;
}

static void make_request(void) {
    size_t length;
    char *body = read_file(options.body_file, &length);
    request = malloc(length + sizeof options.headers + 1024);
    request_length = (size_t)sprintf(request,
        "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n%sContent-Length: %zu\r\n\r\n", options.path,
        options.address, options.headers, length);
    memcpy(request + request_length, body, length);
    request_length += length;
    free(body);
}

static void read_options(int argc, char **argv) {
    int letter;
    while ((letter = getopt(argc, argv, "a:p:c:d:w:f:H:sk:x:n:e:")) != -1) switch (letter) {
        case 'a': options.address = optarg; break;
        case 'p': options.path = optarg; break;
        case 'c': options.connections = atoi(optarg); break;
        case 'd': options.seconds = atof(optarg); break;
        case 'w': options.warm_up = atof(optarg); break;
        case 'f': options.body_file = optarg; break;
        case 's': options.streams = 1; break;
        case 'k': options.abandon_after = atoi(optarg); break;
        case 'x': options.expected = optarg; break;
        case 'e': done_line = optarg; break;
        case 'n': options.answers_wanted = strtoul(optarg, NULL, 10); break;
        case 'H':
            if (strlen(options.headers) + strlen(optarg) + 3 > sizeof options.headers) exit(2);
            strcat(strcat(options.headers, optarg), "\r\n");
            break;
        default: exit(2);
        }
    if (!options.body_file) {
        fprintf(stderr, "load: -f FILE is needed\n");
        exit(2);
    }
}

static void find_server(void) {
    char host[64];
    snprintf(host, sizeof host, "%s", options.address);
    char *colon = strchr(host, ':');
    if (!colon) {
        fprintf(stderr, "load: -a takes ADDRESS:PORT\n");
        exit(2);
    }
    *colon = 0;
    server.sin_family = AF_INET;
    server.sin_port = htons((uint16_t)atoi(colon + 1));
    inet_pton(AF_INET, host, &server.sin_addr);
}

/* Returns the seconds that were measured. */
static double run(connection *connections) {
    for (int i = 0; i < options.connections; i++) {
        open_connection(&connections[i]);
        ask(&connections[i]);
    }
    int64_t now = now_ns(), start = now + (int64_t)(options.warm_up * 1e9);
    int64_t end = start + (int64_t)(options.seconds * 1e9);
    struct epoll_event ready[BATCH];
    for (;;) {
        int count = epoll_wait(poller, ready, BATCH, 20);
        now = now_ns();
        if (!measuring && now >= start) {
            measuring = 1;
            start = now;
        }
        if (now >= end || (options.answers_wanted && seen.answered >= options.answers_wanted)) break;
        for (int i = 0; i < count; i++) receive(ready[i].data.ptr);
    }
    return now > start ? (double)(now - start) / 1e9 : 1e-9;
}

static void print_results(double seconds) {
    samples *all[] = { &seen.latency, &seen.first_event, &seen.gap };
    for (size_t i = 0; i < 3; i++)
        if (all[i]->count) qsort(all[i]->values, all[i]->count, sizeof(float), ascending);
    printf("{\"seconds\":%.4f,\"answered\":%lu,\"good\":%lu,\"rps\":%.2f", seconds, seen.answered, seen.good,
        (double)seen.good / seconds);
    printf(",\"bad_status\":%lu,\"bad_body\":%lu,\"broken\":%lu,\"reconnects\":%lu,\"abandoned\":%lu", seen.bad_status,
        seen.bad_body, seen.broken, seen.reconnects, seen.abandoned);
    printf(",\"megabytes_per_s\":%.2f,\"events_per_s\":%.1f", seen.body_bytes / seconds / 1e6,
        (double)seen.events / seconds);
    print_quantile("p50", &seen.latency, .5);
    print_quantile("p90", &seen.latency, .9);
    print_quantile("p99", &seen.latency, .99);
    print_quantile("slowest", &seen.latency, 1);
    print_quantile("first_event_p50", &seen.first_event, .5);
    print_quantile("first_event_p99", &seen.first_event, .99);
    print_quantile("gap_p50", &seen.gap, .5);
    print_quantile("gap_p99", &seen.gap, .99);
    printf("}\n");
}

int main(int argc, char **argv) {
    read_options(argc, argv);
    find_server();
    make_request();
    poller = epoll_create1(0);
    connection *connections = calloc((size_t)options.connections, sizeof *connections);
    print_results(run(connections));
    return 0;
}
