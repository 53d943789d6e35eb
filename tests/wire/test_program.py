"""What is left of a program that ended without an answer."""

from open_llm_auth.wire.program import Ending, read_ending, write_ending


def test_an_ending_is_read_as_it_was_written():
    assert read_ending(write_ending(3, "größer\n".encode())) == Ending(3, "größer\n")
    assert read_ending(write_ending(-9, b"\xff")) == Ending(-9, "�")


def test_something_else_is_none():
    for body in (b"", b"[]", b'{"stderr":"x"}', b'{"exit":null}', b"\xff"):
        assert read_ending(body) is None


def test_the_sentence_has_the_complaint_and_nothing_else_that_was_printed():
    assert Ending(1, "debug /home/me\n  error: no such option\nUsage: …").sentence == (
        "The program ended with exit code 1 and no answer: error: no such option"
    )
    assert Ending(1, "panic at /home/me").sentence.endswith("run it by hand to see why.")
    assert len(Ending(1, "error: " + "x" * 10_000).sentence) < 400


def test_the_last_line_is_the_last_that_says_something():
    assert Ending(1, "a\nb\n \n").last_line == "b"
    assert Ending(1).last_line == ""
