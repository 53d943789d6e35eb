"""CLIProxyAPI: a directory with one file for each sign-in, `{type, email, access_token, expired, disabled, …}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .found import Found, Known, Store, optional_text, secret_text
from .names import provider_of
from .signed_in import base_url_of, sign_in

__all__ = ["NAME", "read"]

NAME: Final = "cliproxyapi"
_TYPES: Final[Mapping[str, str]] = {"codex": "openai-codex", "claude": "anthropic", "gemini": "google"}


def read(store: Store, known: Known) -> tuple[Found, ...]:
    """The sign-in, which is only ever read through: the program renews it.

    Raises:
        Unreadable: it is not what CLIProxyAPI writes.
    """
    document = store.document()
    kind = optional_text(document, "type")
    if kind is None:
        return ()
    provider = _TYPES.get(kind) or provider_of(kind, known.catalog, signed_in=True)
    # Gemini's keeps what the token endpoint gave in an object of its own
    token = document.get("token")
    fields, above = (token, ("token",)) if isinstance(token, dict) else (document, ())
    access = secret_text(fields, "access_token")
    if not access:
        return ()
    base_url, note = base_url_of(provider, document, "resource_url", "/v1", known)
    found = sign_in(
        NAME,
        provider,
        f"Sign-in at {kind} of CLIProxyAPI",
        store,
        known,
        access=access,
        at=(*above, "access_token"),
        expires=document.get("expired"),
        expires_at=("expired",),
        id_token=optional_text(document, "id_token") or "",
        email=optional_text(document, "email"),
        account=optional_text(document, "account_id"),
        base_url=base_url,
        note=note,
        flaw="it is switched off there" if document.get("disabled") is True else "",
    )
    return (found,)
