"""Every row of the catalog works by its kind: where its calls go, where its key stands, what errors and answers say.

The requests are made purely, with the addresses of the catalog; the answers come from fakes of each row's dialect, to
which a config with little more than an address and a key leads the same rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from open_llm_auth.auth.health import HealthTable
from open_llm_auth.auth.manager import ProviderManager
from open_llm_auth.config.source import LiveConfig
from open_llm_auth.errors import UpstreamCredentialRejected
from open_llm_auth.main import SystemClock
from open_llm_auth.policy.access import LOCAL_ADMIN
from open_llm_auth.provider_catalog import load_catalog
from open_llm_auth.providers import KINDS
from open_llm_auth.providers.spec import Adjusting, Sending, UpstreamKind
from open_llm_auth.server.passage import dialect_of
from open_llm_auth.testing import (
    FakeAnthropic,
    FakeBedrock,
    FakeGemini,
    FakeOllama,
    FakeProvider,
    FakeResponses,
    GatewayProcess,
)
from open_llm_auth.testing.bedrock_server import ACCESS_KEY, SECRET_KEY
from open_llm_auth.testing.fake_server import FakeServer
from open_llm_auth.values import Command, Credential, Outbound, Provider, Secret
from open_llm_auth.wire.conversation import Conversation, Text, Turn
from open_llm_auth.wire.dialects import provider_side

from ..ways_in import WAYS, text_in

GOLDEN = Path(__file__).parents[1] / "golden" / "replies"
CATALOG = load_catalog()
SAID = "Hello from the fake provider: naïve 日本語 🦙."

#: kinds that send nothing over a network
COMMANDS = ("claude-cli", "codex-cli")
SILENT = (*COMMANDS, "demo")


@dataclass(frozen=True)
class Row:
    """A provider by one of the kinds it answers to. `model` is one of its own, or any where it lists none."""

    provider: Provider
    api: str
    model: str

    @property
    def kind(self) -> UpstreamKind:
        return KINDS[self.api]

    @property
    def dialect(self) -> str:
        return dialect_of(self.kind, self.model)

    @property
    def key(self) -> str:
        return f"sk-canary-{self.provider.id}-{self.api}"

    def __str__(self) -> str:
        return f"{self.provider.id} as {self.api}: {self.model}"


def rows() -> Iterator[Row]:
    for provider in CATALOG.providers.values():
        model = next(iter(provider.models), "some-model")
        for api in (provider.api, *provider.also):
            yield Row(provider, api, model)
    yield Row(CATALOG.providers["github-copilot"], "github-copilot", "gpt-5.4")


ROWS = tuple(rows())
SENDING = tuple(row for row in ROWS if row.api not in SILENT)


def test_every_kind_that_the_catalog_names_is_one_there_is():
    assert {row.api for row in ROWS} <= set(KINDS)
    # and no kind is without a test here
    assert set(KINDS) - {row.api for row in ROWS} == {"ollama"}, "the one that only a config chooses"


# --- requests --------------------------------------------------------------------------------------------------

_TYPES = {"api-key": "api_key", "oauth": "oauth", "token": "token", "aws-sdk": "api_key", "cli": "cli"}


def prepared(row: Row, *, stream: bool, credential: Credential | None = None) -> Outbound | Command:
    """A chat call as it leaves for the address of the catalog."""
    if credential is None:
        endpoint = None
        if row.provider.endpoint is None and row.api not in SILENT:
            endpoint = replace(CATALOG.providers["anthropic"].endpoint, host="derived.example", path="/a/b/anthropic")
        secret = None if row.api in SILENT else Secret(row.key)
        credential = Credential("x", row.provider.id, "profile", _TYPES[row.provider.auth], secret, endpoint)
    streams = stream or row.kind.stream_only
    conversation = Conversation((Turn("user", (Text("hi"),)),), max_tokens=100, stream=streams)
    fields = provider_side(row.dialect).write_request(conversation, row.model)
    if row.kind.adjust is not None:
        fields = row.kind.adjust(fields, Adjusting(row.provider, row.model, streams, translated=True))
    sending = Sending("chat", row.model, streams, msgspec.json.encode(fields))
    return row.kind.prepare(row.provider, credential, sending)


def target_of(row: Row, *, stream: bool) -> str:
    """SPEC §3: what follows the base, by kind."""
    base = "/a/b/anthropic" if row.provider.endpoint is None else row.provider.endpoint.path
    model = quote(row.model, safe="")
    match row.api:
        case "openai-completions":
            return f"{base}/chat/completions"
        case "openai-responses":
            return f"{base}/responses"
        case "openai-codex-responses":
            return f"{base}/codex/responses"
        case "anthropic-messages":
            return f"{base.removesuffix('/v1')}/v1/messages"
        case "google-generative-ai":
            verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
            return f"{base.removesuffix('/openai')}/models/{model}:{verb}"
        case "bedrock-converse-stream":
            return f"{base}/model/{model}/{'converse-stream' if stream else 'converse'}"
        case "github-copilot":
            return "/responses" if row.model == "gpt-5.4" else "/chat/completions"
    raise AssertionError(f"SPEC §3 says nothing of {row.api!r}")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("row", SENDING, ids=str)
def test_a_call_goes_to_the_row_s_own_address_with_the_key_in_one_header(row, stream):
    outbound = prepared(row, stream=stream)
    assert isinstance(outbound, Outbound)
    own = row.provider.endpoint
    assert outbound.endpoint.host == (own.host if own else "derived.example")
    assert outbound.endpoint.scheme == (own.scheme if own else "https")
    assert outbound.target == target_of(row, stream=stream)
    assert (outbound.provider, outbound.method, outbound.signing) == (row.provider.id, "POST", None)
    names = [name for name, _ in outbound.headers]
    assert len(set(names)) == len(names)
    holders = [name for name, value in outbound.headers if row.key.encode() in value]
    assert holders == [b"x-api-key" if is_in_own_header(row) else KEY_HEADERS.get(row.api, b"authorization")]
    assert row.key not in outbound.target + str(outbound.endpoint) + outbound.body.decode()
    assert dict(outbound.headers)[b"content-type"] == b"application/json"


KEY_HEADERS = {"google-generative-ai": b"x-goog-api-key"}


def is_in_own_header(row: Row) -> bool:
    """Anthropic's own way, which not all of its imitators follow, and no sign-in does."""
    return row.api == "anthropic-messages" and not row.provider.bearer_key and row.provider.auth == "api-key"


