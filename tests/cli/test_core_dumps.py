"""A process that holds secrets leaves no core dump."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_SHOWS = """
import resource
from open_llm_auth.cli import main

def show(*_, **__):
    print(resource.getrlimit(resource.RLIMIT_CORE))
    try:
        import ctypes
        print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
    except AttributeError:
        print("elsewhere")

main([], commands=show)
"""


def test_the_command_line_forbids_them_before_it_does_anything() -> None:
    done = subprocess.run([sys.executable, "-c", _SHOWS], capture_output=True, text=True, check=True)
    limit, dumpable = done.stdout.split("\n")[:2]
    assert limit == "(0, 0)"
    assert dumpable == ("0" if sys.platform == "linux" else "elsewhere")


@pytest.mark.skipif(not Path("/proc/self/limits").exists(), reason="NO /proc: limits of another process stay unknown")
def test_a_gateway_that_serves_has_none(tmp_path: Path) -> None:
    from open_llm_auth.testing import GatewayProcess

    with GatewayProcess(tmp_path, {}, token="") as gateway:
        limits = Path(f"/proc/{gateway.pid}/limits").read_text()
    line = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
    assert line.split()[4:6] == ["0", "0"]
