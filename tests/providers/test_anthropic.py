"""Anthropic and those who speak its dialect: addresses, credentials, refusals, and the little that is made to fit."""

import json
from dataclasses import replace

import pytest

from open_llm_auth.errors import InvalidRequest, NotConfigured, SecretUnavailable, UpstreamCredentialRejected
from open_llm_auth.provider_catalog.catalog import load_catalog
from open_llm_auth.providers.anthropic import ANTHROPIC, adjust, prepare, prepare_models, read_error
from open_llm_auth.providers.spec import Adjusting, Sending
from open_llm_auth.values import Credential, Endpoint, Provider, Secret, Timeouts

KEY = "sk-ant-api03-canary"
TOKEN = "sk-ant-oat01-canary"
BASE = Endpoint("https", "api.example", 443, "")
PROVIDER = Provider("anthropic", "anthropic-messages", "api-key", endpoint=BASE)
CREDENTIAL = Credential("anthropic:default", "anthropic", "profile", "api_key", Secret(KEY))
CATALOG = load_catalog()


def sending(operation="chat", headers=(), *, stream=False):
    return Sending(operation, "m", stream, b"{}", headers, Timeouts(idle=7))


def headers(provider=PROVIDER, credential=CREDENTIAL, extra=(), *, stream=False):
    return dict(prepare(provider, credential, sending(headers=extra, stream=stream)).headers)


# ---------------------------------------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    ("path", "operation", "target"),
    [
        ("", "chat", "/v1/messages"),
        ("/v1", "chat", "/v1/messages"),
        ("/anthropic", "chat", "/anthropic/v1/messages"),
        ("/anthropic/v1", "count_tokens", "/anthropic/v1/messages/count_tokens"),
        ("", "count_tokens", "/v1/messages/count_tokens"),
        ("/v10", "chat", "/v10/v1/messages"),
    ],
)
def test_a_call_goes_to_the_address_of_its_operation(path, operation, target):
    provider = replace(PROVIDER, endpoint=replace(BASE, path=path))
    outbound = prepare(provider, CREDENTIAL, sending(operation))
    assert (outbound.method, outbound.target, outbound.body, outbound.timeouts.idle) == ("POST", target, b"{}", 7)
    assert outbound.provider == "anthropic"


@pytest.mark.parametrize(
    ("path", "target"), [("", "/v1/models"), ("/v1", "/v1/models"), ("/anthropic", "/anthropic/v1/models")]
)
def test_models_are_asked_for_beside_it(path, target):
    outbound = prepare_models(replace(PROVIDER, endpoint=replace(BASE, path=path)), CREDENTIAL, ((b"x-own", b"1"),))
    assert (outbound.method, outbound.target) == ("GET", target)
    assert (
        dict(outbound.headers).items()
        >= {
            b"x-api-key": KEY.encode(),
            b"anthropic-version": b"2023-06-01",
            b"x-own": b"1",
        }.items()
    )


def test_models_are_not_asked_for_where_there_are_none():
    assert prepare_models(replace(PROVIDER, lists_models=False), CREDENTIAL, ()) is None
    assert prepare_models(replace(PROVIDER, endpoint=None), CREDENTIAL, ()) is None


def test_an_address_derived_from_an_account_is_used():
    derived = Endpoint("https", "gateway.ai.cloudflare.com", 443, "/v1/acc/gate/anthropic")
    provider = CATALOG.providers["cloudflare-ai-gateway"]
    credential = replace(CREDENTIAL, provider=provider.id, endpoint=derived)
    outbound = prepare(provider, credential, sending())
    assert (str(outbound.endpoint), outbound.target) == (str(derived), "/v1/acc/gate/anthropic/v1/messages")
    assert dict(outbound.headers)[b"x-api-key"] == KEY.encode()


def test_a_header_of_the_config_travels_with_the_key():
    """Cloudflare's own token stands beside the key of the provider behind it."""
    sent = headers(extra=((b"cf-aig-authorization", b"Bearer cf"),))
    assert (sent[b"cf-aig-authorization"], sent[b"x-api-key"]) == (b"Bearer cf", KEY.encode())


def test_a_provider_without_an_address_is_not_configured():
    with pytest.raises(NotConfigured, match="baseUrl"):
        prepare(replace(PROVIDER, endpoint=None), CREDENTIAL, sending())


def test_there_are_no_embeddings():
    with pytest.raises(InvalidRequest, match="embeddings"):
        prepare(PROVIDER, CREDENTIAL, sending("embeddings"))


# ---------------------------------------------------------------------------------------------- credentials


def test_a_key_goes_alone():
    assert headers() == {
        b"content-type": b"application/json",
        b"accept": b"application/json",
        b"anthropic-version": b"2023-06-01",
        b"x-api-key": KEY.encode(),
    }
    assert headers(stream=True)[b"accept"] == b"text/event-stream"


