"""What two processes know becomes one, the newest word counting, and the file stays small."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.auth.kept import (
    WHOLE,
    Kept,
    KeptCredential,
    KeptRest,
    LastError,
    Reset,
    differences,
    merged,
    moved_back,
    pruned,
)
from open_llm_auth.auth.limits import Told, Window

NOW = 1_767_225_600.0
DAY = 86400.0


def one(mark: str = "a", *, rests: dict[str, KeptRest] | None = None, name: str = "", **fields: object) -> Kept:
    return Kept({mark: KeptCredential("p", name or mark, rests or {}, **fields)})  # type: ignore[arg-type]


def rest(at: float, seconds: float = 60.0, kind: str = "rate_limit") -> KeptRest:
    return KeptRest(NOW + at, kind, NOW + at + seconds, seconds, 1)


def test_the_newer_word_about_a_level_counts_whoever_says_it() -> None:
    old, new = one(rests={WHOLE: rest(-2), "m": rest(-1)}), one(rests={WHOLE: rest(-1, 5.0)})
    for both in (merged(old, new, NOW), merged(new, old, NOW)):
        assert both.credentials["a"].rests == {WHOLE: rest(-1, 5.0), "m": rest(-1)}


def test_that_a_rest_is_over_wins_over_an_older_rest_and_loses_to_a_newer_one() -> None:
    over = one(rests={"m": KeptRest(NOW - 1)})
    assert merged(one(rests={"m": rest(-2)}), over, NOW).credentials["a"].rests["m"].kind == ""
    assert merged(over, one(rests={"m": rest(-0.5)}), NOW).credentials["a"].rests["m"].kind == "rate_limit"


def test_a_word_from_the_future_counts_less_than_any_other() -> None:
    future, now = one(rests={"m": rest(3600)}, used=NOW + 3600), one(rests={"m": KeptRest(NOW - 5)}, used=NOW - 5)
    for both in (merged(future, now, NOW), merged(now, future, NOW)):
        assert both.credentials["a"].rests["m"] == KeptRest(NOW - 5)
        assert both.credentials["a"].used == NOW - 5


def test_uses_errors_and_limits_are_the_latest_of_both() -> None:
    first = one(used=NOW - 1, error=LastError(NOW - 9, "auth", "old"), told=Told(NOW - 1, (Window("5h", 1.0),)))
    second = one(used=NOW - 2, error=LastError(NOW - 8, "auth", "new"), told=Told(NOW - 2))
    both = merged(first, second, NOW).credentials["a"]
    assert (both.used, both.error and both.error.code, both.told) == (NOW - 1, "new", first.credentials["a"].told)


@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from(["", "m", "n"]), st.integers(-100, 100), st.booleans()),
        max_size=12,
    ),
    st.randoms(),
)
def test_the_order_in_which_words_are_heard_does_not_matter(
    words: list[tuple[str, str, int, bool]], chance: object
) -> None:
    unique = {(mark, level, at): (mark, level, at, over) for mark, level, at, over in words}.values()
    told = [one(mark, rests={level: KeptRest(NOW + at) if over else rest(at)}) for mark, level, at, over in unique]
    forward, backward = Kept(), Kept()
    for each in told:
        forward = merged(forward, each, NOW)
    for each in reversed(told):
        backward = merged(backward, each, NOW)
    assert forward == backward


def test_what_means_nothing_any_more_goes() -> None:
    kept = Kept(
        {
            "over": one("over", rests={"m": rest(-2 * DAY)}).credentials["over"],
            "cleared": one("cleared", rests={"m": KeptRest(NOW - 2 * DAY)}).credentials["cleared"],
            "forgotten": one("forgotten", used=NOW - 40 * DAY).credentials["forgotten"],
            "invalid": one("invalid", rests={"": KeptRest(NOW - 20 * DAY, "auth", None, None, 1)}).credentials[
                "invalid"
            ],
            "stated": one("stated", rests={"": rest(-10 * DAY, 20 * DAY)}).credentials["stated"],
            "used": one("used", used=NOW - DAY).credentials["used"],
        },
        (Reset(NOW - 2 * DAY), Reset(NOW - 1, "other"), Reset(NOW + 3600, "p")),
    )
    left = pruned(kept, NOW)
    assert left.credentials.keys() == {"invalid", "stated", "used"}
    assert left.resets == (Reset(NOW - 1, "other"),)


def test_a_reset_takes_what_rested_until_then_and_nothing_later() -> None:
    kept = merged(one("a", rests={"m": rest(-5), "n": rest(-1)}), Kept(resets=(Reset(NOW - 2, "p", "a"),)), NOW)
    assert pruned(kept, NOW).credentials["a"].rests.keys() == {"n"}


def test_an_older_secret_of_a_name_that_has_answered_since_goes() -> None:
    kept = Kept(
        {**one("old", rests={"": rest(-5)}, name="x").credentials, **one("new", used=NOW, name="x").credentials}
    )
    assert pruned(kept, NOW).credentials.keys() == {"new"}


def test_however_much_is_known_little_is_kept_and_the_newest_of_it() -> None:
    crowd = {
        str(number): KeptCredential(
            "p", str(number), {f"m{model}": rest(-number - model / 100) for model in range(100)}, NOW - number
        )
        for number in range(600)
    }
    left = pruned(Kept(crowd, tuple(Reset(NOW - n, str(n)) for n in range(200))), NOW)
    assert (len(left.credentials), len(left.resets)) == (256, 64)
    assert set(left.credentials) == {str(number) for number in range(256)}
    assert {len(each.rests) for each in left.credentials.values()} == {32}
    assert pruned(left, NOW) == left


def test_a_clock_that_was_set_back_takes_with_it_what_was_known_and_nothing_newer() -> None:
    known = one(rests={"m": rest(-5), "": KeptRest(NOW, "auth", None, None, 1)})
    kept = merged(known, one(rests={"n": rest(-1)}), NOW)
    moved = moved_back(kept, known, 3600).credentials["a"].rests
    assert moved["m"] == rest(-3605)
    assert moved["n"] == rest(-1)
    assert moved[""].until is None


def test_differences_are_what_the_other_does_not_know() -> None:
    known = one(rests={"m": rest(-5)})
    kept = merged(known, one(rests={"n": rest(-1)}), NOW)
    assert differences(kept, known) == one(rests={"n": rest(-1)})
    assert not differences(kept, kept)


@pytest.mark.parametrize(
    ("reset", "covered"),
    [
        (Reset(NOW), True),
        (Reset(NOW, "p"), True),
        (Reset(NOW, "p", "a"), True),
        (Reset(NOW, "", "a"), True),
        (Reset(NOW, "q"), False),
        (Reset(NOW, "p", "b"), False),
    ],
)
def test_what_a_reset_covers(reset: Reset, covered: bool) -> None:
    assert reset.covers("p", "a") is covered
