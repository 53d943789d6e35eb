"""opencode and pi: `auth.json`, a map of providers to keys (`api`, `api_key`), sign-ins (`oauth`) and `wellknown`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from ...values import Secret
from .copilot import enterprise_url
from .found import Found, Known, Store, Unreadable, optional_text, secret_text
from .names import provider_of
from .signed_in import sign_in

__all__ = ["reader"]

_Reader = Callable[[str, Store, Known, str, dict[str, Any]], tuple[Found, ...]]
_GITHUB_TOKENS: Final = ("gho_", "ghu_", "ghp_", "github_pat_")


def reader(source: str) -> Callable[[Store, Known], tuple[Found, ...]]:
    """What reads the file of `source`; it raises Unreadable where that is not what the program writes."""

    def read(store: Store, known: Known) -> tuple[Found, ...]:
        return tuple(
            found
            for name, entry in store.document().items()
            for found in _of_kind(entry)(source, store, known, name, entry)
        )

    return read


def _of_kind(entry: object) -> _Reader:
    kind = entry.get("type") if isinstance(entry, dict) else None
    if not isinstance(kind, str):
        raise Unreadable("an entry in it has no 'type'")
    return _KINDS.get(kind, _nothing)


def _key(source: str, store: Store, known: Known, name: str, entry: dict[str, Any]) -> tuple[Found, ...]:
    key = secret_text(entry, "key", "a 'key'")
    provider = provider_of(name, known.catalog)
    found = Found(
        source=source,
        provider=provider,
        title=f"API key for {name}",
        kind="key",
        type="api_key",
        path=store.path,
        secret=Secret(key),
        reference=store.reference(name, "key"),
        flaw="" if provider else "this gateway knows no such provider",
    )
    return (found,) if key else ()


def _signed_in(source: str, store: Store, known: Known, name: str, entry: dict[str, Any]) -> tuple[Found, ...]:
    provider = provider_of(name, known.catalog, signed_in=True)
    field = "refresh" if _is_github_token(entry) else "access"
    access = secret_text(entry, field, f"an {field!r}")
    enterprise = optional_text(entry, "enterpriseUrl")
    found = sign_in(
        source,
        provider,
        f"Sign-in at {name}",
        store,
        known,
        access=access,
        at=(name, field),
        expires=entry.get("expires") if field == "access" else None,
        expires_at=(name, "expires"),
        account=optional_text(entry, "accountId"),
        base_url=enterprise_url(_host(enterprise)) if enterprise and provider == "github-copilot" else None,
    )
    return (found,) if access else ()


def _is_github_token(entry: dict[str, Any]) -> bool:
    """Copilot's long-lived GitHub token stands where others have what renews; `access` is what it was exchanged for."""
    return secret_text(entry, "refresh", "a 'refresh'").startswith(_GITHUB_TOKENS)


def _host(url: str) -> str:
    return url.rpartition("//")[2].partition("/")[0].lower()


def _well_known(source: str, store: Store, _: Known, name: str, entry: dict[str, Any]) -> tuple[Found, ...]:
    """A token that a server of somebody's own asks for in a variable of its choice; which server, opencode knows."""
    flaw = "it is for a server of its own; add that with: open-llm-auth auth configure NAME --base-url URL"
    token = secret_text(entry, "token", "a 'token'")
    found = Found(source, "", f"Token for {name}", "key", "token", store.path, Secret(token), flaw=flaw)
    return (found,) if token else ()


def _nothing(source: str, store: Store, _: Known, name: str, __: dict[str, Any]) -> tuple[Found, ...]:
    """A kind of a later version."""
    flaw = "an entry of a kind that is not known"
    return (Found(source, "", f"Entry for {name}", "key", "api_key", store.path, flaw=flaw),)


_KINDS: Final[Mapping[str, _Reader]] = {
    "api": _key,
    "api_key": _key,
    "oauth": _signed_in,
    "wellknown": _well_known,
}