@pytest.mark.parametrize(
    "credential",
    [
        replace(CREDENTIAL, type="token", secret=Secret("anything")),
        replace(CREDENTIAL, type="oauth", secret=Secret("anything")),
        replace(CREDENTIAL, secret=Secret(f" {TOKEN}\n")),
        replace(CREDENTIAL, source="environment", secret=Secret(TOKEN)),
    ],
    ids=["token", "oauth", "a token entered as a key", "a token in the environment"],
)
def test_a_sign_in_is_a_bearer_token_with_its_beta(credential):
    sent = headers(credential=credential)
    assert sent[b"authorization"] == b"Bearer " + credential.secret.reveal().strip().encode()
    assert sent[b"anthropic-beta"] == b"oauth-2025-04-20"
    assert b"x-api-key" not in sent


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        (b"a-1,b-2", b"a-1,b-2,oauth-2025-04-20"),
        (b" a-1 , oauth-2025-04-20,", b"a-1,oauth-2025-04-20"),
        (b"", b"oauth-2025-04-20"),
    ],
)
def test_betas_that_the_client_asks_for_stay(asked, sent):
    credential = replace(CREDENTIAL, secret=Secret(TOKEN))
    assert headers(credential=credential, extra=((b"anthropic-beta", asked),))[b"anthropic-beta"] == sent
    assert headers(extra=((b"anthropic-beta", b"a-1"),))[b"anthropic-beta"] == b"a-1"


def test_what_the_client_says_of_itself_goes_on_and_nothing_is_added():
    said = ((b"user-agent", b"claude-cli/2.1.197"), (b"x-app", b"cli"), (b"anthropic-version", b"2026-10-21"))
    sent = headers(credential=replace(CREDENTIAL, secret=Secret(TOKEN)), extra=said)
    assert sent.items() >= dict(said).items()
    plain = headers(credential=replace(CREDENTIAL, secret=Secret(TOKEN)))
    assert not {b"user-agent", b"x-app"} & set(plain)
    assert b"claude-code" not in b"".join(plain.values())


def test_no_credential_is_sent_where_none_is_wanted():
    for provider, credential in (
        (replace(PROVIDER, auth_header=False), CREDENTIAL),
        (PROVIDER, replace(CREDENTIAL, type="none", secret=None)),
    ):
        assert not {b"authorization", b"x-api-key"} & set(headers(provider, credential))


@pytest.mark.parametrize("text", ["", "ключ", "a\x00b"])
def test_a_secret_that_can_not_stand_in_a_header_is_refused(text):
    with pytest.raises(SecretUnavailable):
        headers(credential=replace(CREDENTIAL, secret=Secret(text)))


#: Which header each compatible host documents for its keys.
SCHEMES = {
    "anthropic": b"x-api-key",
    "cloudflare-ai-gateway": b"x-api-key",
    "kimi-coding": b"x-api-key",
    "minimax": b"x-api-key",
    "minimax-portal": b"authorization",
    "synthetic": b"authorization",
    "xiaomi": b"authorization",
    "zai-anthropic": b"authorization",
}


def test_every_row_of_the_kind_is_known():
    assert {row.id for row in CATALOG.providers.values() if row.api == ANTHROPIC.api} == set(SCHEMES)


@pytest.mark.parametrize(("provider_id", "name"), SCHEMES.items())
def test_a_row_sends_its_key_in_the_header_it_documents(provider_id, name):
    provider = CATALOG.providers[provider_id]
    endpoint = provider.endpoint or Endpoint("https", "gateway.example", 443, "/a/g/anthropic")
    sent = headers(provider, replace(CREDENTIAL, provider=provider_id, secret=Secret("k"), endpoint=endpoint))
    assert {b"x-api-key", b"authorization"} & set(sent) == {name}
    assert b"anthropic-beta" not in sent


def test_a_sign_in_of_another_maker_needs_no_beta_of_anthropic():
    provider = CATALOG.providers["minimax-portal"]
    sent = headers(provider, replace(CREDENTIAL, type="oauth", secret=Secret("t")))
    assert sent[b"authorization"] == b"Bearer t"
    assert b"anthropic-beta" not in sent


# ---------------------------------------------------------------------------------------------- errors

LIMITS = (
    (b"anthropic-ratelimit-requests-remaining", b"0"),
    (b"anthropic-ratelimit-requests-reset", b"2026-11-23T10:00:00Z"),
    (b"retry-after", b"30"),
    (b"x-should-retry", b"true"),
    (b"request-id", b"req_1"),
)


