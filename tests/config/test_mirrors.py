"""Both sides of a mirror agree, whichever one was written."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.config.mirrors import merge, sync

PAIRS = [("authProfiles", "auth", "profiles"), ("authOrder", "auth", "order"), ("providers", "models", "providers")]


@pytest.mark.parametrize(("primary", "section", "name"), PAIRS)
def test_the_mirror_wins_a_clash_and_the_warning_names_both_paths(primary: str, section: str, name: str) -> None:
    data: dict[str, Any] = {primary: {"a": 1, "b": 2}, section: {name: {"b": 3, "c": 4}, "kept": True}}
    (warning,) = merge(data)
    assert f"{primary}.b" in warning
    assert f"{section}.{name}.b" in warning
    assert data[primary] == data[section][name] == {"a": 1, "b": 3, "c": 4}
    assert data[section]["kept"] is True


def test_an_absent_mirror_is_not_invented() -> None:
    data: dict[str, Any] = {"authProfiles": {"a": 1}, "auth": {"other": 1}, "models": {"mode": "merge"}}
    before = deepcopy(data)
    assert merge(data) == ()
    sync(before, data)
    assert data == before


def test_an_empty_mirror_hides_nothing() -> None:
    data: dict[str, Any] = {"authProfiles": {"a": 1}, "auth": {"profiles": {}}}
    assert merge(data) == ()
    assert data["auth"]["profiles"] == {"a": 1}


def test_both_sides_are_separate_objects() -> None:
    data: dict[str, Any] = {"providers": {"a": {"x": 1}}, "models": {"providers": {}}}
    merge(data)
    data["providers"]["a"]["x"] = 2
    assert data["models"]["providers"]["a"]["x"] == 1


CHANGES = [
    ("an entry added to the primary side", {"a": 1, "b": 2}, {"a": 1}, {"a": 1, "b": 2}),
    ("an entry added to the mirror", {"a": 1}, {"a": 1, "b": 2}, {"a": 1, "b": 2}),
    ("an entry removed from the primary side", {}, {"a": 1}, {}),
    ("an entry removed from the mirror", {"a": 1}, {}, {}),
    ("an entry changed on the primary side", {"a": 2}, {"a": 1}, {"a": 2}),
    ("an entry changed in the mirror", {"a": 1}, {"a": 2}, {"a": 2}),
    ("both changed, where the mirror wins", {"a": 3}, {"a": 2}, {"a": 2}),
    ("the primary side left out altogether", None, {"a": 2, "b": 1}, {"a": 2, "b": 1}),
]


@pytest.mark.parametrize(("what", "primary", "mirror", "result"), CHANGES)
def test_whichever_side_changed_is_heard(what: str, primary: object, mirror: object, result: object) -> None:
    before = {"authOrder": {"a": 1}, "auth": {"order": {"a": 1}}}
    after: dict[str, Any] = {"auth": {"order": mirror}} | ({"authOrder": primary} if primary is not None else {})
    sync(before, after)
    assert after["authOrder"] == after["auth"]["order"] == result, what


def test_a_mirror_that_a_change_brings_in_removes_nothing() -> None:
    after: dict[str, Any] = {"authOrder": {"a": 1}, "auth": {"order": {}}}
    sync({"authOrder": {"a": 1}}, after)
    assert after["auth"]["order"] == {"a": 1}


Entries = dict[str, int]
ENTRIES = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 2))


@given(ENTRIES, ENTRIES, ENTRIES)
def test_both_sides_are_equal_after_any_change(
    base: dict[str, int], primary: dict[str, int], mirror: dict[str, int]
) -> None:
    before = {"providers": base, "models": {"providers": base}}
    after: dict[str, Any] = {"providers": dict(primary), "models": {"providers": dict(mirror)}}
    sync(before, after)
    assert after["providers"] == after["models"]["providers"]
    if mirror == base:
        assert after["providers"] == primary
    if primary == base:
        assert after["providers"] == mirror
