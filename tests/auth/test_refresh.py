"""Renewals walked with plain values: the request, every kind of answer, and what is noted before and after."""

from __future__ import annotations

import json
from dataclasses import replace
from urllib.parse import parse_qs

import pytest

from open_llm_auth.auth.flows.steps import Fetch, Fetched, Tokens
from open_llm_auth.auth.refresh import (
    RenewalFailed,
    about,
    after_failure,
    after_success,
    before_the_send,
    check_identity,
    course_of,
    died_twice,
    digest_of,
    is_renewable,
    renew,
    repair_of,
    spent_already,
)
from open_llm_auth.errors import EgressBlocked, GatewayError, UpstreamTimeout, UpstreamUnreachable
from open_llm_auth.values import Profile, RenewalNote, Secret, SecretRef, SignIn

NOW = 1_767_225_600.0
LAB = SignIn("lab", ("browser",), client_id="client", token_url="https://issuer.test/token")
REFRESH = Secret("canary-refresh-token")


def answered(answer: Fetched | GatewayError, sign_in: SignIn = LAB) -> Tokens:
    """What a renewal returns, given the answer to its one request."""
    flow = renew(sign_in, REFRESH, NOW)
    next(flow)
    try:
        if isinstance(answer, GatewayError):
            flow.throw(answer)
        else:
            flow.send(answer)
    except StopIteration as done:
        tokens: Tokens = done.value
        return tokens
    raise AssertionError("it asks for more")


def said(status: int, document: object) -> Fetched:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Fetched(status, {"content-type": "application/json"}, body)


def failure(answer: Fetched | GatewayError, sign_in: SignIn = LAB) -> RenewalFailed:
    with pytest.raises(RenewalFailed) as caught:
        answered(answer, sign_in)
    assert "canary" not in caught.value.message
    return caught.value


def test_a_renewal_is_one_form_to_the_token_endpoint() -> None:
    step = next(renew(LAB, REFRESH, NOW, client_secret=Secret("shh")))
    assert isinstance(step, Fetch)
    assert (step.method, step.url) == ("POST", "https://issuer.test/token")
    assert ("content-type", "application/x-www-form-urlencoded") in step.headers
    assert parse_qs(step.body.decode()) == {
        "grant_type": ["refresh_token"],
        "refresh_token": ["canary-refresh-token"],
        "client_id": ["client"],
        "client_secret": ["shh"],
    }
    assert "canary" not in repr(step)


def test_a_good_answer_is_a_new_pair() -> None:
    tokens = answered(said(200, {"access_token": "new", "refresh_token": "newer", "expires_in": 3600}))
    assert (tokens.access, tokens.refresh, tokens.expires) == ("new", "newer", int((NOW + 3600) * 1000))


@pytest.mark.parametrize("document", [{"error": "invalid_grant"}, {"error": {"code": "invalid_grant"}}])
def test_a_terminal_code_ends_the_sign_in(document: object) -> None:
    failed = failure(said(400, document))
    assert (failed.outcome, failed.code) == ("terminal", "invalid_grant")


@pytest.mark.parametrize(
    "answer",
    [
        said(500, {"error": "invalid_grant"}),
        said(400, {"error": "invalid_client"}),
        said(400, {"error": "canary-refresh-token canary-refresh-token"}),
        said(429, {"error": "slow_down"}),
        said(503, b"<html>"),
        said(400, b""),
        said(302, b""),
        said(200, b"<!doctype html>"),
        said(200, [1]),
        said(200, {}),
        said(200, {"access_token": 7}),
        said(200, {"access_token": "two words"}),
        said(200, {"access_token": "x", "expires_in": "soon"}),
        said(200, {"access_token": "x", "refresh_token": ""}),
        UpstreamUnreachable("gone", details={"sent": True}),
        UpstreamUnreachable("gone"),
        UpstreamTimeout("late", details={"sent": True}),
    ],
)
def test_whatever_else_is_said_leaves_the_token_in_doubt(answer: Fetched | GatewayError) -> None:
    assert failure(answer).outcome == "uncertain"


