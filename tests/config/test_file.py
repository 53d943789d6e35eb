"""The config file: read whole, changed under a lock, never clobbered."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from open_llm_auth.config.document import etag_of
from open_llm_auth.config.file import ConfigFile
from open_llm_auth.errors import ConfigConflict, ConfigInvalid, ConfigUnavailable, GatewayError, UnsafeDestination


@pytest.fixture
def file(tmp_path: Path) -> ConfigFile:
    return ConfigFile(tmp_path / "home" / "config.json", wait=5)


def write(file: ConfigFile, content: bytes | dict[str, Any]) -> None:
    file.path.parent.mkdir(mode=0o700, exist_ok=True)
    file.path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    file.path.chmod(0o600)


def on_disk(file: ConfigFile) -> Any:
    return json.loads(file.path.read_bytes())


def backups(file: ConfigFile) -> list[Path]:
    return sorted((file.path.parent / "backups").iterdir())


def setter(key: str, value: Any) -> Any:
    return lambda data: data.update({key: value})


# --- reading ---------------------------------------------------------------------------------------------------


def test_a_missing_file_is_an_empty_document(file: ConfigFile) -> None:
    document = file.read()
    assert (document.data, document.exists, document.warnings) == ({}, False, ())
    assert not file.path.parent.exists()


def test_the_etag_is_that_of_the_bytes(file: ConfigFile) -> None:
    write(file, b'{"a": 1}')
    first = file.read().etag
    assert first == etag_of(b'{"a": 1}')
    write(file, b'{"a": 2}')
    assert file.read().etag != first


def test_a_file_that_does_not_parse_or_validate_names_itself_and_the_place(file: ConfigFile) -> None:
    write(file, b'{"a": }')
    with pytest.raises(ConfigInvalid, match=r"config\.json is not valid JSON.*line 1, column 7"):
        file.read()
    write(file, {"server": {"port": "x"}})
    with pytest.raises(ConfigInvalid, match=r"config\.json is not valid: server\.port must be") as caught:
        file.read()
    assert caught.value.param == "server.port"


def test_a_clash_of_mirrors_is_a_warning_that_names_both_paths(file: ConfigFile) -> None:
    entry = {"provider": "openai", "type": "api_key", "key": "one"}
    write(file, {"authProfiles": {"a": entry}, "auth": {"profiles": {"a": {**entry, "key": "two"}}}})
    document = file.read()
    assert document.data["authProfiles"]["a"]["key"] == "two"
    assert "authProfiles.a and auth.profiles.a" in document.warnings[0]


def test_a_fault_behind_a_mirror_is_told_where_it_was_written(file: ConfigFile) -> None:
    write(file, {"auth": {"profiles": {"a": {"provider": "openai", "type": "x"}}}})
    with pytest.raises(ConfigInvalid) as caught:
        file.read()
    assert caught.value.param == "auth.profiles.a.type"


def test_wide_permissions_are_a_warning_and_tightened_at_the_next_write(file: ConfigFile) -> None:
    write(file, {"x": 1})
    file.path.chmod(0o644)
    file.path.parent.chmod(0o755)
    warnings = file.read().warnings
    assert "(mode 0755)" in warnings[0]
    assert "(mode 0644)" in warnings[1]
    assert file.update(setter("x", 2)).warnings == ()
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert file.path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(("variable", "after"), [("OPEN_LLM_AUTH_HOME", 0o700), ("OPEN_LLM_AUTH_CONFIG", 0o755)])
def test_a_named_home_is_closed_whatever_else_is_in_it_and_the_place_of_a_named_file_is_not(
    tmp_path: Path, variable: str, after: int
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o755)
    (home / "notes.txt").touch()
    named = home if variable == "OPEN_LLM_AUTH_HOME" else home / "config.json"
    file = ConfigFile(home / "config.json", environ={"HOME": str(tmp_path), variable: str(named)})
    file.update(setter("x", 1))
    assert home.stat().st_mode & 0o777 == after


@pytest.mark.parametrize("content", ["directory", "pipe", "loop"])
def test_what_is_no_file_is_never_read_nor_replaced(file: ConfigFile, content: str) -> None:
    file.path.parent.mkdir()
    {
        "directory": file.path.mkdir,
        "pipe": lambda: os.mkfifo(file.path),
        "loop": lambda: file.path.symlink_to(file.path),
    }[content]()
    with pytest.raises(ConfigUnavailable):
        file.read()
    with pytest.raises(ConfigUnavailable):
        file.update(setter("x", 1))
    assert not file.path.is_file()


# --- changing --------------------------------------------------------------------------------------------------


def test_the_first_write_makes_a_private_file_in_a_private_directory(file: ConfigFile) -> None:
    document = file.update(setter("serverToken", "t"))
    assert document.exists
    assert document.data == on_disk(file) == {"serverToken": "t"}
    assert document.etag == file.read().etag
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert file.path.parent.stat().st_mode & 0o777 == 0o700
    assert not (file.path.parent / "backups").exists()


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"a": 1, "a": 2}', b"\xff", b'{"server": {"port": "x"}}', b'{"a": NaN}']
)
def test_a_file_that_could_not_be_read_is_never_overwritten(file: ConfigFile, content: bytes) -> None:
    write(file, content)
    with pytest.raises(ConfigInvalid):
        file.update(setter("x", 1))
    assert file.path.read_bytes() == content


def test_an_invalid_change_writes_nothing(file: ConfigFile) -> None:
    write(file, {"x": 1})
    before = file.path.read_bytes()
    with pytest.raises(ConfigInvalid) as caught:
        file.update(setter("server", {"port": "x"}))
    assert caught.value.param == "server.port"
    assert file.path.read_bytes() == before
    assert not (file.path.parent / "backups").exists()


def test_twin_tokens_are_not_written_as_the_next_start_would_refuse_them(file: ConfigFile) -> None:
    file.update(setter("serverToken", "t"))
    with pytest.raises(ConfigInvalid, match="same secret"):
        file.update(setter("authorization", {"tokens": {"a": {"token": "t"}}}))
    assert on_disk(file) == {"serverToken": "t"}


def test_a_change_that_raises_writes_nothing(file: ConfigFile) -> None:
    write(file, {"x": 1})

    def change(data: dict[str, Any]) -> None:
        data.clear()
        raise KeyError("x")

    with pytest.raises(KeyError):
        file.update(change)
    assert on_disk(file) == {"x": 1}


def test_a_change_of_nothing_writes_nothing(file: ConfigFile) -> None:
    write(file, b'{"x":1}')
    document = file.update(lambda data: None)
    assert file.path.read_bytes() == b'{"x":1}'
    assert document.etag == file.read().etag
    assert not (file.path.parent / "backups").exists()


def test_a_change_of_type_alone_is_a_change(file: ConfigFile) -> None:
    write(file, {"x": 1})
    file.update(setter("x", True))
    assert on_disk(file)["x"] is True


def test_both_sides_of_a_mirror_are_written_equal(file: ConfigFile, full: dict[str, Any]) -> None:
    write(file, full)
    file.update(lambda data: data["authOrder"].update(anthropic=["anthropic:setup"]))
    found = on_disk(file)
    assert found["authProfiles"] == found["auth"]["profiles"] == full["authProfiles"]
    assert found["authOrder"] == found["auth"]["order"]
    assert found["authOrder"]["anthropic"] == ["anthropic:setup"]
    assert found["providers"] == found["models"]["providers"]


def test_a_profile_removed_on_one_side_stays_removed(file: ConfigFile, full: dict[str, Any]) -> None:
    write(file, full)
    file.update(setter("x", 1))
    file.update(lambda data: data["authProfiles"].pop("openai:default"))
    found = on_disk(file)
    assert "openai:default" not in found["authProfiles"]
    assert "openai:default" not in found["auth"]["profiles"]


def test_a_whole_document_may_be_put_in_place(file: ConfigFile) -> None:
    write(file, {"x": 1, "auth": {"profiles": {}}})

    def replace(data: dict[str, Any]) -> None:
        data.clear()
        data.update(y=2)

    assert file.update(replace).data == {"y": 2}


def test_a_stale_match_is_a_conflict_and_a_fresh_one_is_not(file: ConfigFile) -> None:
    etag = file.update(setter("x", 1)).etag
    newer = file.update(setter("x", 2), if_match=etag).etag
    with pytest.raises(ConfigConflict) as caught:
        file.update(setter("x", 3), if_match=etag)
    assert caught.value.status == 409
    assert caught.value.details == {"etag": newer}
    assert on_disk(file) == {"x": 2}


def test_a_forbidden_destination_is_not_written(file: ConfigFile) -> None:
    with pytest.raises(UnsafeDestination) as caught:
        file.update(setter("providers", {"my-llm": {"baseUrl": "http://127.0.0.1:9"}}))
    assert caught.value.details == {
        "provider": "my-llm",
        "scheme": "http",
        "host": "127.0.0.1",
        "reason": "insecure_http_forbidden",
        "phase": "config_write",
    }
    assert not file.path.exists()


def test_a_forbidden_destination_that_stands_there_already_hinders_no_other_change(file: ConfigFile) -> None:
    write(file, {"providers": {"my-llm": {"baseUrl": "http://127.0.0.1:9"}}})
    assert file.update(setter("x", 1)).data["x"] == 1


def test_the_same_write_may_open_the_policy_for_its_provider(file: ConfigFile) -> None:
    def change(data: dict[str, Any]) -> None:
        data["providers"] = {"my-llm": {"baseUrl": "http://127.0.0.1:9"}}
        data["egressPolicy"] = {"allowLocalProviders": ["my-llm"]}

    file.update(change)


@pytest.mark.parametrize("place", ["environment", "dotenv"])
def test_the_environment_overrides_the_policy_at_write_too(tmp_path: Path, place: str) -> None:
    variables = {"OPEN_LLM_AUTH_ALLOW_LOCALHOST_EGRESS": "1", "OPEN_LLM_AUTH_ALLOW_INSECURE_EGRESS_HTTP": "1"}
    if place == "dotenv":
        (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
    file = ConfigFile(tmp_path / "config.json", environ=variables if place == "environment" else {})
    file.update(setter("providers", {"my-llm": {"baseUrl": "http://127.0.0.1:9"}}))


def test_a_few_dated_backups_are_kept(file: ConfigFile) -> None:
    moments = iter(range(1_800_000_000, 1_800_000_100))
    file = ConfigFile(file.path, now=lambda: float(next(moments)))
    for number in range(9):
        file.update(setter("x", number))
    found = backups(file)
    assert [json.loads(path.read_bytes())["x"] for path in found] == [3, 4, 5, 6, 7]
    assert found[0].name == "config-20270115T080003.000000Z.json"
    assert {path.stat().st_mode & 0o777 for path in found} == {0o600}
    assert (file.path.parent / "backups").stat().st_mode & 0o777 == 0o700


def test_the_backups_of_another_file_in_the_same_directory_are_left_alone(tmp_path: Path) -> None:
    other, file = ConfigFile(tmp_path / "gw-b[1].json"), ConfigFile(tmp_path / "gw.json")
    for number in range(8):
        other.update(setter("x", number))
        file.update(setter("x", number))
    names = [path.name for path in backups(file)]
    assert sum(name.startswith("gw-b[1]-") for name in names) == 5
    assert len(names) == 10


@pytest.mark.skipif(os.geteuid() != 0, reason="ONLY ROOT can give files away; not tested as this user")
def test_root_shuts_nobody_out_of_their_own_home(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    os.chown(tmp_path, 12345, 12345)
    file = ConfigFile(tmp_path / "home" / "config.json")
    file.update(setter("x", 1))
    file.update(setter("x", 2))
    assert {path.stat().st_uid for path in [file.path.parent, *file.path.parent.rglob("*")]} == {12345}


def test_a_symbolic_link_is_kept_and_its_target_changes(tmp_path: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    target = tmp_path / "dotfiles" / "gateway.json"
    target.write_text('{"x": 1}')
    link = tmp_path / "home" / "config.json"
    link.parent.mkdir()
    link.symlink_to(Path("../dotfiles/gateway.json"))
    ConfigFile(link).update(setter("x", 2))
    assert link.is_symlink()
    assert json.loads(target.read_bytes()) == {"x": 2}
    assert len(list((tmp_path / "home" / "backups").iterdir())) == 1


def test_a_link_to_nothing_yet_makes_its_target(tmp_path: Path) -> None:
    link = tmp_path / "config.json"
    link.symlink_to(tmp_path / "later.json")
    assert ConfigFile(link).read().exists is False
    ConfigFile(link).update(setter("x", 1))
    assert link.is_symlink()
    assert (tmp_path / "later.json").is_file()


def test_an_edit_by_hand_in_between_is_not_lost(file: ConfigFile) -> None:
    write(file, {"count": 0})
    calls: list[int] = []

    def change(data: dict[str, Any]) -> None:
        calls.append(1)
        data["count"] += 1
        if len(calls) == 1:  # an editor knows of no lock
            write(file, {"count": 10, "by": "hand"})

    file.update(change)
    assert on_disk(file) == {"count": 11, "by": "hand"}
    assert len(calls) == 2


def test_a_file_that_never_settles_is_given_up_on(file: ConfigFile) -> None:
    write(file, {"count": 0})
    numbers = iter(range(1000))

    def change(data: dict[str, Any]) -> None:
        data["x"] = 1
        write(file, {"count": next(numbers)})

    with pytest.raises(ConfigUnavailable, match="keeps changing"):
        file.update(change)
    assert "x" not in on_disk(file)


def test_unknown_keys_survive_at_every_level(file: ConfigFile, full: dict[str, Any]) -> None:
    maps = {"authProfiles", "authOrder", "providers", "oauth", "profiles", "order", "tokens", "headers"}

    def plant(value: Any, name: str = "") -> int:
        inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        planted = sum(plant(each, str(key)) for key, each in inner)
        if isinstance(value, dict) and name not in maps:
            value["xUnknown"] = {"kept": [1, None, "ü"]}
            planted += 1
        return planted

    assert plant(full) > 20
    write(file, full)
    file.update(setter("defaultModel", "openai/other"))
    found = on_disk(file)
    full["defaultModel"] = "openai/other"
    full["auth"].update(profiles=full["authProfiles"], order=full["authOrder"])
    full["models"]["providers"] = full["providers"]
    assert found == full


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
EXTRA = st.dictionaries(st.text(min_size=1, max_size=6).map(lambda text: "x" + text), JSON, max_size=3)
PROFILES = st.dictionaries(
    st.text(min_size=1, max_size=8),
    st.fixed_dictionaries({"provider": st.just("openai"), "type": st.sampled_from(["api_key", "oauth"])}),
    max_size=3,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(EXTRA, EXTRA, PROFILES, EXTRA)
def test_read_modify_write_loses_nothing(
    tmp_path: Path, top: dict[str, Any], server: dict[str, Any], profiles: dict[str, Any], later: dict[str, Any]
) -> None:
    file = ConfigFile(tmp_path / "home" / "config.json")
    write(file, {"server": server, "authProfiles": profiles, "auth": {"profiles": {}}} | top)
    later["xLater"] = True
    file.update(lambda data: data["server"].update(later))
    found = on_disk(file)
    assert found.pop("auth")["profiles"] == found["authProfiles"] == profiles
    assert json.dumps(found) == json.dumps({"server": server | later, "authProfiles": profiles} | top)


# --- several at once -------------------------------------------------------------------------------------------

COUNTER = """
import sys, pathlib
from open_llm_auth.config.file import ConfigFile
name = sys.argv[2]
file = ConfigFile(pathlib.Path(sys.argv[1]), wait=60)
def change(data):
    data["total"] = data.get("total", 0) + 1
    data.setdefault("seen", {}).setdefault(name, []).append(data["total"])
