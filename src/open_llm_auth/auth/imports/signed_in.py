"""A sign-in as most programs keep it: an access token, perhaps a refresh token, and when the first one ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...errors import UnsafeDestination
from ...policy.egress import parse_endpoint
from ...values import Secret
from ..flows.addresses import is_among
from ..flows.tokens import claims_of, identity_of
from ..moments import expiry_of, milliseconds
from ..pointers import pointer_of
from .found import Found, Known, Store, optional_text
from .terms import terms_of

__all__ = ["base_url_of", "sign_in"]

Steps = Sequence[str | int]


def sign_in(
    source: str,
    provider: str,
    title: str,
    store: Store,
    known: Known,
    *,
    access: str,
    at: Steps,
    expires: object = None,
    expires_at: Steps = (),
    id_token: str = "",
    email: str | None = None,
    account: str | None = None,
    base_url: str | None = None,
    note: str = "",
    flaw: str = "",
) -> Found:
    """What is found of it. `at` and `expires_at` lead to its access token and its expiry within the document; an expiry
    that the token tells itself is the one that counts."""
    terms = terms_of(provider, known)
    told = identity_of(claims_of(id_token), claims_of(access))
    own = expiry_of(access)
    moment = milliseconds(expires) if own is None else own
    return Found(
        source=source,
        provider=provider,
        title=f"{title} ({told.plan})" if told.plan else title,
        kind="reference",
        type="oauth",
        path=store.path,
        secret=Secret(access),
        reference=store.reference(*at),
        account=account or told.account_id,
        email=email or told.email,
        expires=moment,
        expires_pointer=pointer_of(*expires_at) if own is None and moment is not None and expires_at else "",
        base_url=base_url,
        note=note,
        flaw=flaw or ("" if provider else "this gateway knows no such provider"),
        offer=terms.offer,
        risk=terms.risk,
        terms_url=terms.url,
    )


def base_url_of(provider: str, fields: dict[str, Any], name: str, path: str, known: Known) -> tuple[str | None, str]:
    """The address that a sign-in says calls go to, if it is one of the provider's own, and a note where it is not.

    None is the provider's usual address, which is left to the catalog.
    """
    told = optional_text(fields, name)
    if told is None:
        return None, ""
    row, own = known.catalog.providers.get(provider), known.sign_ins.get(provider)
    try:
        endpoint = parse_endpoint(told if "//" in told else f"https://{told}")
    except UnsafeDestination:
        return None, f"its {name!r} is no address and is passed over"
    if endpoint.scheme != "https" or own is None or not is_among(endpoint.host, own.hosts):
        return None, f"its {name!r} is not known to be the provider's own and is passed over"
    url = str(endpoint) if endpoint.path else f"{endpoint}{path}"
    return (None, "") if row is not None and url == row.base_url else (url, "")