def fault(status, kind="x_error", message="what happened", fields=()):
    body = json.dumps({"type": "error", "error": {"type": kind, "message": message}}).encode()
    return read_error("anthropic", status, fields, body, lambda text: text.replace(KEY, "[HIDDEN]"))


@pytest.mark.parametrize(
    ("status", "kind", "expected"),
    [
        (400, "invalid_request_error", "rejected"),
        (401, "authentication_error", "auth"),
        (402, "billing_error", "billing"),
        (403, "permission_error", "denied"),
        (404, "not_found_error", "rejected"),
        (413, "request_too_large", "rejected"),
        (429, "rate_limit_error", "rate_limit"),
        (500, "api_error", "server"),
        (503, "api_error", "overloaded"),
        (529, "overloaded_error", "overloaded"),
    ],
)
def test_a_status_says_who_is_to_blame(status, kind, expected):
    found = fault(status, kind)
    assert (found.kind, found.status, found.error.message) == (expected, status, "what happened")
    assert found.error.details["upstreamType"] == kind


def test_limits_and_waits_are_carried_on():
    found = fault(429, "rate_limit_error", fields=LIMITS)
    assert found.retry_after == 30
    assert dict(found.error.headers) == {name.decode(): value.decode() for name, value in LIMITS[:4]}


CLAIM = b"anthropic-ratelimit-unified-representative-claim"
REJECTED = (b"anthropic-ratelimit-unified-status", b"rejected")


@pytest.mark.parametrize(
    ("fields", "wide"),
    [
        (LIMITS, False),
        ((REJECTED, (CLAIM, b"five_hour")), True),
        ((REJECTED, (CLAIM, b"seven_day")), True),
        ((REJECTED, (CLAIM, b"seven_day_opus")), False),
        (((REJECTED[0], b"allowed"), (CLAIM, b"five_hour")), False),
    ],
)
def test_a_plans_windows_are_the_accounts_and_all_other_limits_the_models(fields, wide):
    assert fault(429, "rate_limit_error", fields=fields).account_wide is wide
    assert not fault(400, "invalid_request_error", fields=fields).account_wide


def test_a_spent_window_says_when_it_begins_anew_where_nothing_else_does():
    date = (b"date", b"Mon, 23 Nov 2026 09:59:00 GMT")
    spent = ((b"anthropic-ratelimit-requests-limit", b"50"), *LIMITS[:2])
    assert fault(429, "rate_limit_error", fields=(*spent, date)).retry_after == 60
    assert fault(429, "rate_limit_error", fields=(*spent, date, LIMITS[2])).retry_after == 30
    assert fault(429, "rate_limit_error", fields=spent).retry_after is None


def test_a_secret_in_a_message_is_hidden():
    assert fault(401, message=f"bad key {KEY}").error.message == "bad key [HIDDEN]"


@pytest.mark.parametrize("status", [400, 401, 403])
@pytest.mark.parametrize(
    "message",
    [
        "This credential is only authorized for use with Claude Code and cannot be used for other API requests.",
        "OAuth authentication is currently not supported.",
    ],
)
def test_a_sign_in_that_is_for_claude_code_alone_names_the_ways_that_are_allowed(status, message):
    found = fault(status, "invalid_request_error", message)
    assert (found.kind, found.status) == ("denied", status)
    assert isinstance(found.error, UpstreamCredentialRejected)
    assert found.error.status == status
    assert found.error.message.startswith(message)
    assert "API key" in found.error.message
    assert "'claude-cli'" in found.error.message
    assert found.error.details["upstreamStatus"] == status


def test_other_refusals_are_left_as_they_are():
    assert "claude-cli" not in fault(400, message="max_tokens: Field required").error.message
    assert fault(500, message="only authorized for use with Claude Code").kind == "server"


# ---------------------------------------------------------------------------------------------- bodies


def adjusted(provider_id, fields, *, translated=True):
    return adjust(fields, Adjusting(CATALOG.providers[provider_id], "m", stream=False, translated=translated))


@pytest.mark.parametrize("provider_id", ["minimax", "minimax-portal"])
def test_minimax_gets_a_temperature_that_it_takes(provider_id):
    assert adjusted(provider_id, {"temperature": 0, "top_p": 1}) == {"temperature": 0.01, "top_p": 1}
    assert adjusted(provider_id, {"temperature": 0.5}) == {"temperature": 0.5}
    assert adjusted(provider_id, {}) == {}


def test_nobody_elses_body_is_touched():
    fields = {"temperature": 0}
    assert adjusted("anthropic", fields) is fields
    assert adjusted("minimax", fields, translated=False) is fields


def test_the_kind_is_filled_in():
    assert (ANTHROPIC.api, ANTHROPIC.dialect, ANTHROPIC.stream_only) == (
        "anthropic-messages",
        "anthropic-messages",
        False,
    )
    assert ANTHROPIC.answer is None
