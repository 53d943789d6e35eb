"""OpenAI's own way with a code on another screen: the confirmation gives an authorization code, with its proof key."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any, Final

from ...errors import SignInFailed
from ...values import SignIn
from .addresses import origin_of
from .answers import (
    document_of,
    is_challenge,
    issuer,
    needed,
    no_document,
    post_form,
    refused,
    require,
    seconds_of,
    tokens_of,
)
from .device import shown_code
from .patience import Patience, patiently
from .steps import Fetch, Fetched, Flow, Means, Step, Visit
from .tokens import error_code

__all__ = ["codex_device"]

_JSON: Final = (("content-type", "application/json"), ("accept", "application/json"))
_REDIRECT: Final = "/deviceauth/callback"
_LIFETIME: Final = 900.0
#: What the token endpoint of a code that nobody has confirmed yet answers.
_NOT_YET: Final = frozenset({403, 404})


def codex_device(sign_in: SignIn, means: Means) -> Flow:
    """A code for the person, then an authorization code for the gateway, then tokens.

    Raises:
        NotConfigured: the sign-in lacks an address or a client id.
        SignInFailed: the person or the issuer said no, or the code ran out.
        UpstreamError: the issuer can't be understood.
    """
    _require(sign_in)
    answer = yield _post(f"{sign_in.device_url}/usercode", {"client_id": sign_in.client_id})
    if answer.status == 404 and not is_challenge(answer):
        raise _switched_off(sign_in)
    document = document_of(sign_in, answer)
    if error := refused(sign_in, answer):
        raise error
    id_, code = needed(sign_in, document, "device_auth_id"), shown_code(sign_in, document)
    yield Visit(sign_in.verification_url, code)
    patience = Patience(means.now, seconds_of(document, "interval", 5.0), _LIFETIME)
    question = _post(f"{sign_in.device_url}/token", {"device_auth_id": id_, "user_code": code})
    confirmed = document_of(sign_in, (yield from _confirmed(sign_in, question, patience)))
    fields = {
        "grant_type": "authorization_code",
        "code": needed(sign_in, confirmed, "authorization_code"),
        "code_verifier": needed(sign_in, confirmed, "code_verifier"),
        "redirect_uri": f"{origin_of(sign_in.device_url)}{_REDIRECT}",
    }
    answer = yield post_form(sign_in, means, sign_in.token_url, fields)
    return tokens_of(sign_in, answer, means.now())


def _require(sign_in: SignIn) -> None:
    require(
        sign_in,
        clientId=sign_in.client_id,
        deviceUrl=sign_in.device_url,
        tokenUrl=sign_in.token_url,
        verificationUrl=sign_in.verification_url,
    )


def _post(url: str, fields: dict[str, str]) -> Fetch:
    return Fetch("POST", url, _JSON, json.dumps(fields).encode("ascii"))


def _confirmed(sign_in: SignIn, question: Fetch, patience: Patience) -> Generator[Step, Any, Fetched]:
    while True:
        answer = yield from patiently(sign_in, question, patience)
        if is_challenge(answer) and (fault := no_document(sign_in, answer)) is not None:
            raise fault
        if answer.status in _NOT_YET and error_code(answer) not in ("access_denied", "expired_token"):
            continue
        if error := refused(sign_in, answer):
            raise error
        return answer


def _switched_off(sign_in: SignIn) -> SignInFailed:
    return SignInFailed(
        f"{issuer(sign_in)} has no device codes for this account. Switch 'device code authorization' on in the "
        "security settings of ChatGPT, or sign in with a browser.",
        details={"provider": sign_in.provider, "reason": "refused"},
    )
