"""Programs that keep one sign-in as their token endpoint gave it: Qwen Code, MiniMax and Kimi's command line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from .found import Found, Known, Store, secret_text
from .signed_in import base_url_of, sign_in

__all__ = ["KIMI", "MINIMAX", "QWEN", "Portal", "reader"]

_EXPIRIES: Final = ("expiry_date", "expires_at", "expired_in")


@dataclass(frozen=True, slots=True)
class Portal:
    """`path` is what stands behind the host of its `resource_url`."""

    name: str
    provider: str
    title: str
    path: str = ""
    note: str = ""


QWEN: Final = Portal("qwen", "qwen-portal", "Qwen sign-in of Qwen Code", "/v1")
MINIMAX: Final = Portal("minimax", "minimax-portal", "MiniMax sign-in", "/anthropic")
KIMI: Final = Portal("kimi", "kimi-coding", "Kimi sign-in of Kimi's command line")


def reader(portal: Portal) -> Callable[[Store, Known], tuple[Found, ...]]:
    """What reads the one file of `portal`; it raises Unreadable where that is not what the program writes."""

    def read(store: Store, known: Known) -> tuple[Found, ...]:
        document = store.document()
        access = secret_text(document, "access_token")
        if not access:
            return ()
        expiry = next((name for name in _EXPIRIES if document.get(name) is not None), "")
        base_url, note = base_url_of(portal.provider, document, "resource_url", portal.path, known)
        found = sign_in(
            portal.name,
            portal.provider,
            portal.title,
            store,
            known,
            access=access,
            at=("access_token",),
            expires=document.get(expiry),
            expires_at=(expiry,) if expiry else (),
            base_url=base_url,
            note=note,
        )
        return (found,)

    return read
