"""What a `.env` line means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.config.dotenv import parse_dotenv

LINES = [
    ("A=1", {"A": "1"}),
    ("export A=1\n", {"A": "1"}),
    ("  A = 1  \r\nB=2\r\n", {"A": "1", "B": "2"}),
    ("A=", {"A": ""}),
    ("A=\nB=2", {"A": "", "B": "2"}),
    ("A=''\nB=\"\"", {"A": "", "B": ""}),
    ("# note\n\n   # note\nA=1 # note", {"A": "1"}),
    ("A=1#2", {"A": "1#2"}),
    ("A=#2", {"A": ""}),
    ("A='x # y' # note", {"A": "x # y"}),
    ("A='a\\nb'", {"A": "a\\nb"}),
    ('A="a\\nb\\t\\"c\\" \\$d \\\\"', {"A": 'a\nb\t"c" $d \\'}),
    ("A='two\nlines'\nB=1", {"A": "two\nlines", "B": "1"}),
    ("A=${B}", {"A": "${B}"}),
    ("A=x=y==", {"A": "x=y=="}),
    ("A=it's", {"A": "it's"}),
    ("A=1\nA=2", {"A": "2"}),
    ("A=two words", {"A": "two words"}),
]


@pytest.mark.parametrize(("text", "values"), LINES)
def test_a_line_means_what_it_usually_means(text: str, values: dict[str, str]) -> None:
    assert parse_dotenv(text).values == values
    assert parse_dotenv(text).faults == ()


FAULTY = [
    ("A=1\nsecret-line\nB=2", 2),
    ("A=1\n1B=secret\nB=2", 2),
    ("A=1\nC='secret\nB=2", 2),
    ('A=1\nC="secret" more\nB=2', 2),
    ("A=1\n=secret\nB=2", 2),
]


@pytest.mark.parametrize(("text", "line"), FAULTY)
def test_a_line_that_is_none_is_told_by_its_number_and_passed_over(text: str, line: int) -> None:
    found = parse_dotenv(text)
    assert found.values == {"A": "1", "B": "2"}
    assert found.faults == (f"line {line} is not NAME=value",)
    assert "secret" not in repr(found)


@given(st.text(alphabet="AB=\"'\\ \t\n\r#$x1", max_size=60))
def test_any_text_is_read_to_its_end(text: str) -> None:
    parse_dotenv(text)
