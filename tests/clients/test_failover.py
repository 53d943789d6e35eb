"""Fail-over as the openai and anthropic SDKs see it: an answer, or one honest error, whichever dialect is behind it.

One gateway has a provider for every case, so that what rests in one rests in no other.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import anthropic
import openai
import pytest

from open_llm_auth.testing import BEHAVIOURS, Behaviour, FakeAnthropic, FakeProvider, GatewayProcess, free_port
from open_llm_auth.testing.fake_server import FakeServer

pytestmark = pytest.mark.clients

SAID = "Hello from the fake provider: naïve 日本語 🦙."
HELLO: Any = [{"role": "user", "content": "hello"}]
FAMILIES = {"chat": ("openai-completions", FakeProvider), "messages": ("anthropic-messages", FakeAnthropic)}
RUN = secrets.token_hex(6)
#: How many of each sort the tests take, of each family.
CASES = {"live": 38, "dead": 4, "through": 4}

#: A credential that leads to a port where nobody listens.
REFUSED = Behaviour(before_head="close")
TROUBLES = {
    "429 with a time": BEHAVIOURS["rate_limited"],
    "429 without a time": BEHAVIOURS["rate_limited_without_time"],
    "401": BEHAVIOURS["key_refused"],
    "connection refused": REFUSED,
}


@dataclass(frozen=True, slots=True)
class Case:
    """A provider of the gateway with two credentials. The first of a `dead` one leads nowhere; so does the other of
    one that is dead `through`."""

    family: str
    name: str
    number: int

    @property
    def provider(self) -> str:
        return f"{self.family}-{self.name}-{self.number}"

    @property
    def keys(self) -> tuple[str, str]:
        return (f"sk-canary-{self.provider}-first-{RUN}", f"sk-canary-{self.provider}-second-{RUN}")

    def is_dead(self, credential: int) -> bool:
        return self.name == "through" or (self.name == "dead" and credential == 0)


class Scene:
    """The gateway, what stands behind it, and the cases that no test has used yet."""

    def __init__(self, gateway: GatewayProcess, fakes: Mapping[str, FakeServer], cases: list[Case]) -> None:
        self.gateway = gateway
        self._fakes = fakes
        self._unused = cases

    def take(self, family: str, trouble: Behaviour, *, both: bool = False) -> Case:
        """A fresh provider whose first credential, or `both`, has that trouble."""
        name = "live" if trouble is not REFUSED else "through" if both else "dead"
        case = next(case for case in self._unused if (case.family, case.name) == (family, name))
        self._unused.remove(case)
        for key in case.keys if both else case.keys[:1]:
            self._fakes[family].when(trouble, key=key)
        return case

    def take_back(self, case: Case) -> None:
        """Its trouble is over."""
        for key in case.keys:
            self._fakes[case.family].when("documented", key=key)

    def calls(self, case: Case) -> list[str]:
        """The keys that reached the provider, in order."""
        fake = self._fakes[case.family]
        keys = [fake.key_of(call.request) for call in fake.calls]
        return [key for key in keys if key is not None and key in case.keys]


@pytest.fixture(scope="module")
def scene(config_for: Callable[..., dict[str, Any]], client_token: str, tmp_path_factory: Any) -> Iterator[Scene]:
    cases = [Case(family, name, n) for family in FAMILIES for name, many in CASES.items() for n in range(many)]
    dead = f"http://127.0.0.1:{free_port()}"
    with ExitStack() as running:
        fakes = {
            family: running.enter_context(fake(keys=tuple(key for case in cases for key in case.keys)))
            for family, (_, fake) in FAMILIES.items()
        }
        rows: dict[str, Any] = {}
        profiles: dict[str, Any] = {}
        for case in cases:
            row = {"baseUrl": fakes[case.family].base_url, "api": FAMILIES[case.family][0], "auth": "api-key"}
            rows[case.provider] = {**row, "models": []}
            for number, key in enumerate(case.keys):
                profile = {"provider": case.provider, "type": "api_key", "key": key}
                profiles[f"{case.provider}:{number}"] = profile | ({"baseUrl": dead} if case.is_dead(number) else {})
        order = {case.provider: [f"{case.provider}:0", f"{case.provider}:1"] for case in cases}
        sections: dict[str, Any] = {"providers": rows, "authProfiles": profiles, "authOrder": order}
        sections["egressPolicy"] = {"allowLocalProviders": list(rows)}
        home = tmp_path_factory.mktemp("failover")
        config = config_for(fakes["chat"], **sections)
        yield Scene(running.enter_context(GatewayProcess(home, config, token=client_token)), fakes, cases)


@dataclass(frozen=True, slots=True)
class Sdk:
    """One vendor's SDK. `ask` adds what it reads to `said` as it comes, and gives the headers of the answer."""

    ask: Callable[[GatewayProcess, Case, list[str], bool, int], Mapping[str, str]]
    errors: Any


def ask_openai(gateway: GatewayProcess, case: Case, said: list[str], stream: bool, retries: int) -> Mapping[str, str]:
    with openai.OpenAI(base_url=gateway.base_url, api_key=gateway.token, max_retries=retries, timeout=20) as client:
        raw = client.chat.completions.with_raw_response.create(
            model=f"{case.provider}/fake-model", messages=HELLO, stream=stream
        )
        answer: Any = raw.parse()
        if stream:
            for chunk in answer:
                said.extend(choice.delta.content or "" for choice in chunk.choices)
        else:
            said.append(answer.choices[0].message.content)
        return raw.headers


