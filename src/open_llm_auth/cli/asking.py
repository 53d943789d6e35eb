"""How a command gets a secret: a hidden prompt on a terminal, else lines of standard input. Never an argument."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..values import Secret

__all__ = ["StdinOption", "ask", "ask_optional_secret", "ask_passphrase", "ask_secret", "at_terminal"]

StdinOption = Annotated[
    bool, typer.Option("--stdin", help="Read the secret from standard input instead of asking for it.")
]

_LONGEST = 64 * 1024
_REFERENCE = re.compile(r"(env|file|keyring|cmd|vault):|\$\{")


def at_terminal() -> bool:
    """Whether a person can be asked."""
    return sys.stdin is not None and sys.stdin.isatty()


def ask(question: str, default: str | None = None) -> str:
    """A line that may be seen. Without a terminal it is the next line of standard input, else the default.

    Raises:
        InvalidRequest: there is no line, and no default.
    """
    if at_terminal():
        return str(typer.prompt(question, default=default)).strip()
    line = sys.stdin.readline().strip()
    if line or default is not None:
        return line or str(default)
    raise _missing(question)


def ask_secret(question: str, *, stdin: bool = False) -> Secret:
    """A secret, or a reference to one.

    Raises:
        InvalidRequest: it is empty, longer than 64 KiB, or could never be sent in a header.
    """
    found = ask_optional_secret(question, stdin=stdin)
    if found is None:
        raise _missing(question)
    return found


def ask_optional_secret(question: str, *, stdin: bool = False) -> Secret | None:
    """As `ask_secret`, but an empty answer is None."""
    # Late: see application.py.
    from ..values import Secret

    if at_terminal() and not stdin:
        text = str(typer.prompt(question, hide_input=True, default="", show_default=False))
    else:
        text = sys.stdin.readline(_LONGEST + 2)
    text = text.strip()
    if not text:
        return None
    _check(text, question)
    return Secret(text)


def ask_passphrase(question: str, *, stdin: bool = False, twice: bool = False) -> Secret | None:
    """A passphrase, with whatever characters a person chose; `twice` for a new one. None when nothing was given."""
    from ..errors import InvalidRequest
    from ..values import Secret

    if not at_terminal() or stdin:
        text = sys.stdin.readline(_LONGEST + 2).rstrip("\r\n")
        return Secret(text) if text else None
    text = str(typer.prompt(question, hide_input=True, default="", show_default=False, err=True))
    if (
        twice
        and text
        and typer.prompt("The same again", hide_input=True, default="", show_default=False, err=True) != text
    ):
        raise InvalidRequest("The two passphrases are not the same. Nothing was done.")
    return Secret(text) if text else None


def _missing(what: str) -> Exception:
    from ..errors import InvalidRequest

    return InvalidRequest(f"Nothing was given for: {what}. Type it when asked, or send it on standard input.")


def _check(text: str, what: str) -> None:
    from ..errors import InvalidRequest

    if len(text) > _LONGEST:
        raise InvalidRequest(f"What was given for: {what} is longer than {_LONGEST} characters.")
    if _REFERENCE.match(text):
        return
    if not text.isascii() or not text.isprintable() or " " in text:
        raise InvalidRequest(
            f"What was given for: {what} holds a space or a character that no key has. Paste the bare key, "
            "without 'Bearer' and without quotes."
        )
