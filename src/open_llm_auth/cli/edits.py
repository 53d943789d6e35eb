"""Changes to the config document, each a function from arguments to a change that `ConfigFile.update` applies.

They touch the first side of a mirrored section; the config room keeps the other side equal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

__all__ = [
    "Change",
    "add_token",
    "allow_local",
    "put_profile",
    "put_provider",
    "put_sign_in",
    "remove_profile",
    "rename_profile",
    "revoke_token",
    "set_default_model",
    "set_order",
    "set_server_token",
]

Change = Callable[[dict[str, Any]], None]


def put_profile(profile_id: str, fields: Mapping[str, Any]) -> Change:
    """Store a profile. What an older one of that id says beside these fields is kept, but not its other secrets."""

    def change(data: dict[str, Any]) -> None:
        profiles = data.setdefault("authProfiles", {})
        kept = {name: value for name, value in profiles.get(profile_id, {}).items() if name not in _SECRETS}
        profiles[profile_id] = {**kept, **fields}

    return change


#: A new secret makes the rest of the old credential meaningless.
_SECRETS = frozenset({"key", "token", "access", "refresh", "expires"})


def put_sign_in(profile_id: str, fields: Mapping[str, Any]) -> Change:
    """Store what a sign-in gave in the place of all that an earlier one of that id did: whose it was, where its calls
    go, what its terms are. What a person said of the profile stays: its owner, where it may be used, how it bills."""

    def change(data: dict[str, Any]) -> None:
        profiles = data.setdefault("authProfiles", {})
        before = profiles.get(profile_id, {})
        noted = before.get("metadata") or {}
        told = _TOLD | ({"baseUrl"} if noted.get("source") == "sign-in" else set())
        kept = {name: value for name, value in before.items() if name not in told}
        metadata = {**_own_notes(noted), **fields.get("metadata", {}), **_said(noted)}
        profiles[profile_id] = {**kept, **fields, "metadata": metadata}

    return change


#: What a sign-in tells of itself, and what the gateway notes of it.
_TOLD = _SECRETS | {"email", "accountId", "metadata"}
_NOTED = frozenset({"source", "risk", "termsUrl", "termsCheckedAt", "mayRotate", "plan", "subject", "host"})
_OWN_SOURCES = (None, "sign-in", "setup-token")


def _own_notes(noted: Mapping[str, Any]) -> dict[str, Any]:
    """What a person added. All that an import noted is of a credential that is gone."""
    if noted.get("source") not in _OWN_SOURCES:
        return {}
    return {name: value for name, value in noted.items() if name not in _NOTED}


def _said(noted: Mapping[str, Any]) -> dict[str, Any]:
    """A profile that was kept to some ways in is not opened to others by signing in again."""
    return {name: noted[name] for name in ("surfaces", "billing") if name in noted}


def remove_profile(profile_id: str) -> Change:
    """Forget a profile, and its place in every order."""

    def change(data: dict[str, Any]) -> None:
        data.get("authProfiles", {}).pop(profile_id, None)
        orders = data.get("authOrder", {})
        for provider, order in list(orders.items()):
            if profile_id in order:
                orders[provider] = [entry for entry in order if entry != profile_id]
            # An empty order would forbid every profile; no order allows them all.
            if not orders[provider]:
                del orders[provider]

    return change


def rename_profile(before: str, after: str) -> Change:
    """Give a profile another id, in every place that names it: its order, and the allow-lists of client tokens.

    Raises (from the change):
        InvalidRequest: there is a profile of that id already.
    """

    def change(data: dict[str, Any]) -> None:
        # Late: see application.py.
        from ..errors import InvalidRequest

        profiles = data.get("authProfiles", {})
        if after in profiles:
            raise InvalidRequest(f"There is a profile {after!r} already. Choose another name.", param="name")
        renamed = {after if name == before else name: fields for name, fields in profiles.items()}
        if "id" in renamed[after]:
            renamed[after] = {**renamed[after], "id": after}
        data["authProfiles"] = renamed
        orders = data.get("authOrder", {})
        for provider, order in orders.items():
            orders[provider] = [after if entry == before else entry for entry in order]
        for token in data.get("authorization", {}).get("tokens", {}).values():
            if before in (token.get("profiles") or ()):
                token["profiles"] = [after if entry == before else entry for entry in token["profiles"]]

    return change


def set_order(provider: str, profile_ids: Sequence[str]) -> Change:
    """The strict order of a provider's profiles; none at all removes it."""

    def change(data: dict[str, Any]) -> None:
        orders = data.setdefault("authOrder", {})
        if profile_ids:
            orders[provider] = list(profile_ids)
        else:
            orders.pop(provider, None)

    return change


def put_provider(provider_id: str, fields: Mapping[str, Any]) -> Change:
    """Configure a provider, over what the file already says of it."""

    def change(data: dict[str, Any]) -> None:
        providers = data.setdefault("providers", {})
        providers[provider_id] = {**providers.get(provider_id, {}), **fields}

    return change


def allow_local(provider_id: str, before: Sequence[str]) -> Change:
    """Let a provider use http and private addresses. `before` is the list in force when the file has none."""

    def change(data: dict[str, Any]) -> None:
        allowed = data.setdefault("egressPolicy", {}).setdefault("allowLocalProviders", list(before))
        if provider_id not in allowed:
            allowed.append(provider_id)

    return change


def set_default_model(ref: str) -> Change:
    """What a request without a model gets."""

    def change(data: dict[str, Any]) -> None:
        data["defaultModel"] = ref

    return change


def set_server_token(token: str) -> Change:
    """The legacy admin token."""

    def change(data: dict[str, Any]) -> None:
        data["serverToken"] = token

    return change


def add_token(name: str, fields: Mapping[str, Any]) -> Change:
    """Add a client token.

    Raises (from the change):
        InvalidRequest: the name is in use, or was; a subject is never given twice, because its tasks would pass on.
    """

    def change(data: dict[str, Any]) -> None:
        # Late: see application.py.
        from ..errors import InvalidRequest

        tokens = data.setdefault("authorization", {}).setdefault("tokens", {})
        for key, entry in tokens.items():
            if name in (key, entry.get("id")):
                state = "was revoked, and a revoked name" if entry.get("enabled") is False else "exists, and a name"
                raise InvalidRequest(f"The token {name!r} {state} is never given again. Choose another.", param="name")
        tokens[name] = dict(fields)

    return change


def revoke_token(name: str) -> Change:
    """Disable a token and keep its entry, so that its subject stays taken.

    Raises (from the change):
        InvalidRequest: there is no such token.
    """

    def change(data: dict[str, Any]) -> None:
        from ..errors import InvalidRequest

        tokens = data.get("authorization", {}).get("tokens", {})
        found = [key for key, entry in tokens.items() if name in (key, entry.get("id"))]
        if not found:
            raise InvalidRequest(f"There is no token {name!r}. See: open-llm-auth tokens list", param="name")
        for key in found:
            tokens[key]["enabled"] = False

    return change
