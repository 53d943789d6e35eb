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
    listening = dict(each for table in ("tcp", "tcp6") for each in _listening(proc / "net" / table, port))
    inodes = listening.keys()
    if not inodes:
        return None
    hidden: Holder | None = None
    for process in proc.iterdir():
        if not process.name.isdecimal():
            continue
        sockets = _sockets(process / "fd")
        if sockets is None:
            hidden = hidden or _gateway_in(process, set(listening.values()))
        elif inodes & sockets:
            return Holder(int(process.name), _command(process / "cmdline"))
    return hidden


def _gateway_in(process: Path, users: set[str]) -> Holder | None:
    """A gateway of one of `users`, which lets nobody look into it (core_dumps.py): a socket of theirs that no other
    process has is its."""
    holder = Holder(int(process.name), _command(process / "cmdline"))
    is_it = holder.is_gateway and " serve" in holder.command and _user_of(process / "status") in users
    return holder if is_it else None


def _user_of(status: Path) -> str:
    """The effective user's number, from proc(5)'s line of four; "" where there is none."""
    try:
        lines = status.read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    return next((line.split()[2] for line in lines if line.startswith("Uid:")), "")


def _listening(table: Path, port: int) -> list[tuple[str, str]]:
    """Inodes and users of listening sockets: columns 10 and 8 of proc(5)'s table, where 2 (address:port in hex) and 4
    (state) fit."""
    try:
        lines = table.read_text("ascii").splitlines()[1:]
    except OSError:
        return []
    rows = [line.split() for line in lines]
    open_ones = [row for row in rows if len(row) > 9 and row[3] == _LISTEN]
    return [(row[9], row[7]) for row in open_ones if int(row[1].rpartition(":")[2], 16) == port]


def _sockets(descriptors: Path) -> set[str] | None:
    """None where this user may not look."""
    found = set()
    try:
        for descriptor in descriptors.iterdir():
            match = _SOCKET.fullmatch(str(descriptor.readlink()))
            if match:
                found.add(match[1])
    except PermissionError:
        return None
    except OSError:
        pass  # one that has just ended
    return found


def _command(path: Path) -> str:
    """The program and up to three arguments: enough to know it by, and rarely a secret."""
    try:
        words = [word.decode("utf-8", "replace") for word in path.read_bytes().split(b"\0") if word]
    except OSError:
        return "unknown"
    return " ".join([Path(words[0]).name, *words[1:4]])[:120] if words else "unknown"
