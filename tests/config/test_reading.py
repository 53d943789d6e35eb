"""Reading a regular file, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from open_llm_auth.config.reading import read_regular, stamp_of


def test_the_stamp_read_is_the_stamp_seen(tmp_path: Path) -> None:
    file = tmp_path / "f"
    assert stamp_of(file) is None
    file.write_bytes(b"abc")
    assert read_regular(file, 3) == (stamp_of(file), b"abc")


def test_a_change_that_keeps_size_and_time_shows(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"abc")
    before, found = stamp_of(file), file.stat()
    other = tmp_path / "g"
    other.write_bytes(b"xyz")
    os.utime(other, ns=(found.st_atime_ns, found.st_mtime_ns))
    other.replace(file)
    assert stamp_of(file) != before


def test_what_is_too_long_is_refused(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"abcd")
    with pytest.raises(ValueError, match="longer than 3"):
        read_regular(tmp_path / "f", 3)


def test_a_pipe_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="regular"):
        read_regular(tmp_path / "pipe", 3)


def test_a_device_and_a_directory_are_refused(tmp_path: Path) -> None:
    for path in (Path("/dev/zero"), tmp_path):
        with pytest.raises(ValueError, match="regular"):
            read_regular(path, 3)
