"""The demo provider behaves like a provider, says that it is none, and never surprises."""

from __future__ import annotations

import base64
import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.errors import InternalError
from open_llm_auth.providers.demo import DEMO, answer
from open_llm_auth.providers.spec import Sending
from open_llm_auth.values import Credential, Provider
from open_llm_auth.wire import sse
from open_llm_auth.wire.openai_chat import StreamRelay

TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"enum": ["C", "F"]}, "days": {"type": "integer"}},
        },
    },
}
OTHER = {"type": "function", "function": {"name": "other"}}


def ask(text="hello there", **fields):
    messages = fields.pop("messages", [{"role": "user", "content": text}])
    return json.dumps({"model": "echo", "messages": messages, **fields}).encode()


def plain(text="hello there", **fields):
    reply = answer("chat", ask(text, **fields), False)
    return reply.status, json.loads(reply.pieces[0][1])


def message(text="hello there", **fields):
    status, body = plain(text, **fields)
    assert status == 200
    return body["choices"][0]["message"]


def streamed(text="hello there", **fields):
    reply = answer("chat", ask(text, stream=True, **fields), True)
    assert (reply.status, dict(reply.headers)[b"content-type"]) == (200, b"text/event-stream")
    return [json.loads(sse.data_of(piece)) for _, piece in reply.pieces[:-1]]


def test_it_echoes_and_says_what_it_is():
    status, body = plain()
    assert status == 200
    assert body["choices"][0]["message"]["content"].startswith("Demo provider:")
    assert body["choices"][0]["message"]["content"].endswith("hello there")
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["usage"]["prompt_tokens"] == 2
    assert body["usage"]["total_tokens"] == 2 + len(body["choices"][0]["message"]["content"].split())


def test_the_same_request_gives_the_same_bytes():
    assert answer("chat", ask(), True) == answer("chat", ask(), True)


def test_a_stream_says_word_by_word_what_the_plain_answer_says():
    chunks = streamed("one  two\nthree ")
    words = [chunk["choices"][0]["delta"].get("content", "") for chunk in chunks]
    assert "".join(words) == message("one  two\nthree ")["content"]
    assert len(words) > 5
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    pieces = answer("chat", ask(stream=True), True).pieces
    assert pieces[-1][1] == sse.DONE
    assert 0 < sum(delay for delay, _ in pieces) < 2


def test_a_stream_counts_only_when_asked():
    assert not any("usage" in chunk for chunk in streamed())
    last = streamed(stream_options={"include_usage": True})[-1]
    assert last["choices"] == []
    assert last["usage"]["prompt_tokens"] == 2


@pytest.mark.parametrize("fields", [{}, {"tools": [TOOL], "tool_choice": "required"}])
def test_a_stream_is_whole_for_the_relay(fields):
    relay = StreamRelay(hide_usage=False)
    for _, piece in answer("chat", ask(stream=True, **fields), True).pieces:
        relay.feed(piece)
    relay.end()
    assert relay.committed
    assert relay.done


@pytest.mark.parametrize(
    ("text", "fields", "name"),
    [
        ("hi", {"tool_choice": "required"}, "get_weather"),
        ("hi", {"tool_choice": {"type": "function", "function": {"name": "other"}}}, "other"),
        ("/tool", {}, "get_weather"),
        ("/tool other", {}, "other"),
        ("/tool unknown", {}, "get_weather"),
        ("  /tool other now", {"tool_choice": "auto"}, "other"),
    ],
)
def test_it_calls_a_tool_when_told_to(text, fields, name):
    call = message(text, tools=[TOOL, OTHER], **fields)["tool_calls"][0]
    assert call["function"]["name"] == name
    arguments = json.loads(call["function"]["arguments"])
    assert arguments == ({"city": "demo", "unit": "C", "days": 1} if name == "get_weather" else {})
    chunks = streamed(text, tools=[TOOL, OTHER], **fields)
    parts = [part for chunk in chunks for part in chunk["choices"][0]["delta"].get("tool_calls", [])]
    assert parts[0]["function"]["name"] == name
    assert json.loads("".join(part["function"]["arguments"] for part in parts)) == arguments
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    ("text", "fields"),
    [("/tool", {}), ("/tool", {"tools": [TOOL], "tool_choice": "none"}), ("/toolbox", {"tools": [TOOL]}),
     ("hi", {"tools": [TOOL], "tool_choice": "auto"})],
)  # fmt: skip
def test_it_calls_no_tool_otherwise(text, fields):
    assert "tool_calls" not in message(text, **fields)


def test_a_tools_result_is_answered_with_text():
    said = message(messages=[{"role": "user", "content": "/tool"}, {"role": "tool", "content": "sunny"}], tools=[TOOL])
    assert said["content"].endswith("the tool answered: sunny")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503, 529])
def test_it_fails_with_the_status_it_is_told(status, stream):
    reply = answer("chat", ask(f"/fail {status}"), stream)
    assert reply.status == status
    assert (b"retry-after" in dict(reply.headers)) is (status in (429, 503, 529))
    fault = DEMO.read_error("demo", reply.status, reply.headers, reply.pieces[0][1], str)
    assert "Demo provider" in fault.error.message


