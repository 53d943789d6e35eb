"""Chat completion requests keep their bytes: only the model is another, and what the gateway adds."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.errors import InvalidRequest
from open_llm_auth.wire.openai_chat import asking_usage, read_request, rewrite

encode = msgspec.json.encode
HELLO = [{"role": "user", "content": "hi"}]


def encoded(**fields):
    return json.dumps({"model": "m", "messages": HELLO, **fields}).encode()


#: What real clients sent (python and node SDKs, llm, aider, langchain, open-webui), in their order.
REAL_REQUESTS = [
    {"messages": HELLO, "model": "fake-model", "max_completion_tokens": 16},
    {"model": "fake-model", "stream": True, "stream_options": {"include_usage": True}, "messages": HELLO},
    {"messages": HELLO, "model": "fake-model", "temperature": 0, "stream": False},
    {"model": "m", "messages": HELLO, "response_format": {"type": "json_schema", "json_schema": {"name": "a"}}},
    {"messages": [*HELLO, {"role": "assistant", "content": None, "tool_calls": []}], "tools": [], "x-unknown": [1]},
]


@pytest.mark.parametrize("fields", REAL_REQUESTS)
def test_a_request_goes_on_with_only_its_model_replaced(fields):
    request = read_request(json.dumps(fields).encode())
    sent = json.loads(encode(rewrite(request.envelope, "provider's own", request.stream)))
    assert sent == {**fields, "model": "provider's own"}
    if "model" in fields:
        assert list(sent) == list(fields)


@pytest.mark.parametrize(
    ("fields", "stream", "wants_usage"),
    [
        ({}, False, False),
        ({"stream": None, "stream_options": None}, False, False),
        ({"stream": True}, True, False),
        ({"stream": True, "stream_options": {}}, True, False),
        ({"stream": True, "stream_options": {"include_usage": None}}, True, False),
        ({"stream": True, "stream_options": {"include_usage": False, "x": 1}}, True, False),
        ({"stream": True, "stream_options": {"include_usage": True}}, True, True),
    ],
)
def test_what_the_client_wants_is_read(fields, stream, wants_usage):
    request = read_request(encoded(**fields))
    assert (request.model, request.stream, request.wants_usage) == ("m", stream, wants_usage)


@pytest.mark.parametrize(("n", "choices"), [(1, 1), (3, 3), (None, 1), (0, 1), (-2, 1), (1.5, 1), ("2", 1), (10**9, 1)])
def test_the_number_of_choices_is_read_and_left_to_the_provider_to_judge(n, choices):
    assert read_request(encoded(n=n)).choices == choices


@pytest.mark.parametrize("model", [{}, {"model": None}])
def test_a_request_may_name_no_model(model):
    assert read_request(json.dumps({"messages": HELLO, **model}).encode()).model is None


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{}", "messages"),
        (b'{"messages": null}', "messages"),
        (b'{"messages": "hi"}', "messages"),
        (b'{"messages": {"role": "user"}}', "messages"),
        (b'{"messages": 3}', "messages"),
        (b'{"messages": []}', "messages"),
        (b'{"messages": [' + b" " * 500 + b"]}", "messages"),
        (encoded(model=7), "model"),
        (encoded(model=""), "model"),
        (encoded(stream="yes"), "stream"),
        (encoded(stream=1), "stream"),
        (encoded(stream_options=[]), "stream_options"),
        (encoded(stream_options="x"), "stream_options"),
        (encoded(stream_options={"include_usage": "yes"}), "stream_options.include_usage"),
    ],
)
def test_a_wrong_field_is_named_with_its_repair(body, param):
    with pytest.raises(InvalidRequest) as caught:
        read_request(body)
    assert caught.value.param == param
    assert f"'{param}'" in caught.value.message


def test_a_list_after_much_white_space_is_a_list():
    assert read_request(b'{"messages": [' + b" " * 500 + b'{"role": "user"}]}').model is None


@pytest.mark.parametrize(
    ("asked", "sent"), [({}, True), ({"stream": False}, True), ({"stream": True}, False), ({"stream": None}, True)]
)
def test_a_stream_is_asked_for_where_the_provider_has_nothing_else_and_the_other_way_round(asked, sent):
    envelope = read_request(encoded(**asked)).envelope
    assert json.loads(encode(rewrite(envelope, "m", sent)))["stream"] is sent


def test_whether_a_stream_is_wanted_stays_as_the_client_said_it_where_nothing_else_is_asked():
    for asked in ({}, {"stream": None}, {"stream": False}):
        sent = json.loads(encode(rewrite(read_request(encoded(**asked)).envelope, "m", False)))
        assert {name: sent[name] for name in sent if name == "stream"} == asked


def test_usage_is_asked_for_beside_what_was_there_and_the_input_stays_as_it_was():
    request = read_request(encoded(stream=True, stream_options={"x": 1, "include_usage": False}))
    before = {name: bytes(raw) for name, raw in request.envelope.items()}
    assert json.loads(bytes(asking_usage(request.envelope["stream_options"]))) == {"x": 1, "include_usage": True}
    assert {name: bytes(raw) for name, raw in request.envelope.items()} == before


@pytest.mark.parametrize("given_options", [None, {}, {"x": 1}])
def test_usage_is_asked_for_in_fields_that_the_gateway_wrote_too(given_options):
    assert json.loads(bytes(asking_usage(given_options))) == {**(given_options or {}), "include_usage": True}


@pytest.mark.parametrize("options", [{}, {"stream_options": None}])
def test_usage_is_asked_for_where_nothing_was(options):
    request = read_request(encoded(stream=True, **options))
    assert json.loads(bytes(asking_usage(request.envelope.get("stream_options")))) == {"include_usage": True}


def test_what_was_judged_is_what_is_sent_when_a_name_comes_twice():
    request = read_request(b'{"model":"a","messages":[1],"model":"b"}')
    assert request.model == "b"
    assert encode(rewrite(request.envelope, "b", False)).count(b'"model"') == 1


def test_numbers_and_escapes_below_the_top_level_are_not_rewritten():
    body = b'{"messages":[{"content":"\\u00e9\\/"}],"model":"m","seed":12345678901234567890123,"top_p":1.10}'
    assert encode(rewrite(read_request(body).envelope, "m", False)) == body


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
FIELDS = st.sampled_from(["model", "messages", "stream", "stream_options", "n", "usage", "choices", "error", "x"])


@given(st.binary() | st.dictionaries(FIELDS, JSON).map(lambda value: json.dumps(value).encode()))
def test_a_request_is_read_or_refused_and_what_is_read_can_be_written(body):
    try:
        request = read_request(body)
    except InvalidRequest:
        return
    for stream in (True, False):
        assert json.loads(encode(rewrite(request.envelope, "x", stream)))["model"] == "x"
    assert json.loads(bytes(asking_usage(request.envelope.get("stream_options"))))["include_usage"] is True
