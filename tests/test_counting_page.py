"""docs/counting.md: its example is built as drawn, and every number of the page is counted again."""

from __future__ import annotations

import re
from math import prod
from pathlib import Path

import numpy as np
import pytest
import torch

import dnw_graph as dg
from dnw_graph.accounting.removal import after_removal
from dnw_graph.graph.status import STATUS_NAMES
from dnw_graph.models.mobilenet_v1 import mobilenet_v1

PAGE = (Path(__file__).parents[1] / "docs" / "counting.md").read_text(encoding="utf-8")
GOLDEN = {
    "random ×0.225": ("random_x225", {}),
    "DNW ×0.225": ("dnw_x225", {}),
    "tiny static DNW": ("tiny_static_dnw", {"network": "tiny_static"}),
}


def rows(head: str) -> list[list[str]]:
    """Cells of the table whose header begins so."""
    lines = PAGE[PAGE.index(f"\n| {head} |") + 1 :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def integer(text: str) -> int:
    return int(text.replace(",", ""))


def worked(cell: str) -> int:
    """`27 · 2 + 2 = 56` → 56, the sum done again."""
    formula, result = cell.split("=")
    found = sum(prod(map(integer, product.split("·"))) for product in formula.split("+"))
    assert found == integer(result), cell
    return found


@pytest.fixture
def example():
    """The network of the page, wired by the edges that it lists."""
    (listed,) = re.findall(r"^Edges: (.*?)\.", PAGE, re.MULTILINE)
    edges = np.array([list(map(int, edge.split("→"))) for edge in listed.split(", ")])
    model = mobilenet_v1(
        rule="top_k", num_classes=2, image_size=8, density=0.33, blocks=((2, 3, 1, 1), (3, 2, 2, 1))
    )
    for stage in model.body_stages():
        ids = stage.stage.ids(edges[:, 0], edges[:, 1])
        stage.select(torch.from_numpy(np.sort(ids[ids >= 0])))
        assert stage.budget == stage.selected.numel() == 2
    return model.eval()


def test_status_of_the_nodes(example):
    told = [row[-1] for row in rows("node")]
    assert [STATUS_NAMES[code] for code in example.wiring_data().nodes["status"]] == told


def test_exact(example):
    *items, (_, params, macs) = rows("exact | parameters")
    report = dg.count(example)
    assert sum(worked(item[1]) for item in items) == integer(params) == report.params
    assert sum(worked(item[2]) for item in items) == integer(macs) == report.macs
    assert f"{report.macs:,} MACs are {report.flops:,} FLOPs" in PAGE


def test_published(example):
    *items, (_, params, macs) = rows("published | parameters")
    report = dg.count(example)
    parts = report.published_parts().values()
    assert [(worked(item[1]), worked(item[2])) for item in items] == [(p.params, p.macs) for p in parts]
    assert (integer(params), integer(macs)) == (report.published_params, report.published_macs)


@pytest.mark.parametrize("backend", ["dgl", "csr", "dense"])
def test_executed(example, backend):
    images = torch.randn(3, 3, 8, 8)
    logits, executed = dg.compile(example, backend).run(images)
    assert f"{executed.macs:,} MACs per image" in PAGE
    # One convolution, two depthwise ones, two products and a linear layer.
    assert executed.launches == 6
    torch.testing.assert_close(logits, example(images))


def test_removal_in_the_example(example):
    told = {row[0]: tuple(map(integer, row[1:])) for row in rows("removed")}
    found = after_removal(example)
    assert told == {rule: (left.nodes, left.edges, left.params, left.macs) for rule, left in found.items()}
    assert [row[0] for row in rows("rule")] == list(found)


def imported(network, golden):
    name, options = GOLDEN[network]
    case = golden(name)
    return dg.from_official(
        case.state, graph=case.json["graph"], prune_rate=case.json["prune_rate"], **options
    )


def test_what_dense_executes(golden):
    model = imported("random ×0.225", golden)
    network = dg.compile(model, "dense")
    network(torch.zeros(1, 3, 224, 224))
    assert f"{network.executed_macs:,} instead of {dg.count(model).macs:,} for random ×0.225" in PAGE


@pytest.mark.parametrize(("network", "place"), list(zip(GOLDEN, range(0, 9, 3), strict=True)))
def test_removal_in_imported_networks(network, place, golden):
    told = rows("network")[place : place + 3]
    found = after_removal(imported(network, golden))
    assert told[0][0] == network
    assert [row[1] for row in told] == list(found)
    whole = next(iter(found.values())).macs
    for row, left in zip(told, found.values(), strict=True):
        assert tuple(map(integer, row[2:6])) == (left.nodes, left.edges, left.params, left.macs)
        assert row[6] == f"{left.macs / whole:.1%}"


def test_the_unit_of_the_published_tables():
    config = Path(__file__).parents[1] / "configs" / "imagenet" / "mobilenet_v1_x0.25.yaml"
    macs = dg.count(dg.build_model(dg.load_config(config))).macs
    assert f"41M, and has\n{macs:,} MACs" in PAGE
