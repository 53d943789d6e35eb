"""Who else can look, and what is done about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from open_llm_auth.config.privacy import make_private_directory, privacy_warnings, tighten


def test_what_others_can_look_into_is_told_with_the_repair(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text("{}")
    file.chmod(0o644)
    tmp_path.chmod(0o755)
    assert list(privacy_warnings(tmp_path, file)) == [
        f"{tmp_path} is open to other users (mode 0755). Close it with: chmod 700 {tmp_path}",
        f"{file} is open to other users (mode 0644). Close it with: chmod 600 {file}",
    ]


@pytest.mark.parametrize(("directory", "file"), [(0o700, 0o600), (0o500, 0o400), (0o700, 0o700)])
def test_what_is_private_enough_is_not(tmp_path: Path, directory: int, file: int) -> None:
    path = tmp_path / "config.json"
    path.write_text("{}")
    path.chmod(file)
    tmp_path.chmod(directory)
    assert list(privacy_warnings(tmp_path, path, tmp_path / "missing")) == []
    tmp_path.chmod(0o700)


def test_a_new_directory_is_private(tmp_path: Path) -> None:
    make_private_directory(tmp_path / "a" / "b")
    make_private_directory(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700


CASES = [
    ("home", ["gw.json", ".env", "backups", ".config.lock", "runtime_state.sqlite3-wal"], 0o755, 0o700),
    (".open_llm_auth", ["gw.json", "something else"], 0o755, 0o700),
    ("etc", ["gw.json", "passwd"], 0o755, 0o755),
    ("tmp", ["gw.json"], 0o1777, 0o1777),
    ("closed", ["gw.json", "passwd"], 0o700, 0o700),
]


@pytest.mark.parametrize(("name", "entries", "mode", "after"), CASES)
def test_a_directory_is_closed_where_it_is_ours(
    tmp_path: Path, name: str, entries: list[str], mode: int, after: int
) -> None:
    directory = tmp_path / name
    directory.mkdir()
    for entry in entries:
        (directory / entry).touch()
    directory.chmod(mode)
    tighten(directory, "gw.json")
    assert directory.stat().st_mode & 0o7777 == after


def test_a_directory_that_is_missing_is_left_alone(tmp_path: Path) -> None:
    tighten(tmp_path / "missing", "gw.json")
