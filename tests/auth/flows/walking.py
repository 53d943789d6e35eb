"""Walks a flow with plain values: what it asks for, and what came of it, turn by turn."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

from open_llm_auth.auth.flows.steps import Fetch, Fetched, Flow, Means, Step, Tokens
from open_llm_auth.errors import GatewayError
from open_llm_auth.provider_catalog import load_sign_ins
from open_llm_auth.testing import ManualClock
from open_llm_auth.values import Secret, SignIn

NOW = 1_800_000_000.0
ACCESS, REFRESH = "access-canary", "refresh-canary"


def facts(provider: str) -> SignIn:
    return load_sign_ins()[provider]


def said(document: Any = None, status: int = 200, **headers: str) -> Fetched:
    """An answer: an object, or the bytes of something else."""
    body = document if isinstance(document, bytes) else json.dumps(document if document is not None else {}).encode()
    return Fetched(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


HTML = said(b"<!doctype html><title>Welcome to the hotel</title>")
CHALLENGE = said(b"<!doctype html>", 403, cf_mitigated="challenge")
TOKENS = said({"access_token": ACCESS, "refresh_token": REFRESH, "token_type": "Bearer", "expires_in": 3600})


def error(code: str, status: int = 400, **more: Any) -> Fetched:
    return said({"error": code, **more}, status)


class Walk:
    """`step` is what the flow waits for; `tokens` is what it gave. The clock moves by what it waits."""

    def __init__(self, make: Callable[[SignIn, Means], Flow], sign_in: SignIn, secret: str | None = None) -> None:
        self.clock = ManualClock(NOW)
        self._made = 0
        means = Means(self._random, self.clock.now, Secret(secret) if secret else None)
        self._flow = make(sign_in, means)
        self.step: Step | None = None
        self.tokens: Tokens | None = None
        self._turn(lambda: next(self._flow))

    def _random(self, count: int) -> bytes:
        self._made += 1
        return bytes([self._made]) * count

    def _turn(self, turn: Callable[[], Step]) -> None:
        try:
            self.step = turn()
        except StopIteration as done:
            self.step, self.tokens = None, done.value

    def answer(self, came: object = None) -> Step | None:
        """Give the flow what came of its step; an error is thrown into it."""
        if isinstance(came, GatewayError):
            self._turn(lambda: self._flow.throw(came))
        else:
            self._turn(lambda: self._flow.send(came))
        return self.step

    def wait(self) -> float:
        """Let the time go by that the flow waits for; how long that was."""
        assert self.step is not None
        assert hasattr(self.step, "seconds"), self.step
        seconds = float(self.step.seconds)
        self.clock.advance(seconds)
        self.answer()
        return seconds

    def poll(self, came: object, times: int) -> None:
        """Wait and answer, so many times."""
        for _ in range(times):
            self.wait()
            self.answer(came)

    @property
    def sent(self) -> Fetch:
        assert isinstance(self.step, Fetch), self.step
        return self.step

    @property
    def form(self) -> dict[str, str]:
        assert ("content-type", "application/x-www-form-urlencoded") in self.sent.headers
        return dict(parse_qsl(self.sent.body.decode(), strict_parsing=True))

    def close(self) -> None:
        self._flow.close()


def query_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query, strict_parsing=True).items()}
