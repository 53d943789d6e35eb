"""The file by which processes share the health of credentials: whole at every moment, small, and never in the way."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from open_llm_auth.auth.kept import Kept, KeptCredential, KeptRest, LastError, Reset
from open_llm_auth.auth.limits import Told, Window
from open_llm_auth.config.health_file import HealthFile, health_path, read_health
from open_llm_auth.errors import ConfigUnavailable

NOW = 1_767_225_600.0


class Wall:
    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> float:
        return self.at


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return health_path(tmp_path / "home" / "config.json")


Open = Callable[..., HealthFile]


@pytest.fixture
def opened(path: Path, wall: Wall, said: list[str]) -> Open:
    """A process's hold on the file."""

    def hold(path: Path = path) -> HealthFile:
        file = HealthFile(path, now=wall.now, on_event=said.append)
        file.load()
        return file

    return hold


def news(mark: str = "a", at: float = NOW, *, level: str = "", seconds: float | None = 60.0, **fields: object) -> Kept:
    until = None if seconds is None else at + seconds
    rests = {level: KeptRest(at, "rate_limit", until, seconds, 1)}
    return Kept({mark: KeptCredential("p", mark, rests, **fields)})  # type: ignore[arg-type]


def over(mark: str, at: float, level: str = "") -> Kept:
    return Kept({mark: KeptCredential("p", mark, {level: KeptRest(at)})})


# --- sharing ------------------------------------------------------------------------------------------------------


def test_what_one_process_writes_another_hears_once(opened: Open, path: Path) -> None:
    first = opened()
    assert first.exchange(news()) is None, "what I said myself is no news"
    second = opened()
    assert second.salt == first.salt
    assert first.exchange(news("b")) is None
    assert second.exchange(Kept()) == news("b")
    assert second.exchange(Kept()) is None
    third = HealthFile(path, now=lambda: NOW, on_event=lambda _: None)
    assert third.load().credentials.keys() == {"a", "b"}


def test_everything_that_is_known_survives_the_way(opened: Open, path: Path) -> None:
    whole = Kept(
        {
            "a": KeptCredential(
                "p",
                "a",
                {"": KeptRest(NOW, "auth", None, None, 1), "model/x": KeptRest(NOW, "denied", NOW + 60, 60.0, 3)},
                NOW - 1,
                LastError(NOW, "auth", "invalid_api_key", 401, "Incorrect key"),
                Told(NOW, (Window("5h", 12.5, None, None, NOW + 60), Window("requests", None, 50.0, 0.0))),
            )
        },
        (Reset(NOW - 5, "q", "q:x"),),
    )
    opened().exchange(whole)
    found = read_health(path)
    assert found is not None
    assert found[1] == whole


def test_nothing_is_made_until_there_is_something_to_say(opened: Open, path: Path) -> None:
    file = opened()
    for _ in range(3):
        assert file.exchange(Kept()) is None
    assert not path.parent.exists()
    file.exchange(news())
    assert sorted(entry.name for entry in path.parent.iterdir()) == [".health.lock", "health.json"]


def test_nothing_is_written_when_nothing_changed(opened: Open, path: Path) -> None:
    file = opened()
    file.exchange(news())
    before = path.stat()
    for _ in range(3):
        file.exchange(Kept())
        file.exchange(news())
    assert path.stat() == before


def test_the_file_is_its_owners_alone(opened: Open, path: Path) -> None:
    opened().exchange(news())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_that_a_rest_is_over_reaches_those_who_know_it(opened: Open, wall: Wall) -> None:
    first = opened()
    first.exchange(news())
    second = opened()
    wall.at += 5
    first.exchange(over("a", wall.at))
    heard = second.exchange(Kept())
    assert heard is not None
    assert heard.credentials["a"].rests[""].kind == ""
    second.exchange(news(at=NOW + 1))
    assert first.exchange(Kept()) is None, "an older rest does not come back"


