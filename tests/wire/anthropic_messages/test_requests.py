"""The hot path: what is refused at once, and what goes on to a provider of the same dialect."""

import json
from pathlib import Path

import msgspec
import pytest

from open_llm_auth.errors import InvalidRequest
from open_llm_auth.wire.anthropic_messages import read_count_request, read_request, rewrite
from open_llm_auth.wire.anthropic_messages.requests import given_up
from open_llm_auth.wire.events import Signature
from open_llm_auth.wire.signatures import seal, seal_call_id

SAMPLES = sorted(
    path
    for path in (Path(__file__).parents[2] / "golden" / "requests" / "anthropic-messages").glob("*.json")
    if path.stem != "thinking_moved"  # it holds a signature in an envelope, which is taken out
)
HELLO = [{"role": "user", "content": "hi"}]
FOREIGN = Signature("openai-responses", "gAAAA", "rs_1")


def body(**fields):
    return json.dumps({"model": "m", "max_tokens": 5, "messages": HELLO, **fields}).encode()


def asked(**fields):
    return read_request(body(**fields)).envelope


def sent(model="claude-sonnet-4-5", *, stream=False, **fields):
    return json.loads(msgspec.json.encode(rewrite(read_request(body(**fields)).envelope, model, stream)))


def test_a_request_is_taken_apart():
    request = read_request(body(stream=True))
    assert (request.model, request.stream, request.wants_usage, request.choices) == ("m", True, True, 1)
    assert list(request.envelope) == ["model", "max_tokens", "messages", "stream"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": None}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": "5"}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"model": 3}, "model"),
        ({"stream": "yes"}, "stream"),
    ],
)
def test_a_field_of_the_wrong_form_is_named(fields, param):
    with pytest.raises(InvalidRequest) as refused:
        read_request(body(**fields))
    assert refused.value.param == param


@pytest.mark.parametrize("name", ["messages", "max_tokens"])
def test_a_field_that_is_missing_is_named(name):
    fields = {"model": "m", "max_tokens": 5, "messages": HELLO}
    del fields[name]
    with pytest.raises(InvalidRequest, match="is missing") as refused:
        read_request(json.dumps(fields).encode())
    assert refused.value.param == name


@pytest.mark.parametrize("nonsense", [b"", b"[]", b"{", b'"x"', b"\xff{}", b'{"messages":' + b"[" * 100_000])
def test_nonsense_is_refused(nonsense):
    with pytest.raises(InvalidRequest):
        read_request(nonsense)


@pytest.mark.parametrize("blank", [b"[]", b"[ ]", b"[" + b" " * 99 + b"]", b"[\n\n]"])
def test_an_empty_list_of_messages_is_refused_however_it_is_laid_out(blank):
    with pytest.raises(InvalidRequest, match="is empty"):
        read_request(b'{"max_tokens":5,"messages":%b}' % blank)


def test_zero_tokens_only_fill_a_cache_and_are_allowed():
    assert read_request(body(max_tokens=0)).model == "m"


def test_counting_needs_no_limit():
    request = read_count_request(json.dumps({"model": "m", "messages": HELLO}).encode())
    assert request.model == "m"
    with pytest.raises(InvalidRequest, match="messages"):
        read_count_request(b'{"model":"m"}')


# ---------------------------------------------------------------------------------------------- on to a provider


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_only_the_model_changes(path):
    given = json.loads(path.read_bytes())
    fields = rewrite(read_request(path.read_bytes()).envelope, "other", stream=False)
    written = json.loads(msgspec.json.encode(fields))
    assert written == {**given, "model": "other"}
    assert list(written) == list(given)


def test_unknown_fields_and_the_billing_text_survive():
    fields = {
        "context_management": {"edits": []},
        "x": [1],
        "system": [{"type": "text", "text": "x-anthropic-billing-header: a"}],
    }
    assert sent(**fields).items() >= fields.items()


@pytest.mark.parametrize(("said", "wanted"), [({}, True), ({"stream": True}, False), ({"stream": None}, True)])
def test_the_stream_is_what_the_gateway_wants(said, wanted):
    envelope = read_request(body(**said)).envelope
    assert json.loads(msgspec.json.encode(rewrite(envelope, "m", wanted)))["stream"] is wanted


def test_a_stream_that_is_as_wanted_stays_as_it_was_said():
    assert "stream" not in sent()


THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "own"}
CALL = {"type": "tool_use", "id": "c1", "name": "t", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "c1", "content": "r"}


def history(*blocks, result=RESULT):
    return [*HELLO, {"role": "assistant", "content": list(blocks)}, {"role": "user", "content": [result]}]


@pytest.mark.parametrize(
    "foreign",
    [
        {"type": "thinking", "thinking": "hm", "signature": seal(FOREIGN)},
        {"type": "redacted_thinking", "data": seal(FOREIGN)},
        {"type": "thinking", "thinking": "hm", "signature": ""},
    ],
    ids=["sealed", "sealed without words", "unsigned"],
)
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")], ids=["compact", "spaced"])
def test_thinking_of_others_stays_behind(foreign, separators):
    given = {"model": "m", "max_tokens": 5, "messages": history(foreign, THOUGHT, CALL)}
    envelope = read_request(json.dumps(given, separators=separators).encode()).envelope
    fields = rewrite(envelope, "claude-sonnet-4-5", stream=False)
    assert json.loads(msgspec.json.encode(fields))["messages"] == history(THOUGHT, CALL)


