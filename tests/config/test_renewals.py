"""A renewal's files: the sign-in rewritten in place, the lease that dies with its holder, the note that does not."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from open_llm_auth.config.file import ConfigFile
from open_llm_auth.config.renewals import FileSignIns
from open_llm_auth.config.source import LiveConfig
from open_llm_auth.errors import ConfigConflict, ConfigInvalid, ConfigUnavailable
from open_llm_auth.values import RenewalNote, Secret, SecretRef

PROFILE = "lab:default"
FIELDS: dict[str, str | int | None] = {"access": "new-access", "refresh": "new-refresh", "expires": 2_000}


def entry(**fields: Any) -> dict[str, Any]:
    return {
        "provider": "lab",
        "type": "oauth",
        "access": "old-access",
        "refresh": "old-refresh",
        "expires": 1_000,
        "madeUp": {"kept": True},
        "metadata": {"source": "own"},
        **fields,
    }


def write(home: Path, data: dict[str, Any]) -> Path:
    path = home / "config.json"
    path.write_text(json.dumps(data))
    path.chmod(0o600)
    return path


def read(home: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((home / "config.json").read_text())
    return data


def live_at(home: Path) -> LiveConfig:
    live = LiveConfig(home / "config.json", {"HOME": str(home)})
    live.load()
    return live


class Shelf:
    """A `SecretWriter` over a dictionary, that keeps the order of what was put."""

    def __init__(self, **texts: str) -> None:
        self.texts = texts
        self.puts: list[str] = []

    def fresh(self, ref: SecretRef) -> Secret:
        return Secret(self.texts[ref.place.reveal()])

    def put(self, ref: SecretRef, text: str) -> None:
        self.texts[ref.place.reveal()] = text
        self.puts.append(ref.place.reveal())


def test_a_renewal_changes_its_own_fields_and_nothing_else(tmp_path: Path) -> None:
    path = write(
        tmp_path, {"authProfiles": {PROFILE: entry(), "lab:other": entry()}, "madeUp": [1], "serverToken": "t"}
    )
    file = ConfigFile(path)
    before = file.read()
    assert file.renew(PROFILE, Secret("old-refresh"), FIELDS)
    assert read(tmp_path) == {
        "authProfiles": {PROFILE: entry(**FIELDS), "lab:other": entry()},
        "madeUp": [1],
        "serverToken": "t",
    }
    assert file.read().etag == before.etag
    assert not (tmp_path / "backups").exists()
    assert path.stat().st_mode & 0o777 == 0o600


def test_both_sides_of_the_mirror_are_renewed(tmp_path: Path) -> None:
    data = {"authProfiles": {PROFILE: entry()}, "auth": {"profiles": {PROFILE: entry()}, "order": {"lab": [PROFILE]}}}
    file = ConfigFile(write(tmp_path, data))
    assert file.renew(PROFILE, Secret("old-refresh"), FIELDS)
    assert read(tmp_path)["authProfiles"][PROFILE] == read(tmp_path)["auth"]["profiles"][PROFILE] == entry(**FIELDS)
    assert read(tmp_path)["auth"]["order"] == {"lab": [PROFILE]}
    assert file.read().warnings == ()


def test_a_profile_that_stands_in_the_mirror_alone_is_renewed_there(tmp_path: Path) -> None:
    file = ConfigFile(write(tmp_path, {"auth": {"profiles": {PROFILE: entry()}}}))
    assert file.renew(PROFILE, Secret("old-refresh"), FIELDS)
    assert read(tmp_path) == {"auth": {"profiles": {PROFILE: entry(**FIELDS)}}}


def test_the_mirror_decides_which_token_is_stored(tmp_path: Path) -> None:
    data = {"authProfiles": {PROFILE: entry()}, "auth": {"profiles": {PROFILE: entry(refresh="in-force")}}}
    file = ConfigFile(write(tmp_path, data))
    assert not file.renew(PROFILE, Secret("old-refresh"), FIELDS)
    assert read(tmp_path) == data
    assert file.renew(PROFILE, Secret("in-force"), FIELDS)


@pytest.mark.parametrize(
    "profiles", [{}, {PROFILE: entry(refresh="signed in anew")}, {PROFILE: {"provider": "lab", "type": "api_key"}}]
)
def test_what_was_replaced_or_removed_meanwhile_is_left_alone(tmp_path: Path, profiles: dict[str, Any]) -> None:
    file = ConfigFile(write(tmp_path, {"authProfiles": profiles}))
    assert not file.renew(PROFILE, Secret("old-refresh"), FIELDS)
    assert read(tmp_path) == {"authProfiles": profiles}


def test_a_field_of_none_goes(tmp_path: Path) -> None:
    file = ConfigFile(write(tmp_path, {"authProfiles": {PROFILE: entry()}}))
    assert file.renew(PROFILE, Secret("old-refresh"), {"access": "new-access", "expires": None})
    stored = read(tmp_path)["authProfiles"][PROFILE]
    assert "expires" not in stored
    assert (stored["access"], stored["refresh"]) == ("new-access", "old-refresh")


def test_what_stands_behind_a_reference_is_replaced_there_the_refresh_token_first(tmp_path: Path) -> None:
    behind = entry(access="vault:a", refresh="vault:r")
    file = ConfigFile(write(tmp_path, {"authProfiles": {PROFILE: behind}}))
    shelf = Shelf(a="old-access", r="old-refresh")
    assert not file.renew(PROFILE, Secret("another"), FIELDS, shelf)
    assert shelf.puts == []
    assert file.renew(PROFILE, Secret("old-refresh"), FIELDS, shelf)
    assert shelf.texts == {"a": "new-access", "r": "new-refresh"}
    assert shelf.puts == ["r", "a"]
    assert read(tmp_path)["authProfiles"][PROFILE] == behind | {"expires": 2_000}


def test_a_reference_that_nothing_can_write_to_is_refused_and_nothing_changes(tmp_path: Path) -> None:
    data = {"authProfiles": {PROFILE: entry(access="vault:a")}}
    file = ConfigFile(write(tmp_path, data))
    with pytest.raises(ConfigUnavailable, match="reference"):
        file.renew(PROFILE, Secret("old-refresh"), FIELDS)
    assert read(tmp_path) == data


def test_a_file_that_does_not_parse_is_not_written_over(tmp_path: Path) -> None:
    path = write(tmp_path, {})
    path.write_text("{ not json")
    with pytest.raises(ConfigInvalid):
        ConfigFile(path).renew(PROFILE, Secret("old-refresh"), FIELDS)
    assert path.read_text() == "{ not json"


def test_a_change_under_an_old_etag_is_taken_after_a_renewal_and_keeps_the_new_pair(tmp_path: Path) -> None:
    file = ConfigFile(write(tmp_path, {"authProfiles": {PROFILE: entry()}}))
    etag = file.read().etag
    assert file.renew(PROFILE, Secret("old-refresh"), FIELDS)
    file.update(lambda data: data.update(defaultModel="lab/x"), if_match=etag)
    assert read(tmp_path)["authProfiles"][PROFILE]["refresh"] == "new-refresh"
    with pytest.raises(ConfigConflict):
        file.update(lambda data: data.update(defaultModel="lab/y"), if_match=etag)


def test_the_snapshot_in_force_has_the_new_pair_though_its_etag_stays(tmp_path: Path) -> None:
    write(tmp_path, {"authProfiles": {PROFILE: entry()}})
    live = live_at(tmp_path)
    before = live.current()
    assert FileSignIns(live).store(PROFILE, Secret("old-refresh"), FIELDS)
    assert live.current().etag == before.etag
    assert live.current().profiles[PROFILE].refresh == SecretRef("literal", Secret("new-refresh"))
    assert live.current().profiles[PROFILE].expires == 2_000


def test_another_process_sees_the_new_pair_at_its_next_look(tmp_path: Path) -> None:
    write(tmp_path, {"authProfiles": {PROFILE: entry()}})
    here, there = live_at(tmp_path), live_at(tmp_path)
    assert FileSignIns(here).store(PROFILE, Secret("old-refresh"), FIELDS)
    assert there.check()
    assert there.current().profiles[PROFILE].expires == 2_000


def test_a_sign_in_is_read_as_it_stands_now(tmp_path: Path) -> None:
    write(tmp_path, {"authProfiles": {PROFILE: entry(accountId="acct")}})
    live = live_at(tmp_path)
    store = FileSignIns(live, Shelf(a="behind"))
    stored = store.read(PROFILE)
    assert stored is not None
    assert (stored.access, stored.refresh) == (Secret("old-access"), Secret("old-refresh"))
    assert (stored.expires, stored.account_id, stored.metadata) == (1_000, "acct", {"source": "own"})
    write(tmp_path, {"authProfiles": {PROFILE: entry(access="vault:a")}})
    assert (found := store.read(PROFILE)) is not None
    assert found.access == Secret("behind")
    for gone in ({}, {PROFILE: entry(refresh=None)}, {PROFILE: entry(type="token", token="t")}):
        write(tmp_path, {"authProfiles": gone})
        assert store.read(PROFILE) is None
    assert "old-access" not in repr(stored)


# --- lease and note ---


def test_one_at_a_time_holds_a_lease_and_each_sign_in_has_its_own(tmp_path: Path) -> None:
    write(tmp_path, {})
    store = FileSignIns(live_at(tmp_path))
    lease = store.try_lease(PROFILE)
    assert lease is not None
    assert store.try_lease(PROFILE) is None
    other = store.try_lease("lab:../../other")
    assert other is not None
    lease.release()
    again = store.try_lease(PROFILE)
    assert again is not None
    again.release()
    other.release()
    assert (tmp_path / "renewals").stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in (tmp_path / "renewals").iterdir())


def hold(home: Path, held: Any) -> None:
    lease = FileSignIns(live_at(home)).try_lease(PROFILE)
    held.put(lease is not None)
    signal.pause()


def test_a_lease_dies_with_its_holder(tmp_path: Path) -> None:
    write(tmp_path, {})
    context = multiprocessing.get_context("spawn")
    held = context.Queue()
    holder = context.Process(target=hold, args=(tmp_path, held))
    holder.start()
    store = FileSignIns(live_at(tmp_path))
    assert held.get(timeout=30)
    assert store.try_lease(PROFILE) is None
    assert holder.pid is not None
    os.kill(holder.pid, signal.SIGKILL)
    holder.join(30)
    lease = store.try_lease(PROFILE)
    assert lease is not None
    lease.release()


NOTE = RenewalNote(
    PROFILE, "digest", "uncertain", 1.5, 2, True, 3, 61.5, "it answered HTTP 500", "server_error", "earlier"
)


def test_a_note_is_read_as_it_was_written(tmp_path: Path) -> None:
    write(tmp_path, {})
    store = FileSignIns(live_at(tmp_path))
    lease = store.try_lease(PROFILE)
    assert lease is not None
    assert store.note(PROFILE) is None
    store.write_note(NOTE)
    assert store.note(PROFILE) == NOTE
    assert store.note("lab:other") is None
    lease.release()
    [path] = (tmp_path / "renewals").glob("*.json")
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_text())["notBefore"] == 61.5


def test_what_a_writer_that_was_killed_left_is_cleared_by_the_next(tmp_path: Path) -> None:
    write(tmp_path, {})
    store = FileSignIns(live_at(tmp_path))
    lease = store.try_lease(PROFILE)
    assert lease is not None
    store.write_note(NOTE)
    [path] = (tmp_path / "renewals").glob("*.json")
    leftover = path.parent / f".{path.stem}-x.tmp"
    leftover.write_text("half")
    store.write_note(NOTE)
    assert not leftover.exists()
    lease.release()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"profile": 5}', '{"profile": "x", "token": "t", "state": "odd"}'])
def test_a_note_that_is_none_is_refused_with_its_path(tmp_path: Path, text: str) -> None:
    write(tmp_path, {})
    store = FileSignIns(live_at(tmp_path))
    lease = store.try_lease(PROFILE)
    assert lease is not None
    lease.release()
    store.write_note(NOTE)
    [path] = (tmp_path / "renewals").glob("*.json")
    path.write_text(text)
    with pytest.raises(ConfigUnavailable, match=r"remove it") as caught:
        store.note(PROFILE)
    assert str(path) in caught.value.message


def test_a_note_follows_no_symbolic_link(tmp_path: Path) -> None:
    write(tmp_path, {})
    store = FileSignIns(live_at(tmp_path))
    lease = store.try_lease(PROFILE)
    assert lease is not None
    lease.release()
    store.write_note(NOTE)
    [path] = (tmp_path / "renewals").glob("*.json")
    path.unlink()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("precious")
    path.symlink_to(elsewhere)
    store.write_note(NOTE)
    assert elsewhere.read_text() == "precious"
