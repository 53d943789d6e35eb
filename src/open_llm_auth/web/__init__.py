"""The static pages: every file of this room by its path, with the headers that keep a browser strict (SPEC §9)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from types import MappingProxyType
from typing import Final

from ..values import Headers

__all__ = ["PAGES", "PAGE_HEADERS", "Asset", "asset"]

#: Which file answers which address; everything else is `static/…` under `/static/…`.
PAGES: Final[Mapping[str, str]] = MappingProxyType({"/": "index.html", "/docs": "docs.html"})

#: Sent with every file here. `no-cache` means "ask again with the ETag", so that an upgrade shows at once.
PAGE_HEADERS: Final[Headers] = (
    (
        b"content-security-policy",
        b"default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-cache"),
)

_CONTENT_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        ".html": "text/html; charset=utf-8",
        ".css": "text/css; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".svg": "image/svg+xml",
    }
)


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is served. `etag` has its quotes; `headers` leaves out Content-Type and Content-Length."""

    body: bytes
    content_type: str
    etag: str

    @property
    def headers(self) -> Headers:
        return ((b"etag", self.etag.encode("ascii")), *PAGE_HEADERS)


def asset(path: str) -> Asset | None:
    """The file at `path` (`index.html`, `static/page.css`), or None.

    The path is looked up among the names that exist and never joined to a directory: no spelling of it leaves the room.
    """
    return _assets().get(path)


@cache
def _assets() -> Mapping[str, Asset]:
    return MappingProxyType(dict(_walk(files(__package__), "")))


def _walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, Asset]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
            continue
        content_type = _CONTENT_TYPES.get(entry.name[entry.name.rfind(".") :])
        if content_type is not None:
            body = entry.read_bytes()
            yield prefix + entry.name, Asset(body, content_type, f'"{hashlib.sha256(body).hexdigest()[:32]}"')
