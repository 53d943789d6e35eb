"""Deltas of every server seen: calls by index, by id or by neither, one inside another, and words in every field."""

from __future__ import annotations

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.errors import UpstreamInvalidResponse
from open_llm_auth.wire.events import (
    Citation,
    Opaque,
    RefusalDelta,
    Signature,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    ToolCallDelta,
    ToolCallStarted,
)
from open_llm_auth.wire.openai_chat.deltas import Delta, Deltas

PARIS, BERLIN = '{"city":"Paris"}', '{"city":"Berlin"}'


def take(*deltas, whole=False, identity="chatcmpl-7"):
    taking, out = Deltas(), []
    taking.identity = identity
    for delta in deltas:
        taking.take(msgspec.convert(delta, Delta), out, whole=whole)
    taking.end(out)
    return out


def calls(*items):
    return {"tool_calls": list(items)}


def piece(index=None, call_id=None, name=None, arguments=None, **more):
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    item = {"index": index, "id": call_id, "function": function, **more}
    return {key: value for key, value in item.items() if value is not None}


def summed(events):
    """The calls as (id, name, arguments), which shows that no pieces were mixed."""
    out = []
    for event in events:
        if isinstance(event, ToolCallStarted):
            out.append([event.id, event.name, ""])
        elif isinstance(event, ToolCallDelta):
            out[-1][2] += event.arguments
    return [tuple(call) for call in out]


TWO = [("a", "f", PARIS), ("b", "g", BERLIN)]
SERVERS = {
    "OpenAI": [
        calls(piece(0, "a", "f", "")), calls(piece(0, arguments=PARIS[:5])), calls(piece(0, arguments=PARIS[5:])),
        calls(piece(1, "b", "g", "")), calls(piece(1, arguments=BERLIN)),
    ],
    "both at once": [calls(piece(0, "a", "f", PARIS), piece(1, "b", "g", BERLIN))],
    "all numbered 0": [calls(piece(0, "a", "f", PARIS)), calls(piece(0, "b", "g", BERLIN))],
    "no index": [calls(piece(None, "a", "f", PARIS)), calls(piece(None, "b", "g", BERLIN))],
    "no index, in pieces": [
        calls(piece(None, "a", "f", PARIS[:5])), calls(piece(arguments=PARIS[5:])),
        calls(piece(None, "b", "g", "")), calls(piece(None, "b", None, BERLIN)),
    ],
    "llama-cpp-python": [
        {**calls(piece(0, "a", "f", part, type="function")), "function_call": {"name": "f", "arguments": part}}
        for part in (PARIS[:5], PARIS[5:], "")
    ] + [calls(piece(1, "b", "g", part, type="function")) for part in ("", BERLIN)],
    "the second begun before the first is whole": [
        calls(piece(0, "a", "f", "")), calls(piece(1, "b", "g", "")), calls(piece(1, arguments=BERLIN)),
        calls(piece(0, arguments=PARIS)),
    ],
    "one piece of each in turn": [
        calls(piece(0, "a", "f", ""), piece(1, "b", "g", "")),
        *(
            calls(piece(0, arguments=x), piece(1, arguments=y))
            for x, y in itertools.zip_longest(PARIS, BERLIN, fillvalue="")
        ),
    ],
    "names that come late": [
        calls(piece(0, "a", None, PARIS[:5])), calls(piece(0, None, "f", PARIS[5:])), calls(piece(1, "b", "g", BERLIN)),
    ],
    "ids that come late": [
        calls(piece(0, None, None, "")), calls(piece(0, "a", "f", PARIS)), calls(piece(1, "b", "g", BERLIN)),
    ],
    "objects for arguments": [calls(piece(0, "a", "f", {"city": "Paris"}), piece(1, "b", "g", {"city": "Berlin"}))],
    "blank after the end": [
        calls(piece(0, "a", "f", PARIS)), calls(piece(1, "b", "g", BERLIN)), calls(piece(0, arguments="\n")),
    ],
    "odd order of indices": [calls(piece(7, "a", "f", PARIS)), calls(piece(2, "b", "g", BERLIN))],
    "nonsense between": [
        calls(piece(0, "a", "f", PARIS), 3, None, "x"), {"tool_calls": "x"}, {}, calls(piece(1, "b", "g", BERLIN)),
    ],
}  # fmt: skip


@pytest.mark.parametrize("deltas", SERVERS.values(), ids=SERVERS)
def test_two_calls_are_two_calls_however_a_server_tells_them(deltas):
    assert summed(take(*deltas)) == TWO


