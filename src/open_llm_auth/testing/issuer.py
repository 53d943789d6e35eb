"""An OAuth issuer that spends refresh tokens by their use and revokes a sign-in whose spent token comes again.

Only the token endpoint (RFC 6749, section 6; rotation as in RFC 9700, section 4.14). What else an issuer serves is
added to `routes`, and further grants to `grants`.
"""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal
from urllib.parse import parse_qsl

from .http_server import Connection, Exchange, HttpServer, SeenRequest

__all__ = ["CLIENT_ID", "TURNS", "FakeIssuer", "Issued", "Presentation", "Said", "Turn"]

CLIENT_ID: Final = "fake-client"

Outcome = Literal["issued", "again", "reused", "revoked", "unknown", "failed"]


@dataclass(frozen=True, slots=True)
class Turn:
    """How one request to the token endpoint is answered; the default is the documented way.

    A turn with `body` or `status` answers that instead, and spends the token only where `spends` says so.
    """

    status: int = 0
    body: bytes | Mapping[str, Any] | None = None
    #: fields of the documented answer that are left out, and others over them
    omit: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    #: whose tokens they are, where they are not those of who signed in
    account: str | None = None
    #: seconds before anything happens
    delay: float = 0.0
    #: the connection closes without an answer: before the token was looked at, or after it was spent
    hang_up: Literal["", "before", "after"] = ""
    spends: bool = False


#: Turns that have a name.
TURNS: Final[Mapping[str, Turn]] = MappingProxyType(
    {
        "documented": Turn(),
        "server_error": Turn(500, {"error": "server_error"}),
        "server_error_after": Turn(502, b"bad gateway", spends=True),
        "overloaded": Turn(503, {"error": "temporarily_unavailable"}),
        "rate_limited": Turn(429, {"error": "slow_down"}),
        "html": Turn(200, b"<!doctype html><title>Just a moment...</title>"),
        "html_after": Turn(200, b"<!doctype html><title>Just a moment...</title>", spends=True),
        "no_access_token": Turn(omit=("access_token",)),
        "no_expiry": Turn(omit=("expires_in",)),
        "same_refresh_token": Turn(omit=("refresh_token",)),
        "another_account": Turn(account="somebody-else"),
        "slow": Turn(delay=0.3),
        "never": Turn(delay=3600.0),
        "hang_up_before": Turn(hang_up="before"),
        "hang_up_after": Turn(hang_up="after"),
        "invalid_grant": Turn(400, {"error": "invalid_grant", "error_description": "it is no good any more"}),
        "invalid_client": Turn(401, {"error": "invalid_client"}),
    }
)


@dataclass(frozen=True, slots=True)
class Said:
    """An answer: a document, or the bytes of one. `None` in its place hangs up."""

    status: int
    document: Mapping[str, Any] | bytes
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Issued:
    """One pair of tokens. `expires` is milliseconds since the epoch."""

    access: str
    refresh: str
    expires: int
    account: str


@dataclass(frozen=True, slots=True)
class Presentation:
    """A refresh token that was presented: when (wall seconds), and what came of it."""

    refresh: str
    at: float
    outcome: Outcome


@dataclass(slots=True)
class _Family:
    """One sign-in: every pair that followed from it."""

    account: str
    email: str
    current: str = ""
    spent: str = ""
    revoked: bool = False


#: Answers one request.
Route = Callable[[SeenRequest], Said | None]
#: Answers one grant, whose parameters came as a form or as JSON.
Grant = Callable[[Mapping[str, str], Turn], Said | None]