print("ready", flush=True)
sys.stdin.readline()
for _ in range(100):
    file.update(change)
"""


def test_two_processes_that_write_at_once_lose_nothing(file: ConfigFile) -> None:
    command = [sys.executable, "-c", COUNTER, str(file.path)]
    writers = [
        subprocess.Popen([*command, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE) for name in ("one", "two")
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
    for writer in writers:
        writer.communicate(b"\n", timeout=100)
    assert [writer.returncode for writer in writers] == [0, 0]
    found = on_disk(file)
    assert found["total"] == 200
    assert sorted(found["seen"]["one"] + found["seen"]["two"]) == list(range(1, 201))
    assert len(backups(file)) == 5


def test_threads_that_write_at_once_lose_nothing(file: ConfigFile) -> None:
    def change(data: dict[str, Any]) -> None:
        data["total"] = data.get("total", 0) + 1

    threads = [threading.Thread(target=lambda: [file.update(change) for _ in range(10)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert on_disk(file)["total"] == 40


def test_a_lock_that_stays_held_is_named(file: ConfigFile) -> None:
    file = ConfigFile(file.path, wait=0.05)
    seen: list[GatewayError] = []

    def change(data: dict[str, Any]) -> None:
        with pytest.raises(ConfigUnavailable) as caught:
            file.update(lambda data: None)
        seen.append(caught.value)

    file.update(change)
    assert str(file.path.parent / ".config.lock") in seen[0].message


# --- a disk that fails -----------------------------------------------------------------------------------------

LIMITED = """
import resource, sys, pathlib
from open_llm_auth.config.file import ConfigFile
from open_llm_auth.errors import ConfigUnavailable
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    ConfigFile(pathlib.Path(sys.argv[1])).update(lambda data: data.update(x="y" * 8000))
except ConfigUnavailable as error:
    print(error.message)
