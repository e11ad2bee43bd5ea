"""The averaged network: weights, statistics, and a wiring of its own."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file

from dnw_graph.models import build_model
from dnw_graph.runs import load_run
from dnw_graph.training import train
from dnw_graph.training.ema import AveragedWeights


def test_average_is_copied_first_and_moves_by_the_rest_of_decay(recipe):
    model = build_model(recipe())
    average = AveragedWeights(model, decay=0.75)
    weight = model.body.stages[0].weight
    with torch.no_grad():
        weight.fill_(1.0)
        average.update(model)
        weight.fill_(5.0)
        average.update(model)
    averaged = average.model(model, step=2)
    assert averaged.body.stages[0].weight.unique().tolist() == [2.0]


def test_averaged_network_selects_its_own_top_k_and_runs_on_it(recipe):
    model = build_model(recipe("model.edges=2"))
    average = AveragedWeights(model, decay=0.75)
    stage = model.body.stages[0]
    with torch.no_grad():
        stage.weight.zero_()
        stage.weight[[0, 1]] = 4.0
        model.rewire(1)
        average.update(model)
        stage.weight.zero_()
        stage.weight[[2, 3]] = 5.0
        model.rewire(2)
        average.update(model)
        stage.weight[4] = 100.0
        stage.weight[2] = 0.0
        model.rewire(3)
        average.update(model)
    assert model.wirings()["stage_0"].tolist() == [3, 4]
    # Averages: 0 and 1 at 2.25, 2 at 0.94, 3 at 2.19, 4 at 25.
    averaged = average.model(model, step=3)
    assert averaged.wirings()["stage_0"].tolist() == [0, 4]
    positions = torch.cat([index.position for index in averaged.body.stages[0].indices()])
    assert positions.numel() == 2
    assert model.wirings()["stage_0"].tolist() == [3, 4]


def test_averaged_network_has_the_trained_statistics(recipe):
    model = build_model(recipe())
    average = AveragedWeights(model, decay=0.9)
    average.update(model)
    model(torch.randn(8, 3, 32, 32))
    averaged = dict(average.model(model, step=1).named_buffers())
    for name, buffer in model.named_buffers():
        assert torch.equal(averaged[name], buffer), name


def test_runs_are_scored_and_loaded_by_the_average(tmp_path, recipe, records):
    cfg = recipe("training.ema_decay=0.5", "training.epochs=1")
    train(cfg, tmp_path / "run")
    best = tmp_path / "run/checkpoints/best"
    assert json.loads((best / "state.json").read_text())["evaluated"] == "ema"
    model = load_run(tmp_path / "run").model
    assert not model.training
    ema, trained = load_file(best / "ema.safetensors"), load_file(best / "model.safetensors")
    name = "body.stages.0.weight"
    assert torch.equal(model.state_dict()[name], ema[name])
    assert not torch.equal(ema[name], trained[name])
    ids = model.wirings()["stage_0"]
    model.rewire()
    assert torch.equal(ids, model.wirings()["stage_0"])

    from dnw_graph.data import open_data
    from dnw_graph.training.evaluate import evaluate

    batches = open_data(cfg.data, image_size=32, num_classes=10, seed=0).batches("test", 64)
    scores = evaluate(model, batches, num_classes=10, device=torch.device("cpu"))
    assert scores is not None
    assert scores["loss"] == pytest.approx(records(tmp_path / "run", "epoch")[0]["test_loss"], rel=1e-5)
