"""How a provider may behave, from documented to hostile: one value a behaviour, and a table of the ones with names.

Positions of trouble count as in OpenAI's stream, which opens with one event: 0 is before anything, 1 after a wire's
opening, however many events that takes, and each further one is a piece of what is said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal

from .answers import TEXT, Script
from .openai_answers import error_body

__all__ = ["BEHAVIOURS", "SPLITS", "Behaviour", "Split"]

Split = Literal["events", "whole", "every_byte", "inside_characters", "inside_line_ends"]


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One way to answer. The default is the documented one; every field bends one thing.

    Times are seconds, positions count from 0. `after_events` counts streamed events that went out whole before the
    trouble; `after_bytes` counts body bytes of a plain answer, which has promised its full length in the head.
    """

    #: the status, and the body sent instead of the documented one: bytes, a document, or a function from the
    #: request's headers (lower-case names) to a document. A document is OpenAI's; other wires say it their own way.
    status: int = 200
    body: bytes | Mapping[str, Any] | Callable[[Mapping[str, str]], Mapping[str, Any]] | None = None
    headers: tuple[tuple[str, str], ...] = ()

    #: wait before the head; then `hang` for ever, or `close` the connection without a byte
    delay: float = 0.0
    before_head: Literal["go_on", "hang", "close"] = "go_on"

    #: trouble in the middle: what happens, and when. `end` is a stream that stops as if it were whole, `garbage` an
    #: event that is none.
    trouble: Literal["none", "hang", "close", "end", "error_event", "garbage"] = "none"
    after_events: int = 0
    after_bytes: int = 0
    #: the document of `error_event`
    error: Mapping[str, Any] = field(
        default_factory=lambda: error_body("The server had an error while processing your request", kind="server_error")
    )

    #: what is said
    text: tuple[str, ...] = TEXT
    reasoning: tuple[str, ...] = ()
    refusal: str | None = None
    calls: Literal["named", "told", "first", "two"] = "named"
    #: pieces of text until the token limit is met
    cut: int | None = None
    #: input tokens read from, and written to, a cache
    cached: tuple[int, int] = (0, 0)

    #: how a stream is written
    pace: float = 0.0
    split: Split = "events"
    line_end: Literal["\n", "\r\n"] = "\n"
    comments: bool = False
    done: bool = True
    usage: Literal["when_asked", "never", "always", "on_finish"] = "when_asked"
    azure_first: bool = False
    plain_for_stream: bool = False
    #: the status that refuses a request with `stream_options`; None accepts it
    refuse_stream_options: int | None = None

    @property
    def script(self) -> Script:
        """What is said, for `answers.decide`."""
        return Script(self.text, self.reasoning, self.refusal, self.calls, self.cut, self.cached)


def _failure(status: int, message: str, *, kind: str, code: str | int | None, **fields: Any) -> Behaviour:
    return Behaviour(status=status, body=error_body(message, kind=kind, code=code), **fields)


def _echo_key(request_headers: Mapping[str, str]) -> Mapping[str, Any]:
    places = ("authorization", "x-api-key", "x-goog-api-key")
    key = next((request_headers[name] for name in places if name in request_headers), "").removeprefix("Bearer ")
    return error_body(f"Incorrect API key provided: {key}.", code="invalid_api_key")


_HTML: Final = (("content-type", "text/html; charset=utf-8"), ("server", "edge"))

