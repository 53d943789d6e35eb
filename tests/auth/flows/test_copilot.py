"""GitHub Copilot: the device flow, the exchange, and doing without it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from open_llm_auth.auth.flows.copilot import at_host, copilot, copilot_direct, exchange, host_of
from open_llm_auth.auth.flows.steps import Flow, Means, Tell
from open_llm_auth.auth.flows.tokens import RenewalFailed
from open_llm_auth.errors import GatewayError, SignInFailed, UpstreamHTTPError, UpstreamInvalidResponse
from open_llm_auth.values import Secret, SignIn

from .walking import CHALLENGE, HTML, NOW, Walk, error, facts, said

COPILOT = facts("github-copilot")
GITHUB_TOKEN = "ghu_canary"
TOKEN = "tid=canary;exp=1;proxy-ep=proxy.business.githubcopilot.com;8kp=1:x"
EXCHANGED = {"token": TOKEN, "expires_at": int(NOW + 1800), "refresh_in": 1500}


def code(host: str = "github.com") -> dict[str, Any]:
    page = f"https://{host}/login/device"
    return {"device_code": "d", "user_code": "AB-CD", "verification_uri": page, "interval": 5, "expires_in": 899}


def at_the_exchange(make: Any = copilot, sign_in: SignIn = COPILOT, host: str = "github.com") -> Walk:
    walk = Walk(make, sign_in)
    assert walk.form == {"client_id": COPILOT.client_id, "scope": "read:user"}
    walk.answer(said(code(host)))
    walk.answer()
    walk.wait()
    walk.answer(error("authorization_pending", 200))
    walk.wait()
    walk.answer(said({"access_token": GITHUB_TOKEN, "token_type": "bearer", "scope": "read:user"}))
    return walk


def renewed(sign_in: SignIn = COPILOT) -> Walk:
    def make(sign_in: SignIn, means: Means) -> Flow:
        return exchange(sign_in, Secret(GITHUB_TOKEN), means.now())

    return Walk(make, sign_in)


def test_a_token_of_github_is_exchanged_and_kept_as_what_renews() -> None:
    walk = at_the_exchange()
    assert (walk.sent.method, walk.sent.url) == ("GET", "https://api.github.com/copilot_internal/v2/token")
    assert ("authorization", f"token {GITHUB_TOKEN}") in walk.sent.headers
    assert "canary" not in repr(walk.step)
    walk.answer(said(EXCHANGED))
    assert walk.tokens is not None
    assert (walk.tokens.access, walk.tokens.refresh) == (TOKEN, GITHUB_TOKEN)
    assert walk.tokens.expires == (NOW + 1800) * 1000
    assert walk.tokens.base_url == "https://api.business.githubcopilot.com"


@pytest.mark.parametrize("status", [403, 404])
def test_where_github_does_not_exchange_it_it_is_used_as_it_is(status: int) -> None:
    walk = at_the_exchange()
    assert isinstance(walk.answer(said({"message": "Not Found"}, status)), Tell)
    walk.answer()
    assert walk.tokens is not None
    assert (walk.tokens.access, walk.tokens.refresh, walk.tokens.expires) == (GITHUB_TOKEN, None, None)
    assert walk.tokens.base_url is None


def test_without_the_exchange_nothing_is_asked_of_it() -> None:
    walk = at_the_exchange(copilot_direct)
    assert walk.step is None
    assert walk.tokens is not None
    assert (walk.tokens.access, walk.tokens.refresh) == (GITHUB_TOKEN, None)


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (CHALLENGE, UpstreamInvalidResponse, "Cloudflare"),
        (said(b"<html>", 403), UpstreamInvalidResponse, "HTML page"),
        (HTML, UpstreamInvalidResponse, "HTML page"),
        (said({"message": "x"}, 401), UpstreamHTTPError, "HTTP 401"),
        (said({"message": "x"}, 500), UpstreamHTTPError, "HTTP 500"),
        (said({"expires_at": 1}), UpstreamInvalidResponse, "'token'"),
        (said({**EXCHANGED, "expires_at": "soon"}), UpstreamInvalidResponse, "'expires_at'"),
    ],
)
def test_every_wrong_answer_of_the_exchange_has_its_own_message(answer: Any, kind: Any, words: str) -> None:
    walk = at_the_exchange()
    with pytest.raises(kind, match=words) as caught:
        walk.answer(answer)
    assert "canary" not in caught.value.message


@pytest.mark.parametrize(
    ("named", "base_url"),
    [
        ("proxy.individual.githubcopilot.com", "https://api.individual.githubcopilot.com"),
        ("api.githubcopilot.com", "https://api.githubcopilot.com"),
        ("proxy.githubcopilot.com", "https://api.githubcopilot.com"),
    ],
)
def test_the_host_within_the_token_is_where_calls_go(named: str, base_url: str) -> None:
    walk = at_the_exchange()
    walk.answer(said({**EXCHANGED, "token": f"tid=1;proxy-ep={named};x=1"}))
    assert walk.tokens is not None
    assert walk.tokens.base_url == base_url


@pytest.mark.parametrize(
    "named",
    [
        "evil.example",
        "proxy.evil.example",
        "githubcopilot.com.evil.example",
        "evilgithubcopilot.com",
        "169.254.169.254",
        "localhost",
        "copilot-api.ghe.example",
    ],
)
def test_a_foreign_host_within_the_token_is_refused(named: str) -> None:
    walk = at_the_exchange()
    with pytest.raises(UpstreamInvalidResponse, match="not known to be its own"):
        walk.answer(said({**EXCHANGED, "token": f"tid=1;proxy-ep={named};x=1"}))


@pytest.mark.parametrize("named", ["user@api.githubcopilot.com", "http://api.githubcopilot.com#x", "ho st"])
def test_what_is_no_host_is_refused(named: str) -> None:
    walk = at_the_exchange()
    with pytest.raises(UpstreamInvalidResponse):
        walk.answer(said({**EXCHANGED, "token": f"tid=1;proxy-ep={named};x=1"}))


def test_the_endpoints_beside_the_token_count_where_it_names_none() -> None:
    walk = at_the_exchange()
    walk.answer(
        said({**EXCHANGED, "token": "opaque", "endpoints": {"api": "https://api.enterprise.githubcopilot.com"}})
    )
    assert walk.tokens is not None
    assert walk.tokens.base_url == "https://api.enterprise.githubcopilot.com"
    walk = at_the_exchange()
    with pytest.raises(UpstreamInvalidResponse, match="not known"):
        walk.answer(said({**EXCHANGED, "token": "opaque", "endpoints": {"api": "https://evil.example"}}))


def test_a_clock_that_is_an_hour_off_does_not_make_a_fresh_token_old() -> None:
    walk = at_the_exchange()
    now = walk.clock.now()
    walk.answer(said({**EXCHANGED, "expires_at": int(now - 3600 + 1800)}, date="Fri, 15 Jan 2027 07:00:10 GMT"))
    assert walk.tokens is not None
    assert walk.tokens.expires == pytest.approx((now + 1800) * 1000, abs=1000)


# --- renewals ---


def test_a_renewal_is_an_exchange_and_leaves_the_github_token_as_it_is() -> None:
    walk = renewed()
    walk.answer(said(EXCHANGED))
    assert walk.tokens is not None
    assert (walk.tokens.access, walk.tokens.refresh) == (TOKEN, None)


def test_a_token_that_github_no_longer_takes_needs_its_person() -> None:
    with pytest.raises(RenewalFailed) as caught:
        renewed().answer(said({"message": "Bad credentials"}, 401))
    assert (caught.value.outcome, caught.value.code) == ("terminal", "bad_credentials")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(said({}, 403), SignInFailed), (said({}, 503), UpstreamHTTPError), (HTML, UpstreamInvalidResponse)],
)
def test_everything_else_may_be_better_tomorrow(answer: Any, kind: type[GatewayError]) -> None:
    with pytest.raises(kind):
        renewed().answer(answer)


# --- a company's own GitHub ---


def test_a_companys_own_github_has_addresses_of_its_own() -> None:
    theirs = at_host(COPILOT, "acme.ghe.example")
    assert theirs.device_url == "https://acme.ghe.example/login/device/code"
    assert theirs.exchange_url == "https://api.acme.ghe.example/copilot_internal/v2/token"
    assert host_of(theirs) == "acme.ghe.example"
    assert at_host(COPILOT, "github.com") is COPILOT


def test_its_copilot_is_where_it_says_or_where_it_usually_is() -> None:
    theirs = at_host(COPILOT, "acme.ghe.example")
    for told in ("tid=1;proxy-ep=copilot-api.acme.ghe.example;x=1", "opaque"):
        walk = at_the_exchange(copilot, theirs, "acme.ghe.example")
        walk.answer(said({**EXCHANGED, "token": told}))
        assert walk.tokens is not None
        assert walk.tokens.base_url == "https://copilot-api.acme.ghe.example"
    direct = at_the_exchange(copilot_direct, theirs, "acme.ghe.example")
    assert direct.tokens is not None
    assert direct.tokens.base_url == "https://copilot-api.acme.ghe.example"


def test_the_host_of_another_company_is_refused() -> None:
    walk = at_the_exchange(copilot, at_host(COPILOT, "acme.ghe.example"), "acme.ghe.example")
    with pytest.raises(UpstreamInvalidResponse, match="not known"):
        walk.answer(said({**EXCHANGED, "token": "proxy-ep=copilot-api.other.ghe.example"}))


def test_without_an_address_for_the_exchange_the_setting_is_named() -> None:
    with pytest.raises(GatewayError, match=r"oauth\.github-copilot\.exchangeUrl"):
        Walk(copilot, replace(COPILOT, exchange_url=""))
