"""OpenClaw: `agents/<id>/agent/auth-profiles.json`, `{version, profiles: {"provider:name": {type, provider, …}}}`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from ...values import ProfileType, Secret
from ..secrets import parse_reference
from .copilot import enterprise_url
from .found import Found, Known, Store, Unreadable, optional_text, secret_text
from .names import provider_of
from .signed_in import sign_in
from .terms import Terms, terms_of

__all__ = ["NAME", "read"]

NAME: Final = "openclaw"
_Reader = Callable[[Store, Known, str, dict[str, Any]], tuple[Found, ...]]


def read(store: Store, known: Known) -> tuple[Found, ...]:
    """Every profile, in the order of the file.

    Raises:
        Unreadable: it is not what OpenClaw writes.
    """
    profiles = store.document().get("profiles")
    if not isinstance(profiles, dict):
        raise Unreadable("it has no 'profiles'")
    return tuple(found for name, entry in profiles.items() for found in _profile(store, known, name, entry))


def _profile(store: Store, known: Known, name: str, entry: object) -> tuple[Found, ...]:
    if not isinstance(entry, dict) or not isinstance(entry.get("provider"), str):
        raise Unreadable("a profile in it has no 'provider'")
    # older versions called it `mode`
    kind = entry.get("type") or entry.get("mode")
    read_kind = _KINDS.get(kind) if isinstance(kind, str) else None
    if read_kind is None:
        flaw = "a profile of a kind that is not known"
        return (Found(NAME, "", f"Profile {name}", "key", "api_key", store.path, flaw=flaw),)
    return read_kind(store, known, name, entry)


def _signed_in(store: Store, known: Known, name: str, entry: dict[str, Any]) -> tuple[Found, ...]:
    provider = provider_of(entry["provider"], known.catalog, signed_in=True)
    copilot = provider == "github-copilot"
    # of Copilot the GitHub token, which lasts, stands where others have what renews
    field = "refresh" if copilot and entry.get("refresh") else "access"
    access = secret_text(entry, field, f"an {field!r}")
    enterprise = optional_text(entry, "enterpriseUrl") if copilot else None
    found = sign_in(
        NAME,
        provider,
        f"Sign-in {name} of OpenClaw",
        store,
        known,
        access=access,
        at=("profiles", name, field),
        expires=entry.get("expires") if field == "access" else None,
        expires_at=("profiles", name, "expires"),
        email=optional_text(entry, "email"),
        account=optional_text(entry, "accountId"),
        base_url=enterprise_url(enterprise.rpartition("//")[2].partition("/")[0].lower()) if enterprise else None,
    )
    return (found,) if access else ()


def _kept(kind: ProfileType, field: str) -> _Reader:
    """What reads a key or a token that lasts: itself, or a reference to where it stands."""

    def read_kept(store: Store, known: Known, name: str, entry: dict[str, Any]) -> tuple[Found, ...]:
        text = secret_text(entry, field, f"a {field!r}")
        elsewhere = entry.get(f"{field}Ref")
        provider = provider_of(entry["provider"], known.catalog)
        reference, flaw = _where(store, name, field, text, elsewhere)
        terms = terms_of(provider, known) if kind == "token" else Terms()
        found = Found(
            source=NAME,
            provider=provider,
            title=f"Profile {name} of OpenClaw",
            kind="key",
            type=kind,
            path=store.path,
            secret=Secret(text) if text and not reference.startswith("env:") else None,
            reference=reference,
            email=optional_text(entry, "email"),
            flaw=flaw or ("" if provider else "this gateway knows no such provider"),
            offer=terms.offer,
            risk=terms.risk,
            terms_url=terms.url,
            metadata={"billing": "subscription"} if terms.offer == "ask" else {},
        )
        return (found,) if text or isinstance(elsewhere, dict) else ()

    return read_kept


def _where(store: Store, name: str, field: str, text: str, elsewhere: object) -> tuple[str, str]:
    """The reference to a key, and why there is none."""
    if text:
        ref = parse_reference(text, all_caps=False)
        return ref.label if ref.scheme == "env" else store.reference("profiles", name, field), ""
    told = elsewhere if isinstance(elsewhere, dict) else {}
    variable = optional_text(told, "id") if told.get("source") == "env" else None
    if variable is not None:
        return f"env:{variable}", ""
    return "", "its secret stands in a provider of secrets that OpenClaw alone can ask"


_KINDS: Final[Mapping[str, _Reader]] = {
    "api_key": _kept("api_key", "key"),
    "token": _kept("token", "token"),
    "oauth": _signed_in,
}
