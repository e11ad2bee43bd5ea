"""What the interpreter does not notice: that a GPU's compiler takes the kernels too."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("compile_for_gpu.py")

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="triton is not installed"),
    pytest.mark.skipif(
        platform.machine() != "x86_64", reason="the compiler for GPUs is looked for on x86-64"
    ),
]


def test_every_kernel_compiles_for_hopper_without_tensor_cores(tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment["TRITON_CACHE_DIR"] = str(tmp_path)
    done = subprocess.run(
        [sys.executable, SCRIPT], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    code = json.loads(done.stdout)
    assert len(code) == 14
    assert not any(kernel["tensor cores"] or kernel["tf32"] for kernel in code.values())
    # Rows of features go sixteen bytes at a time.
    for name in ("aggregate", "transposed", "edge gradient", "statistics"):
        assert any("v4.b32" in load for load in code[name]["loads"]), name
