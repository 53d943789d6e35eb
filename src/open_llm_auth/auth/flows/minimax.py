"""MiniMax's way with a code on another screen: near to RFC 8628, with fields and a grant of its own."""

from __future__ import annotations

import hmac
from collections.abc import Generator
from dataclasses import replace
from typing import Any, Final

from ...errors import SignInFailed, UpstreamInvalidResponse
from ...values import SignIn
from .addresses import base_url_told, page_told
from .answers import clock_ahead, document_of, issuer, needed, post_form, refused, require, seconds_of, tokens_of
from .device import shown_code
from .patience import Patience, patiently
from .pkce import ENTROPY, proof_key, unguessable
from .steps import Fetch, Fetched, Flow, Means, Step, Tokens, Visit
from .tokens import TokenAnswerInvalid, expires_of

__all__ = ["minimax"]

_GRANT: Final = "urn:ietf:params:oauth:grant-type:user_code"
_INTERVAL_MS: Final = 2000.0
#: The base URL it tells is the API's root; models are called below it in Anthropic's dialect.
_DIALECT_PATH: Final = "/anthropic"


def minimax(sign_in: SignIn, means: Means) -> Flow:
    """The person types a code, and the token endpoint is asked until they have.

    Raises:
        NotConfigured: the sign-in lacks an address or a client id.
        SignInFailed: the person or the issuer said no, or the code ran out.
        UpstreamError: the issuer can't be understood.
    """
    require(sign_in, clientId=sign_in.client_id, deviceUrl=sign_in.device_url, tokenUrl=sign_in.token_url)
    key, state = proof_key(means.random(ENTROPY)), unguessable(means.random(ENTROPY))
    fields = {
        "response_type": "code",
        "scope": " ".join(sign_in.scopes),
        "code_challenge": key.challenge,
        "code_challenge_method": "S256",
        "state": state,
    }
    answer = yield post_form(sign_in, means, sign_in.device_url, fields)
    document = document_of(sign_in, answer)
    if error := refused(sign_in, answer):
        raise error
    if not hmac.compare_digest(needed(sign_in, document, "state"), state):
        raise _other_state(sign_in)
    code = shown_code(sign_in, document)
    question = {"grant_type": _GRANT, "user_code": code, "code_verifier": key.verifier}
    patience = Patience(
        means.now,
        seconds_of(document, "interval", _INTERVAL_MS) / 1000,
        _lifetime(sign_in, answer, means.now()),
    )
    yield Visit(page_told(sign_in, needed(sign_in, document, "verification_uri")), code)
    answer = yield from _granted(sign_in, post_form(sign_in, means, sign_in.token_url, question), patience)
    return _tokens(sign_in, answer, means.now())


def _granted(sign_in: SignIn, question: Fetch, patience: Patience) -> Generator[Step, Any, Fetched]:
    while True:
        answer = yield from patiently(sign_in, question, patience)
        status = document_of(sign_in, answer).get("status")
        if error := refused(sign_in, answer):
            raise error
        if status == "success":
            return answer
        if status == "error":
            raise SignInFailed(
                f"{issuer(sign_in)} turned the sign-in down. Start it again.",
                details={"provider": sign_in.provider, "reason": "denied"},
            )


def _lifetime(sign_in: SignIn, answer: Fetched, now: float) -> float:
    """`expired_in` may be a span, or a moment in seconds or milliseconds of the issuer's clock."""
    then = now + clock_ahead(answer, now)
    try:
        expires = expires_of(document_of(sign_in, answer), {}, then)
    except TokenAnswerInvalid as fault:
        raise UpstreamInvalidResponse(
            f"{issuer(sign_in)} sent no sound code: {fault.message}.", details={"provider": sign_in.provider}
        ) from None
    return 900.0 if expires is None else expires / 1000 - then


def _tokens(sign_in: SignIn, answer: Fetched, now: float) -> Tokens:
    tokens = tokens_of(sign_in, answer, now)
    told = document_of(sign_in, answer).get("resource_url")
    if not told:
        return tokens
    base_url = base_url_told(sign_in, needed(sign_in, {"resource_url": told}, "resource_url"))
    whole = base_url if base_url.endswith(_DIALECT_PATH) else base_url.removesuffix("/v1") + _DIALECT_PATH
    return replace(tokens, base_url=whole)


def _other_state(sign_in: SignIn) -> UpstreamInvalidResponse:
    return UpstreamInvalidResponse(
        f"{issuer(sign_in)} answered with the 'state' of another sign-in. Nothing was stored; start again.",
        param="state",
        details={"provider": sign_in.provider},
    )
