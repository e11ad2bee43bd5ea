"""torchrun that starts its processes again after one died: the run ends as one that nothing stopped."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

SCRIPT = Path(__file__).with_name("small_network.py")

pytestmark = pytest.mark.slow


def torchrun(config: Path, run: Path, restarts: int, **more: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    words += ["--max-restarts", str(restarts), str(SCRIPT), "train", "--config", str(config)]
    return subprocess.run(
        [*words, "--run-dir", str(run), "--resume", "auto"],
        env={**os.environ, "OMP_NUM_THREADS": "1", **more},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )


def steps(run: Path, records) -> list[tuple[str, int, float]]:
    return [(each["kind"], each["step"], each["train_loss"]) for each in records(run)]


@pytest.mark.parametrize("rank", ["0", "1"])
def test_a_killed_process_is_started_again_and_the_run_ends_bit_for_bit(tmp_path, config_file, records, rank):
    """Step 13 lies between two checkpoints, and comes once more after the restart.

    More restarts than kills: torch's processes do not always find each other again.
    """
    config = config_file("checkpoint.every_steps=5", "logging.every_steps=5", "training.ema_decay=0.9")
    done = torchrun(config, tmp_path / "whole", 0)
    assert done.returncode == 0, done.stderr
    done = torchrun(config, tmp_path / "run", 3, SIGNAL_AT="KILL:13", SIGNAL_RANK=rank, SIGNAL_RESTART="0")
    assert done.returncode == 0, done.stderr
    assert "from step 10 on" in done.stdout
    assert steps(tmp_path / "run", records) == steps(tmp_path / "whole", records)
    for path in (tmp_path / "whole").rglob("*.safetensors"):
        whole, again = load_file(path), load_file(tmp_path / "run" / path.relative_to(tmp_path / "whole"))
        assert whole.keys() == again.keys()
        assert all(torch.equal(whole[name], again[name]) for name in whole)
