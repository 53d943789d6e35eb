"""Unmodified clients get what they ask for, every case of each, from the fake provider and from the built-in demo."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.clients


def test_every_case_works_through_the_gateway(program, run_client, gateway, provider):
    outcomes = run_client(program, gateway, "fake", "fake/fake-model", embedding_model="fake/fake-embedding")
    assert outcomes
    assert [outcome for outcome in outcomes if not outcome.ok] == []


def test_every_case_works_before_any_provider_is_set_up(some_program, run_client, make_gateway, client_token):
    tokens = {"client": {"token": client_token, "scopes": ["read", "write"]}}
    outcomes = run_client(some_program, make_gateway({"authorization": {"tokens": tokens}}), "demo", "demo/echo")
    assert [outcome for outcome in outcomes if not outcome.ok] == []
