"""What `serve` prints before it serves, as a function from facts to text."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from .probe import LocalServer

__all__ = ["Access", "Facts", "banner", "url_of"]

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}


@dataclass(frozen=True, slots=True)
class Access:
    """How a client on this machine gets in, and what to paste for it.

    `shown`: a token made just now, printed this once. `file`: it stands in a file of its own. `environment`: it is
    $OPEN_LLM_AUTH_TOKEN. `dotenv`: it is OPEN_LLM_AUTH_TOKEN in the file at `path`. `anonymous`: anything goes.
    `stored`: only its owner knows it.
    """

    how: Literal["shown", "file", "environment", "dotenv", "anonymous", "stored"]
    token: str = field(default="", repr=False)
    path: Path | None = None
    #: made by this very start
    new: bool = False

    @property
    def shell(self) -> str:
        """The token as a word for a shell, without the token itself where that can be."""
        words = {
            "shown": self.token,
            "file": f"$(cat {shlex.quote(str(self.path))})",
            "environment": "$OPEN_LLM_AUTH_TOKEN",
            "dotenv": "$OPEN_LLM_AUTH_TOKEN",
            "anonymous": "anything",
            "stored": "<your token>",
        }
        return words[self.how]


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the banner tells. `keys` are variables found, with the providers that take them."""

    version: str
    host: str
    port: int
    config: Path
    access: Access
    model: str
    keys: Mapping[str, Sequence[str]] = field(default_factory=dict)
    waiting: frozenset[str] = frozenset()
    local: Sequence[LocalServer] = ()
    usable: Sequence[str] = ()
    notes: Sequence[str] = ()


def url_of(host: str, port: int) -> str:
    """Where a browser on this machine finds a listener on `host`."""
    host = _EVERYWHERE.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def banner(facts: Facts) -> str:
    """The whole text, ready to print."""
    url = url_of(facts.host, facts.port)
    lines = [
        f"Open LLM Auth {facts.version} on {url}",
        "",
        _row("pages", f"{url}/   {url}/docs"),
        _row("config", str(facts.config)),
        _row("keys found", _keys(facts)),
        *_rows("local servers", [_local(server, facts.usable) for server in facts.local] or ["none answers"]),
        _row("usable now", ", ".join(name for name in facts.usable if name != "demo") or "nothing but demo/echo"),
        *(_row("note", note) for note in facts.notes),
        "",
        *_demo(facts),
        *_token(facts.access),
        *_paste(url, facts),
    ]
    return "\n".join(lines)


def _row(name: str, text: str) -> str:
    return f"  {name:14} {text}"


def _rows(name: str, texts: Sequence[str]) -> list[str]:
    return [_row(name if index == 0 else "", text) for index, text in enumerate(texts)]


def _keys(facts: Facts) -> str:
    told = []
    for name, providers in facts.keys.items():
        ready = [provider for provider in providers if provider not in facts.waiting]
        told.append(f"{name} ({', '.join(ready)})" if ready else f"{name} ({providers[0]}: not in this release yet)")
    return ", ".join(told) or "none in the environment"


def _local(server: LocalServer, usable: Sequence[str]) -> str:
    row = server.provider
    text = f"{row.name or row.id} at {row.base_url}, {server.told}"
    return text if row.id in usable else f"{text}; to use it: open-llm-auth auth configure {row.id}"


def _demo(facts: Facts) -> list[str]:
    if any(name != "demo" for name in facts.usable):
        return []
    return [
        "No provider is set up yet, so the built-in demo answers as demo/echo: it is no real model.",
        "Add a real one, while this runs:  open-llm-auth auth add-api-key openai",
        "",
    ]


def _token(access: Access) -> list[str]:
    if access.how == "dotenv":
        return [f"The token is the line OPEN_LLM_AUTH_TOKEN of {access.path}; put it in place of the variable.", ""]
    if not access.new:
        return []
    if access.how == "shown":
        return ["Admin token, shown this once (only its hash is stored):", f"  {access.token}", ""]
    return [f"Made an admin token. It is in {access.path}, readable by you alone.", ""]


def _paste(url: str, facts: Facts) -> list[str]:
    word = facts.access.shell
    body = json.dumps({"model": facts.model, "messages": [{"role": "user", "content": "Hello"}]})
    headers = f'-H "Authorization: Bearer {word}" -H "Content-Type: application/json"'
    return [
        "Paste into a client's environment:",
        f"  export OPENAI_BASE_URL={url}/v1",
        f'  export OPENAI_API_KEY="{word}"',
        "",
        "Try it:",
        f"  curl -s {url}/v1/chat/completions {headers} -d {shlex.quote(body)}",
        "",
    ]