@pytest.mark.parametrize("row", SENDING, ids=str)
def test_a_row_without_a_key_sends_none(row):
    endpoint = None if row.provider.endpoint else CATALOG.providers["anthropic"].endpoint
    outbound = prepared(row, stream=True, credential=Credential("x", row.provider.id, "none", "none", None, endpoint))
    assert not {b"authorization", b"x-api-key", b"x-goog-api-key"} & dict(outbound.headers).keys()


def test_bedrock_without_a_key_is_signed_for_the_region_of_its_address():
    (row,) = (row for row in ROWS if row.provider.id == "amazon-bedrock")
    chain = Credential("aws-sdk:amazon-bedrock", "amazon-bedrock", "aws-sdk", "aws-sdk")
    outbound = prepared(row, stream=True, credential=chain)
    assert (outbound.signing.service, outbound.signing.region) == ("bedrock", "us-east-1")


@pytest.mark.parametrize("row", [row for row in ROWS if row.api in COMMANDS], ids=str)
def test_a_command_gets_its_prompt_where_nobody_else_reads_it(row):
    command = prepared(row, stream=True)
    assert isinstance(command, Command)
    assert command.arguments[0] == row.api.removesuffix("-cli")
    assert b"hi" in command.input
    assert f"--model={row.model}" in command.arguments
    assert not any(name.endswith("_API_KEY") for name in command.environment)


def test_cloudflare_s_address_follows_from_the_account_of_a_profile(tmp_path):
    profile = {"provider": "cloudflare-ai-gateway", "type": "api_key", "key": "cf-canary-key"}
    profile |= {"accountId": "acc/1", "gatewayId": "gate way"}
    (tmp_path / "config.json").write_text(json.dumps({"authProfiles": {"cloudflare-ai-gateway:mine": profile}}))
    config = LiveConfig(tmp_path / "config.json", {})
    snapshot = config.load()
    manager = ProviderManager(config.secrets, HealthTable(), SystemClock(), frozenset(KINDS))
    plan = manager.plan(snapshot, model="cloudflare-ai-gateway/claude-sonnet-4-6", caller=LOCAL_ADMIN)
    (attempt,) = plan.attempts
    row = Row(attempt.provider, attempt.provider.api, attempt.model)
    outbound = prepared(row, stream=True, credential=attempt.credential)
    assert outbound.endpoint.host == "gateway.ai.cloudflare.com"
    assert outbound.target == "/v1/acc%2F1/gate%20way/anthropic/v1/messages"
    assert dict(outbound.headers)[b"x-api-key"] == b"cf-canary-key"


# --- errors ----------------------------------------------------------------------------------------------------

WORDS = {400: "bad request sample", 401: "invalid key sample", 429: "slow down sample", 529: "overloaded sample"}


@pytest.mark.parametrize("status", WORDS)
@pytest.mark.parametrize("row", SENDING, ids=str)
def test_an_error_in_the_row_s_own_form_keeps_its_words(row, status):
    body = (GOLDEN / row.dialect / f"error_{status}.json").read_bytes()
    fault = row.kind.read_error(row.provider.id, status, ((b"retry-after", b"7"),), body, lambda text: text)
    assert fault.error.message == WORDS[status]
    assert fault.error.status == fault.status == status
    assert fault.error.details["provider"] == row.provider.id
    assert isinstance(fault.error, UpstreamCredentialRejected) == (status == 401)
    assert fault.retry_after == 7


