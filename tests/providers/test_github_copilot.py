"""GitHub Copilot: where calls go, what is said beside them, and that the gateway says its own name."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth import __version__
from open_llm_auth.errors import InvalidRequest, NotConfigured
from open_llm_auth.providers.github_copilot import GITHUB_COPILOT, adjust, dialect_of, prepare, prepare_models
from open_llm_auth.providers.spec import Adjusting, Sending
from open_llm_auth.values import Credential, Endpoint, Provider, Secret
from open_llm_auth.wire import openai_chat
from open_llm_auth.wire.conversation import Conversation, Image, Text, ToolCall, ToolResult, Turn

TOKEN = "tid=abc;exp=1795428000;proxy-ep=proxy.business.githubcopilot.com;8kp=1:0123456789abcdef"
PROVIDER = Provider(
    "github-copilot",
    "github-copilot",
    "token",
    endpoint=Endpoint("https", "api.individual.githubcopilot.com", 443, "/v1"),
)
CREDENTIAL = Credential("github-copilot:default", "github-copilot", "profile", "token", Secret(TOKEN))
ASK = {"role": "user", "content": "hi"}


def with_token(text, **more):
    return replace(CREDENTIAL, secret=Secret(text), **more)


def sent(
    credential=CREDENTIAL, provider=PROVIDER, *, model="gpt-4o", operation="chat", stream=False, headers=(), **body
):
    body = body or {"messages": [ASK]}
    return prepare(provider, credential, Sending(operation, model, stream, json.dumps(body).encode(), headers))


def headers_of(**given):
    return dict(sent(**given).headers)


# ---------------------------------------------------------------------------------------------- where to


@pytest.mark.parametrize(
    ("token", "host"),
    [
        (TOKEN, "api.business.githubcopilot.com"),
        ("tid=a;proxy-ep=PROXY.Enterprise.GithubCopilot.com", "api.enterprise.githubcopilot.com"),
        ("tid=a;proxy-ep=api.githubcopilot.com", "api.githubcopilot.com"),
        ("tid=a;exp=1", "api.individual.githubcopilot.com"),
        ("gho_0123456789", "api.githubcopilot.com"),
        ("github_pat_0123456789\n", "api.githubcopilot.com"),
        # hosts that are not GitHub's
        ("tid=a;proxy-ep=proxy.evil.example", "api.individual.githubcopilot.com"),
        ("tid=a;proxy-ep=evil.example/.githubcopilot.com", "api.individual.githubcopilot.com"),
        ("tid=a;proxy-ep=githubcopilot.com.evil.example", "api.individual.githubcopilot.com"),
        ("tid=a;proxy-ep=user@proxy.githubcopilot.com", "api.individual.githubcopilot.com"),
        ("tid=a;proxy-ep=evilgithubcopilot.com", "api.individual.githubcopilot.com"),
        ("tid=a;proxy-ep=", "api.individual.githubcopilot.com"),
    ],
)
def test_a_token_says_its_host_and_only_githubs_own_are_believed(token, host):
    outbound = sent(with_token(token))
    assert (outbound.endpoint.scheme, outbound.endpoint.host, outbound.endpoint.port) == ("https", host, 443)


@pytest.mark.parametrize(
    ("host", "path", "target"),
    [
        ("api.individual.githubcopilot.com", "/v1", "/chat/completions"),
        ("api.individual.githubcopilot.com", "", "/chat/completions"),
        ("copilot-api.company.ghe.com", "/v1", "/chat/completions"),
        ("copilot.example", "/v1", "/v1/chat/completions"),
    ],
)
def test_githubs_hosts_have_no_version_in_their_paths(host, path, target):
    provider = replace(PROVIDER, endpoint=Endpoint("https", host, 443, path))
    outbound = sent(with_token("tid=a;exp=1"), provider)
    assert (outbound.endpoint.host, outbound.target) == (host, target)


@pytest.mark.parametrize("where", ["provider", "credential"])
def test_an_address_from_the_config_beats_the_tokens(where):
    own = Endpoint("https", "copilot-api.company.ghe.com", 443, "")
    provider = replace(PROVIDER, endpoint=own) if where == "provider" else PROVIDER
    credential = replace(CREDENTIAL, endpoint=own) if where == "credential" else CREDENTIAL
    assert sent(credential, provider).endpoint.host == "copilot-api.company.ghe.com"


@pytest.mark.parametrize(
    ("model", "dialect", "target"),
    [
        ("gpt-4o", "openai-chat", "/chat/completions"),
        ("gpt-5-mini", "openai-chat", "/chat/completions"),
        ("gpt-5.1", "openai-chat", "/chat/completions"),
        ("claude-sonnet-4.6", "openai-chat", "/chat/completions"),
        ("gpt-5.1-codex-max", "openai-responses", "/responses"),
        ("gpt-5-codex", "openai-responses", "/responses"),
        ("gpt-5.4", "openai-responses", "/responses"),
        ("gpt-6", "openai-responses", "/responses"),
    ],
)
def test_models_that_have_only_responses_are_asked_there(model, dialect, target):
    assert (dialect_of(model), sent(model=model).target) == (dialect, target)
    assert GITHUB_COPILOT.dialect_of is dialect_of


def test_vectors_have_an_address_whatever_the_model_is_called():
    assert sent(operation="embeddings", model="gpt-5-codex", input="x").target == "/embeddings"


def test_tokens_are_not_counted_there():
    with pytest.raises(InvalidRequest):
        sent(operation="count_tokens")


def test_a_provider_without_an_address_says_which_setting_is_missing():
    with pytest.raises(NotConfigured, match="baseUrl"):
        sent(provider=replace(PROVIDER, endpoint=None))


# ---------------------------------------------------------------------------------------------- what is said beside it


def test_the_gateway_says_its_own_name():
    name = f"open-llm-auth/{__version__}".encode()
    headers = headers_of()
    assert headers[b"user-agent"] == headers[b"editor-version"] == headers[b"editor-plugin-version"] == name
    assert headers[b"authorization"] == b"Bearer " + TOKEN.encode()
    assert b"vscode" not in repr(headers).encode().lower()
    assert b"copilot-integration-id" not in headers


def test_an_editor_is_named_only_where_one_is_demanded():
    assert not [name for name in headers_of(credential=with_token("gho_1")) if name.startswith(b"editor")]


def test_a_client_that_speaks_the_same_dialect_says_its_name_itself():
    assert headers_of(headers=((b"user-agent", b"Client/1"),))[b"user-agent"] == b"Client/1"


@pytest.mark.parametrize(
    ("body", "initiator"),
    [
        ({"messages": [ASK]}, b"user"),
        ({"messages": [ASK, {"role": "assistant", "content": "x"}]}, b"agent"),
        ({"messages": [ASK, {"role": "tool", "tool_call_id": "a", "content": "x"}]}, b"agent"),
        ({"messages": [ASK, {"role": "tool", "tool_call_id": "a", "content": "x"}, ASK]}, b"user"),
        ({"input": "hi"}, b"user"),
        ({"input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}]}, b"user"),
        ({"input": [{"type": "function_call_output", "call_id": "a", "output": "x"}]}, b"agent"),
        ({"input": []}, b"agent"),
        ({"messages": []}, b"agent"),
        ({}, b"user"),
    ],
)
def test_who_asked_is_told_by_the_last_message(body, initiator):
    outbound = prepare(PROVIDER, CREDENTIAL, Sending("chat", "gpt-4o", False, json.dumps(body).encode()))
    assert dict(outbound.headers)[b"x-initiator"] == initiator


TOLD = "<system>\nbe brief\n</system>"
RESULT = {"role": "tool", "tool_call_id": "a", "content": "x"}


@pytest.mark.parametrize(
    ("content", "initiator"),
    [
        (TOLD, b"agent"),
        ([{"type": "text", "text": TOLD}], b"agent"),
        (f"and now?\n\n{TOLD}", b"user"),
        (f"{TOLD}\n\nand now?", b"user"),
        ([{"type": "text", "text": "and now?"}, {"type": "text", "text": TOLD}], b"user"),
    ],
)
def test_an_instruction_that_the_user_tells_was_not_asked_by_a_person(content, initiator):
    assert headers_of(messages=[ASK, RESULT, {"role": "user", "content": content}])[b"x-initiator"] == initiator


def told(*turns):
    return headers_of(**openai_chat.write_request(Conversation(turns), "gpt-4o"))


def test_what_a_tool_left_in_a_users_message_was_not_asked_by_a_person():
    shot = ToolResult("a", "look", (Text("done"), Image("image/png", "AAAA")))
    before = (Turn("user", (Text("hi"),)), Turn("assistant", (ToolCall("a", "look"),)))
    alone = told(*before, Turn("user", (shot,)))
    assert (alone[b"x-initiator"], alone[b"copilot-vision-request"]) == (b"agent", b"true")
    assert told(*before, Turn("user", (shot, Text("and now?"))))[b"x-initiator"] == b"user"


@pytest.mark.parametrize(
    ("content", "has_image"),
    [
        ([{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}], True),
        ([{"type": "input_image", "image_url": "data:image/png;base64,AAAA"}], True),
        ('say "image_url"', False),
        ("hi", False),
    ],
)
def test_a_request_with_an_image_says_so(content, has_image):
    headers = headers_of(messages=[{"role": "user", "content": content}])
    assert headers.get(b"copilot-vision-request") == (b"true" if has_image else None)


@given(st.binary())
def test_no_body_breaks_it(body):
    outbound = prepare(PROVIDER, CREDENTIAL, Sending("chat", "gpt-4o", True, body))
    assert dict(outbound.headers)[b"x-initiator"] in (b"user", b"agent")
    assert outbound.body == body


def test_models_are_asked_for_at_the_tokens_host_by_the_same_name():
    outbound = prepare_models(PROVIDER, CREDENTIAL, ())
    assert (outbound.method, outbound.target) == ("GET", "/models")
    assert outbound.endpoint.host == "api.business.githubcopilot.com"
    assert dict(outbound.headers)[b"user-agent"].startswith(b"open-llm-auth/")
    assert prepare_models(replace(PROVIDER, endpoint=None), CREDENTIAL, ()) is None
    assert prepare_models(replace(PROVIDER, lists_models=False), CREDENTIAL, ()) is None


# ---------------------------------------------------------------------------------------------- bodies


def test_usage_is_asked_of_chat_completions_alone():
    chat = adjust({"messages": []}, Adjusting(PROVIDER, "gpt-4o", stream=True, translated=False))
    assert "stream_options" in chat
    responses = {"input": []}
    assert adjust(responses, Adjusting(PROVIDER, "gpt-5-codex", stream=True, translated=True)) is responses


# ---------------------------------------------------------------------------------------------- errors


def fault(status, code, *headers):
    body = json.dumps({"error": {"message": "no", "code": code}}).encode()
    return GITHUB_COPILOT.read_error("github-copilot", status, headers, body, lambda text: text)


@pytest.mark.parametrize(
    ("status", "code", "kind", "wide"),
    [
        (429, "user_global_rate_limited:pro_plus", "rate_limit", True),
        (429, "user_weekly_rate_limited", "rate_limit", True),
        (429, "user_model_rate_limited", "rate_limit", False),
        (429, "rate_limited", "rate_limit", False),
        (402, "quota_exceeded", "denied", False),
        (402, "insufficient_balance", "billing", False),
        (400, "quota_exceeded", "rejected", False),
    ],
)
def test_a_limit_is_the_accounts_the_models_or_of_what_the_plan_counts(status, code, kind, wide):
    found = fault(status, code)
    assert (found.kind, found.account_wide, found.status) == (kind, wide, status)


def test_a_plan_without_premium_requests_says_when_it_begins_anew():
    date = (b"date", b"Thu, 01 Jan 2026 00:00:00 GMT")
    quota = (b"x-quota-snapshot-premium_interactions", b"ent=300&ov=0.0&rem=0.0&rst=2026-01-02T00%3A00%3A00Z")
    assert fault(402, "quota_exceeded", date, quota).retry_after == 86400
    assert fault(402, "quota_exceeded", date, quota, (b"retry-after", b"60")).retry_after == 60
    assert fault(402, "quota_exceeded", quota).retry_after is None
