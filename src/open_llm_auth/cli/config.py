"""`open-llm-auth config`: where the config file is, and whether it is sound."""

from __future__ import annotations

import typer

from .output import JsonOption, complain_of, say, say_json
from .workbench import Workbench

__all__ = ["app"]

app = typer.Typer(help="The config file.", no_args_is_help=True, rich_markup_mode=None)


@app.command("path")
def path(json: JsonOption = False) -> None:
    """Print where the config file is, or would be."""
    bench = Workbench.here()
    if json:
        say_json({"path": str(bench.path), "exists": bench.path.exists(), "home": str(bench.home)})
    else:
        say(str(bench.path))


@app.command("check")
def check(json: JsonOption = False) -> None:
    """Read, validate and compile the config file; exit 1 if it would not be taken."""
    from ..errors import GatewayError

    bench = Workbench.here()
    try:
        snapshot = bench.snapshot
        exists = bench.document.exists
    except GatewayError as error:
        if json:
            fault = {"message": error.message, "code": error.code, "at": error.param, "details": error.details}
            say_json({"path": str(bench.path), "valid": False, "warnings": [], "error": fault})
        else:
            complain_of(error)
        raise typer.Exit(1) from None
    if json:
        report = {"path": str(bench.path), "valid": True, "exists": exists, "warnings": list(snapshot.warnings)}
        say_json({**report, "error": None})
        return
    for warning in snapshot.warnings:
        say(f"warning: {warning}")
    say(f"{bench.path}: {'sound' if exists else 'there is none yet, and the defaults are in force'}.")