@pytest.mark.parametrize(
    "error", [EgressBlocked("no"), UpstreamUnreachable("refused", details={"sent": False}), GatewayError("of ours")]
)
def test_what_was_not_sent_spends_nothing(error: GatewayError) -> None:
    assert failure(error).outcome == "not_sent"


def test_a_bad_answer_gives_up_the_refresh_token_that_is_in_it() -> None:
    assert failure(said(200, {"refresh_token": "canary-next"})).refresh == Secret("canary-next")


def test_a_token_is_exchanged_where_the_sign_in_says_so() -> None:
    sign_in = replace(LAB, exchange_url="https://api.issuer.test/exchange", rotates=False)
    step = next(renew(sign_in, REFRESH, NOW))
    assert isinstance(step, Fetch)
    assert (step.method, step.url) == ("GET", "https://api.issuer.test/exchange")
    tokens = answered(said(200, {"token": "short-lived", "expires_at": NOW + 1800}), sign_in)
    assert (tokens.access, tokens.refresh) == ("short-lived", None)
    assert failure(said(401, {}), sign_in).outcome == "terminal"
    assert failure(said(500, {}), sign_in).outcome == "uncertain"


def test_tokens_of_another_account_or_subject_are_refused() -> None:
    check_identity("lab", Tokens("a"), "acct", {})
    check_identity("lab", Tokens("a", account_id="acct"), "acct", {})
    check_identity("lab", Tokens("a", account_id="acct"), None, {})
    for tokens in (Tokens("a", account_id="other"), Tokens("a", details={"subject": "other"})):
        with pytest.raises(RenewalFailed, match="another") as caught:
            check_identity("lab", tokens, "acct", {"subject": "ada"})
        assert (caught.value.outcome, caught.value.code) == ("terminal", "another_account")


# --- notes ---

TOKEN = digest_of("lab:default", REFRESH)
MARK = before_the_send(None, "lab:default", TOKEN, NOW, "present")


def test_a_note_speaks_of_its_own_token_alone() -> None:
    assert about(MARK, TOKEN) is MARK
    assert about(MARK, digest_of("lab:default", Secret("another"))) is None
    assert about(None, TOKEN) is None
    assert digest_of("lab:other", REFRESH) != TOKEN
    assert "canary" not in TOKEN


def test_a_mark_of_the_dead_is_good_for_one_more_presentation() -> None:
    assert (MARK.state, MARK.presented, MARK.again) == ("refreshing", 1, False)
    assert course_of(MARK, NOW, rotates=True) == "again"
    second = before_the_send(MARK, "lab:default", TOKEN, NOW, "again")
    assert (second.presented, second.again) == (2, True)
    assert course_of(second, NOW, rotates=True) == "lapsed"
    assert died_twice(second, NOW).state == "needs_login"


def test_what_a_kill_allowed_is_not_allowed_anew_after_an_uncertain_answer() -> None:
    second = before_the_send(MARK, "lab:default", TOKEN, NOW, "again")
    doubt = after_failure(second, RenewalFailed("lost", "uncertain"), NOW, rotates=True)
    third = before_the_send(doubt, "lab:default", TOKEN, NOW + 60, "present")
    assert course_of(third, NOW + 60, rotates=True) == "lapsed"


def test_a_token_that_is_not_spent_by_its_use_may_always_be_presented() -> None:
    second = before_the_send(MARK, "lab:default", TOKEN, NOW, "again")
    assert course_of(second, NOW, rotates=False) == "present"
    assert after_failure(MARK, RenewalFailed("lost", "uncertain"), NOW, rotates=False).not_before == NOW + 5


