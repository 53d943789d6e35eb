"""The OpenAI Codex CLI: `auth.json` in CODEX_HOME, or the same text in the keyring (codex-rs/login, storage.rs)."""

from __future__ import annotations

from typing import Any, Final

from ...values import Secret
from .found import Found, Known, Store, Unreadable, optional_text, secret_text
from .signed_in import sign_in

__all__ = ["NAME", "read"]

NAME: Final = "codex"


def read(store: Store, known: Known) -> tuple[Found, ...]:
    """The ChatGPT sign-in and the API key of it; older versions kept both at a time.

    Raises:
        Unreadable: it is not what Codex writes.
    """
    document = store.document()
    return (*_signed_in(document, store, known), *_api_key(document, store))


def _signed_in(document: dict[str, Any], store: Store, known: Known) -> tuple[Found, ...]:
    tokens = document.get("tokens")
    if tokens is None:
        return ()
    if not isinstance(tokens, dict):
        raise Unreadable("'tokens' is no object")
    access = secret_text(tokens, "access_token", "'tokens.access_token'")
    if not access:
        return ()
    return (
        sign_in(
            NAME,
            "openai-codex",
            "ChatGPT sign-in of Codex",
            store,
            known,
            access=access,
            at=("tokens", "access_token"),
            id_token=optional_text(tokens, "id_token") or "",
            account=optional_text(tokens, "account_id"),
        ),
    )


def _api_key(document: dict[str, Any], store: Store) -> tuple[Found, ...]:
    key = secret_text(document, "OPENAI_API_KEY")
    if not key:
        return ()
    return (
        Found(
            source=NAME,
            provider="openai",
            title="API key of Codex",
            kind="key",
            type="api_key",
            path=store.path,
            secret=Secret(key),
            reference=store.reference("OPENAI_API_KEY"),
        ),
    )
