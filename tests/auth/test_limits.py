"""What headers tell of limits, in the form each provider has for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.auth.limits import Told, Window, read_limits, spent_until
from open_llm_auth.values import Headers

NOW = 1_767_225_600.0  # 2026-01-01T00:00:00Z


def fields(**values: str) -> Headers:
    return tuple((name.replace("_", "-").encode(), value.encode()) for name, value in values.items())


@pytest.mark.parametrize(
    ("headers", "windows"),
    [
        (
            fields(
                x_ratelimit_limit_requests="60",
                x_ratelimit_remaining_requests="59",
                x_ratelimit_reset_requests="1s",
                x_ratelimit_limit_tokens="150000",
                x_ratelimit_remaining_tokens="149984",
                x_ratelimit_reset_tokens="6m0s",
            ),
            (
                Window("requests", None, 60.0, 59.0, NOW + 1),
                Window("tokens", None, 150000.0, 149984.0, NOW + 360),
            ),
        ),
        (
            fields(x_ratelimit_limit="20", x_ratelimit_remaining="0", x_ratelimit_reset="1767225660000"),
            (Window("requests", None, 20.0, 0.0, NOW + 60),),
        ),
        (
            fields(
                anthropic_ratelimit_input_tokens_limit="40000",
                anthropic_ratelimit_input_tokens_remaining="39000",
                anthropic_ratelimit_input_tokens_reset="2026-01-01T00:01:00Z",
            ),
            (Window("input-tokens", None, 40000.0, 39000.0, NOW + 60),),
        ),
        (
            fields(
                anthropic_ratelimit_unified_status="allowed",
                anthropic_ratelimit_unified_representative_claim="five_hour",
                anthropic_ratelimit_unified_reset="1767229200",
                anthropic_ratelimit_unified_5h_status="allowed",
                anthropic_ratelimit_unified_5h_utilization="0.05",
                anthropic_ratelimit_unified_5h_reset="1767229200",
                anthropic_ratelimit_unified_7d_utilization="0.42",
                anthropic_ratelimit_unified_7d_reset="1767312000",
            ),
            (Window("5h", 5.0, None, None, NOW + 3600), Window("7d", 42.0, None, None, NOW + 86400)),
        ),
        (
            fields(
                x_codex_primary_used_percent="42.5",
                x_codex_primary_window_minutes="300",
                x_codex_primary_reset_at="1767229200",
                x_codex_secondary_used_percent="13",
                x_codex_secondary_window_minutes="10080",
                x_codex_secondary_reset_after_seconds="86400",
                x_codex_spark_primary_used_percent="1",
                x_codex_spark_primary_window_minutes="90",
                x_codex_credits_balance="3",
            ),
            (
                Window("5h", 42.5, None, None, NOW + 3600),
                Window("7d", 13.0, None, None, NOW + 86400),
                Window("spark 90min", 1.0),
            ),
        ),
        (
            fields(
                x_codex_primary_used_percent="0", x_codex_primary_window_minutes="0", x_codex_secondary_used_percent="7"
            ),
            (Window("secondary", 7.0),),
        ),
        (
            (
                (
                    b"x-quota-snapshot-premium_interactions",
                    b"ent=1500&ov=0.0&ovPerm=false&rem=31.5&rst=2026-01-02T00%3A00%3A00Z",
                ),
                (b"x-quota-snapshot-chat", b"ent=-1&ov=0.0&rem=100.0&rst=2026-01-02T00%3A00%3A00Z"),
                (b"x-usage-ratelimit-session", b"ent=50&rem=67.5&rst=2026-01-01T05:00:00Z"),
            ),
            (
                Window("premium_interactions", 68.5, 1500.0, 472.5, NOW + 86400),
                Window("session", 32.5, 50.0, 33.75, NOW + 5 * 3600),
            ),
        ),
    ],
    ids=["openai", "openrouter", "anthropic key", "anthropic plan", "codex", "codex without a window", "copilot"],
)
def test_every_provider_is_understood_in_its_own_form(headers: Headers, windows: tuple[Window, ...]) -> None:
    assert read_limits(headers, NOW) == Told(NOW, windows)


@pytest.mark.parametrize(
    "headers",
    [
        (),
        fields(content_type="application/json", retry_after="5"),
        fields(x_ratelimit_exceeded="global-chat:user"),
        fields(x_ratelimit_limit_requests="60", x_ratelimit_reset_requests="1s"),
        fields(x_ratelimit_remaining_requests="many"),
        fields(x_ratelimit_remaining_requests="1" * 300),
        fields(x_ratelimit_remaining_requests="-1"),
        fields(x_quota_snapshot_chat="remaining=0;limit=100"),
        fields(x_quota_snapshot_chat="rem=101"),
        (("x-ratelimit-remaining-tök".encode(), b"1"),),
        ((b"x-ratelimit-remaining-\x1b[2J", b"1"),),
    ],
)
def test_what_tells_no_limit_is_none(headers: Headers) -> None:
    assert read_limits(headers, NOW) is None


def test_a_provider_that_never_stops_is_not_listened_to_for_ever() -> None:
    headers = tuple((f"x-ratelimit-remaining-w{n:04d}".encode(), b"1") for n in range(1000))
    told = read_limits(headers, NOW)
    assert told is not None
    assert len(told.windows) == 16


def test_how_much_is_used_is_known_either_way() -> None:
    assert Window("w", used_percent=40.0).used == 40.0
    assert Window("w", limit=50.0, remaining=10.0).used == pytest.approx(80.0)
    assert Window("w", remaining=10.0).used is None
    assert Window("w", limit=0.0, remaining=0.0).used is None


def test_the_longest_of_the_spent_windows_says_when() -> None:
    spent = Told(
        NOW, (Window("5h", 100.0, None, None, NOW + 5), Window("7d", 100.0, None, None, NOW + 9), Window("x", 1.0))
    )
    assert spent_until(spent) == NOW + 9
    assert spent_until(Told(NOW, (Window("5h", 99.0, None, None, NOW + 5), Window("6h", 100.0)))) is None
    assert spent_until(None) is None


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    b"x-ratelimit-",
                    b"anthropic-ratelimit-",
                    b"anthropic-ratelimit-unified-",
                    b"x-codex-",
                    b"x-quota-snapshot-",
                ]
            ).flatmap(lambda prefix: st.binary(max_size=30).map(lambda rest: prefix + rest)),
            st.binary(max_size=60),
        ),
        max_size=8,
    )
)
def test_nothing_that_a_provider_sends_makes_it_fail(headers: list[tuple[bytes, bytes]]) -> None:
    told = read_limits(tuple(headers), NOW)
    assert told is None or all(window.name.isprintable() and len(window.name) <= 40 for window in told.windows)
