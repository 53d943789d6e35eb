"""The openai Python SDK, run through what an OpenAI-compatible endpoint promises: one line of JSON a case.

Environment: BASE_URL, API_KEY, MODEL, EMBEDDING_MODEL.
"""

import asyncio
import json
import os
from collections.abc import Callable

import openai
from pydantic import BaseModel

MODEL = os.environ["MODEL"]
EMBEDDING_MODEL = os.environ["EMBEDDING_MODEL"]
SETTINGS = {"base_url": os.environ["BASE_URL"], "api_key": os.environ["API_KEY"], "max_retries": 0, "timeout": 30}
HELLO = [{"role": "user", "content": "hello"}]
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


class Flag(BaseModel):
    ready: bool


def models(client: openai.OpenAI) -> str:
    listed = [model.id for model in client.models.list()]
    assert MODEL in listed, listed
    return f"{len(listed)} listed"


def retrieve(client: openai.OpenAI) -> str:
    found = client.models.retrieve(MODEL)
    assert found.id == MODEL, found
    return found.id


def plain(client: openai.OpenAI) -> str:
    answer = client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=8)
    assert answer.choices[0].message.content
    assert answer.usage.completion_tokens > 0, answer.usage
    assert answer._request_id
    return repr(answer.choices[0].message.content)


def stream(client: openai.OpenAI) -> str:
    chunks = list(client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=8, stream=True))
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text
    assert all(chunk.choices and not chunk.usage for chunk in chunks), "a usage chunk nobody asked for"
    assert chunks[-1].choices[0].finish_reason in ("stop", "length")
    return f"{len(chunks)} chunks"


def stream_usage(client: openai.OpenAI) -> str:
    options = {"include_usage": True}
    asked = client.chat.completions.create(
        model=MODEL, messages=HELLO, max_tokens=8, stream=True, stream_options=options
    )
    last = list(asked)[-1]
    assert not last.choices
    assert last.usage.completion_tokens > 0, last
    return f"{last.usage.total_tokens} tokens"


def tools(client: openai.OpenAI) -> str:
    messages = [{"role": "user", "content": "/tool get_weather"}]
    with client.chat.completions.stream(model=MODEL, messages=messages, tools=[TOOL]) as streamed:
        message = streamed.get_final_completion().choices[0].message
    call = message.tool_calls[0]
    assert call.function.name == "get_weather"
    assert "city" in json.loads(call.function.arguments)
    messages += [message, {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
    assert client.chat.completions.create(model=MODEL, messages=messages, tools=[TOOL]).choices[0].message.content
    return call.function.arguments


def parse(client: openai.OpenAI) -> str:
    answer = client.chat.completions.parse(model=MODEL, messages=HELLO, response_format=Flag, max_tokens=64)
    assert answer.choices[0].message.parsed is not None, answer
    return repr(answer.choices[0].message.parsed)


def embeddings(client: openai.OpenAI) -> str:
    packed = client.embeddings.create(model=EMBEDDING_MODEL, input=["one", "two"])
    plain = client.embeddings.create(model=EMBEDDING_MODEL, input=["one", "two"], encoding_format="float")
    assert len(packed.data) == len(plain.data) == 2
    distance = max(abs(a - b) for a, b in zip(packed.data[0].embedding, plain.data[0].embedding, strict=True))
    assert distance < 1e-5, distance
    return f"{len(plain.data[0].embedding)} dimensions"


def errors(client: openai.OpenAI) -> str:
    try:
        client.chat.completions.create(model="no-such-provider/no-such-model", messages=HELLO)
    except openai.NotFoundError as refused:
        assert refused.request_id
        return str(refused.code)
    raise AssertionError("an unknown provider was served")


def asynchronous(_: openai.OpenAI) -> str:
    async def talk() -> str:
        async with openai.AsyncOpenAI(**SETTINGS) as client:
            asked = (client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=8) for _ in range(4))
            answers = await asyncio.gather(*asked)
            async with await client.chat.completions.create(
                model=MODEL, messages=HELLO, max_tokens=8, stream=True
            ) as chunks:
                streamed = [chunk async for chunk in chunks]
        assert all(answer.choices[0].message.content for answer in answers)
        return f"{len(answers)} at once, then {len(streamed)} chunks"

    return asyncio.run(talk())


CASES: tuple[Callable[[openai.OpenAI], str], ...] = (
    models,
    retrieve,
    plain,
    stream,
    stream_usage,
    tools,
    parse,
    embeddings,
    errors,
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
