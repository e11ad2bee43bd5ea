"""Networks in discrete and continuous time: one graph, applied again and again."""

from __future__ import annotations

import copy
import json

import networkx as nx
import numpy as np
import pytest
import torch

import dnw_graph as dg
from dnw_graph.errors import InputError
from dnw_graph.models.lower import lower
from dnw_graph.models.tiny_dynamic import tiny_continuous_time, tiny_discrete_time
from dnw_graph.program.by_torch import States, run
from dnw_graph.program.reference import evaluate
from dnw_graph.program.split import split

SIZES = {"nodes": 24, "inputs": 4, "readout": 5, "stem_channels": 2, "num_classes": 3, "edges": 40}


def network(build, seed=0, **options):
    with torch.random.fork_rng(devices=[]):
        # Of stem and head.
        torch.manual_seed(seed)
        model = build(rule="random", seed=seed, **(SIZES | options)).double().eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if value.is_floating_point() and not name.endswith("running_var"):
                value += 0.3 * torch.randn(value.shape, generator=generator, dtype=value.dtype)
    return model


def images(count=2):
    return torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(9), dtype=torch.float64)


def unrolled_copies(model, times):
    """(live nodes, live edges) by paths in the graph of all evaluations, with networkx."""
    stage = model.body.wired.stage
    source, target = stage.ends(model.body.wired.selected.numpy())
    nodes = SIZES["nodes"]
    pairs = list(zip(source.tolist(), (target - nodes).tolist(), strict=True))
    graph = nx.DiGraph()
    graph.add_nodes_from((time, node) for time in range(times + 1) for node in range(nodes))
    graph.add_edges_from(((time, u), (time + 1, v)) for time in range(times) for u, v in pairs)
    fed = [(0, node) for node in range(SIZES["inputs"])]
    read = [(times, node) for node in range(nodes - SIZES["readout"], nodes)]
    reached = set(fed).union(*(nx.descendants(graph, each) for each in fed))
    used = set(read).union(*(nx.ancestors(graph, each) for each in read))
    live = reached & used
    edges = {(u, v) for u, v in pairs for t in range(times) if {(t, u), (t + 1, v)} <= live}
    return {node for _, node in live}, edges


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("times", [1, 3, 5])
def test_live_is_what_is_in_any_evaluation(seed, times):
    model = network(tiny_discrete_time, seed, times=times)
    nodes, edges = unrolled_copies(model, times)
    before, after = model.node_status().reshape(2, -1)
    assert (before == after).all()
    assert set(np.flatnonzero(before == 2).tolist()) == nodes
    stage = dg.count(model).stages[0]
    assert (stage.nodes, stage.edges, stage.convolutions) == (len(nodes), len(edges), len(nodes))
    assert stage.params == 9 * len(nodes) + len(edges)
    assert stage.macs == times * 64 * (9 * len(nodes) + len(edges))


@pytest.mark.parametrize("seed", range(8))
def test_every_executor_gives_the_networks_logits(seed):
    model = network(tiny_discrete_time, seed)
    expected = model(images()).detach()
    program = lower(model)
    np.testing.assert_allclose(evaluate(program, images().numpy()), expected, rtol=1e-9, atol=1e-11)
    for backend in ("dense", "csr"):
        logits, executed = dg.compile(model, backend).run(images())
        torch.testing.assert_close(logits, expected, rtol=1e-9, atol=1e-11)
    assert executed.macs == dg.count(model).macs
    twin = copy.deepcopy(model).float()
    logits, executed = dg.compile(twin, "native").run(images().float())
    torch.testing.assert_close(logits.double(), expected, rtol=2e-5, atol=2e-5)
    assert executed.macs == dg.count(model).macs


def test_one_evaluation_by_hand():
    """y = norm(Σ w · conv(relu(x))), replaced and not added to."""
    model = network(tiny_discrete_time, times=1)
    z = torch.randn(4, 2, 8, 8, dtype=torch.float64)
    states = torch.zeros(24, 2, 8, 8, dtype=torch.float64)
    states[:4] = z
    (operation,) = model.body.operations
    h = torch.nn.functional.conv2d(
        states.relu().transpose(0, 1), operation.kernel, padding=1, groups=24
    ).transpose(0, 1)
    wired = model.body.wired
    source, target = wired.stage.ends(wired.selected.numpy())
    total = torch.zeros_like(states)
    for u, v, w in zip(source, target - 24, wired.weight[wired.selected].tolist(), strict=True):
        total[v] += w * h[u]
    norm = torch.nn.InstanceNorm2d(24, affine=True, eps=model.body.norm.eps).double()
    norm.weight, norm.bias = model.body.norm.weight, model.body.norm.bias
    expected = norm(total.transpose(0, 1)).transpose(0, 1)[-5:]
    torch.testing.assert_close(model.body(z), expected)


def test_continuous_time_is_the_solution_of_an_equation():
    """Against many small steps of Euler's, and as many evaluations as were counted."""
    model = network(tiny_continuous_time)
    body = model.body
    z = model.stem(images(1)).transpose(0, 1)
    state = torch.cat([z, z.new_zeros(20, 1, 8, 8)]).detach()
    (_, equation, _), layers, steps = body.steps(), body.layers(), 4000
    with torch.no_grad():
        for _ in range(steps):
            slope = run(equation.steps, States({"z0": state}), layers, ["y"])["y"]
            state = state + slope / steps
        found = body(z.contiguous())
    assert (found - state[-5:]).abs().max() < 0.05 * state.abs().max()
    _, executed = dg.compile(model, "csr").run(images(1))
    report = dg.count(model)
    around = report.stem.macs + report.head.macs
    evaluations, rest = divmod(executed.macs - around, report.stages[0].macs)
    assert rest == 0
    assert evaluations >= 7
    assert (evaluations - 2) % 6 == 0


