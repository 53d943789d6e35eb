"""A small real HTTP server around the pages, and a real browser to look at them."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from open_llm_auth.web import PAGES, asset

TOKEN = "ola_a-token-of-the-page-tests"

MODELS = (
    *("demo/echo", "demo/slow"),
    *(f"openai/gpt-{number}" for number in range(4, 8)),
    "openrouter/a-maker-with-a-long-name/a-model-with-an-even-longer-name-that-does-not-fit:free",
    "ollama/it's-quoted",
)

READY = {
    "status": "ready",
    "version": "0.1.0",
    "config": {"etag": "3fb2", "fault": None, "warnings": []},
    "counts": {"requests": 59, "byStatus": {"200": 57, "404": 2}},
    "providers": ["demo", "openai", "openrouter", "ollama"],
}


@dataclass
class PageServer:
    """Serves the pages as the gateway does, with stand-ins for what they ask.

    `seen` holds method, target and headers of every request, `bodies` what was posted. `gone` is set when the reader
    of the slow stream goes away. `ready` and `models` may be changed while it runs.
    """

    url: str = ""
    token: str = TOKEN
    ready: tuple[int, dict[str, Any]] = (200, READY)
    models: list[str] = field(default_factory=lambda: list(MODELS))
    open_to_all: bool = False
    spec: dict[str, Any] = field(
        default_factory=lambda: json.loads(Path(__file__).with_name("sample_openapi.json").read_bytes())
    )
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    gone: threading.Event = field(default_factory=threading.Event)


class _Handler(BaseHTTPRequestHandler):
    """One connection. The class made for a server carries it as `pages`."""

    pages: PageServer
    protocol_version = "HTTP/1.1"

    def __getattr__(self, name: str) -> Any:
        # one verb is as good as another here
        if name.startswith("do_"):
            return self.serve
        raise AttributeError(name)

    def log_message(self, *args: object) -> None:
        """Say nothing: `seen` is the log."""

    def serve(self) -> None:
        self.pages.seen.append((self.command, self.path, {name.lower(): text for name, text in self.headers.items()}))
        if length := int(self.headers.get("content-length", "0")):
            self.pages.bodies.append(self.rfile.read(length))
        path = self.path.partition("?")[0]
        file = asset(PAGES.get(path, path.removeprefix("/")))
        if file is not None:
            headers = {name.decode(): value.decode() for name, value in file.headers}
            self.answer(200, file.body, {"content-type": file.content_type, **headers})
        elif path == "/v1/slow" and self.allowed():
            self.trickle()
        else:
            self.json(*self.stand_in(path))

    def stand_in(self, path: str) -> tuple[int, object]:
        if path == "/health/ready":
            status, body = self.pages.ready
            return status, body if self.allowed() else {"status": body["status"]}
        if path.startswith("/v1/") and not self.allowed():
            return 401, {"error": {"message": "Missing or unknown token.", "code": "authentication_required"}}
        known = {
            "/health": {"status": "ok", "version": "0.1.0"},
            "/openapi.json": self.pages.spec,
            "/v1/models": {"object": "list", "data": [{"id": name, "object": "model"} for name in self.pages.models]},
        }
        return 200, known.get(path, {"path": self.path})

    def allowed(self) -> bool:
        return self.pages.open_to_all or self.headers.get("authorization") == f"Bearer {self.pages.token}"

    def json(self, status: int, body: object) -> None:
        self.answer(status, json.dumps(body).encode(), {"content-type": "application/json"})

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def trickle(self) -> None:
        """Two events, then keep-alives, until the reader goes away."""
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True
        self.wfile.write(b"data: one\n\ndata: two\n\n")
        try:
            for _ in range(200):
                time.sleep(0.05)
                self.wfile.write(b": still here\n\n")
        except ConnectionError:
            self.pages.gone.set()


@pytest.fixture
def pages() -> Iterator[PageServer]:
    served = PageServer()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"pages": served}))
    server.daemon_threads = True
    served.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield served
    server.shutdown()
    server.server_close()
    thread.join(timeout=5)


CHROMIUM_ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
)


def chromium_path() -> str | None:
    """The browser of this machine: `CHROMIUM`, or a Chromium or Chrome on the path."""
    names = (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next((found for name in names if name and (found := shutil.which(name))), None)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Any]:
    """A real Chromium; the tests that need it are skipped, with the reason, where there is none."""
    playwright = pytest.importorskip("playwright.async_api", reason="Playwright is not installed: PAGES NOT LOOKED AT")
    path = chromium_path()
    if path is None:
        pytest.skip("no Chromium on this machine (apt-get install chromium): PAGES NOT LOOKED AT")
    async with playwright.async_playwright() as driver:
        running = await driver.chromium.launch(executable_path=path, headless=True, args=list(CHROMIUM_ARGUMENTS))
        yield running
        await running.close()


@dataclass
class Window:
    """One tab and everything it complained about."""

    page: Any
    complaints: list[str] = field(default_factory=list)
    requested: list[str] = field(default_factory=list)

    async def settle(self) -> None:
        """Until nothing is being fetched or drawn."""
        await self.page.locator("[aria-busy=true]").first.wait_for(state="detached")


@pytest_asyncio.fixture(loop_scope="module")
async def open_window(browser: Any) -> AsyncIterator[Any]:
    """`await open_window(url, width=…, scheme=…)` opens a tab whose console is listened to."""
    contexts = []

    async def opened(url: str, *, width: int = 1280, scheme: str = "light") -> Window:
        context = await browser.new_context(
            viewport={"width": width, "height": 800},
            color_scheme=scheme,
            permissions=["clipboard-read", "clipboard-write"],
        )
        contexts.append(context)
        window = Window(await context.new_page())
        window.page.on("console", lambda message: _note(window, message))
        window.page.on("pageerror", lambda error: window.complaints.append(str(error)))
        window.page.on("request", lambda request: window.requested.append(request.url))
        await window.page.goto(url)
        await window.settle()
        return window

    yield opened
    for context in contexts:
        await context.close()


def _note(window: Window, message: Any) -> None:
    if message.type in {"error", "warning"}:
        window.complaints.append(f"{message.type}: {message.text}")
