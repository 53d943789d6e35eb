"""Changes to the document, on plain data."""

from __future__ import annotations

import pytest

from open_llm_auth.cli import edits
from open_llm_auth.errors import InvalidRequest


def apply(change, data):
    change(data)
    return data


def test_a_provider_keeps_what_is_not_changed():
    before = {"providers": {"x": {"baseUrl": "old", "models": [{"id": "m"}], "note": 1}}}
    after = apply(edits.put_provider("x", {"baseUrl": "new"}), before)
    assert after["providers"]["x"] == {"baseUrl": "new", "models": [{"id": "m"}], "note": 1}


def test_leave_to_be_local_adds_to_the_list_in_force():
    assert apply(edits.allow_local("x", ["a"]), {})["egressPolicy"]["allowLocalProviders"] == ["a", "x"]
    given = {"egressPolicy": {"allowLocalProviders": ["x"], "mode": "observe"}}
    assert apply(edits.allow_local("x", ["a"]), given)["egressPolicy"] == {
        "allowLocalProviders": ["x"],
        "mode": "observe",
    }


def test_an_order_that_loses_its_last_profile_is_no_order():
    data = {"authProfiles": {"a:1": {}}, "authOrder": {"a": ["a:1"], "b": ["b:1"]}}
    assert apply(edits.remove_profile("a:1"), data) == {"authProfiles": {}, "authOrder": {"b": ["b:1"]}}


def test_removing_twice_does_no_harm():
    assert apply(edits.remove_profile("a:1"), {}) == {}


@pytest.mark.parametrize("name", ["key", "subject"])
def test_a_name_in_use_is_not_given_again(name):
    data = {"authorization": {"tokens": {"key": {"id": "subject", "enabled": True}}}}
    with pytest.raises(InvalidRequest, match="exists"):
        edits.add_token(name, {})(data)


def test_a_change_can_be_applied_again_to_a_file_that_moved():
    change = edits.put_profile("openai:default", {"provider": "openai", "type": "api_key", "key": "k"})
    assert apply(change, apply(change, {})) == apply(change, {})


def test_a_profile_is_renamed_wherever_it_is_named():
    data = {
        "authProfiles": {"a:old": {"id": "a:old", "provider": "a"}, "a:other": {"provider": "a"}},
        "authOrder": {"a": ["a:other", "a:old"]},
        "authorization": {"tokens": {"ci": {"profiles": ["a:old", "b:*"]}, "no": {"scopes": []}}},
    }
    edits.rename_profile("a:old", "a:new")(data)
    assert list(data["authProfiles"]) == ["a:new", "a:other"]
    assert data["authProfiles"]["a:new"]["id"] == "a:new"
    assert data["authOrder"] == {"a": ["a:other", "a:new"]}
    assert data["authorization"]["tokens"]["ci"]["profiles"] == ["a:new", "b:*"]


def test_no_profile_is_renamed_over_another():
    data = {"authProfiles": {"a:old": {}, "a:new": {}}}
    with pytest.raises(InvalidRequest, match="already"):
        edits.rename_profile("a:old", "a:new")(data)
    assert list(data["authProfiles"]) == ["a:old", "a:new"]


SIGNED_IN = {
    "provider": "a",
    "type": "oauth",
    "access": "new",
    "metadata": {"source": "sign-in", "mayRotate": True, "surfaces": ["chat", "ui"]},
}


def test_a_sign_in_takes_the_place_of_an_earlier_one_and_keeps_what_a_person_said():
    before = {
        "provider": "a",
        "type": "oauth",
        "access": "old",
        "refresh": "old",
        "email": "old@example.test",
        "accountId": "old",
        "baseUrl": "https://old.example",
        "owner": "ann",
        "metadata": {
            "source": "sign-in",
            "plan": "old",
            "host": "old",
            "surfaces": ["ui"],
            "billing": "free",
            "mine": 1,
        },
    }
    data = {"authProfiles": {"a:b": before}}
    edits.put_sign_in("a:b", SIGNED_IN)(data)
    assert data["authProfiles"]["a:b"] == {
        "provider": "a",
        "type": "oauth",
        "access": "new",
        "owner": "ann",
        "metadata": {"source": "sign-in", "mayRotate": True, "surfaces": ["ui"], "billing": "free", "mine": 1},
    }


def test_a_sign_in_over_an_import_leaves_nothing_of_the_import():
    noted = {"source": "codex", "expiresPointer": "#/expires", "mayRotate": False, "path": "/somewhere"}
    before = {
        "provider": "a",
        "type": "oauth",
        "access": "file:/x#/y",
        "baseUrl": "https://mine.example",
        "metadata": noted,
    }
    data = {"authProfiles": {"a:b": before}}
    edits.put_sign_in("a:b", SIGNED_IN)(data)
    assert data["authProfiles"]["a:b"] == {**SIGNED_IN, "baseUrl": "https://mine.example"}
