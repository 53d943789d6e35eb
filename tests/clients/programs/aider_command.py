"""aider, told to change a file by a model that answers `ANSWER`: one line of JSON a case.

Environment: BASE_URL, API_KEY, MODEL; AIDER, the command; CONNECTED, where its settings are written already, in HOME.
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

#: What the model has to say: the whole file.
ANSWER = "greeting.py\n```\nprint('new')\n```\n"
OPTIONS = (
    "--edit-format=whole",
    "--no-check-update",
    "--analytics-disable",
    "--no-git",
    "--yes-always",
    "--no-show-model-warnings",
    "--no-show-release-notes",
    "--no-pretty",
    "--no-suggest-shell-commands",
)

Aider = Callable[..., "subprocess.CompletedProcess[str]"]


def _edited(aider: Aider, *arguments: str) -> str:
    done = aider("--message", "Say new.", "greeting.py", *arguments)
    assert done.returncode == 0, done.stderr
    assert "Applied edit to greeting.py" in done.stdout, done.stdout
    return "Applied edit to greeting.py"


def stream(aider: Aider) -> str:
    return _edited(aider, "--stream")


def plain(aider: Aider) -> str:
    return _edited(aider, "--no-stream")


def errors(aider: Aider) -> str:
    done = aider("--message", "Say new.", "--model", "openai/no-such-provider/no-such-model")
    told = done.stdout + done.stderr
    assert "no-such-provider" in told, told
    assert "NotFoundError" in told, told
    return "NotFoundError"


CASES: tuple[Callable[[Aider], str], ...] = (stream, plain, errors)


def in_home(home: Path) -> Aider:
    """The command with a home, and a folder to work in, of its own."""
    work = home / "work"
    work.mkdir(parents=True, exist_ok=True)
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    # It would fetch a list of prices, and takes one that it fetched today.
    prices = home / ".aider" / "caches" / "model_prices_and_context_window.json"
    prices.parent.mkdir(parents=True, exist_ok=True)
    prices.write_text('{"none": {}}')
    environ = kept | {"HOME": str(home), "LITELLM_LOCAL_MODEL_COST_MAP": "True", "TERM": "dumb"}
    model = ()
    if not os.environ.get("CONNECTED"):
        environ |= {"OPENAI_API_BASE": os.environ["BASE_URL"], "OPENAI_API_KEY": os.environ["API_KEY"]}
        model = ("--model", f"openai/{os.environ['MODEL']}")

    def aider(*arguments: str) -> "subprocess.CompletedProcess[str]":
        (work / "greeting.py").write_text("print('old')\n")
        chosen = () if "--model" in arguments else model
        command = [os.environ["AIDER"], *OPTIONS, *chosen, *arguments]
        done = subprocess.run(
            command, cwd=work, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100
        )
        changed = (work / "greeting.py").read_text() == "print('new')\n"
        assert changed == ("Applied edit" in done.stdout), done.stdout
        return done

    return aider


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
