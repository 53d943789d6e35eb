"""What a renewal changes, and what names a document all the same."""

from __future__ import annotations

import json
from typing import Any

import pytest

from open_llm_auth.config.document import etag_of
from open_llm_auth.config.volatile import VOLATILE, entries_of, without_renewals

PROFILE = {"provider": "lab", "type": "oauth", "access": "a", "refresh": "r", "expires": 1, "note": "kept"}


def etag(data: dict[str, Any]) -> str:
    return etag_of(json.dumps(data).encode(), data)


@pytest.mark.parametrize("name", sorted(VOLATILE))
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_renewal_leaves_the_etag(name: str, mirrored: bool) -> None:
    def document(entry: dict[str, Any]) -> dict[str, Any]:
        return {"auth": {"profiles": {"lab:x": entry}}} if mirrored else {"authProfiles": {"lab:x": entry}}

    changed = 2 if name == "expires" else "other"
    assert etag(document(PROFILE)) == etag(document(PROFILE | {name: changed}))
    assert etag(document(PROFILE)) != etag(document(PROFILE | {"note": "changed"}))
    assert etag(document(PROFILE)) != etag({**document(PROFILE), "serverToken": "x"})


@pytest.mark.parametrize(
    "entry",
    [
        {"provider": "lab", "type": "api_key", "key": "k", "baseUrl": "a"},
        {"provider": "lab", "type": "oauth", "access": "a"},
        {"provider": "lab", "type": "oauth", "access": "a", "refresh": ""},
    ],
)
def test_the_etag_changes_with_every_field_of_what_is_never_renewed(entry: dict[str, Any]) -> None:
    assert without_renewals({"authProfiles": {"lab:x": entry}}) is None
    for name in entry:
        assert etag({"authProfiles": {"lab:x": entry}}) != etag({"authProfiles": {"lab:x": entry | {name: "other"}}})


def test_a_document_without_sign_ins_is_named_by_its_bytes() -> None:
    assert etag_of(b"{}", {}) == etag_of(b"{}") != etag_of(b"{ }", {})


def test_leaving_renewals_out_changes_no_document() -> None:
    data = {"authProfiles": {"lab:x": dict(PROFILE)}, "auth": {"profiles": {"lab:x": dict(PROFILE)}, "order": {}}}
    before = json.dumps(data)
    settled = without_renewals(data)
    assert json.dumps(data) == before
    assert settled is not None
    assert settled["auth"]["order"] == {}
    assert set(settled["authProfiles"]["lab:x"]) == {"provider", "type", "note"}


def test_the_entry_in_force_is_the_last_one() -> None:
    data = {"authProfiles": {"lab:x": {"a": 1}}, "auth": {"profiles": {"lab:x": {"a": 2}, "lab:y": {"a": 3}}}}
    assert entries_of(data, "lab:x") == [{"a": 1}, {"a": 2}]
    assert entries_of(data, "lab:y") == [{"a": 3}]
    assert entries_of(data, "lab:z") == []
    assert entries_of({"authProfiles": None, "auth": "odd"}, "lab:x") == []
