"""The openai Python SDK meets trouble: what it raises, what it retries, what it hides, what reaches the provider."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import httpx
import openai
import pytest

from open_llm_auth.testing import BEHAVIOURS, Behaviour
from open_llm_auth.testing.openai_answers import TEXT, error_body

pytestmark = pytest.mark.clients

MODEL = "fake/fake-model"
HELLO = [{"role": "user", "content": "hello"}]
SAID = "".join(TEXT)


def ask(client, **fields):
    return client.chat.completions.create(**{"model": MODEL, "messages": HELLO} | fields)


def row_of(gateway, request_id):
    """The line that the gateway's log holds of a request."""
    return gateway.wait_for_row(lambda row: row["request"] == request_id)


def said(stream) -> str:
    return "".join(choice.delta.content or "" for chunk in stream for choice in chunk.choices)


class TestErrors:
    @pytest.mark.parametrize(
        ("behaviour", "kind", "status", "code", "message"),
        [
            ("bad_request", openai.BadRequestError, 400, "upstream_http_error", "temperature"),
            ("integer_code", openai.BadRequestError, 400, "upstream_http_error", "context size"),
            ("unknown_model", openai.NotFoundError, 404, "upstream_http_error", "does not exist"),
            ("key_refused", openai.AuthenticationError, 401, "upstream_credential_rejected", ""),
            ("key_echoed", openai.AuthenticationError, 401, "upstream_credential_rejected", ""),
            ("key_forbidden", openai.PermissionDeniedError, 403, "upstream_credential_rejected", ""),
            ("html_challenge", openai.PermissionDeniedError, 403, "upstream_credential_rejected", ""),
            ("payment_required", openai.APIStatusError, 402, "upstream_http_error", "Insufficient balance"),
            ("rate_limited", openai.RateLimitError, 429, "upstream_http_error", "Rate limit"),
            ("quota_spent", openai.RateLimitError, 429, "upstream_http_error", "quota"),
            ("server_error", openai.InternalServerError, 500, "upstream_http_error", "The server had an error"),
            ("server_error_html", openai.InternalServerError, 502, "upstream_http_error", "'fake' returned HTTP 502"),
            ("overloaded", openai.InternalServerError, 529, "upstream_http_error", "Overloaded"),
            ("closes_at_once", openai.InternalServerError, 502, "upstream_unreachable", ""),
            ("closes_mid_body", openai.InternalServerError, 502, "upstream_unreachable", ""),
        ],
    )
    def test_a_plain_call_raises_what_the_trouble_means(
        self, client, provider, provider_key, behaviour, kind, status, code, message
    ):
        provider.when(behaviour, model="fake-model")
        with pytest.raises(kind) as raised:
            ask(client)
        assert (raised.value.status_code, raised.value.code) == (status, code)
        assert message in raised.value.message
        assert raised.value.request_id
        assert provider_key not in raised.value.response.text
        assert "<" not in raised.value.message, "HTML is not passed on"
        assert "www-authenticate" not in raised.value.response.headers

    def test_the_rate_limit_headers_of_the_provider_are_kept(self, client, provider):
        provider.when("rate_limited", model="fake-model")
        with pytest.raises(openai.RateLimitError) as raised:
            ask(client)
        assert raised.value.response.headers["retry-after"] == "1"
        assert raised.value.response.headers["x-ratelimit-remaining-requests"] == "0"

    def test_a_redirect_is_neither_followed_nor_passed_on(self, client, provider):
        provider.when("redirect", model="fake-model")
        with pytest.raises(openai.APIStatusError) as raised:
            ask(client)
        assert raised.value.status_code >= 500
        assert "location" not in raised.value.response.headers
        assert "169.254" not in raised.value.response.text
        assert len(provider.calls) == 1

    def test_a_wrong_token_is_an_authentication_error_that_says_how(self, gateway):
        stranger = openai.OpenAI(base_url=gateway.base_url, api_key="nobody", max_retries=0)
        with stranger, pytest.raises(openai.AuthenticationError) as raised:
            ask(stranger)
        assert raised.value.code == "authentication_required"
        assert raised.value.response.headers["www-authenticate"].startswith("Bearer")

    def test_an_unknown_model_names_its_nearest_neighbours(self, client):
        with pytest.raises(openai.NotFoundError) as raised:
            ask(client, model="fake-modle")
        assert raised.value.code == "model_not_found"
        assert MODEL in raised.value.response.text

    def test_a_malformed_request_names_the_field_and_is_not_sent(self, client, provider):
        with pytest.raises(openai.BadRequestError) as raised:
            ask(client, messages="hello")
        assert (raised.value.code, raised.value.param) == ("invalid_request", "messages")
        assert provider.calls == []


