"""What the fake Bedrock refuses, in the service's own form; boto3 reads its answers in test_bedrock_provider.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from open_llm_auth.testing.bedrock_server import FakeBedrock
from open_llm_auth.testing.fake_server import KEY

CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"
HI = {"role": "user", "content": [{"text": "hi"}]}
CALLED = {"role": "assistant", "content": [{"toolUse": {"toolUseId": "c", "name": "f", "input": {}}}]}
RESULT = {"role": "user", "content": [{"toolResult": {"toolUseId": "c", "content": [{"text": "x"}]}}]}
TOOLS = {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}]}
DOCUMENT = {"document": {"format": "txt", "name": "a", "source": {"text": "x"}}}
THINKING = {"thinking": {"type": "enabled", "budget_tokens": 2048}}


@pytest.fixture(scope="module")
def bedrock() -> Iterator[FakeBedrock]:
    with FakeBedrock() as bedrock:
        yield bedrock


def post(bedrock: FakeBedrock, path: str, document: object, key: str | None = KEY) -> httpx.Response:
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    return httpx.post(bedrock.base_url + path, json=document, headers=headers)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({}, "must start with a user message"),
        ({"messages": [CALLED]}, "must start with a user message"),
        ({"messages": [HI, HI]}, "alternate"),
        ({"messages": [{"role": "user", "content": []}]}, "is empty"),
        ({"messages": [{"role": "user", "content": [{"text": " "}]}]}, "is blank"),
        ({"messages": [HI], "unknown": 1}, "Unknown parameter"),
        ({"messages": [{"role": "user", "content": "hi"}]}, "Invalid type"),
        ({"messages": [HI], "inferenceConfig": {"temperature": 1.5}}, "temperature"),
        ({"messages": [HI], "serviceTier": {"type": "auto"}}, "serviceTier"),
        ({"messages": [HI, CALLED, RESULT]}, "toolConfig field must be defined"),
        ({"messages": [HI, CALLED, HI], "toolConfig": TOOLS}, "Expected toolResult"),
        ({"messages": [{"role": "user", "content": [DOCUMENT]}]}, "must also have a text"),
        ({"messages": [{"role": "user", "content": [{"text": "x"}, DOCUMENT, DOCUMENT]}]}, "Duplicate document"),
        (
            {
                "messages": [HI],
                "toolConfig": TOOLS | {"toolChoice": {"any": {}}},
                "additionalModelRequestFields": {"tool_choice": {"type": "auto"}},
            },
            "conflicts",
        ),
        (
            {"messages": [HI, CALLED, RESULT], "toolConfig": TOOLS, "additionalModelRequestFields": THINKING},
            "Expected `thinking`",
        ),
        (
            {
                "messages": [HI],
                "toolConfig": TOOLS | {"toolChoice": {"any": {}}},
                "additionalModelRequestFields": THINKING,
            },
            "forces tool use",
        ),
        (
            {"messages": [HI], "inferenceConfig": {"temperature": 1}, "additionalModelRequestFields": THINKING},
            "may not be set",
        ),
        (
            {"messages": [HI], "inferenceConfig": {"maxTokens": 2048}, "additionalModelRequestFields": THINKING},
            "greater than",
        ),
        (
            {
                "messages": [
                    HI,
                    {
                        "role": "assistant",
                        "content": [{"reasoningContent": {"reasoningText": {"text": "x", "signature": "c2ln"}}}],
                    },
                    HI,
                ]
            },
            "Invalid `signature`",
        ),
    ],
)
def test_what_the_service_refuses_is_refused(bedrock: FakeBedrock, document: dict[str, Any], words: str) -> None:
    answer = post(bedrock, f"/model/{CLAUDE}/converse", document)
    assert answer.status_code == 400
    assert words in answer.json()["message"]
    assert answer.json()["__type"] == "ValidationException"


@pytest.mark.parametrize(
    ("path", "key", "status", "kind"),
    [
        (f"/model/{CLAUDE}/converse", None, 403, "MissingAuthenticationTokenException"),
        (f"/model/{CLAUDE}/converse", "wrong", 403, "UnrecognizedClientException"),
        (f"/model/{CLAUDE}/invoke", KEY, 404, "UnknownOperationException"),
        ("/model/a/b/converse", KEY, 404, "UnknownOperationException"),
        ("/converse", KEY, 404, "UnknownOperationException"),
    ],
)
def test_other_doors_are_shut(bedrock: FakeBedrock, path: str, key: str | None, status: int, kind: str) -> None:
    answer = post(bedrock, path, {"messages": [HI]}, key)
    assert (answer.status_code, answer.json()["__type"]) == (status, kind)


def test_a_signature_of_another_region_is_refused(bedrock: FakeBedrock) -> None:
    stale = (
        "AWS4-HMAC-SHA256 Credential=AKIA/20260101/eu-west-1/bedrock/aws4_request, SignedHeaders=host, Signature="
        + "0" * 64
    )
    headers = {"authorization": stale, "x-amz-date": "20260101T000000Z"}
    answer = httpx.post(f"{bedrock.base_url}/model/{CLAUDE}/converse", json={"messages": [HI]}, headers=headers)
    assert (answer.status_code, answer.json()["__type"]) == (403, "InvalidSignatureException")


def test_a_name_in_the_message_chooses_the_behaviour(bedrock: FakeBedrock) -> None:
    asked = {"role": "user", "content": [{"text": "#rate_limited please"}]}
    answer = post(bedrock, f"/model/{CLAUDE}/converse-stream", {"messages": [asked]})
    assert (answer.status_code, answer.json()["__type"]) == (429, "ThrottlingException")
