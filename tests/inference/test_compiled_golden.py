"""Compiled networks against the 2019 program's numbers, before and after its own removal of nodes."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

import dnw_graph as dg
from dnw_graph.message_passing import backends

LARGE = ["random_x225", "dnw_x225", "small_x15", "small_x15_liveout"]
OTHERS = ["cifar_dnw_step", "tiny_static_dnw"]


def relative(a, b) -> float:
    """max|a − b| / max|b|"""
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    assert a.shape == b.shape
    return float(np.abs(a - b).max() / np.abs(b).max())


def imported(case, dtype):
    description = case.json
    return dg.from_official(
        case.state_in(dtype),
        network="tiny_static" if description["case"].startswith("tiny") else "mobilenet_v1",
        graph=description["graph"],
        prune_rate=description["prune_rate"],
        small=description.get("small", False),
    )


def official(case):
    return case.arrays["logits64" if "logits64" in case.arrays else "eval_logits64"]


@pytest.fixture(scope="module")
def compared(golden):
    """compared(name) → (case, exact MACs, {backend: (float64 logits, executed)}), each network run once."""

    @cache
    def run(name):
        case = golden(name)
        model = imported(case, torch.float64)
        images = case.images.double()
        sparse = [each.name for each in backends() if each.name in ("dgl", "csr") and each.reason() is None]
        found = {backend: dg.compile(model, backend).run(images) for backend in sparse}
        return case, dg.count(model).macs, found

    return run


@pytest.mark.parametrize("name", LARGE + OTHERS)
@pytest.mark.parametrize("backend", ["dgl", "csr"])
def test_float64_logits_are_the_official_ones(name, backend, compared):
    case, _, found = compared(name)
    assert relative(found[backend][0], official(case)) < 1e-10


@pytest.mark.parametrize("name", LARGE + OTHERS)
@pytest.mark.parametrize("backend", ["dgl", "csr"])
def test_executed_is_exact(name, backend, compared):
    _, exact, found = compared(name)
    assert found[backend][1].macs == exact


@pytest.mark.parametrize("name", LARGE + OTHERS)
def test_float32_logits_are_the_official_ones(name, golden):
    case = golden(name)
    network = dg.compile(imported(case, torch.float32), "csr")
    assert relative(network(case.images), official(case)) < 2e-5


@pytest.mark.parametrize("name", ["random_x225", "dnw_x225"])
def test_dead_outputs_keep_the_constant_that_the_2019_removal_dropped(name, compared):
    case, _, found = compared(name)
    logits, fast = found["csr"][0], case.arrays["fast_logits64"]
    assert relative(logits, fast + case.arrays["dead_output_constant64"]) < 1e-10
    assert relative(logits, fast) > 0.01


def test_small_network_without_dead_outputs_is_the_2019_removal(compared):
    case, _, found = compared("small_x15_liveout")
    assert relative(found["csr"][0], case.arrays["fast_logits64"]) < 1e-10
