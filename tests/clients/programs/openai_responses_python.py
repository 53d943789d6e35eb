"""The openai Python SDK on the Responses API: one line of JSON a case.

Environment: BASE_URL, API_KEY, MODEL.
"""

import asyncio
import json
import os
from collections.abc import Callable

import openai
from pydantic import BaseModel

MODEL = os.environ["MODEL"]
SETTINGS = {"base_url": os.environ["BASE_URL"], "api_key": os.environ["API_KEY"], "max_retries": 0, "timeout": 30}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
TOOL = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}


class Flag(BaseModel):
    ready: bool


def plain(client: openai.OpenAI) -> str:
    answer = client.responses.create(model=MODEL, input="hello", instructions="You are terse.", store=False)
    assert answer.output_text, answer
    assert answer.status == "completed", answer.status
    assert answer.usage.input_tokens > 0, answer.usage
    assert answer.usage.output_tokens > 0, answer.usage
    assert answer._request_id
    return repr(answer.output_text)


def length(client: openai.OpenAI) -> str:
    answer = client.responses.create(model=MODEL, input="hello", max_output_tokens=16, store=False)
    assert answer.status in ("completed", "incomplete"), answer.status
    assert answer.status == "completed" or answer.incomplete_details.reason == "max_output_tokens"
    return str(answer.status)


def stream(client: openai.OpenAI) -> str:
    events = list(client.responses.create(model=MODEL, input="hello", store=False, stream=True))
    kinds = [event.type for event in events]
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert kinds[0] == "response.created", kinds
    assert kinds[-1] == "response.completed", kinds
    assert events[-1].response.output_text == text != ""
    assert events[-1].response.usage.output_tokens > 0
    return f"{len(events)} events"


def stream_helper(client: openai.OpenAI) -> str:
    with client.responses.stream(model=MODEL, input="hello", store=False) as streamed:
        text = "".join(event.delta for event in streamed if event.type == "response.output_text.delta")
        final = streamed.get_final_response()
    assert final.output_text == text != ""
    return repr(text)


def tools(client: openai.OpenAI) -> str:
    items = [{"role": "user", "content": "/tool get_weather"}]
    with client.responses.stream(model=MODEL, input=items, tools=[TOOL], store=False) as streamed:
        for _ in streamed:
            pass
        first = streamed.get_final_response()
    call = next(item for item in first.output if item.type == "function_call")
    assert call.name == "get_weather"
    assert "city" in json.loads(call.arguments), call
    items += [item.model_dump(exclude={"parsed_arguments"}, exclude_none=True) for item in first.output]
    items.append({"type": "function_call_output", "call_id": call.call_id, "output": "sunny"})
    answer = client.responses.create(model=MODEL, input=items, tools=[TOOL], store=False)
    assert answer.output_text, answer
    return str(call.arguments)


def image(client: openai.OpenAI) -> str:
    content = [
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}", "detail": "auto"},
    ]
    answer = client.responses.create(model=MODEL, input=[{"role": "user", "content": content}], store=False)
    assert answer.output_text, answer
    return repr(answer.output_text)


def parse(client: openai.OpenAI) -> str:
    answer = client.responses.parse(model=MODEL, input="hello", text_format=Flag, store=False)
    assert isinstance(answer.output_parsed, Flag), answer
    return repr(answer.output_parsed)


def errors(client: openai.OpenAI) -> str:
    try:
        client.responses.create(model="no-such-provider/no-such-model", input="hello")
    except openai.NotFoundError as refused:
        assert refused.request_id
        return str(refused.code)
    raise AssertionError("an unknown provider was served")


def wrong_field(client: openai.OpenAI) -> str:
    try:
        client.responses.create(model=MODEL, input=[{"type": "message", "role": "user", "content": 7}])
    except openai.BadRequestError as refused:
        assert "input" in str(refused), refused
        return str(refused.code)
    raise AssertionError("a number was taken for a message")


def asynchronous(_: openai.OpenAI) -> str:
    async def talk() -> str:
        async with openai.AsyncOpenAI(**SETTINGS) as client:
            asked = (client.responses.create(model=MODEL, input="hello", store=False) for _ in range(4))
            answers = await asyncio.gather(*asked)
            async with client.responses.stream(model=MODEL, input="hello", store=False) as streamed:
                events = [event async for event in streamed]
        assert all(answer.output_text for answer in answers)
        return f"{len(answers)} at once, then {len(events)} events"

    return asyncio.run(talk())


CASES: tuple[Callable[[openai.OpenAI], str], ...] = (
    plain,
    length,
    stream,
    stream_helper,
    tools,
    image,
    parse,
    errors,
    wrong_field,
    asynchronous,
)

if __name__ == "__main__":
    with openai.OpenAI(**SETTINGS) as shared:
        for case in CASES:
            try:
                outcome = {"case": case.__name__, "ok": True, "seen": case(shared)}
            except Exception as error:  # noqa: BLE001 - whatever the SDK raises is this case's result
                outcome = {"case": case.__name__, "ok": False, "seen": f"{type(error).__name__}: {error}"}
            print(json.dumps(outcome), flush=True)
