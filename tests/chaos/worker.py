"""One process of a run: a whole gateway whose clock runs fast, called again and again until it is done or killed."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from open_llm_auth.main import open_gateway
from open_llm_auth.server.asgi import Application

__all__ = ["FastClock", "Task", "work"]


class FastClock:
    """The machine's clocks, running `speed` times as fast since `start`: all processes agree on it."""

    def __init__(self, start: float, speed: float) -> None:
        self._start = start
        self._speed = speed

    def now(self) -> float:
        return self._start + (time.time() - self._start) * self._speed

    def monotonic(self) -> float:
        return time.monotonic() * self._speed


@dataclass(frozen=True, slots=True)
class Task:
    """What a process is to do: `calls` calls to `models` in turn over so many `seconds`, told to `results`."""

    number: int
    home: str
    token: str
    models: tuple[str, ...]
    first: int
    calls: int
    seconds: float
    start: float
    speed: float
    results: str
    log: str
    #: exists when this process is ready, and when all may begin
    ready: str
    go: str


def work(task: Task) -> None:
    """The process's whole life."""
    with Path(task.log).open("a", buffering=1) as log, Path(task.results).open("a", buffering=1) as results:
        asyncio.run(_work(task, log.write, results.write))


async def _work(task: Task, log: Callable[[str], object], tell: Callable[[str], object]) -> None:
    environ = {"HOME": task.home, "OPEN_LLM_AUTH_HOME": task.home}
    async with open_gateway(environ, log=log, clock=FastClock(task.start, task.speed)) as gateway:
        await asyncio.to_thread(_wait_for_all, task)
        loop = asyncio.get_running_loop()
        began, pause = loop.time(), task.seconds / max(task.calls, 1)
        for index in range(task.calls):
            await asyncio.sleep(began + index * pause - loop.time())
            model = task.models[(task.number + task.first + index) % len(task.models)]
            status, answer = await _call(gateway.application, task.token, model)
            code = "" if status == 200 else answer.get("error", {}).get("code", "")
            # A line for each call, so that a kill loses none of those before it.
            tell(json.dumps([model, status, code]) + "\n")


def _wait_for_all(task: Task) -> None:
    Path(task.ready).touch()
    while not Path(task.go).exists():
        time.sleep(0.005)


async def _call(application: Application, token: str, model: str) -> tuple[int, dict[str, Any]]:
    """One chat call, as an ASGI server would hand it in."""
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hello"}]}).encode()
    headers = [(b"host", b"127.0.0.1"), (b"authorization", f"Bearer {token}".encode())]
    sent: list[dict[str, Any]] = []
    asked = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        if asked:
            return asked.pop()
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    async def send(message: Any) -> None:
        sent.append(message)

    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/v1/chat/completions",
        "raw_path": b"/v1/chat/completions",
        "query_string": b"",
        "headers": [*headers, (b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8080),
    }
    await application(scope, receive, send)
    status: int = sent[0]["status"]
    return status, json.loads(b"".join(message.get("body", b"") for message in sent))
