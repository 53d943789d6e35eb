"""What the kinds that run a program share is tested with each of them; here is what no dialect writes."""

from __future__ import annotations

import msgspec
import pytest

from open_llm_auth.errors import InternalError
from open_llm_auth.providers.program import ending_reader, read_prompt
from open_llm_auth.providers.spec import Sending
from open_llm_auth.values import Provider
from open_llm_auth.wire.events import ErrorBody

PROVIDER = Provider("cli", "claude-cli", "cli")


class Form(msgspec.Struct):
    text: str


def test_a_body_is_read_as_its_form():
    assert read_prompt(PROVIDER, Sending("chat", "m", True, b'{"text":"hi"}'), Form) == Form("hi")


@pytest.mark.parametrize("body", [b"", b"{}", b'{"text":1}'])
def test_a_body_of_another_form_is_our_own_fault(body):
    with pytest.raises(InternalError):
        read_prompt(PROVIDER, Sending("chat", "m", True, body), Form)


def test_the_status_of_an_end_is_that_of_the_error_it_names_with_nothing_secret_in_it():
    read = ending_reader(lambda body: ErrorBody(body.decode(), code="429"))
    fault = read("cli", 502, (), b"limit of sk-canary", lambda text: text.replace("sk-canary", "[REDACTED]"))
    assert (fault.kind, fault.status) == ("rate_limit", 429)
    assert fault.error.message == "limit of [REDACTED]"
    assert fault.error.details == {"provider": "cli", "upstreamCode": "429"}
