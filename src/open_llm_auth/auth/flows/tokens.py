"""What a token endpoint answers, read the same way by sign-ins and renewals (RFC 6749, sections 5.1 and 5.2)."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from ...values import Secret
from ..secrets import is_reference
from .steps import Fetched, Tokens

__all__ = [
    "Identity",
    "Outcome",
    "RenewalFailed",
    "TokenAnswerInvalid",
    "claims_of",
    "error_code",
    "expires_of",
    "identity_of",
    "read_tokens",
]

#: What a renewal that failed means for the refresh token: it is no good any more; it may be spent or not; it is not.
Outcome = Literal["terminal", "uncertain", "not_sent"]

#: A number from here on is a moment, not a span: seconds since the epoch, and milliseconds.
_A_MOMENT: Final = 1e9
_IN_MILLISECONDS: Final = 1e12
_LONGEST: Final = 1e15
_EXPIRY_FIELDS: Final = ("expires_in", "expires_at", "expired_in", "expiry_date")

_OPENAI_AUTH: Final = "https://api.openai.com/auth"
_OPENAI_PROFILE: Final = "https://api.openai.com/profile"

#: What an error code may look like; all else an issuer says stays unsaid, as it may hold a token.
_CODE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
_LARGEST_TOKEN: Final = 32_768


class TokenAnswerInvalid(Exception):
    """An answer that is no pair of tokens. The message says what is wrong with it, and holds nothing out of it.

    `refresh` is the new refresh token, where the answer held one all the same: the old one is spent.
    """

    def __init__(self, message: str, refresh: Secret | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.refresh = refresh


class RenewalFailed(Exception):
    """A renewal gave nothing. The message is a sentence about the issuer and never holds a token. `code` is the
    issuer's own; `refresh` as in `TokenAnswerInvalid`."""

    def __init__(
        self,
        message: str,
        outcome: Outcome,
        *,
        code: str = "",
        refresh: Secret | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.outcome = outcome
        self.code = code
        self.refresh = refresh


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose tokens they are, as far as they say so. None of it is a secret; `email` is for display."""

    account_id: str | None = None
    email: str | None = None
    plan: str | None = None
    subject: str | None = None


def read_tokens(body: bytes, now: float) -> Tokens:
    """The tokens of a successful answer. `now` is seconds since the epoch.

    Raises:
        TokenAnswerInvalid: it is not JSON, or lacks an access token, or a field is of the wrong type.
    """
    document = _document(body)
    refresh = _token(document, "refresh_token")
    try:
        access = _token(document, "access_token")
    except TokenAnswerInvalid as error:
        raise TokenAnswerInvalid(error.message, _secret(refresh)) from None
    if access is None:
        raise TokenAnswerInvalid("its answer has no 'access_token'", _secret(refresh))
    id_token = document.get("id_token")
    claims = claims_of(access)
    try:
        expires = expires_of(document, claims, now)
    except TokenAnswerInvalid as error:
        raise TokenAnswerInvalid(error.message, _secret(refresh)) from None
    who = identity_of(claims_of(id_token) if isinstance(id_token, str) else {}, claims)
    said = {"plan": who.plan, "subject": who.subject}
    return Tokens(
        access=access,
        refresh=refresh,
        expires=expires,
        account_id=who.account_id,
        email=who.email,
        details={name: value for name, value in said.items() if value is not None},
    )


def expires_of(document: Mapping[str, Any], claims: Mapping[str, Any], now: float) -> int | None:
    """When the access token ends, in milliseconds since the epoch; None where nobody says.

    Issuers state a span in seconds, or a moment in seconds or milliseconds, under several names. A token that says it
    itself, as a JWT does, is asked last.

    Raises:
        TokenAnswerInvalid: a field holds something that is no time.
    """
    for name in _EXPIRY_FIELDS:
        if (said := document.get(name)) is not None:
            return _moment(_number(name, said), now)
    said = claims.get("exp")
    return int(said * 1000) if isinstance(said, (int, float)) and _A_MOMENT <= said < _IN_MILLISECONDS else None


def claims_of(token: str) -> Mapping[str, Any]:
    """What a JWT says, unverified: it came from its issuer over TLS, and is used to name an account, never to trust
    one. Nothing where it is no JWT."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def identity_of(*claims: Mapping[str, Any]) -> Identity:
    """Whose tokens they are, by the claims of the ID token and then those of the access token; the first that says
    something counts."""
    return Identity(
        account_id=_first(_account(each) for each in claims),
        email=_first(_text(_inner(each, _OPENAI_PROFILE).get("email")) or _text(each.get("email")) for each in claims),
        plan=_first(_text(_inner(each, _OPENAI_AUTH).get("chatgpt_plan_type")) for each in claims),
        subject=_first(_text(each.get("sub")) for each in claims),
    )


def error_code(fetched: Fetched) -> str:
    """The issuer's own word for what is wrong: OAuth's `error`, or the `code` of an error object. "" for none."""
    try:
        document = json.loads(fetched.body)
    except (ValueError, RecursionError):
        return ""
    said = document.get("error") if isinstance(document, dict) else None
    if isinstance(said, dict):
        said = said.get("code") or said.get("type")
    return said if isinstance(said, str) and _CODE.fullmatch(said) else ""


def _document(body: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        what = "an HTML page" if body.lstrip()[:1] == b"<" else "something that is not JSON"
        raise TokenAnswerInvalid(f"it answered with {what}") from None
    if not isinstance(document, dict):
        raise TokenAnswerInvalid("its answer is JSON, and not an object")
    return document


def _token(document: Mapping[str, Any], name: str) -> str | None:
    """The token of that name: what can travel in a header field, or None where there is none."""
    said = document.get(name)
    if said is None:
        return None
    fits = isinstance(said, str) and 0 < len(said) <= _LARGEST_TOKEN
    if not fits or not said.isascii() or not said.isprintable() or " " in said:
        raise TokenAnswerInvalid(f"the {name!r} of its answer is no token")
    if is_reference(said, all_caps=True):
        # Stored, it would be looked up, or run, at its first use: no issuer shall decide that.
        raise TokenAnswerInvalid(f"the {name!r} of its answer reads like a reference to a secret of this machine")
    return str(said)


def _secret(text: str | None) -> Secret | None:
    return None if text is None else Secret(text)


def _number(name: str, said: object) -> float:
    if isinstance(said, str) and re.fullmatch(r"[0-9]{1,15}(\.[0-9]+)?", said):
        return float(said)
    if isinstance(said, (int, float)) and not isinstance(said, bool) and 0 <= said < _LONGEST:
        return float(said)
    raise TokenAnswerInvalid(f"the {name!r} of its answer is no time")


def _moment(number: float, now: float) -> int:
    if number >= _IN_MILLISECONDS:
        return int(number)
    return int((number if number >= _A_MOMENT else now + number) * 1000)


def _account(claims: Mapping[str, Any]) -> str | None:
    """OpenAI's account: a claim of its own, one within another, or the first organisation."""
    auth = _inner(claims, _OPENAI_AUTH)
    organisations = auth.get("organizations") or claims.get("organizations")
    first = organisations[0] if isinstance(organisations, list) and organisations else None
    return _first(
        (
            _text(claims.get("chatgpt_account_id")),
            _text(auth.get("chatgpt_account_id")),
            _text(first.get("id")) if isinstance(first, dict) else None,
        )
    )


def _inner(claims: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = claims.get(name)
    return found if isinstance(found, dict) else {}


def _text(said: object) -> str | None:
    return said if isinstance(said, str) and 0 < len(said) <= 320 and said.isprintable() else None


def _first(found: Any) -> str | None:
    return next((each for each in found if each), None)
