"""Authorization code with a proof key, every turn of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from open_llm_auth.auth.flows.browser import browser
from open_llm_auth.auth.flows.pkce import proof_key
from open_llm_auth.auth.flows.steps import Listen, Receive, Visit
from open_llm_auth.errors import NotConfigured, SignInFailed, UpstreamHTTPError, UpstreamInvalidResponse

from .walking import ACCESS, CHALLENGE, HTML, NOW, REFRESH, TOKENS, Walk, error, facts, query_of, said

CODEX = facts("openai-codex")


def arrived(walk: Walk, **came: str) -> None:
    """Through the browser and back."""
    assert isinstance(walk.step, Listen)
    state = walk.step.state
    assert isinstance(walk.answer(1455), Visit)
    assert walk.answer() == Receive(state)
    walk.answer({"state": state, **came})


def test_the_person_is_sent_to_the_issuer_with_a_challenge_and_our_own_name() -> None:
    walk = Walk(browser, CODEX)
    assert walk.step == Listen((1455, 1457), "/auth/callback", walk.step.state)
    page = walk.answer(1457)
    assert isinstance(page, Visit)
    assert page.url.startswith("https://auth.openai.com/oauth/authorize?")
    asked = query_of(page.url)
    assert asked == {
        "response_type": "code",
        "client_id": "app_EMoamEEZ73f0CkXaXp7hrann",
        "redirect_uri": "http://localhost:1457/auth/callback",
        "scope": "openid profile email offline_access",
        "code_challenge": proof_key(b"\x01" * 32).challenge,
        "code_challenge_method": "S256",
        "state": asked["state"],
        "id_token_add_organizations": "true",
        "codex_cli_simplified_flow": "true",
        "originator": "open_llm_auth",
    }
    assert len(asked["state"]) == 43


def test_the_code_is_exchanged_with_the_verifier_at_the_same_redirect() -> None:
    walk = Walk(browser, CODEX)
    arrived(walk, code="code-1")
    assert (walk.sent.method, walk.sent.url) == ("POST", "https://auth.openai.com/oauth/token")
    assert walk.form == {
        "client_id": CODEX.client_id,
        "grant_type": "authorization_code",
        "code": "code-1",
        "code_verifier": proof_key(b"\x01" * 32).verifier,
        "redirect_uri": "http://localhost:1455/auth/callback",
    }
    walk.answer(TOKENS)
    assert walk.tokens is not None
    assert (walk.tokens.access, walk.tokens.refresh) == (ACCESS, REFRESH)
    assert walk.tokens.expires == (NOW + 3600) * 1000


def test_a_client_secret_travels_in_the_form_alone() -> None:
    walk = Walk(browser, CODEX, secret="client-secret-canary")
    arrived(walk, code="code-1")
    assert walk.form["client_secret"] == "client-secret-canary"
    assert "canary" not in walk.sent.url + repr(walk.step)


def test_an_authorization_page_may_have_a_query_already() -> None:
    walk = Walk(browser, replace(CODEX, authorize_url="https://issuer.example/go?tenant=a"))
    page = walk.answer(1455)
    assert isinstance(page, Visit)
    assert page.url.startswith("https://issuer.example/go?tenant=a&response_type=code&")


@pytest.mark.parametrize(
    ("came", "reason", "words"),
    [
        ({"error": "access_denied"}, "denied", "turned down"),
        ({"error": "invalid_scope"}, "refused", "oauth.openai-codex.scopes"),
        ({"error": "<script>", "error_description": "secret-canary"}, "refused", "unknown_error"),
        ({}, "invalid", "without a code"),
        ({"code": ""}, "invalid", "without a code"),
    ],
)
def test_a_no_in_the_browser_is_a_sentence_and_nothing_is_sent(came: dict[str, str], reason: str, words: str) -> None:
    walk = Walk(browser, CODEX)
    with pytest.raises(SignInFailed, match=words) as caught:
        arrived(walk, **came)
    assert caught.value.details["reason"] == reason
    assert "canary" not in caught.value.message


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (error("invalid_grant"), SignInFailed, "used already"),
        (error("invalid_client", 401), SignInFailed, "oauth.openai-codex.clientId"),
        (said({"error": {"code": "some_new_code", "message": "canary"}}, 400), SignInFailed, "some_new_code"),
        (said({"detail": "canary"}, 500), UpstreamHTTPError, "HTTP 500"),
        (HTML, UpstreamInvalidResponse, "HTML page"),
        (CHALLENGE, UpstreamInvalidResponse, "Cloudflare"),
        (said(b"nonsense"), UpstreamInvalidResponse, "not JSON"),
        (said(b""), UpstreamInvalidResponse, "with nothing"),
        (said(b"[]"), UpstreamInvalidResponse, "no object"),
        (said(b"", 302), UpstreamInvalidResponse, "redirect"),
        (said({"refresh_token": REFRESH}), UpstreamInvalidResponse, "'access_token'"),
        (said({"access_token": "two words"}), UpstreamInvalidResponse, "'access_token'"),
        (said({"access_token": ACCESS, "expires_in": "soon"}), UpstreamInvalidResponse, "'expires_in'"),
    ],
)
def test_every_wrong_answer_has_a_message_of_its_own(answer, kind, words) -> None:
    walk = Walk(browser, CODEX)
    arrived(walk, code="code-1")
    with pytest.raises(kind, match=words) as caught:
        walk.answer(answer)
    assert "canary" not in caught.value.message + repr(caught.value.details)
    assert "openai-codex" in caught.value.message


def test_a_clock_that_is_an_hour_off_does_not_make_a_fresh_token_old() -> None:
    """What the issuer says of a moment is by its own clock, which is an hour behind this machine's."""
    walk = Walk(browser, CODEX)
    arrived(walk, code="code-1")
    fields = {"access_token": ACCESS, "expires_at": NOW - 3600 + 600}
    walk.answer(said(fields, date="Fri, 15 Jan 2027 07:00:00 GMT"))
    assert walk.tokens is not None
    assert walk.tokens.expires == (NOW + 600) * 1000


@pytest.mark.parametrize(
    ("missing", "setting"),
    [("authorize_url", "authorizeUrl"), ("token_url", "tokenUrl"), ("client_id", "clientId")],
)
def test_what_is_not_configured_is_named(missing: str, setting: str) -> None:
    with pytest.raises(NotConfigured, match=f"oauth.openai-codex.{setting}"):
        Walk(browser, replace(CODEX, **{missing: ""}))


def test_closing_it_anywhere_is_enough() -> None:
    walk = Walk(browser, CODEX)
    walk.answer(1455)
    walk.close()
