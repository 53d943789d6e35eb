"""`open-llm-auth tokens`: who may call the gateway."""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Annotated, Any

import typer

from . import edits
from .output import JsonOption, say, say_json, say_table
from .workbench import Workbench

__all__ = ["app", "new_token"]

app = typer.Typer(help="Tokens that let a program call the gateway.", no_args_is_help=True, rich_markup_mode=None)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
#: Subjects the gateway gives to callers without a named token.
_TAKEN = frozenset({"local-admin", "legacy-admin", "anonymous"})
_SCOPES = ("read", "write")
_DAY = 86_400_000

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The token's name, which is its subject.")]


def new_token() -> tuple[str, str]:
    """A token of 256 random bits, and the hash that is stored of it."""
    from ..policy.access import TOKEN_PREFIX

    token = f"{TOKEN_PREFIX}{secrets.token_urlsafe(32)}"
    return token, f"sha256:{hashlib.sha256(token.encode()).hexdigest()}"


@app.command("create")
def create(
    name: NameArgument,
    scope: Annotated[list[str] | None, typer.Option("--scope", help="read or write; may be repeated.")] = None,
    admin: Annotated[bool, typer.Option("--admin", help="May do everything, the config included.")] = False,
    models: Annotated[
        list[str] | None, typer.Option("--models", metavar="GLOB", help="Only these models; may be repeated.")
    ] = None,
    expires: Annotated[float | None, typer.Option("--expires", metavar="DAYS", help="Days until it expires.")] = None,
    json: JsonOption = False,
) -> None:
    """Make a token and show it once. Without --scope or --admin it may read and write."""
    if not _NAME.fullmatch(name):
        raise typer.BadParameter(f"{name!r} is no token name: use up to 64 letters, digits, '.', '_', '@' and '-'")
    if name in _TAKEN:
        raise typer.BadParameter(f"{name!r} is a name that the gateway uses itself")
    bench = Workbench.here()
    token, token_hash = new_token()
    fields: dict[str, Any] = {"tokenHash": token_hash, "scopes": _scopes(scope, admin=admin), "admin": admin}
    fields["enabled"] = True
    if models:
        fields["models"] = _globs(models)
    if expires is not None:
        fields["expiresAt"] = _expiry(expires, bench.clock.now())
    bench.file.update(edits.add_token(name, fields))
    if json:
        shown = {key: value for key, value in fields.items() if key != "tokenHash"}
        say_json({"id": name, "token": token, **shown})
        return
    say(f"Token {name!r}, shown this once:")
    say(token)
    say(f"It may {'do everything' if admin else ' and '.join(fields['scopes'])}; only its hash is stored.")
    say("A running gateway knows it within 2 seconds.")


def _scopes(given: list[str] | None, *, admin: bool) -> list[str]:
    if admin and given:
        raise typer.BadParameter("give --scope or --admin, not both: --admin implies every scope")
    unknown = sorted(set(given or []) - set(_SCOPES))
    if unknown:
        raise typer.BadParameter(f"{unknown[0]!r} is no scope: there are read and write, and --admin for everything")
    return [] if admin else [scope for scope in _SCOPES if scope in (given or _SCOPES)]


def _globs(models: list[str]) -> list[str]:
    if not all(glob.strip() and glob.isprintable() for glob in models):
        raise typer.BadParameter("--models wants a glob, such as 'openai/gpt-*'")
    return [glob.strip() for glob in models]


def _expiry(days: float, now: float) -> int:
    if not 0 < days <= 36_500:
        raise typer.BadParameter(f"--expires is a number of days above 0 and up to 36500, not {days:g}")
    return int(now * 1000 + days * _DAY)


@app.command("list")
def list_tokens(json: JsonOption = False) -> None:
    """Show the tokens, without what they are."""
    bench = Workbench.here()
    tokens = bench.document.data.get("authorization", {}).get("tokens", {})
    now = bench.clock.now()
    rows = [_describe(key, entry, now) for key, entry in tokens.items()]
    if json:
        say_json({"tokens": rows})
        return
    if not rows:
        say("There are no tokens. Make one with: open-llm-auth tokens create NAME")
        return
    headings = ("TOKEN", "SCOPES", "STATE", "MODELS")
    say_table(headings, [(row["id"], _may(row), row["state"], ", ".join(row["models"] or ["all"])) for row in rows])


def _describe(key: str, entry: dict[str, Any], now: float) -> dict[str, Any]:
    expires = entry.get("expiresAt")
    enabled = entry.get("enabled", True)
    expired = expires is not None and expires <= now * 1000
    return {
        "id": entry.get("id") or key,
        "scopes": list(entry.get("scopes") or []),
        "admin": bool(entry.get("admin", False)),
        "enabled": enabled,
        "expiresAt": expires,
        "state": "revoked" if not enabled else "expired" if expired else "in force",
        "hashed": "tokenHash" in entry,
        "models": entry.get("models"),
        "providers": entry.get("providers"),
        "profiles": entry.get("profiles"),
    }


def _may(row: dict[str, Any]) -> str:
    return "admin" if row["admin"] else ", ".join(row["scopes"]) or "none"


@app.command("revoke")
def revoke(name: NameArgument) -> None:
    """End a token. Its name stays taken, so that nobody inherits what it owns."""
    bench = Workbench.here()
    bench.file.update(edits.revoke_token(name))
    say(f"Revoked {name!r}. A running gateway refuses it within 2 seconds.")
