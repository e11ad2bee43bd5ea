"""The C code in other builds, driven from Python: under sanitizers, and as for another processor."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DRIVER = Path(__file__).with_name("exercise.py")


def exercise(variables: dict[str, str], **more: str) -> None:
    """Run the driver on a build of the kernels, which compares with torch's products."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | variables | more
    done = subprocess.run([sys.executable, str(DRIVER)], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    assert "runtime error" not in done.stderr
    assert done.stdout.strip().endswith("exercised")


@pytest.mark.slow
@pytest.mark.parametrize("instructions", ["", "portable"])
def test_no_access_out_of_bounds_and_no_undefined_behaviour(instructions, other_build):
    exercise(other_build("sanitizers"), DNW_GRAPH_INSTRUCTIONS=instructions)


@pytest.mark.slow
def test_the_code_for_16_lanes(other_build):
    """As it is compiled for AVX-512, in instructions that any processor of the last ten years has."""
    exercise(other_build("sixteen lanes"), DNW_GRAPH_INSTRUCTIONS="avx512")
