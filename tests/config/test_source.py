"""The snapshot in force follows the file, and a broken file changes nothing."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from open_llm_auth.config.document import Document
from open_llm_auth.config.file import ConfigFile
from open_llm_auth.config.source import LiveConfig
from open_llm_auth.errors import ConfigInvalid, ConfigUnavailable, InternalError
from open_llm_auth.policy.access import digest


class World:
    """A config file under a clock that runs far ahead, so that what is written counts as settled."""

    def __init__(self, path: Path, environ: dict[str, str] | None = None) -> None:
        self.path = path
        self.time = 4_000_000_000.0
        self.told: list[str] = []
        self.live = LiveConfig(path, environ or {}, now=lambda: self.time, interval=0.01, on_event=self.told.append)

    def write(self, content: str | dict[str, Any]) -> None:
        fresh = self.path.with_name("fresh")
        fresh.write_text(content if isinstance(content, str) else json.dumps(content))
        fresh.chmod(0o600)
        fresh.replace(self.path)


@pytest.fixture
def world(tmp_path: Path) -> World:
    tmp_path.chmod(0o700)
    return World(tmp_path / "config.json")


def test_nothing_is_in_force_before_it_is_loaded(world: World) -> None:
    with pytest.raises(InternalError):
        world.live.current()


def test_a_missing_file_at_the_start_is_an_empty_config_and_one_that_appears_is_loaded(world: World) -> None:
    snapshot = world.live.load()
    assert snapshot is world.live.current()
    assert world.live.fault() is None
    assert world.live.check() is False
    world.write({"defaultModel": "a/b"})
    assert world.live.check() is True
    assert world.live.current().default_model == "a/b"


@pytest.mark.parametrize("content", ["{", "", '{"server": {"port": "x"}}', '{"authorization": {"tokens": []}}'])
def test_a_broken_file_at_the_start_is_raised(world: World, content: str) -> None:
    world.write(content)
    with pytest.raises(ConfigInvalid):
        world.live.load()


def test_twin_tokens_at_the_start_are_raised(world: World) -> None:
    world.write({"authorization": {"tokens": {"a": {"token": "t"}}}, "serverToken": "t"})
    with pytest.raises(ConfigInvalid, match="same secret"):
        world.live.load()


def test_an_unchanged_file_is_not_read_again(world: World) -> None:
    world.write({"x": 1})
    first = world.live.load()
    assert world.live.check() is False
    assert world.live.current() is first


FAULTS = [
    ("{", None, "line 1"),
    ('{"server": {"port": "x"}}', "server.port", "server.port must be"),
    ('{"serverToken": "t", "authorization": {"tokens": {"a": {"token": "t"}}}}', "serverToken", "same secret"),
]


@pytest.mark.parametrize(("content", "path", "words"), FAULTS)
def test_a_broken_file_leaves_the_last_good_snapshot_in_force(
    world: World, content: str, path: str | None, words: str
) -> None:
    world.write({"defaultModel": "a/b"})
    good = world.live.load()
    world.write(content)
    assert world.live.check() is False
    assert world.live.current() is good
    fault = world.live.fault()
    assert fault is not None
    assert (fault.path, fault.since) == (path, world.time)
    assert words in fault.message
    world.time += 60
    world.live.check()
    assert world.live.fault() is fault
    world.write({"defaultModel": "a/c"})
    assert world.live.check() is True
    assert world.live.fault() is None
    assert world.live.current().default_model == "a/c"


def test_a_fault_is_told_once_when_it_begins_and_once_when_it_ends(world: World) -> None:
    world.write({"defaultModel": "a/b"})
    world.live.load()
    for content in ('{"server": {"port": "x"}}', "{"):
        world.write(content)
        for _ in range(3):
            world.live.check()
    assert ["server.port must be" in world.told[0], "line 1" in world.told[1], len(world.told)] == [True, True, 2]
    world.write({"defaultModel": "a/b"})
    world.live.check()
    world.live.check()
    assert world.told[2:] == ["the config is in force again"]


def test_only_warnings_that_a_change_brought_are_told(world: World) -> None:
    dotenv = world.path.with_name(".env")
    dotenv.write_text("nonsense")
    dotenv.chmod(0o600)
    assert world.live.load().warnings
    assert world.told == []
    dotenv.write_text("nonsense\nA=1\nmore sk-1234 of it")
    world.live.check()
    assert len(world.told) == 1
    assert world.told[0].startswith("warning: ")
    assert "line 3 is not NAME=value" in world.told[0]
    assert "sk-1234" not in world.told[0]


def test_a_file_that_vanishes_is_a_fault_until_it_is_back(world: World) -> None:
    world.write({"defaultModel": "a/b"})
    good = world.live.load()
    kept = world.path.rename(world.path.with_name("kept"))
    assert world.live.check() is False
    assert world.live.current() is good
    fault = world.live.fault()
    assert fault is not None
    assert "has vanished" in fault.message
    kept.rename(world.path)
    world.live.check()
    assert world.live.fault() is None
    assert world.live.current().default_model == "a/b"


def test_a_file_that_turns_unreadable_is_a_fault(world: World) -> None:
    world.write({"x": 1})
    world.live.load()
    world.path.unlink()
    world.path.mkdir()
    world.live.check()
    fault = world.live.fault()
    assert fault is not None
    assert "not a regular file" in fault.message


def test_a_directory_that_cannot_be_looked_into_is_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigUnavailable):
        LiveConfig(tmp_path / "file" / "config.json", {}).load()


def test_a_changed_dotenv_file_makes_a_new_snapshot_with_another_etag(world: World) -> None:
    world.write({"authorization": {"tokens": {"ci": {"token": "env:CI", "scopes": ["read"]}}}})
    first = world.live.load()
    assert first.tokens.callers == {}
    dotenv = world.path.with_name(".env")
    dotenv.write_text("CI=t\n")
    dotenv.chmod(0o600)
    assert world.live.check() is True
    second = world.live.current()
    assert set(second.tokens.callers) == {digest("t")}
    assert first.etag != second.etag
    dotenv.write_text("CI=u  \nnonsense")
    assert world.live.check() is True
    assert any("line 2 is not NAME=value" in warning for warning in world.live.current().warnings)
    dotenv.unlink()
    assert world.live.check() is True
    assert world.live.current().etag == first.etag


def test_a_dotenv_file_that_others_can_read_is_told(world: World) -> None:
    dotenv = world.path.with_name(".env")
    dotenv.write_text("A=1")
    dotenv.chmod(0o644)
    assert f"{dotenv} is open to other users" in world.live.load().warnings[0]


def test_a_second_change_within_one_tick_of_the_clock_is_seen(world: World) -> None:
    world.write({"defaultModel": "a/b"})
    found = world.path.stat()
    world.time = found.st_mtime + 0.001
    world.live.load()
    # in place, of the same length, with the same times: only reading shows it
    with world.path.open("r+") as file:
        file.write(json.dumps({"defaultModel": "a/c"}))
    os.utime(world.path, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert world.live.check() is True
    assert world.live.current().default_model == "a/c"


class CountingFile(ConfigFile):
    """Counts how often it is read."""

    reads = 0

    def read(self) -> Document:
        self.reads += 1
        return super().read()


def test_a_file_from_the_future_is_not_read_for_ever(world: World) -> None:
    world.write({"x": 1})
    world.live.file = file = CountingFile(world.path)
    world.time = world.path.stat().st_mtime - 3600
    world.live.load()
    for _ in range(3):
        assert world.live.check() is False
    assert file.reads == 1
    world.write({"defaultModel": "a/b"})
    assert world.live.check() is True


def test_what_the_gateway_writes_itself_is_in_force_after_a_check(world: World) -> None:
    world.live.load()
    world.live.file.update(lambda data: data.update(defaultModel="a/b"))
    assert world.live.check() is True
    assert world.live.current().default_model == "a/b"


async def until(happened: Callable[[], bool]) -> None:
    """Two seconds, as the contract has it."""
    for _ in range(200):
        if happened():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError


async def test_a_change_is_in_force_soon_without_being_asked(world: World) -> None:
    world.live.load()
    watching = asyncio.create_task(world.live.watch())
    world.write({"defaultModel": "a/b"})
    await until(lambda: world.live.current().default_model == "a/b")
    world.write("{")
    await until(lambda: world.live.fault() is not None)
    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching
    assert world.live.current().default_model == "a/b"


def test_a_reader_never_sees_half_a_swap(world: World) -> None:
    """What was read before stays whole: a call keeps the snapshot it began with."""
    world.write({"defaultModel": "a/b", "server": {"port": 1}})
    before = world.live.load()
    world.write({"defaultModel": "a/c", "server": {"port": 2}})
    world.live.check()
    after = world.live.current()
    assert (before.default_model, before.server.port) == ("a/b", 1)
    assert (after.default_model, after.server.port) == ("a/c", 2)
