"""The vault: what it keeps, what it notices, and that nothing is lost."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from open_llm_auth.config.sealing import SealKey
from open_llm_auth.config.vault import Vault, vault_path
from open_llm_auth.config.vault_keys import FoundKeys
from open_llm_auth.errors import SecretUnavailable
from open_llm_auth.values import Secret

KEY = SealKey("key", Secret("a key that is long enough"), "a test")
OTHER = SealKey("key", Secret("another key of that length"), "a test")
WORDS = SealKey("passphrase", Secret("correct horse"), "a test")
CANARY = "sk-canary-in-the-vault-77aa"


def vault_at(folder: Path, *keys: SealKey, **more: object) -> Vault:
    return Vault(folder / "vault.json", lambda: FoundKeys(keys), **more)  # type: ignore[arg-type]


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    made = vault_at(tmp_path, KEY)
    made.create(KEY)
    return made


def refusal(ask: Callable[[], object]) -> str:
    with pytest.raises(SecretUnavailable) as caught:
        ask()
    assert CANARY not in caught.value.message
    return caught.value.message


# --- what it keeps ---


def test_it_stands_beside_the_config_and_each_config_has_its_own() -> None:
    assert vault_path(Path("/x/config.json")) == Path("/x/vault.json")
    assert vault_path(Path("/x/work.json")) == Path("/x/work.vault.json")


def test_what_is_stored_is_read_by_this_object_and_by_others_and_stands_nowhere_in_the_clear(
    vault: Vault, tmp_path: Path
) -> None:
    vault.update({"openai:default.key": Secret(CANARY), "ünïcode": Secret("grüße 世界")})
    for each in (vault, vault_at(tmp_path, KEY)):
        assert each.read("openai:default.key") == Secret(CANARY)
        assert each.read("ünïcode") == Secret("grüße 世界")
        assert set(each.names()) == {"openai:default.key", "ünïcode"}
    for path in tmp_path.iterdir():
        assert CANARY.encode() not in path.read_bytes()
        assert path.stat().st_mode & 0o777 == 0o600


def test_an_entry_is_replaced_and_removed_and_the_version_before_is_kept(vault: Vault, tmp_path: Path) -> None:
    vault.update({"a": Secret("one"), "b": Secret("two")})
    vault.update({"a": Secret("three"), "b": None})
    assert vault.read("a") == Secret("three")
    assert "no entry 'b'" in refusal(lambda: vault.read("b"))
    vault.path.write_bytes(vault.previous.read_bytes())
    assert vault.read("a") == Secret("one")
    assert vault.read("b") == Secret("two")


def test_what_another_process_writes_is_read_at_once(vault: Vault, tmp_path: Path) -> None:
    vault.update({"a": Secret("one")})
    assert vault.read("a") == Secret("one")
    vault_at(tmp_path, KEY).update({"a": Secret("two")})
    assert vault.read("a", waiting=False) == Secret("two")


@pytest.mark.parametrize("bad", ["", "x" * 65_537])
def test_what_is_no_secret_is_not_stored(vault: Vault, bad: str) -> None:
    before = vault.path.read_bytes()
    refusal(lambda: vault.update({"fine": Secret("fine"), "bad": Secret(bad)}))
    refusal(lambda: vault.update({"": Secret("fine")}))
    refusal(lambda: vault.update({"a\nb": Secret("fine")}))
    assert vault.path.read_bytes() == before


def test_a_second_one_is_never_made_over_the_first(vault: Vault) -> None:
    assert "already" in refusal(lambda: vault.create(OTHER))


# --- who may open it ---


def test_each_way_not_to_open_says_which_it_is(vault: Vault, tmp_path: Path) -> None:
    vault.update({"a": Secret(CANARY)})
    assert "there is no key" in refusal(vault_at(tmp_path).open)
    assert "does not open with a test" in refusal(vault_at(tmp_path, OTHER).open)
    assert "SEAL_KEY_FILE" in refusal(vault_at(tmp_path).open)
    faults = FoundKeys((), ("the file is missing.",))
    assert "the file is missing" in refusal(Vault(vault.path, lambda: faults).open)
    vault.path.write_text("{")
    message = refusal(vault_at(tmp_path, KEY).open)
    assert "damaged" in message
    assert f"cp {vault.previous} {vault.path}" in message
    vault.path.unlink()
    assert "There is no vault" in refusal(vault_at(tmp_path, KEY).open)
    assert "There is no vault" in refusal(lambda: vault.read("a"))


def test_a_passphrase_opens_it_from_a_file_or_from_a_person_who_may_err_twice(tmp_path: Path) -> None:
    vault_at(tmp_path).create(WORDS)
    assert vault_at(tmp_path, WORDS).names() == ()
    answers = [Secret("wrong"), Secret("wrong again"), WORDS.text]
    asked = vault_at(tmp_path, ask=lambda: answers.pop(0))
    assert asked.names() == ()
    assert answers == []
    assert "no passphrase was given" in refusal(vault_at(tmp_path, ask=lambda: None).open)
    assert "does not open with what was typed" in refusal(vault_at(tmp_path, ask=lambda: Secret("x")).open)
    assert "OPEN_LLM_AUTH_VAULT_PASSPHRASE_FILE" in refusal(vault_at(tmp_path).open)
    nobody = vault_at(tmp_path, ask=lambda: WORDS.text)
    nobody.ask_no_more()
    assert "there is no key" in refusal(nobody.open)


def test_a_key_of_another_kind_is_added_and_one_of_the_same_is_replaced(vault: Vault, tmp_path: Path) -> None:
    vault.update({"a": Secret("one")})
    vault.add_key(WORDS)
    assert vault.slots() == {"key", "passphrase"}
    assert vault_at(tmp_path, WORDS).read("a") == vault_at(tmp_path, KEY).read("a") == Secret("one")
    vault.add_key(OTHER)
    assert vault_at(tmp_path, OTHER).read("a") == Secret("one")
    refusal(vault_at(tmp_path, KEY).open)


def test_who_can_not_wait_gets_a_closed_vault_until_somebody_has_opened_it(vault: Vault, tmp_path: Path) -> None:
    vault.update({"a": Secret("one")})
    hurried = vault_at(tmp_path, KEY)
    assert "not open yet" in refusal(lambda: hurried.read("a", waiting=False))
    before = hurried.state()
    hurried.open()
    assert hurried.state() != before
    assert hurried.read("a", waiting=False) == Secret("one")


def test_an_opening_that_failed_is_tried_again_after_a_while_or_when_the_file_has_changed(tmp_path: Path) -> None:
    clock, asked = [0.0], []
    keys = [OTHER]

    def look() -> FoundKeys:
        asked.append(1)
        return FoundKeys(tuple(keys))

    vault_at(tmp_path).create(KEY)
    vault = Vault(tmp_path / "vault.json", look, monotonic=lambda: clock[0])
    for _ in range(3):
        refusal(vault.open)
    assert len(asked) == 1
    keys[:] = [KEY]
    refusal(vault.open)
    clock[0] += 31
    vault.open()
    assert vault.names() == ()


# --- what it notices ---


def test_every_changed_byte_is_noticed_or_means_nothing(vault: Vault, tmp_path: Path) -> None:
    """Of every byte three others: either the file is refused, or what it says is the same."""
    secrets = {"a": Secret("one"), "b": Secret(CANARY)}
    vault.update(secrets)
    whole = vault.path.read_bytes()
    chance = random.Random(4)
    for at in range(len(whole)):
        for new in (whole[at] ^ 1, whole[at] ^ 0x20, chance.randrange(256)):
            vault.path.write_bytes(whole[:at] + bytes([new]) + whole[at + 1 :])
            try:
                found = {name: vault_at(tmp_path, KEY).read(name) for name in vault_at(tmp_path, KEY).names()}
            except SecretUnavailable as error:
                assert CANARY not in error.message
            else:
                assert found == secrets, at
    for end in range(0, len(whole) - 1, 7):
        vault.path.write_bytes(whole[:end])
        refusal(vault_at(tmp_path, KEY).open)


def test_an_entry_that_was_exchanged_put_back_or_left_out_is_noticed(vault: Vault, tmp_path: Path) -> None:
    vault.update({"a": Secret("one"), "b": Secret("two")})
    old = json.loads(vault.path.read_text())
    vault.update({"a": Secret("three")})
    new = json.loads(vault.path.read_text())
    exchanged = {**new, "entries": {"a": new["entries"]["b"], "b": new["entries"]["a"]}}
    put_back = {**new, "entries": {**new["entries"], "a": old["entries"]["a"]}}
    left_out = {**new, "entries": {"a": new["entries"]["a"]}}
    renumbered = {**new, "revision": 99}
    for forged in (exchanged, put_back, left_out, renumbered):
        vault.path.write_text(json.dumps(forged))
        assert "tampered" in refusal(vault_at(tmp_path, KEY).open)
        assert "does not open" in refusal(vault.open) or "tampered" in refusal(vault.open)


def test_a_vault_is_never_read_through_a_pipe_or_grown_without_end(vault: Vault) -> None:
    vault.path.unlink()
    os.mkfifo(vault.path)
    assert "not a regular file" in refusal(vault.open)


# --- what can go wrong while it is written ---

_WRITER = """
import sys
from pathlib import Path
from open_llm_auth.config.sealing import SealKey
from open_llm_auth.config.vault import Vault
from open_llm_auth.config.vault_keys import FoundKeys
from open_llm_auth.values import Secret