"""


def test_a_write_cut_short_leaves_the_old_file_and_no_other(file: ConfigFile) -> None:
    write(file, {"x": 1})
    command = [sys.executable, "-B", "-c", LIMITED, str(file.path)]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert "File too large" in told
    assert "ulimit" in told
    assert on_disk(file) == {"x": 1}
    assert sorted(entry.name for entry in file.path.parent.iterdir()) == [".config.lock", "backups", "config.json"]


def test_a_full_disk_leaves_the_old_file_and_no_other(small_disk: Path) -> None:
    file = ConfigFile(small_disk / "config.json")
    file.update(setter("x", 1))
    with pytest.raises(ConfigUnavailable, match=r"No space left.*free some space"):
        file.update(setter("x", "y" * 100_000))
    assert on_disk(file) == {"x": 1}
    assert not list(small_disk.rglob("*.tmp"))
    file.update(setter("x", 2))
    assert on_disk(file) == {"x": 2}


def test_a_read_only_disk_leaves_the_old_file_and_says_the_way_out(small_disk: Path) -> None:
    file = ConfigFile(small_disk / "config.json")
    file.update(setter("x", 1))
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(ConfigUnavailable, match=r"Read-only.*OPEN_LLM_AUTH_HOME"):
        file.update(setter("x", 2))
    assert file.read().data == {"x": 1}


# --- a process that is killed ----------------------------------------------------------------------------------

#: Forks once for each step and lets the child kill itself there; a step is one line of this room's writing modules.
KILLER = """
import json, os, pathlib, random, signal, sys
from open_llm_auth.config.file import ConfigFile
path, runs, seed = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
file = ConfigFile(path, wait=5)
writing = {"file.py", "atomic.py", "lock.py", "privacy.py"}
number = lambda data: data.get("number", 0)
change = lambda data: data.update(number=number(data) + 1, padding="x" * 20000)
file.update(change)
file.update(change)

