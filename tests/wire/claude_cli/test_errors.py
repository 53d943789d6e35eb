"""What Claude Code leaves when it ends without an answer."""

from open_llm_auth.wire.claude_cli import read_error
from open_llm_auth.wire.events import ErrorBody
from open_llm_auth.wire.program import write_ending


def test_an_option_it_does_not_know_is_told():
    left = write_ending(1, b"error: unknown option '--no-such'\n")
    assert read_error(left) == ErrorBody(
        "The program ended with exit code 1 and no answer: error: unknown option '--no-such'"
    )


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
