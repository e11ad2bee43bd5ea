"""`dg.train`: a configuration in, a run in use out."""

from __future__ import annotations

import pytest
import torch

import dnw_graph as dg
from dnw_graph.errors import InputError
from dnw_graph.training import trained


def test_training_gives_the_run_that_load_run_gives(tmp_path, recipe):
    run = dg.train(recipe("training.epochs=1"), tmp_path / "run")
    again = dg.load_run(tmp_path / "run")
    assert run.path == again.path == tmp_path / "run"
    assert all(
        torch.equal(value, again.model.state_dict()[name]) for name, value in run.model.state_dict().items()
    )
    image = torch.zeros(8, 8, dtype=torch.uint8)[None]
    assert run.predict(image).top == again.predict(image).top


def test_it_goes_on_with_a_run(tmp_path, recipe):
    dg.train(recipe("training.epochs=1"), tmp_path / "run")
    run = dg.train(recipe("training.epochs=2"), tmp_path / "run", resume="auto")
    assert [record["epoch"] for record in run.metrics] == [1, 2]


def test_without_a_place_data_network_and_seed_name_one(tmp_path, recipe, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = dg.train(recipe("training.epochs=1", "training.seed=7"))
    assert run.path == tmp_path / "runs/digits-tiny_static-seed7"
    with pytest.raises(InputError, match="holds a run already"):
        dg.train(recipe("training.epochs=1", "training.seed=7"))


def test_an_interrupted_training_is_an_interruption(tmp_path, recipe, monkeypatch):
    """Saved, and told how to go on, but no run to use."""
    train = trained.loop.train

    def stopped(*given, **options):
        from dataclasses import replace

        return replace(train(*given, **options), interrupted=True)

    monkeypatch.setattr(trained.loop, "train", stopped)
    with pytest.raises(KeyboardInterrupt):
        dg.train(recipe("training.epochs=1"), tmp_path / "run")
    assert dg.load_run(tmp_path / "run", checkpoint="last").metrics


@pytest.mark.parametrize("wrong", [None, "digits/tiny_static_dnw", {"model": {}}])
def test_only_a_configuration_is_trained(wrong):
    with pytest.raises(InputError, match=r"takes a configuration .*; give dnw_graph\.load_config\(path\)"):
        dg.train(wrong)
