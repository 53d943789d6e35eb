"""What a reader makes of one entry of another program's file, and what it is told to do so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from ...provider_catalog import Catalog
from ...values import EMPTY, ProfileType, Secret, SignIn
from ..pointers import NotJSON, decoded, pointer_of
from .repairs import owners_repair

__all__ = ["Found", "Known", "Offer", "Store", "Unreadable", "optional_text", "secret_text"]

#: How far a credential may be taken over: without more ado, only by an explicit yes to that very one, or not at all.
Offer = Literal["free", "ask", "never"]


class Unreadable(ValueError):
    """The bytes are not what the program writes; the message says where, and repeats nothing that stands there."""


@dataclass(frozen=True, slots=True)
class Store:
    """One file of another program. `place` is the reference to all of it, such as `file:~/.codex/auth.json`."""

    path: str
    place: str
    data: bytes = field(repr=False)

    def reference(self, *steps: str | int) -> str:
        """The reference to one text within it."""
        return self.place + pointer_of(*steps)

    def document(self) -> dict[str, Any]:
        """It as a JSON object.

        Raises:
            Unreadable: it is none, or is being written.
        """
        if not self.data.strip():
            raise Unreadable("it is empty")
        try:
            value = decoded(self.data)
        except NotJSON as error:
            raise Unreadable(f"{error}") from None
        if not isinstance(value, dict):
            raise Unreadable("it holds no JSON object")
        return value

    def text(self) -> str:
        """It as text.

        Raises:
            Unreadable: it is not UTF-8.
        """
        try:
            return self.data.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise Unreadable("it is not UTF-8 text") from None


@dataclass(frozen=True, slots=True)
class Known:
    """What readers are told of this gateway. `variables` reads the text of a `.env`."""

    catalog: Catalog
    sign_ins: Mapping[str, SignIn] = field(default_factory=lambda: EMPTY)
    variables: Callable[[str], Mapping[str, str]] = field(default=lambda _: EMPTY)


@dataclass(frozen=True, slots=True)
class Found:
    """A credential that another program keeps. Its secret never prints.

    `kind`: a `reference` is a sign-in that its program renews, so that only a reference to it stays good; a `key` may
    be copied. `reference` is "" where no reference can point at it. `flaw` is why it can't be used at all, and `offer`
    how far its provider lets it be. `expires` is milliseconds since the epoch.
    """

    source: str
    provider: str
    title: str
    kind: Literal["reference", "key"]
    type: ProfileType
    path: str
    secret: Secret | None = None
    reference: str = ""
    account: str | None = None
    email: str | None = None
    expires: int | None = None
    #: where in the same document the expiry stands, for a token that does not tell it itself
    expires_pointer: str = ""
    base_url: str | None = None
    note: str = ""
    flaw: str = ""
    offer: Offer = "free"
    risk: str = ""
    terms_url: str = ""
    #: further facts for the profile's metadata, none of them a secret
    metadata: Mapping[str, str] = field(default_factory=lambda: EMPTY)

    @property
    def repair(self) -> str:
        """What renews it, where its owner has to."""
        return owners_repair(self.source) if self.kind == "reference" else ""

    def is_expired(self, now_ms: float) -> bool:
        return self.expires is not None and self.expires <= now_ms

    def profile(self, now_ms: float, *, copied: bool) -> dict[str, Any]:
        """The config profile that stands for it. A reference carries no expiry: the one in the file is the true one.

        Raises:
            ValueError: what was asked for is not possible, as a copy of a sign-in.
        """
        if copied and self.kind == "reference":
            raise ValueError("a sign-in that another program renews is referred to, not copied")
        text = self.secret.reveal() if copied and self.secret is not None else self.reference
        if not text:
            raise ValueError("nothing can refer to it" if not copied else "its text is not known")
        told = {"expires": self.expires if copied else None, "email": self.email if copied else None}
        return {
            "provider": self.provider,
            "type": self.type,
            _FIELDS[self.type]: text,
            **{name: value for name, value in told.items() if value is not None},
            **({"baseUrl": self.base_url} if self.base_url else {}),
            "metadata": self._metadata(now_ms, copied),
        }

    def _metadata(self, now_ms: float, copied: bool) -> dict[str, Any]:
        facts: dict[str, Any] = {"source": self.source, "path": self.path, "importedAt": int(now_ms)}
        if not copied and self.reference.startswith((f"file:{self.path}#", f"{self.path}#")):
            facts["mayRotate"] = False  # it is the other program's, now and later
        told = {
            "risk": self.risk,
            "termsUrl": self.terms_url,
            "account": self.email or self.account or "",
            "expiresPointer": "" if copied else self.expires_pointer,
        }
        return {**facts, **{name: value for name, value in told.items() if value}, **self.metadata}


_FIELDS: Final[Mapping[ProfileType, str]] = {"api_key": "key", "token": "token", "oauth": "access"}


def secret_text(fields: Mapping[str, Any], name: str, where: str = "") -> str:
    """A secret of an object; "" where it is absent, null or empty.

    Raises:
        Unreadable: it is something else than text.
    """
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Unreadable(f"{where or name!r} is not text")
    return value.strip()


def optional_text(fields: Mapping[str, Any], name: str) -> str | None:
    """A fact for people, which is passed over where it is not text."""
    value = fields.get(name)
    return value.strip() or None if isinstance(value, str) else None
