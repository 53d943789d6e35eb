"""A file replaced as one step."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from open_llm_auth.config.atomic import clear_leftovers, write_atomically


def test_the_new_bytes_are_there_and_private(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"old")
    file.chmod(0o644)
    assert write_atomically(file, b"new")
    assert file.read_bytes() == b"new"
    assert file.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["f"]


def test_a_reader_that_holds_the_old_file_keeps_the_old_bytes(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"old")
    with file.open("rb") as reader:
        write_atomically(file, b"new and longer")
        assert reader.read() == b"old"


def test_a_write_that_is_no_longer_due_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"old")
    assert not write_atomically(file, b"new", still_due=lambda: False)
    assert file.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["f"]


def test_a_write_that_fails_leaves_nothing_beside_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "inside").write_bytes(b"x")
    with pytest.raises(OSError, match="directory"):
        write_atomically(tmp_path / "d", b"new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["d"]


def test_what_a_killed_writer_left_is_cleared_and_nothing_else(tmp_path: Path) -> None:
    for name in (".config-abc.tmp", ".config.lock", "config.json", "note.tmp"):
        (tmp_path / name).write_bytes(b"x")
    clear_leftovers(tmp_path, tmp_path / "missing")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [".config.lock", "config.json", "note.tmp"]


@pytest.mark.skipif(os.geteuid() != 0, reason="ONLY ROOT can give a file away; not tested as this user")
def test_root_leaves_the_file_with_its_owner(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"old")
    os.chown(file, 12345, 12345)
    write_atomically(file, b"new")
    assert (file.stat().st_uid, file.stat().st_gid) == (12345, 12345)
