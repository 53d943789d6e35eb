"""What is made of what programs print."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from open_llm_auth.auth.secrets import parse_reference
from open_llm_auth.config.command_secrets import CommandSecrets
from open_llm_auth.errors import SecretUnavailable
from open_llm_auth.values import Secret

CANARY = "canary-argument-31"


def reading(output: bytes, text: str = "op read 'op://a vault/item/field'") -> tuple[Secret, list[object]]:
    seen: list[object] = []

    def run(words: Sequence[str], environment: Sequence[str], seconds: float) -> bytes:
        seen.extend((list(words), list(environment), seconds))
        return output

    secrets = CommandSecrets(run, 30)
    secrets.environment = ("MORE",)
    return secrets.read(parse_reference(f"cmd:{text}")), seen


def test_words_are_split_as_a_shell_would_and_nothing_else_is_done_to_them() -> None:
    _, seen = reading(b"x", "op read 'op://a vault/item' $HOME ~ * ; | \"q u\"")
    assert seen == [["op", "read", "op://a vault/item", "$HOME", "~", "*", ";", "|", "q u"], ["MORE"], 30]


@pytest.mark.parametrize("output", [b"key", b"key\n", b"key\r\n", b" key \n", b"key\nuser: me\nurl: there\n"])
def test_the_first_line_is_the_secret(output: bytes) -> None:
    assert reading(output)[0] == Secret("key")


@pytest.mark.parametrize(("output", "words"), [(b"", "nothing"), (b"\nkey", "nothing"), (b"\xff\xfe", "UTF-8")])
def test_what_is_no_secret_is_told_without_the_arguments(output: bytes, words: str) -> None:
    with pytest.raises(SecretUnavailable, match=words) as caught:
        reading(output, f"op {CANARY}")
    assert CANARY not in caught.value.message + str(caught.value.details)
    assert "'cmd:op'" in caught.value.message


@pytest.mark.parametrize("text", [f"op '{CANARY}", f"op {CANARY}\\", " "])
def test_a_malformed_command_is_told_without_repeating_it(text: str) -> None:
    with pytest.raises(SecretUnavailable) as caught:
        reading(b"x", text)
    assert CANARY not in caught.value.message


def test_without_a_runner_nothing_is_run() -> None:
    with pytest.raises(SecretUnavailable, match="no program is run here"):
        CommandSecrets(None, 30).read(parse_reference("cmd:op"))
