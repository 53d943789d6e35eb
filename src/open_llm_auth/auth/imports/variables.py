"""Keys in variables: a `.env` file, and the environment of the shell, by the names that the catalog lists."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from ...values import Secret
from .found import Found, Known, Store
from .names import variables_of
from .terms import Terms, terms_of

__all__ = ["DOTENV", "ENVIRONMENT", "of_environment", "of_variables", "reader"]

DOTENV: Final = "dotenv"
ENVIRONMENT: Final = "environment"
#: How the tokens begin that `claude setup-token` and Claude Code's sign-in give, whatever the variable is called.
_CLAUDE_TOKEN: Final = "sk-ant-oat"


def reader(source: str) -> Callable[[Store, Known], tuple[Found, ...]]:
    """What reads a `.env` file of `source`; it raises Unreadable where that is no text."""

    def read(store: Store, known: Known) -> tuple[Found, ...]:
        return of_variables(source, store.path, known.variables(store.text()), known)

    return read


def of_environment(environ: Mapping[str, str], known: Known) -> tuple[Found, ...]:
    """Keys of the environment, each to be referred to by its name."""
    return of_variables(ENVIRONMENT, "the environment", environ, known, referred=True)


def of_variables(
    source: str, path: str, variables: Mapping[str, str], known: Known, *, referred: bool = False
) -> tuple[Found, ...]:
    """Those of `variables` that the catalog knows to hold a credential, in the catalog's order."""
    named = variables_of(known.catalog)
    return tuple(
        _found(source, path, name, provider, variables[name].strip(), known, referred)
        for name, provider in named.items()
        if variables.get(name, "").strip()
    )


def _found(source: str, path: str, name: str, provider: str, text: str, known: Known, referred: bool) -> Found:
    signed_in = name.endswith("_OAUTH_TOKEN") or text.startswith(_CLAUDE_TOKEN)
    terms = terms_of(provider, known) if signed_in else Terms()
    return Found(
        source=source,
        provider=provider,
        title=f"Token in {name}" if signed_in else f"Key in {name}",
        kind="key",
        type="token" if signed_in else "api_key",
        path=path,
        secret=Secret(text),
        reference=f"env:{name}" if referred else "",
        flaw="" if _is_key(text) else "it is no key: it holds a space, or a character that no key has",
        offer=terms.offer,
        risk=terms.risk,
        terms_url=terms.url,
        metadata={"billing": "subscription"} if signed_in else {},
    )


def _is_key(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text and "://" not in text
