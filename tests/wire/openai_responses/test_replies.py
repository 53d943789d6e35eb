"""A plain answer put together from a stream of the same dialect."""

from __future__ import annotations

import json

import pytest

from open_llm_auth.errors import UpstreamInvalidResponse
from open_llm_auth.wire.openai_responses import gather

ITEM = {"id": "msg_1", "type": "message", "content": [{"type": "output_text", "text": "hi"}], "x-unknown": 1}
CALL = {"id": "fc_1", "type": "function_call", "name": "f", "arguments": "{}"}


def wire(*events):
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def completed(**fields):
    return {"type": "response.completed", "response": {"id": "resp_1", "x-own": 3, **fields}}


def done(item, **more):
    return {"type": "response.output_item.done", "item": item, **more}


@pytest.mark.parametrize("output", [{"output": []}, {"output": None}, {}])
def test_items_told_along_the_way_fill_an_empty_output(output):
    stream = b": hi\n\n" + wire(done(CALL, output_index=1), done(ITEM, output_index=0), completed(**output))
    assert json.loads(gather(stream)) == {"id": "resp_1", "x-own": 3, "output": [ITEM, CALL]}


def test_items_without_a_place_stay_in_their_order():
    assert json.loads(gather(wire(done(ITEM), done(CALL), completed())))["output"] == [ITEM, CALL]


def test_an_output_that_is_there_is_left_as_it_is():
    stream = wire(done(CALL), completed(output=[ITEM])) + b"data: [DONE]\n\n"
    assert json.loads(gather(stream)) == {"id": "resp_1", "x-own": 3, "output": [ITEM]}


def test_an_answer_that_was_cut_is_one_too():
    event = {"type": "response.incomplete", "response": {"status": "incomplete", "output": [ITEM]}}
    assert json.loads(gather(wire(event)))["status"] == "incomplete"


@pytest.mark.parametrize(
    "stream", [b"", wire(done(ITEM)), b"data: {oops\n\n", wire({"type": "response.completed", "response": 3})]
)
def test_a_stream_without_an_end_is_no_answer(stream):
    with pytest.raises(UpstreamInvalidResponse):
        gather(stream)
