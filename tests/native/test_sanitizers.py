"""The C code under the address and undefined-behaviour sanitizers, driven from Python."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "dnw_graph" / "native" / "source").glob("*.c"))
FLAGS = ["-g", "-O1", "-std=gnu11", "-pthread", "-fPIC", "-shared", "-Wno-psabi"]
DRIVER = Path(__file__).with_name("exercise.py")


@pytest.mark.slow
def test_no_access_out_of_bounds_and_no_undefined_behaviour(tmp_path):
    compiler = shutil.which("gcc")
    assert compiler is not None, "the sanitizer tests need gcc"
    built = tmp_path / "kernels.so"
    flags = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", *FLAGS]
    subprocess.run([compiler, *flags, *map(str, SOURCES), "-o", str(built)], check=True)
    runtime = subprocess.run(
        [compiler, "-print-file-name=libasan.so"], check=True, capture_output=True, text=True
    )
    environment = os.environ | {
        "ASAN_OPTIONS": "detect_leaks=0",
        "DNW_GRAPH_NATIVE": str(built),
        "LD_PRELOAD": runtime.stdout.strip(),
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run([sys.executable, str(DRIVER)], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    assert "runtime error" not in done.stderr
    assert done.stdout.strip().endswith("exercised")
