"""Claude Code on this machine, with the sign-in it has itself (``api: claude-cli``).

The program gets a prompt and gives text. By default it may do nothing else: no tools, no servers of tools, no settings,
hooks or commands of the user's, no files, no session on disk. What widens that stands in the config (`args`).
"""

from __future__ import annotations

from typing import Final

import msgspec

from ..values import Command, Credential, Provider
from ..wire.claude_cli import Prompt
from ..wire.claude_cli import read_error as read_body
from .program import ending_reader, read_prompt
from .spec import Sending, UpstreamKind

__all__ = ["CLAUDE_CLI", "prepare"]

_PROGRAM: Final = "claude"
_INSTALL: Final = "npm install -g @anthropic-ai/claude-code"
_SYSTEM_FILE: Final = "system.txt"

_ARGUMENTS: Final = (
    *("-p", "--verbose", "--input-format", "stream-json", "--output-format", "stream-json"),
    "--include-partial-messages",
    # Whoever may send a prompt may not read this machine's files, and `@path` within a prompt would read one even where
    # there are no tools: a rule against reading stops it, and so does the setting below.
    *("--tools", "", "--disallowedTools", "Read(//**)"),
    *("--strict-mcp-config", "--setting-sources", "", "--disable-slash-commands"),
    "--no-session-persistence",
    # In a file: a list of arguments is short, and open to all users of the machine. Empty is none, where the default is
    # a text on coding and on this machine.
    *("--system-prompt-file", _SYSTEM_FILE),
)
#: The sign-in, where the user keeps it, and certificates of the user's network. No key of a provider and nothing of the
#: gateway's: with an API key in its environment the program would bill that instead.
_ENVIRONMENT: Final = ("CLAUDE_CODE_OAUTH_TOKEN", "CLAUDE_CONFIG_DIR", "NODE_EXTRA_CA_CERTS")
_SETTINGS: Final = (
    ("CLAUDE_CODE_DISABLE_ATTACHMENTS", "1"),
    ("CLAUDE_CODE_DISABLE_AUTO_MEMORY", "1"),
    ("CLAUDE_CODE_DISABLE_CLAUDE_MDS", "1"),
    # a second call for a title, telemetry, updates
    ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
    # a stream that breaks would be answered again from its start
    ("CLAUDE_CODE_DISABLE_NONSTREAMING_FALLBACK", "1"),
    # the gateway knows better whom to ask next
    ("CLAUDE_CODE_MAX_RETRIES", "0"),
    ("DISABLE_AUTOUPDATER", "1"),
)


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
    effort = (f"--effort={prompt.effort}",) if prompt.effort else ()
    thinking = () if prompt.thinking is None else (("MAX_THINKING_TOKENS", str(prompt.thinking)),)
    return Command(
        provider.id,
        (provider.command or _PROGRAM, *_ARGUMENTS, f"--model={sending.model}", *effort, *provider.arguments),
        input=_input(prompt),
        environment=_ENVIRONMENT,
        settings=(*_SETTINGS, *thinking),
        files=((_SYSTEM_FILE, prompt.system.encode()),),
        timeouts=sending.timeouts,
        install=_INSTALL,
    )


def _input(prompt: Prompt) -> bytes:
    """One message of a user as one line."""
    message = {"role": "user", "content": prompt.content}
    line = {"type": "user", "message": message, "parent_tool_use_id": None, "session_id": ""}
    return msgspec.json.encode(line) + b"\n"


CLAUDE_CLI: Final = UpstreamKind(
    api="claude-cli",
    dialect="claude-cli",
    prepare=prepare,
    prepare_models=None,
    read_error=ending_reader(read_body),
    stream_only=True,
    is_program=True,
)
