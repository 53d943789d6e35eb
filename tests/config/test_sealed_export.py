"""Exports: sealed whole, opened by one passphrase."""

from __future__ import annotations

import pytest

from open_llm_auth.config.sealed_export import Export, is_sealed_export, read_sealed_export, write_sealed_export
from open_llm_auth.errors import ConfigInvalid, SecretUnavailable
from open_llm_auth.values import Secret

CANARY = "sk-canary-exported-55"
WORDS = Secret("correct horse")
EXPORT = Export(
    {"openai:default": {"provider": "openai", "type": "api_key", "key": CANARY, "metadata": {"ü": [1, None]}}},
    {"openai": ["openai:default"]},
)


@pytest.fixture(scope="module")
def raw() -> bytes:
    return write_sealed_export(EXPORT, WORDS)


def test_what_was_exported_comes_back(raw: bytes) -> None:
    assert is_sealed_export(raw)
    assert CANARY.encode() not in raw
    assert b"openai" not in raw
    assert read_sealed_export(raw, WORDS) == EXPORT


def test_another_passphrase_is_told_and_opens_nothing(raw: bytes) -> None:
    with pytest.raises(SecretUnavailable, match="not its passphrase"):
        read_sealed_export(raw, Secret("wrong horse"))


@pytest.mark.parametrize("broken", [b"", b"{}", b"[" * 100_000, b'{"format": "open-llm-auth export"}', b"\xff"])
def test_what_is_no_export_is_told(broken: bytes) -> None:
    with pytest.raises(ConfigInvalid):
        read_sealed_export(broken, WORDS)


def test_a_change_anywhere_is_noticed(raw: bytes) -> None:
    for at in range(0, len(raw), 41):
        changed = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
        if changed.split() == raw.split():
            continue
        try:
            assert read_sealed_export(changed, WORDS) == EXPORT
        except (ConfigInvalid, SecretUnavailable) as error:
            assert CANARY not in error.message


def test_an_export_does_not_print_its_secrets() -> None:
    assert CANARY not in repr(EXPORT)
