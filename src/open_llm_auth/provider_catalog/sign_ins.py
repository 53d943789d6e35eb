"""Reads `sign_ins.json`, shipped beside this file: every constant of every sign-in stands there, with its source."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Literal

import msgspec

from ..values import SignIn

__all__ = ["load_sign_ins"]


class _Row(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    flows: tuple[str, ...]
    standing: Literal["sanctioned", "unofficial", "restricted", "discontinued"]
    terms_url: str
    docs: str
    checked: str
    client_id: str = ""
    token_url: str = ""
    authorize_url: str = ""
    device_url: str = ""
    exchange_url: str = ""
    verification_url: str = ""
    scopes: tuple[str, ...] = ()
    redirect_port: int = 0
    alternate_ports: tuple[int, ...] = ()
    redirect_path: str = "/auth/callback"
    extras: dict[str, str] = {}
    rotates: bool = True
    hosts: tuple[str, ...] = ()
    terminal: frozenset[str] = frozenset({"invalid_grant"})
    risk: str = ""


@cache
def load_sign_ins() -> Mapping[str, SignIn]:
    """The sign-ins of this release by provider id, read once."""
    rows = msgspec.json.decode(files(__package__).joinpath("sign_ins.json").read_bytes(), type=dict[str, _Row])
    return MappingProxyType({id_: SignIn(provider=id_, **msgspec.structs.asdict(row)) for id_, row in rows.items()})