@pytest.mark.parametrize("row", SENDING, ids=str)
def test_an_error_in_nobody_s_form_is_told_without_its_words(row):
    fault = row.kind.read_error(row.provider.id, 503, (), b"<html>secret things</html>", lambda text: text)
    assert fault.error.message == f"Upstream provider {row.provider.id!r} returned HTTP 503"


# --- answers ---------------------------------------------------------------------------------------------------


class Copilot(FakeProvider):
    """It speaks chat completions, and Responses at the same address."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._responses = FakeResponses(keys=None)

    def answer(self, request: Any, document: Mapping[str, Any], behaviour: Any, number: str) -> Any:
        other = self._responses if request.path.endswith("/responses") else super()
        return other.answer(request, document, behaviour, number)

    def said_to(self, document: Mapping[str, Any]) -> str:
        return self._responses.said_to(document) if "input" in document else super().said_to(document)


def strict(**options: Any) -> FakeProvider:
    """One that takes what OpenAI itself documents, and nothing else."""
    return FakeProvider(strict=True, **options)


FAKES = {
    "openai-completions": strict,
    "openai-responses": FakeResponses,
    "openai-codex-responses": FakeResponses,
    "anthropic-messages": FakeAnthropic,
    "google-generative-ai": FakeGemini,
    "bedrock-converse-stream": FakeBedrock,
    "github-copilot": Copilot,
    "ollama": FakeOllama,
}
#: Rows that a config puts to another of the kinds they have.
CHOSEN = (
    Row(CATALOG.providers["openai"], "openai-responses", "gpt-5.5"),
    Row(CATALOG.providers["google"], "google-generative-ai", "gemini-2.5-flash"),
    Row(CATALOG.providers["ollama"], "ollama", "llama3.2"),
)
SERVED = (*(row for row in ROWS if row.api == row.provider.api), *CHOSEN)


@dataclass(frozen=True)
class House:
    """A gateway and the fakes behind it, by the kind they stand for."""

    gateway: GatewayProcess
    fakes: Mapping[str, FakeServer]


def script(folder: Path, name: str) -> str:
    """A program that says what the real one does; in a folder of its own name, so that an error can be put there."""
    program = folder / f"{name}.sh"
    program.write_text(f"#!/bin/sh\ncat > /dev/null\ncat '{folder}/{name}.jsonl'\n")
    program.chmod(0o755)
    says(folder, name, "text")
    return str(program)


def says(folder: Path, name: str, reply: str) -> None:
    (folder / f"{name}.jsonl").write_bytes((GOLDEN / name / f"{reply}.jsonl").read_bytes())


def entry(row: Row, fakes: Mapping[str, FakeServer], programs: Path) -> dict[str, Any]:
    """What a person would write for the row: an address and a key, and its kind where that is another."""
    if row.api in COMMANDS:
        return {"command": script(programs, row.api)}
    if row.api == "demo":
        return {}
    own = {} if row.api == row.provider.api else {"api": row.api}
    return {"baseUrl": fakes[row.api].base_url, "apiKey": row.key, **own}


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    return tmp_path_factory.mktemp("programs")


@pytest.fixture(scope="module")
def houses(programs, tmp_path_factory, client_token):
    """Two gateways: the catalog as it is, and the rows that a config has changed, with AWS's own credentials."""
    keys = tuple(row.key for row in SERVED)
    tokens = {"ci": {"token": client_token, "scopes": ["read", "write"]}}
    with ExitStack() as running:
        fakes = {api: running.enter_context(fake(keys=keys, models=("m",))) for api, fake in FAKES.items()}

        def start(name: str, document: dict[str, Any], environ: Mapping[str, str]) -> House:
            ids = list(document["providers"])
            document |= {"authorization": {"tokens": tokens}, "egressPolicy": {"allowLocalProviders": ids}}
            home = tmp_path_factory.mktemp(name)
            gateway = GatewayProcess(home, document, token=client_token, environ=environ)
            return House(running.enter_context(gateway), fakes)

        own = {row.provider.id: entry(row, fakes, programs) for row in SERVED if row not in CHOSEN}
        account = own.pop("cloudflare-ai-gateway")
        own["cloudflare-ai-gateway"] = {}
        profile = {"provider": "cloudflare-ai-gateway", "type": "api_key", "key": account["apiKey"]}
        profile |= {"accountId": "a", "gatewayId": "g", "baseUrl": account["baseUrl"]}
        first = start("catalog", {"providers": own, "authProfiles": {"cloudflare-ai-gateway:mine": profile}}, {})
        chosen = {row.provider.id: entry(row, fakes, programs) for row in CHOSEN}
        chosen["amazon-bedrock"] = {"baseUrl": fakes["bedrock-converse-stream"].base_url}
        signing = {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": "us-east-1",
            "AWS_CONFIG_FILE": str(programs / "none"),
            "AWS_SHARED_CREDENTIALS_FILE": str(programs / "none"),
        }
        second = start("chosen", {"providers": chosen}, signing)
        yield {True: second, False: first}


