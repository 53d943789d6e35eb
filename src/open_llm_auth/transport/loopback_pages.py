"""The pages that the loopback listener shows: static, closed to everything else, and of no use to whoever sees them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = [
    "ALREADY",
    "NOT_FOUND",
    "NOT_HTTP",
    "ONLY_GET",
    "RECEIVED",
    "TURNED_DOWN",
    "WRONG_HOST",
    "WRONG_STATE",
    "Page",
]

_HEADERS: Final = (
    ("content-type", "text/html; charset=utf-8"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    # The address holds a code: it stays out of what the next page is told, and out of the cache.
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-store"),
    ("cross-origin-resource-policy", "same-origin"),
    ("connection", "close"),
)


@dataclass(frozen=True, slots=True)
class Page:
    """A status, a heading and a sentence; none of it comes from outside."""

    status: int
    phrase: str
    title: str
    text: str
    more: tuple[tuple[str, str], ...] = ()

    def as_http(self) -> bytes:
        """The whole answer."""
        body = (
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{self.title}</title>'
            f"<h1>{self.title}</h1><p>{self.text}</p></html>\n"
        ).encode()
        fields = (*_HEADERS, *self.more, ("content-length", str(len(body))))
        head = "".join(f"{name}: {value}\r\n" for name, value in fields)
        return f"HTTP/1.1 {self.status} {self.phrase}\r\n{head}\r\n".encode("ascii") + body


RECEIVED: Final = Page(
    200, "OK", "Open LLM Auth has got it", "Go back to the terminal, which says how it went. You can close this page."
)
TURNED_DOWN: Final = Page(
    200, "OK", "The sign-in was turned down", "Nothing was stored. The terminal says more. You can close this page."
)
ALREADY: Final = Page(200, "OK", "Already done", "This sign-in is over. You can close this page.")
WRONG_STATE: Final = Page(
    400,
    "Bad Request",
    "Not this sign-in",
    "This address does not belong to the sign-in that waits in the terminal, which goes on waiting. "
    "Use the address that it shows.",
)
WRONG_HOST: Final = Page(421, "Misdirected Request", "Not here", "Only this machine may ask, by a loopback name.")
NOT_FOUND: Final = Page(404, "Not Found", "Nothing here", "A sign-in waits here for its own address alone.")
ONLY_GET: Final = Page(405, "Method Not Allowed", "Only GET", "A browser comes back with GET.", (("allow", "GET"),))
NOT_HTTP: Final = Page(400, "Bad Request", "Not understood", "That was no request of a browser.")
