"""`dg.register`: one decorator, and what is registered follows from what is decorated."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import dnw_graph as dg
from dnw_graph.config import Schedule, config_from_dict
from dnw_graph.config.datasets import DATASETS
from dnw_graph.config.networks import NETWORKS
from dnw_graph.config.optimizers import OPTIMIZERS
from dnw_graph.config.schedules import SCHEDULES
from dnw_graph.data.arrays import ImageArrays
from dnw_graph.errors import InputError
from dnw_graph.registry import Registry
from dnw_graph.wiring import rule as rules


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is gone behind it."""
    for registry in Registry.every:
        monkeypatch.setattr(registry, "entries", dict(registry.entries))
        monkeypatch.setattr(registry, "_owners", dict(registry._owners))
    monkeypatch.setattr(rules, "_RULES", dict(rules._RULES))


def test_a_rule_can_be_trained_with():
    @dg.register("smallest")
    class Smallest(dg.Rule):
        def score(self, view):
            return -view.weight.abs()

    model = {"network": "tiny_static", "rule": "smallest", "edges": 9, "image_size": 32, "num_classes": 10}
    training = {"epochs": 1, "batch_size": 2}
    built = dg.build_model(
        config_from_dict({"model": model, "data": {"dataset": "digits"}, "training": training})
    )
    (stage,) = built.body_stages()
    assert isinstance(stage.rule, Smallest)
    chosen = torch.zeros_like(stage.weight, dtype=torch.bool)
    chosen[stage.selected] = True
    assert stage.weight[chosen].abs().max() <= stage.weight[~chosen].abs().min()


def test_networks_are_functions_or_modules():
    @dg.register("flat")
    def flat(num_classes: int, image_size: int, hidden: int = 4) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(3 * image_size**2, num_classes))

    @dg.register("module")
    class Module(nn.Module):
        def __init__(self, num_classes: int):
            super().__init__()

    assert NETWORKS.get("flat").options.model_fields.keys() == {"hidden"}
    assert NETWORKS.get("module").build is Module


def test_data_sets_are_functions_of_directory_and_train():
    @dg.register("dots", classes=3)
    def dots(directory: str | None, train: bool, images: int = 4) -> ImageArrays: ...

    assert DATASETS.get("dots").classes == 3
    assert DATASETS.get("dots").read is dots


def test_optimisers_and_schedules_are_classes():
    @dg.register("sign", l2=True)
    class Sign(torch.optim.Optimizer):
        def __init__(self, params, lr=0.1, weight_decay=0.0):
            super().__init__(params, {})

    @dg.register("flat_rate")
    class FlatRate(Schedule):
        def after_warmup(self, peak: float, epoch: float, done: float) -> float:
            return peak

    assert OPTIMIZERS.get("sign").make is Sign
    assert OPTIMIZERS.get("sign").l2
    assert SCHEDULES.get("flat_rate") is FlatRate


@pytest.mark.parametrize(
    ("piece", "options", "sentence"),
    [
        (3, {}, "a int cannot be registered; decorate a class or a function"),
        (
            type("Odd", (), {}),
            {},
            r"Odd is no piece .*; derive the class from dg\.Rule, ",
        ),
        (
            lambda num_classes: None,
            {"l2": True},
            r"register\('mine'\): l2 is no option here, which has no options",
        ),
        (
            lambda directory, train: None,
            {"l2": True},
            "l2 is no option here, which has classes",
        ),
    ],
)
def test_what_is_no_piece_is_refused(piece, options, sentence):
    with pytest.raises(InputError, match=sentence):
        dg.register("mine", **options)(piece)


def test_a_name_comes_first():
    with pytest.raises(InputError, match=r'write @dg\.register\("name"\)'):
        dg.register(dg.Rule)
    with pytest.raises(InputError, match="rule name 'top_k' is taken"):
        dg.register("top_k")(type("Mine", (dg.Rule,), {}))
