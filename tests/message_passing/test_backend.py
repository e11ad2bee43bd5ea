"""Which backends there are, when they refuse, and what `auto` means."""

from __future__ import annotations

import gc
from dataclasses import replace
from importlib.util import find_spec

import pytest
import torch

from dnw_graph.errors import InputError
from dnw_graph.message_passing import (
    EdgeIndex,
    backends,
    choose_backend,
    dgl,
    edge_index,
    find_backend,
    message_passing,
    usable_backend,
)
from dnw_graph.message_passing import (
    backend as registry,
)
from dnw_graph.message_passing.choice import reasons
from dnw_graph.models.tiny_static import tiny_static
from dnw_graph.native import library
from dnw_graph.triton import availability

CPU = torch.device("cpu")


def test_backends_are_usable_here_where_a_compiler_and_triton_are():
    assert {each.name for each in backends()} == {"dense", "csr", "dgl", "native", "triton"}
    may_lack = {"native": library.reason(), "triton": availability.reason()}
    for each in backends():
        if each.name == "dgl":
            assert (each.reason() is None) == (find_spec("dgl") is not None)
            continue
        missing = may_lack.get(each.name)
        assert each.reason() == missing
        assert each.available() == (missing is None)


def test_a_name_is_not_taken_twice(monkeypatch):
    monkeypatch.setattr(registry, "_BACKENDS", dict(registry._BACKENDS))
    ours = type(find_backend("csr"))
    with pytest.raises(
        ValueError, match=rf"backend name 'csr' is taken by {ours.__module__}\.{ours.__name__}"
    ):
        registry.register_backend(type("Other", (ours,), {}))
    reloaded = type(ours.__name__, (ours,), {"__module__": ours.__module__})
    registry.register_backend(reloaded)
    assert type(find_backend("csr")) is reloaded


