"""MiniMax's way with a code on another screen, every turn of it."""

from __future__ import annotations

from typing import Any

import pytest

from open_llm_auth.auth.flows.minimax import minimax
from open_llm_auth.auth.flows.pkce import proof_key, unguessable
from open_llm_auth.auth.flows.steps import Visit
from open_llm_auth.errors import GatewayError, SignInFailed, UpstreamInvalidResponse

from .walking import ACCESS, CHALLENGE, HTML, NOW, REFRESH, Walk, facts, said

MINIMAX = facts("minimax-portal")
STATE = unguessable(b"\x02" * 32)
PAGE = "https://platform.minimax.io/oauth-authorize"
CODE: dict[str, Any] = {
    "user_code": "MM-1234",
    "verification_uri": PAGE,
    "expired_in": int((NOW + 600) * 1000),
    "interval": 2000,
    "state": STATE,
}
GRANTED = {"status": "success", "access_token": ACCESS, "refresh_token": REFRESH, "expired_in": 7200}


def asked(**changes: Any) -> Walk:
    walk = Walk(minimax, MINIMAX)
    walk.answer(said({**CODE, **changes}))
    walk.answer()
    return walk


def test_a_code_is_asked_for_with_a_challenge_and_a_state() -> None:
    walk = Walk(minimax, MINIMAX)
    assert walk.sent.url == "https://account.minimax.io/oauth2/device/code"
    assert walk.form == {
        "client_id": MINIMAX.client_id,
        "response_type": "code",
        "scope": "group_id profile model.completion",
        "code_challenge": proof_key(b"\x01" * 32).challenge,
        "code_challenge_method": "S256",
        "state": STATE,
    }
    assert walk.answer(said(CODE)) == Visit(PAGE, "MM-1234")


def test_it_is_asked_in_milliseconds_until_the_status_is_success() -> None:
    walk = asked()
    for pending in ({"status": "pending"}, {"status": "waiting"}, {}):
        assert walk.wait() == 2
        assert walk.form == {
            "client_id": MINIMAX.client_id,
            "grant_type": "urn:ietf:params:oauth:grant-type:user_code",
            "user_code": "MM-1234",
            "code_verifier": proof_key(b"\x01" * 32).verifier,
        }
        walk.answer(said(pending))
    walk.wait()
    walk.answer(said(GRANTED))
    assert walk.tokens is not None
    assert (walk.tokens.access, walk.tokens.refresh) == (ACCESS, REFRESH)
    assert walk.tokens.base_url is None


@pytest.mark.parametrize("expired_in", [600, int(NOW + 600), int((NOW + 600) * 1000)])
def test_the_end_of_a_code_may_be_a_span_or_a_moment(expired_in: int) -> None:
    walk = asked(expired_in=expired_in)
    walk.poll(said({"status": "pending"}), 299)
    with pytest.raises(SignInFailed, match="in time"):
        walk.wait()


@pytest.mark.parametrize("expired_in", [7200, int(NOW + 7202), int((NOW + 7202) * 1000)])
def test_the_end_of_a_token_may_be_a_span_or_a_moment(expired_in: int) -> None:
    walk = asked()
    walk.wait()
    walk.answer(said({**GRANTED, "expired_in": expired_in}))
    assert walk.tokens is not None
    assert walk.tokens.expires == (NOW + 7202) * 1000


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("https://api.minimax.io", "https://api.minimax.io/anthropic"),
        ("https://api.minimaxi.com/anthropic", "https://api.minimaxi.com/anthropic"),
        ("api.minimaxi.com/v1", "https://api.minimaxi.com/anthropic"),
    ],
)
def test_the_address_for_calls_is_taken_where_it_is_theirs(told: str, kept: str) -> None:
    walk = asked()
    walk.wait()
    walk.answer(said({**GRANTED, "resource_url": told}))
    assert walk.tokens is not None
    assert walk.tokens.base_url == kept


@pytest.mark.parametrize("told", ["https://evil.example", "https://minimax.io.evil.example", "http://api.minimax.io"])
def test_the_address_of_a_foreign_host_is_refused(told: str) -> None:
    walk = asked()
    walk.wait()
    with pytest.raises(UpstreamInvalidResponse, match="not known to be its own"):
        walk.answer(said({**GRANTED, "resource_url": told}))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (said({**CODE, "state": "of-another"}), "'state'"),
        (said({name: value for name, value in CODE.items() if name != "state"}), "'state'"),
        (said({**CODE, "user_code": None}), "'user_code'"),
        (said({**CODE, "expired_in": "soon"}), "'expired_in'"),
        (said({**CODE, "verification_uri": "https://evil.example"}), "not known to be its own"),
        (HTML, "HTML page"),
        (CHALLENGE, "Cloudflare"),
    ],
)
def test_no_sound_code_has_a_message_for_each_reason(answer: Any, words: str) -> None:
    walk = Walk(minimax, MINIMAX)
    with pytest.raises(UpstreamInvalidResponse, match=words):
        walk.answer(answer)


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (said({"status": "error"}), SignInFailed, "turned"),
        (said({**GRANTED, "access_token": None}), UpstreamInvalidResponse, "'access_token'"),
        (HTML, UpstreamInvalidResponse, "HTML page"),
    ],
)
def test_the_ends_of_the_wait_are_told_apart(answer: Any, kind: type[GatewayError], words: str) -> None:
    walk = asked()
    walk.wait()
    with pytest.raises(kind, match=words):
        walk.answer(answer)
