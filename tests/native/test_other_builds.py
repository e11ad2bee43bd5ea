"""The C code in other builds, driven from Python: under sanitizers, and as for another processor."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "dnw_graph" / "native" / "source").glob("*.c"))
FLAGS = ["-g", "-std=gnu11", "-pthread", "-fPIC", "-shared", "-Wno-psabi"]
DRIVER = Path(__file__).with_name("exercise.py")


def exercise(folder: Path, flags: list[str], **environment: str) -> None:
    """Build the kernels with these flags and run the driver on them, which compares with torch's products."""
    compiler = shutil.which("gcc")
    assert compiler is not None, "the tests of other builds need gcc"
    built = folder / "kernels.so"
    subprocess.run([compiler, *flags, *FLAGS, *map(str, SOURCES), "-o", str(built)], check=True)
    variables = os.environ | {"DNW_GRAPH_NATIVE": str(built), "PYTHONPATH": str(ROOT)} | environment
    done = subprocess.run([sys.executable, str(DRIVER)], env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    assert "runtime error" not in done.stderr
    assert done.stdout.strip().endswith("exercised")


@pytest.mark.slow
@pytest.mark.parametrize("instructions", ["", "portable"])
def test_no_access_out_of_bounds_and_no_undefined_behaviour(instructions, tmp_path):
    found = subprocess.run(["gcc", "-print-file-name=libasan.so"], check=True, capture_output=True, text=True)
    exercise(
        tmp_path,
        ["-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
        ASAN_OPTIONS="detect_leaks=0",
        LD_PRELOAD=found.stdout.strip(),
        DNW_GRAPH_INSTRUCTIONS=instructions,
    )


@pytest.mark.slow
def test_the_code_for_16_lanes(tmp_path):
    """As it is compiled for AVX-512, in instructions that any processor of the last ten years has."""
    exercise(tmp_path, ["-O2", "-DDNW_EMULATE_AVX512"], DNW_GRAPH_INSTRUCTIONS="avx512")
