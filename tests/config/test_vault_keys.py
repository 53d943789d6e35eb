"""Where the key of the vault is looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from open_llm_auth.config.vault_keys import find_keys

LONG = "a key that is long enough"


def write(path: Path, text: str | bytes) -> str:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def test_nothing_named_is_no_key_and_no_fault(tmp_path: Path) -> None:
    found = find_keys({}, None)
    assert (found.keys, found.faults) == ((), ())


def test_every_place_is_looked_at_and_told_apart(tmp_path: Path) -> None:
    environ = {
        "OPEN_LLM_AUTH_SEAL_KEY": f" {LONG} 1 ",
        "OPEN_LLM_AUTH_SEAL_KEY_FILE": write(tmp_path / "two", f"{LONG} 2\n"),
        "OPEN_LLM_AUTH_VAULT_PASSPHRASE_FILE": write(tmp_path / "four", "my words\r\n"),
    }
    found = find_keys(environ, write(tmp_path / "three", f"{LONG} 3"))
    assert [(key.by, key.text.reveal()) for key in found.keys] == [
        ("key", f"{LONG} 1"),
        ("key", f"{LONG} 2"),
        ("key", f"{LONG} 3"),
        ("passphrase", "my words"),
    ]
    assert found.faults == ()
    assert "secrets.vault.keyFile" in found.keys[2].origin


def test_a_key_file_may_lie_in_the_home_directory(tmp_path: Path) -> None:
    write(tmp_path / "key", LONG)
    assert len(find_keys({"HOME": str(tmp_path)}, "~/key").keys) == 1


@pytest.mark.parametrize(
    ("content", "words"), [(None, "No such file"), (b"", "is empty"), (b"short", "too short"), (b"\xff" * 40, "UTF-8")]
)
def test_a_file_without_a_key_is_a_fault_that_names_its_setting(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)
    found = find_keys({}, str(path))
    assert found.keys == ()
    assert "secrets.vault.keyFile" in found.faults[0]
    assert words in found.faults[0]
