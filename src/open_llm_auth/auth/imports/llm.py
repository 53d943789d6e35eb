"""Simon Willison's `llm`: `keys.json` in its user directory, a map of names to keys."""

from __future__ import annotations

from typing import Final

from ...values import Secret
from .found import Found, Known, Store, secret_text
from .names import provider_of

__all__ = ["NAME", "read"]

NAME: Final = "llm"
#: How the note begins that the file opens with.
_NOTE: Final = "//"


def read(store: Store, known: Known) -> tuple[Found, ...]:
    """Every key. A name is the user's own word, and most are a provider's.

    Raises:
        Unreadable: it is not what llm writes.
    """
    document = store.document()
    names = [name for name in document if not name.startswith(_NOTE)]
    return tuple(
        _found(store, known, name, key) for name in names if (key := secret_text(document, name, "a key in it"))
    )


def _found(store: Store, known: Known, name: str, key: str) -> Found:
    provider = provider_of(name, known.catalog)
    return Found(
        source=NAME,
        provider=provider,
        title=f"Key {name!r} of llm",
        kind="key",
        type="api_key",
        path=store.path,
        secret=Secret(key),
        reference=store.reference(name),
        flaw="" if provider else "its name says no provider that this gateway knows",
    )
