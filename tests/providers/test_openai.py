"""OpenAI-compatible providers: what is sent, and how a body that the gateway wrote is made to fit each of them."""

from __future__ import annotations

import json
from dataclasses import replace

import msgspec
import pytest

from open_llm_auth.errors import InvalidRequest, NotConfigured, SecretUnavailable
from open_llm_auth.providers.openai import OPENAI, adjust, prepare, prepare_models
from open_llm_auth.providers.spec import Adjusting, Sending
from open_llm_auth.values import Credential, Endpoint, Model, Provider, Secret, Timeouts
from open_llm_auth.wire import openai_chat
from open_llm_auth.wire.conversation import (
    Conversation,
    Image,
    Reasoning,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)
from open_llm_auth.wire.events import Signature

SECRET = "sk-canary-0123456789abcdef"
PROVIDER = Provider("my-llm", "openai-completions", "api-key", endpoint=Endpoint("https", "api.example", 443, "/v1"))
CREDENTIAL = Credential("my-llm:default", "my-llm", "profile", "api_key", Secret(SECRET))
NO_CREDENTIAL = Credential("none:my-llm", "my-llm", "none", "none")


def prepared(provider=PROVIDER, credential=CREDENTIAL, operation="chat", headers=(), stream=False):
    return prepare(provider, credential, Sending(operation, "m", stream, b"{}", headers, Timeouts(idle=7)))


# ---------------------------------------------------------------------------------------------- requests


@pytest.mark.parametrize(("operation", "path"), [("chat", "/v1/chat/completions"), ("embeddings", "/v1/embeddings")])
def test_a_call_goes_to_the_address_of_its_operation(operation, path):
    outbound = prepared(operation=operation)
    assert (outbound.provider, outbound.method, outbound.target) == ("my-llm", "POST", path)
    assert (str(outbound.endpoint), outbound.body, outbound.timeouts.idle) == ("https://api.example/v1", b"{}", 7)


def test_a_call_says_what_it_sends_what_it_takes_and_who_pays():
    assert dict(prepared().headers) == {
        b"content-type": b"application/json",
        b"accept": b"application/json",
        b"authorization": b"Bearer " + SECRET.encode(),
    }
    assert dict(prepared(stream=True).headers)[b"accept"] == b"text/event-stream"


@pytest.mark.parametrize(
    ("provider", "credential"),
    [(replace(PROVIDER, auth_header=False), CREDENTIAL), (PROVIDER, NO_CREDENTIAL)],
    ids=["authHeader false", "no credential"],
)
def test_no_credential_is_sent_where_none_is_wanted(provider, credential):
    assert b"authorization" not in dict(prepared(provider, credential).headers)


def test_a_credentials_own_address_beats_the_providers():
    own = replace(CREDENTIAL, endpoint=Endpoint("https", "other.example", 443, "/x"))
    assert prepared(credential=own).target == "/x/chat/completions"
    assert prepared(credential=own).endpoint.host == "other.example"


def test_given_headers_replace_the_gateways_own():
    headers = prepared(headers=((b"authorization", b"Key x"), (b"accept", b"text/plain"), (b"x-org", b"1"))).headers
    assert dict(headers)[b"accept"] == b"text/plain"
    assert [value for name, value in headers if name == b"authorization"] == [b"Key x"]
    assert SECRET.encode() not in dict(headers).values()


def test_of_several_headers_of_one_name_the_last_is_sent():
    """What the client sent comes first, then the provider's, then the model's."""
    given_headers = ((b"user-agent", b"Client/1"), (b"authorization", b"Key p"), (b"user-agent", b"Configured/1"),
                     (b"authorization", b"Key m"))  # fmt: skip
    headers = prepared(headers=given_headers).headers
    assert [value for name, value in headers if name == b"user-agent"] == [b"Configured/1"]
    assert [value for name, value in headers if name == b"authorization"] == [b"Key m"]


@pytest.mark.parametrize("headers", [(), ((b"x-a", b"b"),)])
def test_no_header_stands_twice_by_accident(headers):
    names = [name for name, _ in prepared(headers=headers).headers]
    assert len(names) == len(set(names))


