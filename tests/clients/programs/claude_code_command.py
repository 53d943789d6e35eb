"""Claude Code, run as a person runs it in a script: one line of JSON a case.

Environment: BASE_URL, API_KEY, MODEL; CLAUDE, the command; CONNECTED, where its settings are written already, in HOME.
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

#: Nothing is asked of anybody but the gateway.
QUIET = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_TELEMETRY": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "DISABLE_AUTOUPDATER": "1",
    "CLAUDE_CODE_MAX_RETRIES": "1",
}

Claude = Callable[..., tuple[int, list[dict[str, Any]], str]]


def result(events: list[dict[str, Any]], told: str) -> dict[str, Any]:
    found = [event for event in events if event["type"] == "result"]
    assert len(found) == 1, told
    return found[0]


def blocks(events: list[dict[str, Any]], kind: str) -> Iterator[dict[str, Any]]:
    for event in events:
        content = event["message"]["content"] if event["type"] in ("assistant", "user") else ()
        yield from (block for block in content if isinstance(block, dict) and block["type"] == kind)


def plain(claude: Claude) -> str:
    code, events, told = claude("hello")
    assert code == 0, told
    end = result(events, told)
    assert end["result"], end
    assert not end["is_error"], end
    assert end["usage"]["output_tokens"] > 0, end["usage"]
    return repr(end["result"])


def tools(claude: Claude) -> str:
    asked = 'Please /call Bash {"command": "echo hi-from-a-tool", "description": "Say hi"}'
    code, events, told = claude(asked, "--allowedTools", "Bash(echo hi-from-a-tool)")
    assert code == 0, told
    end = result(events, told)
    assert end["num_turns"] == 2, told
    assert not end["permission_denials"], end
    (back,) = blocks(events, "tool_result")
    assert "hi-from-a-tool" in str(back["content"]), back
    assert end["result"], end
    return str(back["content"])


def json_schema(claude: Claude) -> str:
    """Its own way to an answer in a shape: a tool that it declares, and calls when the model does."""
    schema = {"type": "object", "properties": {"ready": {"type": "boolean"}}, "required": ["ready"]}
    asked = 'Please /call StructuredOutput {"ready": true}'
    code, events, told = claude(asked, "--json-schema", json.dumps(schema))
    assert code == 0, told
    end = result(events, told)
    assert end["structured_output"] == {"ready": True}, end
    return json.dumps(end["structured_output"])


def errors(claude: Claude) -> str:
    code, events, told = claude("hello", "--model", "no-such-provider/no-such-model")
    end = result(events, told)
    assert code != 0
    assert end["is_error"], end
    return str(end["result"])


CASES: tuple[Callable[[Claude], str], ...] = (plain, tools, json_schema, errors)


def in_home(home: Path) -> Claude:
    """The command with a home, and a folder to work in, of its own."""
    work = home / "work"
    work.mkdir(parents=True, exist_ok=True)
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    environ = kept | QUIET | {"HOME": str(home)}
    if not os.environ.get("CONNECTED"):
        environ["ANTHROPIC_BASE_URL"] = os.environ["BASE_URL"].removesuffix("/v1")
        environ["ANTHROPIC_AUTH_TOKEN"] = os.environ["API_KEY"]
        environ["ANTHROPIC_MODEL"] = environ["ANTHROPIC_DEFAULT_HAIKU_MODEL"] = os.environ["MODEL"]

    def claude(prompt: str, *arguments: str) -> tuple[int, list[dict[str, Any]], str]:
        command = [os.environ["CLAUDE"], "-p", prompt, "--output-format", "stream-json", "--verbose", *arguments]
        done = subprocess.run(
            command, cwd=work, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
        )
        events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        return done.returncode, events, done.stderr + done.stdout

    return claude


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as own_home:
        connected = os.environ.get("CONNECTED")
        command = in_home(Path(os.environ["HOME"] if connected else own_home))
        for case in CASES:
            try:
                outcome = {"case": case.__name__, "ok": True, "seen": case(command)}
            except Exception as error:  # noqa: BLE001 - whatever goes wrong is this case's result
                outcome = {"case": case.__name__, "ok": False, "seen": f"{type(error).__name__}: {error}"}
            print(json.dumps(outcome), flush=True)