key = SealKey("key", Secret("a key that is long enough"), "a test")
vault = Vault(Path(sys.argv[1]) / "vault.json", lambda: FoundKeys((key,)))
print("ready", flush=True)
for number in range(int(sys.argv[3])):
    vault.update({f"{sys.argv[2]}.{number % 20}": Secret(f"{sys.argv[2]} {number}" + "x" * 2000)})
"""


def writer(folder: Path, name: str, times: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", _WRITER, str(folder), name, str(times)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def test_two_processes_that_write_at_once_lose_nothing_of_each_other(vault: Vault, tmp_path: Path) -> None:
    writers = [writer(tmp_path, name, 20) for name in ("left", "right")]
    assert [process.wait(60) for process in writers] == [0, 0]
    for process in writers:
        assert process.stdout is not None
        process.stdout.close()
    expected = {f"{name}.{number}": f"{name} {number}" for name in ("left", "right") for number in range(20)}
    assert {name: vault.read(name).reveal().rstrip("x") for name in vault.names()} == expected


def test_a_writer_that_is_killed_at_any_moment_leaves_a_whole_vault(vault: Vault, tmp_path: Path) -> None:
    chance = random.Random(11)
    vault.update({"kept": Secret(CANARY)})
    for _ in range(8):
        process = writer(tmp_path, "killed", 10_000)
        time.sleep(chance.random() * 0.1)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
        found = vault_at(tmp_path, KEY)
        assert found.read("kept") == Secret(CANARY)
        for name in found.names():
            found.read(name)
    vault.update({"after": Secret("fine")})
    assert not list(tmp_path.glob("*.tmp"))


_FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from open_llm_auth.config.sealing import SealKey
from open_llm_auth.config.vault import Vault
from open_llm_auth.config.vault_keys import FoundKeys
from open_llm_auth.errors import SecretUnavailable
from open_llm_auth.values import Secret

key = SealKey("key", Secret("a key that is long enough"), "a test")
vault = Vault(Path(sys.argv[1]) / "vault.json", lambda: FoundKeys((key,)))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    vault.update({"big": Secret("y" * 30000)})
except SecretUnavailable as error:
    print(error.message)
"""


def test_a_full_disk_is_told_and_leaves_the_old_vault(vault: Vault, tmp_path: Path) -> None:
    vault.update({"kept": Secret(CANARY)})
    before = vault.path.read_bytes()
    done = subprocess.run([sys.executable, "-c", _FULL_DISK, str(tmp_path)], capture_output=True, text=True, check=True)
    assert "can't be written" in done.stdout
    assert vault.path.read_bytes() == before
    assert vault.read("kept") == Secret(CANARY)
    assert not list(tmp_path.glob("*.tmp"))


def test_a_lock_that_somebody_holds_is_told(vault: Vault, tmp_path: Path) -> None:
    import fcntl

    with (tmp_path / ".vault.lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        impatient = vault_at(tmp_path, KEY, wait=0.05)
        assert "lock" in refusal(lambda: impatient.update({"a": Secret("b")}))
    impatient.update({"a": Secret("b")})


def test_nothing_of_an_open_vault_prints(vault: Vault) -> None:
    vault.update({"a": Secret(CANARY)})
    vault.read("a")
    opened = vault._current()
    assert opened is not None
    for text in (repr(vault), repr(opened), f"{opened}"):
        assert CANARY not in text
        assert repr(opened.data_key) not in text