def attempt(stop):
    steps = 0
    def trace(frame, event, arg):
        nonlocal steps
        if os.path.basename(frame.f_code.co_filename) not in writing:
            return None
        steps += event == "line"
        if steps == stop:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace
    sys.settrace(trace)
    file.update(change)
    sys.settrace(None)
    return steps

def check(before):
    data = json.loads(path.read_bytes())
    assert number(data) in (before, before + 1) and len(data["padding"]) == 20000, data
    for backup in (path.parent / "backups").glob("*.json"):
        json.loads(backup.read_bytes())
    return number(data)

total = attempt(None)
steps = list(range(1, total + 1))
random.Random(seed).shuffle(steps)
killed = moved = 0
for stop in steps[:runs]:
    before = number(file.read().data)
    child = os.fork()
    if child == 0:
        attempt(stop)
        os._exit(0)
    killed += os.WIFSIGNALED(os.waitpid(child, 0)[1])
    moved += check(before) - before
after = number(file.update(change).data)
left = [str(entry) for entry in path.parent.rglob("*.tmp")]
print(json.dumps({"total": total, "killed": killed, "moved": moved, "left": left, "after": after}))
"""


def test_a_writer_killed_at_any_step_leaves_the_old_file_or_the_new(file: ConfigFile) -> None:
    """A seeded slice of the steps; `CHAOS_RUNS` says how many, `CHAOS_SEED` which."""
    runs, seed = os.environ.get("CHAOS_RUNS", "60"), os.environ.get("CHAOS_SEED", "7")
    command = [sys.executable, "-c", KILLER, str(file.path), runs, seed]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["killed"] == min(int(runs), told["total"]), told
    assert told["left"] == []
    assert told["after"] == 3 + told["moved"] + 1


LOOPING = """
import sys, pathlib
from open_llm_auth.config.file import ConfigFile
file = ConfigFile(pathlib.Path(sys.argv[1]), wait=5)
print("ready", flush=True)
while True:
    file.update(lambda data: data.update(number=data.get("number", 0) + 1, padding="x" * 300000))
