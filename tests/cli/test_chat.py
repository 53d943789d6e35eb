"""`chat` as people run it: lines through a pipe, and a terminal with a person who presses Ctrl-C."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

from open_llm_auth.testing import Behaviour


def environment(home):
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return {**kept, "HOME": str(home), "OPEN_LLM_AUTH_HOME": str(home), "TERM": "dumb"}


@pytest.fixture
def home(tmp_path, config_for, provider):
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "config.json").write_text(json.dumps(config_for(provider)))
    return home


def chat(home, *arguments, stdin):
    return subprocess.run(
        [sys.executable, "-m", "open_llm_auth.cli", "chat", *arguments],
        env=environment(home),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_each_line_gets_one_answer_and_nothing_else_is_printed(home, provider):
    provider.behaviour = Behaviour(text=("Good ", "morning", "."))
    done = chat(home, "--model", "fake/fake-model", stdin="Hello\n\nAgain\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "Good morning.\nGood morning.\n"


def test_the_conversation_and_the_system_text_are_sent(home, provider):
    provider.behaviour = Behaviour(text=("Yes",))
    lines = "one\n/system be brief\ntwo\n//three\n/clear\nfour\n"
    done = chat(home, "-m", "fake/fake-model", "--system", "be kind", stdin=lines)
    assert done.returncode == 0
    sent = [[(row["role"], row["content"]) for row in call.request.json()["messages"]] for call in provider.calls]
    assert sent == [
        [("system", "be kind"), ("user", "one")],
        [("system", "be brief"), ("user", "one"), ("assistant", "Yes"), ("user", "two")],
        [
            ("system", "be brief"),
            ("user", "one"),
            ("assistant", "Yes"),
            ("user", "two"),
            ("assistant", "Yes"),
            ("user", "/three"),
        ],
        [("system", "be brief"), ("user", "four")],
    ]
    assert all(call.request.json()["stream"] for call in provider.calls)


def test_the_model_can_be_changed_and_the_list_shown(home, provider):
    done = chat(home, "-m", "demo/echo", stdin="/models\n/model fake/fake-model\n/model\nhi\n/exit\nnever sent\n")
    assert done.returncode == 0
    assert "fake/fake-model answers." in done.stderr
    assert "  fake/fake-embedding" in done.stderr
    assert len(provider.calls) == 1


def test_without_a_model_the_first_that_can_be_called_answers(home, provider):
    assert chat(home, stdin="hi\n").returncode == 0
    assert provider.calls[0].request.json()["model"] == "fake-model"


def test_an_error_is_one_line_and_the_talk_goes_on(home, provider):
    provider.next(Behaviour(status=400, body={"error": {"message": "too \n long", "type": "invalid", "code": "x"}}))
    done = chat(home, "-m", "fake/fake-model", stdin="first\nsecond\n")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert done.stdout.strip()
    # A question that was not answered is not part of the conversation.
    assert [row["content"] for row in provider.calls[1].request.json()["messages"]] == ["second"]


def test_an_answer_that_breaks_off_is_an_error(home, provider):
    provider.behaviour = Behaviour(text=("one ", "two ", "three "), trouble="close", after_events=3)
    done = chat(home, "-m", "fake/fake-model", stdin="hi\n")
    assert done.returncode == 1
    assert "one" in done.stdout
    assert done.stderr.startswith("error: ")


def test_a_model_can_not_drive_the_terminal(home, provider):
    provider.behaviour = Behaviour(text=("\x1b]0;owned\x07\x1b[2J", "a\tb\nc"))
    done = chat(home, "-m", "fake/fake-model", stdin="hi\n")
    assert "\x1b" not in done.stdout
    assert "\x07" not in done.stdout
    assert "a\tb\nc" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--model", "nobody/x"], 1, "nobody"),
        (["--model", "openai/gpt-5.5"], 1, "openai"),
        (["--model", "no-such-model"], 1, "no-such-model"),
        (["--model", "fake/fake-model", "--profile", "nope"], 1, "nope"),
        (["--model"], 2, "--model"),
        (["hello"], 2, "extra argument"),
        (["--temperature", "1"], 2, "--temperature"),
    ],
)
def test_what_can_not_be_talked_to_is_said_before_any_prompt(home, provider, arguments, code, message):
    done = chat(home, *arguments, stdin="hi\n")
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert provider.calls == []


@pytest.mark.parametrize("line", ["/nope", "/", "/model nobody/x", "/modelx", "/model \x1b[31m"])
def test_a_bad_command_is_told_and_counts_as_a_failure(home, provider, line):
    done = chat(home, "-m", "demo/echo", stdin=f"{line}\n")
    assert done.returncode == 1
    assert done.stderr
    assert "Traceback" not in done.stderr
    assert provider.calls == []


@pytest.fixture
def terminal(home, at_terminal):
    return at_terminal(home, "chat", "--model", "fake/fake-model")


def test_ctrl_c_stops_an_answer_and_not_the_program(terminal, provider):
    provider.next(Behaviour(text=tuple(f"word{number} " for number in range(200)), pace=0.1))
    terminal.read_until("> ")
    terminal.type("talk\n")
    terminal.read_until("word3 ")
    terminal.type("\x03")
    terminal.read_until(r"\(stopped\)")
    provider.wait_until(lambda: provider.calls[0].outcome == "client_gone")
    terminal.read_until("> ")
    provider.behaviour = Behaviour(text=("still here",))
    terminal.type("hello\n")
    terminal.read_until("still here")
    roles = [row["role"] for row in provider.calls[1].request.json()["messages"]]
    assert roles == ["user", "assistant", "user"]
    terminal.read_until("> ")
    terminal.type("\x04")
    assert terminal.process.wait(10) == 0


def test_ctrl_c_at_the_prompt_says_how_to_leave_and_exit_leaves(terminal):
    terminal.read_until("> ")
    terminal.type("half a li")
    terminal.read_until("half a li")
    # Between two keys readline may be deaf for some microseconds, which no person can hit.
    time.sleep(0.2)
    terminal.type("\x03")
    terminal.read_until("/exit leaves")
    terminal.read_until("> ")
    terminal.type("/help\n")
    terminal.read_until("/system TEXT")
    terminal.type("/exit\n")
    assert terminal.process.wait(10) == 0
