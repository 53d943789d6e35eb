"""ChatGPT sign-ins: what is said to their backend and in whose name, and when a spent plan may be asked again."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import msgspec
import pytest

from open_llm_auth import __version__
from open_llm_auth.errors import InvalidRequest, NotConfigured
from open_llm_auth.providers.openai_codex import OPENAI_CODEX, adjust, prepare
from open_llm_auth.providers.spec import Adjusting, Sending
from open_llm_auth.values import Credential, Endpoint, Provider, Secret

ADDRESS = Endpoint("https", "chatgpt.com", 443, "/backend-api")
PROVIDER = Provider("openai-codex", "openai-codex-responses", "oauth", endpoint=ADDRESS)
AUTH = "https://api.openai.com/auth"


def token(**claims):
    """A token of the form that sign-ins have; its signature is not ours to check."""
    parts = [{"alg": "RS256"}, {AUTH: claims, "exp": 1}]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, "c2ln"])


def credential(text="opaque", account=None):
    return Credential("openai-codex:me", "openai-codex", "profile", "oauth", Secret(text), account_id=account)


def sent(who=None, **sending):
    fields = {"operation": "chat", "model": "gpt-5.5", "stream": True, "body": b"{}", **sending}
    return prepare(PROVIDER, who or credential(), Sending(**fields))


def adjusted(fields, *, raw=True):
    given = {name: msgspec.Raw(json.dumps(value).encode()) for name, value in fields.items()} if raw else fields
    adjusting = Adjusting(PROVIDER, "gpt-5.5", stream=False, translated=not raw)
    return json.loads(msgspec.json.encode(adjust(given, adjusting)))


# ---------------------------------------------------------------------------------------------- requests


def test_a_call_goes_to_the_backend_in_our_own_name():
    outbound = sent(credential(account="acc-1"), session="conv-1")
    assert (str(outbound.endpoint), outbound.target) == (
        "https://chatgpt.com/backend-api",
        "/backend-api/codex/responses",
    )
    assert dict(outbound.headers) == {
        b"content-type": b"application/json",
        b"accept": b"text/event-stream",
        b"authorization": b"Bearer opaque",
        b"chatgpt-account-id": b"acc-1",
        b"originator": b"open_llm_auth",
        b"user-agent": f"open-llm-auth/{__version__}".encode(),
        b"session_id": b"conv-1",
    }


def test_what_codex_says_about_itself_goes_along_where_it_is_the_client():
    headers = dict(sent(headers=((b"originator", b"codex_exec"), (b"user-agent", b"codex_exec/1"))).headers)
    assert (headers[b"originator"], headers[b"user-agent"]) == (b"codex_exec", b"codex_exec/1")


def test_the_account_is_read_from_the_token_where_the_profile_names_none():
    headers = dict(sent(credential(token(chatgpt_account_id="acc-2", chatgpt_account_is_fedramp=True))).headers)
    assert (headers[b"chatgpt-account-id"], headers[b"x-openai-fedramp"]) == (b"acc-2", b"true")
    stated = dict(sent(credential(token(chatgpt_account_id="acc-2"), "acc-1")).headers)
    assert stated[b"chatgpt-account-id"] == b"acc-1"
    assert b"x-openai-fedramp" not in stated


@pytest.mark.parametrize(
    "text",
    [
        "opaque",
        "a.b.c",
        "a..c",
        "a.e30.c",
        "a.bnVsbA.c",
        token(),
        token(chatgpt_account_id=3),
        token(chatgpt_account_id="a\r\nb: c"),
    ],
)
def test_a_token_that_names_no_account_is_sent_without_one(text):
    assert b"chatgpt-account-id" not in dict(sent(credential(text)).headers)


@pytest.mark.parametrize("session", ["", "two words", "line\nbreak", "ü", "x" * 300])
def test_a_session_that_can_not_stand_in_a_header_is_left_out(session):
    assert b"session_id" not in dict(sent(session=session).headers)


@pytest.mark.parametrize("operation", ["embeddings", "count_tokens"])
def test_a_sign_in_answers_calls_of_models_only(operation):
    with pytest.raises(InvalidRequest) as caught:
        sent(operation=operation)
    assert caught.value.param == "model"


def test_without_an_address_nothing_is_sent():
    with pytest.raises(NotConfigured):
        prepare(replace(PROVIDER, endpoint=None), credential(), Sending("chat", "m", True, b"{}"))


def test_it_only_streams_and_has_no_list_of_models():
    assert OPENAI_CODEX.stream_only
    assert OPENAI_CODEX.prepare_models is None


# ---------------------------------------------------------------------------------------------- bodies


@pytest.mark.parametrize("raw", [True, False])
def test_a_body_is_what_the_backend_takes(raw):
    body = adjusted({"model": "m", "input": "hi", "stream": False, "store": True}, raw=raw)
    assert body == {
        "model": "m",
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
        "stream": True,
        "store": False,
        "instructions": "",
        "include": ["reasoning.encrypted_content"],
    }


def test_what_the_backend_knows_stays():
    kept = {
        "instructions": "Be terse.",
        "tools": [{"type": "function", "name": "f"}],
        "tool_choice": "auto",
        "parallel_tool_calls": False,
        "prompt_cache_key": "k",
        "reasoning": {"effort": "low"},
        "text": {"verbosity": "low"},
        "client_metadata": {"a": "b"},
        "include": ["reasoning.encrypted_content", "x"],
    }
    body = adjusted({"model": "m", "input": [], **kept})
    assert {name: body[name] for name in kept} == kept


@pytest.mark.parametrize(
    "name",
    ["max_output_tokens", "max_tokens", "max_completion_tokens", "temperature", "top_p", "metadata",
     "prompt_cache_retention", "safety_identifier", "stream_options", "user", "background"],
)  # fmt: skip
def test_what_the_backend_refuses_is_left_out(name):
    assert name not in adjusted({"model": "m", "input": [], name: "x"})


@pytest.mark.parametrize("name", ["previous_response_id", "conversation", "prompt"])
def test_what_would_mean_another_thing_without_its_field_is_refused(name):
    with pytest.raises(InvalidRequest) as caught:
        adjusted({"model": "m", "input": [], name: "resp_1"})
    assert caught.value.param == name
    assert name not in adjusted({"model": "m", "input": [], name: None})


@pytest.mark.parametrize("raw", [True, False])
def test_system_items_become_those_of_a_developer_and_others_stay_as_they_are(raw):
    items = [
        {"role": "system", "content": "one"},
        {"type": "message", "role": "user", "content": 'the "system" said'},
        {"type": "reasoning", "summary": []},
    ]
    body = adjusted({"model": "m", "input": items}, raw=raw)
    assert body["input"] == [{"role": "developer", "content": "one"}, *items[1:]]


def test_input_that_shows_its_faults_only_inside_is_refused():
    broken = {"input": msgspec.Raw(b'"\\ud800"')}
    with pytest.raises(InvalidRequest) as caught:
        adjust(broken, Adjusting(PROVIDER, "m", stream=True, translated=False))
    assert caught.value.param == "input"


@pytest.mark.parametrize("include", [3, [1], "x", None])
def test_an_include_that_makes_no_sense_is_replaced(include):
    assert adjusted({"model": "m", "input": [], "include": include})["include"] == ["reasoning.encrypted_content"]


# ---------------------------------------------------------------------------------------------- errors

DATE = (b"date", b"Mon, 23 Nov 2026 12:00:00 GMT")
#: the same moment, in seconds since the epoch
NOON = 1795435200


def fault(status, body, *headers):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return OPENAI_CODEX.read_error("openai-codex", status, headers, data, lambda text: text)


def spent(**more):
    return {
        "error": {
            "type": "usage_limit_reached",
            "message": "The usage limit has been reached",
            "plan_type": "plus",
            **more,
        }
    }


@pytest.mark.parametrize(
    ("body", "headers", "wait"),
    [
        (spent(resets_in_seconds=90), (), 90.0),
        (spent(resets_at=NOON + 120), (DATE,), 120.0),
        (spent(resets_at=NOON - 5), (DATE,), 0.0),
        (spent(resets_at=NOON + 120), (), None),
        (spent(resets_at="soon"), (DATE,), None),
        (spent(resets_in_seconds=90), ((b"retry-after", b"5"),), 5.0),
        (
            spent(),
            (
                (b"x-codex-primary-used-percent", b"100"),
                (b"x-codex-primary-reset-after-seconds", b"300"),
                (b"x-codex-secondary-used-percent", b"42.5"),
                (b"x-codex-secondary-reset-after-seconds", b"9000"),
            ),
            300.0,
        ),
        (spent(), ((b"x-codex-primary-used-percent", b"much"),), None),
        (b"not json", (), None),
    ],
)
def test_a_spent_plan_says_when_it_is_renewed(body, headers, wait):
    found = fault(429, body, *headers)
    assert (found.kind, found.retry_after) == ("rate_limit", wait)


@pytest.mark.parametrize(
    ("headers", "wide"),
    [((), True), (((b"x-codex-active-limit", b"codex"),), True), (((b"x-codex-active-limit", b"codex_spark"),), False)],
)
def test_a_spent_plan_is_the_accounts_and_a_limit_of_one_model_is_that_models(headers, wide):
    assert fault(429, spent(), *headers).account_wide is wide
    assert not fault(429, {"error": {"type": "rate_limit_exceeded", "message": "slow"}}, *headers).account_wide


def test_the_limits_of_the_plan_are_carried_on():
    carried = dict(
        fault(429, spent(), (b"x-codex-primary-used-percent", b"100"), (b"set-cookie", b"a=b")).error.headers
    )
    assert carried == {"x-codex-primary-used-percent": "100"}


def test_a_page_that_wants_a_browser_is_no_fault_of_the_credential():
    page = b"<html>Just a moment...</html>"
    assert fault(403, page, (b"content-type", b"text/html"), (b"cf-mitigated", b"challenge")).kind == "denied"


def test_a_detail_is_an_error_too():
    found = fault(400, {"detail": "Unsupported service_tier: flex"})
    assert (found.kind, found.error.message) == ("rejected", "Unsupported service_tier: flex")
