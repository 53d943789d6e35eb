"""Every place of the config document that holds a secret or a reference to one (SPEC §3, §9)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from ..auth.secrets import parse_reference
from ..values import SecretRef

__all__ = ["SecretPlace", "references_of", "secret_places"]

_OF_PROFILES: Final = ("key", "token", "access", "refresh")

#: Headers whose values let somebody in. Others are told to anybody who looks at a request.
_SECRET_HEADER: Final = re.compile(
    r"authorization|cookie|.*(?:^|[-_])(?:api[-_]?key|key|token|secret|auth|password|credential|signature)s?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, eq=False)
class SecretPlace:
    """One field. `holder[key]` is its text; `name` is what it is called, unique within the document.

    `movable` is False for client tokens: they are stored hashed, and a reference to one is a person's own choice.
    """

    name: str
    holder: dict[str, Any] = field(repr=False)
    key: str
    all_caps: bool = True
    movable: bool = True

    @property
    def text(self) -> str:
        return str(self.holder[self.key]).strip()

    @property
    def ref(self) -> SecretRef:
        return parse_reference(self.text, all_caps=self.all_caps)


def secret_places(data: dict[str, Any]) -> Iterator[SecretPlace]:
    """The fields of a valid document that are not empty, in its order; of a mirrored section the first side."""
    yield from (each for each in _all(data) if isinstance(each.holder.get(each.key), str) and each.text)


def references_of(data: dict[str, Any]) -> tuple[SecretRef, ...]:
    """Every reference in them."""
    return tuple(ref for ref in (place.ref for place in secret_places(data)) if ref.scheme != "literal")


def _all(data: dict[str, Any]) -> Iterator[SecretPlace]:
    for id_, profile in (data.get("authProfiles") or {}).items():
        for key in _OF_PROFILES:
            yield SecretPlace(f"{id_}.{key}", profile, key)
    for id_, provider in (data.get("providers") or {}).items():
        yield SecretPlace(f"providers.{id_}.apiKey", provider, "apiKey")
        yield from _headers(f"providers.{id_}", provider)
        for number, model in enumerate(provider.get("models") or ()):
            yield from _headers(f"providers.{id_}.models.{number}", model)
    for id_, sign_in in (data.get("oauth") or {}).items():
        yield SecretPlace(f"oauth.{id_}.clientSecret", sign_in, "clientSecret")
    yield from _of_the_gateway(data)


def _of_the_gateway(data: dict[str, Any]) -> Iterator[SecretPlace]:
    yield SecretPlace("serverToken", data, "serverToken", all_caps=False)
    egress = data.get("egressPolicy") or {}
    if _is_secret_url(egress.get("proxy")):
        yield SecretPlace("egressPolicy.proxy", egress, "proxy", all_caps=False)
    for id_, token in ((data.get("authorization") or {}).get("tokens") or {}).items():
        yield SecretPlace(f"authorization.tokens.{id_}.token", token, "token", all_caps=False, movable=False)


def _headers(place: str, holder: Mapping[str, Any]) -> Iterator[SecretPlace]:
    headers = holder.get("headers") or {}
    for name, text in headers.items():
        ref = parse_reference(text, all_caps=False)
        if ref.scheme != "literal" or _SECRET_HEADER.fullmatch(name):
            yield SecretPlace(f"{place}.headers.{name}", headers, name, all_caps=False)


def _is_secret_url(text: object) -> bool:
    """An address with a password in it, or a reference to an address."""
    if not isinstance(text, str):
        return False
    if parse_reference(text, all_caps=False).scheme != "literal":
        return True
    try:
        return urlsplit(text.strip()).password is not None
    except ValueError:
        return False
