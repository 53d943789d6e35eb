"""Rows: counted at once, written in the background, never in a call's way."""

import asyncio
import json
import threading
import time

from open_llm_auth.server.usage import Ledger, Row, json_line, text_line
from open_llm_auth.wire.events import Usage


def row(**fields):
    made = Row(1_800_000_000.25, 10.0, "call_1", "req_1", "POST", "/v1/chat/completions")
    made.ended = 10.5
    for name, value in fields.items():
        setattr(made, name, value)
    return made


CALLED = {
    "status": 200,
    "provider": "openai",
    "model": "gpt-4o",
    "profile": "openai:default",
    "attempts": 2,
    "stream": True,
    "subject": "ci",
    "first_byte": 10.125,
    "usage": Usage(21, 34, 5, 0, 8),
}


def test_a_line_for_programs_says_who_what_where_and_how_much():
    assert json.loads(json_line(row(**CALLED))) == {
        "time": "2027-01-15T08:00:00.250+00:00",
        "call": "call_1",
        "request": "req_1",
        "method": "POST",
        "path": "/v1/chat/completions",
        "status": 200,
        "subject": "ci",
        "provider": "openai",
        "model": "gpt-4o",
        "profile": "openai:default",
        "attempts": 2,
        "stream": True,
        "inputTokens": 21,
        "outputTokens": 34,
        "cacheReadTokens": 5,
        "cacheWriteTokens": 0,
        "reasoningTokens": 8,
        "firstByteMs": 125.0,
        "ms": 500.0,
    }


def test_a_line_for_people_is_one_line():
    line = text_line(row(**CALLED))
    assert "POST /v1/chat/completions 200 openai/gpt-4o via openai:default attempt 2 21+34 tokens 500.0 ms" in line
    assert "\n" not in text_line(row(path="/a\nb\x1b[2J"))


def test_control_characters_of_a_path_do_not_reach_the_log():
    assert "\x1b" not in json_line(row(path="/a\x1b[2Jb"))


async def test_rows_are_counted_at_once_and_written_by_the_end():
    written = []
    ledger = Ledger(written.append)
    for status in (200, 200, 429):
        ledger.record(row(status=status, usage=Usage(1, 2)))
    assert ledger.snapshot()["byStatus"] == {"200": 2, "429": 1}
    assert ledger.snapshot()["outputTokens"] == 6
    assert not written
    await ledger.aclose()
    assert len("".join(written).splitlines()) == 3


async def test_a_log_that_stands_still_costs_lines_and_no_memory():
    gate = threading.Event()

    def write(text: str) -> None:
        gate.wait(10)

    ledger = Ledger(write)
    for _ in range(100):
        ledger.record(row())
    await asyncio.sleep(0.3)
    for _ in range(10_500):
        ledger.record(row())
    assert 0 < ledger.counts.dropped_lines <= 1_000
    assert ledger.counts.requests == 10_600
    gate.set()
    await ledger.aclose()


async def test_a_log_that_cannot_be_written_stops_nothing():
    def write(text: str) -> None:
        raise BrokenPipeError

    ledger = Ledger(write)
    ledger.record(row())
    await ledger.aclose()
    assert ledger.counts.dropped_lines == 1
    ledger.record(row())
    await ledger.aclose()
    assert ledger.counts.requests == 2


async def test_notes_stand_between_the_rows_and_may_come_from_any_thread():
    written = []
    ledger = Ledger(written.append, lambda row: row.call_id)
    ledger.record(row())
    await asyncio.to_thread(ledger.note, "egress blocked\n")
    ledger.note("two\nlines")
    await ledger.aclose()
    assert "".join(written) == "call_1\negress blocked\ntwo\nlines\n"


async def test_a_log_that_nobody_reads_holds_up_the_end_for_two_seconds_at_most():
    gate = threading.Event()
    ledger = Ledger(lambda text: gate.wait(30))
    ledger.record(row())
    await asyncio.sleep(0.2)
    for _ in range(5):
        ledger.note("waiting")
    began = time.monotonic()
    await ledger.aclose()
    assert time.monotonic() - began < 3
    assert ledger.counts.dropped_lines == 6
    writers = [thread for thread in threading.enumerate() if thread.name == "log"]
    assert all(thread.daemon for thread in writers), "the interpreter waits for all others before it exits"
    gate.set()


async def test_whatever_a_stream_raises_the_next_lines_are_written():
    written = []

    def write(text: str) -> None:
        if "first" in text:
            raise ValueError("I/O operation on closed file")
        written.append(text)

    ledger = Ledger(write)
    ledger.note("first")
    await asyncio.sleep(0.2)
    ledger.note("second")
    await ledger.aclose()
    assert written == ["second\n"]
    assert ledger.counts.dropped_lines == 1


async def test_counts_of_others_are_shown_with_its_own():
    ledger = Ledger(print, more=lambda: {"egressBlocked": 3})
    assert ledger.snapshot()["egressBlocked"] == 3
    assert ledger.snapshot()["requests"] == 0
