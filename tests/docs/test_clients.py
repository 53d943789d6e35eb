"""The lines of docs/clients.md, run as they stand against a real gateway."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from open_llm_auth.cli.recipes import RECIPES

PAGE = Path(__file__).parents[2] / "docs" / "clients.md"

SAID = "Demo provider: no model is connected yet. You said: Hello"


def pieces(heading: str, language: str) -> list[str]:
    """The code of that language below a heading."""
    part = PAGE.read_text("utf-8").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    found = re.findall(rf"^```{language}\n(.*?)^```", part, re.MULTILINE | re.DOTALL)
    assert found, heading
    return found


@pytest.fixture
def environ(gateway: Any) -> dict[str, str]:
    """What the page tells a person to export, with the address and the token of a running gateway."""
    (lines,) = pieces("Environment", "sh")
    names = re.findall(r"^export (\w+)=", lines, re.MULTILINE)
    assert names == ["OPENAI_BASE_URL", "OPENAI_API_KEY"]
    ours = {"OPENAI_BASE_URL": f"http://127.0.0.1:{gateway.port}/v1", "OPENAI_API_KEY": gateway.token}
    return {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **ours}


def run(command: list[str], environ: dict[str, str]) -> str:
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_curl_lines_work(environ: dict[str, str]) -> None:
    if shutil.which("curl") is None or shutil.which("sh") is None:
        pytest.skip("no curl on this machine: THE CURL LINES OF docs/clients.md ARE NOT RUN")
    plain, streamed = pieces("curl", "sh")
    assert SAID in run(["sh", "-c", plain], environ)
    answer = run(["sh", "-c", streamed], environ)
    assert answer.startswith("data: ")
    assert answer.rstrip().endswith("data: [DONE]")


def test_the_python_lines_work(environ: dict[str, str]) -> None:
    pytest.importorskip("openai", reason="no openai package: THE PYTHON LINES OF docs/clients.md ARE NOT RUN")
    (code,) = pieces("OpenAI SDK for Python", "python")
    printed = run([sys.executable, "-c", code], environ).splitlines()
    assert any(line.startswith("fake/") for line in printed)
    assert printed[-2:] == [SAID, f"{SAID} again"]


def test_the_lines_for_llm_work(environ: dict[str, str], tmp_path: Path) -> None:
    pytest.importorskip("llm", reason="no llm package: THE LINES FOR llm IN docs/clients.md ARE NOT RUN")
    (models,) = pieces("llm", "yaml")
    written = models.replace("http://127.0.0.1:8080/v1", environ["OPENAI_BASE_URL"])
    assert written != models
    (tmp_path / "extra-openai-models.yaml").write_text(written, "utf-8")
    command = [sys.executable, "-m", "llm", "-m", "gateway", "--key", environ["OPENAI_API_KEY"], "Hello"]
    assert SAID in run(command, {**environ, "LLM_USER_PATH": str(tmp_path)})


def test_the_node_lines_work(environ: dict[str, str], tmp_path: Path) -> None:
    modules = PAGE.parents[1] / ".cache" / "node" / "node_modules"
    if shutil.which("node") is None or not (modules / "openai").is_dir():
        pytest.skip("no Node or no openai package for it: THE NODE LINES OF docs/clients.md ARE NOT RUN")
    (code,) = pieces("OpenAI SDK for Node", "js")
    (tmp_path / "node_modules").symlink_to(modules)
    (tmp_path / "lines.mjs").write_text(code, "utf-8")
    assert run(["node", str(tmp_path / "lines.mjs")], environ).strip() == SAID


def test_every_client_that_can_be_connected_is_in_the_table_with_where_it_is_told() -> None:
    rows = re.findall(r"^\| ([\w .]+) \| `([\w-]+)` \| [\w ]+ \| (.+) \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert [(title, client) for title, client, _ in rows] == [(row.title, row.client) for row in RECIPES.values()]
    for _, client, told in rows:
        for file in RECIPES[client].files:
            folder, _, name = file.place.rpartition("/")
            assert name in told
            assert folder in told
        assert all(name in told for name, _ in RECIPES[client].environment if client != "curl")


def test_the_lines_for_codex_are_those_of_its_recipe() -> None:
    (lines,) = pieces("Codex", "toml")
    written = tomllib.loads(lines)
    (file,) = RECIPES["codex"].files
    paths = {path for setting in file.settings if (path := setting.path)[-1] != "experimental_bearer_token"}
    own = written["model_providers"]["open-llm-auth"]
    assert {(name,) for name in written.keys() - {"model_providers"}} | {
        ("model_providers", "open-llm-auth", name) for name in own.keys() - {"env_key"}
    } == paths
