"""The google-genai Python SDK, run through what a Gemini endpoint promises: one line of JSON a case.

Environment: BASE_URL, API_KEY, MODEL.
"""

import asyncio
import base64
import json
import os
from collections.abc import Callable

from google import genai
from google.genai import errors as genai_errors
from google.genai import types
from pydantic import BaseModel

MODEL = os.environ["MODEL"]
ADDRESS = os.environ["BASE_URL"].removesuffix("/v1").removesuffix("/v1beta")
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(
            name="get_weather", description="The weather of a city", parameters_json_schema=SCHEMA
        )
    ]
)
TOOLS = types.GenerateContentConfig(
    tools=[TOOL], automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True)
)


class Flag(BaseModel):
    ready: bool


def client_with(key: str, version: str = "v1beta") -> genai.Client:
    options = types.HttpOptions(base_url=ADDRESS, api_version=version, timeout=30_000)
    return genai.Client(api_key=key, http_options=options)


def models(client: genai.Client) -> str:
    listed = [model.name for model in client.models.list()]
    assert f"models/{MODEL}" in listed, listed
    return f"{len(listed)} listed"


def plain(client: genai.Client) -> str:
    config = types.GenerateContentConfig(system_instruction="You are terse.", max_output_tokens=8, temperature=0.5)
    answer = client.models.generate_content(model=MODEL, contents="hello", config=config)
    assert answer.text, answer
    assert answer.candidates[0].finish_reason in ("STOP", "MAX_TOKENS"), answer
    assert answer.usage_metadata.prompt_token_count > 0, answer.usage_metadata
    assert answer.usage_metadata.candidates_token_count > 0, answer.usage_metadata
    return repr(answer.text)


def stream(client: genai.Client) -> str:
    chunks = list(client.models.generate_content_stream(model=MODEL, contents="hello"))
    assert "".join(chunk.text or "" for chunk in chunks)
    assert chunks[-1].candidates[0].finish_reason in ("STOP", "MAX_TOKENS"), chunks[-1]
    assert chunks[-1].usage_metadata.candidates_token_count > 0, chunks[-1]
    return f"{len(chunks)} chunks"


def tools(client: genai.Client) -> str:
    contents = [types.Content(role="user", parts=[types.Part(text="/tool get_weather")])]
    first = client.models.generate_content(model=MODEL, contents=contents, config=TOOLS)
    (call,) = first.function_calls
    assert call.name == "get_weather"
    assert "city" in call.args, call
    result = types.Part(
        function_response=types.FunctionResponse(id=call.id, name=call.name, response={"output": "sunny"})
    )
    contents += [first.candidates[0].content, types.Content(role="user", parts=[result])]
    answer = client.models.generate_content(model=MODEL, contents=contents, config=TOOLS)
    assert answer.text, answer
    return json.dumps(call.args)


def stream_tools(client: genai.Client) -> str:
    chunks = client.models.generate_content_stream(model=MODEL, contents="/tool get_weather", config=TOOLS)
    calls = [call for chunk in chunks for call in chunk.function_calls or ()]
    assert [call.name for call in calls] == ["get_weather"], calls
    return json.dumps(calls[0].args)


def image(client: genai.Client) -> str:
    picture = types.Part.from_bytes(data=base64.b64decode(PIXEL), mime_type="image/png")
    answer = client.models.generate_content(model=MODEL, contents=["What is this?", picture])
    assert answer.text, answer
    return repr(answer.text)


def parse(client: genai.Client) -> str:
    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=Flag)
    answer = client.models.generate_content(model=MODEL, contents="hello", config=config)
    assert isinstance(answer.parsed, Flag), answer
    return repr(answer.parsed)


def count_tokens(client: genai.Client) -> str:
    counted = client.models.count_tokens(model=MODEL, contents="hello")
    assert counted.total_tokens > 0, counted
    return f"{counted.total_tokens} tokens"


def errors(client: genai.Client) -> str:
    try:
        client.models.generate_content(model="no-such-provider/no-such-model", contents="hello")
    except genai_errors.ClientError as refused:
        assert refused.code == 404, refused
        return str(refused.status)
    raise AssertionError("an unknown provider was served")


def wrong_key(_: genai.Client) -> str:
    stranger = client_with("nobody")
    try:
        stranger.models.generate_content(model=MODEL, contents="hello")
    except genai_errors.ClientError as refused:
        assert refused.code in (400, 401), refused
        return str(refused.status)
    raise AssertionError("a stranger was served")


def stable_version(_: genai.Client) -> str:
    """What it asks where nobody names a version."""
    client = client_with(os.environ["API_KEY"], "v1")
    answer = client.models.generate_content(model=MODEL, contents="hello")
    chunks = list(client.models.generate_content_stream(model=MODEL, contents="hello"))
    assert "".join(chunk.text or "" for chunk in chunks) == answer.text != ""
    return repr(answer.text)


def asynchronous(client: genai.Client) -> str:
    async def talk() -> str:
        asked = (client.aio.models.generate_content(model=MODEL, contents="hello") for _ in range(4))
        answers = await asyncio.gather(*asked)
        stream = await client.aio.models.generate_content_stream(model=MODEL, contents="hello")
        chunks = [chunk async for chunk in stream]
        await client.aio.aclose()
        assert all(answer.text for answer in answers)
        return f"{len(answers)} at once, then {len(chunks)} chunks"

    return asyncio.run(talk())


CASES: tuple[Callable[[genai.Client], str], ...] = (
    models,
    plain,
    stream,
    tools,
    stream_tools,
    image,
    parse,
    count_tokens,
    errors,
    wrong_key,
    stable_version,
    asynchronous,
)

if __name__ == "__main__":
    for name in ("GOOGLE_API_KEY", "GEMINI_API_KEY", "GOOGLE_GENAI_USE_VERTEXAI"):
        os.environ.pop(name, None)
    shared = client_with(os.environ["API_KEY"])
    for case in CASES:
        try:
            outcome = {"case": case.__name__, "ok": True, "seen": case(shared)}
        except Exception as error:  # noqa: BLE001 - whatever the SDK raises is this case's result
            outcome = {"case": case.__name__, "ok": False, "seen": f"{type(error).__name__}: {error}"}
        print(json.dumps(outcome), flush=True)