#: Behaviours that have a name. Vary one with `dataclasses.replace`. A user's message that holds ``#name`` asks for it.
BEHAVIOURS: Final[Mapping[str, Behaviour]] = MappingProxyType(
    {
        "documented": Behaviour(),
        # refusals
        "rate_limited": _failure(
            429,
            "Rate limit reached for requests",
            kind="requests",
            code="rate_limit_exceeded",
            headers=(("retry-after", "1"), ("x-ratelimit-remaining-requests", "0")),
        ),
        "rate_limited_without_time": _failure(
            429, "Rate limit reached for requests", kind="requests", code="rate_limit_exceeded"
        ),
        "quota_spent": _failure(
            429,
            "You exceeded your current quota, please check your plan and billing details.",
            kind="insufficient_quota",
            code="insufficient_quota",
        ),
        "payment_required": _failure(402, "Insufficient balance", kind="billing_error", code="insufficient_balance"),
        "key_refused": _failure(
            401, "Incorrect API key provided.", kind="invalid_request_error", code="invalid_api_key"
        ),
        "key_echoed": Behaviour(status=401, body=_echo_key),
        "key_forbidden": _failure(403, "The API key was revoked", kind="invalid_request_error", code="invalid_api_key"),
        "region_forbidden": _failure(
            403,
            "Country, region, or territory not supported",
            kind="request_forbidden",
            code="unsupported_country_region_territory",
        ),
        "html_challenge": Behaviour(
            status=403, body=b"<!doctype html><title>Just a moment...</title><h1>Checking you</h1>", headers=_HTML
        ),
        "bad_request": _failure(
            400, "'temperature' must be at most 2", kind="invalid_request_error", code="invalid_value"
        ),
        "unknown_model": _failure(
            404, "The model does not exist", kind="invalid_request_error", code="model_not_found"
        ),
        "integer_code": _failure(400, "the request exceeds the context size", kind="invalid_request_error", code=400),
        "server_error": _failure(500, "The server had an error", kind="server_error", code=None),
        "server_error_html": Behaviour(status=502, body=b"<html><h1>502 Bad Gateway</h1></html>", headers=_HTML),
        "unavailable": _failure(
            503, "Loading model", kind="unavailable_error", code=503, headers=(("retry-after", "1"),)
        ),
        "overloaded": _failure(529, "Overloaded", kind="overloaded_error", code=None),
        "redirect": Behaviour(
            status=307, body=b"", headers=(("location", "http://169.254.169.254/latest/meta-data/"),)
        ),
        # silence and broken connections
        "silent": Behaviour(before_head="hang"),
        "closes_at_once": Behaviour(before_head="close"),
        "closes_mid_body": Behaviour(trouble="close", after_bytes=20, after_events=3),
        "hangs_mid_body": Behaviour(trouble="hang", after_bytes=20, after_events=3),
        "closes_before_content": Behaviour(trouble="close", after_bytes=0, after_events=1),
        "error_first": Behaviour(trouble="error_event", after_events=0),
        "error_before_content": Behaviour(trouble="error_event", after_events=1),
        "error_mid_stream": Behaviour(trouble="error_event", after_events=3),
        "truncated": Behaviour(trouble="end", after_events=3),
        "garbage": Behaviour(trouble="garbage", after_events=3),
        # unusual but real streams
        "no_done": Behaviour(done=False),
        "usage_on_finish": Behaviour(usage="on_finish"),
        "usage_unasked": Behaviour(usage="always"),
        "no_usage": Behaviour(usage="never"),
        "azure_first_chunk": Behaviour(azure_first=True),
        "comments": Behaviour(comments=True),
        "carriage_returns": Behaviour(line_end="\r\n", split="inside_line_ends"),
        "every_byte": Behaviour(split="every_byte"),
        "inside_characters": Behaviour(split="inside_characters"),
        "one_write": Behaviour(split="whole"),
        "plain_for_stream": Behaviour(plain_for_stream=True),
        "refuses_stream_options": Behaviour(refuse_stream_options=400),
        "refuses_stream_options_422": Behaviour(refuse_stream_options=422),
        "slow": Behaviour(pace=0.05),
        "endless": Behaviour(text=("tick ",) * 100_000, pace=0.01),
        "torrent": Behaviour(text=("x" * 4096,) * 16_384),
        "reasoning": Behaviour(reasoning=("Let", " me", " think")),
        "refusal": Behaviour(refusal="I can't help with that."),
        "huge": Behaviour(text=("x" * 1024,) * 10_240),
        "huge_event": Behaviour(text=("before ", "x" * (5 << 20), " after")),
        # what is said
        "tools": Behaviour(calls="first"),
        "parallel_tools": Behaviour(calls="two"),
        "reasoning_tools": Behaviour(calls="first", reasoning=("Let", " me", " look")),
        "length": Behaviour(cut=2),
        "stop": Behaviour(text=("one", " two", " three ", "STOP", " four")),
        "cache_hit": Behaviour(cached=(1000, 150)),
    }
)


def _every_byte(event: bytes) -> Iterator[bytes]:
    for value in event:
        yield bytes((value,))


def _inside_characters(event: bytes) -> Iterator[bytes]:
    """Cut after the first byte of each character that has several."""
    return _cut_after(event, lambda value: value >= 0b1100_0000)


def _inside_line_ends(event: bytes) -> Iterator[bytes]:
    """Cut between CR and LF, and between two LF."""
    return _cut_after(event, lambda value: value in b"\r\n")


def _cut_after(event: bytes, at: Callable[[int], bool]) -> Iterator[bytes]:
    start = 0
    for index, value in enumerate(event, start=1):
        if at(value):
            yield event[start:index]
            start = index
    if start < len(event):
        yield event[start:]


def _untouched(event: bytes) -> Iterable[bytes]:
    return (event,)


#: How one event (all of them at once for ``whole``) is cut into writes.
SPLITS: Final[Mapping[Split, Callable[[bytes], Iterable[bytes]]]] = MappingProxyType(
    {
        "events": _untouched,
        "whole": _untouched,
        "every_byte": _every_byte,
        "inside_characters": _inside_characters,
        "inside_line_ends": _inside_line_ends,
    }
)
