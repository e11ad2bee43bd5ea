"""Torch's optimisers by name: options, state in checkpoints, and that nothing changes for SGD."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from dnw_graph.config.optimizers import OPTIMIZERS, make_optimizer
from dnw_graph.errors import InputError
from dnw_graph.training import train
from dnw_graph.training.optimizer_state import optimizer_tensors, optimizer_values, restore_optimizer
from dnw_graph.training.session import Session

ADAMW = ("optimizer.name=adamw", "optimizer.lr=0.003", "optimizer.options={betas: [0.8, 0.9], amsgrad: true}")


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Linear(3, 2))


def optimizer_of(run: Path) -> dict[str, torch.Tensor]:
    """What the optimiser of a run kept."""
    return load_file(run / "checkpoints/last/optimizer.safetensors")


def steps(model: torch.nn.Module, optimizer: torch.optim.Optimizer, count: int) -> None:
    for number in range(count):
        optimizer.zero_grad()
        model(torch.linspace(-1, 1, 4) + number).square().sum().backward()
        optimizer.step()


@pytest.mark.parametrize("name", sorted(OPTIMIZERS.entries))
def test_every_optimiser_goes_on_bit_for_bit_from_its_saved_state(name, tmp_path):
    model = network()
    groups = [{"params": list(model.parameters()), "weight_decay": 0.01}]
    optimizer = make_optimizer(name, groups, {"lr": 0.01}, {})
    steps(model, optimizer, 3)
    tensors = {key: value.clone() for key, value in optimizer_tensors(optimizer, model).items()}
    values = json.loads(json.dumps(optimizer_values(optimizer, model)))
    weights = {key: value.clone() for key, value in model.state_dict().items()}
    steps(model, optimizer, 2)

    again = network()
    again.load_state_dict(weights)
    other = make_optimizer(
        name, [{"params": list(again.parameters()), "weight_decay": 0.01}], {"lr": 0.01}, {}
    )
    restore_optimizer(other, again, tensors, values, tmp_path)
    steps(again, other, 2)
    assert all(torch.equal(*pair) for pair in zip(model.parameters(), again.parameters(), strict=True))


def test_a_run_with_adamw_goes_on_bit_for_bit(tmp_path, recipe, monkeypatch):
    cfg = recipe(*ADAMW, "training.epochs=1", "training.ema_decay=0.9")
    train(cfg, tmp_path / "whole")
    original = Session.step

    def stopped(self, parts):
        if self.position.step == 9:
            self.stop.requested = True
        original(self, parts)

    with monkeypatch.context() as patch:
        patch.setattr(Session, "step", stopped)
        assert train(cfg, tmp_path / "run").interrupted
    train(cfg, tmp_path / "run", resume="auto")
    for file in ("model", "optimizer", "ema"):
        whole, resumed = (
            load_file(tmp_path / run / f"checkpoints/last/{file}.safetensors") for run in ("whole", "run")
        )
        assert whole.keys() == resumed.keys()
        assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert {name.partition(".")[0] for name in optimizer_of(tmp_path / "whole")} == {
        "step",
        "exp_avg",
        "exp_avg_sq",
        "max_exp_avg_sq",
    }


def test_sgd_keeps_its_format_and_reads_a_checkpoint_of_before(tmp_path, recipe):
    """Checkpoints of earlier versions have momentum alone and no optimiser in state.json."""
    cfg = recipe("training.epochs=2")
    train(cfg, tmp_path / "whole")
    assert {name.partition(".")[0] for name in optimizer_of(tmp_path / "whole")} == {"momentum_buffer"}
    original = Session.finish_epoch

    def stopped(self, scores):
        original(self, scores)
        self.stop.requested = True

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "finish_epoch", stopped)
        assert train(cfg, tmp_path / "run").interrupted
    file = tmp_path / "run/checkpoints/last/state.json"
    state = json.loads(file.read_text())
    del state["learner"]["optimizer"]
    del state["config"]["optimizer"]["name"]
    file.write_text(json.dumps(state))
    train(cfg, tmp_path / "run", resume="auto")
    whole, resumed = optimizer_of(tmp_path / "whole"), optimizer_of(tmp_path / "run")
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (("optimizer.name=adamv",), 'optimizer.name "adamv" is no known optimiser; did you mean adam'),
        (("optimizer.name=adamw", "optimizer.lr=null"), "optimizer.lr is missing; adamw needs one"),
        ((*ADAMW, "optimizer.momentum=0.5"), "optimizer.momentum 0.5 has no meaning for adamw"),
        (
            (*ADAMW, "optimizer.options={beta: [1, 2]}"),
            "optimizer.options.beta is no setting of adamw; did you mean betas",
        ),
        (
            (*ADAMW, "optimizer.options={lr: 1}"),
            "optimizer.options.lr has a key of its own; set optimizer.lr",
        ),
        (
            (*ADAMW, "optimizer.options={betas: [2, 3]}"),
            "do not suit adamw (Invalid beta parameter at index 0: 2",
        ),
        ((*ADAMW, "optimizer.options=3"), "optimizer.options 3 is not valid; expected a mapping"),
        (
            (*ADAMW, "optimizer.unselected_weight_decay=0"),
            "needs a weight decay that is added to the gradient",
        ),
        (("optimizer.options={momentum: 1}",), "optimizer.options.momentum has a key of its own"),
    ],
)
def test_wrong_optimisers_are_one_sentence(recipe, overrides, told):
    with pytest.raises(InputError) as caught:
        recipe(*overrides)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_state_that_no_checkpoint_can_hold_is_refused():
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    optimizer.state[model[0].weight]["memory"] = object()
    with pytest.raises(InputError, match="SGD keeps what no checkpoint can hold"):
        optimizer_values(optimizer, model)
