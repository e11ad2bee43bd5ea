"""Counting whole networks: against golden profiles, and against a counter that reads only the DGL graph."""

from __future__ import annotations

import pytest
import torch

import dnw_graph as dg
from dnw_graph.accounting import bound
from dnw_graph.config import config_from_dict
from dnw_graph.errors import InputError
from dnw_graph.models.mobilenet_v1 import mobilenet_v1
from dnw_graph.models.tiny_static import tiny_static

NARROW = ((4, 6, 1, 1), (6, 8, 2, 3), (8, 8, 2, 2))


def narrow(**options):
    settings = {"rule": "random", "num_classes": 5, "image_size": 17, "width": 0.6, "blocks": NARROW}
    return mobilenet_v1(**(settings | options))


def small_tiny(**options):
    settings = {"rule": "random", "num_classes": 5, "groups": (4, 6, 6), "readout": 3, "stem_channels": 2}
    return tiny_static(**(settings | {"edges": 20} | options))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ("runs/mine", "count takes a network and was given a str; give what build_model made"),
        (torch.nn.Linear(2, 3), "Linear has no num_classes, which counting needs"),
    ],
)
def test_what_is_no_network_of_ours_is_refused(wrong, sentence):
    with pytest.raises(InputError, match=sentence):
        dg.count(wrong)


def count_graph(model):
    """(MACs, parameters) of the body, node by node and edge by edge, from the wiring's data alone."""
    data = model.wiring_data()
    node = {name: values.tolist() for name, values in data.nodes.items()}
    source, target = (data.edges[end].tolist() for end in ("source", "target"))
    macs = params = 0
    for u, v in zip(source, target, strict=True):
        if node["status"][u] == node["status"][v] == 2:
            macs += node["resolution"][v] ** 2
            params += 1
    last = max(node["level"])
    for u in range(len(node["level"])):
        if node["status"][u] != 2 or node["level"][u] == last:
            continue
        macs += 9 * (-(-node["resolution"][u] // node["stride"][u])) ** 2
        params += 9
    return macs, params


@pytest.mark.parametrize("build", [narrow, small_tiny])
@pytest.mark.parametrize("seed", range(5))
def test_body_agrees_with_the_graph_node_by_node(build, seed):
    model = build(seed=seed)
    report = dg.count(model)
    body = (sum(s.macs for s in report.stages), sum(s.params for s in report.stages))
    assert body == count_graph(model)


@pytest.mark.parametrize("small", [False, True])
def test_stem_and_head_of_a_mobilenet_by_hand(small):
    model = narrow(small=small, seed=3)
    status = model.wiring_data().nodes["status"]
    report = dg.count(model)
    stem, outputs = int((status[:4] == 2).sum()), status[-8:] == 2
    assert (report.stem.params, report.stem.macs) == (27 * stem, 27 * stem * 17 * 17)
    if small:
        source, _ = model.head.wiring.stage.ends(model.head.wiring.selected.numpy())
        expected = int(outputs[torch.from_numpy(source)].sum())
    else:
        expected = 5 * int(outputs.sum())
    assert report.head.params == report.head.macs == expected


def test_stem_and_head_of_a_tiny_network_by_hand():
    """First two convolutions in full, the 1x1 for live channels; the classifier for live readouts."""
    model = small_tiny(edges=6, seed=2)
    status = model.wiring_data().nodes["status"]
    stem, readouts = int((status[:4] == 2).sum()), int((status[-3:] == 2).sum())
    assert (stem, readouts) == (3, 2)
    report = dg.count(model)
    assert report.stem.params == 27 * 2 + 9 * 2 + 2 * stem
    assert report.stem.macs == 27 * 2 * 16 * 16 + 9 * 2 * 8 * 8 + 2 * stem * 8 * 8
    assert report.head.macs == 5 * readouts


def test_a_stem_that_nobody_hears_costs_nothing():
    model = small_tiny()
    ids = torch.arange(model.layout.stages[0].blocks[2].offset, model.layout.num_candidates)
    model.body.stages[0].select(ids[:5])
    report = dg.count(model)
    assert (report.stem.macs, report.macs, report.edges) == (0, 0, 0)


@pytest.mark.parametrize("build", [narrow, small_tiny])
def test_norms_and_biases_make_up_the_rest_of_the_parameters(build):
    """With every candidate selected, weights plus norms and biases are all parameters there are."""
    model = (
        build(width=None, edges=None, density=1.0) if build is small_tiny else build(width=None, density=1.0)
    )
    report = dg.count(model)
    total = sum(parameter.numel() for parameter in model.parameters())
    assert report.params + report.norm_and_bias_params == total
    assert (report.params, report.macs) == (bound(model).params, bound(model).macs)


def test_the_bound_is_never_passed():
    for seed in range(5):
        model = narrow(seed=seed, small=True)
        limit, report = bound(model), dg.count(model)
        assert report.macs <= limit.macs
        assert report.published_macs <= limit.published_macs
        assert all(s.macs <= b.macs for s, b in zip(report.stages, limit.stages, strict=True))


def config(**model):
    sections = {"model": {"image_size": 224, "num_classes": 1000} | model, "data": {"dataset": "imagenet"}}
    return config_from_dict(sections | {"training": {"epochs": 1, "batch_size": 1}})


def test_bound_of_a_published_network():
    model = dg.build_model(config(network="mobilenet_v1", rule="top_k", width=0.225))
    limit = bound(model)
    assert [stage.edges for stage in limit.stages] == [104, 1245, 4977, 72991, 79627]
    assert (limit.nodes, limit.convolutions) == (5984 - 32, 5984 - 1024)
    assert limit.macs == 55_663_655 + 2 * 36 * 112 * 112
    assert f"{limit.published_macs / 1e6:.2f}" == "56.61"


def test_published_numbers_are_always_for_224_pixels():
    large = bound(narrow(image_size=224))
    small = bound(narrow(image_size=32))
    assert large.published_macs == small.published_macs
    assert large.macs > small.macs


def test_the_tiny_network_is_41k():
    report = dg.count(tiny_static(rule="random", num_classes=10, edges=32000))
    assert (report.published_params, report.published_macs) == (41458, None)


@pytest.mark.parametrize("case", ["random_x225", "small_x15"])
def test_imported_networks_have_the_published_profile(case, golden):
    """Counted over the file's full rectangle: its backward edges are in the budget and keep sources alive."""
    data, state = golden(case).json, golden(case).state
    model = dg.from_official(
        state, graph=data["graph"], prune_rate=data["prune_rate"], small=data["small"], image_size=32
    )
    report = dg.count(model)
    profile = data["profile"]
    assert (report.published_params, report.published_macs) == (profile["params"], profile["macs"])
    assert [(part.params, part.macs) for part in report.published.stages] == [
        (block["params"], block["macs"]) for block in profile["per_block"]
    ]


def test_imported_counts_end_with_the_imported_wiring(golden):
    data, state = golden("tiny_static_dnw").json, golden("tiny_static_dnw").state
    model = dg.from_official(state, network="tiny_static", graph="dnw", prune_rate=data["prune_rate"])
    assert dg.count(model).published_params == 41458
    stage = model.body.stages[0]
    stage.select(stage.selected[1:])
    usable = data["counts"]["kept_count"] - data["counts"]["kept_never_read"]
    assert stage.budget == usable
    assert dg.count(model).published_params == 41458 - data["counts"]["kept_never_read"]