def test_a_plain_answer_has_its_calls_in_a_list():
    message = calls(piece(None, "a", "f", PARIS), piece(None, "b", "g", BERLIN))
    assert summed(take(message, whole=True)) == TWO


def test_calls_without_ids_get_ones_that_no_other_answer_has():
    message = calls(piece(None, None, "f", PARIS), piece(None, None, "g", BERLIN))
    ids = [call[0] for call in summed(take(message, whole=True))]
    assert len({*ids, *(call[0] for call in summed(take(message, whole=True, identity="chatcmpl-8")))}) == 4
    assert summed(take(message, whole=True, identity="")) == [("call_0", "f", PARIS), ("call_1", "g", BERLIN)]
    assert all(call_id.replace("_", "").replace("-", "").isalnum() for call_id in ids)


def test_calls_without_ids_or_indices_are_told_apart_by_being_whole():
    deltas = calls(piece(None, None, "f", PARIS)), calls(piece(None, None, "f", BERLIN))
    assert [arguments for *_, arguments in summed(take(*deltas))] == [PARIS, BERLIN]


def test_the_first_call_streams_on_and_the_second_waits_for_it():
    taking, out = Deltas(), []

    def told(**delta):
        out.clear()
        taking.take(msgspec.convert(delta, Delta), out)
        return list(out)

    assert told(**calls(piece(0, "a", "f", ""))) == [ToolCallStarted("a", "f")]
    assert told(**calls(piece(1, "b", "g", BERLIN))) == []
    assert told(**calls(piece(0, arguments='{"city":'))) == [ToolCallDelta('{"city":')]
    assert told(**calls(piece(0, arguments='"Paris"}'))) == [
        ToolCallDelta('"Paris"}'), ToolCallStarted("b", "g"), ToolCallDelta(BERLIN)
    ]  # fmt: skip


def test_text_behind_a_whole_call_does_not_wait_and_behind_half_of_one_it_does():
    whole = take(calls(piece(0, "a", "f", PARIS)), {"content": "so"}, calls(piece(1, "b", "g", BERLIN)))
    assert [type(event) for event in whole] == [
        ToolCallStarted, ToolCallDelta, TextDelta, ToolCallStarted, ToolCallDelta
    ]  # fmt: skip
    half = take(calls(piece(0, "a", "f", PARIS[:5])), {"content": "so"}, calls(piece(0, arguments=PARIS[5:])))
    assert summed(half) == TWO[:1]
    assert half[-1] == TextDelta("so")


def test_a_brace_within_a_string_ends_no_call():
    deltas = calls(piece(0, "a", "f", '{"x":"}')), calls(piece(1, "b", "g", BERLIN)), calls(piece(0, arguments='"}'))
    assert summed(take(*deltas)) == [("a", "f", '{"x":"}"}'), ("b", "g", BERLIN)]


def test_a_space_within_a_string_is_kept_when_a_call_is_looked_at():
    deltas = (
        calls(piece(0, "a", None, '{"x":"a ')),
        calls(piece(1, "b", "g", "{}")),
        calls(piece(0, None, "f", 'b"}')),
    )
    assert set(summed(take(*deltas))) == {("a", "f", '{"x":"a b"}'), ("b", "g", "{}")}


def test_the_old_form_is_a_call():
    deltas = [{"function_call": {"name": "f", "arguments": PARIS[:5]}}, {"function_call": {"arguments": PARIS[5:]}}]
    assert summed(take(*deltas)) == [("call_chatcmpl-7_0", "f", PARIS)]


def test_a_custom_call_is_free_text():
    deltas = [
        calls({"index": 0, "id": "a", "type": "custom", "custom": {"name": "patch", "input": ""}}),
        calls({"index": 0, "type": "custom", "custom": {"input": "*** Begin"}}),
        calls(piece(1, "b", "g", BERLIN)),
    ]
    assert take(*deltas)[:2] == [ToolCallStarted("a", "patch", custom=True), ToolCallDelta("*** Begin")]


def test_later_pieces_of_a_custom_call_need_not_say_so_again():
    deltas = [
        calls({"index": 0, "id": "a", "type": "custom", "custom": {"name": "patch", "input": "*** "}}),
        calls({"index": 0, "custom": {"input": "Begin"}}),
    ]
    assert summed(take(*deltas)) == [("a", "patch", "*** Begin")]


def test_a_thought_signature_of_google_is_the_calls():
    item = piece(0, "a", "f", PARIS, extra_content={"google": {"thought_signature": "c2ln"}})
    assert take(calls(item))[0] == ToolCallStarted("a", "f", signature=Signature("google-genai", "c2ln"))


