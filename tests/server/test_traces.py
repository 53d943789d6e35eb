"""Why a call got its credential, as it is told: everything that decided, in little room, and no word of the call."""

from __future__ import annotations

import gc
import json
from math import inf

import pytest

from open_llm_auth.errors import NoCredentials, UpstreamHTTPError
from open_llm_auth.server.traces import Trace, Traces, described, header_of
from open_llm_auth.values import Attempt, Billing, Credential, Fault, PassedOver, Plan, Provider, Secret

CANARY = "sk-canary-in-a-trace"
LAB = Provider("lab", "openai-completions", "api-key")


def attempt(name: str, billing: Billing = "metered", *, fallback: bool = False) -> Attempt:
    credential = Credential(f"lab:{name}", "lab", "profile", "api_key", Secret(CANARY), billing=billing)
    return Attempt(LAB, "m", credential, fallback)


PLUS, KEY, MORE = attempt("plus", "subscription"), attempt("key"), attempt("more", fallback=True)
LIMIT = Fault("rate_limit", UpstreamHTTPError("slow down", status=429), 429, retry_after=7.0)


def trace(call_id: str = "call_1", plan: Plan | None = None) -> Trace:
    found = Trace(call_id, "ada", "chat", "lab/m", 1_767_225_600.0)
    if plan is not None:
        found.planned(plan)
    return found


def answered() -> Trace:
    """A subscription that rests, a key that hits its limit, and one that serves."""
    rests = PassedOver("lab/m with lab:plus", "it rests for another 40 s", "subscription")
    found = trace(plan=Plan("lab/m", (KEY, MORE), (rests,), (PLUS, KEY, MORE)))
    found.failed(1, LIMIT, 0.25, 60.0)
    found.answered(2, 200, 0.75, ((b"x-gateway-dropped", b"seed"),))
    found.fell_from = "lab:plus"
    return found


def test_it_tells_what_was_considered_passed_over_and_tried() -> None:
    told = described(answered())
    assert told["resolved"] == "lab/m"
    assert told["outcome"] == "answered"
    assert told["at"] == "2026-01-01T00:00:00.000+00:00"
    assert [each["profile"] for each in told["candidates"]] == ["lab:plus", "lab:key", "lab:more"]
    assert [each.get("place") for each in told["candidates"]] == [None, 1, 2]
    assert told["candidates"][2]["fallback"] is True
    assert told["passedOver"] == [
        {"candidate": "lab/m with lab:plus", "reason": "it rests for another 40 s", "billing": "subscription"}
    ]
    assert told["dropped"] == "seed"


def test_it_tells_what_came_of_each_attempt_and_who_paid() -> None:
    told = described(answered())
    first, second = told["attempts"]
    assert (first["status"], first["fault"], first["code"]) == (429, "rate_limit", "upstream_http_error")
    assert (first["ms"], first["retryAfter"], first["restsSeconds"]) == (250.0, 7.0, 60.0)
    assert (second["number"], second["status"], second["ms"]) == (2, 200, 750.0)
    assert "fault" not in second
    assert told["served"] == {
        "provider": "lab",
        "model": "m",
        "profile": "lab:more",
        "billing": "metered",
        "fellFrom": "lab:plus",
    }


def test_a_credential_that_was_rejected_for_good_is_said_to_be() -> None:
    found = trace(plan=Plan("lab/m", (KEY,), (), (KEY,)))
    found.failed(1, LIMIT, 1.0, inf)
    (told,) = described(found)["attempts"]
    assert (told["profile"], told["rejected"]) == ("lab:key", True)
    assert "restsSeconds" not in told


def test_a_call_that_nobody_was_asked_for_tells_why() -> None:
    found = trace()
    found.passed = (PassedOver("lab:old", "it expired 3 h ago", "subscription"),)
    found.ended_with(NoCredentials("none is usable"))
    told = described(found)
    assert (told["outcome"], told["code"], told["candidates"]) == ("refused", "no_credentials", [])
    assert "served" not in told
    assert told["passedOver"][0]["reason"] == "it expired 3 h ago"


@pytest.mark.parametrize("planned", [False, True])
def test_a_call_under_way_is_open(planned: bool) -> None:
    found = trace(plan=Plan("lab/m", (KEY,), (), (None, KEY)) if planned else None)
    assert described(found)["outcome"] == "open"


def test_a_stream_that_broke_off_was_answered_and_failed() -> None:
    found = answered()
    found.ended_with(UpstreamHTTPError("went wrong midway"))
    told = described(found)
    assert (told["outcome"], told["code"]) == ("failed", "upstream_http_error")
    assert told["served"]["profile"] == "lab:more"


def test_no_secret_and_no_words_of_an_error_stand_in_it() -> None:
    found = answered()
    found.ended_with(UpstreamHTTPError("a prompt that an error quotes"))
    assert CANARY not in json.dumps(described(found))
    assert CANARY not in repr(found)
    assert "a prompt" not in repr(found)


def test_the_last_calls_are_remembered_and_no_more() -> None:
    traces = Traces(kept=3)
    for number in range(10):
        traces.append(trace(f"call_{number}"))
    assert [traces.find(f"call_{number}") is not None for number in range(10)] == [False] * 7 + [True] * 3


def test_a_plain_call_keeps_nothing_that_has_to_be_collected() -> None:
    found = trace(plan=Plan("lab/m", (KEY,), (), (KEY,)))
    found.answered(1, 200, 0.5, ())
    assert not any(gc.is_tracked(getattr(found, name)) for name in found.__struct_fields__)
    told = described(found)
    assert told["served"]["profile"] == "lab:key"
    assert told["attempts"] == [{"number": 1, **told["served"], "status": 200, "ms": 500.0}]
    assert [each["place"] for each in told["candidates"]] == [1]


# --- as a header ---------------------------------------------------------------------------------------------------


def test_the_header_says_the_same_on_one_line_of_ascii() -> None:
    name, value = header_of(answered())
    assert name == b"x-gateway-trace"
    told = json.loads(value)
    assert told["served"]["profile"] == "lab:more"
    assert [each["profile"] for each in told["attempts"]] == ["lab:key", "lab:more"]


def test_the_header_is_cut_before_it_is_too_long_and_says_so() -> None:
    found = answered()
    found.passed = tuple(PassedOver(f"lab:{number}", "a reason\r\n\x7f with ünïcode" * 5) for number in range(200))
    _, value = header_of(found)
    assert len(value) <= 4_096
    assert all(0x20 <= byte < 0x7F for byte in value)
    told = json.loads(value)
    assert told["cut"] is True
    assert told["served"]["profile"] == "lab:more"
    assert told["attempts"]


def test_a_single_row_that_is_too_long_goes_too() -> None:
    found = answered()
    found.passed = (PassedOver("lab:x", "x" * 10_000),)
    _, value = header_of(found)
    assert len(value) <= 4_096
    assert json.loads(value)["passedOver"] == []
