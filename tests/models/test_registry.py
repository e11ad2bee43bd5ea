"""Networks from configuration files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import dnw_graph as dg
from dnw_graph import build_model
from dnw_graph.config import config_from_dict
from dnw_graph.errors import InputError
from dnw_graph.graph.budget import edges_for_width
from dnw_graph.models import is_wired, network_names

CONFIGS = Path(__file__).parents[2] / "configs"
WIRED = sorted(path for path in CONFIGS.rglob("*.yaml") if path.stem.startswith(("dnw", "random", "tiny")))
DENSE = sorted(set(CONFIGS.rglob("*.yaml")) - set(WIRED))


def name_of(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


@pytest.mark.parametrize("path", WIRED, ids=name_of)
def test_every_wired_config_builds_with_its_budget(path):
    cfg = dg.load_config(path)
    model = dg.build_model(cfg)
    assert is_wired(model)
    assert (model.num_classes, model.image_size) == (cfg.model.num_classes, cfg.model.image_size)
    for number, stage in enumerate(model.layout.stages):
        edges = cfg.model.edges or edges_for_width(cfg.model.width, stage.dense_edges)
        assert model.wirings()[f"stage_{number}"].numel() == edges
    assert ("head" in model.wirings()) == cfg.model.small
    assert model.rewire() == 0


@pytest.mark.parametrize("path", DENSE, ids=name_of)
def test_every_dense_config_builds(path):
    assert not is_wired(dg.build_model(dg.load_config(path)))


@pytest.mark.needs_dgl
def test_imagenet_network_is_one_graph_of_5984_nodes():
    model = dg.build_model(dg.load_config(CONFIGS / "imagenet" / "random_x0.225.yaml"))
    graph = model.graph()
    assert graph.num_nodes() == 5984
    assert graph.num_edges() == 104 + 1245 + 4977 + 72_991 + 79_627
    source, target = graph.edges()
    level = graph.ndata["level"]
    assert (level[source] < level[target]).all()
    assert graph.ndata["resolution"].unique().tolist() == [7, 14, 28, 56, 112]


@pytest.mark.needs_dgl
def test_tiny_network_is_one_graph_of_900_nodes_and_32000_edges():
    model = dg.build_model(dg.load_config(CONFIGS / "digits" / "tiny_static_dnw.yaml"))
    graph = model.graph()
    assert (graph.num_nodes(), graph.num_edges()) == (900, 32_000)
    assert model.eval()(torch.zeros(1, 3, 32, 32)).shape == (1, 10)


def test_building_leaves_the_global_random_state_alone():
    torch.manual_seed(123)
    expected = torch.rand(3)
    torch.manual_seed(123)
    dg.build_model(dg.load_config(CONFIGS / "digits" / "tiny_static_dnw.yaml"))
    assert torch.equal(torch.rand(3), expected)


def test_unknown_rule_and_backend_are_refused():
    path = CONFIGS / "digits" / "tiny_static_dnw.yaml"
    with pytest.raises(InputError, match="did you mean 'top_k'"):
        dg.build_model(dg.load_config(path, overrides=["model.rule=topk"]))
    with pytest.raises(InputError, match="backend 'quick' is not known"):
        dg.build_model(dg.load_config(path, overrides=["model.backend=quick"]))


@pytest.mark.parametrize("wrong", [str(CONFIGS / "digits" / "tiny_static_dnw.yaml"), {"model": {}}, None])
def test_what_is_no_configuration_is_refused_with_how_to_read_one(wrong):
    kind = type(wrong).__name__
    with pytest.raises(InputError, match=rf"was given a {kind}; give dnw_graph\.load_config\(path\)"):
        dg.build_model(wrong)


def test_networks_are_listed():
    tiny = ["tiny_continuous_time", "tiny_discrete_time", "tiny_static"]
    assert network_names() == ["mobilenet_v1", "mobilenet_v1_dense", "shufflenet_v2", *tiny]


@pytest.mark.parametrize(
    ("network", "options", "levels"),
    [
        ("tiny_static", {"groups": [4, 6, 8], "readout": 3}, [4, 6, 8, 3]),
        ("tiny_discrete_time", {"nodes": 20, "inputs": 4, "readout": 5, "times": 3}, [20, 20]),
        ("tiny_continuous_time", {"nodes": 20, "inputs": 4, "readout": 5}, [20, 20]),
        ("mobilenet_v1", {"blocks": [[4, 6, 1, 1], [6, 8, 2, 2]]}, [4, 6, 8, 8]),
    ],
)
def test_sizes_come_from_the_configuration(network, options, levels):
    model = {"network": network, "density": 0.2, "image_size": 32, "num_classes": 10, "options": options}
    training = {"epochs": 1, "batch_size": 8}
    cfg = config_from_dict({"model": model, "data": {"dataset": "digits"}, "training": training})
    built = build_model(cfg)
    assert [level.size for level in built.layout.levels] == levels
    assert built.layout.evaluations == {"tiny_discrete_time": 3, "tiny_continuous_time": 0}.get(network)
    assert built(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


@pytest.mark.parametrize(
    ("network", "options", "sentence"),
    [
        (
            "tiny_static",
            {"groups": [4, 6], "readout": 9},
            "readout 9 is more than the last group",
        ),
        (
            "tiny_static",
            {"reedout": 9},
            "model.options.reedout is no setting of network",
        ),
        (
            "tiny_discrete_time",
            {"nodes": 10, "inputs": 11, "readout": 2},
            "cannot have 11 inputs and 2",
        ),
        ("mobilenet_v1", {"blocks": [[4, 6, 1, 1], [8, 8, 2, 2]]}, "8 input nodes follow levels of 6"),
        ("mobilenet_v1", {"blocks": [[4, 6, 3, 1]]}, r"model.options.blocks.0.2 3 is not valid"),
    ],
)
def test_sizes_that_make_no_network_are_one_sentence(network, options, sentence):
    model = {"network": network, "density": 0.2, "image_size": 32, "num_classes": 10, "options": options}
    training = {"epochs": 1, "batch_size": 8}
    with pytest.raises(InputError, match=sentence):
        build_model(config_from_dict({"model": model, "data": {"dataset": "digits"}, "training": training}))
