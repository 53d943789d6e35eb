"""References resolved against the environment, the `.env` file and files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from open_llm_auth.auth.secrets import parse_reference
from open_llm_auth.config.secrets_io import EnvironmentSecrets
from open_llm_auth.errors import SecretUnavailable
from open_llm_auth.values import Secret


def resolve(secrets: EnvironmentSecrets, text: str) -> str:
    return secrets.get(parse_reference(text)).reveal()


def refusal(secrets: EnvironmentSecrets, text: str) -> SecretUnavailable:
    with pytest.raises(SecretUnavailable) as caught:
        resolve(secrets, text)
    return caught.value


def test_a_literal_is_itself() -> None:
    assert resolve(EnvironmentSecrets({}), "sk-abc") == "sk-abc"


@pytest.mark.parametrize("text", ["env:NAME", "${NAME}", "NAME"])
def test_each_spelling_of_a_variable_is_its_value(text: str) -> None:
    assert resolve(EnvironmentSecrets({"NAME": "value"}), text) == "value"


@pytest.mark.parametrize("environ", [{}, {"NAME": ""}])
def test_a_word_in_capitals_that_names_no_variable_is_itself(environ: dict[str, str]) -> None:
    assert resolve(EnvironmentSecrets(environ), "NAME") == "NAME"


@pytest.mark.parametrize("environ", [{}, {"NAME": ""}])
def test_an_unset_variable_is_told_by_its_name(environ: dict[str, str]) -> None:
    assert "'env:NAME'" in refusal(EnvironmentSecrets(environ), "env:NAME").message


@pytest.mark.parametrize("text", ["keyring:service/name", "cmd:pass show key", "vault:name"])
def test_kinds_that_take_their_time_are_not_looked_up_without_stores(text: str) -> None:
    message = refusal(EnvironmentSecrets({}), text).message
    assert "not looked up here" in message
    assert "show key" not in message


def test_the_environment_goes_before_the_dotenv_file_even_when_empty(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=file\nB=file\nC=file\n")
    secrets = EnvironmentSecrets({"A": "environment", "B": ""}, tmp_path / ".env")
    assert secrets.environment("A") == Secret("environment")
    assert secrets.environment("B") is None
    assert secrets.environment("C") == Secret("file")
    assert secrets.environment("D") is None


def test_the_dotenv_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    clock = [0.0]
    secrets = EnvironmentSecrets({}, dotenv, monotonic=lambda: clock[0], recheck=0.25)
    assert secrets.environment("A") is None
    dotenv.write_text("A=one")
    assert secrets.environment("A") is None
    clock[0] += 0.3
    assert secrets.environment("A") == Secret("one")
    dotenv.write_text("A=three")
    clock[0] += 0.3
    assert secrets.environment("A") == Secret("three")
    dotenv.unlink()
    clock[0] += 0.3
    assert secrets.environment("A") is None


def test_a_dotenv_file_that_turns_unreadable_takes_nothing_away(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("A=one")
    secrets = EnvironmentSecrets({}, dotenv, recheck=0)
    assert secrets.environment("A") == Secret("one")
    dotenv.write_bytes(b"A=\xff")
    assert secrets.environment("A") == Secret("one")
    assert "UTF-8" in secrets.dotenv_warnings()[0]
    dotenv.unlink()
    dotenv.mkdir()
    assert secrets.environment("A") == Secret("one")
    assert "not a regular file" in secrets.dotenv_warnings()[0]


def test_what_names_the_state_of_the_dotenv_file_changes_with_it(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    secrets = EnvironmentSecrets({}, dotenv, recheck=1000)
    assert secrets.dotenv_etag() == ""
    dotenv.write_text("A=1")
    first = secrets.dotenv_etag()
    dotenv.write_text("A=2 ")
    assert len({"", first, secrets.dotenv_etag()}) == 3


@pytest.mark.parametrize(
    ("content", "value"),
    [
        ("key", "key"),
        ("key\n", "key"),
        ("key\r\n", "key"),
        ("key\n\n", "key\n"),
        ("key\r", "key\r"),
        (" key ", " key "),
    ],
)
def test_a_file_loses_one_line_end(tmp_path: Path, content: str, value: str) -> None:
    (tmp_path / "key").write_bytes(content.encode())
    assert resolve(EnvironmentSecrets({}), f"file:{tmp_path}/key") == value


def test_a_file_under_the_home_directory_is_found(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("value")
    secrets = EnvironmentSecrets({"HOME": str(tmp_path)})
    assert resolve(secrets, "file:~/key") == resolve(secrets, "file:~/key") == "value"


def test_a_rotated_file_is_read_again_and_an_unchanged_one_is_not(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("one")
    secrets = EnvironmentSecrets({})
    ref = parse_reference(f"file:{file}")
    first = secrets.get(ref)
    assert secrets.get(ref) is first
    fresh = tmp_path / "fresh"
    fresh.write_text("two")
    fresh.replace(file)
    assert secrets.get(ref).reveal() == "two"
    file.unlink()
    with pytest.raises(SecretUnavailable):
        secrets.get(ref)


def test_a_file_that_holds_no_secret_is_told_by_its_place(tmp_path: Path, canary: str) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(canary.encode() + b"\xff\xfe")
    (tmp_path / "long").write_text(canary * 5000)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    secrets = EnvironmentSecrets({"HOME": str(tmp_path)})
    for name, why in [
        ("missing", "No such file"), ("empty", "is empty"), ("binary", "not UTF-8"), ("long", "longer than"),
        ("pipe", "regular file"), (".", "regular file"), ("loop", "symbolic links"), ("nul\0", "null"),
    ]:  # fmt: skip
        error = refusal(secrets, f"file:{tmp_path}/{name}")
        assert why in error.message
        assert "file:" in error.message
        assert canary not in f"{error} {error.details}"


@pytest.mark.parametrize("text", ["file:key", "file:", "file:./key", "file:~root/key"])
def test_a_relative_file_is_refused(text: str) -> None:
    assert "must be absolute" in refusal(EnvironmentSecrets({}), text).message
