"""The pages and endpoints of an issuer at which people sign in: all of them on top of `FakeIssuer`'s token endpoint.

A person allows everything at once, unless told otherwise: `confirm` says when the codes on other screens are typed.
"""

from __future__ import annotations

import base64
import hashlib
from collections import deque
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from ..errors import UnsafeDestination
from ..policy.egress import parse_endpoint
from .http_server import SeenRequest
from .issuer import FakeIssuer, Issued, Said, Turn

__all__ = ["FakeSignInIssuer"]

_DEVICE: Final = "urn:ietf:params:oauth:grant-type:device_code"
_MINIMAX: Final = "urn:ietf:params:oauth:grant-type:user_code"
_CODEX: Final = "/api/accounts/deviceauth"
_PENDING: Final = Said(400, {"error": "authorization_pending"})


class FakeSignInIssuer(FakeIssuer):
    """`settings()` is what `oauth.<provider>` of a config says to sign in here.

    `account` is who signs in. `answers` queues answers that the next polls get instead of the documented ones. What a
    test may want to know stands in `authorized` (parameters of the authorization page) and `secrets_given`.
    """

    def __init__(self, *, account: str = "acct-1", email: str = "ada@example.test", **options: Any) -> None:
        super().__init__(**options)
        self.account = account
        self.email = email
        self.interval: float | str = 1
        self.confirmed = True
        self.deny = False
        self.answers: deque[Said] = deque()
        #: instead of the documented answer of the endpoint at that path
        self.instead: dict[str, Said] = {}
        self.authorized: list[Mapping[str, str]] = []
        self.secrets_given: list[str] = []
        #: the exchange of a GitHub token: 200, or the status of its refusal; and the host that the token names
        self.exchange_status = 200
        self.proxy_endpoint = "proxy.individual.githubcopilot.com"
        self.resource_url = ""
        self._codes: dict[str, Mapping[str, str]] = {}
        self._devices: dict[str, Mapping[str, str]] = {}
        self.routes |= {
            ("GET", "/oauth/authorize"): self._authorize,
            ("POST", "/device/code"): self._device_code,
            ("POST", "/minimax/code"): self._minimax_code,
            ("POST", f"{_CODEX}/usercode"): self._codex_code,
            ("POST", f"{_CODEX}/token"): self._codex_token,
            ("GET", "/copilot_internal/v2/token"): self._exchange,
        }
        self.grants |= {
            "authorization_code": self._redeem,
            _DEVICE: self._poll,
            _MINIMAX: self._poll_minimax,
        }

    def settings(self, kind: str = "browser") -> dict[str, Any]:
        """The endpoints, as `oauth.<provider>` takes them; `kind` is a flow's name."""
        devices = {"codex-device": _CODEX, "minimax": "/minimax/code"}
        return {
            "authorizeUrl": f"{self.base_url}/oauth/authorize",
            "tokenUrl": self.token_url,
            "deviceUrl": self.base_url + devices.get(kind, "/device/code"),
            "verificationUrl": f"{self.base_url}/device",
            "exchangeUrl": f"{self.base_url}/copilot_internal/v2/token",
        }

    # --- the page in the browser ---

    def _authorize(self, request: SeenRequest) -> Said:
        """Allow it, and send the browser back (RFC 6749, section 4.1.2)."""
        asked = dict(parse_qsl(request.target.partition("?")[2]))
        self.authorized.append(asked)
        if not _is_loopback(asked.get("redirect_uri", "")) or asked.get("code_challenge_method") != "S256":
            return Said(400, {"error": "invalid_request"})
        if self.deny:
            came = {"error": "access_denied", "state": asked["state"]}
        else:
            code = self._secret(f"code-{len(self._codes):04d}-canary")
            self._codes[code] = asked
            came = {"code": code, "state": asked["state"]}
        return Said(302, b"", (("location", f"{asked['redirect_uri']}?{urlencode(came)}"),))

    def _redeem(self, fields: Mapping[str, str], turn: Turn) -> Said | None:
        """A code is good once, for who has the verifier of its challenge."""
        asked = self._codes.pop(fields.get("code", ""), None)
        if turn.hang_up or turn.status or turn.body is not None:
            return None if turn.hang_up else Said(turn.status or 200, turn.body if turn.body is not None else {})
        if asked is None or asked["redirect_uri"] != fields.get("redirect_uri"):
            return Said(400, {"error": "invalid_grant"})
        if asked["code_challenge"] != _challenge(fields.get("code_verifier", "")):
            return Said(400, {"error": "invalid_grant"})
        return self.answer(self._signed_in(), turn)

    # --- codes on another screen ---

    def _device_code(self, request: SeenRequest) -> Said:
        if said := self.instead.get(request.path):
            return said
        asked = dict(parse_qsl(request.body.decode()))
        code = self._secret(f"device-{len(self._devices):04d}-canary")
        self._devices[code] = asked
        return Said(
            200,
            {
                "device_code": code,
                "user_code": "WDJB-MJHT",
                "verification_uri": f"{self.base_url}/device",
                "verification_uri_complete": f"{self.base_url}/device?user_code=WDJB-MJHT",
                "expires_in": 900,
                "interval": self.interval,
            },
        )

    def _poll(self, fields: Mapping[str, str], turn: Turn) -> Said | None:
        code = fields.get("device_code", "")
        if (said := self._not_yet(_PENDING)) is not None:
            return said
        asked = self._devices.pop(code, None)
        if asked is None or asked.get("code_challenge", "") != _challenge(fields.get("code_verifier", "")):
            return Said(400, {"error": "invalid_grant"})
        return self.answer(self._signed_in(), turn)

    def _minimax_code(self, request: SeenRequest) -> Said:
        if said := self.instead.get(request.path):
            return said
        asked = dict(parse_qsl(request.body.decode()))
        self._devices["MM-1234"] = asked
        return Said(
            200,
            {
                "user_code": "MM-1234",
                "verification_uri": f"{self.base_url}/device",
                "expired_in": int(self.now() * 1000) + 900_000,
                "interval": 1000,
                "state": asked["state"],
            },
        )

    def _poll_minimax(self, fields: Mapping[str, str], turn: Turn) -> Said | None:
        if (said := self._not_yet(Said(200, {"status": "pending"}))) is not None:
            return said
        asked = self._devices.pop(fields.get("user_code", ""), None)
        if asked is None or asked["code_challenge"] != _challenge(fields.get("code_verifier", "")):
            return Said(200, {"status": "error"})
        issued = self._signed_in()
        answer = {
            "status": "success",
            "access_token": issued.access,
            "refresh_token": issued.refresh,
            "expired_in": issued.expires,
        }
        if self.resource_url:
            answer["resource_url"] = self.resource_url
        return Said(200, {name: value for name, value in {**answer, **turn.extra}.items() if name not in turn.omit})

    def _codex_code(self, request: SeenRequest) -> Said:
        if said := self.instead.get(request.path):
            return said
        self._devices["codex-device"] = {}
        return Said(200, {"device_auth_id": "codex-device", "usercode": "ABCD-12345", "interval": str(self.interval)})

    def _codex_token(self, request: SeenRequest) -> Said:
        if said := self.instead.get(request.path):
            return said
        if (said := self._not_yet(Said(403, {"error": "authorization_pending"}))) is not None:
            return said
        if request.json() != {"device_auth_id": "codex-device", "user_code": "ABCD-12345"}:
            return Said(400, {"error": "invalid_request"})
        verifier = self._secret("verifier-canary-" + "v" * 40)
        code = self._secret(f"code-{len(self._codes):04d}-codex-canary")
        redirect = f"{self.base_url}/deviceauth/callback"
        self._codes[code] = {"redirect_uri": redirect, "code_challenge": _challenge(verifier)}
        return Said(
            200, {"authorization_code": code, "code_verifier": verifier, "code_challenge": _challenge(verifier)}
        )

    def _not_yet(self, pending: Said) -> Said | None:
        """What a poll gets before the person has typed the code."""
        if self.answers:
            return self.answers.popleft()
        if self.deny:
            return Said(400, {"error": "access_denied"})
        return None if self.confirmed else pending

    # --- GitHub's exchange ---

    def _exchange(self, request: SeenRequest) -> Said:
        if said := self.instead.get(request.path):
            return said
        scheme, _, token = request.fields.get("authorization", "").partition(" ")
        if scheme != "token" or not self.accepts_access(token):
            return Said(401, {"message": "Bad credentials"})
        if self.exchange_status != 200:
            return Said(self.exchange_status, {"message": "Not Found"})
        until = int(self.now() + 1800)
        made = self._secret(f"tid=canary-{len(self.secrets_given)};exp={until};proxy-ep={self.proxy_endpoint};8kp=1:x")
        return Said(200, {"token": made, "expires_at": until, "refresh_in": 1500})

    # --- what is handed out ---

    def _signed_in(self) -> Issued:
        issued = self.sign_in(self.account, self.email)
        self._secret(issued.access)
        self._secret(issued.refresh)
        return issued

    def _secret(self, text: str) -> str:
        self.secrets_given.append(text)
        return text


def _challenge(verifier: str) -> str:
    """ "" for "": a device that sent no challenge needs no verifier."""
    if not verifier:
        return ""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _is_loopback(url: str) -> bool:
    try:
        endpoint = parse_endpoint(url)
    except UnsafeDestination:
        return False
    return endpoint.host in ("localhost", "127.0.0.1") and endpoint.path == "/auth/callback"
