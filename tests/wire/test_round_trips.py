"""What one side of a dialect writes the other side reads, whatever it is and however it is cut."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from open_llm_auth.wire.dialect import Answering, DialectName
from open_llm_auth.wire.dialects import client_side, provider_side
from open_llm_auth.wire.envelope import read_envelope
from open_llm_auth.wire.translation import usage_of

from ..golden.matrix import MODELS
from ..golden.meaning import asked_in
from .strategies import ABILITIES, answers, conversations, cuts, normal, signed_answers

#: Google's clients see thoughts only where they asked for them.
ASKED = {"generationConfig": msgspec.Raw(b'{"thinkingConfig":{"includeThoughts":true}}')}
ANSWERING = Answering("0123456789abcdef", 1_767_225_600, "sample-model", ASKED, wants_usage=True)
SOME = settings(max_examples=50)
DIALECTS = pytest.mark.parametrize("dialect", ABILITIES)


@DIALECTS
@given(data=st.data())
@SOME
def test_a_plain_answer_is_read_as_it_was_written(dialect: DialectName, data: st.DataObject):
    events = data.draw(answers(dialect))
    written = client_side(dialect).write_reply(events, ANSWERING)
    assert normal(provider_side(dialect).read_reply(written), dialect) == normal(events, dialect)
    assert client_side(dialect).read_usage(written) == usage_of(events)


@DIALECTS
@given(data=st.data())
@SOME
def test_a_stream_is_read_as_it_was_written(dialect: DialectName, data: st.DataObject):
    events = data.draw(answers(dialect))
    encoder = client_side(dialect).encoder(ANSWERING)
    written = b"".join(encoder.feed([event]) for event in events)
    decoder = provider_side(dialect).decoder()
    read = [event for chunk in data.draw(cuts(written)) for event in decoder.feed(chunk)]
    assert normal([*read, *decoder.end()], dialect) == normal(events, dialect)


@DIALECTS
@given(data=st.data())
@SOME
def test_a_stream_says_what_the_plain_answer_says(dialect: DialectName, data: st.DataObject):
    events = data.draw(answers(dialect))
    encoder, decoder = client_side(dialect).encoder(ANSWERING), provider_side(dialect).decoder()
    plain = provider_side(dialect).read_reply(client_side(dialect).write_reply(events, ANSWERING))
    assert normal([*decoder.feed(encoder.feed(events)), *decoder.end()], dialect) == normal(plain, dialect)


@DIALECTS
@pytest.mark.parametrize("origin", [*ABILITIES, "bedrock-converse"])
@given(data=st.data())
@SOME
def test_a_signature_of_another_dialect_is_found_again(dialect: DialectName, origin: DialectName, data: st.DataObject):
    events = data.draw(signed_answers(origin))
    encoder, decoder = client_side(dialect).encoder(ANSWERING), provider_side(dialect).decoder()
    streamed = [*decoder.feed(encoder.feed(events)), *decoder.end()]
    plain = provider_side(dialect).read_reply(client_side(dialect).write_reply(events, ANSWERING))
    assert normal(streamed, dialect) == normal(plain, dialect) == normal(events, origin)


@DIALECTS
@given(conversation=conversations())
@SOME
def test_a_call_is_read_as_it_was_written(dialect: DialectName, conversation):
    body = msgspec.json.encode(provider_side(dialect).write_request(conversation, MODELS[dialect]))
    read = client_side(dialect).read_conversation(read_envelope(body))
    assert asked_in(read) == asked_in(conversation)
