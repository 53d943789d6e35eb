"""A fault is told by its type and its place, never by its text."""

from open_llm_auth.server.faults import describe_fault


def broken() -> None:
    raise RuntimeError("sk-secret")


def test_type_and_frames_are_told_and_the_text_is_not():
    try:
        broken()
    except RuntimeError as error:
        told = describe_fault(error)
    assert told.startswith("RuntimeError\n")
    assert "in broken" in told
    assert "sk-secret" not in told.replace('raise RuntimeError("sk-secret")', "")


def test_a_group_is_opened():
    try:
        broken()
    except RuntimeError as error:
        told = describe_fault(ExceptionGroup("sk-group", [error]))
    assert told.startswith("ExceptionGroup\nRuntimeError\n")
    assert "sk-group" not in told
