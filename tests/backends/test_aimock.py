"""A stranger's mock of six wires behind the gateway, and the vendors' SDKs before it: what one says, all hear."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from open_llm_auth.testing import GatewayProcess

from .mock_server import WIRES, MockServer, Wire, mock_server
from .sdks import WAYS, Asked, Call, Said, Way, ways_into

pytestmark = [
    pytest.mark.backends,
    # The mock ends a Gemini answer that calls a tool with a word that Google's SDK does not know.
    pytest.mark.filterwarnings("ignore:FUNCTION_CALL is not a valid FinishReason:UserWarning"),
]

KEY = "sk-canary-mock-5f0c31d2"
WRONG_KEY = "sk-canary-wrong-7a11e9b4"
WORDS = "Les élèves naïfs lisent 日本語 aloud: one, two, three."
STREAM = pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
#: Drawn one after the other for each call, which leaves about half of them alone.
TROUBLE = tuple(
    word for kind in ("drop", "malformed", "ratelimit", "disconnect") for word in (f"--chaos-{kind}", "0.15")
)
ROUNDS = 4


@pytest.fixture(scope="module")
def mock_folder(npm_folder) -> Path:
    """Where the mock is installed."""
    folder: Path = npm_folder("aimock", Path(__file__).parent / "aimock.json")
    return folder


@pytest.fixture(scope="module")
def mock(mock_folder, tmp_path_factory) -> Iterator[MockServer]:
    with mock_server(mock_folder, tmp_path_factory.mktemp("mock"), KEY) as server:
        yield server


def config_of(providers, client_token):
    return {
        "providers": providers,
        "egressPolicy": {"allowLocalProviders": list(providers)},
        "authorization": {"tokens": {"client": {"token": client_token, "scopes": ["read", "write"]}}},
    }


@pytest.fixture(scope="module")
def gateway(mock, client_token, tmp_path_factory) -> Iterator[GatewayProcess]:
    """One provider a wire, and the same ones with a key that the mock does not know."""
    providers = mock.providers() | mock.providers(WRONG_KEY, "stranger")
    config = config_of(providers, client_token)
    with GatewayProcess(tmp_path_factory.mktemp("gateway"), config, token=client_token) as gateway:
        yield gateway
        assert "Traceback" not in gateway.log()


@pytest.fixture(scope="module")
def ways(gateway) -> Iterator[Mapping[str, Way]]:
    with ways_into(gateway.url, gateway.token) as ways:
        yield ways


@pytest.fixture(params=list(WIRES))
def named_wire(request) -> tuple[str, Wire]:
    return request.param, WIRES[request.param]


@pytest.fixture
def wire(named_wire) -> Wire:
    return named_wire[1]


@pytest.fixture
def model(named_wire) -> str:
    name, wire = named_wire
    return f"mock-{name}/{wire.model}"


@pytest.fixture(params=WAYS)
def way(request, ways) -> Way:
    return ways[request.param]


@STREAM
def test_words_arrive_whole_with_their_count(way, wire, model, stream):
    said = way.ask(Asked(model, "tell me counted"), stream=stream)
    assert said == Said(WORDS, (), "stop", *((31, 17) if wire.counted else (0, 0)))
    assert said.pieces > 5 if stream else said.pieces == 1


@STREAM
def test_an_answer_that_nobody_counted_is_no_trouble(way, model, stream):
    said = way.ask(Asked(model, "tell me uncounted"), stream=stream)
    assert (said.text, said.reason) == ("Nobody counted these words.", "stop")


@STREAM
def test_a_tool_is_called_and_its_result_is_understood(way, model, stream):
    asked = Asked(model, "call one", tools=True)
    said = way.ask(asked, stream=stream)
    assert (said.text, said.calls, said.reason) == ("", (Call("get_weather", {"city": "Århus"}),), "tools")
    (call,) = said.calls
    then = way.ask(Asked(model, "call one", tools=True, after=call), stream=stream)
    assert (then.text, then.calls, then.reason) == ("It is windy there.", (), "stop")


@STREAM
def test_two_calls_follow_the_words_before_them(way, model, stream):
    said = way.ask(Asked(model, "call two", tools=True), stream=stream)
    calls = tuple(Call("get_weather", {"city": city}) for city in ("Paris", "Berlin"))
    assert (said.text, said.calls, said.reason) == ("Let me look at both.", calls, "tools")
    ids = {call.id for call in said.calls}
    # Gemini's API needs no ids, and the mock's has none; on the way to another dialect they are made.
    assert len(ids) == 2 or (way.name == "google" and ids == {""})


@STREAM
def test_thoughts_are_kept_apart_from_words(way, wire, model, stream):
    said = way.ask(Asked(model, "think first"), stream=stream)
    assert said.text == "Good day."
    # A client of Google's sees thoughts only where it asks for them, or where nobody translates.
    shown = wire.complete and (way.name != "google" or wire.api == "google-generative-ai")
    assert said.thinking == ("They want a greeting." if shown else "")


@STREAM
def test_an_answer_that_was_cut_short_says_so(way, wire, model, stream):
    said = way.ask(Asked(model, "come up short"), stream=stream)
    assert (said.text, said.reason) == ("It would go on and", "length" if wire.complete else "stop")


def test_what_arrives_there_is_what_was_asked(way, wire, model, mock):
    """The mock reads six wires into one form; whatever the way, the same must stand in it."""
    call = way.plain(Asked(model, "call one", tools=True)).calls[0]
    way.plain(Asked(model, "call one", tools=True, most=77, after=call))
    seen = mock.last_seen()
    assert seen["messages"][0] == {"role": "user", "content": "call one"}
    (made,) = seen["messages"][1]["tool_calls"]
    assert made["function"]["name"] == "get_weather"
    assert json.loads(made["function"]["arguments"]) == {"city": "Århus"}
    result = seen["messages"][2]
    assert result["role"] == "tool"
    assert "windy" in result["content"]
    # Ollama's results go by name.
    assert result.get("tool_call_id", made["id"]) == made["id"]
    (tool,) = seen["tools"]
    assert tool["function"]["name"] == "get_weather"
    assert tool["function"]["description"] == "The weather of a city"
    if wire.api != "google-generative-ai":  # the mock reads no JSON schema there, only the older form
        assert tool["function"]["parameters"]["required"] == ["city"]


@STREAM
@pytest.mark.parametrize(
    ("text", "status", "words"),
    [("refuse me", 400, "That is not allowed here"), ("slow me down", 429, "Too much at once")],
)
def test_a_refusal_has_the_form_of_the_way_in(way, wire, model, stream, text, status, words):
    with pytest.raises(way.failure) as raised:
        way.ask(Asked(model, text), stream=stream)
    told = way.read_error(raised.value)
    if wire.refuses:
        assert told == (status, words)
    else:  # what has not the provider's form is not passed on
        assert told == (status, f"Upstream provider {model.partition('/')[0]!r} returned HTTP {status}")


def test_a_key_that_is_refused_is_told_apart_from_the_clients_own(way, named_wire):
    name, wire = named_wire
    with pytest.raises(way.failure) as raised:
        way.plain(Asked(f"stranger-{name}/{wire.model}", "tell me counted"))
    status, words = way.read_error(raised.value)
    assert status == 401
    assert WRONG_KEY not in words


def test_a_stream_that_breaks_off_is_told_and_not_taken_for_an_answer(way, model):
    with pytest.raises(way.failure) as raised:
        way.streamed(Asked(model, "hang up midway"))
    _, words = way.read_error(raised.value)
    assert "in the middle of its answer" in words


@STREAM
def test_a_character_cut_in_half_is_mended_or_refused(way, model, stream):
    """JavaScript cuts text between the halves of a surrogate pair; neither half is a character."""
    try:
        said = way.ask(Asked(model, "halve a character"), stream=stream)
    except way.failure as error:
        assert stream
        assert way.read_error(error)[1]
    else:
        assert said.text == "A llama: 🦙🦙🦙."


@pytest.mark.parametrize("named_wire", ["anthropic", "gemini", "ollama"], indirect=True)
def test_tokens_that_a_provider_does_not_count_are_estimated_and_said_to_be(named_wire, gateway):
    """Neither the mock's Anthropic nor any other wire of its has such a route."""
    name, wire = named_wire
    body = {"model": f"mock-{name}/{wire.model}", "messages": [{"role": "user", "content": "one two three four"}]}
    answer = gateway.request("POST", "/v1/messages/count_tokens", body=body)
    assert answer.status == 200, answer.body
    assert answer.headers["x-gateway-estimated"] == "1"
    assert 4 <= answer.json()["input_tokens"] <= 20


def test_whatever_goes_wrong_there_every_answer_is_whole_or_a_proper_error(
    mock_folder, make_gateway, client_token, tmp_path
):
    """Half of all calls are dropped, garbled, turned away or hung up on."""
    whole, failed = 0, set()
    with mock_server(mock_folder, tmp_path, KEY, *TROUBLE, seed=20_261_124) as mock:
        gateway = make_gateway(config_of(mock.providers(), client_token))
        with ways_into(gateway.url, gateway.token) as ways:
            calls = [(way, name, stream) for way in ways.values() for name in WIRES for stream in (False, True)]
            for way, name, stream in calls * ROUNDS:
                model = f"mock-{name}/{WIRES[name].model}"
                try:
                    said = way.ask(Asked(model, "tell me counted"), stream=stream)
                except way.failure as error:
                    status, words = way.read_error(error)
                    assert words
                    failed.add(status)
                else:
                    assert said.text == WORDS
                    whole += 1
    log = gateway.log()
    assert "Traceback" not in log
    assert "internal_error" not in log
    assert len(calls) * ROUNDS // 3 < whole < len(calls) * ROUNDS
    # Dropped, turned away, and either garbled or hung up on.
    assert failed == {500, 429, 502}
