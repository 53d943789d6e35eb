"""A code on another screen (RFC 8628), every turn of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from open_llm_auth.auth.flows.device import GRANT, device, device_with_proof
from open_llm_auth.auth.flows.pkce import proof_key
from open_llm_auth.auth.flows.steps import Visit
from open_llm_auth.errors import (
    EgressBlocked,
    SignInFailed,
    UpstreamInvalidResponse,
    UpstreamTimeout,
    UpstreamUnreachable,
)

from .walking import ACCESS, CHALLENGE, HTML, REFRESH, TOKENS, Walk, error, facts, said

KIMI = facts("kimi-coding")
QWEN = facts("qwen-portal")

CODE: dict[str, Any] = {
    "device_code": "device-canary",
    "user_code": "WDJB-MJHT",
    "verification_uri": "https://www.kimi.com/code/authorize_device",
    "verification_uri_complete": "https://www.kimi.com/code/authorize_device?user_code=WDJB-MJHT",
    "expires_in": 900,
    "interval": 5,
}
PENDING = error("authorization_pending")


def asked(**changes: Any) -> Walk:
    """Up to the first question whether the person has confirmed."""
    walk = Walk(device, KIMI)
    walk.answer(said({**CODE, **changes}))
    walk.answer()
    return walk


def test_a_code_is_asked_for_with_what_the_table_says() -> None:
    walk = Walk(device, replace(KIMI, scopes=("a", "b")))
    assert (walk.sent.method, walk.sent.url) == ("POST", KIMI.device_url)
    assert walk.form == {"client_id": KIMI.client_id, "scope": "a b"}
    assert ("accept", "application/json") in walk.sent.headers


def test_the_person_is_shown_the_page_and_the_code() -> None:
    walk = Walk(device, KIMI)
    direct = CODE["verification_uri_complete"]
    assert walk.answer(said(CODE)) == Visit("https://www.kimi.com/code/authorize_device", "WDJB-MJHT", direct)


def test_the_token_endpoint_is_asked_in_the_interval_until_they_have_confirmed() -> None:
    walk = asked()
    for _ in range(3):
        assert walk.wait() == 5
        assert walk.form == {"client_id": KIMI.client_id, "grant_type": GRANT, "device_code": "device-canary"}
        walk.answer(PENDING)
    walk.wait()
    walk.answer(TOKENS)
    assert walk.tokens is not None
    assert (walk.tokens.access, walk.tokens.refresh) == (ACCESS, REFRESH)


def test_an_answer_with_status_200_may_be_an_error_as_at_github() -> None:
    walk = asked()
    walk.wait()
    walk.answer(error("authorization_pending", 200))
    assert walk.wait() == 5


def test_slow_down_adds_five_seconds_or_takes_what_the_server_says() -> None:
    walk = asked()
    walk.wait()
    walk.answer(error("slow_down"))
    assert walk.wait() == 10
    walk.answer(error("slow_down", interval=20))
    assert walk.wait() == 20
    walk.answer(error("slow_down", 429))
    assert walk.wait() == 25


@pytest.mark.parametrize(
    ("stated", "waited"), [({}, 5), ({"interval": "7"}, 7), ({"interval": 0}, 5), ({"interval": "soon"}, 5)]
)
def test_an_interval_may_be_a_text_or_missing(stated: dict[str, Any], waited: float) -> None:
    walk = Walk(device, KIMI)
    walk.answer(said({**{name: value for name, value in CODE.items() if name != "interval"}, **stated}))
    walk.answer()
    assert walk.wait() == waited


@pytest.mark.parametrize(
    ("code", "reason", "words"),
    [
        ("access_denied", "denied", "turned down"),
        ("expired_token", "expired", "not confirmed in time"),
        ("bad_verification_code", "refused", "no longer knows"),
        ("device_flow_disabled", "refused", "switched off"),
        ("invalid_grant", "refused", "Start the sign-in again"),
    ],
)
def test_the_ends_of_it_are_told_apart(code: str, reason: str, words: str) -> None:
    walk = asked()
    walk.wait()
    with pytest.raises(SignInFailed, match=words) as caught:
        walk.answer(error(code))
    assert caught.value.details["reason"] == reason


def test_a_code_runs_out_by_itself() -> None:
    walk = asked(expires_in=12)
    walk.wait()
    walk.answer(PENDING)
    walk.wait()
    walk.answer(PENDING)
    with pytest.raises(SignInFailed, match="in time") as caught:
        walk.wait()
    assert caught.value.details["reason"] == "expired"


def test_nobody_waits_for_longer_than_a_quarter_of_an_hour() -> None:
    walk = asked(expires_in=100_000, interval=60)
    with pytest.raises(SignInFailed, match="in time"):
        walk.poll(PENDING, 16)


def test_a_network_that_comes_and_goes_costs_nothing() -> None:
    walk = asked()
    walk.wait()
    for trouble in (UpstreamUnreachable("gone"), UpstreamTimeout("slow"), said(b"<html>", 503), said({}, 429)):
        walk.answer(trouble)
        walk.wait()
    walk.answer(TOKENS)
    assert walk.tokens is not None


def test_the_pauses_grow_while_nobody_answers_and_shrink_again() -> None:
    walk = asked()
    walk.wait()
    walk.answer(UpstreamUnreachable("gone"))
    assert walk.wait() == 10
    walk.answer(UpstreamUnreachable("gone"))
    assert walk.wait() == 20
    walk.answer(PENDING)
    assert walk.wait() == 5


def test_a_server_that_stays_away_is_named_in_the_end() -> None:
    walk = asked()
    with pytest.raises(UpstreamUnreachable, match="HTTP 502"):
        walk.poll(said(b"bad gateway", 502), 10)


def test_what_the_policy_forbids_ends_it_at_once() -> None:
    walk = asked()
    walk.wait()
    with pytest.raises(EgressBlocked):
        walk.answer(EgressBlocked("no"))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (HTML, "HTML page"),
        (CHALLENGE, "Cloudflare"),
        (said(b"nonsense"), "not JSON"),
        (said({**CODE, "device_code": ""}), "'device_code'"),
        (said({**CODE, "device_code": 7}), "'device_code'"),
        (said({**CODE, "user_code": None}), "'user_code'"),
        (said({**CODE, "user_code": "\x1b[31m"}), "'user_code'"),
        (said({**CODE, "user_code": "X" * 100}), "can't be typed"),
        (said({**CODE, "verification_uri": ""}), "'verification_uri'"),
        (said({**CODE, "verification_uri": "https://kimi.example/"}), "not known to be its own"),
        (said({**CODE, "verification_uri": "https://evilkimi.com/"}), "not known to be its own"),
        (said({**CODE, "verification_uri": "https://www.kimi.com.evil.example/"}), "not known to be its own"),
        (said({**CODE, "verification_uri": "http://www.kimi.com/"}), "not known to be its own"),
        (said({**CODE, "verification_uri": "https://me@www.kimi.com/"}), "does not parse"),
        (said({**CODE, "verification_uri": "javascript:alert(1)"}), "does not parse"),
        (said({**CODE, "verification_uri_complete": "https://evil.example/?u=1"}), "not known to be its own"),
        (said({**CODE, "verification_uri_complete": "https://www.kimi.com/?u='`rm`'"}), "does not parse"),
        (said({**CODE, "verification_uri_complete": 5}), "'verification_uri_complete'"),
    ],
)
def test_a_wrong_code_is_never_shown_and_each_has_its_own_message(answer: Any, words: str) -> None:
    walk = Walk(device, KIMI)
    with pytest.raises(UpstreamInvalidResponse, match=words) as caught:
        walk.answer(answer)
    assert "canary" not in caught.value.message


def test_a_missing_device_code_is_found_before_the_person_is_troubled_in_vain() -> None:
    walk = Walk(device, KIMI)
    with pytest.raises(UpstreamInvalidResponse, match="'device_code'"):
        walk.answer(said({name: value for name, value in CODE.items() if name != "device_code"}))


@pytest.mark.parametrize("answer", [HTML, CHALLENGE, said(b"[]")])
def test_a_poll_that_is_answered_with_a_page_ends_it(answer: Any) -> None:
    walk = asked()
    walk.wait()
    with pytest.raises(UpstreamInvalidResponse):
        walk.answer(answer)


def test_an_issuer_on_this_machine_may_name_a_page_of_its_own_without_https() -> None:
    here = replace(KIMI, device_url="http://127.0.0.1:9000/code", token_url="http://127.0.0.1:9000/token")
    walk = Walk(device, here)
    assert isinstance(walk.answer(said({**CODE, "verification_uri": "http://127.0.0.1:9000/device"})), Visit)
    walk = Walk(device, here)
    with pytest.raises(UpstreamInvalidResponse, match="not known"):
        walk.answer(said({**CODE, "verification_uri": "http://127.0.0.1:9001/device"}))


def test_qwen_wants_a_proof_key_as_well() -> None:
    walk = Walk(device_with_proof, QWEN)
    assert walk.form["code_challenge"] == proof_key(b"\x01" * 32).challenge
    assert walk.form["code_challenge_method"] == "S256"
    walk.answer(said({**CODE, "verification_uri": "https://chat.qwen.ai/authorize", "verification_uri_complete": ""}))
    walk.answer()
    walk.wait()
    assert walk.form["code_verifier"] == proof_key(b"\x01" * 32).verifier
    walk.answer(TOKENS)
    assert walk.tokens is not None