def test_a_reset_reaches_everybody_and_takes_the_rests_out_of_the_file(opened: Open, path: Path, wall: Wall) -> None:
    server = opened()
    server.exchange(news(seconds=None))
    wall.at += 1
    opened().reset(Reset(wall.at, "p", "a"))
    heard = server.exchange(Kept())
    assert heard is not None
    assert heard.resets == (Reset(NOW + 1, "p", "a"),)
    found = read_health(path)
    assert found is not None
    assert "a" not in found[1].credentials


def test_two_processes_that_began_without_a_file_agree_on_its_salt(opened: Open) -> None:
    first, second = opened(), opened()
    assert first.salt != second.salt
    first.exchange(news())
    heard = second.exchange(news("b"))
    assert heard == news(), "what was said under another salt is nobody's"
    assert second.salt == first.salt
    second.exchange(news("c"))
    assert first.exchange(Kept()) == news("c")


def test_a_clock_that_was_set_back_is_told_by_the_first_who_notices(opened: Open, path: Path, wall: Wall) -> None:
    first = opened()
    first.exchange(news(seconds=600.0))
    second = opened()
    wall.at -= 3600
    first.exchange(Kept(), set_back=3600.0)
    second.exchange(Kept(), set_back=3600.0)
    found = read_health(path)
    assert found is not None
    assert found[1].credentials["a"].rests[""] == KeptRest(NOW - 3600, "rate_limit", NOW - 3000, 600.0, 1)


# --- trouble ------------------------------------------------------------------------------------------------------

DAMAGED = [b"", b"{", b'{"version":1}', b"\x00" * 100, b'{"version":1,"salt":"zz"}', b"[" * 100_000,
           b'{"version":2,"salt":"' + b"0" * 64 + b'"}']  # fmt: skip


@pytest.mark.parametrize("raw", DAMAGED)
def test_a_damaged_file_is_told_of_once_and_written_anew(opened: Open, path: Path, said: list[str], raw: bytes) -> None:
    file = opened()
    file.exchange(news())
    path.write_bytes(raw)
    for _ in range(3):
        assert file.exchange(Kept()) is None
    assert [text for text in said if "can't be read" in text] == said[:1]
    assert len(said) == 2
    found = read_health(path)
    assert found == (file.salt, news())


@pytest.mark.parametrize("raw", DAMAGED)
def test_a_file_that_was_damaged_before_the_start_keeps_nobody_from_starting(
    opened: Open, path: Path, raw: bytes
) -> None:
    path.parent.mkdir()
    path.write_bytes(raw)
    with pytest.raises(ConfigUnavailable, match="may be removed"):
        read_health(path)
    file = opened()
    file.exchange(Kept())
    file.exchange(news())
    assert read_health(path) == (file.salt, news())


def test_a_file_that_was_removed_is_made_again(opened: Open, path: Path) -> None:
    file = opened()
    file.exchange(news())
    path.unlink()
    file.exchange(Kept())
    file.exchange(Kept())
    assert read_health(path) == (file.salt, news())


def test_what_stands_in_its_place_and_is_no_file_is_told_of_and_kept_out_of_the_way(
    opened: Open, path: Path, said: list[str]
) -> None:
    path.mkdir(parents=True)
    file = opened()
    for number in range(5):
        file.exchange(news(str(number)))
    assert len(said) == 1, said
    path.rmdir()
    file.exchange(Kept())
    found = read_health(path)
    assert found is not None
    assert len(found[1].credentials) == 5, "what could not be said then is said now"
    assert "shared" in said[-1]


def test_a_link_is_replaced_and_what_it_led_to_is_not_touched(opened: Open, path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"precious")
    path.parent.mkdir()
    path.symlink_to(other)
    file = opened()
    file.exchange(news())
    assert other.read_bytes() == b"precious"
    assert not path.is_symlink()
    assert read_health(path) == (file.salt, news())


def test_a_lock_that_stays_held_keeps_nobody_waiting_for_long(opened: Open, path: Path, said: list[str]) -> None:
    opened().exchange(news())
    file = opened()
    holder = "import fcntl, sys, time; f = open(sys.argv[1]); fcntl.flock(f, 2); print(flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", holder, path.parent / ".health.lock"], stdout=subprocess.PIPE) as held:
        assert held.stdout is not None
        held.stdout.readline()
        began = time.monotonic()
        file.exchange(news("b"))
        assert time.monotonic() - began < 5
        held.kill()
    assert len(said) == 1
    file.exchange(Kept())
    found = read_health(path)
    assert found is not None
    assert found[1].credentials.keys() == {"a", "b"}