class TestBrokenStreams:
    @pytest.mark.parametrize("behaviour", ["error_first", "error_before_content", "closes_before_content"])
    def test_trouble_before_the_first_content_is_an_ordinary_error(self, client, provider, behaviour):
        provider.when(behaviour, model="fake-model")
        with pytest.raises(openai.APIStatusError) as raised:
            ask(client, stream=True)
        assert raised.value.status_code >= 500

    @pytest.mark.parametrize("behaviour", ["error_mid_stream", "closes_mid_body"])
    def test_trouble_after_it_is_an_error_event_and_never_a_silent_end(self, client, provider, behaviour):
        provider.when(behaviour, model="fake-model")
        stream, got = ask(client, stream=True), []
        with pytest.raises(openai.APIError) as raised:
            got.extend(iter(stream))
        assert said(got) == SAID[: len("Hello from")]
        assert not isinstance(raised.value, openai.APIConnectionError), "the stream itself must end in good order"

    def test_a_refused_stream_is_an_ordinary_error(self, client, provider):
        provider.when("bad_request", model="fake-model")
        with pytest.raises(openai.BadRequestError, match="temperature"):
            ask(client, stream=True)


class TestRetries:
    def test_the_sdk_waits_as_the_provider_says_and_succeeds(self, client, provider):
        provider.next("rate_limited")
        start = time.monotonic()
        assert ask(client.with_options(max_retries=2)).choices[0].message.content == SAID
        assert 0.9 < time.monotonic() - start < 10
        assert len(provider.calls) == 2

    def test_a_server_error_is_retried_by_the_sdk_for_streams_too(self, client, provider):
        provider.next("unavailable", "error_first")
        assert said(ask(client.with_options(max_retries=2), stream=True)) == SAID
        assert len(provider.calls) == 3

    def test_a_caller_error_is_not_retried(self, client, provider):
        provider.next("bad_request")
        with pytest.raises(openai.BadRequestError):
            ask(client.with_options(max_retries=2))
        assert len(provider.calls) == 1


