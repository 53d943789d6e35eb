"""One writer at a time, and none that outlives its process."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from open_llm_auth.config.lock import locked
from open_llm_auth.errors import ConfigUnavailable

HOLDER = """
import sys, pathlib
from open_llm_auth.config.lock import locked
with locked(pathlib.Path(sys.argv[1]), 5):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_lock_held_elsewhere_is_named_after_a_bounded_wait(tmp_path: Path) -> None:
    path = tmp_path / ".config.lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(ConfigUnavailable, match=r"\.config\.lock.*0\.05 s"), locked(path, 0.05):
            pass
        holder.kill()
        holder.wait()
        with locked(path, 5):
            pass


def test_threads_exclude_one_another(tmp_path: Path) -> None:
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        for _ in range(5):
            with locked(tmp_path / "lock", 30):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 20
    assert max(most) == 1


def test_a_lock_file_that_was_tidied_away_still_excludes(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with locked(path, 1):
        path.unlink()
        # whoever comes now makes a new file; the first holder is the only one it does not exclude
        with locked(path, 1), pytest.raises(ConfigUnavailable), locked(path, 0.02):
            pass
    assert not path.is_symlink()


def test_an_error_within_the_block_frees_the_lock(tmp_path: Path) -> None:
    with pytest.raises(KeyError), locked(tmp_path / "lock", 1):
        raise KeyError
    with locked(tmp_path / "lock", 0):
        pass


def test_a_lock_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"), locked(tmp_path / "lock", 0):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_the_lock_file_is_private(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with locked(tmp_path / "lock", 0):
            assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(before)
