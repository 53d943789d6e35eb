"""Another copy of this gateway: the profiles of its `config.json`, in the order in which it tries them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, get_args

from ...values import ProfileType, Secret
from ..moments import milliseconds
from ..secrets import parse_reference
from .found import Found, Known, Store, Unreadable, optional_text, secret_text
from .signed_in import sign_in
from .terms import Terms, terms_of

__all__ = ["NAME", "read"]

NAME: Final = "gateway"
_FIELDS: Final[Mapping[str, str]] = {"api_key": "key", "token": "token", "oauth": "access"}
_TYPES: Final = frozenset(get_args(ProfileType))


def read(store: Store, known: Known) -> tuple[Found, ...]:
    """Every profile that holds a secret.

    Raises:
        Unreadable: it is no config of a gateway.
    """
    document = store.document()
    placed = _placed(document)
    return tuple(found for id_ in _ordered(document, placed) for found in _profile(store, known, id_, *placed[id_]))


def _placed(document: Mapping[str, Any]) -> dict[str, tuple[tuple[str, ...], dict[str, Any]]]:
    """Profiles by id, each with where it stands; the mirror wins."""
    mirror = document.get("auth")
    sides = (
        (("authProfiles",), document.get("authProfiles")),
        (("auth", "profiles"), mirror.get("profiles") if isinstance(mirror, dict) else None),
    )
    found: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {}
    for path, profiles in sides:
        if profiles is None:
            continue
        if not isinstance(profiles, dict):
            raise Unreadable(f"{'.'.join(path)!r} in it is no object")
        for id_, entry in profiles.items():
            if not isinstance(entry, dict) or not isinstance(entry.get("provider"), str):
                raise Unreadable("a profile in it has no 'provider'")
            if entry.get("type") not in _TYPES:
                raise Unreadable("a profile in it has no known 'type'")
            found[id_] = (path, entry)
    return found


def _ordered(document: Mapping[str, Any], placed: Mapping[str, object]) -> Iterator[str]:
    mirror = document.get("auth")
    sides = (document.get("authOrder"), mirror.get("order") if isinstance(mirror, dict) else None)
    orders: dict[str, Any] = {}
    for side in sides:
        orders |= side if isinstance(side, dict) else {}
    listed = [id_ for order in orders.values() if isinstance(order, list) for id_ in order if isinstance(id_, str)]
    yield from dict.fromkeys(id_ for id_ in (*listed, *placed) if id_ in placed)


def _profile(store: Store, known: Known, id_: str, path: tuple[str, ...], entry: dict[str, Any]) -> Iterator[Found]:
    field = _FIELDS.get(entry["type"])
    text = secret_text(entry, field, f"a {field!r}") if field else ""
    if field is None or not text:
        return
    provider = known.catalog.normalise(entry["provider"])
    told = entry.get("metadata") if isinstance(entry.get("metadata"), dict) else {}
    if entry["type"] == "oauth" and parse_reference(text, all_caps=False).scheme == "literal":
        yield sign_in(
            NAME,
            provider,
            f"Profile {id_} of another gateway",
            store,
            known,
            access=text,
            at=(*path, id_, field),
            expires=entry.get("expires"),
            expires_at=(*path, id_, "expires"),
            email=optional_text(entry, "email"),
            account=optional_text(entry, "accountId"),
            base_url=optional_text(entry, "baseUrl"),
        )
        return
    yield _kept(store, known, id_, (*path, id_, field), entry, text, provider, told or {})


def _kept(
    store: Store,
    known: Known,
    id_: str,
    at: tuple[str, ...],
    entry: Mapping[str, Any],
    text: str,
    provider: str,
    told: Mapping[str, Any],
) -> Found:
    """A key or a token that lasts, or what refers to one: a reference is as good here as there, if the file or the
    variable is the same."""
    ref = parse_reference(text, all_caps=False)
    refers = ref.scheme != "literal"
    terms = terms_of(provider, known) if entry["type"] == "token" else Terms()
    return Found(
        source=NAME,
        provider=provider,
        title=f"Profile {id_} of another gateway",
        kind="key",
        type=entry["type"],
        path=store.path,
        secret=None if refers else Secret(text),
        reference=text if refers else store.reference(*at),
        email=optional_text(entry, "email"),
        expires=milliseconds(entry.get("expires")),
        base_url=optional_text(entry, "baseUrl"),
        flaw="its secret is sealed; export it there instead" if ref.scheme == "vault" else "",
        offer=terms.offer,
        risk=terms.risk,
        terms_url=terms.url,
        metadata={"billing": told["billing"]} if isinstance(told.get("billing"), str) else {},
    )
