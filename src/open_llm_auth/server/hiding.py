"""What only the gateway may know, kept out of what providers say (SPEC §11).

A hostile provider can echo its key anywhere: in words, in codes, in header fields.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

from ..errors import GatewayError, SecretUnavailable
from ..policy.redaction import Scrubber
from ..ports import SecretSource
from ..values import Credential, Headers, Secret, SecretRef, Snapshot

__all__ = ["Hiding"]

#: What a rate limit or the time to its reset looks like; most answers say nothing else, and need no closer look.
_AMOUNT: Final = re.compile(rb"[0-9.dhms]{0,40}")
#: What AWS's own tools find in the environment: a provider that is signed to is told some of it.
_AWS_VARIABLES: Final = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
)


class Hiding:
    """Finds the secrets a snapshot can reach, whenever something a provider said is about to be passed on."""

    def __init__(self, secrets: SecretSource, more: Callable[[], Iterable[Secret]] = tuple) -> None:
        """`more` are secrets that a snapshot does not reach, or no longer."""
        self._secrets = secrets
        self._more = more

    def rate_limits(self, snapshot: Snapshot, credential: Credential, headers: Headers) -> Headers:
        """The `x-ratelimit-*` fields of an answer, without those that say something else."""
        stated = tuple(field for field in headers if field[0].startswith(b"x-ratelimit-"))
        if not stated:
            return stated
        key = b"" if credential.secret is None else credential.secret.reveal().strip().encode()
        if all(_AMOUNT.fullmatch(value) and not (key and key in value) for _, value in stated):
            return stated
        hide = self.scrubber(snapshot, credential)
        return tuple(field for field in stated if _is_clean(b": ".join(field).decode("latin-1"), hide))

    def clean(self, error: GatewayError, hide: Scrubber) -> None:
        """Drop the header fields of `error` that hold a secret."""
        error.headers = tuple(field for field in error.headers if _is_clean(": ".join(field), hide))

    def scrubber(self, snapshot: Snapshot, credential: Credential) -> Scrubber:
        """Every secret this snapshot can reach, and the one that was sent, which may have been replaced meanwhile."""
        keys = [ref for profile in snapshot.profiles.values() for ref in (profile.secret, profile.refresh)]
        fields: list[SecretRef] = []
        texts = [] if credential.secret is None else [credential.secret.reveal()]
        variables = list(_AWS_VARIABLES)
        for provider in snapshot.providers.values():
            keys.append(provider.api_key)
            fields += [ref for _, ref in provider.headers]
            fields += [ref for model in provider.models.values() for _, ref in model.headers]
            variables += provider.env_names
        found = (self._secrets.environment(name) for name in variables)
        texts += [secret.reveal() for secret in (*found, *self._more()) if secret is not None]
        texts += [text for ref in keys for text in self._text(ref)]
        texts += [word for ref in fields for text in self._text(ref) for word in _words(text)]
        texts += [part for text in self._text(snapshot.egress.proxy) for part in (text, _password(text))]
        return Scrubber(texts)

    def _text(self, ref: SecretRef | None) -> tuple[str, ...]:
        """The secret that stands there. What can't be had can't be leaked."""
        try:
            return () if ref is None else (self._secrets.get(ref).reveal(),)
        except SecretUnavailable:
            return ()


def _is_clean(text: str, hide: Scrubber) -> bool:
    return hide(text) == text


def _words(secret: str) -> tuple[str, ...]:
    """A secret header value, and what stands in it behind a scheme such as `Bearer`."""
    return (secret, secret.rpartition(" ")[2])


def _password(url: str) -> str:
    """What stands before the @ of a proxy's URL."""
    return url.rpartition("@")[0].rpartition("://")[2].partition(":")[2]