class FakeIssuer(HttpServer):
    """`with FakeIssuer() as issuer:` serves `issuer.token_url` until the block ends.

    `sign_in` gives the first pair of an account without a flow. `next` queues turns for the next requests to the
    token endpoint, one each; `turn` is for all others. Everything may be read and called from any thread.
    """

    token_path = "/oauth/token"

    def __init__(
        self,
        *,
        lifetime: float = 3600.0,
        jwt: bool = False,
        rotates: bool = True,
        leeway: int = 0,
        reuse_code: str = "invalid_grant",
        client_id: str = CLIENT_ID,
        body: Literal["both", "form", "json"] = "both",
        now: Callable[[], float] = time.time,
        host: str = "127.0.0.1",
    ) -> None:
        """Access tokens live `lifetime` seconds of `now`; with `jwt` they have that shape and OpenAI's claims.

        `leeway`: how often the last spent token of a sign-in may come again and still be answered, as issuers do that
        forgive a lost answer. `reuse_code` is what a spent token is told otherwise.
        """
        super().__init__(self._serve_one, host=host)
        self.turn: Turn | str = "documented"
        self.presentations: list[Presentation] = []
        self.routes: dict[tuple[str, str], Route] = {}
        self.grants: dict[str, Grant] = {"refresh_token": self._refresh}
        self.lifetime = lifetime
        self.jwt = jwt
        self.rotates = rotates
        self.leeway = leeway
        self.reuse_code = reuse_code
        self.client_id = client_id
        self.accepts = body
        self.now = now
        self._queue: deque[Turn | str] = deque()
        self._families: dict[str, _Family] = {}
        self._access: dict[str, tuple[_Family, float]] = {}
        self._made = 0
        self._state = threading.RLock()

    @property
    def base_url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def token_url(self) -> str:
        return self.base_url + self.token_path

    def next(self, *turns: Turn | str) -> None:
        """Queue turns, one for each of the next requests to the token endpoint."""
        self._queue.extend(turns)

    def sign_in(self, account: str = "acct-1", email: str = "ada@example.test") -> Issued:
        """A new sign-in of an account: its first pair."""
        with self._state:
            return self._issue(_Family(account, email))

    def accepts_access(self, token: str) -> bool:
        """Whether a resource server would take this access token now."""
        with self._state:
            family, until = self._access.get(token, (None, 0.0))
            return family is not None and not family.revoked and self.now() < until

    def revoke(self, refresh: str) -> None:
        """End the sign-in that this refresh token belongs to, as its person may elsewhere."""
        with self._state:
            self._families[refresh].revoked = True

    def forget(self, access: str) -> None:
        """Take this access token no more, before its time."""
        with self._state:
            del self._access[access]

    def presented(self, refresh: str) -> int:
        """How often this refresh token has come."""
        return sum(each.refresh == refresh for each in self.presentations)

    def tokens(self) -> tuple[str, ...]:
        """Every token it ever gave, for who searches what was said for them."""
        with self._state:
            return (*self._access, *self._families)

    def __iter__(self) -> Iterator[str]:
        """Access tokens that are good now: with `__contains__` and `__len__` a collection of keys for a provider."""
        with self._state:
            return iter([token for token in self._access if self.accepts_access(token)])

    def __contains__(self, token: object) -> bool:
        return isinstance(token, str) and self.accepts_access(token)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def answer(self, issued: Issued, turn: Turn) -> Said:
        """The documented answer that hands out a pair, bent as the turn says."""
        document: dict[str, Any] = {
            "access_token": issued.access,
            "refresh_token": issued.refresh,
            "token_type": "Bearer",
            "expires_in": round(self.lifetime),
        }
        if self.jwt:
            document["id_token"] = issued.access
        document = {name: value for name, value in document.items() if name not in turn.omit}
        return Said(200, {**document, **turn.extra})

    def _issue(self, family: _Family, account: str | None = None) -> Issued:
        self._made += 1
        until = self.now() + self.lifetime
        account = account or family.account
        access = self._jwt(account, family.email, until) if self.jwt else f"access-{self._made:06d}-{account}"
        if self.rotates or not family.current:
            family.current = f"refresh-{self._made:06d}-{account}"
        self._families[family.current] = family
        self._access[access] = (family, until)
        return Issued(access, family.current, int(until * 1000), account)

    def _jwt(self, account: str, email: str, until: float) -> str:
        claims = {
            "exp": int(until),
            "jti": f"{self._made:06d}",
            "https://api.openai.com/auth": {"chatgpt_account_id": account, "chatgpt_plan_type": "plus"},
            "https://api.openai.com/profile": {"email": email},
        }
        return ".".join((_segment({"alg": "RS256", "typ": "JWT"}), _segment(claims), "c2lnbmF0dXJl"))

    async def _serve_one(self, connection: Connection, exchange: Exchange) -> bool:
        request = exchange.request
        if (request.method, request.path) == ("POST", self.token_path):
            said = await self._token(request)
        elif route := self.routes.get((request.method, request.path)):
            said = route(request)
        else:
            said = Said(404, {"error": "not_found"})
        self.notify()
        if said is None:
            return False
        body = said.document if isinstance(said.document, bytes) else json.dumps(said.document).encode()
        kind = "text/html" if body.startswith(b"<") else "application/json"
        exchange.status = said.status
        head = (("content-type", kind), ("content-length", str(len(body))), *said.headers)
        await connection.send_head(said.status, head)
        await connection.send(body)
        exchange.bytes_sent += len(body)
        return True

    async def _token(self, request: SeenRequest) -> Said | None:
        named = self._queue.popleft() if self._queue else self.turn
        turn = TURNS[named] if isinstance(named, str) else named
        fields = self._fields(request)
        if turn.delay:
            await asyncio.sleep(turn.delay)
        if fields is None:
            return Said(400, {"error": "invalid_request", "error_description": f"send {self.accepts}"})
        if self.client_id and fields.get("client_id") != self.client_id:
            return Said(401, {"error": "invalid_client"})
        grant = self.grants.get(fields.get("grant_type", ""))
        if grant is None:
            return Said(400, {"error": "unsupported_grant_type"})
        with self._state:
            return grant(fields, turn)

    def _fields(self, request: SeenRequest) -> Mapping[str, str] | None:
        """The parameters, however they came; None where this issuer does not read them so."""
        as_json = request.fields.get("content-type", "").startswith("application/json")
        if self.accepts not in ("both", "json" if as_json else "form"):
            return None
        if not as_json:
            return dict(parse_qsl(request.body.decode("utf-8", "replace")))
        try:
            document = request.json()
        except ValueError:
            return None
        return {name: str(value) for name, value in document.items()} if isinstance(document, dict) else None

    def _refresh(self, fields: Mapping[str, str], turn: Turn) -> Said | None:
        refresh = fields.get("refresh_token", "")
        instead = turn.status or turn.body is not None
        if turn.hang_up == "before" or (instead and not turn.spends):
            self._note(refresh, "failed")
            return None if turn.hang_up else _instead(turn)
        family = self._families.get(refresh)
        outcome = self._judge(family, refresh)
        self._note(refresh, outcome)
        if family is None or outcome not in ("issued", "again"):
            code = self.reuse_code if outcome == "reused" else "invalid_grant"
            return Said(400, {"error": code, "error_description": "the refresh token is no good any more"})
        issued = self._issue(family, turn.account)
        family.spent = refresh
        if turn.hang_up:
            return None
        return _instead(turn) if instead else self.answer(issued, turn)

    def _judge(self, family: _Family | None, refresh: str) -> Outcome:
        """What a presentation is, with what follows from it for the sign-in."""
        if family is None:
            return "unknown"
        if family.revoked:
            return "revoked"
        if refresh == family.current:
            return "issued"
        if refresh == family.spent and self.presented(refresh) <= self.leeway:
            return "again"
        family.revoked = True
        return "reused"

    def _note(self, refresh: str, outcome: Outcome) -> None:
        self.presentations.append(Presentation(refresh, self.now(), outcome))


def _instead(turn: Turn) -> Said:
    return Said(turn.status or 200, turn.body if turn.body is not None else {})


def _segment(document: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()
