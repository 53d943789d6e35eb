"""What others wrote never drives the terminal, and tables line up."""

from __future__ import annotations

import pytest

from open_llm_auth.cli.output import complain_of, printable, say_table
from open_llm_auth.errors import InvalidRequest


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("naïve 漢字", "naïve 漢字"),
        ("a\x1b[2Jb", "a\ufffd[2Jb"),
        ("a\nb\tc", "a\ufffdb\ufffdc"),
        ("\u202etxt", "\ufffdtxt"),
        ("\x7f\x9b", "\ufffd\ufffd"),
    ],
)
def test_what_a_terminal_would_obey_is_replaced(text, shown):
    assert printable(text) == shown


def test_what_is_asked_for_is_kept():
    assert printable("a\nb\x1b", keep="\n") == "a\nb\ufffd"


def test_columns_are_as_wide_as_their_widest_cell(capsys):
    say_table(("A", "LONG"), [("xxx", "y"), ("z", "")])
    assert capsys.readouterr().out == "A    LONG\nxxx  y\nz\n"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (InvalidRequest("Bad."), "error: Bad.\n"),
        (InvalidRequest("Bad.", param="x.y"), "error: Bad. (at x.y)\n"),
        (InvalidRequest("x.y is bad.", param="x.y"), "error: x.y is bad.\n"),
        (InvalidRequest("Two\n  lines."), "error: Two lines.\n"),
    ],
)
def test_an_error_is_one_line_that_names_its_place_once(capsys, error, line):
    complain_of(error)
    assert capsys.readouterr().err == line
