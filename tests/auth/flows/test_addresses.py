"""Addresses an issuer tells, against the hosts that are its own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from open_llm_auth.auth.flows.addresses import base_url_told, is_among, origin_of, page_told
from open_llm_auth.errors import UpstreamInvalidResponse

from .walking import facts

COPILOT = facts("github-copilot")


@pytest.mark.parametrize("host", ["a.example", "b.a.example", "one.test"])
def test_a_dot_at_the_front_means_the_name_and_what_lies_below_it(host: str) -> None:
    assert is_among(host, (".a.example", "one.test"))


@pytest.mark.parametrize("host", ["xa.example", "a.example.evil", "x.one.test", "", "example"])
def test_nothing_else_is_among_them(host: str) -> None:
    assert not is_among(host, (".a.example", "one.test"))


def test_the_spelling_of_a_host_does_not_matter() -> None:
    assert base_url_told(COPILOT, "HTTPS://API.GitHubCopilot.com./v1/") == "https://api.githubcopilot.com/v1"
    assert base_url_told(COPILOT, "api.githubcopilot.com:8443") == "https://api.githubcopilot.com:8443"


def test_a_refusal_names_the_host_and_says_that_nothing_went_there() -> None:
    with pytest.raises(UpstreamInvalidResponse, match="Nothing was sent there") as caught:
        base_url_told(COPILOT, "https://evil.example/path-canary")
    assert caught.value.details == {"provider": "github-copilot", "host": "evil.example", "reason": "foreign_host"}
    assert "canary" not in caught.value.message


def test_a_page_may_be_of_the_host_that_the_config_says_people_go_to() -> None:
    told = "https://people.example/device?x=1"
    with pytest.raises(UpstreamInvalidResponse):
        page_told(COPILOT, told)
    assert page_told(replace(COPILOT, verification_url="https://people.example/device"), told) == told


def test_an_origin_leaves_path_and_query_out() -> None:
    assert str(origin_of("https://issuer.example:444/a/b?c=d")) == "https://issuer.example:444"
