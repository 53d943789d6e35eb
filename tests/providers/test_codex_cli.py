"""Codex as a command: what it is told, and what it may not do."""

from __future__ import annotations

import json
from dataclasses import replace

import msgspec
import pytest

from open_llm_auth.errors import InternalError, InvalidRequest, UpstreamCredentialRejected
from open_llm_auth.providers.codex_cli import CODEX_CLI, prepare
from open_llm_auth.providers.spec import Sending
from open_llm_auth.values import Credential, Provider, Secret, Timeouts
from open_llm_auth.wire.codex_cli import write_request
from open_llm_auth.wire.conversation import Conversation, OutputFormat, Reasoning, Text, Turn
from open_llm_auth.wire.program import write_ending

PROVIDER = Provider("codex-cli", "codex-cli", "cli")
CREDENTIAL = Credential("none:codex-cli", "codex-cli", "none", "cli")
TERSE = (Text("You are terse."),)


def prepared(provider=PROVIDER, credential=CREDENTIAL, model="gpt-5.5", operation="chat", **fields):
    conversation = Conversation((Turn("user", (Text("Grüß Gott"),)),), **fields)
    body = msgspec.json.encode(write_request(conversation, model))
    return prepare(provider, credential, Sending(operation, model, True, body, timeouts=Timeouts(idle=7)))


def settings(command):
    found = (argument.removeprefix("--config=") for argument in command.arguments if argument.startswith("--config="))
    return dict(setting.split("=", 1) for setting in found)


def test_the_prompt_goes_in_and_nothing_of_it_stands_where_all_users_can_read_it():
    command = prepared(system=TERSE)
    assert command.input.decode() == "Grüß Gott"
    assert command.arguments[-1] == "-"
    assert command.files == (("system.txt", b"You are terse."),)
    assert settings(command)["model_instructions_file"] == '"system.txt"'
    assert not any("terse" in argument or "Gott" in argument for argument in command.arguments)


def test_without_a_system_text_it_keeps_its_own():
    assert prepared().files == ()
    assert "model_instructions_file" not in settings(prepared())


def test_by_default_the_program_may_do_nothing_but_answer():
    command = prepared()
    assert command.arguments[:2] == ("codex", "exec")
    for flag in ("--sandbox=read-only", "--ephemeral", "--ignore-user-config", "--ignore-rules"):
        assert flag in command.arguments
    told = settings(command)
    assert told["web_search"] == '"disabled"'
    assert told["project_doc_max_bytes"] == "0"
    for feature in ("shell_tool", "unified_exec", "view_image", "hooks", "plugins", "apps", "multi_agent"):
        assert told[f"features.{feature}"] == "false"
    assert command.folder is None


def test_no_key_reaches_it():
    command = prepared(credential=replace(CREDENTIAL, secret=Secret("sk-canary")))
    assert not any("KEY" in name or "TOKEN" in name for name in (*command.environment, *dict(command.settings)))
    assert "sk-canary" not in repr((command.arguments, command.settings, command.input, command.files))


def test_only_the_config_names_another_program_or_adds_arguments():
    command = prepared(replace(PROVIDER, command="/opt/codex", arguments=("--profile", "work")))
    assert command.arguments[0] == "/opt/codex"
    assert command.arguments[-3:] == ("--profile", "work", "-")


def test_model_reasoning_and_a_strict_schema_are_told():
    schema = {"type": "object", "properties": {}, "additionalProperties": False}
    command = prepared(reasoning=Reasoning(effort="high"), output=OutputFormat(schema, strict=True))
    assert "--model=gpt-5.5" in command.arguments
    assert settings(command)["model_reasoning_effort"] == '"high"'
    assert "--output-schema=schema.json" in command.arguments
    assert json.loads(dict(command.files)["schema.json"]) == schema


@pytest.mark.parametrize("model", ["--dangerously-bypass-approvals-and-sandbox", "-x"])
def test_no_name_of_a_model_can_be_an_option(model):
    with pytest.raises(InvalidRequest) as caught:
        prepared(model=model)
    assert caught.value.param == "model"


def test_it_can_only_be_asked_to_chat():
    with pytest.raises(InvalidRequest, match="count_tokens"):
        prepared(operation="count_tokens")
    with pytest.raises(InternalError):
        prepare(PROVIDER, CREDENTIAL, Sending("chat", "m", True, b"{}"))


def test_how_to_get_it_and_how_long_to_wait_go_with_it():
    command = prepared()
    assert "@openai/codex" in command.install
    assert command.timeouts.idle == 7
    assert command.provider == "codex-cli"


def test_its_ends_are_faults():
    signed_out = CODEX_CLI.read_error("codex-cli", 502, (), write_ending(1, b"Error: Not logged in"), str)
    assert isinstance(signed_out.error, UpstreamCredentialRejected)
    assert (signed_out.kind, signed_out.status) == ("auth", 401)
    odd = CODEX_CLI.read_error("codex-cli", 502, (), write_ending(2, b"error: unexpected argument '--x' found"), str)
    assert (odd.kind, odd.status) == ("server", 502)
    assert "unexpected argument '--x'" in odd.error.message


def test_it_answers_in_streams_alone_and_lists_nothing():
    assert CODEX_CLI.stream_only
    assert CODEX_CLI.is_program
    assert CODEX_CLI.prepare_models is None