"""


def test_a_writer_killed_at_any_moment_leaves_a_whole_file(file: ConfigFile) -> None:
    for pause in (0.0, 0.011, 0.023, 0.037):
        with subprocess.Popen([sys.executable, "-c", LOOPING, str(file.path)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"ready\n"
            threading.Event().wait(pause)
            writer.kill()
        document = file.read()
        assert not document.exists or len(document.data["padding"]) == 300_000
    file.update(setter("done", True))
    assert not list(file.path.parent.rglob("*.tmp"))


def test_no_error_of_a_write_shows_a_secret(file: ConfigFile, full: dict[str, Any], canary: str) -> None:
    full["authProfiles"]["openai:default"]["key"] = canary
    full["serverToken"] = canary
    write(file, full)
    changes = [
        setter("server", {"port": canary}),
        setter("authProfiles", {"a": {"provider": "openai", "type": canary}}),
        setter("providers", {"my-llm": {"baseUrl": f"https://me:{canary}@x.example.org"}}),
        setter("providers", {"my-llm": {"baseUrl": canary}}),
        setter("egressPolicy", {"proxy": f"http://me:{canary}@10.0.0.1"}),
        setter("durableState", {"url": f"postgresql://me:{canary}@169.254.169.254/db"}),
        setter("durableState", {"url": f"postgresql://me:{canary}@[::1"}),
        setter("x", {canary.encode(): 1}),
    ]
    for change in changes:
        with pytest.raises(GatewayError) as caught:
            file.update(change)
        error = caught.value
        assert canary not in f"{error} {error!r} {error.details} {error.param}"
    assert canary not in f"{file.read()!r}"