@pytest.mark.parametrize(
    ("state", "since", "course"),
    [
        ("uncertain", 0, "wait"),
        ("uncertain", 59, "wait"),
        ("uncertain", 60, "present"),
        ("uncertain", -1, "present"),  # the clock was set back
        ("waiting", 59, "wait"),
        ("renewed", 0, "too_soon"),
        ("renewed", 59, "too_soon"),
        ("renewed", 60, "present"),
        ("renewed", -1, "present"),
        ("needs_login", 1e9, "lapsed"),
    ],
)
def test_what_is_noted_decides_the_course(state: str, since: float, course: str) -> None:
    note = replace(MARK, state=state, at=NOW, not_before=NOW + 60)  # type: ignore[arg-type]  # the words of the table
    assert course_of(note, NOW + since, rotates=True) == course


def test_nothing_noted_is_a_token_to_present() -> None:
    assert course_of(None, NOW, rotates=True) == "present"


def test_a_success_remembers_what_it_spent() -> None:
    note = after_success(MARK, "another", NOW)
    assert (note.state, note.token, note.spent, note.presented) == ("renewed", "another", TOKEN, 0)
    assert after_success(MARK, TOKEN, NOW).spent == ""


def test_a_terminal_failure_waits_for_its_person() -> None:
    note = after_failure(MARK, RenewalFailed("over", "terminal", code="invalid_grant"), NOW, rotates=True)
    assert (note.state, note.error, note.code, note.presented) == ("needs_login", "over", "invalid_grant", 1)


def test_what_was_not_sent_counts_as_no_presentation() -> None:
    note = after_failure(MARK, RenewalFailed("refused", "not_sent"), NOW, rotates=True)
    assert (note.state, note.presented, note.failures, note.not_before) == ("waiting", 0, 1, NOW + 5)


def test_a_token_spent_already_needs_its_person() -> None:
    assert spent_already("lab:default", TOKEN, NOW).state == "needs_login"


# --- which ---


def profile(**fields: object) -> Profile:
    literal = SecretRef("literal", Secret("x"))
    base = Profile("lab:work", "lab", "oauth", literal, literal)
    return replace(base, **fields)  # type: ignore[arg-type]  # fields of Profile


@pytest.mark.parametrize(
    ("candidate", "renewable"),
    [
        (profile(), True),
        (profile(refresh=SecretRef("vault", Secret("x"))), True),
        (profile(secret=SecretRef("keyring", Secret("x"))), True),
        (profile(refresh=None), False),
        (profile(secret=None), False),
        (profile(type="token"), False),
        (profile(provider="other"), False),
        (profile(metadata={"mayRotate": False}), False),
        (profile(metadata={"mayRotate": True}), True),
        (profile(refresh=SecretRef("file", Secret("/x"))), False),
        (profile(secret=SecretRef("env", Secret("X"))), False),
        (profile(refresh=SecretRef("cmd", Secret("x"))), False),
    ],
)
def test_only_sign_ins_of_the_gateways_own_are_renewed(candidate: Profile, renewable: bool) -> None:
    assert is_renewable(candidate, {"lab": LAB}) is renewable


def test_where_there_is_nothing_to_ask_for_a_new_token_nothing_is_renewed() -> None:
    assert not is_renewable(profile(), {"lab": replace(LAB, token_url="")})
    assert not is_renewable(profile(), {"lab": replace(LAB, rotates=False)})
    assert is_renewable(profile(), {"lab": replace(LAB, rotates=False, exchange_url="https://issuer.test/exchange")})


@pytest.mark.parametrize(("id_", "name"), [("lab:work", "work"), ("mine", "mine"), ("lab:a:b", "a:b")])
def test_the_repair_names_the_profile_as_the_command_takes_it(id_: str, name: str) -> None:
    assert repair_of(profile(id=id_)) == f"open-llm-auth auth login lab --profile {name}"


def test_notes_never_hold_a_token() -> None:
    assert isinstance(MARK, RenewalNote)
    assert "canary" not in repr(MARK)
