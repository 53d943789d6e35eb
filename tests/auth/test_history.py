"""What a credential did last is known, costs a busy one next to nothing, and holds nobody's secret or prompt."""

from __future__ import annotations

from dataclasses import replace

import pytest

from open_llm_auth.auth.history import History
from open_llm_auth.auth.kept import KeptCredential
from open_llm_auth.errors import UpstreamHTTPError, UpstreamUnreachable
from open_llm_auth.testing import ManualClock
from open_llm_auth.values import Credential, Fault, FaultKind, Secret

KEY = Credential("openai:default", "openai", "profile", "api_key", Secret("sk-canary-history"))
LEFT = ((b"x-ratelimit-remaining-requests", b"59"),)
SPENT = ((b"x-ratelimit-remaining-requests", b"0"),)


def only(history: History) -> KeptCredential:
    (found,) = history.changes().credentials.values()
    return found


def fault(kind: FaultKind, message: str = "no", **details: object) -> Fault:
    return Fault(kind, UpstreamHTTPError(message, details=dict(details), status=429), 429)


def test_the_last_use_is_known_to_the_second_and_told_once() -> None:
    clock = ManualClock()
    history, began = History(clock), clock.now()
    for _ in range(10):
        history.used(KEY)
        clock.advance(0.05)
    found = only(history)
    assert (found.provider, found.id, found.used) == ("openai", "openai:default", began)
    assert not history.changes()
    clock.advance(1.0)
    history.used(KEY)
    assert only(history).used == clock.now()


def test_limits_are_looked_at_once_a_second_but_those_of_a_refusal_at_once() -> None:
    clock = ManualClock()
    history = History(clock)
    history.heard(KEY, LEFT)
    clock.advance(0.1)
    history.heard(KEY, ((b"x-ratelimit-remaining-requests", b"58"),))
    told = only(history).told
    assert told is not None
    assert told.windows[0].remaining == 59.0
    history.heard(KEY, SPENT, refused=True)
    told = only(history).told
    assert told is not None
    assert told.windows[0].remaining == 0.0


def test_an_answer_that_tells_nothing_leaves_what_was_told() -> None:
    clock = ManualClock()
    history = History(clock)
    history.heard(KEY, LEFT)
    history.changes()
    clock.advance(5.0)
    history.heard(KEY, ())
    assert not history.changes()


def test_the_last_error_says_code_status_and_the_providers_sentence() -> None:
    history = History(ManualClock())
    assert not history.pressing
    history.failed(KEY, fault("rate_limit", "Slow\n  down!" + "x" * 500, upstreamCode="rate_limit_exceeded"))
    assert history.pressing
    error = only(history).error
    assert error is not None
    assert (error.kind, error.code, error.status) == ("rate_limit", "rate_limit_exceeded", 429)
    assert error.message.startswith("Slow down!x")
    assert len(error.message) == 200
    assert not history.pressing


@pytest.mark.parametrize("kind", ["denied", "overloaded", "server", "invalid", "unreachable", "timeout"])
def test_words_that_may_quote_a_prompt_are_not_kept(kind: FaultKind) -> None:
    history = History(ManualClock())
    history.failed(KEY, fault(kind, "your prompt 'canary' is refused"))
    error = only(history).error
    assert error is not None
    assert error.message
    assert "canary" not in repr(error)


def test_what_only_the_request_is_at_fault_for_is_no_error_of_the_credential() -> None:
    history = History(ManualClock())
    history.failed(KEY, fault("rejected", "your prompt"))
    assert not history.changes()


def test_our_own_errors_have_our_own_code() -> None:
    history = History(ManualClock())
    history.failed(KEY, Fault("unreachable", UpstreamUnreachable("refused")))
    error = only(history).error
    assert error is not None
    assert (error.code, error.status) == ("upstream_unreachable", 502)


def test_a_changed_secret_has_no_past() -> None:
    clock = ManualClock()
    history = History(clock)
    history.failed(KEY, fault("auth"))
    history.changes()
    changed = replace(KEY, secret=Secret("other"))
    history.used(changed)
    assert only(history).error is None


def test_memory_is_bounded() -> None:
    history = History(ManualClock())
    for number in range(3000):
        history.used(replace(KEY, id=f"p:{number}"))
    assert len(history.changes().credentials) == 1024


def test_no_change_holds_the_secret() -> None:
    history = History(ManualClock())
    history.used(KEY)
    history.heard(KEY, LEFT)
    history.failed(KEY, fault("auth"))
    assert "canary" not in repr(history.changes()) + repr(history._entries)