@pytest.fixture
def house_of(houses):
    def house(row: Row) -> House:
        found = houses[row in CHOSEN]
        for fake in found.fakes.values():
            fake.reset()
        return found

    return house


#: What clients say beside a message: of the first, what SDKs do; of the second, what Claude Code does.
MORE = {
    "chat": {"temperature": 0.5, "max_tokens": 64, "user": "u-1"},
    "messages": {
        "system": [{"type": "text", "text": "You are terse.", "cache_control": {"type": "ephemeral"}}],
        "metadata": {"user_id": "u-1"},
        "max_tokens": 64,
    },
}
#: What stays here wherever a call goes.
PRIVATE = {"cookie": "session=canary-cookie", "x-mine": "canary-mine", "openai-organization": "canary-organization"}


def ask(house: House, row: Row, way: str, *, stream: bool) -> Any:
    model = f"{row.provider.id}/{row.model}"
    return WAYS[way].ask(house.gateway, model, stream=stream, headers=PRIVATE, **MORE[way])


def said_by(row: Row) -> str:
    return "It is sunny in Paris." if row.api in COMMANDS else SAID


@pytest.mark.parametrize("row", SERVED, ids=str)
def test_a_row_answers_both_kinds_of_clients_plain_and_streamed(row, house_of, client_token):
    house = house_of(row)
    for way in MORE:
        for stream in (False, True):
            answer = ask(house, row, way, stream=stream)
            assert answer.status == 200, (way, stream, answer.body)
            text = text_in(WAYS[way].read(answer.body, stream=stream))
            assert "demo" in text.lower() if row.api == "demo" else text == said_by(row)
            assert answer.headers["x-gateway-provider"] == row.provider.id
            assert answer.headers["x-gateway-model"] == row.model
    if row.api in SILENT:
        return
    calls = [call.request for call in house.fakes[row.api].calls]
    assert len(calls) == 2 * len(MORE)
    for request in calls:
        assert [value for _, value in request.headers if row.key in value] == [
            row.key if is_in_own_header(row) or row.api in KEY_HEADERS else f"Bearer {row.key}"
        ]
        assert row.key not in request.target + request.body.decode()
        assert "canary-" not in repr(request.headers).replace(row.key, "")
        assert client_token not in repr(request)


def test_bedrock_answers_a_call_that_is_signed(houses):
    house = houses[True]
    fake = house.fakes["bedrock-converse-stream"]
    fake.reset()
    row = Row(CATALOG.providers["amazon-bedrock"], "bedrock-converse-stream", "anthropic.claude-opus-4-6-v1:0")
    for way in MORE:
        for stream in (False, True):
            answer = ask(house, row, way, stream=stream)
            assert answer.status == 200, answer.body
            assert text_in(WAYS[way].read(answer.body, stream=stream)) == SAID
            assert answer.headers["x-gateway-profile"] == "aws-sdk:amazon-bedrock"
    assert [signature.access_key for signature in fake.signatures] == [ACCESS_KEY] * 4
    assert SECRET_KEY not in repr(fake.requests)


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-5.4"])
def test_copilot_answers_in_both_of_its_dialects(houses, model):
    row = Row(CATALOG.providers["github-copilot"], "github-copilot", model)
    house = houses[False]
    fake = house.fakes["github-copilot"]
    fake.reset()
    for way in MORE:
        for stream in (False, True):
            answer = ask(house, row, way, stream=stream)
            assert text_in(WAYS[way].read(answer.body, stream=stream)) == SAID
    path = "/v1/responses" if model == "gpt-5.4" else "/v1/chat/completions"
    assert {call.request.path for call in fake.calls} == {path}


#: It does not say what the server told it.
OWN_WORDS = {("codex-cli", 429): "429 Too Many Requests"}


@pytest.mark.parametrize("row", [row for row in ROWS if row.api in COMMANDS], ids=str)
@pytest.mark.parametrize("way", list(MORE))
def test_what_a_command_says_is_wrong_is_told(row, way, houses, programs):
    try:
        for status, words in WORDS.items():
            says(programs, row.api, f"error_{status}")
            answer = ask(houses[False], row, way, stream=False)
            assert answer.status >= 400
            assert OWN_WORDS.get((row.api, status), words) in answer.json()["error"]["message"]
    finally:
        says(programs, row.api, "text")
