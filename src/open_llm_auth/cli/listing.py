"""`open-llm-auth auth list`: every credential, what it draws on, how it is, and the command that repairs it."""

from __future__ import annotations

from math import isinf
from typing import TYPE_CHECKING, Any

from .condition import conditions, moment
from .output import JsonOption, printable, say, say_json, say_table
from .workbench import Workbench

if TYPE_CHECKING:
    from ..values import SecretRef
    from .condition import Condition
    from .health import State
    from .inventory import Item

__all__ = ["list_credentials"]

_HEADINGS = ("CREDENTIAL", "TYPE", "FROM", "BILLING", "SECRET", "EXPIRES", "STATE", "LAST USED", "OWNER")
#: What sign-ins and imports note. Whatever else a person keeps there may be anything, a secret too.
_SHOWN = ("risk", "termsUrl", "termsCheckedAt", "surfaces", "mayRotate", "plan", "path", "importedAt")
#: Of a limit that is hardly touched there is nothing to say.
_WORTH_SAYING = 50.0


def list_credentials(json: JsonOption = False) -> None:
    """Show every credential: stored, in the environment, of programs; how it is, and what repairs it. No secrets."""
    bench = Workbench.here()
    found = conditions(bench)
    environment = [{"provider": provider, "name": name} for provider, name in bench.environment_keys()]
    usable = _usable(bench)
    order = {provider: list(ids) for provider, ids in bench.snapshot.order.items()}
    if json:
        rows = [_describe(each, bench.clock.now()) for each in found]
        say_json({"credentials": rows, "environment": environment, "usable": usable, "order": order})
        return
    if found:
        say_table(_HEADINGS, map(_cells, found))
        for text in (line for each in found for line in _remarks(each)):
            say(f"  {printable(text)}")
    else:
        say("No credentials yet. Add one with: open-llm-auth auth add-api-key PROVIDER")
    say()
    names = ", ".join(f"{row['name']} ({row['provider']})" for row in environment)
    say(f"Keys found in the environment: {names or 'none'}")
    say(f"Usable now: {', '.join(row['provider'] for row in usable) or 'nothing'}")


def _cells(condition: Condition) -> list[str]:
    item, health = condition.item, condition.health
    cells = (
        item.id,
        _type(item),
        _source(item),
        item.credential.billing if item.credential is not None else None,
        _secret_word(item.profile.secret if item.profile is not None else None),
        moment(None if condition.expires is None else condition.expires / 1000),
        condition.word,
        moment(health.last_used) if health is not None else None,
        item.profile.owner if item.profile is not None else None,
    )
    return [cell or "-" for cell in cells]


def _remarks(condition: Condition) -> list[str]:
    """What does not fit into a cell."""
    name, health = condition.item.id, condition.health
    lines = []
    if condition.why:
        lines.append(f"{name} {condition.word}: {condition.why}.".replace("..", "."))
    if condition.repair:
        lines.append(f"{name} repair: {condition.repair}")
    if condition.word != "ok" and health is not None and (error := health.last_error) is not None and error.message:
        lines.append(f"{name} failed last at {moment(error.at)}: {error.message}")
    lines += [f"{name} limit: {text}" for text in _limits(health)]
    return lines


def _limits(health: State | None) -> list[str]:
    """The limits that are worth a look, in words."""
    if health is None or health.told is None:
        return []
    found = []
    for window in health.told.windows:
        used = window.used
        if used is not None and used >= _WORTH_SAYING:
            until = "" if window.resets_at is None else f", begins anew {moment(window.resets_at)}"
            found.append(f"{window.name} {used:.0f} % used{until}")
    return found


def _describe(condition: Condition, now: float) -> dict[str, Any]:
    item, health = condition.item, condition.health
    profile = item.profile
    return {
        "id": item.id,
        "provider": item.provider.id,
        "type": _type(item),
        "source": _source(item),
        "billing": item.credential.billing if item.credential is not None else None,
        "secret": _secret_word(profile.secret if profile is not None else None),
        "refresh": _secret_word(profile.refresh if profile is not None else None),
        "expires": condition.expires,
        "expired": condition.expires is not None and condition.expires <= now * 1000,
        "state": condition.word,
        "why": condition.why or None,
        "repair": condition.repair or None,
        "health": _health(health),
        "owner": profile.owner if profile is not None else None,
        "account": (profile.email or profile.account_id) if profile is not None else None,
        "metadata": {}
        if profile is None
        else {name: value for name in _SHOWN if (value := profile.metadata.get(name))},
    }


def _health(health: State | None) -> dict[str, Any] | None:
    if health is None:
        return None
    error, told, until = health.last_error, health.told, health.until
    return {
        "level": health.level,
        # JSON has no infinity: an invalid one rests until its secret changes.
        "until": None if until is None or isinf(until) else until,
        "invalid": until is not None and isinf(until),
        "models": list(health.models),
        "reason": health.reason or None,
        "lastUsed": health.last_used,
        "lastError": None
        if error is None
        else {"at": error.at, "kind": error.kind, "code": error.code, "status": error.status, "message": error.message},
        "limits": []
        if told is None
        else [
            {
                "name": window.name,
                "usedPercent": window.used,
                "limit": window.limit,
                "remaining": window.remaining,
                "resetsAt": window.resets_at,
            }
            for window in told.windows
        ],
    }


def _type(item: Item) -> str | None:
    if item.profile is not None:
        return item.profile.type
    return item.credential.type if item.credential is not None else None


def _source(item: Item) -> str:
    """Where it came from: what an import or a sign-in noted, else the kind of place it stands in."""
    noted = item.profile.metadata.get("source") if item.profile is not None else None
    if isinstance(noted, str) and noted:
        return noted
    return item.credential.source if item.credential is not None else "profile"


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
