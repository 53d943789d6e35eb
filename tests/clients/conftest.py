"""One gateway for the clients that only need a healthy one; tests of trouble start their own."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest

from open_llm_auth.testing import FakeProvider, GatewayProcess


@pytest.fixture(scope="module")
def healthy_provider(provider_key: str) -> Iterator[FakeProvider]:
    with FakeProvider(keys=(provider_key,)) as provider:
        yield provider


@pytest.fixture(scope="module")
def healthy_gateway(
    healthy_provider: FakeProvider, config_for, client_token: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    """A gateway in front of `healthy_provider`, shared by the tests of one file."""
    home = tmp_path_factory.mktemp("gateway")
    with GatewayProcess(home, config_for(healthy_provider), token=client_token) as gateway:
        yield gateway


@pytest.fixture
def client(gateway: GatewayProcess) -> Iterator[openai.OpenAI]:
    """The SDK before a gateway of its own, without retries."""
    with openai.OpenAI(base_url=gateway.base_url, api_key=gateway.token, max_retries=0, timeout=20) as client:
        yield client
