"""One moment in every spelling that programs use, and the expiry that a token tells itself."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.auth.moments import expiry_of, milliseconds

MOMENT = 1_767_225_600_000


@pytest.mark.parametrize(
    "value",
    [
        1_767_225_600, 1_767_225_600.0, 1_767_225_600_000, 1_767_225_600_000_000, 1_767_225_600_000_000_000,
        "1767225600", "1767225600000", " 1767225600 ", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000000000Z",
        "2026-01-01T08:00:00+08:00", "2026-01-01T00:00:00", "2026-01-01",
    ],
)  # fmt: skip
def test_every_spelling_of_one_moment_is_that_moment(value: object) -> None:
    assert milliseconds(value) == MOMENT


@pytest.mark.parametrize(
    "value", [None, True, 0, -1, "", "soon", "inf", "nan", [], {}, float("nan"), float("inf"), 1e300, "0001-01-01"]
)
def test_what_is_no_moment_is_none(value: object) -> None:
    assert milliseconds(value) is None


@given(st.one_of(st.text(), st.floats(), st.integers(), st.none(), st.booleans()))
def test_any_value_is_a_moment_or_none(value: object) -> None:
    found = milliseconds(value)
    assert found is None or 0 <= found < 253_402_300_800_000


def token(claims: object) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJub25lIn0.{body}.signature"


@pytest.mark.parametrize(
    ("text", "expiry"),
    [
        (token({"exp": 1_767_225_600}), MOMENT),
        (f"  {token({'exp': 1_767_225_600.5})}\n", MOMENT + 500),
        (token({"exp": "soon"}), None),
        (token({}), None),
        (token([1]), None),
        ("sk-no-token", None),
        ("a.b.c", None),
        ("..", None),
        ("a.é.c", None),
    ],
)
def test_a_token_tells_its_expiry_or_nothing(text: str, expiry: int | None) -> None:
    assert expiry_of(text) == expiry
