"""Codex, run as a person runs it in a script: one line of JSON a case.

Environment: BASE_URL, API_KEY, MODEL; CODEX, the command; CONNECTED, where its settings are written already, in HOME.
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

SETTINGS = """\
model_provider = "gateway"

[model_providers.gateway]
name = "gateway"
base_url = "{base_url}"
wire_api = "responses"
env_key = "GATEWAY_KEY"
"""
#: Nothing is asked of anybody but the gateway.
QUIET = ("-c", "analytics.enabled=false", "-c", "check_for_update_on_startup=false", "-c", 'web_search="disabled"')

Codex = Callable[..., tuple[int, list[dict[str, object]], str]]


def items(events: list[dict[str, object]], kind: str) -> list[dict[str, object]]:
    found = (event["item"] for event in events if event["type"] == "item.completed")
    return [item for item in found if isinstance(item, dict) and item["type"] == kind]


def said(events: list[dict[str, object]]) -> str:
    return "".join(str(item["text"]) for item in items(events, "agent_message"))


def plain(codex: Codex) -> str:
    code, events, told = codex("hello")
    assert code == 0, told
    assert said(events), events
    usage = next(event["usage"] for event in events if event["type"] == "turn.completed")
    assert isinstance(usage, dict)
    assert usage["output_tokens"] > 0, usage
    return repr(said(events))


def tools(codex: Codex) -> str:
    code, events, told = codex('Please /call exec_command {"cmd": "echo hi-from-a-tool"}')
    assert code == 0, told
    (command,) = items(events, "command_execution")
    assert command["exit_code"] == 0, command
    assert str(command["aggregated_output"]).strip() == "hi-from-a-tool", command
    assert said(events), events
    return str(command["command"])


def errors(codex: Codex) -> str:
    code, events, told = codex("-m", "no-such-provider/no-such-model", "hello")
    assert code != 0
    failed = next(event["error"] for event in events if event["type"] == "turn.failed")
    assert "no-such-provider" in str(failed), failed
    assert "Traceback" not in told
    return str(failed)


CASES: tuple[Callable[[Codex], str], ...] = (plain, tools, errors)


def in_home(home: Path) -> Codex:
    """The command with a home, and a folder to work in, of its own."""
    work = home / "work"
    work.mkdir(parents=True, exist_ok=True)
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    environ = kept | {"HOME": str(home), "CODEX_HOME": str(home / ".codex"), "GATEWAY_KEY": os.environ["API_KEY"]}
    model = ()
    if not os.environ.get("CONNECTED"):
        model = ("-m", os.environ["MODEL"])
        (home / ".codex").mkdir(exist_ok=True)
        (home / ".codex" / "config.toml").write_text(SETTINGS.format(base_url=os.environ["BASE_URL"]))

    def codex(*arguments: str) -> tuple[int, list[dict[str, object]], str]:
        chosen = () if "-m" in arguments else model
        command = [os.environ["CODEX"], "exec", "--json", "--skip-git-repo-check", "-s", "read-only"]
        command += [*QUIET, *chosen, *arguments]
        done = subprocess.run(
            command, cwd=work, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
        )
        events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        return done.returncode, events, done.stderr + done.stdout

    return codex


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
