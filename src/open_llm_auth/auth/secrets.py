"""The grammar of secret references (SPEC §3): what a text in a secret field means. Resolving one is a port's work."""

from __future__ import annotations

import re
from typing import Final, get_args

from ..values import Secret, SecretRef, SecretScheme

__all__ = ["is_reference", "parse_reference"]

#: `env:NAME`, `file:/path`, `keyring:service/name`, `cmd:program args`; `literal:` is no spelling of anything.
_SCHEMES: Final[dict[str, SecretScheme]] = {name: name for name in get_args(SecretScheme) if name != "literal"}
_BRACED: Final = re.compile(r"\$\{([^{}]*)\}")
_ALL_CAPS: Final = re.compile(r"[A-Z_][A-Z0-9_]*", re.ASCII)


def parse_reference(text: str, *, all_caps: bool = True) -> SecretRef:
    """What `text` stands for. Total: it never raises, and it never looks anything up.

    White space around the text is dropped, because a pasted key brings its line end along. A text that begins like a
    reference is one even when its place is malformed (``env:``, ``${two words}``): it then fails when it is resolved,
    where taking it for a literal would send it to a provider. References are whole values; ``Bearer ${NAME}`` is a
    literal. `all_caps` is False for client tokens, which an environment variable may never stand in for.
    """
    text = text.strip()
    if braced := _BRACED.fullmatch(text):
        return SecretRef("env", Secret(braced[1].strip()))
    prefix, colon, place = text.partition(":")
    if colon and prefix in _SCHEMES:
        return SecretRef(_SCHEMES[prefix], Secret(place.strip()))
    return SecretRef("literal", Secret(text), maybe_env=all_caps and _ALL_CAPS.fullmatch(text) is not None)


def is_reference(text: str, *, all_caps: bool = False) -> bool:
    """Whether `text` points at a secret instead of being one; with `all_caps`, also when it may name a variable."""
    ref = parse_reference(text, all_caps=all_caps)
    return ref.scheme != "literal" or ref.maybe_env
