"""What a browser or a person brings back, in all the spellings they have for it."""

from __future__ import annotations

import pytest

from open_llm_auth.auth.flows.callbacks import is_for, read_paste, read_query


@pytest.mark.parametrize(
    "text",
    [
        "http://localhost:1455/auth/callback?code=abc&state=xyz",
        "  http://localhost:1455/auth/callback?code=abc&state=xyz\n",
        "http://localhost:1455/auth/callback?scope=a+b&code=abc&state=xyz",
        "code=abc&state=xyz",
        "abc#xyz",
    ],
)
def test_a_person_may_paste_the_address_its_query_or_code_and_state(text: str) -> None:
    found = read_paste(text)
    assert found is not None
    assert (found["code"], found["state"]) == ("abc", "xyz")


def test_a_code_may_hold_signs_of_equality() -> None:
    assert read_paste("abc==#xyz") == {"code": "abc==", "state": "xyz"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "#xyz",
        "abc#",
        "a#b#c",
        "http://localhost:1455/auth/callback",
        "http://localhost:1455/auth/callback?code=abc",
        "code=abc&code=def&state=xyz",
        "here it is: http://localhost:1455/auth/callback?code=abc&state=xyz",
        "http://[::1/?code=a&state=b",
        "x" * 20_000 + "#y",
        "&".join(f"f{n}={n}" for n in range(100)) + "&state=xyz",
    ],
)
def test_what_is_none_of_these_is_nothing(text: str) -> None:
    assert read_paste(text) is None


def test_a_parameter_that_comes_twice_spoils_the_query() -> None:
    assert read_query("code=a&state=b&state=c") is None
    assert read_query("code=a&state=&error=") == {"code": "a", "state": "", "error": ""}


def test_a_state_is_the_whole_state_and_nothing_else() -> None:
    assert is_for({"state": "abc"}, "abc")
    for other in ({}, {"state": ""}, {"state": "abcd"}, {"state": "ab"}, {"state": "äbc"}, {"state": "\udcff"}):
        assert not is_for(other, "abc")
