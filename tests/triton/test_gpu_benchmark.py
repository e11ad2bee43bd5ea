"""benchmarks/gpu.py as it is run on a bare machine: nothing but torch and triton, nothing installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dnw_graph.triton import availability

ROOT = Path(__file__).parents[2]
REASON = availability.reason()
# What this project needs elsewhere and a machine with torch and triton need not have.
ABSENT = ("dgl", "torchvision", "pydantic", "yaml", "networkx", "rich", "sklearn", "torchmetrics")
ABSENT += ("safetensors", "tensorboard", "matplotlib", "PIL", "pandas")


def run(cwd: Path, *arguments: object, absent: tuple[str, ...] = ABSENT) -> subprocess.CompletedProcess[str]:
    script = str(ROOT / "benchmarks" / "gpu.py")
    code = (
        f"import runpy, sys; sys.modules.update(dict.fromkeys({absent!r})); sys.argv[0] = {script!r}; "
        f"runpy.run_path({script!r}, run_name='__main__')"
    )
    command = [sys.executable, "-W", "error", "-c", code, *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.skipif(REASON is not None, reason=str(REASON))
def test_the_command_checks_times_and_writes(tmp_path):
    done = run(tmp_path, "--smoke", "--tune", "--out", tmp_path / "results")
    assert done.returncode == 0, done.stderr
    (path,) = (tmp_path / "results").glob("gpu_smoke-*.json")
    found = json.loads(path.read_text())["results"]
    assert found["complete"]
    assert found["errors"] == []
    assert len(found["checks"]) > 30
    assert all(check["within"] for check in found["checks"])
    assert {record["product"] for record in found["messages"]} == {"aggregate", "transposed", "edge gradient"}
    for kind in ("training", "inference"):
        timed = {
            (record["contender"].partition(",")[0], record["format"]): record["seconds"]
            for record in found["steps"]
            if record["kind"] == kind
        }
        for contender in ("triton", "dense", "2019 method"):
            for form in ("float32", "TF32", "bf16"):
                assert timed[contender, form] > 0, (contender, form)
    assert [each["waits"] for each in found["waiting"]] == [""] * len(found["waiting"])
    table = path.with_suffix(".md").read_text()
    assert "checks against float64" in table
    assert "| training | ×0.225, 2 images | bf16 | triton |" in table


BROKEN = """
import sys
sys.path.insert(0, {root!r})
import torch
from benchmarks.gpu import checks, command, kernels
from dnw_graph.message_passing import find_backend

def fail(*arguments, **options):
    raise KeyError("a kernel that does not compile")

find_backend("triton").send_back = fail
checks.LIMITS[torch.float32] = 1e-30
kernels.NodeOperation = fail
sys.exit(command.main(["--smoke", "--out", {out!r}]))
"""


@pytest.mark.skipif(REASON is not None, reason=str(REASON))
def test_what_fails_costs_nothing_but_itself_and_is_told(tmp_path):
    """A check that is off, one that breaks, a contender and a whole part: exit code 1, and all the rest."""
    code = BROKEN.format(root=str(ROOT), out=str(tmp_path))
    command = [sys.executable, "-c", code]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    (path,) = tmp_path.glob("gpu_smoke-*.json")
    found = json.loads(path.read_text())["results"]
    off = {check["what"]: check for check in found["checks"] if not check["within"]}
    assert any("a kernel that does not compile" in check.get("reason", "") for check in off.values())
    assert any(check["error"] > 0 for check in off.values())
    assert [each["what"] for each in found["errors"]] == ["node operations"]
    transposed = [each for each in found["messages"] if each["product"] == "transposed"]
    assert {each["format"] for each in transposed if "triton" in each["not run"]} == {"float32", "bf16"}
    assert all("dense" in each["seconds"] for each in transposed)
    assert {each["kind"] for each in found["steps"]} == {"training", "inference"}
    table = path.with_suffix(".md").read_text()
    for note in ("OFF: ", "FAILED: node operations", "not run: triton, float32: KeyError"):
        assert note in table


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so_in_a_line(tmp_path):
    # SciPy sorts edges on a CPU, never on a GPU.
    done = run(tmp_path, absent=(*ABSENT, "scipy"))
    assert done.returncode == 2
    assert done.stderr.startswith("benchmarks/gpu.py: ")
    assert len(done.stderr.splitlines()) == 1
