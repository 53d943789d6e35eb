"""Errors of chat completions: OpenAI's form, in a body and in a stream."""

from __future__ import annotations

import json

from open_llm_auth.errors import InvalidRequest
from open_llm_auth.wire.openai_chat import DIALECT, read_error
from open_llm_auth.wire.openai_chat.errors import write_error


def test_an_error_is_told_the_same_whatever_the_call_is_called():
    error = InvalidRequest("'n' must be 1 or more.", param="n")
    told = DIALECT.client.write_error(error, "call_1")
    assert told == write_error(error)
    assert json.loads(told)["error"]["param"] == "n"
    assert read_error(told).param == "n"