class TestFailover:
    @pytest.fixture
    def two_keys(self, make_gateway, config_for, provider, provider_key):
        """A gateway with two good credentials: `sk-first…` comes before the one of the config."""
        provider.keys = ("sk-first-canary-000000", provider_key)
        profiles = {"fake:first": {"provider": "fake", "type": "api_key", "key": "sk-first-canary-000000"}}
        gateway = make_gateway(config_for(provider, authProfiles=profiles))
        with openai.OpenAI(base_url=gateway.base_url, api_key=gateway.token, max_retries=0, timeout=20) as client:
            yield client

    @pytest.mark.parametrize("stream", [False, True])
    @pytest.mark.parametrize(
        "behaviour",
        [
            "key_refused",
            "key_forbidden",
            "html_challenge",
            "payment_required",
            "rate_limited",
            "quota_spent",
            "server_error",
            "overloaded",
            "closes_at_once",
        ],
    )
    def test_the_client_does_not_notice_a_credential_that_fails(self, two_keys, provider, behaviour, stream):
        provider.when(behaviour, key="sk-first-canary-000000")
        raw = two_keys.chat.completions.with_raw_response.create(model=MODEL, messages=HELLO, stream=stream)
        answer = raw.parse()
        assert (said(answer) if stream else answer.choices[0].message.content) == SAID
        assert raw.headers["x-gateway-attempts"] == "2"
        assert "first" not in raw.headers["x-gateway-profile"]

    @pytest.mark.parametrize("behaviour", ["error_first", "error_before_content", "closes_before_content"])
    def test_a_stream_moves_on_until_its_first_content(self, two_keys, provider, behaviour):
        provider.when(behaviour, key="sk-first-canary-000000")
        assert said(ask(two_keys, stream=True)) == SAID

    def test_a_stream_never_moves_on_after_it(self, two_keys, provider):
        provider.when("error_mid_stream", key="sk-first-canary-000000")
        with pytest.raises(openai.APIError):
            said(ask(two_keys, stream=True))
        assert len(provider.calls) == 1

    def test_a_caller_error_does_not_move_on(self, two_keys, provider):
        provider.when("bad_request", key="sk-first-canary-000000")
        with pytest.raises(openai.BadRequestError):
            ask(two_keys)
        assert len(provider.calls) == 1


class TestCancelling:
    def test_a_client_that_leaves_a_stream_cancels_the_provider_within_100_ms(self, client, provider):
        taken = []
        for _ in range(3):
            provider.next("endless")
            stream = ask(client, stream=True)
            next(iter(stream))
            exchange = provider.calls[-1]
            left = time.monotonic()
            stream.close()
            provider.wait_until(lambda exchange=exchange: exchange.outcome == "client_gone")
            taken.append(exchange.ended - left)
        assert min(taken) < 0.1, taken

    def test_a_client_that_gives_up_waiting_cancels_too(self, client, provider):
        provider.next("silent")
        with pytest.raises(openai.APITimeoutError):
            ask(client.with_options(timeout=0.3))
        provider.wait_until(lambda: provider.calls[-1].outcome == "client_gone", 2)

    async def test_a_cancelled_task_cancels_too(self, gateway, provider):
        provider.next("endless")
        async with openai.AsyncOpenAI(base_url=gateway.base_url, api_key=gateway.token, max_retries=0) as client:

            async def follow():
                async for _ in await ask(client, stream=True):
                    pass

            task = asyncio.create_task(follow())
            await asyncio.to_thread(provider.wait_until, lambda: provider.calls and provider.calls[-1].events_sent > 3)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await asyncio.to_thread(provider.wait_until, lambda: provider.calls[-1].outcome == "client_gone", 2)

    def test_abandoned_streams_leak_no_connection(self, client, provider):
        ask(client)
        before = provider.open_connections
        for _ in range(20):
            provider.next("endless")
            stream = ask(client, stream=True)
            next(iter(stream))
            stream.close()
        provider.wait_until(lambda: all(exchange.outcome == "client_gone" for exchange in provider.calls[1:]))
        provider.wait_until(lambda: provider.open_connections <= before)

    def test_an_abandoned_stream_stands_in_the_log(self, client, provider, gateway):
        provider.next("endless")
        stream = ask(client, stream=True, extra_headers={"x-request-id": "abandoned"})
        next(iter(stream))
        stream.close()
        row = row_of(gateway, "abandoned")
        assert row["code"] == "client_disconnected"


