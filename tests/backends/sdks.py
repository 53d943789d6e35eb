"""The four ways into a gateway, each by its vendor's own SDK, and what came out, told alike."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import anthropic
import openai
from google import genai
from google.genai import errors as genai_errors
from google.genai import types as genai_types

__all__ = ["WAYS", "Asked", "Call", "Said", "Way", "ways_into"]

#: More than any answer here takes by far; a client that waits as long has been left hanging.
SECONDS: Final = 15
NAME, DESCRIPTION = "get_weather", "The weather of a city"
SCHEMA: Final = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
#: why an answer ended, in the words of each dialect
REASONS: Final[Mapping[str, str]] = {
    "stop": "stop", "length": "length", "tool_calls": "tools",
    "end_turn": "stop", "max_tokens": "length", "tool_use": "tools",
    "STOP": "stop", "MAX_TOKENS": "length",
    "completed": "stop", "max_output_tokens": "length", "incomplete": "length",
}  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """One user's sentence, and whether a tool is offered. `after` is the call that the tool has answered."""

    model: str
    text: str
    tools: bool = False
    most: int = 64
    temperature: float = 0
    after: Call | None = None


@dataclass(frozen=True)
class Call:
    """A call of a tool; two that differ in their ids alone are equal."""

    name: str
    arguments: Mapping[str, Any]
    id: str = field(default="", compare=False)
    #: what the SDK gave, where it has to be sent back as it is
    given: Any = field(default=None, compare=False)


@dataclass(frozen=True)
class Said:
    """A whole answer."""

    text: str
    calls: tuple[Call, ...]
    reason: str
    input: int
    output: int
    thinking: str = ""
    #: in how many pieces the text came
    pieces: int = field(default=1, compare=False)


@dataclass(frozen=True)
class Way:
    """An SDK. `read_error` gives status and words of a failure in the form that this SDK's users know."""

    name: str
    plain: Callable[[Asked], Said]
    streamed: Callable[[Asked], Said]
    failure: type[Exception] | tuple[type[Exception], ...]
    read_error: Callable[[Any], tuple[int | None, str]]

    def ask(self, asked: Asked, *, stream: bool) -> Said:
        return self.streamed(asked) if stream else self.plain(asked)


def joined(pieces: Iterable[str]) -> str:
    """The text. Where it was cut between the halves of a surrogate pair, a client that joins them has the character."""
    return "".join(pieces).encode("utf-16", "surrogatepass").decode("utf-16")


@contextmanager
def ways_into(url: str, key: str) -> Iterator[Mapping[str, Way]]:
    """An SDK of each dialect, without retries, before the server at `url`."""
    with ExitStack() as running:
        usual: dict[str, Any] = {"api_key": key, "max_retries": 0, "timeout": SECONDS}
        of_openai = running.enter_context(openai.OpenAI(base_url=f"{url}/v1", **usual))
        of_anthropic = running.enter_context(anthropic.Anthropic(base_url=url, **usual))
        options = genai_types.HttpOptions(base_url=url, api_version="v1beta", timeout=SECONDS * 1000)
        of_google = running.enter_context(genai.Client(api_key=key, http_options=options))
        yield {
            way.name: way for way in (chat(of_openai), responses(of_openai), messages(of_anthropic), google(of_google))
        }


WAYS: Final = ("chat", "responses", "messages", "google")