def test_a_provider_without_an_address_says_which_setting_is_missing():
    with pytest.raises(NotConfigured, match=r"providers\.my-llm\.baseUrl"):
        prepared(replace(PROVIDER, endpoint=None))


@pytest.mark.parametrize("text", ["", " ", "a\r\nx-evil: 1", "käse", "a\x00b"])
def test_a_secret_that_can_not_stand_in_a_header_is_refused_without_being_shown(text):
    with pytest.raises(SecretUnavailable) as caught:
        prepared(credential=replace(CREDENTIAL, secret=Secret(text)))
    assert "my-llm:default" in caught.value.message
    assert not text.strip() or text not in caught.value.message


def test_a_line_ending_around_a_secret_is_dropped():
    headers = dict(prepared(credential=replace(CREDENTIAL, secret=Secret("key\n"))).headers)
    assert headers[b"authorization"] == b"Bearer key"


def test_models_are_asked_for_with_the_same_credential():
    outbound = prepare_models(PROVIDER, CREDENTIAL, ())
    assert outbound is not None
    assert (outbound.method, outbound.target, outbound.body) == ("GET", "/v1/models", b"")
    assert dict(outbound.headers)[b"authorization"] == b"Bearer " + SECRET.encode()
    assert b"content-type" not in dict(outbound.headers)


@pytest.mark.parametrize("provider", [replace(PROVIDER, lists_models=False), replace(PROVIDER, endpoint=None)])
def test_models_are_not_asked_for_where_there_is_no_list(provider):
    assert prepare_models(provider, CREDENTIAL, ()) is None


def test_what_these_providers_can_not_do_is_refused():
    with pytest.raises(InvalidRequest, match="my-llm"):
        prepared(operation="count_tokens")


# ---------------------------------------------------------------------------------------------- the last word on a body

CHAT = openai_chat.write_request(
    Conversation(
        (Turn("user", (Text("hi"),)),),
        max_tokens=100,
        temperature=0.5,
        top_p=0.9,
        logprobs=2,
        frequency_penalty=0.1,
        presence_penalty=0.2,
        verbosity="low",
        metadata={"a": "b"},
        prompt_cache_key="key",
        stop=("STOP",),
    ),
    "m",
)
OWN = replace(PROVIDER, id="openai", endpoint=Endpoint("https", "api.openai.com", 443, "/v1"))
SAMPLING = {"temperature", "top_p", "frequency_penalty", "presence_penalty", "logprobs", "top_logprobs"}


def adjusted(fields, provider=PROVIDER, model="m", **more):
    given = {"stream": False, "translated": True} | more
    return adjust(fields, Adjusting(provider, model, **given))


def with_effort(effort):
    return {**CHAT, "reasoning_effort": effort}


def test_usage_is_asked_of_a_stream_where_the_provider_can_tell_it():
    assert json.loads(bytes(adjusted({"messages": []}, stream=True)["stream_options"])) == {"include_usage": True}
    assert "stream_options" not in adjusted({"messages": []})
    assert "stream_options" not in adjusted({"messages": []}, replace(PROVIDER, stream_usage=False), stream=True)


def test_usage_is_asked_for_beside_what_the_client_said():
    fields = {"stream_options": msgspec.Raw(b'{"x":1}'), "model": "m"}
    sent = adjusted(fields, stream=True, translated=False)
    assert json.loads(bytes(sent["stream_options"])) == {"x": 1, "include_usage": True}
    assert list(sent) == list(fields)


@pytest.mark.parametrize("translated", [True, False])
def test_a_provider_that_refuses_stream_options_is_not_sent_the_clients_either(translated):
    fields = {"messages": [], "stream_options": msgspec.Raw(b'{"include_usage":true}')}
    assert "stream_options" not in adjusted(fields, stream=True, translated=translated, refuses_usage=True)


@pytest.mark.parametrize("provider", [PROVIDER, OWN])
def test_a_clients_own_body_is_left_as_it_is(provider):
    fields = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in with_effort("none").items()}
    assert adjusted(fields, provider, "gpt-5", translated=False) is fields


@pytest.mark.parametrize("host", ["api.openai.com", "eu.api.openai.com", "mine.openai.azure.com"])
def test_openai_counts_with_reasoning_in_another_field(host):
    own = replace(OWN, id="mine", endpoint=Endpoint("https", host, 443, ""))
    sent = adjusted(CHAT, own, "gpt-4o")
    assert sent["max_completion_tokens"] == 100
    assert "max_tokens" not in sent


