"""The `llm` command line, run as a person runs it: one line of JSON a case.

Environment: BASE_URL, API_KEY, MODEL.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

MODELS = """\
- model_id: gateway
  model_name: {model}
  api_base: {base_url}
  api_key_name: gateway
  supports_tools: true
  supports_schema: true
- model_id: unknown
  model_name: no-such-provider/no-such-model
  api_base: {base_url}
  api_key_name: gateway
"""

Llm = Callable[..., "subprocess.CompletedProcess[str]"]


def said(done: "subprocess.CompletedProcess[str]") -> str:
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip(), done.stderr
    return repr(done.stdout.strip())


def plain(llm: Llm) -> str:
    return said(llm("--no-stream", "-o", "max_tokens", "8", "hello"))


def stream(llm: Llm) -> str:
    return said(llm("-o", "max_tokens", "8", "hello"))


def stream_usage(llm: Llm) -> str:
    done = llm("-u", "-o", "max_tokens", "8", "hello")
    assert "Token usage" in done.stderr, done.stderr
    return done.stderr.strip()


def tools(llm: Llm) -> str:
    done = llm("-T", "llm_version", "--td", "/tool llm_version")
    assert "Tool call: llm_version" in done.stderr, done.stderr
    return said(done)


def parse(llm: Llm) -> str:
    schema = {"type": "object", "properties": {"ready": {"type": "boolean"}}, "required": ["ready"]}
    done = llm("--schema", json.dumps(schema), "hello")
    assert isinstance(json.loads(done.stdout)["ready"], bool), done
    return said(done)


def errors(llm: Llm) -> str:
    done = llm("-m", "unknown", "hello")
    assert done.returncode == 1
    assert "404" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.strip()


CASES: tuple[Callable[[Llm], str], ...] = (plain, stream, stream_usage, tools, parse, errors)


def in_folder(folder: str) -> Llm:
    """The command with a user folder of its own."""
    Path(folder, "extra-openai-models.yaml").write_text(
        MODELS.format(model=os.environ["MODEL"], base_url=os.environ["BASE_URL"])
    )
    Path(folder, "keys.json").write_text(json.dumps({"gateway": os.environ["API_KEY"]}))
    environ = os.environ | {"LLM_USER_PATH": folder, "LLM_LOAD_PLUGINS": ""}

    def llm(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "llm", "-m", "gateway", "-n", *arguments]
        return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)

    return llm


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as own_folder:
        command = in_folder(own_folder)
        for case in CASES:
            try:
                outcome = {"case": case.__name__, "ok": True, "seen": case(command)}
            except Exception as error:  # noqa: BLE001 - whatever goes wrong is this case's result
                outcome = {"case": case.__name__, "ok": False, "seen": f"{type(error).__name__}: {error}"}
            print(json.dumps(outcome), flush=True)