class TestUnusualProviders:
    @pytest.mark.parametrize(
        "behaviour",
        [
            "no_done",
            "usage_on_finish",
            "usage_unasked",
            "no_usage",
            "azure_first_chunk",
            "comments",
            "carriage_returns",
            "every_byte",
            "inside_characters",
            "one_write",
        ],
    )
    def test_the_text_arrives_whole_and_no_usage_chunk_that_nobody_asked_for(self, client, provider, behaviour):
        provider.next(behaviour)
        chunks = list(ask(client, stream=True))
        assert said(chunks) == SAID
        assert not any(chunk.usage and not chunk.choices for chunk in chunks)
        assert chunks[-1].choices[0].finish_reason == "stop"

    @pytest.mark.parametrize("behaviour", ["documented", "usage_on_finish", "azure_first_chunk", "every_byte"])
    def test_usage_is_counted_though_the_client_did_not_ask(self, client, provider, gateway, behaviour):
        provider.next(behaviour)
        assert said(ask(client, stream=True, extra_headers={"x-request-id": f"count-{behaviour}"})) == SAID
        assert provider.calls[-1].request.json()["stream_options"]["include_usage"] is True
        row = row_of(gateway, f"count-{behaviour}")
        assert row["outputTokens"] == len(TEXT)

    @pytest.mark.parametrize("behaviour", ["refuses_stream_options", "refuses_stream_options_422"])
    def test_a_provider_that_refuses_stream_options_is_asked_once_without_and_remembered(
        self, make_gateway, config_for, provider, behaviour
    ):
        provider.when(behaviour, model="fake-model")
        gateway = make_gateway(config_for(provider))
        with openai.OpenAI(base_url=gateway.base_url, api_key=gateway.token, max_retries=0) as client:
            assert [said(ask(client, stream=True)) for _ in range(2)] == [SAID, SAID]
        asked = ["stream_options" in exchange.request.json() for exchange in provider.calls]
        assert asked == [True, False, False]

    @pytest.mark.parametrize(
        "behaviour",
        [
            pytest.param(Behaviour(reasoning=("Let", " me", " think")), id="reasoning"),
            pytest.param(Behaviour(refusal="I can't help with that."), id="refusal"),
        ],
    )
    def test_reasoning_and_refusals_come_through(self, client, provider, behaviour):
        provider.next(behaviour)
        deltas = [choice.delta for chunk in ask(client, stream=True) for choice in chunk.choices]
        assert "".join(delta.refusal or "" for delta in deltas) == (behaviour.refusal or "")
        thought = "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas)
        assert thought == "".join(behaviour.reasoning)

    def test_slow_chunks_arrive_one_by_one(self, client, provider):
        provider.next(replace(BEHAVIOURS["documented"], pace=0.1))
        arrived = [time.monotonic() for _ in ask(client, stream=True)]
        assert arrived[-1] - arrived[0] > 0.7

    def test_a_ten_megabyte_answer_and_request_pass(self, client, provider):
        provider.next("huge")
        content = [{"role": "user", "content": "x" * 10_000_000}]
        assert len(ask(client, messages=content).choices[0].message.content) == 10_485_760
        assert len(provider.calls[-1].request.body) > 10_000_000


class TestTime:
    def test_a_provider_that_says_nothing_is_a_gateway_time_out(self, make_gateway, config_for, provider):
        gateway = make_gateway(config_for(provider, server={"requestTimeoutSeconds": 1}))
        provider.when("silent", model="fake-model")
        client = openai.OpenAI(base_url=gateway.base_url, api_key=gateway.token, max_retries=0, timeout=20)
        with client, pytest.raises(openai.InternalServerError) as raised:
            ask(client)
        assert (raised.value.status_code, raised.value.code) == (504, "upstream_timeout")

    def test_a_stream_that_thinks_long_shows_its_head_after_two_seconds(self, client, provider):
        provider.next(Behaviour(text=("late",), pace=3.0))
        asked = time.monotonic()
        with ask(client, stream=True) as stream:
            assert 1.5 < time.monotonic() - asked < 2.9
            assert "late" in (said([chunk]) for chunk in stream)

    def test_a_client_that_reads_slowly_slows_the_provider(self, client, provider):
        provider.next("torrent")
        with ask(client, stream=True) as stream:
            next(iter(stream))
            exchange = provider.calls[-1]
            held = -1
            while held != exchange.bytes_sent:
                held = exchange.bytes_sent
                time.sleep(0.5)
            assert held < 24 * 1024 * 1024, "socket buffers, and not the memory of the gateway"

    def test_a_provider_that_restarts_between_two_calls_is_not_noticed(self, client, provider):
        ask(client)
        provider.stop()
        provider.start()
        assert ask(client).choices[0].message.content == SAID
        provider.stop()
        with pytest.raises(openai.InternalServerError) as raised:
            ask(client)
        assert (raised.value.status_code, raised.value.code) == (502, "upstream_unreachable")
        provider.start()
        assert said(ask(client, stream=True)) == SAID


