"""Answers of token endpoints, as issuers give them and as they should not."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.auth.flows.steps import Fetched
from open_llm_auth.auth.flows.tokens import (
    TokenAnswerInvalid,
    claims_of,
    error_code,
    expires_of,
    identity_of,
    read_tokens,
)
from open_llm_auth.values import Secret

NOW = 1_767_225_600.0


def jwt(claims: Mapping[str, Any]) -> str:
    def segment(document: Mapping[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()

    return f"{segment({'alg': 'RS256'})}.{segment(claims)}.c2ln"


def read(**document: Any) -> Any:
    return read_tokens(json.dumps(document).encode(), NOW)


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({"expires_in": 3600}, NOW + 3600),
        ({"expires_in": "3600"}, NOW + 3600),
        ({"expires_in": 0}, NOW),
        ({"expires_in": 3599.5}, NOW + 3599.5),
        ({"expires_at": NOW + 60}, NOW + 60),
        ({"expires_at": (NOW + 60) * 1000}, NOW + 60),
        ({"expired_in": (NOW + 60) * 1000}, NOW + 60),
        ({"expired_in": 86400}, NOW + 86400),
        ({"expiry_date": (NOW + 60) * 1000}, NOW + 60),
        ({"expires_in": None, "expires_at": NOW + 1}, NOW + 1),
    ],
)
def test_the_end_of_a_token_is_read_however_it_is_said(fields: Mapping[str, Any], seconds: float) -> None:
    assert read(access_token="x", **fields).expires == int(seconds * 1000)


def test_a_token_that_says_its_end_itself_is_asked_last() -> None:
    token = jwt({"exp": NOW + 99})
    assert read(access_token=token).expires == int((NOW + 99) * 1000)
    assert read(access_token=token, expires_in=5).expires == int((NOW + 5) * 1000)
    assert read(access_token="opaque").expires is None


@pytest.mark.parametrize("exp", ["soon", True, 3600, 1e18, None])
def test_an_end_within_a_token_that_makes_no_sense_is_none(exp: object) -> None:
    assert expires_of({}, {"exp": exp}, NOW) is None


@pytest.mark.parametrize("said", ["soon", -1, True, [], "1e9", "٣", 1e300])
def test_a_time_that_is_none_is_refused_by_name(said: object) -> None:
    with pytest.raises(TokenAnswerInvalid, match="'expires_in'"):
        read(access_token="x", expires_in=said)


def test_times_that_json_should_not_hold_are_refused() -> None:
    for text in (b"NaN", b"Infinity", b"1" * 400):
        with pytest.raises(TokenAnswerInvalid):
            read_tokens(b'{"access_token": "x", "expires_in": ' + text + b"}", NOW)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not JSON"),
        (b"  <html>", "HTML"),
        (b"\xff", "not JSON"),
        (b"[]", "not an object"),
        (b"[" * 100_000, "not JSON"),
        (b"{}", "'access_token'"),
        (b'{"access_token": ""}', "'access_token'"),
        (b'{"access_token": "a b"}', "'access_token'"),
        (b'{"access_token": "a\\nb"}', "'access_token'"),
        (b'{"access_token": "\\u00e4"}', "'access_token'"),
        (b'{"access_token": "a", "refresh_token": 5}', "'refresh_token'"),
    ],
)
def test_what_is_wrong_with_an_answer_is_said_without_quoting_it(body: bytes, words: str) -> None:
    with pytest.raises(TokenAnswerInvalid, match=words) as caught:
        read_tokens(body, NOW)
    assert caught.value.message == str(caught.value)


def test_the_new_refresh_token_of_a_bad_answer_is_handed_over_and_not_printed() -> None:
    for document in ({"refresh_token": "canary"}, {"refresh_token": "canary", "access_token": "x", "expires_in": "?"}):
        with pytest.raises(TokenAnswerInvalid) as caught:
            read(**document)
        assert caught.value.refresh == Secret("canary")
        assert "canary" not in f"{caught.value!r} {caught.value}"


OPENAI = {
    "https://api.openai.com/auth": {"chatgpt_account_id": "acct", "chatgpt_plan_type": "plus"},
    "https://api.openai.com/profile": {"email": "ada@example.test"},
    "sub": "auth0|1",
}


def test_openais_claims_name_the_account_the_plan_and_the_person() -> None:
    tokens = read(access_token="opaque", id_token=jwt(OPENAI), refresh_token="r")
    assert (tokens.account_id, tokens.email) == ("acct", "ada@example.test")
    assert tokens.details == {"plan": "plus", "subject": "auth0|1"}
    assert read(access_token=jwt(OPENAI)).account_id == "acct"


@pytest.mark.parametrize(
    ("claims", "account"),
    [
        ({"chatgpt_account_id": "own"} | OPENAI, "own"),
        ({"https://api.openai.com/auth": {"organizations": [{"id": "org"}]}}, "org"),
        ({"organizations": [{"id": "org"}]}, "org"),
        ({"organizations": []}, None),
        ({"https://api.openai.com/auth": "odd", "organizations": ["odd"]}, None),
        ({"chatgpt_account_id": 5}, None),
    ],
)
def test_an_account_is_found_where_issuers_put_it(claims: Mapping[str, Any], account: str | None) -> None:
    assert identity_of(claims).account_id == account


def test_the_id_token_speaks_before_the_access_token() -> None:
    who = identity_of({"email": "a@x.test"}, {"email": "b@x.test", "sub": "second"})
    assert (who.email, who.subject) == ("a@x.test", "second")


@given(st.text())
def test_claims_of_anything_are_a_mapping(text: str) -> None:
    assert isinstance(claims_of(text), Mapping)
    assert isinstance(claims_of(f"a.{text}.c"), Mapping)


@given(st.binary())
def test_any_bytes_are_tokens_or_refused(body: bytes) -> None:
    try:
        read_tokens(body, NOW)
    except TokenAnswerInvalid:
        pass


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"error": "invalid_grant"}', "invalid_grant"),
        (b'{"error": {"code": "refresh_token_reused", "message": "canary"}}', "refresh_token_reused"),
        (b'{"error": {"type": "usage"}}', "usage"),
        (b'{"error": "it was canary"}', ""),
        (b'{"error": ["invalid_grant"]}', ""),
        (b'{"message": "no"}', ""),
        (b"<html>", ""),
        (b"[]", ""),
    ],
)
def test_an_error_code_is_a_word_or_nothing(body: bytes, code: str) -> None:
    assert error_code(Fetched(400, {}, body)) == code


@pytest.mark.parametrize("name", ["access_token", "refresh_token"])
@pytest.mark.parametrize("text", ["cmd:reboot", "file:/etc/passwd", "${HOME}", "env:HOME", "OPENAI_API_KEY"])
def test_a_token_that_reads_like_a_reference_is_none(name: str, text: str) -> None:
    with pytest.raises(TokenAnswerInvalid, match="reads like a reference") as caught:
        read(**{"access_token": "at-1", name: text})
    assert text not in str(caught.value)
