"""GitHub Copilot: GitHub's device flow, and the exchange of what it gives for a short-lived token.

Where GitHub does not exchange a token, it is used as it is, which is how Copilot takes tokens of OAuth apps.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import Any, Final

from ...errors import SignInFailed, UpstreamHTTPError, UpstreamInvalidResponse
from ...policy.egress import literal_address
from ...values import Secret, SignIn
from .addresses import base_url_told, origin_of
from .answers import clock_ahead, document_of, issuer, needed, refused, require, tokens_of
from .device import granted
from .steps import Fetch, Fetched, Flow, Means, Step, Tell, Tokens
from .tokens import RenewalFailed, TokenAnswerInvalid, expires_of

__all__ = ["at_host", "copilot", "copilot_direct", "exchange", "host_of"]

_GITHUB: Final = "github.com"
#: Where the hosts of a company's own GitHub have Copilot.
_ENTERPRISE: Final = "copilot-api."
_PROXY: Final = re.compile(r"\Aproxy\.")
#: GitHub has no exchange there, or none for this token.
_NOT_EXCHANGED: Final = frozenset({403, 404})


def copilot(sign_in: SignIn, means: Means) -> Flow:
    """The person types a code at GitHub; what that gives is exchanged where GitHub does so.

    Raises:
        NotConfigured: the sign-in lacks an address or a client id.
        SignInFailed: the person or GitHub said no, or the code ran out.
        UpstreamError: GitHub can't be understood.
    """
    require(sign_in, exchangeUrl=sign_in.exchange_url)
    token = yield from _github_token(sign_in, means)
    answer = yield from _exchanged(sign_in, token)
    if answer.status in _NOT_EXCHANGED:
        document_of(sign_in, answer)  # a check for browsers says nothing about the token
        yield Tell("GitHub does not exchange this token for one of Copilot's, so it is used as it is.")
        return _direct(sign_in, token)
    exchanged = _read(sign_in, answer, means.now())
    return replace(exchanged, refresh=token.reveal())


def copilot_direct(sign_in: SignIn, means: Means) -> Flow:
    """The same without the exchange, for an OAuth app of one's own. Raises as `copilot`."""
    return _direct(sign_in, (yield from _github_token(sign_in, means)))


def exchange(sign_in: SignIn, github_token: Secret, now: float) -> Flow:
    """A fresh Copilot token for a GitHub token, which lasts. `now` is seconds since the epoch.

    Raises:
        RenewalFailed: GitHub does not take its token any more, which is terminal.
        SignInFailed: it does not exchange it.
        UpstreamError: GitHub can't be understood.
    """
    answer = yield from _exchanged(sign_in, github_token)
    if answer.status == 401:
        raise RenewalFailed(
            f"GitHub takes the token of {sign_in.provider!r} no more", "terminal", code="bad_credentials"
        )
    return _read(sign_in, answer, now)


def host_of(sign_in: SignIn) -> str:
    """Whose GitHub it is: `github.com`, or the host of a company's own."""
    return origin_of(sign_in.device_url).host if sign_in.device_url else _GITHUB


def at_host(sign_in: SignIn, host: str) -> SignIn:
    """The sign-in at a company's own GitHub. A host that is none is refused where it is first used."""
    if host == host_of(sign_in):
        return sign_in
    return replace(
        sign_in,
        device_url=f"https://{host}/login/device/code",
        token_url=f"https://{host}/login/oauth/access_token",
        exchange_url=f"https://api.{host}/copilot_internal/v2/token",
    )


def _github_token(sign_in: SignIn, means: Means) -> Generator[Step, Any, Secret]:
    answer = yield from granted(sign_in, means)
    return Secret(tokens_of(sign_in, answer, means.now()).access)


def _exchanged(sign_in: SignIn, github_token: Secret) -> Generator[Step, Any, Fetched]:
    headers = (("authorization", f"token {github_token.reveal()}"), ("accept", "application/json"))
    answer: Fetched = yield Fetch("GET", sign_in.exchange_url, headers)
    return answer


def _direct(sign_in: SignIn, github_token: Secret) -> Tokens:
    """Neither an end nor a renewal."""
    own = _own_api(sign_in)
    return Tokens(github_token.reveal(), base_url=own and f"https://{own}")


def _own_api(sign_in: SignIn) -> str | None:
    """Where a company's own GitHub has Copilot; None for GitHub itself."""
    host = host_of(sign_in)
    return None if host == _GITHUB or literal_address(host) else f"{_ENTERPRISE}{host}"


def _read(sign_in: SignIn, answer: Fetched, now: float) -> Tokens:
    document = document_of(sign_in, answer)
    if error := _refusal(sign_in, answer):
        raise error
    token = needed(sign_in, document, "token")
    ahead = clock_ahead(answer, now)
    try:
        expires = expires_of(document, {}, now + ahead)
    except TokenAnswerInvalid as fault:
        raise UpstreamInvalidResponse(
            f"{issuer(sign_in)} gave no credential: {fault.message}.", details={"provider": sign_in.provider}
        ) from None
    return Tokens(
        access=token,
        expires=None if expires is None else expires - round(ahead * 1000),
        base_url=_base_url(sign_in, token, document),
    )


def _refusal(sign_in: SignIn, answer: Fetched) -> SignInFailed | UpstreamHTTPError | None:
    if answer.status not in _NOT_EXCHANGED:
        return refused(sign_in, answer)
    return SignInFailed(
        f"{issuer(sign_in)} does not exchange this token. Has the account Copilot? If so, sign in again with "
        "--no-exchange.",
        details={"provider": sign_in.provider, "reason": "not_exchanged"},
    )


def _base_url(sign_in: SignIn, token: str, document: Mapping[str, Any]) -> str | None:
    """Where the token is taken: the host within it, else what stands beside it; None leaves the catalog's."""
    own = _own_api(sign_in)
    also = () if own is None else (own,)
    part = next((part for part in token.split(";") if part.startswith("proxy-ep=")), "")
    if told := part.removeprefix("proxy-ep=").strip():
        return base_url_told(sign_in, _PROXY.sub("api.", told), *also)
    endpoints = document.get("endpoints")
    api = endpoints.get("api") if isinstance(endpoints, dict) else None
    if isinstance(api, str) and api:
        return base_url_told(sign_in, needed(sign_in, {"endpoints.api": api}, "endpoints.api"), *also)
    return own and f"https://{own}"
