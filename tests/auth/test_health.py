"""How long what rests, what clears it, and that the table stays small."""

from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.auth.health import HealthTable
from open_llm_auth.errors import UpstreamHTTPError
from open_llm_auth.values import Credential, Endpoint, Fault, FaultKind, Secret

KEY = Credential("openai:default", "openai", "profile", "api_key", Secret("sk-canary"))
NAMELESS = Credential("none:ollama", "ollama", "none", "none")
MINUTE, HOUR = 60.0, 3600.0


def fault(kind: FaultKind, retry_after: float | None = None) -> Fault:
    return Fault(kind, UpstreamHTTPError("no"), None, retry_after)


def rest_after(kind: FaultKind, retry_after: float | None = None, *, model: str = "m") -> float | None:
    table = HealthTable()
    table.failed(KEY, "m", fault(kind, retry_after), 100.0)
    return table.resting(KEY, model, 100.0)


def test_a_fresh_credential_does_not_rest() -> None:
    assert HealthTable().resting(KEY, "m", 0.0) is None


def test_a_429_rests_its_model_and_leaves_the_others() -> None:
    assert rest_after("rate_limit") == MINUTE
    assert rest_after("rate_limit", model="other") is None


def test_a_stated_time_is_kept_even_beyond_a_day() -> None:
    assert rest_after("rate_limit", 7.5) == 7.5
    assert rest_after("rate_limit", 7 * 24 * HOUR) == 7 * 24 * HOUR


@pytest.mark.parametrize("nonsense", [-1.0, inf, -inf, nan])
def test_a_stated_time_that_makes_no_sense_is_ignored(nonsense: float) -> None:
    assert rest_after("rate_limit", nonsense) == MINUTE


def test_an_absurd_stated_time_is_cut() -> None:
    assert rest_after("rate_limit", 1e300) == 31 * 24 * HOUR


def test_repeated_429s_climb_the_ladder_and_stay_at_an_hour() -> None:
    table, now, rests = HealthTable(), 0.0, []
    for _ in range(6):
        table.failed(KEY, "m", fault("rate_limit"), now)
        rest = table.resting(KEY, "m", now)
        assert rest is not None
        rests.append(rest)
        now += rest
        assert table.resting(KEY, "m", now) is None, "a due one is probed by the next real request"
    assert rests == [MINUTE, 5 * MINUTE, 25 * MINUTE, HOUR, HOUR, HOUR]


def test_calls_that_fail_together_count_once() -> None:
    table = HealthTable()
    for _ in range(64):
        table.failed(KEY, "m", fault("rate_limit"), 0.0)
    assert table.resting(KEY, "m", 0.0) == MINUTE
    table.failed(KEY, "m", fault("rate_limit"), MINUTE)
    assert table.resting(KEY, "m", MINUTE) == 5 * MINUTE


def test_a_second_model_at_its_limit_rests_the_whole_credential() -> None:
    table = HealthTable()
    table.failed(KEY, "a", fault("rate_limit"), 0.0)
    assert table.resting(KEY, "c", 0.0) is None
    table.failed(KEY, "b", fault("rate_limit"), 10.0)
    assert table.resting(KEY, "c", 10.0) == MINUTE


def test_a_second_model_long_after_the_first_does_not() -> None:
    table = HealthTable()
    table.failed(KEY, "a", fault("rate_limit"), 0.0)
    table.failed(KEY, "b", fault("rate_limit"), 10 * MINUTE)
    assert table.resting(KEY, "c", 10 * MINUTE) is None


def test_a_401_invalidates_every_model_until_the_secret_changes() -> None:
    table = HealthTable()
    table.failed(KEY, "m", fault("auth", 5.0), 0.0)
    assert table.resting(KEY, "other", 1e9) == inf
    renewed = Credential("openai:default", "openai", "profile", "api_key", Secret("sk-new"))
    assert table.resting(renewed, "m", 1.0) is None
    table.failed(renewed, "m", fault("rate_limit"), 1.0)
    assert table.resting(renewed, "m", 1.0) == MINUTE


def test_a_401_without_a_secret_only_cools_because_there_is_nothing_to_change() -> None:
    table = HealthTable()
    table.failed(NAMELESS, "m", fault("auth"), 0.0)
    assert table.resting(NAMELESS, "m", 0.0) == MINUTE