def test_the_in_place_relu_changes_the_results_and_is_off_by_default():
    plain, clipped = (network(tiny_continuous_time, inplace_relu=flag) for flag in (False, True))
    assert not plain.body.clip
    difference = (plain(images()) - clipped(images())).abs().max()
    assert difference > 1e-3


@pytest.mark.parametrize("build", [tiny_discrete_time, tiny_continuous_time])
def test_unselected_edges_get_the_gradient_through_all_evaluations(build):
    """By finite differences: an edge outside the wiring, as if it were in with weight 0."""
    model = network(build, edges=100)
    stage = model.body.wired
    outside = int(np.setdiff1d(np.arange(576), stage.selected.numpy())[7])
    stage.rule.reach = "candidates"
    model(images()).square().sum().backward()
    slope = stage.weight.grad[outside].item()
    ids = torch.cat([stage.selected, torch.tensor([outside])]).sort().values

    def loss(weight):
        with torch.no_grad():
            stage.weight[outside] = weight
            return model(images()).square().sum().item()

    stage.select(ids)
    step = 1e-5
    if build is tiny_discrete_time:
        assert (loss(step) - loss(-step)) / (2 * step) == pytest.approx(slope, rel=1e-4, abs=1e-7)
    else:
        # The steps that the solver takes are constants in the gradient.
        assert (loss(1e-3) - loss(-1e-3)) / 2e-3 == pytest.approx(slope, rel=0.1, abs=2e-3)


@pytest.mark.parametrize("build", [tiny_discrete_time, tiny_continuous_time])
@pytest.mark.parametrize("suffix", [".npz", ".json", ".graphml"])
def test_the_wiring_goes_through_files(build, suffix, tmp_path):
    model, other = network(build), network(build, seed=3)
    dg.save_graph(model, tmp_path / f"w{suffix}")
    graph = dg.load_graph(tmp_path / f"w{suffix}")
    assert graph.attributes["evaluations"] == (5 if build is tiny_discrete_time else 0)
    assert graph.attributes["node_operation"] == "relu,conv3x3,messages,norm"
    assert graph.num_nodes == 2 * SIZES["nodes"]
    other.stem, other.head = model.stem, model.head
    other.load_graph(graph)
    torch.testing.assert_close(other(images()), model(images()), rtol=1e-12, atol=1e-12)


def test_a_static_graph_is_refused_by_a_dynamic_network(tmp_path, nine_nodes):
    dg.save_graph(nine_nodes, tmp_path / "w.npz")
    with pytest.raises(InputError, match="build the network that the graph was saved from"):
        network(tiny_discrete_time).load_graph(dg.load_graph(tmp_path / "w.npz"))


def test_a_constant_node_is_folded_evaluation_by_evaluation():
    """Node 10 hears nothing and is no input: it sends relu(shift) from the second evaluation on."""
    model = network(tiny_discrete_time, edges=30)
    wired = model.body.wired
    source, target = (ends.tolist() for ends in wired.stage.ends(wired.selected.numpy()))
    kept = [i for i, v in enumerate(target) if v - 24 != 10]
    ids = {int(wired.selected[i]) for i in kept} | set(wired.stage.ids([10, 10], [24 + 20, 24 + 6]).tolist())
    wired.select(torch.tensor(sorted(ids)))
    model.body.norm.bias.data[10] = 2.0
    assert source
    assert model.node_status()[10] == 1
    live, constant = split(lower(model))
    assert constant is not None
    assert live.channels["z0"] == dg.count(model).stages[0].nodes
    logits = dg.compile(model, "csr")(images())
    torch.testing.assert_close(logits, model(images()), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", ["init_2019", "epoch_0_2019", "epoch_0_today"])
def test_a_checkpoint_of_2019_gives_the_official_logits(golden_folder, fill, name):
    recorded = json.loads((golden_folder / "ckpt_discrete_dim120.json").read_text())
    recorded = recorded["init" if name.startswith("init") else "epoch_0"]
    given = torch.from_numpy(fill.fill_input(recorded["input_spec"]))
    options = {"network": "tiny_discrete_time", "prune_rate": 0.8}
    model = dg.from_official(golden_folder / f"ckpt_discrete_dim120_{name}.pt", **options).double()
    found, expected = model(given.double()).detach().numpy(), np.array(recorded["eval_logits64"])
    assert np.abs(found - expected).max() < 1e-10 * np.abs(expected).max()
    compiled = dg.compile(model, "csr")(given.double()).numpy()
    assert np.abs(compiled - expected).max() < 1e-10 * np.abs(expected).max()


@pytest.mark.parametrize("wrong", [{"inputs": 0}, {"readout": 30}, {"times": 0}])
def test_sizes_that_make_no_network_are_refused(wrong):
    with pytest.raises(InputError, match="use"):
        network(tiny_discrete_time, **wrong)


def test_every_executor_refuses_maps_that_the_head_would_misread():
    model, large = network(tiny_discrete_time), torch.zeros(1, 3, 40, 40, dtype=torch.float64)
    executors = (
        model,
        lambda images: evaluate(lower(model), images.numpy()),
        dg.compile(model, "csr"),
        lambda images: dg.compile(copy.deepcopy(model).float(), "native")(images.float()),
    )
    for run_on in executors:
        with pytest.raises(
            ValueError, match=r"\[1, 3, 40, 40\].*resize them to 32×32|the readout maps are 10×10, not 8×8"
        ):
            run_on(large)
