"""What an issuer answers to a sign-in: read strictly, and each way in which it can be wrong has its own sentence."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlencode

from ...errors import NotConfigured, SignInFailed, UpstreamHTTPError, UpstreamInvalidResponse
from ...values import SignIn
from .steps import Fetch, Fetched, Means, Tokens
from .tokens import TokenAnswerInvalid, error_code, read_tokens

__all__ = [
    "clock_ahead",
    "document_of",
    "failed",
    "is_challenge",
    "issuer",
    "needed",
    "no_document",
    "post_form",
    "refused",
    "require",
    "seconds_of",
    "tokens_of",
]

_JSON: Final = ("accept", "application/json")
_FORM: Final = ("content-type", "application/x-www-form-urlencoded")
_LONGEST_TEXT: Final = 4096
_SAME_CLOCK: Final = 90.0
_NUMBER: Final = re.compile(r"\d{1,6}(\.\d+)?")

#: What the usual codes of RFC 6749 and RFC 8628 mean to the person.
_MEANINGS: Final[Mapping[str, tuple[str, str]]] = {
    "access_denied": ("denied", "The sign-in was turned down in the browser. Nothing was stored."),
    "expired_token": ("expired", "The code was not confirmed in time. Start the sign-in again."),
    "invalid_client": ("refused", "It does not know the client id: see oauth.{provider}.clientId."),
    "unauthorized_client": ("refused", "The client id may not sign in this way: see oauth.{provider}.clientId."),
    "incorrect_client_credentials": ("refused", "It does not know the client id: see oauth.{provider}.clientId."),
    "device_flow_disabled": ("refused", "The OAuth app has its device flow switched off; its owner can switch it on."),
    "invalid_scope": ("refused", "It does not give the scopes that were asked for: see oauth.{provider}.scopes."),
    "invalid_grant": ("refused", "The code was used already, or is too old. Start the sign-in again."),
}


def issuer(sign_in: SignIn) -> str:
    """Who is talked to, to begin a sentence with."""
    return f"The sign-in server of {sign_in.provider!r}"


def require(sign_in: SignIn, **fields: str) -> None:
    """That the sign-in has what a flow needs; `fields` are the values by the name of their setting.

    Raises:
        NotConfigured: one is empty; the message names the setting.
    """
    for name, value in fields.items():
        if not value:
            raise NotConfigured(
                f"The sign-in of {sign_in.provider!r} can't begin: oauth.{sign_in.provider}.{name} is not set.",
                details={"provider": sign_in.provider, "setting": f"oauth.{sign_in.provider}.{name}"},
            )


def post_form(sign_in: SignIn, means: Means, url: str, fields: Mapping[str, str]) -> Fetch:
    """A form with the client id and, where there is one, its secret (RFC 6749, section 2.3.1)."""
    secret = {} if means.client_secret is None else {"client_secret": means.client_secret.reveal()}
    body = urlencode({"client_id": sign_in.client_id, **fields, **secret}).encode("ascii")
    return Fetch("POST", url, (_FORM, _JSON), body)


def document_of(sign_in: SignIn, answer: Fetched) -> Mapping[str, Any]:
    """The JSON object of an answer, whatever its status.

    Raises:
        UpstreamInvalidResponse: it is anything else, a challenge for browsers among it.
    """
    if (fault := no_document(sign_in, answer)) is not None:
        raise fault
    document: Mapping[str, Any] = json.loads(answer.body)
    return document


def no_document(sign_in: SignIn, answer: Fetched) -> UpstreamInvalidResponse | None:
    """Why an answer holds no JSON object; None where it does."""
    if (words := _not_json(answer)) is None:
        return None
    details = {"provider": sign_in.provider, "status": answer.status}
    return UpstreamInvalidResponse(f"{issuer(sign_in)} {words}", details=details)


def _not_json(answer: Fetched) -> str | None:
    if is_challenge(answer):
        return (
            "answered with a check for browsers (Cloudflare), which a program can't pass. "
            "Try from another network, or sign in another way."
        )
    if 300 <= answer.status < 400:
        return f"answered HTTP {answer.status}, a redirect, which is not followed. Check its address under 'oauth'."
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        is_html = answer.body.lstrip()[:1] == b"<"
        what = "an HTML page" if is_html else "something that is not JSON" if answer.body else "nothing"
        return f"answered HTTP {answer.status} with {what}. Is a proxy or a sign-in page of the network in between?"
    return None if isinstance(document, dict) else f"answered HTTP {answer.status} with JSON that is no object."


def is_challenge(answer: Fetched) -> bool:
    """Whether Cloudflare wants to see a browser first."""
    return answer.status in (403, 429, 503) and "challenge" in answer.headers.get("cf-mitigated", "")


def needed(sign_in: SignIn, document: Mapping[str, Any], *names: str) -> str:
    """The first of these fields that is a text.

    Raises:
        UpstreamInvalidResponse: there is none; the message names the field.
    """
    for name in names:
        found = document.get(name)
        if isinstance(found, str) and 0 < len(found) <= _LONGEST_TEXT and found.isascii() and found.isprintable():
            return found
    raise UpstreamInvalidResponse(
        f"{issuer(sign_in)} left out {names[0]!r} in its answer, or sent something else in its place.",
        param=names[0],
        details={"provider": sign_in.provider},
    )


def seconds_of(document: Mapping[str, Any], name: str, default: float) -> float:
    """A span of seconds, which some issuers send as a text; `default` where there is none that makes sense."""
    said = document.get(name)
    if isinstance(said, str) and _NUMBER.fullmatch(said):
        said = float(said)
    sound = isinstance(said, (int, float)) and not isinstance(said, bool) and 0 < said < 1e6
    return float(said) if sound and said is not None else default


def tokens_of(sign_in: SignIn, answer: Fetched, now: float) -> Tokens:
    """The tokens of a token endpoint's answer.

    Raises:
        SignInFailed: the issuer refused, with a code of its own.
        UpstreamHTTPError: an error status without one.
        UpstreamInvalidResponse: it is no answer of a token endpoint; the message names the field where one lacks.
    """
    document_of(sign_in, answer)
    if error := refused(sign_in, answer):
        raise error
    ahead = clock_ahead(answer, now)
    try:
        tokens = read_tokens(answer.body, now + ahead)
    except TokenAnswerInvalid as fault:
        raise UpstreamInvalidResponse(
            f"{issuer(sign_in)} gave no credential: {fault.message}.", details={"provider": sign_in.provider}
        ) from None
    # What it says of a moment is by its clock; what is stored is read by the clock of this machine.
    return tokens if tokens.expires is None else replace(tokens, expires=tokens.expires - round(ahead * 1000))


def clock_ahead(answer: Fetched, now: float) -> float:
    """Seconds that the issuer's clock is ahead of `now`, by its `Date`; 0 for what a slow network would explain."""
    try:
        ahead = parsedate_to_datetime(answer.headers.get("date", "")).timestamp() - now
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0.0
    return ahead if abs(ahead) > _SAME_CLOCK else 0.0


def refused(sign_in: SignIn, answer: Fetched) -> SignInFailed | UpstreamHTTPError | None:
    """The refusal that an answer is; None where it is none."""
    if code := error_code(answer):
        return failed(sign_in, code)
    if answer.status < 400:
        return None
    return UpstreamHTTPError(
        f"{issuer(sign_in)} answered HTTP {answer.status}. Try again later.",
        details={"provider": sign_in.provider, "status": answer.status},
        status=answer.status,
    )


def failed(sign_in: SignIn, code: str) -> SignInFailed:
    """The sentence for an issuer's error code. What else it said stays unsaid: it may repeat what it was sent."""
    reason, words = _MEANINGS.get(code, ("refused", "Start the sign-in again; if it happens again, look the code up."))
    return SignInFailed(
        f"{issuer(sign_in)} said {code!r}. {words.format(provider=sign_in.provider)}",
        details={"provider": sign_in.provider, "reason": reason, "error": code},
    )
