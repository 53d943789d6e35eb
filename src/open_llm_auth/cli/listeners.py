"""Who listens on a TCP port of this machine, as far as Linux's /proc tells this user."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Holder", "holder_of"]

_LISTEN = "0A"
_SOCKET = re.compile(r"socket:\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class Holder:
    """A process and the command it was started with."""

    pid: int
    command: str

    def __str__(self) -> str:
        return f"process {self.pid} ({self.command})"

    @property
    def is_gateway(self) -> bool:
        """Whether it looks like this very program."""
        return "open-llm-auth" in self.command or "open_llm_auth" in self.command


def holder_of(port: int, proc: Path = Path("/proc")) -> Holder | None:
    """The first process that listens on `port`; None where /proc does not say, which is so for other users' ones."""
    inodes = {inode for table in ("tcp", "tcp6") for inode in _listening(proc / "net" / table, port)}
    if not inodes:
        return None
    for process in proc.iterdir():
        if process.name.isdecimal() and inodes & _sockets(process / "fd"):
            return Holder(int(process.name), _command(process / "cmdline"))
    return None


def _listening(table: Path, port: int) -> list[str]:
    """Inodes of listening sockets: columns 2 (address:port in hex), 4 (state) and 10 of proc(5)'s table."""
    try:
        lines = table.read_text("ascii").splitlines()[1:]
    except OSError:
        return []
    rows = [line.split() for line in lines]
    return [row[9] for row in rows if len(row) > 9 and row[3] == _LISTEN and int(row[1].rpartition(":")[2], 16) == port]


def _sockets(descriptors: Path) -> set[str]:
    found = set()
    try:
        for descriptor in descriptors.iterdir():
            match = _SOCKET.fullmatch(str(descriptor.readlink()))
            if match:
                found.add(match[1])
    except OSError:
        # Another user's process, or one that has just ended.
        pass
    return found


def _command(path: Path) -> str:
    """The program and up to three arguments: enough to know it by, and rarely a secret."""
    try:
        words = [word.decode("utf-8", "replace") for word in path.read_bytes().split(b"\0") if word]
    except OSError:
        return "unknown"
    return " ".join([Path(words[0]).name, *words[1:4]])[:120] if words else "unknown"
