"""Signing in with a code that the person types on another screen (RFC 8628), as GitHub, Kimi and Qwen have it."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from typing import Any, Final

from ...errors import SignInFailed, UpstreamInvalidResponse
from ...values import SignIn
from .addresses import page_told
from .answers import document_of, issuer, needed, post_form, refused, require, seconds_of, tokens_of
from .patience import Patience, patiently
from .pkce import ENTROPY, proof_key
from .steps import Fetch, Fetched, Flow, Means, Step, Visit
from .tokens import error_code

__all__ = ["GRANT", "device", "device_with_proof", "granted", "shown_code"]

GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"

_CODE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,63}")
_PENDING: Final = "authorization_pending"
_SLOWER: Final = "slow_down"
#: Seconds that `slow_down` adds (RFC 8628, section 3.5).
_MORE: Final = 5.0


def device(sign_in: SignIn, means: Means) -> Flow:
    """The person types a code on the issuer's page, and the token endpoint is asked until they have.

    Raises:
        NotConfigured: the sign-in lacks an address or a client id.
        SignInFailed: the person or the issuer said no, or the code ran out.
        UpstreamError: the issuer can't be understood.
    """
    answer = yield from granted(sign_in, means)
    return tokens_of(sign_in, answer, means.now())


def device_with_proof(sign_in: SignIn, means: Means) -> Flow:
    """The same with a proof key, which Qwen wants. Raises as `device`."""
    answer = yield from granted(sign_in, means, with_proof=True)
    return tokens_of(sign_in, answer, means.now())


def granted(sign_in: SignIn, means: Means, *, with_proof: bool = False) -> Generator[Step, Any, Fetched]:
    """The token endpoint's answer once the person has confirmed. Raises as `device`."""
    require(sign_in, clientId=sign_in.client_id, deviceUrl=sign_in.device_url, tokenUrl=sign_in.token_url)
    key = proof_key(means.random(ENTROPY)) if with_proof else None
    challenge = {} if key is None else {"code_challenge": key.challenge, "code_challenge_method": "S256"}
    scope = {"scope": " ".join(sign_in.scopes)} if sign_in.scopes else {}
    answer = yield post_form(sign_in, means, sign_in.device_url, {**scope, **challenge})
    document = document_of(sign_in, answer)
    if error := refused(sign_in, answer):
        raise error
    verifier = {} if key is None else {"code_verifier": key.verifier}
    fields = {"grant_type": GRANT, "device_code": needed(sign_in, document, "device_code"), **verifier}
    yield _visit(sign_in, document)
    patience = Patience(means.now, seconds_of(document, "interval", 5.0), seconds_of(document, "expires_in", 900.0))
    return (yield from _ask(sign_in, post_form(sign_in, means, sign_in.token_url, fields), patience))


def shown_code(sign_in: SignIn, document: Mapping[str, Any]) -> str:
    """The code for the person, which is about to stand on a terminal.

    Raises:
        UpstreamInvalidResponse: there is none, or it holds what nobody could type.
    """
    code = needed(sign_in, document, "user_code", "usercode")
    if not _CODE.fullmatch(code):
        raise UpstreamInvalidResponse(
            f"{issuer(sign_in)} sent a 'user_code' that can't be typed.",
            param="user_code",
            details={"provider": sign_in.provider},
        )
    return code


def _visit(sign_in: SignIn, document: Mapping[str, Any]) -> Visit:
    page = page_told(sign_in, needed(sign_in, document, "verification_uri", "verification_url"))
    direct = document.get("verification_uri_complete")
    told = page_told(sign_in, needed(sign_in, document, "verification_uri_complete")) if direct else ""
    return Visit(page, shown_code(sign_in, document), told)


def _ask(sign_in: SignIn, question: Fetch, patience: Patience) -> Generator[Step, Any, Fetched]:
    while True:
        answer = yield from patiently(sign_in, question, patience)
        document = document_of(sign_in, answer)
        code = error_code(answer)
        if code == _SLOWER:
            patience.interval = max(seconds_of(document, "interval", 0.0), patience.interval + _MORE)
        elif code != _PENDING:
            return _confirmed(sign_in, answer)


def _confirmed(sign_in: SignIn, answer: Fetched) -> Fetched:
    error = refused(sign_in, answer)
    if isinstance(error, SignInFailed) and error.details.get("error") == "bad_verification_code":
        raise SignInFailed(f"{issuer(sign_in)} no longer knows the code. Start again.", details=error.details)
    if error is not None:
        raise error
    return answer