@pytest.mark.parametrize("text", ["/fail", "/fail 200", "/fail 999"])
def test_a_failure_without_a_failing_status_is_a_500(text):
    assert plain(text)[0] == 500


def test_max_tokens_counts_words():
    _status, body = plain(max_tokens=3)
    assert body["choices"][0]["finish_reason"] == "length"
    assert len(body["choices"][0]["message"]["content"].split()) == 3


def test_a_schema_is_answered_with_a_sample_of_it():
    schema = {"type": "object", "properties": {"x": {"type": "integer"}, "y": {"anyOf": [{"type": "null"}]}}}
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    assert json.loads(message(response_format=form)["content"]) == {"x": 1, "y": None}
    assert json.loads(message(response_format={"type": "json_object"})["content"]) == {"demo": True}


def test_parts_are_echoed_as_text():
    parts = [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": "data:…"}}]
    assert message(parts)["content"].endswith("look [image_url]")


def test_a_long_message_is_not_echoed_whole():
    assert len(message("x" * 100_000)["content"]) < 3_000


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        (b"{", 400, None),
        (b'{"model": "echo"}', 400, "messages"),
        (b'{"model": "echo", "messages": [1]}', 400, "messages"),
        (ask(tool_choice="required"), 400, "tool_choice"),
        (ask(tools=[TOOL], tool_choice={"type": "function", "function": {"name": "no"}}), 400, "tool_choice"),
        (ask(model="gpt-9"), 404, None),
    ],
)
def test_a_bad_request_gets_a_providers_error(body, status, param):
    reply = answer("chat", body, False)
    error = json.loads(reply.pieces[0][1])["error"]
    assert (reply.status, error["param"]) == (status, param)
    assert error["message"]


def embedded(value, **fields):
    reply = answer("embeddings", json.dumps({"model": "echo", "input": value, **fields}).encode(), False)
    assert reply.status == 200
    return json.loads(reply.pieces[0][1])


def test_equal_texts_have_equal_unit_vectors():
    body = embedded(["a", "b", "a"])
    first, second, third = (item["embedding"] for item in body["data"])
    assert first == third != second
    assert sum(number * number for number in first) == pytest.approx(1)
    assert body["usage"] == {"prompt_tokens": 3, "total_tokens": 3}


def test_base64_says_the_same_as_floats():
    packed = embedded("a", encoding_format="base64")["data"][0]["embedding"]
    assert list(struct.unpack("<8f", base64.b64decode(packed))) == embedded("a")["data"][0]["embedding"]


@pytest.mark.parametrize(("value", "rows"), [("a", 1), ([1, 2, 3], 1), ([[1], [2]], 2), (["a", "b"], 2)])
def test_every_form_of_input_is_embedded(value, rows):
    assert len(embedded(value)["data"]) == rows


@pytest.mark.parametrize("body", [b"{}", b'{"input": [{}], "model": "echo"}', b'{"input": [null], "model": "echo"}'])
def test_a_bad_embeddings_request_is_refused(body):
    assert answer("embeddings", body, False).status == 400


def test_it_never_sends_anything():
    with pytest.raises(InternalError):
        DEMO.prepare(
            Provider("demo", "demo", "api-key"),
            Credential("none:demo", "demo", "none", "none"),
            Sending("chat", "echo", False, b""),
        )


def test_it_speaks_chat_completions_and_says_what_its_failures_mean():
    failed = answer("chat", ask("/fail 401"), False)
    fault = DEMO.read_error("demo", failed.status, failed.headers, failed.pieces[0][1], str)
    assert (DEMO.dialect, fault.kind) == ("openai-chat", "auth")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["required", "echo"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["role", "content", "type", "function", "name", "parameters", "properties", "enum", "const", "json_schema",
             "schema", "text", "anyOf"]
        ),
        inner,
    ),
    max_leaves=12,
)  # fmt: skip
FIELDS = ["messages", "tools", "tool_choice", "response_format", "max_tokens", "stream_options", "input"]


@given(st.dictionaries(st.sampled_from(FIELDS), JSON), st.booleans(), st.sampled_from(["chat", "embeddings"]))
def test_no_request_breaks_it(fields, stream, operation):
    body = json.dumps({"model": "echo", "messages": [{"role": "user", "content": "/tool"}], **fields}).encode()
    assert answer(operation, body, stream).status in {200, 400}


@given(JSON, JSON)
def test_no_tool_breaks_it(parameters, choice):
    tools = [{"type": "function", "function": {"name": "f", "parameters": parameters}}]
    assert answer("chat", ask("/tool", tools=tools, tool_choice=choice), False).status in {200, 400}


@given(st.binary(), st.booleans(), st.sampled_from(["chat", "embeddings"]))
def test_no_bytes_break_it(body, stream, operation):
    assert answer(operation, body, stream).status == 400
