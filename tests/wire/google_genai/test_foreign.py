"""What the gateway told of other models' reasoning does not go to Google."""

from __future__ import annotations

import json

import msgspec
import pytest

from open_llm_auth.wire.conversation import Thinking
from open_llm_auth.wire.events import Signature
from open_llm_auth.wire.google_genai import read_request, rewrite
from open_llm_auth.wire.signatures import Recalled, seal, seal_thinking

FOREIGN = Signature("anthropic-messages", "proof")
SEALED = seal(FOREIGN)
THOUGHTS = seal_thinking(Recalled((Thinking("hm", FOREIGN),)))
NEWEST, OLDER = "gemini-3.1-flash", "gemini-2.5-flash"
ASK = {"role": "user", "parts": [{"text": "hi"}]}
CALL = {"functionCall": {"name": "look", "args": {"n": 1.5}}}


def sent(*parts, model=NEWEST):
    body = json.dumps({"contents": [ASK, {"role": "model", "parts": list(parts)}], "model": "m"}).encode()
    fields = rewrite(read_request(body).envelope, model, stream=False)
    return json.loads(msgspec.json.encode(fields))["contents"]


def left(*parts, model=NEWEST):
    ask, said = sent(*parts, model=model)
    assert ask == ASK
    return said["parts"]


@pytest.mark.parametrize("name", ["thoughtSignature", "thought_signature"])
@pytest.mark.parametrize("sealed", [SEALED, THOUGHTS], ids=["signature", "thinking"])
def test_a_call_of_another_model_is_marked_as_one_where_calls_must_be_signed(name, sealed):
    assert left({**CALL, name: sealed}) == [{**CALL, name: "skip_thought_signature_validator"}]
    assert left({**CALL, name: sealed}, model=OLDER) == [CALL]


def test_thoughts_of_another_model_stay_behind_and_words_do_not():
    thought = {"text": "hm", "thought": True, "thoughtSignature": SEALED}
    proof = {"text": "", "thought": True, "thoughtSignature": SEALED}
    assert left(thought, {"text": "So."}, proof, {"text": "Yes.", "thoughtSignature": SEALED}) == [
        {"text": "So."},
        {"text": "Yes."},
    ]


def test_a_content_of_which_nothing_is_left_is_left_out():
    assert sent({"text": "hm", "thought": True, "thoughtSignature": SEALED}) == [ASK]


def test_what_google_signed_itself_goes_on_beside_it():
    own = {**CALL, "thoughtSignature": "c2lnbmF0dXJl"}
    assert left(own, {**CALL, "thoughtSignature": SEALED}, {"text": SEALED})[0] == own
    assert left({"text": SEALED}) == [{"text": SEALED}]


def test_a_request_without_envelopes_is_the_very_same():
    envelope = read_request(json.dumps({"contents": [ASK]}).encode()).envelope
    assert rewrite(envelope, NEWEST, stream=False)["contents"] is envelope["contents"]


@pytest.mark.parametrize("contents", ["b2xsYTEA", ["b2xsYTEA"], {"parts": ["b2xsYTEA", 7]}, [{"parts": "b2xsYTEA"}]])
def test_what_is_no_content_is_left_to_google(contents):
    raw = msgspec.Raw(json.dumps(contents).encode())
    told = json.loads(msgspec.json.encode(rewrite({"contents": raw}, NEWEST, stream=False)))["contents"]
    assert told == (contents if isinstance(contents, list) else [contents])
