"""The openai Node SDK meets trouble: what it raises, what it retries, and that leaving a stream ends it upstream."""

from __future__ import annotations

import pytest

from open_llm_auth.testing.openai_answers import TEXT

pytestmark = pytest.mark.clients

MODEL = "fake/fake-model"


@pytest.fixture
def node(run_client, gateway, provider):
    """Run one case against one behaviour of the provider, and give what it saw."""

    def run(case: str, *behaviours: str) -> str:
        provider.next(*behaviours)
        [outcome] = run_client("openai_node_trouble.mjs", gateway, "fake", MODEL, arguments=(case,))
        assert outcome.ok, outcome.seen
        return outcome.seen

    return run


def test_it_waits_as_the_provider_says_and_succeeds(node, provider):
    node("retries_as_told", "rate_limited")
    assert len(provider.calls) == 2


def test_a_caller_error_is_raised_with_the_providers_words(node, provider):
    assert "temperature" in node("raises_a_caller_error", "bad_request")
    assert len(provider.calls) == 1


@pytest.mark.parametrize("behaviour", ["server_error", "error_first", "closes_at_once", "closes_before_content"])
def test_trouble_before_the_first_content_is_an_ordinary_error(node, behaviour):
    # Twice, because a kept connection that closes unanswered is replaced once.
    node("raises_a_server_error", behaviour, behaviour)


@pytest.mark.parametrize("behaviour", ["error_mid_stream", "closes_mid_body"])
def test_trouble_after_it_is_raised_and_never_a_silent_end(node, behaviour):
    node("raises_in_a_broken_stream", behaviour)


@pytest.mark.parametrize("behaviour", ["every_byte", "carriage_returns", "azure_first_chunk", "no_done"])
def test_unusual_streams_arrive_whole(node, behaviour):
    assert node("reads_an_unusual_stream", behaviour) == "".join(TEXT)


def test_leaving_a_stream_ends_it_upstream(node, provider):
    node("leaves_a_stream", "endless")
    provider.wait_until(lambda: provider.calls[-1].outcome == "client_gone", 2)
