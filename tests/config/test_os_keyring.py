"""The system's keyring, played by real backends of the `keyring` library."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import keyring
import keyring.backends.fail
import keyring.backends.null
import pytest

from open_llm_auth.auth.secrets import parse_reference
from open_llm_auth.config.os_keyring import OsKeyring
from open_llm_auth.errors import SecretUnavailable
from open_llm_auth.values import Secret

sys.path.append(str(Path(__file__).parents[1] / "keyrings"))
import fake_keyrings as fakes

REF = parse_reference("keyring:Some Service/me@example.org")


@pytest.fixture(autouse=True)
def _another_keyring_afterwards() -> Iterator[None]:
    before = keyring.get_keyring()
    yield
    keyring.set_keyring(before)


@pytest.fixture
def working(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> fakes.WorkingKeyring:
    monkeypatch.setenv("FAKE_KEYRING", str(tmp_path / "keyring.json"))
    backend = fakes.WorkingKeyring()
    keyring.set_keyring(backend)
    return backend


def test_what_is_written_is_read_and_removed(working: fakes.WorkingKeyring) -> None:
    store = OsKeyring()
    assert store.read(REF) is None
    store.write(REF, Secret("grüße 1"))
    assert working.get_password("Some Service", "me@example.org") == "grüße 1"
    assert store.read(REF) == Secret("grüße 1")
    store.remove(REF)
    store.remove(REF)
    assert store.read(REF) is None
    assert store.name()


def test_a_name_may_hold_a_slash_and_a_service_a_space(working: fakes.WorkingKeyring) -> None:
    working.set_password("a service", "b/c", "deep")
    assert OsKeyring().read(parse_reference("keyring:a service/b/c")) == Secret("deep")


def test_a_pointer_leads_into_an_entry_that_is_json(working: fakes.WorkingKeyring) -> None:
    """As Claude Code keeps its sign-in on macOS."""
    working.set_password("Claude Code-credentials", "me", '{"claudeAiOauth": {"accessToken": "at-1"}}')
    ref = "keyring:Claude Code-credentials/me#/claudeAiOauth/accessToken"
    assert OsKeyring().read(parse_reference(ref)) == Secret("at-1")
    with pytest.raises(SecretUnavailable, match="nothing stands at"):
        OsKeyring().read(parse_reference(ref.replace("accessToken", "other")))
    working.set_password("odd", "a#/b", "itself")
    assert OsKeyring().read(parse_reference("keyring:odd/a#/b")) == Secret("itself")


@pytest.mark.parametrize("place", ["", "service", "service/", "/name"])
def test_a_malformed_place_is_told(working: fakes.WorkingKeyring, place: str) -> None:
    with pytest.raises(SecretUnavailable, match="keyring:service/name"):
        OsKeyring().read(parse_reference(f"keyring:{place}"))


@pytest.mark.parametrize(
    ("backend", "words"),
    [
        (fakes.LockedKeyring, "is locked"),
        (fakes.UnopenedKeyring, "can't be opened"),
        (keyring.backends.fail.Keyring, "no keyring"),
        (keyring.backends.null.Keyring, "no keyring"),
    ],
)
def test_each_way_not_to_have_one_says_which_and_names_the_vault(backend: type, words: str) -> None:
    keyring.set_keyring(backend())
    with pytest.raises(SecretUnavailable) as caught:
        OsKeyring().read(REF)
    assert words in caught.value.message
    assert "auth secure --vault" in caught.value.message
    assert fakes.MARK not in caught.value.message


def test_what_a_keyring_refuses_to_take_is_not_repeated() -> None:
    keyring.set_keyring(fakes.LockedKeyring())
    with pytest.raises(SecretUnavailable) as caught:
        OsKeyring().write(REF, Secret("canary-of-a-write"))
    assert "canary-of-a-write" not in caught.value.message
