"""Codex on this machine, with the sign-in it has itself (``api: codex-cli``).

The program gets a prompt and gives text. By default it may do nothing else: no shell, no files, no search, no settings,
hooks or skills of the user's, no session on disk. What widens that stands in the config (`args`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from ..values import Command, Credential, Provider
from ..wire.codex_cli import Prompt
from ..wire.codex_cli import read_error as read_body
from .program import ending_reader, read_prompt
from .spec import Sending, UpstreamKind

__all__ = ["CODEX_CLI", "prepare"]

_PROGRAM: Final = "codex"
_INSTALL: Final = "npm install -g @openai/codex"
_SYSTEM_FILE: Final = "system.txt"
_SCHEMA_FILE: Final = "schema.json"

#: Features that give the model something to do on this machine, or tell it of it. `shell_tool` in its read-only sandbox
#: would still read every file. A release that lacks one of the names passes over it.
_OFF: Final = (
    "apps",
    "browser_use",
    "computer_use",
    "goals",
    "hooks",
    "image_generation",
    "multi_agent",
    "plugins",
    "shell_snapshot",
    "shell_tool",
    "skill_search",
    "tool_suggest",
    # waits for a network without end
    "unbounded_connection_retries",
    "unified_exec",
    "view_image",
)
_CONFIG: Final = (
    *(f"features.{name}=false" for name in _OFF),
    'web_search="disabled"',
    "project_doc_max_bytes=0",
    "skills.bundled.enabled=false",
    "skills.include_instructions=false",
    "include_environment_context=false",
    "include_permissions_instructions=false",
)
_ARGUMENTS: Final = (
    *("exec", "--json", "--color=never", "--skip-git-repo-check", "--sandbox=read-only"),
    *("--ephemeral", "--ignore-user-config", "--ignore-rules"),
)
#: Where the user keeps the sign-in, and certificates of the user's network. No key of a provider and nothing of the
#: gateway's.
_ENVIRONMENT: Final = ("CODEX_HOME", "SSL_CERT_DIR", "SSL_CERT_FILE")


def prepare(
    provider: Provider,
    credential: Credential,  # noqa: ARG001 - the program has its own
    sending: Sending,
) -> Command:
    """The command for one call.

    Raises:
        InvalidRequest: it is not a chat, or the model's name would be read as an option.
    """
    prompt = read_prompt(provider, sending, Prompt)
    files = tuple(_files(prompt))
    return Command(
        provider.id,
        (
            provider.command or _PROGRAM,
            *_ARGUMENTS,
            *(f"--config={setting}" for setting in (*_CONFIG, *_settings(prompt))),
            *((f"--output-schema={_SCHEMA_FILE}",) if prompt.schema is not None else ()),
            f"--model={sending.model}",
            *provider.arguments,
            "-",
        ),
        input=prompt.prompt.encode(),
        environment=_ENVIRONMENT,
        files=files,
        timeouts=sending.timeouts,
        install=_INSTALL,
    )


def _settings(prompt: Prompt) -> Iterator[str]:
    if prompt.effort:
        yield f'model_reasoning_effort="{prompt.effort}"'
    if prompt.system:
        yield f'model_instructions_file="{_SYSTEM_FILE}"'


def _files(prompt: Prompt) -> Iterator[tuple[str, bytes]]:
    """What is too long, or nobody else's business, in a list of arguments that all users of the machine can read."""
    if prompt.system:
        yield _SYSTEM_FILE, prompt.system.encode()
    if prompt.schema is not None:
        yield _SCHEMA_FILE, msgspec.json.encode(prompt.schema)


CODEX_CLI: Final = UpstreamKind(
    api="codex-cli",
    dialect="codex-cli",
    prepare=prepare,
    prepare_models=None,
    read_error=ending_reader(read_body),
    stream_only=True,
    is_program=True,
)
