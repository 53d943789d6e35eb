"""The table of sign-ins: whole, sourced, and nobody else's secret in it."""

from __future__ import annotations

import re

import pytest

from open_llm_auth.policy.egress import parse_endpoint
from open_llm_auth.provider_catalog import load_catalog, load_sign_ins
from open_llm_auth.values import SignIn

ROWS = list(load_sign_ins().values())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.provider)
def test_every_row_says_where_it_is_from_and_what_its_terms_are(row: SignIn) -> None:
    assert row.provider in load_catalog().providers
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", row.checked)
    assert row.docs.startswith("https://")
    assert row.terms_url.startswith("https://")
    assert bool(row.risk) == (row.standing != "sanctioned")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.provider)
def test_every_address_is_https(row: SignIn) -> None:
    stated = (row.authorize_url, row.token_url, row.device_url, row.exchange_url, row.verification_url)
    assert all(parse_endpoint(url).scheme == "https" for url in stated if url)
    assert all(re.fullmatch(r"\.?[a-z0-9-]+(\.[a-z0-9-]+)+", host) for host in row.hosts)


def test_no_row_holds_a_client_secret_and_all_say_our_own_name() -> None:
    assert not [row for row in ROWS if row.client_secret is not None]
    assert load_sign_ins()["openai-codex"].extras["originator"] == "open_llm_auth"
