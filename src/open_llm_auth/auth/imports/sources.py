"""The programs whose sign-ins this gateway finds: their names, what reads their files, and whose a file may be."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from . import (
    aider,
    claude,
    cliproxyapi,
    codex,
    copilot,
    gateway,
    gemini_cli,
    llm,
    openclaw,
    opencode,
    portals,
    variables,
)
from .found import Found, Known, Store

__all__ = ["SOURCES", "Source", "guess"]

Read = Callable[[Store, Known], tuple[Found, ...]]


@dataclass(frozen=True, slots=True)
class Source:
    """`ends` is how the files may end that it reads; the first that fits counts. `reads` raises Unreadable."""

    title: str
    reads: tuple[tuple[str, Read], ...]

    def reader(self, path: str) -> Read | None:
        return next((read for end, read in self.reads if path.endswith(end)), None)


def _json(title: str, read: Read) -> Source:
    return Source(title, ((".json", read),))


#: By the name that `--from` and `metadata.source` use. The order is the one in which a file is tried that could be
#: anybody's: shapes that tell themselves first.
SOURCES: Final[Mapping[str, Source]] = {
    codex.NAME: _json("Codex CLI", codex.read),
    claude.NAME: _json("Claude Code", claude.read),
    copilot.NAME: _json("GitHub Copilot in editors", copilot.read),
    gateway.NAME: _json("another copy of this gateway", gateway.read),
    openclaw.NAME: _json("OpenClaw", openclaw.read),
    cliproxyapi.NAME: _json("CLIProxyAPI", cliproxyapi.read),
    "opencode": _json("opencode", opencode.reader("opencode")),
    "pi": _json("pi", opencode.reader("pi")),
    portals.QWEN.name: _json("Qwen Code", portals.reader(portals.QWEN)),
    portals.MINIMAX.name: _json("MiniMax", portals.reader(portals.MINIMAX)),
    portals.KIMI.name: _json("Kimi CLI", portals.reader(portals.KIMI)),
    gemini_cli.NAME: Source("Gemini CLI", ((".json", gemini_cli.read), (".env", variables.reader(gemini_cli.NAME)))),
    llm.NAME: _json("llm", llm.read),
    aider.NAME: Source("aider", ((".yml", aider.read), (".yaml", aider.read), (".env", variables.reader(aider.NAME)))),
    variables.DOTENV: Source(".env files", (("", variables.reader(variables.DOTENV)),)),
    variables.ENVIRONMENT: Source("the environment", ()),
}

#: Sources whose files others could have written just so.
_ALIKE: Final = frozenset(
    {"pi", portals.QWEN.name, portals.MINIMAX.name, portals.KIMI.name, gemini_cli.NAME, llm.NAME, aider.NAME}
)
#: The word in its folders that tells a source, where that is not its name.
_WORDS: Final[Mapping[str, str]] = {gemini_cli.NAME: "gemini", llm.NAME: "datasette"}
_BETWEEN_WORDS: Final = re.compile(r"[^A-Za-z0-9]+")


def guess(store: Store) -> Iterator[tuple[str, Read]]:
    """The sources that may have written a file, the likeliest first, with what reads it: those that its folders name,
    then those whose shape nobody shares."""
    words = set(_BETWEEN_WORDS.split(store.path))
    for _, name in sorted((_doubt(name, words), name) for name in SOURCES):
        read = SOURCES[name].reader(store.path)
        if read is not None:
            yield name, read


def _doubt(name: str, words: set[str]) -> tuple[int, int]:
    rank = 0 if _WORDS.get(name, name) in words else 2 if name in _ALIKE else 1
    return rank, list(SOURCES).index(name)
