"""Google's Gemini CLI: `oauth_creds.json`, which is found and explained, and never used (Google's terms)."""

from __future__ import annotations

from typing import Final

from .found import Found, Known, Store, secret_text
from .signed_in import sign_in

__all__ = ["NAME", "read"]

NAME: Final = "gemini-cli"


def read(store: Store, known: Known) -> tuple[Found, ...]:
    """The sign-in.

    Raises:
        Unreadable: it is not what Gemini CLI writes.
    """
    document = store.document()
    access = secret_text(document, "access_token")
    # the stores of Qwen and MiniMax have the same shape, and say where calls go
    if not access or "resource_url" in document:
        return ()
    found = sign_in(
        NAME,
        "google",
        "Google sign-in of Gemini CLI",
        store,
        known,
        access=access,
        at=("access_token",),
        expires=document.get("expiry_date"),
        expires_at=("expiry_date",),
        id_token=secret_text(document, "id_token"),
    )
    return (found,)
