"""`file:` references with a pointer: texts of a store that another program owns, and rewrites as it likes."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from open_llm_auth.auth.secrets import parse_reference
from open_llm_auth.config.secrets_io import EnvironmentSecrets
from open_llm_auth.errors import SecretUnavailable
from open_llm_auth.testing import ManualClock


class Store:
    """A file with a token in it, and what resolves the reference to it."""

    def __init__(self, home: Path) -> None:
        self.file = home / "auth.json"
        self.clock = ManualClock(time.time())
        self.secrets = EnvironmentSecrets({"HOME": str(home)}, monotonic=self.clock.monotonic, now=self.clock.now)

    def writes(self, token: str) -> None:
        self.file.write_text(json.dumps({"tokens": {"access_token": token}}))

    def breaks(self) -> None:
        self.file.write_text('{"tokens": {"access_token": "hal')

    def read(self) -> str:
        return self.secrets.get(parse_reference("file:~/auth.json#/tokens/access_token")).reveal()

    def refuses(self) -> str:
        with pytest.raises(SecretUnavailable) as caught:
            self.read()
        return caught.value.message


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def test_a_pointer_reads_one_text_of_it(store: Store) -> None:
    store.writes("one")
    assert store.read() == "one"


def test_a_rotated_token_is_read_at_once(store: Store) -> None:
    for number in range(50):
        store.writes(f"{number:04}")  # of the same length, and often within one tick of the file system's clock
        assert store.read() == f"{number:04}"


def test_a_settled_file_is_not_read_again(store: Store) -> None:
    store.writes("one")
    os.utime(store.file, (1_000_000_000, 1_000_000_000))
    first = store.secrets.get(parse_reference("file:~/auth.json#/tokens/access_token"))
    assert store.secrets.get(parse_reference("file:~/auth.json#/tokens/access_token")) is first
    stamp = store.file.stat()
    with store.file.open("r+") as file:  # behind the back of the stamp, so that a second reading would show
        file.seek(store.file.read_text().index("one"))
        file.write("two")
    os.utime(store.file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    # the change time can't be put back, so it is read again: what differs in any part of the stamp is another state
    assert store.read() == "two"


def test_the_last_good_token_outlives_a_half_written_file_for_five_seconds(store: Store) -> None:
    store.writes("one")
    assert store.read() == "one"
    store.breaks()
    assert store.read() == "one"
    store.clock.advance(4.9)
    assert store.read() == "one"
    store.clock.advance(0.2)
    message = store.refuses()
    assert "'file:~/auth.json#/tokens/access_token'" in message
    assert "not JSON" in message
    assert "hal" not in message.replace("half", "")
    store.writes("two")
    assert store.read() == "two"


def test_each_breaking_has_five_seconds_of_its_own(store: Store) -> None:
    for token in ("one", "two", "three"):
        store.writes(token)
        assert store.read() == token
        store.breaks()
        assert store.read() == token
        store.clock.advance(4)
        assert store.read() == token


def test_a_file_that_was_never_whole_has_no_last_good_token(store: Store) -> None:
    store.breaks()
    assert "not JSON" in store.refuses()
    store.writes("one")
    assert store.read() == "one"


def test_a_whole_file_without_the_token_is_believed_at_once(store: Store) -> None:
    store.writes("one")
    assert store.read() == "one"
    store.file.write_text("{}")
    assert "nothing stands at '/tokens/access_token'" in store.refuses()
    store.file.unlink()
    assert "No such file" in store.refuses()


def test_a_file_whose_name_holds_the_mark_is_read_whole(store: Store, tmp_path: Path) -> None:
    (tmp_path / "auth.json#").mkdir()
    (tmp_path / "auth.json#" / "tokens").write_text("whole")
    assert store.secrets.get(parse_reference("file:~/auth.json#/tokens")).reveal() == "whole"
    (tmp_path / "auth.json#" / "tokens").unlink()
    store.file.write_text('{"tokens": "pointed"}')
    with pytest.raises(SecretUnavailable):
        store.secrets.get(parse_reference("file:~/auth.json#/tokens"))
    assert store.secrets.get(parse_reference("file:~/auth.json#/tokens")).reveal() == "pointed"
