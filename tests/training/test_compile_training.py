"""torch.compile of networks in training: one graph, eager numbers, few programs for many wirings."""

from __future__ import annotations

import copy
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch._dynamo.backends.debugging import aot_eager

from dnw_graph.models.mobilenet_v1 import mobilenet_v1
from dnw_graph.models.tiny_static import tiny_static

BLOCKS = ((3, 5, 1, 1), (5, 6, 2, 3))
NETWORKS = {
    "tiny": partial(tiny_static, edges=60, groups=(4, 6, 6), readout=4, stem_channels=3),
    "mobilenet": partial(mobilenet_v1, image_size=32, density=0.6, blocks=BLOCKS),
    "small": partial(mobilenet_v1, image_size=32, width=0.8, small=True, blocks=BLOCKS),
}
STEPS = 7


class Compiler:
    """A backend of torch.compile that counts the graphs it is given."""

    def __init__(self, compiler=aot_eager):
        self.compiler, self.graphs = compiler, []

    def __call__(self, graph, inputs):
        self.graphs.append(graph)
        return self.compiler(graph, inputs)


@pytest.fixture(autouse=True)
def _no_programs_from_before():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def build(name, **options):
    torch.manual_seed(0)
    return NETWORKS[name](**{"rule": "top_k", "num_classes": 3, **options}).train()


def backward(model, forward, images):
    """Loss, gradients and buffers of one step."""
    model.zero_grad(set_to_none=True)
    loss = F.cross_entropy(forward(images), torch.arange(len(images)) % 3)
    loss.backward()
    gradients = {name: p.grad for name, p in model.named_parameters()}
    return {"loss": loss.detach(), **gradients, **dict(model.named_buffers())}


def sizes(model):
    """Edges of every block."""
    return tuple(index.num_edges for _, stage in model.wired_stages() for index in stage.indices())


def rewire(models, step, scale=0.3):
    """The same random change of all weights of all models, and the next wiring."""
    generator = torch.Generator().manual_seed(step)
    with torch.no_grad():
        for parameters in zip(*(model.parameters() for model in models), strict=True):
            value = parameters[0] + scale * torch.randn(parameters[0].shape, generator=generator)
            for parameter in parameters:
                parameter.copy_(value)
    for model in models:
        model.rewire(step)


def train_both(model, compiler, **tolerance):
    """Train a network and its compiled twin over several wirings; → sizes of blocks of each step."""
    twin = copy.deepcopy(model)
    compiled = torch.compile(twin, fullgraph=True, backend=compiler)
    wirings = []
    for step in range(STEPS):
        images = torch.randn(4, 3, 32, 32)
        expected = backward(model, model, images)
        got = backward(twin, compiled, images)
        assert got.keys() == expected.keys()
        for name, value in expected.items():
            torch.testing.assert_close(
                got[name], value, msg=lambda text, name=name: f"{name}: {text}", **tolerance
            )
        wirings.append(sizes(model))
        rewire((model, twin), step + 1)
        assert sizes(model) == sizes(twin)
    return wirings


@pytest.mark.parametrize("name", NETWORKS)
def test_training_is_one_graph_with_eager_gradients_for_all_wirings(name):
    """Bit for bit; running statistics too. Blocks get other numbers of edges at every step."""
    compiler = Compiler()
    wirings = train_both(build(name), compiler, rtol=0, atol=0)
    assert len(set(wirings)) == STEPS
    assert min(map(min, wirings)) > 1
    assert len(compiler.graphs) == 1


def test_the_body_is_one_operator_per_stage():
    compiler = Compiler()
    model = build("mobilenet")
    torch.compile(model, fullgraph=True, backend=compiler)(torch.randn(2, 3, 32, 32))
    (graph,) = compiler.graphs
    ours = [str(node.target) for node in graph.graph.nodes if "dnw_graph" in str(node.target)]
    assert ours == ["dnw_graph.stage.default"] * len(model.body.stages)


@pytest.mark.parametrize("name", ["tiny", "mobilenet"])
def test_thinned_gradients_take_one_more_graph(name):
    model, compiler = build(name), Compiler()
    for _, stage in model.wired_stages():
        stage.thin_gradient(every=3, sample=0.5)
    train_both(model, compiler, rtol=0, atol=0)
    assert len(compiler.graphs) == 2


def test_evaluation_is_a_graph_of_its_own():
    compiler = Compiler()
    model = build("mobilenet")
    compiled = torch.compile(model, fullgraph=True, backend=compiler)
    images = torch.randn(4, 3, 32, 32)
    compiled(images)
    model.eval()
    for step in range(3):
        with torch.no_grad():
            assert torch.equal(compiled(images), model(images))
        rewire((model,), step)
    assert len(compiler.graphs) == 2
    model.train()
    compiled(images)
    assert len(compiler.graphs) == 2


@pytest.mark.parametrize("backend", ["dense", "csr", "dgl"])
def test_other_backends_compile_too(backend):
    train_both(build("tiny", backend=backend), Compiler(), rtol=1e-6, atol=1e-7)


def test_a_fixed_wiring_compiles():
    train_both(build("tiny", rule="random"), Compiler(), rtol=0, atol=0)


def test_mixed_precision_compiles_level_by_level():
    model, compiler = build("tiny"), Compiler()
    compiled = torch.compile(model, fullgraph=True, backend=compiler)
    images = torch.randn(4, 3, 32, 32)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(compiled(images), model(images))
    assert len(compiler.graphs) == 1


@pytest.mark.slow
# torch's own, where inductor imports what it needs.
@pytest.mark.filterwarnings(r"ignore:`torch\.jit\.script:DeprecationWarning")
def test_inductor_gives_the_same_gradients():
    """The compiler that torch.compile takes by default, where g++ is."""
    from torch._inductor.compile_fx import compile_fx
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler:
        pytest.skip("inductor needs a C++ compiler")
    compiler = Compiler(compile_fx)
    train_both(build("tiny"), compiler, rtol=1e-4, atol=1e-5)
    assert len(compiler.graphs) == 1
