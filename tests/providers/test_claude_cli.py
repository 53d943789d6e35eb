"""Claude Code as a command: what it is told, and what it may not do."""

from __future__ import annotations

import json
from dataclasses import replace

import msgspec
import pytest

from open_llm_auth.errors import InternalError, InvalidRequest, UpstreamCredentialRejected
from open_llm_auth.providers.claude_cli import CLAUDE_CLI, prepare
from open_llm_auth.providers.spec import Sending
from open_llm_auth.values import Credential, Provider, Secret, Timeouts
from open_llm_auth.wire.claude_cli import write_request
from open_llm_auth.wire.conversation import Conversation, Image, Reasoning, Text, Turn
from open_llm_auth.wire.program import write_ending

PROVIDER = Provider("claude-cli", "claude-cli", "cli")
CREDENTIAL = Credential("none:claude-cli", "claude-cli", "none", "cli")


def prepared(provider=PROVIDER, credential=CREDENTIAL, model="sonnet", operation="chat", **fields):
    turn = Turn("user", (Text("Grüß Gott"), Image("image/png", "AAAA")))
    conversation = Conversation((turn,), system=(Text("You are terse."),), **fields)
    body = msgspec.json.encode(write_request(conversation, model))
    return prepare(provider, credential, Sending(operation, model, True, body, timeouts=Timeouts(idle=7)))


def option(command, name):
    return command.arguments[command.arguments.index(name) + 1]


def test_the_prompt_goes_in_as_one_line_of_a_message():
    command = prepared()
    assert command.input.endswith(b"\n")
    assert command.input.count(b"\n") == 1
    line = json.loads(command.input)
    assert (line["type"], line["message"]["role"]) == ("user", "user")
    assert [part["type"] for part in line["message"]["content"]] == ["text", "image", "text"]
    assert line["message"]["content"][-1]["text"] == "Grüß Gott\n\n[image 1]"


def test_neither_prompt_nor_system_text_stands_where_all_users_can_read_it():
    command = prepared()
    assert command.files == (("system.txt", b"You are terse."),)
    assert option(command, "--system-prompt-file") == "system.txt"
    assert not any("terse" in argument or "Gott" in argument for argument in command.arguments)


def test_by_default_the_program_may_do_nothing_but_answer():
    command = prepared()
    assert command.arguments[0] == "claude"
    assert option(command, "--tools") == ""
    assert option(command, "--disallowedTools") == "Read(//**)"
    assert option(command, "--setting-sources") == ""
    for flag in ("--strict-mcp-config", "--disable-slash-commands", "--no-session-persistence"):
        assert flag in command.arguments
    settings = dict(command.settings)
    assert settings["CLAUDE_CODE_DISABLE_ATTACHMENTS"] == "1"
    assert settings["CLAUDE_CODE_DISABLE_CLAUDE_MDS"] == "1"
    assert command.folder is None


def test_no_key_reaches_it_and_no_address_but_by_the_config():
    command = prepared(credential=replace(CREDENTIAL, secret=Secret("sk-canary")))
    names = {*command.environment, *dict(command.settings)}
    assert not any(name.startswith(("ANTHROPIC", "OPENAI", "OPEN_LLM_AUTH")) for name in names)
    assert "sk-canary" not in repr((command.arguments, command.settings, command.input, command.files))


def test_only_the_config_names_another_program_or_adds_arguments():
    command = prepared(replace(PROVIDER, command="/opt/claude", arguments=("--tools", "WebSearch")))
    assert command.arguments[0] == "/opt/claude"
    assert command.arguments[-2:] == ("--tools", "WebSearch")


def test_model_and_reasoning_are_told():
    command = prepared(reasoning=Reasoning(effort="high", budget=2048))
    assert "--model=sonnet" in command.arguments
    assert "--effort=high" in command.arguments
    assert dict(command.settings)["MAX_THINKING_TOKENS"] == "2048"
    assert dict(prepared(reasoning=Reasoning(enabled=False)).settings)["MAX_THINKING_TOKENS"] == "0"
    assert "MAX_THINKING_TOKENS" not in dict(prepared().settings)
    assert not any(argument.startswith("--effort") for argument in prepared().arguments)


@pytest.mark.parametrize("model", ["--dangerously-skip-permissions", "-x"])
def test_no_name_of_a_model_can_be_an_option(model):
    with pytest.raises(InvalidRequest) as caught:
        prepared(model=model)
    assert caught.value.param == "model"


def test_it_can_only_be_asked_to_chat():
    with pytest.raises(InvalidRequest, match="embeddings"):
        prepared(operation="embeddings")
    with pytest.raises(InternalError):
        prepare(PROVIDER, CREDENTIAL, Sending("chat", "m", True, b"[]"))


def test_how_to_get_it_and_how_long_to_wait_go_with_it():
    command = prepared()
    assert "@anthropic-ai/claude-code" in command.install
    assert command.timeouts.idle == 7
    assert command.provider == "claude-cli"


def test_its_ends_are_faults():
    signed_out = CLAUDE_CLI.read_error("claude-cli", 502, (), write_ending(1, b"Not logged in"), str)
    assert isinstance(signed_out.error, UpstreamCredentialRejected)
    assert (signed_out.kind, signed_out.status) == ("auth", 401)
    odd = CLAUDE_CLI.read_error("claude-cli", 502, (), write_ending(1, b"error: unknown option '--x'"), str)
    assert (odd.kind, odd.status) == ("server", 502)
    assert "unknown option '--x'" in odd.error.message
    nothing = CLAUDE_CLI.read_error("claude-cli", 502, (), b"<html>", str)
    assert "did not say why" in nothing.error.message


def test_it_answers_in_streams_alone_and_lists_nothing():
    assert CLAUDE_CLI.stream_only
    assert CLAUDE_CLI.is_program
    assert CLAUDE_CLI.prepare_models is None
