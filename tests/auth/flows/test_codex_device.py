"""OpenAI's way with a code on another screen, every turn of it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from open_llm_auth.auth.flows.codex_device import codex_device
from open_llm_auth.auth.flows.steps import Visit
from open_llm_auth.errors import GatewayError, NotConfigured, SignInFailed, UpstreamInvalidResponse

from .walking import ACCESS, CHALLENGE, HTML, TOKENS, Walk, error, facts, said

CODEX = facts("openai-codex")
CODE = {"device_auth_id": "id-canary", "usercode": "ABCD-12345", "interval": "5"}
CONFIRMED = {"authorization_code": "code-canary", "code_verifier": "verifier-canary", "code_challenge": "x"}


def asked() -> Walk:
    walk = Walk(codex_device, CODEX)
    walk.answer(said(CODE))
    walk.answer()
    return walk


def test_a_code_is_asked_for_as_json_and_shown_at_the_page_of_the_table() -> None:
    walk = Walk(codex_device, CODEX)
    assert walk.sent.url == "https://auth.openai.com/api/accounts/deviceauth/usercode"
    assert ("content-type", "application/json") in walk.sent.headers
    assert json.loads(walk.sent.body) == {"client_id": CODEX.client_id}
    assert walk.answer(said(CODE)) == Visit("https://auth.openai.com/codex/device", "ABCD-12345")


def test_403_and_404_mean_not_yet_and_then_the_code_is_exchanged() -> None:
    walk = asked()
    for status in (403, 404, 403):
        assert walk.wait() == 5
        assert walk.sent.url == "https://auth.openai.com/api/accounts/deviceauth/token"
        assert json.loads(walk.sent.body) == {"device_auth_id": "id-canary", "user_code": "ABCD-12345"}
        walk.answer(said({}, status))
    walk.wait()
    walk.answer(said(CONFIRMED))
    assert walk.sent.url == "https://auth.openai.com/oauth/token"
    assert walk.form == {
        "client_id": CODEX.client_id,
        "grant_type": "authorization_code",
        "code": "code-canary",
        "code_verifier": "verifier-canary",
        "redirect_uri": "https://auth.openai.com/deviceauth/callback",
    }
    walk.answer(TOKENS)
    assert walk.tokens is not None
    assert walk.tokens.access == ACCESS


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (said({}, 404), SignInFailed, "security settings"),
        (HTML, UpstreamInvalidResponse, "HTML page"),
        (CHALLENGE, UpstreamInvalidResponse, "Cloudflare"),
        (said({**CODE, "device_auth_id": None}), UpstreamInvalidResponse, "'device_auth_id'"),
        (said({"device_auth_id": "x"}), UpstreamInvalidResponse, "'user_code'"),
        (error("invalid_client", 401), SignInFailed, "clientId"),
    ],
)
def test_no_code_has_a_message_for_each_reason(answer: Any, kind: type[GatewayError], words: str) -> None:
    walk = Walk(codex_device, CODEX)
    with pytest.raises(kind, match=words):
        walk.answer(answer)


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (CHALLENGE, UpstreamInvalidResponse, "Cloudflare"),
        (error("access_denied", 403), SignInFailed, "turned down"),
        (error("expired_token", 403), SignInFailed, "in time"),
        (HTML, UpstreamInvalidResponse, "HTML page"),
        (said({**CONFIRMED, "authorization_code": ""}), UpstreamInvalidResponse, "'authorization_code'"),
        (said({**CONFIRMED, "code_verifier": None}), UpstreamInvalidResponse, "'code_verifier'"),
    ],
)
def test_the_ends_of_the_wait_are_told_apart(answer: Any, kind: type[GatewayError], words: str) -> None:
    walk = asked()
    walk.wait()
    with pytest.raises(kind, match=words) as caught:
        walk.answer(answer)
    assert "canary" not in caught.value.message


def test_it_ends_after_a_quarter_of_an_hour() -> None:
    walk = asked()
    with pytest.raises(SignInFailed, match="in time"):
        walk.poll(said({}, 403), 900 // 5 + 1)


def test_what_is_not_configured_is_named() -> None:
    with pytest.raises(NotConfigured, match=r"oauth\.openai-codex\.verificationUrl"):
        Walk(codex_device, replace(CODEX, verification_url=""))
