"""One gateway a file for the clients: a process for each test would take most of the suite's time.

`provider` and `gateway` stand in for the fixtures of the same names: shared, and reset before each test. A test that
leaves a mark in the gateway makes its own with `make_gateway`.
"""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest

from open_llm_auth.testing import FakeProvider, GatewayProcess


@pytest.fixture(scope="module")
def shared_provider(provider_key: str) -> Iterator[FakeProvider]:
    with FakeProvider(keys=(provider_key,)) as provider:
        yield provider


@pytest.fixture(scope="module")
def shared_gateway(
    shared_provider: FakeProvider, config_for, client_token: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    home = tmp_path_factory.mktemp("gateway")
    with GatewayProcess(home, config_for(shared_provider), token=client_token) as gateway:
        yield gateway


@pytest.fixture
def provider(shared_provider: FakeProvider, provider_key: str) -> FakeProvider:
    """The file's fake provider, with good manners and an empty record."""
    shared_provider.reset()
    shared_provider.keys = (provider_key,)
    return shared_provider


@pytest.fixture
def gateway(shared_gateway: GatewayProcess) -> GatewayProcess:
    """The file's gateway in front of `provider`."""
    return shared_gateway


@pytest.fixture
def client(gateway: GatewayProcess) -> Iterator[openai.OpenAI]:
    """The SDK before `gateway`, without retries."""
    with openai.OpenAI(base_url=gateway.base_url, api_key=gateway.token, max_retries=0, timeout=20) as client:
        yield client
