"""The fake issuer spends refresh tokens as a strict one does, and misbehaves as it is told."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection, RemoteDisconnected  # noqa: TID251 - this talks to the issuer, not for the gateway
from typing import Any
from urllib.parse import urlencode

import pytest

from open_llm_auth.testing import ManualClock
from open_llm_auth.testing.issuer import CLIENT_ID, TURNS, FakeIssuer, Said


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def issuer(clock: ManualClock) -> Iterator[FakeIssuer]:
    with FakeIssuer(now=clock.now) as issuer:
        yield issuer


def post(issuer: FakeIssuer, refresh: str, *, as_json: bool = False, **fields: str) -> tuple[int, bytes]:
    said = {"grant_type": "refresh_token", "client_id": CLIENT_ID, "refresh_token": refresh, **fields}
    body = json.dumps(said) if as_json else urlencode(said)
    kind = "application/json" if as_json else "application/x-www-form-urlencoded"
    connection = HTTPConnection(issuer.host, issuer.port, timeout=10)
    try:
        connection.request("POST", issuer.token_path, body, {"content-type": kind})
        with connection.getresponse() as answer:
            return answer.status, answer.read()
    finally:
        connection.close()


def pair(issuer: FakeIssuer, refresh: str, **options: Any) -> Mapping[str, Any]:
    status, body = post(issuer, refresh, **options)
    assert status == 200
    document: Mapping[str, Any] = json.loads(body)
    return document


@pytest.mark.parametrize("as_json", [False, True])
def test_a_refresh_token_gives_a_new_pair_that_is_good(issuer: FakeIssuer, as_json: bool) -> None:
    first = issuer.sign_in()
    second = pair(issuer, first.refresh, as_json=as_json)
    assert second["refresh_token"] != first.refresh
    assert issuer.accepts_access(second["access_token"])
    assert second["access_token"] in issuer
    assert issuer.presented(first.refresh) == 1


def test_a_spent_token_that_comes_again_ends_the_sign_in(issuer: FakeIssuer) -> None:
    first = issuer.sign_in()
    other = issuer.sign_in()
    second = pair(issuer, first.refresh)
    status, body = post(issuer, first.refresh)
    assert (status, json.loads(body)["error"]) == (400, "invalid_grant")
    assert not issuer.accepts_access(second["access_token"])
    assert post(issuer, second["refresh_token"])[0] == 400
    assert [each.outcome for each in issuer.presentations] == ["issued", "reused", "revoked"]
    assert issuer.accepts_access(other.access)


def test_the_code_for_reuse_can_be_another(clock: ManualClock) -> None:
    with FakeIssuer(now=clock.now, reuse_code="refresh_token_reused") as issuer:
        first = issuer.sign_in()
        post(issuer, first.refresh)
        assert json.loads(post(issuer, first.refresh)[1])["error"] == "refresh_token_reused"


def test_a_forgiving_issuer_answers_the_last_spent_token_once_more(clock: ManualClock) -> None:
    with FakeIssuer(now=clock.now, leeway=1) as issuer:
        first = issuer.sign_in()
        pair(issuer, first.refresh)
        pair(issuer, first.refresh)
        assert post(issuer, first.refresh)[0] == 400
        assert [each.outcome for each in issuer.presentations] == ["issued", "again", "reused"]


def test_access_tokens_end_at_their_time(issuer: FakeIssuer, clock: ManualClock) -> None:
    issued = issuer.sign_in()
    assert issued.expires == int((clock.now() + 3600) * 1000)
    clock.advance(3599)
    assert list(issuer) == [issued.access]
    clock.advance(2)
    assert not issuer.accepts_access(issued.access)
    assert len(issuer) == 0


def test_a_token_that_is_forgotten_or_revoked_is_taken_no_more(issuer: FakeIssuer) -> None:
    first, second = issuer.sign_in(), issuer.sign_in()
    issuer.forget(first.access)
    issuer.revoke(second.refresh)
    assert len(issuer) == 0
    assert post(issuer, first.refresh)[0] == 200
    assert post(issuer, second.refresh)[0] == 400


def test_unknown_tokens_clients_and_grants_are_refused(issuer: FakeIssuer) -> None:
    issued = issuer.sign_in()
    assert post(issuer, "made up")[0] == 400
    assert post(issuer, issued.refresh, client_id="another")[0] == 401
    assert json.loads(post(issuer, issued.refresh, grant_type="password")[1])["error"] == "unsupported_grant_type"
    assert issuer.presented(issued.refresh) == 0


@pytest.mark.parametrize(("takes", "as_json"), [("form", True), ("json", False)])
def test_an_issuer_may_read_one_kind_of_body_alone(clock: ManualClock, takes: Any, as_json: bool) -> None:
    with FakeIssuer(now=clock.now, body=takes) as issuer:
        issued = issuer.sign_in()
        assert post(issuer, issued.refresh, as_json=as_json)[0] == 400
        assert post(issuer, issued.refresh, as_json=not as_json)[0] == 200


def test_tokens_that_are_not_rotated_may_come_again(clock: ManualClock) -> None:
    with FakeIssuer(now=clock.now, rotates=False) as issuer:
        first = issuer.sign_in()
        assert pair(issuer, first.refresh)["refresh_token"] == first.refresh
        assert pair(issuer, first.refresh)["access_token"] != first.access


@pytest.mark.parametrize(
    "name", ["server_error", "html", "overloaded", "rate_limited", "invalid_grant", "invalid_client"]
)
def test_trouble_before_the_token_is_looked_at_spends_nothing(issuer: FakeIssuer, name: str) -> None:
    issued = issuer.sign_in()
    issuer.next(name)
    status, _ = post(issuer, issued.refresh)
    assert status == (TURNS[name].status or 200)
    assert post(issuer, issued.refresh)[0] == 200


@pytest.mark.parametrize("name", ["server_error_after", "html_after"])
def test_trouble_after_it_was_looked_at_spends_it(issuer: FakeIssuer, name: str) -> None:
    issued = issuer.sign_in()
    issuer.next(name)
    post(issuer, issued.refresh)
    assert post(issuer, issued.refresh)[0] == 400


@pytest.mark.parametrize(("name", "after"), [("hang_up_before", 200), ("hang_up_after", 400)])
def test_it_hangs_up_before_or_after_the_token_is_spent(issuer: FakeIssuer, name: str, after: int) -> None:
    issued = issuer.sign_in()
    issuer.next(name)
    with pytest.raises((RemoteDisconnected, ConnectionError)):
        post(issuer, issued.refresh)
    assert post(issuer, issued.refresh)[0] == after


def test_fields_can_be_left_out_and_tokens_be_another_accounts(issuer: FakeIssuer) -> None:
    issued = issuer.sign_in("acct")
    issuer.next("no_access_token", "another_account")
    first = pair(issuer, issued.refresh)
    assert "access_token" not in first
    assert "somebody-else" in pair(issuer, first["refresh_token"])["access_token"]


def test_routes_and_grants_can_be_added(issuer: FakeIssuer) -> None:
    issuer.routes["POST", "/more"] = lambda request: Said(201, {"method": request.method})
    issuer.grants["made_up"] = lambda fields, turn: Said(200, {"code": fields["code"]})
    connection = HTTPConnection(issuer.host, issuer.port, timeout=10)
    connection.request("POST", "/more")
    with connection.getresponse() as answer:
        assert (answer.status, json.loads(answer.read())) == (201, {"method": "POST"})
    connection.close()
    assert json.loads(post(issuer, "", grant_type="made_up", code="c")[1]) == {"code": "c"}