def test_a_message_of_nothing_but_foreign_thinking_is_left_out():
    foreign = {"type": "thinking", "thinking": "hm", "signature": seal(FOREIGN)}
    messages = [*HELLO, {"role": "assistant", "content": [foreign]}, *HELLO]
    assert sent(messages=messages)["messages"] == HELLO * 2


def test_its_own_signature_in_an_envelope_is_taken_out_of_it():
    sealed = {"type": "thinking", "thinking": "hm", "signature": seal(Signature("anthropic-messages", "own"))}
    assert sent(messages=history(sealed, CALL))["messages"] == history(THOUGHT, CALL)


def test_signatures_in_the_ids_of_calls_stay_behind():
    sealed = seal_call_id("c1", Signature("google-genai", "sig"))
    messages = history({**CALL, "id": sealed}, result={**RESULT, "tool_use_id": sealed})
    assert sent(messages=messages)["messages"] == history(CALL)


@pytest.mark.parametrize(
    ("model", "thinking", "expected"),
    [
        ("claude-sonnet-4-5", {"type": "enabled", "budget_tokens": 2000}, None),
        ("glm-5.1", {"type": "enabled", "budget_tokens": 2000}, {"type": "disabled"}),
        ("claude-sonnet-4-6", {"type": "enabled", "budget_tokens": 2000}, {"type": "adaptive"}),
        ("claude-sonnet-4-6", {"type": "adaptive"}, {"type": "adaptive"}),
        ("claude-opus-4-8", {"type": "adaptive"}, {"type": "adaptive"}),
        ("claude-opus-5", {"type": "adaptive"}, {"type": "adaptive"}),
        ("claude-opus-5", None, None),
        ("claude-fable-5", {"type": "adaptive"}, {"type": "adaptive"}),
        ("claude-opus-4-8", {"type": "disabled"}, {"type": "disabled"}),
        ("claude-opus-4-8", None, None),
    ],
)
def test_a_turn_that_lost_its_thinking_goes_on_as_the_model_can(model, thinking, expected):
    foreign = {"type": "thinking", "thinking": "hm", "signature": seal(FOREIGN)}
    wanted = {} if thinking is None else {"thinking": thinking}
    assert sent(model, messages=history(foreign, CALL), **wanted).get("thinking") == expected


def test_what_goes_with_thinking_goes_with_it():
    foreign = {"type": "thinking", "thinking": "hm", "signature": ""}
    fields = {
        "thinking": {"type": "enabled", "budget_tokens": 2000},
        "output_config": {"effort": "max"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015"}]},
    }
    written = sent("claude-opus-4-5", messages=history(foreign, CALL), **fields)
    assert written["output_config"] == {"effort": "high"}
    assert written["context_management"] == {"edits": []}


@pytest.mark.parametrize(
    ("model", "names"),
    [("claude-sonnet-4-5", ("reasoning_budget",)), ("glm-5.1", ("reasoning_budget",)), ("claude-sonnet-4-6", ())],
)
def test_thinking_that_is_off_now_is_owned_up_to(model, names):
    thinking = {"type": "enabled", "budget_tokens": 2000}
    foreign = {"type": "thinking", "thinking": "hm", "signature": seal(FOREIGN)}
    envelope = asked(messages=history(foreign, CALL), thinking=thinking)
    assert given_up(envelope, rewrite(envelope, model, False)) == names
    off = asked(messages=history(foreign, CALL), thinking={"type": "disabled"})
    assert given_up(off, rewrite(off, model, False)) == ()
    plain = asked(messages=history(CALL))
    assert given_up(plain, rewrite(plain, model, False)) == ()


def test_what_claude_signed_on_bedrock_is_told_to_claude_as_it_is():
    elsewhere = {"type": "thinking", "thinking": "hm", "signature": seal(Signature("bedrock-converse", "own"))}
    own = {"type": "thinking", "thinking": "hm", "signature": "own"}
    assert sent("claude-opus-4-6", messages=history(elsewhere, CALL))["messages"] == history(own, CALL)
    assert sent("glm-5.1", messages=history(elsewhere, CALL))["messages"] == history(CALL)
    hidden = {"type": "redacted_thinking", "data": seal(Signature("bedrock-converse", "blob"))}
    assert sent("claude-opus-4-6", messages=history(elsewhere, hidden, CALL))["messages"] == history(CALL)


def test_a_turn_that_never_had_thinking_is_the_clients_own_affair():
    thinking = {"type": "enabled", "budget_tokens": 2000}
    assert sent(messages=history(CALL), thinking=thinking)["thinking"] == thinking


def test_text_about_envelopes_is_only_text():
    messages = [{"role": "user", "content": f'{seal(FOREIGN)} "signature":"" {{"signature": ""}}'}]
    assert sent(messages=messages)["messages"] == messages


@pytest.mark.parametrize(
    "messages", [["b2xsYTEA"], [{"content": [7, "b2xsYTEA"]}], [{"content": [{"type": []}, "b2xsYTEA"]}]]
)
def test_what_is_no_message_is_left_to_the_provider(messages):
    assert sent(messages=messages)["messages"] == messages
