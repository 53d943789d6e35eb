"""Signing in with a browser: authorization code with a proof key, back over a loopback address (RFC 8252, RFC 7636)."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from ...errors import SignInFailed
from ...values import SignIn
from .answers import failed, issuer, post_form, require, tokens_of
from .pkce import ENTROPY, ProofKey, proof_key, unguessable
from .steps import Flow, Listen, Means, Receive, Visit

__all__ = ["browser"]


def browser(sign_in: SignIn, means: Means) -> Flow:
    """The person allows it on the issuer's page; the browser brings a code, which is exchanged for tokens.

    Raises:
        NotConfigured: the sign-in lacks an address or a client id.
        SignInFailed: the person or the issuer said no.
        UpstreamError: the issuer can't be understood.
    """
    require(sign_in, clientId=sign_in.client_id, authorizeUrl=sign_in.authorize_url, tokenUrl=sign_in.token_url)
    key, state = proof_key(means.random(ENTROPY)), unguessable(means.random(ENTROPY))
    path = sign_in.redirect_path
    port = yield Listen((sign_in.redirect_port, *sign_in.alternate_ports), path, state)
    redirect = f"http://localhost:{port}{path}"
    yield Visit(_page(sign_in, redirect, key, state))
    code = _code(sign_in, (yield Receive(state)))
    fields = {
        "grant_type": "authorization_code",
        "code": code,
        "code_verifier": key.verifier,
        "redirect_uri": redirect,
    }
    answer = yield post_form(sign_in, means, sign_in.token_url, fields)
    return tokens_of(sign_in, answer, means.now())


def _page(sign_in: SignIn, redirect: str, key: ProofKey, state: str) -> str:
    parameters = {
        "response_type": "code",
        "client_id": sign_in.client_id,
        "redirect_uri": redirect,
        "scope": " ".join(sign_in.scopes),
        "code_challenge": key.challenge,
        "code_challenge_method": "S256",
        "state": state,
        **sign_in.extras,
    }
    said = {name: value for name, value in parameters.items() if value}
    return sign_in.authorize_url + ("&" if "?" in sign_in.authorize_url else "?") + urlencode(said)


def _code(sign_in: SignIn, came: Mapping[str, str]) -> str:
    if error := came.get("error"):
        # Anybody's program may have made it, so it is shown only where it looks like a code.
        raise failed(sign_in, error if error.isascii() and error.replace("_", "").isalnum() else "unknown_error")
    if not came.get("code"):
        raise SignInFailed(
            f"{issuer(sign_in)} sent the browser back without a code. Start the sign-in again.",
            param="code",
            details={"provider": sign_in.provider, "reason": "invalid"},
        )
    return came["code"]
