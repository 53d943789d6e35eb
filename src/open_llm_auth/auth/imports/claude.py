"""Claude Code: its sign-in in `.credentials.json`, or in macOS's keychain, and the API key in `.claude.json`."""

from __future__ import annotations

from typing import Final

from ...values import Secret
from .found import Found, Known, Store, Unreadable, optional_text, secret_text
from .signed_in import sign_in

__all__ = ["NAME", "read"]

NAME: Final = "claude"
_SECTION: Final = "claudeAiOauth"
_BETTER: Final = "the provider 'claude-cli' runs your own claude program with it, which is allowed"


def read(store: Store, known: Known) -> tuple[Found, ...]:
    """The sign-in, or the key that signing in with a Console account made.

    Raises:
        Unreadable: it is not what Claude Code writes.
    """
    document = store.document()
    key = secret_text(document, "primaryApiKey")
    if key:
        # no reference: the rest of that file grows without limit, and changes with every prompt
        return (Found(NAME, "anthropic", "API key of Claude Code", "key", "api_key", store.path, Secret(key)),)
    section = document.get(_SECTION)
    if section is None:
        return ()
    if not isinstance(section, dict):
        raise Unreadable(f"{_SECTION!r} is no object")
    access = secret_text(section, "accessToken", f"'{_SECTION}.accessToken'")
    if not access:
        return ()
    plan = optional_text(section, "subscriptionType")
    return (
        sign_in(
            NAME,
            "anthropic",
            f"Claude sign-in of Claude Code ({plan})" if plan else "Claude sign-in of Claude Code",
            store,
            known,
            access=access,
            at=(_SECTION, "accessToken"),
            expires=section.get("expiresAt"),
            expires_at=(_SECTION, "expiresAt"),
            note=_BETTER,
        ),
    )