@pytest.mark.parametrize(
    "deltas",
    [
        [calls(piece(0, "a", None, PARIS))],
        [calls(piece(0, "a", "f", PARIS)), calls(piece(1, "b", "g", BERLIN)), calls(piece(0, arguments='{"more":1}'))],
    ],
    ids=["a call without a name", "more after a whole call"],
)
def test_what_can_not_be_a_call_is_the_providers_fault(deltas):
    with pytest.raises(UpstreamInvalidResponse, match="call"):
        take(*deltas)


# ---------------------------------------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("delta", "events"),
    [
        ({"content": "x"}, [TextDelta("x")]),
        ({"content": ""}, []),
        ({"content": None, "reasoning_content": "hm"}, [ThinkingDelta("hm")]),
        ({"content": "", "reasoning": "hm"}, [ThinkingDelta("hm")]),
        ({"reasoning": "hm", "reasoning_content": "hm"}, [ThinkingDelta("hm")]),
        ({"content": "x", "reasoning": "hm"}, [ThinkingDelta("hm"), TextDelta("x")]),
        ({"refusal": "no"}, [RefusalDelta("no")]),
        (
            {"content": [{"type": "text", "text": "x"}, {"type": "thinking", "thinking": "hm"}]},
            [TextDelta("x"), ThinkingDelta("hm")],
        ),
        (
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]},
            [ThinkingDelta("hm")],
        ),
        (
            {"reasoning": "hm", "reasoning_details": [{"type": "reasoning.text", "text": "hm", "index": 0}]},
            [ThinkingDelta("hm")],
        ),
        (
            {"reasoning_details": [{"type": "reasoning.text", "text": "hm", "signature": "proof"}]},
            [ThinkingDelta("hm"), ThinkingSigned(Signature("openai-chat", "proof"))],
        ),
        (
            {"reasoning": "in short", "reasoning_details": [{"type": "reasoning.summary", "summary": "in short"}]},
            [ThinkingDelta("in short", summary=True)],
        ),
        (
            {"reasoning_details": [{"type": "reasoning.encrypted", "data": "gAAA"}]},
            [ThinkingSigned(Signature("openai-chat", '{"type":"reasoning.encrypted","data":"gAAA"}'))],
        ),
        (
            {
                "annotations": [
                    {
                        "type": "url_citation",
                        "url_citation": {"url": "u", "title": "t", "start_index": 1, "end_index": 2, "content": "q"},
                    }
                ]
            },
            [Citation("u", "t", "q", 1, 2)],
        ),
        ({"annotations": [{"type": "file_citation"}, 3, {"url_citation": {"url": 3}}]}, []),
        ({"images": [{"image_url": {}}]}, [Opaque("openai-chat", {"images": [{"image_url": {}}]})]),
        ({"audio": {"id": "a"}}, [Opaque("openai-chat", {"audio": {"id": "a"}})]),
        ({"content": 3, "refusal": 3, "reasoning": 3, "annotations": 3, "tool_calls": 3, "function_call": 3}, []),
        ({"content": [3, {}, {"type": "text"}, {"type": "thinking"}], "reasoning_details": [3, {}]}, []),
    ],
)
def test_words_are_found_wherever_they_stand(delta, events):
    assert take(delta) == events


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.floats(allow_nan=False) | st.sampled_from(["a", "", "{", "}"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["index", "id", "type", "function", "custom", "name", "arguments", "input", "text", "data"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)
DELTAS = st.dictionaries(st.sampled_from(Delta.__struct_fields__), JSON, max_size=4)


@given(st.lists(DELTAS, max_size=5), st.booleans())
def test_no_delta_breaks_it(deltas, whole):
    try:
        take(*deltas, whole=whole)
    except UpstreamInvalidResponse as error:
        assert "call" in error.message


@given(st.data())
def test_interleaved_calls_come_out_one_after_the_other(data):
    """Each call's pieces in their order, whatever lies between them."""
    wanted = [(f"id{n}", f"f{n}", f'{{"n":"{"x " * n}}}"}}') for n in range(data.draw(st.integers(1, 4)))]
    rest = {n: call[2] for n, call in enumerate(wanted)}
    deltas = [calls(piece(n, call[0], call[1], "")) for n, call in enumerate(wanted)]
    while any(rest.values()):
        number = data.draw(st.sampled_from([n for n, text in rest.items() if text]))
        size = data.draw(st.integers(1, len(rest[number])))
        deltas.append(calls(piece(number, arguments=rest[number][:size])))
        rest[number] = rest[number][size:]
    assert summed(take(*deltas)) == wanted
