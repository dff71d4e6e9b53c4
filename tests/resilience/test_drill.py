"""The drill of several processes over Redis, in ten seconds: against a provider that enforces the same limits."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed")
def test_four_processes_use_a_shared_limit_and_are_never_refused_though_one_is_killed() -> None:
    command = [sys.executable, "-m", "benchmarks.limits", "quick"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