def test_another_address_makes_it_another_credential() -> None:
    table = HealthTable()
    table.failed(KEY, "m", fault("auth"), 0.0)
    moved = Credential(
        KEY.id, KEY.provider, KEY.source, KEY.type, KEY.secret, Endpoint("https", "other.example", 443, "")
    )
    assert table.resting(moved, "m", 0.0) is None


def test_one_variable_used_by_two_providers_is_judged_apart() -> None:
    table = HealthTable()
    first, second = (Credential("env:SHARED", name, "environment", "api_key", Secret("k")) for name in ("zai", "zai-x"))
    table.failed(first, "m", fault("auth"), 0.0)
    assert table.resting(second, "m", 0.0) is None
    table.failed(second, "m", fault("auth"), 0.0)
    table.reset("env:SHARED")
    assert len(table) == 0


def test_a_billing_fault_rests_the_credential_for_hours() -> None:
    assert rest_after("billing", model="other") == 2 * HOUR


def test_a_denied_model_rests_alone() -> None:
    assert rest_after("denied") == MINUTE
    assert rest_after("denied", model="other") is None


@pytest.mark.parametrize("kind", ["server", "unreachable", "invalid", "rejected", "overloaded"])
def test_what_is_not_the_credentials_fault_cools_nothing(kind: FaultKind) -> None:
    assert rest_after(kind) is None


def test_a_time_out_rests_its_model_for_a_minute() -> None:
    assert rest_after("timeout") == MINUTE
    assert rest_after("timeout", model="other") is None


def test_a_stated_overload_is_kept_for_a_minute_at_most() -> None:
    assert rest_after("overloaded", 5.0) == 5.0
    assert rest_after("overloaded", 3600.0) == MINUTE


def test_the_first_success_clears_the_credential_and_that_model() -> None:
    table = HealthTable()
    table.failed(KEY, "a", fault("rate_limit"), 0.0)
    table.failed(KEY, "b", fault("rate_limit"), 0.0)
    table.succeeded(KEY, "a", 1.0)
    assert table.resting(KEY, "a", 1.0) is None
    assert table.resting(KEY, "c", 1.0) is None
    assert table.resting(KEY, "b", 1.0) == MINUTE - 1.0
    table.succeeded(KEY, "b", 2.0)
    assert len(table) == 0


def test_a_success_starts_the_ladder_anew() -> None:
    table = HealthTable()
    table.failed(KEY, "m", fault("rate_limit"), 0.0)
    table.succeeded(KEY, "m", MINUTE)
    table.failed(KEY, "m", fault("rate_limit"), MINUTE)
    assert table.resting(KEY, "m", MINUTE) == MINUTE


def test_reset_clears_one_or_all() -> None:
    table = HealthTable()
    table.failed(KEY, "m", fault("auth"), 0.0)
    table.failed(NAMELESS, "m", fault("auth"), 0.0)
    table.reset(KEY.id)
    assert table.resting(KEY, "m", 0.0) is None
    assert table.resting(NAMELESS, "m", 0.0) is not None
    table.reset(None)
    assert table.resting(NAMELESS, "m", 0.0) is None


def test_memory_is_bounded_in_credentials_and_in_models() -> None:
    table = HealthTable()
    for number in range(3000):
        table.failed(KEY, f"m{number}", fault("rate_limit"), float(number))
        other = Credential(f"p:{number}", "p", "profile", "api_key", Secret(str(number)))
        table.failed(other, "m", fault("auth"), float(number))
    assert len(table) <= 1024
    table.failed(KEY, "again", fault("rate_limit"), 3000.0)
    assert all(len(levels) <= 64 for states in table._states.values() for levels in states.values())


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["auth", "billing", "rate_limit", "overloaded", "denied", "rejected", "server"]),
            st.sampled_from("abc"),
            st.one_of(st.none(), st.floats()),
            st.floats(0, 1e6),
            st.booleans(),
        )
    )
)
def test_no_history_makes_it_raise_or_rest_for_a_negative_time(
    history: list[tuple[FaultKind, str, float | None, float, bool]],
) -> None:
    table, now = HealthTable(), 0.0
    for kind, model, retry_after, pause, success in history:
        now += pause
        table.failed(KEY, model, fault(kind, retry_after), now)
        if success:
            table.succeeded(KEY, model, now)
            assert table.resting(KEY, model, now) is None
        rest = table.resting(KEY, model, now)
        assert rest is None or rest > 0
        assert "sk-canary" not in repr(table._states)
