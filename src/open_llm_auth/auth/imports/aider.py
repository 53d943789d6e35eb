"""aider: keys in `.aider.conf.yml`, under their own names, as `api-key` or as `set-env`; its `.env` files are read as
such files are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from .found import Found, Known, Store, Unreadable
from .names import provider_of
from .variables import of_variables

__all__ = ["NAME", "read"]

NAME: Final = "aider"
_OWN_KEYS: Final[Mapping[str, str]] = {"openai-api-key": "OPENAI_API_KEY", "anthropic-api-key": "ANTHROPIC_API_KEY"}


def read(store: Store, known: Known) -> tuple[Found, ...]:
    """Every key for a provider that is known.

    Raises:
        Unreadable: it is not YAML, or not what aider takes.
    """
    document = _document(store)
    return of_variables(NAME, store.path, dict(_variables(document, known)), known)


def _variables(document: Mapping[Any, Any], known: Known) -> Iterator[tuple[str, str]]:
    """Every key as the variable that it stands in for, what counts most last."""
    for name, text in _pairs(document, "set-env"):
        yield name, text
    for name, text in _pairs(document, "api-key"):
        yield _variable_of(name, known), text
    for setting, variable in _OWN_KEYS.items():
        told = document.get(setting)
        if isinstance(told, str):
            yield variable, told


def _pairs(document: Mapping[Any, Any], setting: str) -> Iterator[tuple[str, str]]:
    """`name=key`, one or a list of them."""
    told = document.get(setting)
    for each in told if isinstance(told, list) else [told]:
        if isinstance(each, str) and "=" in each:
            name, _, text = each.partition("=")
            yield name.strip(), text.strip()


def _variable_of(name: str, known: Known) -> str:
    """aider makes a variable of the name; a catalog row may call it otherwise."""
    row = known.catalog.providers.get(provider_of(name, known.catalog))
    of_keys = [variable for variable in row.env_names if variable.endswith("_API_KEY")] if row is not None else []
    return of_keys[0] if of_keys else f"{name.upper()}_API_KEY"


def _document(store: Store) -> Mapping[Any, Any]:
    # Late: only this reader needs it, and it takes a while.
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        value = YAML(typ="safe", pure=True).load(store.text())
    except (YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, Unreadable):
            raise
        raise Unreadable("it is not YAML") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Unreadable("it holds no settings")
    return value
