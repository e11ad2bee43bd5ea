"""Real processes, killed at random and while they write checkpoints: the end is that of a run in one go."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file

SCRIPT = Path(__file__).with_name("small_network.py")
RECIPE = (
    "model.backend=native",
    "training.epochs=3",
    "checkpoint.every_steps=1",
    "logging.every_steps=3",
    "training.ema_decay=0.9",
)
TIMES = ("seconds", "val_seconds", "test_seconds", "images_per_second", "window_seconds")

pytestmark = pytest.mark.slow


def start(config: Path, run: Path, **build: str) -> subprocess.Popen[str]:
    words = [sys.executable, str(SCRIPT), "train", "--config", str(config), "--run-dir", str(run)]
    return subprocess.Popen(
        [*words, "--resume", "auto"],
        env={**os.environ, "OMP_NUM_THREADS": "1", **build},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def without_times(record: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key not in TIMES}


def contents(run: Path) -> dict[str, Any]:
    """All files of a run but configuration and checksums of times."""
    found: dict[str, Any] = {"files": sorted(str(path.relative_to(run)) for path in run.rglob("*"))}
    for path in run.rglob("*.safetensors"):
        tensors = load_file(path)
        found[str(path.relative_to(run))] = {name: each.numpy().tobytes() for name, each in tensors.items()}
    for path in run.rglob("*.npz"):
        with np.load(path) as arrays:
            found[str(path.relative_to(run))] = {name: arrays[name].tobytes() for name in arrays.files}
    for path in run.rglob("state.json"):
        state = json.loads(path.read_text())
        state["position"] = without_times(state["position"])
        del state["metrics_bytes"]
        found[str(path.relative_to(run))] = state
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return found | {"metrics": [without_times(json.loads(line)) for line in lines]}


def aimed(run: Path, process: subprocess.Popen[str], give_up: float) -> None:
    """Wait until a checkpoint is being written, by the directory that it is written in."""
    while process.poll() is None and time.monotonic() < give_up:
        if (run / "checkpoints/.last.new").exists() or (run / "checkpoints/.best.new").exists():
            return


@pytest.mark.parametrize(
    ("seed", "build", "instructions"),
    [
        *((seed, "installed", "") for seed in range(4)),
        (4, "installed", "portable"),
        (5, "sanitizers", ""),
        (6, "sanitizers", "portable"),
        (7, "sixteen lanes", "avx512"),
    ],
)
def test_killed_again_and_again_a_run_ends_as_one_that_was_not(
    tmp_path, config_file, other_build, seed, build, instructions
):
    variables = {} if build == "installed" else other_build(build)
    variables |= {"DNW_GRAPH_INSTRUCTIONS": instructions}
    config, dice = config_file(*RECIPE), random.Random(seed)
    whole = start(config, tmp_path / "whole", **variables)
    begun = time.monotonic()
    assert whole.communicate()[1] == ""
    lasted = time.monotonic() - begun
    kills = 0
    for attempt in range(40):
        process = start(config, tmp_path / "run", **variables)
        if kills < 8:
            try:
                process.wait(dice.uniform(0.3, 0.9) * lasted)
            except subprocess.TimeoutExpired:
                if attempt % 2:
                    aimed(tmp_path / "run", process, time.monotonic() + lasted)
                process.send_signal(signal.SIGKILL)
        _, err = process.communicate()
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL, err
        kills += 1
    assert kills
    expected, found = contents(tmp_path / "whole"), contents(tmp_path / "run")
    assert found.keys() == expected.keys()
    assert [name for name in expected if found[name] != expected[name]] == []
