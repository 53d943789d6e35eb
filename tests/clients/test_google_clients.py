"""Google's SDK gets what it asks for, whichever dialect the provider behind the gateway speaks."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.clients

#: its own, and a foreign one
UPSTREAMS = ("gemini", "chat")


def test_every_case_works(family, run_client, upstream):
    outcomes = run_client("google_genai_python.py", upstream.gateway, upstream.family, upstream.model)
    assert outcomes
    assert [outcome for outcome in outcomes if not outcome.ok] == []
    assert upstream.fake.calls
