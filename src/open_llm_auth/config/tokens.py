"""Client tokens compiled to digests: who is known, and who the legacy admin is (SPEC §2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from ..auth.secrets import parse_reference
from ..errors import ConfigInvalid, SecretUnavailable
from ..policy.access import digest
from ..ports import SecretSource
from ..values import Caller, TokenTable
from .ids import Ids
from .model import ConfigDocument, TokenEntry

__all__ = ["compile_tokens"]

_ALL_SCOPES: Final = frozenset({"read", "write", "admin"})
_OUR_SUBJECTS: Final = frozenset({"legacy-admin", "anonymous", "local-admin"})
_LEGACY: Final = Caller(subject="legacy-admin", scopes=_ALL_SCOPES, admin=True, kind="legacy")
_VARIABLE: Final = "OPEN_LLM_AUTH_TOKEN"


@dataclass(frozen=True, slots=True)
class _Known:
    """A caller, the digest that proves it, and where the config says so."""

    path: str
    digest: bytes
    caller: Caller


def compile_tokens(
    document: ConfigDocument, secrets: SecretSource, ids: Ids, variable: str | None, warnings: list[str]
) -> TokenTable:
    """The table of callers. `variable` is the value of OPEN_LLM_AUTH_TOKEN, which counts only without a `serverToken`.

    A disabled token is as good as none: it is counted, matches nobody and clashes with nothing. `legacy` says that a
    legacy token stands somewhere, be it in force or not: where there is one, nobody is anonymous.

    Raises:
        ConfigInvalid: two tokens are the same secret; `message` names both places.
    """
    section = document.authorization
    server_token = (document.server_token or "").strip()
    if document.server_token is not None and not server_token:
        warnings.append("serverToken is empty, which is as good as none; remove it or set a token.")
    known = [*_configured(section.tokens, secrets, ids, warnings)]
    if section.legacy_admin_compatibility:
        known += _legacy(server_token, variable, secrets, warnings)
    _refuse_twins(known)
    return TokenTable(
        callers=MappingProxyType({each.digest: each.caller for each in known}),
        configured=len(section.tokens),
        legacy=bool(server_token or (variable or "").strip()),
    )


def _configured(
    tokens: dict[str, TokenEntry], secrets: SecretSource, ids: Ids, warnings: list[str]
) -> Iterator[_Known]:
    for key, entry in tokens.items():
        path = f"authorization.tokens.{key}"
        caller = _caller(entry.id or key, entry, ids)
        _warn_of(path, caller, warnings)
        found = _digest(entry, f"{path}.token", secrets, warnings) if entry.enabled else None
        if found is not None:
            yield _Known(path, found, caller)


def _legacy(configured: str, variable: str | None, secrets: SecretSource, warnings: list[str]) -> Iterator[_Known]:
    if configured:
        found = _resolved(configured, "serverToken", secrets, warnings)
        if found is not None:
            yield _Known("serverToken", found, _LEGACY)
    elif token := (variable or "").strip():
        yield _Known(_VARIABLE, digest(token), _LEGACY)


def _refuse_twins(known: list[_Known]) -> None:
    paths: dict[bytes, str] = {}
    for each in known:
        twin = paths.setdefault(each.digest, each.path)
        if twin != each.path:
            raise ConfigInvalid(
                f"{twin} and {each.path} are the same secret, so a call could not tell whose it is. "
                "Replace one of them.",
                param=each.path,
                details={"paths": [twin, each.path]},
            )


def _digest(entry: TokenEntry, path: str, secrets: SecretSource, warnings: list[str]) -> bytes | None:
    if entry.token_hash is not None:
        return bytes.fromhex(entry.token_hash.removeprefix("sha256:"))
    return _resolved(entry.token or "", path, secrets, warnings)


def _resolved(text: str, path: str, secrets: SecretSource, warnings: list[str]) -> bytes | None:
    """The digest of a client token, None (nobody's) when what it refers to is missing or empty."""
    try:
        token = secrets.get(parse_reference(text, all_caps=False)).reveal().strip()
    except SecretUnavailable as error:
        warnings.append(f"{path} matches nobody: {error.message}")
        return None
    if not token:
        warnings.append(f"{path} matches nobody: what it refers to is empty.")
        return None
    return digest(token)


def _caller(subject: str, entry: TokenEntry, ids: Ids) -> Caller:
    return Caller(
        subject=subject,
        scopes=_ALL_SCOPES if entry.admin else frozenset(entry.scopes),
        admin=entry.admin,
        expires_at=entry.expires_at,
        models=_tuple(entry.models, ids.reference),
        providers=_tuple(entry.providers, ids.provider),
        profiles=_tuple(entry.profiles, str.strip),
    )


def _tuple(globs: list[str] | None, normal: Callable[[str], str]) -> tuple[str, ...] | None:
    return None if globs is None else tuple(normal(glob) for glob in globs)


def _warn_of(path: str, caller: Caller, warnings: list[str]) -> None:
    if caller.subject in _OUR_SUBJECTS:
        warnings.append(f"{path} has the subject {caller.subject!r}, which the gateway gives to others; rename it.")
    if unknown := sorted(caller.scopes - _ALL_SCOPES):
        warnings.append(f"{path}.scopes has {unknown}, which give nothing; there are 'read', 'write' and 'admin'.")
    if not caller.scopes:
        warnings.append(f"{path} has no scopes, so it may call nothing; add 'read' and 'write', or admin: true.")