@pytest.mark.parametrize("host", ["api.example", "notopenai.com", "api.openai.com.example"])
def test_whoever_is_not_openai_is_sent_the_usual_field(host):
    other = replace(PROVIDER, endpoint=Endpoint("https", host, 443, ""))
    assert adjusted(CHAT, other)["max_tokens"] == 100


@pytest.mark.parametrize(("asked", "sent"), [(64_000, 16_384), (100, 100)])
@pytest.mark.parametrize(("provider", "field"), [(PROVIDER, "max_tokens"), (OWN, "max_completion_tokens")])
def test_no_more_is_asked_of_a_model_than_it_is_known_to_give(provider, field, asked, sent):
    provider = replace(provider, models={"gpt-4o": Model("gpt-4o", max_tokens=16_384)})
    assert adjusted({**CHAT, "max_tokens": asked}, provider, "gpt-4o")[field] == sent
    assert adjusted({**CHAT, "max_tokens": asked}, provider, "gpt-4.1")[field] == asked


def test_what_openai_alone_knows_is_sent_to_it_alone():
    hints = {"verbosity", "prompt_cache_key"}
    assert hints <= adjusted(CHAT, OWN, "gpt-4o").keys()
    assert not (hints | {"metadata"}) & adjusted(CHAT).keys()


def test_metadata_goes_to_openai_only_with_what_is_stored():
    assert "metadata" not in adjusted(CHAT, OWN, "gpt-4o")
    assert adjusted({**CHAT, "store": True}, OWN, "gpt-4o")["metadata"] == {"a": "b"}
    assert "store" not in adjusted({**CHAT, "store": True})


@pytest.mark.parametrize("model", ["o3", "o4-mini", "gpt-5", "gpt-5-mini", "gpt-5.2", "gpt-6", "codex-mini-latest"])
def test_openais_models_that_reason_are_not_sent_what_they_refuse(model):
    sent = adjusted(with_effort("high"), OWN, model)
    assert not SAMPLING & sent.keys()
    assert (sent["reasoning_effort"], sent["stop"]) == ("high", ["STOP"])


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4.1-mini", "gpt-5-chat-latest", "chatgpt-4o-latest"])
def test_openais_models_that_do_not_reason_are_not_asked_to(model):
    sent = adjusted(with_effort("high"), OWN, model)
    assert sent.keys() >= SAMPLING
    assert "reasoning_effort" not in sent


def test_a_model_that_was_told_not_to_reason_takes_sampling_again():
    assert adjusted(with_effort("none"), OWN, "gpt-5.1").keys() >= SAMPLING
    assert not SAMPLING & adjusted(with_effort("none"), OWN, "o3").keys()


@pytest.mark.parametrize(
    ("model", "asked", "sent"),
    [
        ("o3", "none", "low"),
        ("o4-mini", "max", "high"),
        ("gpt-5", "none", "minimal"),
        ("gpt-5-mini", "xhigh", "high"),
        ("gpt-5.1", "none", "none"),
        ("gpt-5.1", "minimal", "low"),
        ("gpt-5.2", "xhigh", "xhigh"),
    ],
)
def test_an_effort_that_a_model_does_not_know_becomes_the_nearest(model, asked, sent):
    assert adjusted(with_effort(asked), OWN, model)["reasoning_effort"] == sent


@pytest.mark.parametrize(
    ("model", "asked", "sent"),
    [
        ("openai/gpt-oss-120b", "max", "high"),
        ("gpt-oss-20b", "none", None),
        ("gemini-2.5-pro", "minimal", "low"),
        ("listed", "medium", "medium"),
        ("plain", "medium", None),
        ("unheard-of", "high", None),
    ],
)
def test_elsewhere_an_effort_is_asked_of_models_known_to_reason(model, asked, sent):
    models = {"listed": Model("listed", reasoning=True), "plain": Model("plain")}
    assert adjusted(with_effort(asked), replace(PROVIDER, models=models), model).get("reasoning_effort") == sent


