"""A name is asked for once, remembered for a while, and its absence for a moment."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

import pytest

from open_llm_auth.testing import ManualClock
from open_llm_auth.transport import Resolver
from open_llm_auth.transport.resolver import NameUnknown, system_lookup


class Names:
    """A lookup that counts, and gives or raises what it is told."""

    def __init__(self, *answers: Sequence[str] | OSError | UnicodeError, delay: float = 0.0) -> None:
        self.answers = list(answers)
        self.asked = 0
        self.delay = delay

    async def __call__(self, host: str) -> Sequence[str]:
        self.asked += 1
        await asyncio.sleep(self.delay)
        answer = self.answers[min(self.asked, len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_an_answer_is_kept_for_half_a_minute() -> None:
    clock, names = ManualClock(), Names(["1.1.1.1", "1.1.1.1", "::1"], ["2.2.2.2"])
    resolver = Resolver(clock, lookup=names)
    assert await resolver.addresses("a.test") == ("1.1.1.1", "::1")
    clock.advance(29.9)
    assert await resolver.addresses("a.test") == ("1.1.1.1", "::1")
    clock.advance(0.2)
    assert await resolver.addresses("a.test") == ("2.2.2.2",)
    assert names.asked == 2


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (socket.gaierror(socket.EAI_NONAME, "unknown"), "dns_resolution_failed"),
        (socket.gaierror(socket.EAI_AGAIN, "later"), "dns_resolution_failed"),
        (socket.gaierror(socket.EAI_NODATA, "none"), "dns_no_answers"),
        (UnicodeError("label too long"), "dns_resolution_failed"),
        ([], "dns_no_answers"),
    ],
)
async def test_a_failure_is_kept_for_a_second(fault: OSError, reason: str) -> None:
    clock, names = ManualClock(), Names(fault, ["1.1.1.1"])
    resolver = Resolver(clock, lookup=names)
    for _ in range(2):
        with pytest.raises(NameUnknown) as caught:
            await resolver.addresses("a.test")
        assert caught.value.reason == reason
    assert names.asked == 1
    clock.advance(1.1)
    assert await resolver.addresses("a.test") == ("1.1.1.1",)


async def test_all_who_wait_share_one_question_and_leaving_takes_nobody_along() -> None:
    names = Names(["1.1.1.1"], delay=0.05)
    resolver = Resolver(ManualClock(), lookup=names)
    tasks = [asyncio.ensure_future(resolver.addresses("a.test")) for _ in range(10)]
    await asyncio.sleep(0.01)
    tasks[0].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert results[1:] == [("1.1.1.1",)] * 9
    assert names.asked == 1


async def test_the_memory_is_bounded() -> None:
    names = Names(["1.1.1.1"])
    resolver = Resolver(ManualClock(), lookup=names)
    for number in range(1100):
        await resolver.addresses(f"{number}.test")
    await resolver.addresses("1099.test")
    assert names.asked == 1100
    await resolver.addresses("0.test")
    assert names.asked == 1101


async def test_closing_ends_questions_under_way() -> None:
    resolver = Resolver(ManualClock(), lookup=Names(["1.1.1.1"], delay=60))
    task = asyncio.ensure_future(resolver.addresses("a.test"))
    await asyncio.sleep(0.01)
    await resolver.aclose()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_machine_resolves_its_own_name() -> None:
    assert {"127.0.0.1", "::1"} & set(await system_lookup("localhost"))