def ask_anthropic(
    gateway: GatewayProcess, case: Case, said: list[str], stream: bool, retries: int
) -> Mapping[str, str]:
    with anthropic.Anthropic(base_url=gateway.url, api_key=gateway.token, max_retries=retries, timeout=20) as client:
        raw = client.messages.with_raw_response.create(
            model=f"{case.provider}/fake-model", messages=HELLO, max_tokens=50, stream=stream
        )
        answer: Any = raw.parse()
        if stream:
            for event in answer:
                said.extend([event.delta.text] if event.type == "content_block_delta" else [])
        else:
            said.append(answer.content[0].text)
        return raw.headers


SDKS = {"openai": Sdk(ask_openai, openai), "anthropic": Sdk(ask_anthropic, anthropic)}


@pytest.fixture(params=SDKS.values(), ids=list(SDKS))
def sdk(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(params=list(FAMILIES))
def family(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=list(TROUBLES))
def test_a_credential_that_fails_is_not_noticed(
    sdk: Sdk, family: str, scene: Scene, trouble: Behaviour, stream: bool
) -> None:
    case = scene.take(family, trouble)
    said: list[str] = []
    headers = sdk.ask(scene.gateway, case, said, stream, 0)
    assert "".join(said) == SAID
    assert (headers["x-gateway-attempts"], headers["x-gateway-profile"]) == ("2", f"{case.provider}:1")
    again: list[str] = []
    headers = sdk.ask(scene.gateway, case, again, stream, 0)
    assert "".join(again) == SAID
    attempts = headers["x-gateway-attempts"]
    # A port that nobody listens on costs nothing to try, and says nothing of the credential.
    assert attempts == ("2" if trouble is REFUSED else "1"), "who rests is not asked again"


@pytest.mark.parametrize("behaviour", ["closes_before_content", "error_before_content", "error_first"])
def test_a_stream_that_dies_before_its_first_content_is_not_noticed(
    sdk: Sdk, family: str, scene: Scene, behaviour: str
) -> None:
    case = scene.take(family, BEHAVIOURS[behaviour])
    said: list[str] = []
    headers = sdk.ask(scene.gateway, case, said, True, 0)
    assert "".join(said) == SAID
    assert headers["x-gateway-attempts"] == "2"


@pytest.mark.parametrize("behaviour", ["closes_mid_body", "error_mid_stream"])
def test_a_stream_that_dies_after_it_is_one_error_and_no_second_answer(
    sdk: Sdk, family: str, scene: Scene, behaviour: str
) -> None:
    case = scene.take(family, BEHAVIOURS[behaviour])
    said: list[str] = []
    with pytest.raises(sdk.errors.APIError) as raised:
        sdk.ask(scene.gateway, case, said, True, 2)
    assert not isinstance(raised.value, sdk.errors.APIConnectionError), "the stream itself ends in good order"
    assert said
    assert SAID.startswith("".join(said)), "what was said is said once"
    assert scene.calls(case) == [case.keys[0]], "it is never asked for again"


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize(
    ("trouble", "kind", "status", "wait"),
    [
        ("429 with a time", "RateLimitError", 429, "1"),
        ("429 without a time", "RateLimitError", 429, None),
        ("401", "AuthenticationError", 401, None),
        ("connection refused", "InternalServerError", 502, None),
    ],
)
def test_where_every_credential_fails_there_is_one_honest_error(
    sdk: Sdk, family: str, scene: Scene, trouble: str, kind: str, status: int, wait: str | None, stream: bool
) -> None:
    case = scene.take(family, TROUBLES[trouble], both=True)
    said: list[str] = []
    with pytest.raises(getattr(sdk.errors, kind)) as raised:
        sdk.ask(scene.gateway, case, said, stream, 0)
    headers = raised.value.response.headers
    assert raised.value.status_code == status
    assert headers.get("retry-after") == wait
    assert headers["x-gateway-attempts"] == "2"
    assert "www-authenticate" not in headers, "it is not the client's own token that was refused"
    assert said == []
    assert not any(key in raised.value.response.text + str(headers) for key in case.keys)


def test_where_every_credential_rests_they_are_tried_all_the_same(sdk: Sdk, family: str, scene: Scene) -> None:
    case = scene.take(family, TROUBLES["429 without a time"], both=True)
    said: list[str] = []
    with pytest.raises(sdk.errors.RateLimitError):
        sdk.ask(scene.gateway, case, said, False, 0)
    scene.take_back(case)
    sdk.ask(scene.gateway, case, said, False, 0)
    assert "".join(said) == SAID, "a minute of rest that nobody stated is no reason to refuse"


def test_the_sdks_own_patience_waits_as_the_provider_says(sdk: Sdk, family: str, scene: Scene) -> None:
    case = scene.take(family, TROUBLES["429 with a time"], both=True)
    said: list[str] = []
    began = time.monotonic()
    with pytest.raises(sdk.errors.RateLimitError):
        sdk.ask(scene.gateway, case, said, False, 1)
    assert 0.9 < time.monotonic() - began < 10
    assert len(scene.calls(case)) == 4
