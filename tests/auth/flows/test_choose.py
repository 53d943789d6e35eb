"""Every flow that the table of sign-ins names is there, and each provider gets the right one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from open_llm_auth.auth.flows.choose import FLOWS, choose, for_profile
from open_llm_auth.errors import NotConfigured
from open_llm_auth.provider_catalog import load_sign_ins

from .walking import facts


def test_every_flow_of_the_table_is_known() -> None:
    named = {flow for sign_in in load_sign_ins().values() for flow in sign_in.flows}
    assert named - set(FLOWS) == {"setup-token"}


@pytest.mark.parametrize(
    ("provider", "usual", "without_browser"),
    [
        ("openai-codex", "browser", "codex-device"),
        ("github-copilot", "copilot", "copilot"),
        ("minimax-portal", "minimax", "minimax"),
        ("kimi-coding", "device", "device"),
        ("qwen-portal", "device-pkce", "device-pkce"),
    ],
)
def test_each_provider_has_its_own(provider: str, usual: str, without_browser: str) -> None:
    assert choose(facts(provider)) == usual
    assert choose(facts(provider), without_browser=True) == without_browser


def test_what_there_is_no_way_for_is_said() -> None:
    with pytest.raises(NotConfigured, match="with a browser only"):
        choose(replace(facts("openai-codex"), flows=("browser",)), without_browser=True)
    with pytest.raises(NotConfigured, match="no sign-in"):
        choose(facts("anthropic"))


def test_a_profile_may_be_of_a_companys_own_github() -> None:
    copilot = facts("github-copilot")
    assert for_profile(copilot, {}) is copilot
    assert for_profile(copilot, {"host": 7}) is copilot
    assert for_profile(copilot, {"host": "acme.example"}).token_url == "https://acme.example/login/oauth/access_token"
    assert for_profile(facts("openai-codex"), {"host": "acme.example"}) is facts("openai-codex")
