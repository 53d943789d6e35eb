"""What Claude Code leaves when it ends without an answer."""

import pytest

from open_llm_auth.wire.claude_cli import read_error
from open_llm_auth.wire.claude_cli.errors import error_of
from open_llm_auth.wire.events import ErrorBody
from open_llm_auth.wire.program import write_ending


def test_an_option_it_does_not_know_is_told():
    left = write_ending(1, b"error: unknown option '--no-such'\n")
    assert read_error(left) == ErrorBody(
        "The program ended with exit code 1 and no answer: error: unknown option '--no-such'"
    )


BUSY = "API Error: 529 busy. This is a server-side issue, usually temporary — try again in a moment."
ELSEWHERE = " If it persists, check your inference gateway (localhost:8080)."
ITS_OWN = " If it persists, check status.claude.com."


@pytest.mark.parametrize(("said", "told"), [(BUSY + ELSEWHERE, BUSY), (BUSY + ITS_OWN, BUSY + ITS_OWN)])
def test_the_address_it_asks_stays_here(said, told):
    assert error_of(said, "overloaded", 529) == ErrorBody(told, "overloaded", "529")


def test_a_missing_sign_in_is_a_401_with_the_way_to_it():
    said = read_error(write_ending(1, "Not logged in · Please run /login\n".encode()))
    assert said.code == "401"
    assert "`claude auth login`" in said.message


def test_what_else_it_printed_stays_here():
    said = read_error(write_ending(-9, b"Traceback at /home/user/secret\n"))
    assert "secret" not in said.message
    assert "exit code -9" in said.message


def test_what_is_no_ending_is_none():
    assert read_error(b"<html>") is None
    assert read_error(b'{"exit":"one"}') is None