class TestWhatTheProviderSees:
    def test_the_key_is_the_providers_and_nothing_of_the_clients_travels(self, client, provider, gateway, provider_key):
        ask(client, extra_headers={"x-api-key": gateway.token, "x-goog-api-key": gateway.token, "cookie": "a=b"})
        seen = provider.calls[-1].request
        assert seen.key == provider_key
        assert gateway.token not in repr(seen)
        assert not {"x-api-key", "x-goog-api-key", "cookie", "x-forwarded-for"} & set(seen.fields)
        assert seen.fields["accept-encoding"] == "identity"
        assert seen.fields["host"] == f"127.0.0.1:{provider.port}"

    def test_the_body_travels_whole_with_the_providers_model_name(self, client, provider):
        odd = {"made_up": {"deep": [1, 2.5, None, "naïve 🦙"]}, "seed": 12345678901234567890}
        ask(client, temperature=0.5, extra_body=odd)
        seen = provider.calls[-1].request.json()
        assert seen == {"model": "fake-model", "messages": HELLO, "temperature": 0.5} | odd

    def test_embeddings_with_a_null_encoding_are_accepted(self, gateway, provider):
        body = {"model": "fake/fake-embedding", "input": "a", "encoding_format": None}
        assert gateway.request("POST", "/v1/embeddings", body=body).status == 200
        assert provider.calls[-1].request.json()["model"] == "fake-embedding"


class TestWhatTheClientSees:
    def test_the_gateways_headers_say_who_answered(self, client):
        raw = client.chat.completions.with_raw_response.create(
            model=MODEL, messages=HELLO, extra_headers={"x-request-id": "mine-42"}
        )
        assert raw.parse()._request_id == "mine-42"
        assert raw.headers["x-gateway-call-id"]
        assert (raw.headers["x-gateway-provider"], raw.headers["x-gateway-model"]) == ("fake", "fake-model")
        assert (raw.headers["x-gateway-profile"], raw.headers["x-gateway-attempts"]) == ("config:fake", "1")

    def test_a_bare_model_name_is_enough(self, client):
        assert ask(client, model="fake-model").choices

    def test_the_token_is_taken_from_the_other_vendors_headers_too(self, gateway):
        for name in ("x-api-key", "x-goog-api-key"):
            assert httpx.get(f"{gateway.base_url}/models", headers={name: gateway.token}).status_code == 200

    def test_a_conversation_of_many_calls_stays_on_one_connection(self, client, provider):
        for _ in range(5):
            ask(client)
        assert len({exchange.request.connection for exchange in provider.calls}) == 1

    def test_a_base_url_with_a_wrong_path_gets_an_error_of_the_same_shape(self, gateway):
        lost = openai.OpenAI(base_url=f"{gateway.url}/v2", api_key=gateway.token, max_retries=0)
        with lost, pytest.raises(openai.NotFoundError) as raised:
            ask(lost)
        assert raised.value.code == "not_found"


def test_errors_of_the_provider_are_scrubbed_of_its_key(client, provider, provider_key):
    provider.next(Behaviour(status=400, body=error_body(f"your key {provider_key} is fine, your prompt is not")))
    with pytest.raises(openai.BadRequestError, match="your prompt is not") as raised:
        ask(client)
    assert provider_key not in raised.value.response.text
