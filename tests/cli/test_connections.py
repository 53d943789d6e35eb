"""The record of what was written: kept whole, private, without values, and never overwritten when it is damaged."""

from __future__ import annotations

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from open_llm_auth.cli.connections import Connection, Connections, WrittenFile, hash_of
from open_llm_auth.cli.settings_text import Entry
from open_llm_auth.errors import ConfigInvalid, ConfigUnavailable

FILE = WrittenFile(
    Path("/home/a/settings.yaml"),
    "yaml",
    hash_of(b"content"),
    {("models", Entry("name", "ours"), "key"): hash_of("value"), ("on",): hash_of(True)},
    Path("/home/a/settings.yaml.open-llm-auth-backup"),
    0o640,
)


def test_what_is_put_is_read_again(tmp_path):
    connections = Connections(tmp_path / "home")
    assert connections.all() == {}
    kept = Connection("connect-a", (FILE, WrittenFile(Path("/home/a/new"), "json", "d")))
    connections.put("a", kept)
    connections.put("b", Connection("connect-b"))
    assert Connections(tmp_path / "home").all() == {"a": kept, "b": Connection("connect-b")}
    connections.put("a", None)
    connections.put("never", None)
    assert list(connections.all()) == ["b"]


def test_it_is_private_and_holds_no_value(tmp_path):
    Connections(tmp_path / "home").put("a", Connection("connect-a", (FILE,)))
    path = tmp_path / "home" / "connections.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert "value" not in json.loads(path.read_text())["connections"]["a"]["files"][0]["settings"][1]
    assert '"content"' not in path.read_text()


@pytest.mark.parametrize(
    "damaged",
    [
        "",
        "{",
        "[]",
        '{"connections": []}',
        '{"connections": {"a": {}}}',
        '{"connections": {"a": {"token": "t", "files": [{}]}}}',
    ],
)
def test_a_damaged_record_is_told_and_kept(tmp_path, damaged):
    path = tmp_path / "connections.json"
    path.write_text(damaged)
    for act in (Connections(tmp_path).all, lambda: Connections(tmp_path).put("a", None)):
        with pytest.raises(ConfigInvalid, match=r"connections\.json"):
            act()
    assert path.read_text() == damaged


def test_a_record_that_can_not_be_read_is_told(tmp_path):
    (tmp_path / "connections.json").mkdir()
    with pytest.raises(ConfigUnavailable, match="not a regular file"):
        Connections(tmp_path).all()


def test_a_home_that_can_not_be_made_is_told(tmp_path):
    (tmp_path / "home").write_text("a file")
    with pytest.raises(ConfigUnavailable, match="can't be"):
        Connections(tmp_path / "home").put("a", None)


def test_many_at_once_lose_nothing(tmp_path):
    names = [f"client-{number}" for number in range(8)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda name: Connections(tmp_path).put(name, Connection(name)), names))
    assert sorted(Connections(tmp_path).all()) == names


def test_values_are_told_apart():
    assert len({hash_of(value) for value in ["1", 1, True, None, ["1"], {"1": 1}]}) == 6
    assert hash_of({"a": 1, "b": 2}) == hash_of({"b": 2, "a": 1})
