"""The anthropic Python SDK, run through what a Messages endpoint promises: one line of JSON a case.

Environment: BASE_URL, API_KEY, MODEL.
"""

import asyncio
import json
import os
from collections.abc import Callable

import anthropic
from pydantic import BaseModel

MODEL = os.environ["MODEL"]
ADDRESS = {"base_url": os.environ["BASE_URL"].removesuffix("/v1"), "max_retries": 0, "timeout": 30}
HELLO = [{"role": "user", "content": "hello"}]
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
TOOL = {
    "name": "get_weather",
    "description": "The weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


class Flag(BaseModel):
    ready: bool


def said(message: anthropic.types.Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def plain(client: anthropic.Anthropic) -> str:
    message = client.messages.create(model=MODEL, max_tokens=8, messages=HELLO, system="You are terse.")
    assert said(message), message
    assert message.role == "assistant"
    assert message.stop_reason in ("end_turn", "max_tokens"), message.stop_reason
    assert message.usage.input_tokens > 0, message.usage
    assert message.usage.output_tokens > 0, message.usage
    assert message._request_id
    return repr(said(message))


def stream(client: anthropic.Anthropic) -> str:
    with client.messages.stream(model=MODEL, max_tokens=8, messages=HELLO) as streamed:
        pieces = list(streamed.text_stream)
        message = streamed.get_final_message()
    assert "".join(pieces) == said(message) != ""
    assert message.stop_reason in ("end_turn", "max_tokens"), message.stop_reason
    assert message.usage.output_tokens > 0, message.usage
    return f"{len(pieces)} pieces"


def stream_events(client: anthropic.Anthropic) -> str:
    kinds = [event.type for event in client.messages.create(model=MODEL, max_tokens=8, messages=HELLO, stream=True)]
    assert kinds[0] == "message_start", kinds
    assert kinds[-2:] == ["message_delta", "message_stop"], kinds
    assert kinds.count("content_block_start") == kinds.count("content_block_stop") > 0, kinds
    return f"{len(kinds)} events"


def tools(client: anthropic.Anthropic) -> str:
    messages = [{"role": "user", "content": "/tool get_weather"}]
    with client.messages.stream(model=MODEL, max_tokens=256, messages=messages, tools=[TOOL]) as streamed:
        message = streamed.get_final_message()
    assert message.stop_reason == "tool_use", message
    call = next(block for block in message.content if block.type == "tool_use")
    assert call.name == "get_weather"
    assert "city" in call.input, call
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}
    messages += [{"role": "assistant", "content": message.content}, {"role": "user", "content": [result]}]
    answer = client.messages.create(model=MODEL, max_tokens=64, messages=messages, tools=[TOOL])
    assert said(answer), answer
    return json.dumps(call.input)


def tool_error(client: anthropic.Anthropic) -> str:
    call = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Paris"}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "no such city", "is_error": True}
    messages = [*HELLO, {"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    answer = client.messages.create(model=MODEL, max_tokens=64, messages=messages, tools=[TOOL])
    assert said(answer), answer
    return repr(said(answer))


def image(client: anthropic.Anthropic) -> str:
    source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
    content = [{"type": "image", "source": source}, {"type": "text", "text": "What is this?"}]
    answer = client.messages.create(model=MODEL, max_tokens=8, messages=[{"role": "user", "content": content}])
    assert said(answer), answer
    return repr(said(answer))


def parse(client: anthropic.Anthropic) -> str:
    answer = client.messages.parse(model=MODEL, max_tokens=64, messages=HELLO, output_format=Flag)
    assert isinstance(answer.parsed_output, Flag), answer
    return repr(answer.parsed_output)


def count_tokens(client: anthropic.Anthropic) -> str:
    counted = client.messages.count_tokens(model=MODEL, messages=HELLO, tools=[TOOL])
    assert counted.input_tokens > 0, counted
    return f"{counted.input_tokens} tokens"


def errors(client: anthropic.Anthropic) -> str:
    try:
        client.messages.create(model="no-such-provider/no-such-model", max_tokens=8, messages=HELLO)
    except anthropic.NotFoundError as refused:
        assert refused.body["type"] == "error", refused.body
        assert refused.request_id
        return str(refused.body["error"]["type"])
    raise AssertionError("an unknown provider was served")


def wrong_field(client: anthropic.Anthropic) -> str:
    try:
        client.messages.create(model=MODEL, max_tokens=8, messages="hello")  # type: ignore[arg-type]
    except anthropic.BadRequestError as refused:
        assert refused.body["error"]["type"] == "invalid_request_error", refused.body
        assert "messages" in refused.body["error"]["message"], refused.body
        return str(refused.body["error"]["message"])
    raise AssertionError("messages that are no list were served")


def wrong_key(_: anthropic.Anthropic) -> str:
    try:
        with anthropic.Anthropic(**ADDRESS, api_key="nobody") as stranger:
            stranger.messages.create(model=MODEL, max_tokens=8, messages=HELLO)
    except anthropic.AuthenticationError as refused:
        return str(refused.body["error"]["type"])
    raise AssertionError("a stranger was served")


def bearer(_: anthropic.Anthropic) -> str:
    with anthropic.Anthropic(**ADDRESS, auth_token=os.environ["API_KEY"]) as client:
        message = client.messages.create(model=MODEL, max_tokens=8, messages=HELLO)
    assert said(message), message
    return repr(said(message))


def asynchronous(_: anthropic.Anthropic) -> str:
    async def talk() -> str:
        async with anthropic.AsyncAnthropic(**ADDRESS, api_key=os.environ["API_KEY"]) as client:
            asked = (client.messages.create(model=MODEL, max_tokens=8, messages=HELLO) for _ in range(4))
            answers = await asyncio.gather(*asked)
            async with client.messages.stream(model=MODEL, max_tokens=8, messages=HELLO) as streamed:
                pieces = [piece async for piece in streamed.text_stream]
        assert all(said(answer) for answer in answers)
        assert pieces
        return f"{len(answers)} at once, then {len(pieces)} pieces"

    return asyncio.run(talk())


CASES: tuple[Callable[[anthropic.Anthropic], str], ...] = (
    plain,
    stream,
    stream_events,
    tools,
    tool_error,
    image,
    parse,
    count_tokens,
    errors,
    wrong_field,
    wrong_key,
    bearer,
    asynchronous,
)

if __name__ == "__main__":
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        os.environ.pop(name, None)
    with anthropic.Anthropic(**ADDRESS, api_key=os.environ["API_KEY"]) as shared:
        for case in CASES:
            try:
                outcome = {"case": case.__name__, "ok": True, "seen": case(shared)}
            except Exception as error:  # noqa: BLE001 - whatever the SDK raises is this case's result
                outcome = {"case": case.__name__, "ok": False, "seen": f"{type(error).__name__}: {error}"}
            print(json.dumps(outcome), flush=True)