@pytest.mark.parametrize("name", ["csr", "dgl"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_sparse_backends_refuse_short_floats_on_a_cpu_in_a_sentence(name, dtype):
    with pytest.raises(InputError) as caught:
        usable_backend(name, CPU, dtype)
    sentence = str(caught.value)
    assert sentence.startswith(f"backend '{name}' cannot be used on cpu in {dtype}: ")
    assert "use training.precision float32 or backend dense" in sentence


def test_the_operator_refuses_what_the_backend_refuses(block):
    with pytest.raises(InputError, match=r"backend 'csr' cannot be used on cpu in torch\.bfloat16"):
        block(dtype=torch.bfloat16).send("csr")


def test_dense_takes_short_floats(block):
    operands = block(dtype=torch.bfloat16)
    torch.testing.assert_close(operands.send("dense"), operands.by_definition(), rtol=0.05, atol=0.05)


@pytest.mark.parametrize(
    ("dtype", "edges", "name"),
    [
        (torch.float32, 100, "native" if library.reason() is None else "csr"),
        (torch.float64, 100, "csr"),
        (torch.bfloat16, 100, "dense"),
        (torch.float32, 999, "dense"),
    ],
)
def test_auto_is_sparse_where_the_wiring_is_and_the_numbers_are_long(dtype, edges, name):
    assert choose_backend(CPU, dtype, edges, 1000) == name


def test_every_backend_that_auto_passes_over_has_its_reason():
    found = reasons(CPU, torch.float64, 300, 1000)
    assert list(found) == ["native", "csr", "dense"]
    assert found["csr"] == "dense was measured faster from a density of 12.5% on"
    assert found["dense"] is None
    if library.reason() is None:
        assert (
            found["native"]
            == "the C kernels know float32; use training.precision float32, or backend csr or dense"
        )


def test_auto_is_csr_where_there_are_no_kernels(monkeypatch):
    monkeypatch.setattr(registry._BACKENDS["native"], "_reason", "no compiler")
    assert choose_backend(CPU, torch.float32, 100, 1000) == "csr"
    with pytest.raises(InputError, match="backend 'native' cannot be used here: no compiler"):
        find_backend("native")


def test_auto_is_dense_where_torch_has_no_sparse_products(monkeypatch):
    from dnw_graph.message_passing import csr

    monkeypatch.setattr(csr, "_HAS_MKL", False)
    assert choose_backend(CPU, torch.float64, 1, 1000) == "dense"
    with pytest.raises(InputError, match="this torch has no MKL"):
        usable_backend("csr", CPU, torch.float32)


def test_auto_runs_in_bfloat16():
    """The features are bfloat16 under autocast though the weights are not."""
    model = tiny_static(rule="top_k", num_classes=3, edges=6, groups=(3, 5, 5), readout=4, stem_channels=2)
    images = torch.randn(2, 3, 32, 32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(images)
    logits.float().sum().backward()
    torch.testing.assert_close(logits.float(), model(images), rtol=0.2, atol=0.2)
    assert model.body.stages[0].weight.grad.dtype == torch.float32


def test_unknown_backend_lists_the_known():
    with pytest.raises(InputError, match="backend 'cuda' is not known; choose auto, "):
        find_backend("cuda")
    with pytest.raises(InputError, match="backend 'cuda' is not known"):
        tiny_static(rule="top_k", num_classes=3, edges=6, backend="cuda")


def test_missing_dgl_is_said_with_its_fix(monkeypatch):
    def missing():
        raise InputError("dgl is not installed; run `pip install dgl`.")

    monkeypatch.setattr(dgl, "load_dgl", missing)
    with pytest.raises(InputError, match="backend 'dgl' cannot be used here: dgl is not installed; run"):
        find_backend("dgl")


def test_structures_are_derived_once_per_wiring(block, monkeypatch):
    """Two steps on one wiring compress it by source once; a new wiring does it again."""
    built = []
    original = EdgeIndex.by_source
    monkeypatch.setattr(EdgeIndex, "by_source", lambda index: built.append(1) or original(index))
    operands = block()
    for _ in range(2):
        operands.send("csr").sum().backward()
    assert len(built) == 1
    operands.index = EdgeIndex.of_positions(operands.index.position.clone(), 4, 3)
    operands.send("csr").sum().backward()
    assert len(built) == 2


def test_derived_structures_die_with_their_wiring(block, backend):
    """A run rewires some ten thousand times."""
    gc.collect()
    before = len(edge_index._derived)
    operands = block()
    operands.send(backend, "selected").sum().backward()
    assert len(edge_index._derived) == before + (backend != "dense")
    del operands
    gc.collect()
    assert len(edge_index._derived) == before


def test_wirings_that_share_a_tensor_do_not_share_what_is_derived(block, backend):
    """The same sources, [0, 1], once at targets 0 and 1, once both at target 1."""
    source, weight = torch.tensor([0, 1]), torch.ones(4)
    g = torch.tensor([1.0, 10.0]).reshape(2, 1, 1, 1)
    results = []
    for pointer, position in (([0, 1, 2], [0, 3]), ([0, 0, 2], [2, 3])):
        h = torch.ones(2, 1, 1, 1, requires_grad=True)
        z = message_passing(
            h, weight, torch.tensor(pointer), source, torch.tensor(position), None, "selected", backend
        )
        (slope,) = torch.autograd.grad(z, [h], g)
        results.append((z.flatten().tolist(), slope.flatten().tolist()))
    assert results == [([1.0, 1.0], [1.0, 10.0]), ([0.0, 2.0], [10.0, 10.0])]


def test_derived_structures_follow_a_change_in_place():
    index = EdgeIndex.of_positions(torch.tensor([1, 2]), 1, 4)
    assert index.derived("sum", lambda: int(index.source.sum())) == 3
    index.source.add_(1)
    assert index.derived("sum", lambda: int(index.source.sum())) == 5


def test_another_reading_of_the_same_tensors_has_what_is_derived_from_it():
    index = EdgeIndex.of_positions(torch.tensor([1, 2]), 1, 4)
    wider = replace(index, blocks=((1, 9),))
    assert index.derived("columns", lambda: index.num_sources) == 4
    assert wider.derived("columns", lambda: wider.num_sources) == 9
