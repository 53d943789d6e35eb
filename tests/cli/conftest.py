"""Runs commands in process on a home of their own, and sees that no planted secret is ever printed."""

from __future__ import annotations

import json
import os
import secrets
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
