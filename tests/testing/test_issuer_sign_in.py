"""The fake issuer at which people sign in takes nothing that a real one would refuse."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest

from open_llm_auth.auth.flows.pkce import proof_key
from open_llm_auth.testing.http_server import SeenRequest
from open_llm_auth.testing.issuer import Said, Turn
from open_llm_auth.testing.issuer_sign_in import FakeSignInIssuer

KEY = proof_key(b"x" * 32)
BACK = "http://localhost:1455/auth/callback"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


@pytest.fixture
def issuer() -> Iterator[FakeSignInIssuer]:
    with FakeSignInIssuer(client_id="") as issuer:
        yield issuer


def asked(issuer: FakeSignInIssuer, method: str, target: str, body: str = "", **headers: str) -> Said:
    request = SeenRequest(method, target, tuple(headers.items()), body.encode(), 0.0, 0)
    said = issuer.routes[(method, request.path)](request)
    assert said is not None
    return said


def authorized(issuer: FakeSignInIssuer, **changes: str) -> Said:
    fields = {"redirect_uri": BACK, "state": "s", "code_challenge": KEY.challenge, "code_challenge_method": "S256"}
    return asked(issuer, "GET", f"/oauth/authorize?{urlencode({**fields, **changes})}")


def redeemed(issuer: FakeSignInIssuer, code: str, **changes: str) -> Any:
    fields = {"code": code, "code_verifier": KEY.verifier, "redirect_uri": BACK, **changes}
    return issuer.grants["authorization_code"](fields, Turn())


def code_of(said: Said) -> str:
    (location,) = [value for name, value in said.headers if name == "location"]
    return dict(parse_qsl(location.partition("?")[2]))["code"]


def test_a_code_is_good_once(issuer: FakeSignInIssuer) -> None:
    code = code_of(authorized(issuer))
    assert redeemed(issuer, code).status == 200
    assert redeemed(issuer, code).status == 400


@pytest.mark.parametrize("changes", [{"code_verifier": "other"}, {"code_verifier": ""}, {"redirect_uri": BACK + "x"}])
def test_a_code_wants_its_verifier_and_its_redirect(issuer: FakeSignInIssuer, changes: dict[str, str]) -> None:
    assert redeemed(issuer, code_of(authorized(issuer)), **changes).status == 400


@pytest.mark.parametrize("changes", [{"redirect_uri": "https://evil.example"}, {"code_challenge_method": "plain"}])
def test_a_page_is_shown_to_loopback_addresses_with_a_challenge_alone(
    issuer: FakeSignInIssuer, changes: dict[str, str]
) -> None:
    assert authorized(issuer, **changes).status == 400


def test_a_device_code_waits_for_the_person_and_is_good_once(issuer: FakeSignInIssuer) -> None:
    code = asked(issuer, "POST", "/device/code", "client_id=x").document["device_code"]
    poll = issuer.grants[DEVICE]
    issuer.confirmed = False
    assert poll({"device_code": code}, Turn()) == Said(400, {"error": "authorization_pending"})
    issuer.confirmed = True
    assert poll({"device_code": code}, Turn()).status == 200
    assert poll({"device_code": code}, Turn()) == Said(400, {"error": "invalid_grant"})


def test_only_a_token_that_is_good_is_exchanged(issuer: FakeSignInIssuer) -> None:
    good = issuer.sign_in().access
    target = "/copilot_internal/v2/token"
    assert asked(issuer, "GET", target, authorization=f"token {good}").status == 200
    for wrong in (f"Bearer {good}", "token other", ""):
        assert asked(issuer, "GET", target, authorization=wrong).status == 401
