"""Runs commands in process on a home of their own, and sees that no planted secret is ever printed."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import secrets
import select
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from open_llm_auth import testing
from open_llm_auth.cli import app


@dataclass(frozen=True, slots=True)
class Done:
    """What a command came to."""

    code: int
    stdout: str
    stderr: str

    def json(self) -> Any:
        return json.loads(self.stdout)


@dataclass
class Cli:
    """`cli("auth", "list")` runs a command; `cli.secret()` plants something that no command may print."""

    home: Path
    environ: dict[str, str | None]
    planted: set[str] = field(default_factory=set)

    def __call__(self, *arguments: str, stdin: str = "", environ: dict[str, str] | None = None) -> Done:
        result = CliRunner().invoke(app, arguments, input=stdin, env={**self.environ, **(environ or {})})
        # A traceback is never an answer: what is not a clean exit is raised here.
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        for secret in self.planted:
            assert secret not in result.stdout + result.stderr
        return Done(result.exit_code, result.stdout, result.stderr)

    def secret(self, kind: str = "sk") -> str:
        made = f"{kind}-canary-{secrets.token_hex(12)}"
        self.planted.add(made)
        return made

    @property
    def path(self) -> Path:
        return self.home / "config.json"

    @property
    def config(self) -> dict[str, Any]:
        return json.loads(self.path.read_text("utf-8"))

    def write(self, config: Any) -> None:
        self.home.mkdir(mode=0o700, exist_ok=True)
        self.path.write_text(config if isinstance(config, str) else json.dumps(config), "utf-8")
        self.path.chmod(0o600)


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    noise = [name for name in os.environ if name.endswith(("_KEY", "_TOKEN")) or name.startswith("OPEN_LLM_AUTH_")]
    home = tmp_path / "home"
    return Cli(home, {**dict.fromkeys(noise), "OPEN_LLM_AUTH_HOME": str(home), "NO_COLOR": "1", "COLUMNS": "200"})


@pytest.fixture
def free_port() -> int:
    return testing.free_port()


#: Ctrl-C reaches a program only through the terminal of its own session.
_ON_A_TERMINAL = """
import fcntl, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from open_llm_auth.cli import main
main()
"""


class Terminal:
    """A person at a terminal: types, reads, presses keys."""

    def __init__(self, home: Path, *arguments: str, environ: dict[str, str] | None = None):
        self._parent, child = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", _ON_A_TERMINAL, *arguments],
            env={**_environment(home), **(environ or {})},
            stdin=child,
            stdout=child,
            stderr=child,
            start_new_session=True,
        )
        os.close(child)
        self.seen = ""
        self.everything = ""

    def type(self, keys):
        os.write(self._parent, keys.encode())

    def read_until(self, pattern, seconds=15.0):
        """Wait for it after what was read before; what it took to get there is dropped."""
        deadline = time.monotonic() + seconds
        while not (found := re.search(pattern, self.seen)):
            if time.monotonic() > deadline:
                raise AssertionError(f"{pattern!r} did not come:\n{self.seen}")
            self._read()
        before, self.seen = self.seen[: found.end()], self.seen[found.end() :]
        return before

    def _read(self):
        if select.select([self._parent], [], [], 0.2)[0]:
            with contextlib.suppress(OSError):
                read = os.read(self._parent, 65536).decode(errors="replace")
                self.seen += read
                self.everything += read

    def code(self, seconds=15.0):
        """Wait for the end, read what is left, and give the exit code."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"it does not end:\n{self.everything}"
            self._read()
        self._read()
        return self.process.returncode

    def echoes(self):
        """Whether what is typed is shown."""
        return bool(termios.tcgetattr(self._parent)[3] & termios.ECHO)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._parent)


def _environment(home: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return {**kept, "HOME": str(home), "OPEN_LLM_AUTH_HOME": str(home), "TERM": "dumb"}


@pytest.fixture
def at_terminal() -> Iterator[Callable[..., Terminal]]:
    """`at_terminal(home, "chat", …)` runs a command with a person before it."""
    with contextlib.ExitStack() as open_ones:

        def start(home: Path, *arguments: str, environ: dict[str, str] | None = None) -> Terminal:
            terminal = Terminal(home, *arguments, environ=environ)
            open_ones.callback(terminal.close)
            return terminal

        yield start
