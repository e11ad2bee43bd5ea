"""A checkpoint of the 2019 program becomes a run that every command takes."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from dnw_graph.commands.main import main
from dnw_graph.models.facts import ImportedStage
from dnw_graph.runs import load_run

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"
CONFIG = str(ROOT / "configs" / "digits" / "tiny_static_dnw.yaml")


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory, fill: ModuleType) -> Path:
    """The public tiny static case as a file of today's torch, keys prefixed as the trainer did."""
    case = json.loads((GOLDEN / "tiny_static_dnw.json").read_text())["spec"]
    tensors = {"module." + name: torch.from_numpy(np.array(a)) for name, a in fill.fill_all(case).items()}
    path = tmp_path_factory.mktemp("official") / "tiny.pt"
    torch.save({"model": tensors, "last_epoch": 159, "best_val": 0.76}, path)
    return path


@pytest.fixture(scope="module")
def run(official: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "converted"
    # Drawn weights, unlike trained ones, do not bear the published learning rate.
    slow = ["--set", "optimizer.lr=0.0001"]
    assert main(["convert-official", str(official), "--config", CONFIG, *slow, "-o", str(path)]) == 0
    return path


def test_the_run_has_the_wiring_and_budget_of_the_file(run: Path) -> None:
    model = load_run(run).model
    assert {name: ids.numel() for name, ids in model.wirings().items()} == {"stage_0": 13006}
    assert model.budgets() == {"stage_0": 13006}
    assert model.rewire() == 0
    assert model.facts.official["stage_0"] == ImportedStage(kept=32000, usable=13006)


def test_the_run_is_counted(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["count", str(run), "--json"]) == 0
    assert "1125798" in capsys.readouterr().out


@pytest.mark.needs_dgl
def test_the_run_is_evaluated_at_its_exact_cost(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(run), "--compact", "--backend", "dgl", "--expect-exact", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["executed_macs"] == report["macs"] == 1125798


def test_dense_products_are_not_exact_and_said_so(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(run), "--compact", "--backend", "dense", "--expect-exact"]) == 2
    assert "backends dgl and csr execute the exact count" in capsys.readouterr().err


@pytest.mark.slow
def test_the_run_is_fine_tuned(run: Path) -> None:
    command = ["train", "--config", str(run / "config.yaml"), "--run-dir", str(run), "--resume", "auto"]
    assert main([*command, "--set", "training.epochs=1", "logging.tensorboard=false"]) == 0
    model = load_run(run, checkpoint="last").model
    assert model.budgets() == {"stage_0": 13006}
    assert model.wirings()["stage_0"].numel() == 13006


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ("cifar10/dnw_x0.225.yaml", "holds tiny_static of 10 classes"),
        ("imagenet/mobilenet_v1_x0.5.yaml", "is a dense baseline"),
        ("imagenet/dnw_small_x0.15.yaml", "mobilenet_v1 (small) was asked for"),
    ],
)
def test_a_config_of_another_network_is_named(
    official: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], config: str, sentence: str
) -> None:
    target = tmp_path / "run"
    command = ["convert-official", str(official), "--config", str(ROOT / "configs" / config)]
    assert main([*command, "-o", str(target)]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert config in error
    assert error.count("\n") == 1
    assert not target.exists()


def test_sizes_come_from_the_file(golden_folder, tmp_path):
    """A file of 120 nodes, for a configuration of the published sizes: the run says its own."""
    file = golden_folder / "ckpt_discrete_dim120_epoch_0_2019.pt"
    config = ["--config", "cifar10/tiny_discrete_time_dnw", "--set", "model.edges=2880"]
    sizes = ["--set", "model.options={nodes: 120}"]
    assert main(["convert-official", str(file), *config, *sizes, "-o", str(tmp_path / "run")]) == 0
    found = load_run(tmp_path / "run")
    cfg, model = found.config, found.model
    assert cfg.model.options == {"nodes": 120, "inputs": 16, "readout": 20, "times": 5, "stem_channels": 8}
    assert model.body_stages()[0].selected.numel() == 2880


def test_the_solvers_side_effect_is_written_into_the_run(golden, tmp_path):
    state = golden("tiny_continuous_time_dnw").state
    torch.save({"model": {f"module.{name}": value for name, value in state.items()}}, tmp_path / "old.pt")
    config = ["--config", "cifar10/tiny_continuous_time_dnw"]
    assert main(["convert_official", str(tmp_path / "old.pt"), *config, "-o", str(tmp_path / "run")]) == 0
    found = load_run(tmp_path / "run")
    cfg, model = found.config, found.model
    assert cfg.model.inplace_relu
    assert model.body.clip
