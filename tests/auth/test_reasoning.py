"""Which account made which reasoning: found again, bounded, and forgotten oldest first."""

from open_llm_auth.auth.reasoning import ReasoningOrigins


def test_what_is_noted_is_found_and_nothing_else() -> None:
    origins = ReasoningOrigins()
    assert len(origins) == 0
    origins.note(1, "lab", "lab:a")
    assert origins.of(1) == ("lab", "lab:a")
    assert origins.of(2) is None
    assert len(origins) == 1


def test_the_last_word_counts() -> None:
    origins = ReasoningOrigins()
    origins.note(1, "lab", "lab:a")
    origins.note(1, "lab", "lab:b")
    assert origins.of(1) == ("lab", "lab:b")


def test_no_more_than_two_generations_are_kept() -> None:
    origins = ReasoningOrigins(generation=10)
    for proof in range(1_000):
        origins.note(proof, "lab", "lab:a")
        assert len(origins) <= 20
    assert origins.of(999) == ("lab", "lab:a")
    assert origins.of(0) is None


def test_what_is_asked_for_is_kept_longer() -> None:
    origins = ReasoningOrigins(generation=10)
    origins.note(-1, "lab", "lab:old")
    for proof in range(200):
        origins.note(proof, "lab", "lab:a")
        assert origins.of(-1) == ("lab", "lab:old")


def test_an_answer_without_proofs_leaves_nothing() -> None:
    origins = ReasoningOrigins()
    watch = origins.watcher("openai-chat", "lab", "lab:a")
    watch(b'data: {"choices":[{"delta":{"content":"a signature: \\"signature\\": \\"c2lnbmF0dXJl\\""}}]}\n\n')
    assert len(origins) == 0
