"""A seeded slice of `scripts/chaos`, which runs in full by hand (docs/measured.md has what it said)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).with_name("run.py")


@pytest.mark.timeout(300)
def test_ten_seeded_runs_present_no_refresh_token_without_a_reason() -> None:
    command = [sys.executable, str(RUN), "--runs", "10", "--seed", "20", "--short"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=290)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "10 of 10 runs without a fault" in done.stdout
