"""Unmodified clients get what they ask for, every case of each."""

from __future__ import annotations

import shutil

import pytest

pytestmark = pytest.mark.clients

PROGRAMS = ("openai_python.py", "openai_node.mjs", "llm_command.py", "curl_command.py")


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_case_of_a_client_works_through_the_gateway(program, run_client, gateway, provider):
    if program == "curl_command.py" and not shutil.which("curl"):
        pytest.skip("NO CURL TESTS: curl is not on this machine")
    outcomes = run_client(program, gateway, "fake", "fake/fake-model", embedding_model="fake/fake-embedding")
    assert outcomes
    assert [outcome for outcome in outcomes if not outcome.ok] == []