def chat(client: openai.OpenAI) -> Way:
    """POST /v1/chat/completions."""
    function = {"name": NAME, "description": DESCRIPTION, "parameters": SCHEMA}

    def fields(asked: Asked) -> dict[str, Any]:
        sent: list[Any] = [{"role": "user", "content": asked.text}]
        if call := asked.after:
            named = {"name": call.name, "arguments": json.dumps(call.arguments)}
            sent.append({"role": "assistant", "tool_calls": [{"id": call.id, "type": "function", "function": named}]})
            sent.append({"role": "tool", "tool_call_id": call.id, "content": "windy"})
        offered = {"tools": [{"type": "function", "function": function}]} if asked.tools else {}
        return {
            "model": asked.model,
            "messages": sent,
            "max_tokens": asked.most,
            "temperature": asked.temperature,
            **offered,
        }

    def plain(asked: Asked) -> Said:
        answer = client.chat.completions.create(**fields(asked))
        (choice,) = answer.choices
        calls = [(call.id, call.function.name, call.function.arguments) for call in choice.message.tool_calls or ()]
        thought = getattr(choice.message, "reasoning_content", None) or ""
        return told(choice.message.content or "", calls, choice.finish_reason, answer.usage, thought)

    def streamed(asked: Asked) -> Said:
        pieces: list[str] = []
        thoughts: list[str] = []
        calls: dict[int, list[str]] = {}
        reason, usage = "", None
        for chunk in client.chat.completions.create(
            **fields(asked), stream=True, stream_options={"include_usage": True}
        ):
            usage = chunk.usage or usage
            for choice in chunk.choices:
                pieces.append(choice.delta.content or "")
                thoughts.append(getattr(choice.delta, "reasoning_content", None) or "")
                reason = choice.finish_reason or reason
                for delta in choice.delta.tool_calls or ():
                    call = calls.setdefault(delta.index, ["", "", ""])
                    added = (delta.id, delta.function.name, delta.function.arguments)
                    calls[delta.index] = [old + (new or "") for old, new in zip(call, added, strict=True)]
        return told(joined(pieces), calls.values(), reason, usage, joined(thoughts), len(list(filter(None, pieces))))

    def told(text: str, calls: Any, reason: str, usage: Any, thinking: str, pieces: int = 1) -> Said:
        made = tuple(Call(name, json.loads(arguments), call_id) for call_id, name, arguments in calls)
        return Said(text, made, REASONS[reason], usage.prompt_tokens, usage.completion_tokens, thinking, pieces)

    return Way("chat", plain, streamed, openai.APIError, read_openai_error)


def responses(client: openai.OpenAI) -> Way:
    """POST /v1/responses."""

    def fields(asked: Asked) -> dict[str, Any]:
        sent: list[Any] = [{"role": "user", "content": asked.text}]
        if call := asked.after:
            arguments = json.dumps(call.arguments)
            sent.append({"type": "function_call", "call_id": call.id, "name": call.name, "arguments": arguments})
            sent.append({"type": "function_call_output", "call_id": call.id, "output": "windy"})
        function = {"type": "function", "name": NAME, "description": DESCRIPTION, "parameters": SCHEMA, "strict": False}
        offered = {"tools": [function]} if asked.tools else {}
        return {
            "model": asked.model,
            "input": sent,
            "max_output_tokens": asked.most,
            "temperature": asked.temperature,
            "store": False,
            **offered,
        }

    def plain(asked: Asked) -> Said:
        return told(client.responses.create(**fields(asked)))

    def streamed(asked: Asked) -> Said:
        pieces, final = [], None
        for event in client.responses.create(**fields(asked), stream=True):
            if event.type == "response.output_text.delta":
                pieces.append(event.delta)
            elif event.type in ("response.completed", "response.incomplete"):
                final = event.response
            elif event.type in ("response.failed", "error"):
                raise StreamFailed(event)
        assert final is not None, "the stream ended without an end"
        said = told(final, len(pieces))
        assert joined(pieces) == said.text
        return said

    def told(answer: Any, pieces: int = 1) -> Said:
        calls = tuple(
            Call(item.name, json.loads(item.arguments), item.call_id)
            for item in answer.output
            if item.type == "function_call"
        )
        reasons = [item for item in answer.output if item.type == "reasoning"]
        thinking = "".join(part.text for item in reasons for part in (*item.summary, *(item.content or ())))
        cut = answer.incomplete_details.reason if answer.incomplete_details else answer.status
        reason = "tools" if calls else REASONS[cut]
        usage = answer.usage
        return Said(answer.output_text, calls, reason, usage.input_tokens, usage.output_tokens, thinking, pieces)

    return Way("responses", plain, streamed, (openai.APIError, StreamFailed), read_openai_error)


class StreamFailed(Exception):
    """A Responses stream said that it failed; the SDK hands that on as an event."""


def read_openai_error(error: Any) -> tuple[int | None, str]:
    """Beside the words, an error has a type, and a code that tells whose it is."""
    if isinstance(error, StreamFailed):
        (event,) = error.args
        said = event.response.error if event.type == "response.failed" else event
        assert said.code, event
        return None, said.message
    assert isinstance(error.body, dict), repr(error)
    assert error.body["type"], error.body
    assert error.body["code"], error.body
    return getattr(error, "status_code", None), error.body["message"]


