"""docs/plugins.md: each piece trains, resumes and is evaluated from a user's file; mistakes are told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from dnw_graph.config import config_from_dict
from dnw_graph.data import register_data
from dnw_graph.errors import InputError
from dnw_graph.models import WiredNetwork, build_model, register_network
from dnw_graph.registry import Registry
from dnw_graph.runs import load_run
from dnw_graph.training import register_optimizer
from dnw_graph.training.session import Session

PAGE = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
NETWORK, PERCEPTRON, STRIPES, SIGN, POLYNOMIAL = BLOCKS
(MODEL,) = [yaml.safe_load(text)["model"] for text in re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)]

RECIPES = {
    "network": (NETWORK, {"model": MODEL}),
    "dense network": (
        PERCEPTRON,
        {"model": {"network": "perceptron", "image_size": 32, "num_classes": 10, "options": {"hidden": 8}}},
    ),
    "data set": (
        STRIPES,
        {
            "model": {"network": "tiny_static", "edges": 90, "image_size": 32, "num_classes": 2},
            "data": {"dataset": "stripes", "validation": 0, "options": {"images": 128}},
        },
    ),
    "optimiser": (SIGN, {"optimizer": {"name": "sign", "lr": 0.01, "options": {"decay": 0.5}}}),
    "schedule": (POLYNOMIAL, {"schedule": {"name": "polynomial", "power": 3}}),
}


@pytest.fixture(autouse=True)
def _registries(monkeypatch):
    for registry in Registry.every:
        monkeypatch.setattr(registry, "entries", dict(registry.entries))
        monkeypatch.setattr(registry, "_owners", dict(registry._owners))


@pytest.fixture
def files(tmp_path, recipe):
    """files("network") → (configuration, plugin) on the disk."""

    def write(piece: str) -> tuple[Path, Path]:
        code, sections = RECIPES[piece]
        values = recipe("training.epochs=1").model_dump(mode="json", exclude_none=True) | sections
        (tmp_path / "mine.py").write_text(code)
        (tmp_path / "mine.yaml").write_text(yaml.safe_dump(values))
        return tmp_path / "mine.yaml", tmp_path / "mine.py"

    return write


def forget(patch: pytest.MonkeyPatch) -> None:
    """As in a process that has not loaded the plugin."""
    for registry in Registry.every:
        own = [name for name, owner in registry._owners.items() if owner.startswith("dnw_graph_plugin")]
        for name in own:
            patch.delitem(registry.entries, name)


@pytest.mark.parametrize("piece", RECIPES)
def test_a_documented_piece_trains_resumes_and_is_evaluated(
    tmp_path, files, command, records, piece, monkeypatch
):
    config, plugin = files(piece)
    start = ("train", "--config", config, "--plugin", plugin, "--run-dir")
    assert command(*start, tmp_path / "whole")[0] == 0
    original = Session.step

    def stopped(self, parts):
        if self.position.step == 1:
            self.stop.requested = True
        original(self, parts)

    with monkeypatch.context() as patch:
        patch.setattr(Session, "step", stopped)
        assert command(*start, tmp_path / "run")[0] == 130
    assert command(*start, tmp_path / "run", "--resume", "auto")[0] == 0
    for file in ("model", "optimizer"):
        whole, resumed = (
            load_file(tmp_path / run / f"checkpoints/last/{file}.safetensors") for run in ("whole", "run")
        )
        assert whole.keys() == resumed.keys()
        assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    code, out, err = command("evaluate", tmp_path / "run", "--plugin", plugin, "--json")
    assert code == 0, err
    assert '"top1"' in out
    with monkeypatch.context() as patch:
        forget(patch)
        with pytest.raises(InputError, match=r"was trained with the plugin mine\.py .*give that very file"):
            load_run(tmp_path / "run")
        code, out, err = command("train", "--config", config, "--run-dir", tmp_path / "other")
        assert code == 2
        assert "(--plugin FILE adds your own)" in err


def test_settings_of_a_network_reach_it(recipe):
    exec(NETWORK, {"__name__": "mine"})
    values = recipe().model_dump(exclude_none=True)
    network = build_model(config_from_dict(values | {"model": MODEL}))
    assert isinstance(network, WiredNetwork)
    assert [level.size for level in network.layout.levels] == [8, 16, 16, 16]
    assert len(network.wirings()["stage_0"]) == 150


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (
            {"options": {"node": 3}},
            "model.options.node is no setting of network three_groups; did you mean nodes",
        ),
        ({"options": {"nodes": "x"}}, "model.options.nodes x is not valid for network three_groups"),
        ({"width": 0.3}, "model.width 0.3 and model.edges 150 are two budgets"),
        (
            {"edges": None, "width": 0.3},
            "model.width 0.3 is for tiny_static, tiny_discrete_time, tiny_continuous_time, mobilenet_v1; "
            "give three_groups",
        ),
        ({"weight_scale": 2.0}, "model.weight_scale 2.0 has no meaning for the wired network three_groups"),
        (
            {"network": "three_group"},
            'model.network "three_group" is no known network; did you mean three_groups',
        ),
    ],
)
def test_wrong_keys_of_an_own_network_are_one_sentence(recipe, model, told):
    exec(NETWORK, {"__name__": "mine"})
    values = recipe().model_dump(exclude_none=True)
    with pytest.raises(InputError) as caught:
        config_from_dict(values | {"model": MODEL | model})
    assert told in str(caught.value)


def test_a_setting_without_default_must_be_given(recipe):
    @register_network("needy")
    def needy(num_classes: int, hidden: int) -> torch.nn.Module:
        return torch.nn.Linear(hidden, num_classes)

    values = recipe().model_dump(exclude_none=True)
    values["model"] = {"network": "needy", "image_size": 32, "num_classes": 10}
    with pytest.raises(InputError, match=r"model.options.hidden is missing; network needy needs it"):
        config_from_dict(values)


def test_names_that_are_taken_and_functions_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match=r"network name 'tiny_static' is taken by dnw_graph\.models"):
        register_network("tiny_static")(lambda num_classes: None)
    with pytest.raises(InputError, match=r"network 'open' takes \*\*rest; spell out its parameters"):
        register_network("open")(lambda **rest: None)
    with pytest.raises(InputError, match="data set 'mine' takes no directory and train"):
        register_data("mine")(lambda folder: None)
    with pytest.raises(InputError, match="optimiser 'mine' does not take lr and weight_decay"):
        register_optimizer("mine")(lambda params: None)


def test_what_is_no_network_and_what_are_no_images_are_refused(recipe):
    register_network("nothing")(lambda num_classes: None)
    register_data("none")(lambda directory, train: None)
    values = recipe().model_dump(exclude_none=True)
    values["model"] = {"network": "nothing", "image_size": 32, "num_classes": 10}
    with pytest.raises(InputError, match="'nothing' made a NoneType; return a torch module"):
        build_model(config_from_dict(values))
    from dnw_graph.data import open_data

    data = config_from_dict(values | {"data": {"dataset": "none"}}).data
    with pytest.raises(
        InputError, match=r"'none' gave a NoneType; return dnw_graph\.data\.arrays\.ImageArrays"
    ):
        open_data(data, image_size=32, num_classes=10, seed=0).batches("train", 4)
