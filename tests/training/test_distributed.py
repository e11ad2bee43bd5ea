"""Two processes under torchrun on a CPU: one model, one wiring, one record."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from dnw_graph.config.networks import NETWORKS
from dnw_graph.data import open_data
from dnw_graph.errors import InputError
from dnw_graph.runs import load_run
from dnw_graph.training.distributed import World, choose_device, fingerprint
from dnw_graph.training.evaluate import evaluate

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def torchrun(*arguments: object) -> list[str]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return launcher + [str(argument) for argument in arguments]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", **more}


def run(*arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        torchrun(*arguments), env=environment(**more), capture_output=True, text=True, check=False, cwd=ROOT
    )


def test_fingerprints_tell_wirings_apart():
    ids = torch.arange(0, 30_000_000, 1000)
    other = ids.clone()
    other[12345] += 1
    swapped = ids.clone()
    swapped[[1, 2]] = ids[[2, 1]]
    assert len({fingerprint(each) for each in (ids, other, swapped, ids[:-1])}) == 4
    assert fingerprint(ids) == fingerprint(ids.clone())


@pytest.mark.parametrize(
    ("found", "local_rank", "sentence"),
    [
        (
            0,
            0,
            r"training\.device cuda: torch finds no CUDA device; set it to cpu \(dnw-graph info says why\)",
        ),
        (1, 1, r"process 2 of this machine needs a CUDA device of its own, and torch finds 1; start fewer"),
    ],
)
def test_a_missing_device_is_told_without_processes_where_there_is_one(
    monkeypatch, found, local_rank, sentence
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: found > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: found)
    with pytest.raises(InputError, match=sentence):
        choose_device("cuda", local_rank)


def test_collectives_agree():
    done = run(HERE / "two_processes.py")
    assert done.returncode == 0, done.stderr


def test_half_the_batch_on_each_of_two_processes_teaches_what_all_of_it_teaches_one(
    tmp_path, load_module, monkeypatch
):
    """With batch statistics over all ranks: same weights within rounding, same wiring."""
    script = HERE / "half_batches.py"
    done = run(script, tmp_path / "together.safetensors")
    assert done.returncode == 0, done.stderr
    together = load_file(tmp_path / "together.safetensors")
    monkeypatch.setitem(NETWORKS.entries, "mobilenet_v1", NETWORKS.get("mobilenet_v1"))
    alone = load_module(script).learnt(World(0, 1, torch.device("cpu")))
    assert together.keys() == alone.keys()
    for name, value in alone.items():
        torch.testing.assert_close(together[name], value, rtol=1e-4, atol=1e-5, msg=name)


def test_ranks_whose_wirings_differ_stop_with_a_sentence(tmp_path, config_file):
    plugin = tmp_path / "by_rank.py"
    plugin.write_text(
        "import os\n\nimport torch\n\nfrom dnw_graph.wiring import Rule, register\n\n\n"
        "@register('by_rank')\nclass ByRank(Rule):\n"
        "    def select(self, weight, k):\n"
        "        return torch.arange(k) + int(os.environ['RANK'])\n"
    )
    config = config_file("training.epochs=1", "model.rule=by_rank")
    done = run(
        HERE / "small_network.py",
        "train",
        "--config",
        config,
        "--run-dir",
        tmp_path / "run",
        "--plugin",
        plugin,
    )
    assert done.returncode != 0
    assert "the wiring of stage_0 on rank 1 differs from rank 0's; a rule must choose the same" in done.stderr


def test_two_processes_train_one_network(tmp_path, config_file, recipe, records):
    path = tmp_path / "run"
    config = config_file("training.epochs=1", "training.accumulate=2", "training.ema_decay=0.9")
    done = run(HERE / "small_network.py", "train", "--config", config, "--run-dir", path)
    assert done.returncode == 0, done.stderr
    assert [record["step"] for record in records(path)] == [10, 20, 22]
    assert done.stdout.count("epoch 1/1 done") == 1
    assert done.stdout.count("2 processes") == 1

    found = load_run(path)
    cfg, model = found.config, found.model
    batches = open_data(cfg.data, image_size=32, num_classes=10, seed=0).batches("test", 64)
    scores = evaluate(model, batches, num_classes=10, device=torch.device("cpu"))
    (record,) = records(path, "epoch")
    assert scores is not None
    assert scores["top1"] == record["test_top1"], "the ranks' shares of the test images do not add up to all"
    assert scores["loss"] == pytest.approx(record["test_loss"], rel=1e-5)


@pytest.mark.slow
def test_the_tool_runs_under_torchrun_and_goes_on_bit_for_bit_after_a_kill(tmp_path, config_file):
    config = config_file("training.epochs=1", "checkpoint.every_steps=5")
    train = ["train", "--config", config, "--run-dir"]
    assert run(HERE / "small_network.py", *train, tmp_path / "whole").returncode == 0
    killed = run(HERE / "small_network.py", *train, tmp_path / "run", SIGNAL_AT="KILL:13")
    assert killed.returncode != 0
    assert json.loads((tmp_path / "run/checkpoints/last/state.json").read_text())["position"]["step"] == 10
    resumed = run(HERE / "small_network.py", *train, tmp_path / "run", "--resume", "auto")
    assert resumed.returncode == 0, resumed.stderr
    for name in ("model", "optimizer"):
        whole, again = (
            load_file(tmp_path / each / f"checkpoints/last/{name}.safetensors") for each in ("whole", "run")
        )
        assert all(torch.equal(whole[key], again[key]) for key in whole | again)

    alone = subprocess.run(
        [sys.executable, HERE / "small_network.py", *map(str, train), tmp_path / "run", "--resume", "auto"],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert alone.returncode == 2
    assert "written by 2 processes and this run has 1" in alone.stderr


@pytest.mark.slow
def test_ctrl_c_under_torchrun_saves_a_checkpoint(tmp_path, config_file):
    path = tmp_path / "run"
    config = config_file("training.epochs=1000")
    arguments = torchrun(HERE / "small_network.py", "train", "--config", config, "--run-dir", path)
    process = subprocess.Popen(
        arguments, env=environment(), stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        while not (path / "metrics.jsonl").exists() or (path / "metrics.jsonl").stat().st_size == 0:
            assert process.poll() is None
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert "--resume auto" in out
    assert (path / "checkpoints/last/state.json").exists()


@pytest.mark.slow
def test_the_published_tiny_network_trains_under_torchrun(tmp_path, records):
    config = ROOT / "configs/digits/tiny_static_dnw.yaml"
    path = tmp_path / "run"
    done = run(ROOT / "tools/train.py", "--config", config, "--run-dir", path, "--set", "training.epochs=1")
    assert done.returncode == 0, done.stderr
    (record,) = records(path, "epoch")
    assert record["swaps"] > 0
