"""`open-llm-auth auth list`: every credential, what it draws on, how it is, and the command that repairs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .inventory import inventory
from .output import JsonOption, say, say_json, say_table
from .workbench import Workbench

if TYPE_CHECKING:
    from ..values import SecretRef
    from .inventory import Item

__all__ = ["list_credentials"]

_HEADINGS = ("CREDENTIAL", "TYPE", "FROM", "BILLING", "SECRET", "EXPIRES", "STATE", "OWNER")
_COLUMNS = ("id", "type", "source", "billing", "secret", "expiry", "state", "owner")
#: What expires so soon is worth a word before it does.
_SOON_SECONDS = 7 * 24 * 3600
_REPAIRS = {"oauth": "add-oauth", "token": "add-token"}


def list_credentials(json: JsonOption = False) -> None:
    """Show every credential: stored, in the environment, of programs; how it is, and what repairs it. No secrets."""
    bench = Workbench.here()
    now = bench.clock.now()
    items = [item for item in inventory(bench) if item.provider.id != "demo"]
    rows = [_describe(item, now) for item in items]
    environment = [{"provider": provider, "name": name} for provider, name in bench.environment_keys()]
    usable = _usable(bench)
    order = {provider: list(ids) for provider, ids in bench.snapshot.order.items()}
    if json:
        say_json({"credentials": rows, "environment": environment, "usable": usable, "order": order})
        return
    if rows:
        say_table(_HEADINGS, [[str(row[key] or "-") for key in _COLUMNS] for row in rows])
        for row in rows:
            if row["flaw"]:
                say(f"  {row['id']}: {row['flaw']}")
    else:
        say("No credentials yet. Add one with: open-llm-auth auth add-api-key PROVIDER")
    say()
    names = ", ".join(f"{row['name']} ({row['provider']})" for row in environment)
    say(f"Keys found in the environment: {names or 'none'}")
    say(f"Usable now: {', '.join(row['provider'] for row in usable) or 'nothing'}")


def _describe(item: Item, now: float) -> dict[str, Any]:
    profile, credential = item.profile, item.credential
    expires = profile.expires if profile is not None else credential.expires if credential is not None else None
    return {
        "id": item.id,
        "provider": item.provider.id,
        "type": profile.type if profile is not None else credential.type if credential is not None else None,
        "source": _source(item),
        "billing": credential.billing if credential is not None else None,
        "secret": _secret_word(profile.secret if profile is not None else None),
        "refresh": _secret_word(profile.refresh if profile is not None else None),
        "expires": expires,
        "expired": expires is not None and expires <= now * 1000,
        "expiry": _date(expires),
        "state": _state(item, expires, now),
        "owner": profile.owner if profile is not None else None,
        "flaw": item.flaw,
    }


def _source(item: Item) -> str:
    """Where it came from: what an import or a sign-in noted, else the kind of place it stands in."""
    noted = item.profile.metadata.get("source") if item.profile is not None else None
    if isinstance(noted, str) and noted:
        return noted
    return item.credential.source if item.credential is not None else "profile"


def _state(item: Item, expires: int | None, now: float) -> str:
    if expires is not None and expires <= now * 1000 and item.credential is None:
        return "expired"
    if item.credential is None:
        return "unusable"
    if expires is not None and not item.credential.renewable and expires <= (now + _SOON_SECONDS) * 1000:
        return "expires soon"
    return "ok"


def _usable(bench: Workbench) -> list[dict[str, Any]]:
    found = []
    for provider in bench.usable():
        credentials, _ = bench.manager.credentials(bench.snapshot, provider, bench.caller)
        found.append({"provider": provider.id, "api": provider.api, "credentials": [each.id for each in credentials]})
    return found


def _secret_word(ref: SecretRef | None) -> str | None:
    """Where a secret stands. Of a `cmd:` reference the program alone, because an argument may be a secret too."""
    if ref is None:
        return None
    if ref.scheme == "literal":
        return "[REDACTED]"
    return f"cmd:{ref.place.reveal().split(' ')[0]}" if ref.scheme == "cmd" else ref.label


def _date(milliseconds: int | None) -> str | None:
    from datetime import UTC, datetime

    if milliseconds is None:
        return None
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (OverflowError, ValueError, OSError):
        return "far away"