def test_a_router_is_told_any_effort_for_any_model():
    assert adjusted(with_effort("none"), replace(PROVIDER, id="openrouter"), "any")["reasoning_effort"] == "none"


USER, SYSTEM = Turn("user", (Text("hi"),)), Turn("system", (Text("be brief"),))
SHOWN = Turn("user", (Text("look"), Image("image/png", "AA==")))
ANSWER = Turn("assistant", (Text("ho"),))
TOLD = "<system>\nbe brief\n</system>"
CALLED = (Turn("assistant", (ToolCall("a", "f"),)), Turn("user", (ToolResult("a", "f", (Text("done"),)),)))


def messages(*turns, provider=PROVIDER):
    fields = openai_chat.write_request(Conversation(turns, (Text("You are X."),)), "m")
    return [(message["role"], message["content"]) for message in adjusted(fields, provider)["messages"]]


FIRST = ("system", "You are X.")


@pytest.mark.parametrize(
    ("turns", "sent"),
    [
        ((USER, SYSTEM), [("user", f"hi\n\n{TOLD}")]),
        ((USER, SYSTEM, SYSTEM), [("user", f"hi\n\n{TOLD}\n\n{TOLD}")]),
        ((USER, SYSTEM, USER), [("user", f"hi\n\n{TOLD}\n\nhi")]),
        ((USER, ANSWER, SYSTEM), [("user", "hi"), ("assistant", "ho"), ("user", TOLD)]),
        ((USER, ANSWER, SYSTEM, USER), [("user", "hi"), ("assistant", "ho"), ("user", f"{TOLD}\n\nhi")]),
        ((USER, *CALLED, SYSTEM), [("user", "hi"), ("assistant", None), ("tool", "done"), ("user", TOLD)]),
        ((USER, Turn("system", (Text(" "),))), [("user", "hi")]),
        ((USER, USER), [("user", "hi"), ("user", "hi")]),
    ],
    ids=range(8),
)
def test_an_instruction_amid_the_messages_is_told_by_the_user(turns, sent):
    """Claude Code ends its messages with one, and templates refuse a system message that is not the first."""
    assert messages(*turns) == [FIRST, *sent]


@pytest.mark.parametrize(("turns", "at"), [((SHOWN, SYSTEM), -1), ((USER, ANSWER, SYSTEM, SHOWN), 0)])
def test_an_instruction_beside_an_image_is_a_part_of_that_message(turns, at):
    (role, content) = messages(*turns)[-1]
    assert (role, [part["type"] for part in content].count("image_url")) == ("user", 1)
    assert content[at] == {"type": "text", "text": TOLD}


def test_openai_takes_an_instruction_wherever_it_stands():
    assert messages(USER, SYSTEM, provider=OWN)[1:] == [("user", "hi"), ("system", "be brief")]


THOUGHT = Conversation(
    (
        Turn("user", (Text("hi"),)),
        Turn(
            "assistant",
            (
                Thinking("unsigned"),
                Thinking("signed", Signature("openai-chat", "proof")),
                ToolCall("a", "f", signature=Signature("google-genai", "thought")),
            ),
        ),
    ),
    reasoning=Reasoning(effort="low"),
)


@pytest.mark.parametrize(
    ("provider", "marks"),
    [
        ("my-llm", ()),
        ("openai", ()),
        ("groq", ()),
        ("deepseek", ("unsigned",)),
        ("openrouter", ("unsigned", "proof")),
        ("google", ("thought",)),
    ],
)
def test_earlier_reasoning_goes_back_to_those_who_want_it(provider, marks):
    fields = openai_chat.write_request(THOUGHT, "m")
    sent = json.dumps(adjusted(fields, replace(PROVIDER, id=provider))["messages"])
    assert tuple(mark for mark in ("unsigned", "proof", "thought") if mark in sent) == marks
    assert '"id": "a"' in sent


def test_an_adjustment_leaves_what_it_was_given_as_it_was():
    fields = openai_chat.write_request(THOUGHT, "m")
    before = json.dumps(fields)
    adjusted(fields, OWN, "gpt-5", stream=True)
    assert json.dumps(fields) == before


def test_the_kind_speaks_chat_completions():
    assert (OPENAI.api, OPENAI.dialect, OPENAI.stream_only) == ("openai-completions", "openai-chat", False)
