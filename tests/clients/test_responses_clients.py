"""OpenAI's SDKs on the Responses API get what they ask for, whichever dialect the provider speaks."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.clients

#: their own, and a foreign one
UPSTREAMS = ("responses", "anthropic")


@pytest.mark.parametrize("sdk", ["openai_responses_python.py", "openai_responses_node.mjs"])
def test_every_case_works(sdk, family, run_client, upstream):
    outcomes = run_client(sdk, upstream.gateway, upstream.family, upstream.model)
    assert outcomes
    assert [outcome for outcome in outcomes if not outcome.ok] == []
    assert upstream.fake.calls
