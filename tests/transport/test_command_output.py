"""Real programs, whose output is a secret: slow ones, failing ones, and those that print too much."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest

from open_llm_auth.errors import SecretUnavailable
from open_llm_auth.transport import CommandOutput

CANARY = "canary-of-a-manager-8c21"


@pytest.fixture
def output() -> CommandOutput:
    return CommandOutput({**os.environ, "OPENAI_API_KEY": "not for programs", "OP_SESSION_x": "s", "MORE": "m"})


def script(folder: Path, body: str) -> str:
    path = folder / "manager"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def refusal(output: CommandOutput, *words: str, seconds: float = 10) -> str:
    with pytest.raises(SecretUnavailable) as caught:
        output(words, (), seconds)
    return caught.value.message


def test_what_it_prints_is_given_whole(output: CommandOutput, tmp_path: Path) -> None:
    assert output([script(tmp_path, "printf 'one\\ntwo'")], (), 10) == b"one\ntwo"


def test_arguments_arrive_as_they_are_and_no_shell_reads_them(output: CommandOutput, tmp_path: Path) -> None:
    assert output([script(tmp_path, 'printf "%s|" "$@"'), "$HOME", "a b", ";"], (), 10) == b"$HOME|a b|;|"


def test_it_sees_what_managers_need_and_what_is_named_and_no_key_of_a_provider(
    output: CommandOutput, tmp_path: Path
) -> None:
    seen = output([script(tmp_path, "env")], (), 10).decode()
    assert "PATH=" in seen
    assert "OP_SESSION_x=s" in seen
    assert "OPENAI_API_KEY" not in seen
    assert "MORE=" not in seen
    assert "MORE=m" in output([script(tmp_path, "env")], ("MORE",), 10).decode()


def test_it_has_no_input_and_no_terminal(output: CommandOutput, tmp_path: Path) -> None:
    assert output([script(tmp_path, "cat; (: </dev/tty) 2>/dev/null || echo none")], (), 10) == b"none\n"


def test_one_that_is_not_there_or_may_not_be_run_is_named_alone(output: CommandOutput, tmp_path: Path) -> None:
    assert "'no-such-manager'" in (message := refusal(output, "no-such-manager", CANARY))
    assert CANARY not in message
    (tmp_path / "plain").write_text("no program")
    assert "Permission denied" in refusal(output, str(tmp_path / "plain"))
    assert "can't be run" in refusal(output, "sh", "a\0b")


def test_a_failure_tells_the_code_and_nothing_of_what_was_said(output: CommandOutput, tmp_path: Path) -> None:
    message = refusal(output, script(tmp_path, f"echo {CANARY}; echo {CANARY} >&2; exit 3"), CANARY)
    assert "ended with code 3" in message
    assert CANARY not in message
    assert "signal 9" in refusal(output, script(tmp_path, "kill -9 $$"))


def test_a_slow_one_is_ended_in_time_with_all_it_has_started(output: CommandOutput, tmp_path: Path) -> None:
    began = time.monotonic()
    words = script(tmp_path, f"sleep 60 & echo $! > {tmp_path}/child; wait")
    assert "took longer than 0.5 s" in refusal(output, words, seconds=0.5)
    assert time.monotonic() - began < 5
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 5
    while Path(f"/proc/{child}/stat").exists() and ") Z" not in Path(f"/proc/{child}/stat").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_one_that_closes_its_output_and_stays_is_ended_too(output: CommandOutput, tmp_path: Path) -> None:
    assert "took longer" in refusal(output, script(tmp_path, "echo x; exec >&-; sleep 60"), seconds=0.5)


def test_huge_output_is_not_swallowed(output: CommandOutput) -> None:
    began = time.monotonic()
    assert "65,536 bytes" in refusal(output, "yes")
    assert time.monotonic() - began < 5


def test_a_full_pipe_is_read_to_its_end(output: CommandOutput) -> None:
    assert len(output(["head", "-c", "65536", "/dev/zero"], (), 10)) == 65536


def test_an_agent_that_it_leaves_behind_is_not_waited_for_and_lives_on(output: CommandOutput, tmp_path: Path) -> None:
    began = time.monotonic()
    assert output([script(tmp_path, f"(sleep 3; echo lived > {tmp_path}/lived) & echo key")], (), 10) == b"key\n"
    assert time.monotonic() - began < 2
    deadline = time.monotonic() + 10
    while not (tmp_path / "lived").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
