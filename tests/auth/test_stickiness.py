"""Which of several equal credentials a conversation gets: always the same, evenly, and moved by as little as can be."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.auth.reasoning import ReasoningOrigins
from open_llm_auth.auth.stickiness import Affinity, conversation_key, rendezvous
from open_llm_auth.values import Attempt, Billing, Call, Caller, Credential, Operation, Provider
from open_llm_auth.wire.dialect import DialectName, Request
from open_llm_auth.wire.envelope import read_envelope

IDS = st.lists(st.text(min_size=1, max_size=20), min_size=2, max_size=8, unique=True)
KEYS = st.binary(max_size=40)


def chosen(key: bytes, ids: list[str]) -> list[str]:
    return [ids[place] for place in rendezvous(key, ids)]


# --- the order of equals ---------------------------------------------------------------------------------------


@given(KEYS, IDS, st.randoms())
def test_the_order_depends_on_the_ids_and_not_on_where_they_stand(key: bytes, ids: list[str], random: Any) -> None:
    shuffled = list(ids)
    random.shuffle(shuffled)
    assert chosen(key, ids) == chosen(key, shuffled)
    assert sorted(chosen(key, ids)) == sorted(ids)


@given(KEYS, IDS)
def test_removing_one_moves_only_what_it_had(key: bytes, ids: list[str]) -> None:
    for gone in ids:
        rest = [each for each in ids if each != gone]
        assert chosen(key, rest) == [each for each in chosen(key, ids) if each != gone]


@given(KEYS, IDS, st.text(min_size=1, max_size=20))
def test_adding_one_takes_a_conversation_to_it_or_leaves_it_where_it_was(key: bytes, ids: list[str], more: str) -> None:
    if more not in ids:
        assert chosen(key, [*ids, more])[0] in (more, chosen(key, ids)[0])


def test_conversations_are_spread_evenly() -> None:
    counts = Counter(chosen(b"conversation %d" % number, ["a", "b", "c"])[0] for number in range(6_000))
    assert all(abs(count - 2_000) < 200 for count in counts.values()), counts
    again = Counter(chosen(b"conversation %d" % number, ["a", "b", "c", "d"])[0] for number in range(6_000))
    assert all(abs(count - 1_500) < 200 for count in again.values()), again


def test_another_process_chooses_alike() -> None:
    code = (
        "from open_llm_auth.auth.stickiness import rendezvous\n"
        "print([rendezvous(b'%d' % n, ['one', 'two', 'three']) for n in range(50)])"
    )
    environ = {"PYTHONHASHSEED": "4242", "PATH": ""}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [rendezvous(b"%d" % n, ["one", "two", "three"]) for n in range(50)]


# --- what tells a conversation from others ---------------------------------------------------------------------


def call(
    body: Any,
    dialect: DialectName = "openai-chat",
    *,
    session: str = "",
    subject: str = "ada",
    operation: Operation = "chat",
) -> Call:
    envelope = read_envelope(json.dumps(body).encode())
    return Call("call_0", operation, dialect, Request(envelope, "m", False), Caller(subject), session=session)


def said(*texts: str) -> list[dict[str, str]]:
    roles = ("user", "assistant")
    return [{"role": roles[number % 2], "content": text} for number, text in enumerate(texts)]


def test_the_names_that_clients_give_go_before_what_is_said_in_their_order() -> None:
    named = {"prompt_cache_key": "cache", "metadata": {"user_id": "user"}, "messages": said("hi")}
    assert conversation_key(call(named, session="session")) == b"cache"
    del named["prompt_cache_key"]
    assert conversation_key(call(named, session="session")) == b"session"
    assert conversation_key(call(named)) == b"user"
    assert conversation_key(call({"metadata": {"user_id": "user"}, "messages": said("other")})) == b"user"


@pytest.mark.parametrize("metadata", ["text", None, [], {"user_id": 7}, {"user_id": ""}, {"user_id": None}, {}])
def test_names_of_another_kind_are_none(metadata: Any) -> None:
    plain = conversation_key(call({"messages": said("hi")}))
    odd = {"metadata": metadata, "prompt_cache_key": {"a": 1}, "messages": said("hi")}
    assert conversation_key(call(odd)) == plain


#: The same opening and a second turn, in each dialect; marks for caches wander along.
OPENINGS: list[tuple[DialectName, Any, Any, Any]] = [
    (
        "openai-chat",
        {"messages": [{"role": "system", "content": "Be terse."}, *said("Hello")]},
        {
            "messages": [
                {"role": "system", "content": [{"type": "text", "text": "Be terse."}]},
                {"role": "user", "content": [{"type": "text", "text": "Hello"}]},
                *said("more", "yet")[::-1],
            ]
        },
        {"messages": [{"role": "system", "content": "Be verbose."}, *said("Hello")]},
    ),
    (
        "openai-responses",
        {"instructions": "Be terse.", "input": "Hello"},
        {
            "instructions": "Be terse.",
            "input": [
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]},
                {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c", "output": "out"},
            ],
        },
        {"instructions": "Be terse.", "input": "Goodbye"},
    ),
    (
        "anthropic-messages",
        {
            "system": [{"type": "text", "text": "Be terse.", "cache_control": {"type": "ephemeral"}}],
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "text", "text": "Hello", "cache_control": {"type": "ephemeral"}}],
                }
            ],
        },
        {"system": "Be terse.", "messages": said("Hello", "Hi", "Go on")},
        {"system": "Be terse.", "messages": said("Goodbye")},
    ),
    (
        "google-genai",
        {"systemInstruction": {"parts": [{"text": "Be terse."}]}, "contents": [{"parts": [{"text": "Hello"}]}]},
        {
            "system_instruction": {"parts": {"text": "Be terse."}},
            "contents": [
                {"role": "user", "parts": [{"text": "Hello"}]},
                {"role": "model", "parts": [{"text": "Hi"}]},
            ],
        },
        {"systemInstruction": {"parts": [{"text": "Be wild."}]}, "contents": [{"parts": [{"text": "Hello"}]}]},
    ),
]


@pytest.mark.parametrize(("dialect", "first", "later", "other"), OPENINGS, ids=[row[0] for row in OPENINGS])
def test_a_conversation_is_known_by_its_opening_however_it_goes_on(
    dialect: DialectName, first: Any, later: Any, other: Any
) -> None:
    key = conversation_key(call(first, dialect))
    assert conversation_key(call(later, dialect)) == key
    assert conversation_key(call(other, dialect)) != key
    assert conversation_key(call(first, dialect, subject="bob")) != key


@pytest.mark.parametrize("dialect", ["openai-chat", "openai-responses", "anthropic-messages", "google-genai"])
@pytest.mark.parametrize("nonsense", [[1], ["x"], [None], {}, "x", 7, None, [[]], [{"role": []}]])
def test_whatever_a_request_holds_it_has_a_key(dialect: DialectName, nonsense: Any) -> None:
    body = {"messages": nonsense, "input": nonsense, "contents": nonsense, "system": nonsense, "instructions": nonsense}
    assert isinstance(conversation_key(call(body, dialect)), bytes)


def test_what_is_embedded_is_its_own_conversation() -> None:
    one, other = ({"input": text} for text in ("one", "other"))
    assert conversation_key(call(one, operation="embeddings")) != conversation_key(call(other, operation="embeddings"))


def test_a_message_without_words_is_told_by_its_bytes() -> None:
    pictures = [
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]}
        for url in ("https://a.example", "https://b.example")
    ]
    assert len({conversation_key(call(body)) for body in pictures}) == 2


# --- what a call wishes ----------------------------------------------------------------------------------------

SIGNED = {
    "messages": [
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm.", "signature": "c2lnbmF0dXJl"}]},
        *said("go on"),
    ]
}
LAB, SPARE = Provider("lab", "anthropic-messages", "api-key"), Provider("spare", "anthropic-messages", "api-key")


def attempt(name: str, provider: Provider = LAB, billing: Billing = "metered", model: str = "m") -> Attempt:
    credential = Credential(f"{provider.id}:{name}", provider.id, "profile", "api_key", billing=billing)
    return Attempt(provider, model, credential)


def told(attempts: list[Attempt]) -> list[str]:
    return [each.credential.id for each in attempts]


def origins(provider: str = "lab", credential: str = "lab:b") -> ReasoningOrigins:
    found = ReasoningOrigins()
    answer = b'{"content":[{"type":"thinking","thinking":"Hm.","signature":"c2lnbmF0dXJl"}]}'
    found.watcher("anthropic-messages", provider, credential)(answer)
    return found


def test_only_runs_of_equals_are_put_into_another_order() -> None:
    row = tuple(attempt(name).credential for name in "abcdef")
    for number in range(50):
        wishes = Affinity(call({"messages": said(f"hello {number}")}), ReasoningOrigins())
        arranged = wishes.arrange(row, ((1, 3), (3, 5)))
        assert (arranged[0], arranged[5]) == (row[0], row[5])
        assert set(arranged[1:3]) == set(row[1:3])
        assert set(arranged[3:5]) == set(row[3:5])


def test_reasoning_goes_to_the_account_that_made_it() -> None:
    wishes = Affinity(call(SIGNED, "anthropic-messages"), origins())
    assert told(wishes.toward_origin([attempt("a"), attempt("b"), attempt("c")])) == ["lab:b", "lab:a", "lab:c"]


def test_reasoning_of_nobody_known_changes_nothing() -> None:
    attempts = [attempt("a"), attempt("b")]
    for known in (ReasoningOrigins(), origins(credential="lab:gone"), origins(provider="spare")):
        assert Affinity(call(SIGNED, "anthropic-messages"), known).toward_origin(attempts) is attempts


def test_the_account_goes_before_its_own_providers_others_only() -> None:
    attempts = [attempt("x", SPARE), attempt("a"), attempt("b"), attempt("b", model="other")]
    wishes = Affinity(call(SIGNED, "anthropic-messages"), origins())
    assert told(wishes.toward_origin(attempts)) == ["spare:x", "lab:b", "lab:a", "lab:b"]


def test_a_metered_account_does_not_go_before_a_subscription() -> None:
    attempts = [attempt("s", billing="subscription"), attempt("a"), attempt("b")]
    wishes = Affinity(call(SIGNED, "anthropic-messages"), origins())
    assert told(wishes.toward_origin(attempts)) == ["lab:s", "lab:b", "lab:a"]
    paid = [attempt("s", billing="subscription"), attempt("b", billing="subscription")]
    assert told(wishes.toward_origin(paid)) == ["lab:b", "lab:s"]


def test_the_newest_reasoning_counts() -> None:
    known = origins()
    known.watcher("anthropic-messages", "lab", "lab:c")(b'{"type":"thinking","thinking":"","signature":"bmV3ZXI="}')
    body = {"messages": [*SIGNED["messages"], {"role": "assistant", "content": [{"signature": "bmV3ZXI="}]}]}
    wishes = Affinity(call(body, "anthropic-messages"), known)
    assert told(wishes.toward_origin([attempt("a"), attempt("b"), attempt("c")])) == ["lab:c", "lab:a", "lab:b"]
