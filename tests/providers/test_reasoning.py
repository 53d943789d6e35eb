"""How providers refuse the proof of earlier reasoning, in their own words."""

import json

import pytest

from open_llm_auth.providers.reasoning import refuses_reasoning

WORDS = [
    "messages.1.content.0: Invalid `signature` in `thinking` block",
    "messages.7.content.2: Invalid signature in thinking block",
    "The model returned the following errors: messages.3.content.0.thinking.signature: Field required",
    "The encrypted content gAAA...DQ== could not be verified.",
    "The encrypted content gAAA...DQ== could not be verified. Reason: Encrypted content could not be decrypted.",
    "Unable to submit request because Thought signature is not valid..",
    "Corrupted thought signature.",
    "Function call is missing a thought_signature in functionCall parts. This is required for tools to work correctly.",
]


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("nested", [False, True])
def test_each_providers_words_are_known_also_where_another_quotes_them(words: str, nested: bool) -> None:
    body = json.dumps({"error": {"message": words}})
    if nested:
        body = json.dumps({"error": {"message": "Provider returned error", "metadata": {"raw": body}}})
    assert refuses_reasoning(400, body.encode())
    assert not refuses_reasoning(500, body.encode())
    assert not refuses_reasoning(401, body.encode())


def test_a_code_alone_is_enough() -> None:
    assert refuses_reasoning(400, b'{"error":{"code":"invalid_encrypted_content","message":"No."}}')


@pytest.mark.parametrize(
    "words",
    [
        "'temperature' must be at most 2",
        "Invalid signature",
        "`thinking` is not supported by this model",
        "Expected `thinking` or `redacted_thinking`, but found `text`.",
        "Invalid value for 'thinking'",
        "",
    ],
)
def test_other_faults_of_a_request_are_not_taken_for_it(words: str) -> None:
    assert not refuses_reasoning(400, json.dumps({"error": {"message": words}}).encode())


def test_a_long_body_is_read_in_no_time() -> None:
    assert not refuses_reasoning(400, b"invalid encrypted content `" * 40_000)
