"""What is taken out of a text before anybody sees it."""

import pytest

from open_llm_auth.policy.redaction import REDACTED, Scrubber


def test_known_secrets_go_wherever_they_stand():
    scrub = Scrubber(["hunter2-hunter2", "hunter2-hunter2-longer"])
    assert scrub("key=hunter2-hunter2-longer,hunter2-hunter2.") == f"key={REDACTED},{REDACTED}."


def test_short_texts_are_not_secrets():
    assert Scrubber(["a", ""])("a banana") == "a banana"


@pytest.mark.parametrize(
    "secret",
    [
        "sk-" + "proj-abcdefghij0123456789",
        "ghp_" + "a" * 36,
        "AIza" + "SyA1234567890abcdefghij",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
        "hf_" + "abcdefghijklmnopqrst",
        "ABSK" + "QmVkcm9ja0FQSUtleS1hYmNk/ZWZn+aGlqa2xt=",
        "IQoJb3JpZ2luX2VjE" + "A//////////wEaCXVzLWVhc3QtMSJHMEUC",
    ],
)
def test_what_looks_like_a_key_goes_without_being_known(secret):
    assert secret not in Scrubber([])(f"Incorrect API key provided: {secret}. Try again.")


def test_bearer_values_go():
    assert Scrubber([])("sent Authorization: Bearer abcdefgh12345") == f"sent Authorization: Bearer {REDACTED}"


def test_ordinary_sentences_stay():
    text = "The model `gpt-4o-mini` does not exist or you do not have access to it. skipping sketches"
    assert Scrubber(["something-else"])(text) == text


def test_a_key_is_hidden_without_the_blanks_it_was_stored_with():
    assert Scrubber(["  hunter2-hunter2 \n"])("key=hunter2-hunter2.") == f"key={REDACTED}."