#: Writes more than fits, then says what it was told, what it still knows, and what stands in the file.
LIMITED = """
import resource, sys, pathlib
sys.path.insert(0, sys.argv[2])
from test_health_file import NOW, news, Kept, HealthFile, read_health
path = pathlib.Path(sys.argv[1])
file = HealthFile(path, now=lambda: NOW, on_event=print)
file.load()
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
for number in range(50):
    file.exchange(news(f"mark-{number}"))
print(len(file._unsaved.credentials), len(read_health(path)[1].credentials))
"""


def test_a_disk_that_is_full_leaves_the_old_file_and_says_so_once(opened: Open, path: Path) -> None:
    opened().exchange(news())
    command = [sys.executable, "-B", "-c", LIMITED, str(path), str(Path(__file__).parent), "2048"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.splitlines()
    assert [line for line in told if "File too large" in line] == told[:1]
    unsaved, saved = map(int, told[-1].split())
    assert saved >= 1
    assert unsaved + saved >= 51, "nothing is forgotten"
    assert not list(path.parent.glob(".health-*.tmp"))


def test_a_read_only_disk_is_read_and_told_of_once(small_disk: Path, opened: Open, said: list[str]) -> None:
    path = small_disk / "health.json"
    opened(path).exchange(news())
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    file = HealthFile(path, now=lambda: NOW, on_event=said.append)
    assert file.load() == news()
    for number in range(3):
        assert file.exchange(news(f"b{number}")) is None
    assert len(said) == 1
    assert "Read-only" in said[0]
    with pytest.raises(ConfigUnavailable, match="nothing was reset"):
        opened(path).reset(Reset(NOW))


# --- real processes -----------------------------------------------------------------------------------------------

#: Tells of one credential after the other, as fast as it can, and prints each once it is told.
TELLER = """
import sys, pathlib, time
sys.path.insert(0, sys.argv[2])
from test_health_file import news, HealthFile
file = HealthFile(pathlib.Path(sys.argv[1]), now=time.time, on_event=lambda text: print("!", text, flush=True))
file.load()
for number in range(int(sys.argv[4])):
    file.exchange(news(f"{sys.argv[3]}-{number}", time.time()))
    print(f"{sys.argv[3]}-{number}", flush=True)
"""


def tell(path: Path, name: str, times: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-B", "-c", TELLER, str(path), str(Path(__file__).parent), name, str(times)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def marks(path: Path) -> set[str]:
    found = read_health(path)
    return set() if found is None else set(found[1].credentials)


def test_processes_that_write_at_once_lose_nothing(path: Path, opened: Open) -> None:
    opened().exchange(news("first"))
    tellers = [tell(path, name, 25) for name in "abcd"]
    told = {line for teller in tellers for line in teller.communicate(timeout=60)[0].split("\n") if line}
    assert len(told) == 100
    assert not any(line.startswith("!") for line in told), told
    assert told <= marks(path)


def test_a_process_that_is_killed_while_it_writes_loses_at_most_what_it_was_writing(path: Path, opened: Open) -> None:
    opened().exchange(news("first"))
    for number in range(6):
        with tell(path, f"k{number}", 10_000) as teller:
            assert teller.stdout is not None
            told = [teller.stdout.readline().strip() for _ in range(2 + 3 * number)]
            time.sleep(0.0007 * number)
            os.kill(teller.pid, signal.SIGKILL)
            told += teller.stdout.read().split("\n")[:-1]
        raw = path.read_bytes()
        assert json.loads(raw)["version"] == 1, "whole at every moment"
        assert {line for line in told if line} <= marks(path)
    opened().exchange(news("last"))
    assert "last" in marks(path)
    assert not list(path.parent.glob(".health-*.tmp")), "what a killed writer left is cleared away"