def messages(client: anthropic.Anthropic) -> Way:
    """POST /v1/messages."""

    def fields(asked: Asked) -> dict[str, Any]:
        sent: list[Any] = [{"role": "user", "content": asked.text}]
        if call := asked.after:
            used = {"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments}
            sent.append({"role": "assistant", "content": [used]})
            result = {"type": "tool_result", "tool_use_id": call.id, "content": "windy"}
            sent.append({"role": "user", "content": [result]})
        offered = {"tools": [{"name": NAME, "description": DESCRIPTION, "input_schema": SCHEMA}]} if asked.tools else {}
        warm = {"extra_body": {"temperature": asked.temperature}}  # no parameter of this SDK's any more
        return {"model": asked.model, "messages": sent, "max_tokens": asked.most, **offered, **warm}

    def plain(asked: Asked) -> Said:
        return told(client.messages.create(**fields(asked)))

    def streamed(asked: Asked) -> Said:
        with client.messages.stream(**fields(asked)) as stream:
            kinds = [event.type for event in stream]
            assert kinds[-1] == "message_stop", kinds
            return told(stream.get_final_message(), kinds.count("text"))

    def told(answer: Any, pieces: int = 1) -> Said:
        blocks = answer.content
        calls = tuple(Call(block.name, block.input, block.id) for block in blocks if block.type == "tool_use")
        text = joined(block.text for block in blocks if block.type == "text")
        thinking = "".join(block.thinking for block in blocks if block.type == "thinking")
        usage = answer.usage
        counted = usage.input_tokens + (usage.cache_read_input_tokens or 0)
        return Said(text, calls, REASONS[answer.stop_reason], counted, usage.output_tokens, thinking, pieces)

    def read_error(error: Any) -> tuple[int | None, str]:
        assert isinstance(error.body, dict), repr(error)
        assert error.body["type"] == "error", error.body
        assert error.body["error"]["type"].endswith("_error"), error.body
        return error.status_code, error.body["error"]["message"]

    return Way("messages", plain, streamed, anthropic.APIError, read_error)


def google(client: genai.Client) -> Way:
    """POST /v1beta/models/…"""
    function = genai_types.FunctionDeclaration(name=NAME, description=DESCRIPTION, parameters_json_schema=SCHEMA)

    def fields(asked: Asked) -> dict[str, Any]:
        sent = [genai_types.Content(role="user", parts=[genai_types.Part(text=asked.text)])]
        if call := asked.after:
            answered = genai_types.FunctionResponse(id=call.id, name=call.name, response={"output": "windy"})
            sent.append(genai_types.Content(role="model", parts=[call.given]))
            sent.append(genai_types.Content(role="user", parts=[genai_types.Part(function_response=answered)]))
        config = genai_types.GenerateContentConfig(
            max_output_tokens=asked.most,
            temperature=asked.temperature,
            tools=[genai_types.Tool(function_declarations=[function])] if asked.tools else None,
            automatic_function_calling=genai_types.AutomaticFunctionCallingConfig(disable=True),
        )
        return {"model": asked.model, "contents": sent, "config": config}

    def plain(asked: Asked) -> Said:
        return told([client.models.generate_content(**fields(asked))])

    def streamed(asked: Asked) -> Said:
        return told(list(client.models.generate_content_stream(**fields(asked))))

    def told(answers: list[Any]) -> Said:
        candidates = [candidate for answer in answers for candidate in answer.candidates or ()]
        parts = [part for candidate in candidates for part in (candidate.content and candidate.content.parts) or ()]
        given = [part for part in parts if part.function_call]
        calls = tuple(Call(p.function_call.name, p.function_call.args, p.function_call.id or "", p) for p in given)
        pieces = [part.text for part in parts if part.text and not part.thought]
        thinking = "".join(part.text for part in parts if part.text and part.thought)
        last, usage = candidates[-1], answers[-1].usage_metadata
        reason = "tools" if calls else REASONS[last.finish_reason]
        counts = usage.prompt_token_count or 0, usage.candidates_token_count or 0
        return Said(joined(pieces), calls, reason, *counts, thinking, len(pieces))

    def read_error(error: Any) -> tuple[int | None, str]:
        assert error.status, repr(error)
        return error.code, error.message

    return Way("google", plain, streamed, genai_errors.APIError, read_error)
