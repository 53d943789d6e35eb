"""What a command says: plain text for a person, JSON for a program, and one line on stderr when it fails."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..errors import GatewayError

__all__ = ["JsonOption", "complain", "complain_of", "note", "printable", "say", "say_json", "say_table"]

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for a program to read.")]


def say(text: str = "") -> None:
    """One line, or several, on stdout."""
    typer.echo(text)


def note(text: str) -> None:
    """Something beside the answer, on stderr."""
    typer.echo(text, err=True)


def complain(text: str) -> None:
    """Why a command failed: always one line."""
    typer.echo(f"error: {printable(' '.join(text.split()))}", err=True)


def complain_of(error: GatewayError) -> None:
    """An error of the gateway, with the field it names where the message does not."""
    where = f" (at {error.param})" if error.param and error.param not in error.message else ""
    complain(error.message + where)


def say_json(value: object) -> None:
    """One JSON document on stdout."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def say_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Columns as wide as their widest cell."""
    lines = [tuple(headings), *(tuple(printable(cell) for cell in row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    for line in lines:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def printable(text: str, *, keep: str = "") -> str:
    """`text` without what a terminal would obey: names in a file, and answers of a model, are written by others."""
    return "".join(char if char.isprintable() or char in keep else "\N{REPLACEMENT CHARACTER}" for char in text)
