"""What a network says of images that it cannot read, whichever way it runs."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

import dnw_graph as dg
from dnw_graph.config import config_from_dict
from dnw_graph.errors import InputError


def built(**model: object) -> nn.Module:
    sections = {
        "model": {"image_size": 32, "num_classes": 10, **model},
        "data": {"dataset": "digits"},
        "training": {"epochs": 1, "batch_size": 8},
    }
    return dg.build_model(config_from_dict(sections)).eval()


def tiny() -> nn.Module:
    return built(network="tiny_static", edges=120, options={"groups": [4, 8, 8], "readout": 4})


def mobilenet() -> nn.Module:
    blocks = [[4, 8, 1, 1], [8, 8, 2, 1]]
    return built(network="mobilenet_v1", density=0.5, options={"blocks": blocks})


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "tiny": tiny,
    "mobilenet": mobilenet,
    "dense mobilenet": lambda: built(network="mobilenet_v1_dense", multiplier=0.25),
    "shufflenet": lambda: built(network="shufflenet_v2", multiplier=0.5),
    "compiled native": lambda: dg.compile(mobilenet(), "native"),
    "compiled csr": lambda: dg.compile(mobilenet(), "csr"),
    "compiled tiny": lambda: dg.compile(tiny(), "dense"),
}

X = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
WRONG = {
    "nothing": (None, "images are NoneType", "give a tensor"),
    "array": (X.numpy(), "images are ndarray", "torch.from_numpy(images)"),
    "list": ([X[0], X[1]], "images are a list", "torch.stack(images)"),
    "grey": (X[:, :1], "of shape [2, 1, 32, 32]", "images.expand(-1, 3, -1, -1)"),
    "with alpha": (torch.zeros(2, 4, 32, 32), "of shape [2, 4, 32, 32]", "red, green and blue"),
    "single": (X[0], "of shape [3, 32, 32]", "images[None]"),
    "channels last": (X.permute(0, 2, 3, 1), "of shape [2, 32, 32, 3]", "images.permute(0, 3, 1, 2)"),
    "no pixels": (X[:, :, :0], "of shape [2, 3, 0, 32]", "images that have pixels"),
    "pixels": ((X * 50).to(torch.uint8), "images are uint8", "run.preprocess"),
    "double": (X.double(), "images are float64", "images.to(torch.float32)"),
    "elsewhere": (X.to("meta"), "images are on meta", "images.to('cpu')"),
    "sparse": (X.to_sparse(), "layout torch.sparse_coo", "images.to_dense()"),
}


@pytest.fixture(scope="module", params=NETWORKS)
def network(request: pytest.FixtureRequest) -> nn.Module:
    return NETWORKS[request.param]()


@pytest.mark.parametrize("name", WRONG)
def test_wrong_images_are_told_what_they_are_what_was_expected_and_the_fix(network, name):
    images, given, fix = WRONG[name]
    with pytest.raises(InputError) as error:
        network(images)
    assert re.search(
        f"{re.escape(given)}.*takes float32 \\[B, 3, .*\\] on cpu; .*{re.escape(fix)}", str(error.value)
    )
    assert "\n" not in str(error.value)


def test_no_images_give_no_logits(network):
    assert network(X[:0]).shape == (0, 10)


@pytest.mark.parametrize("name", ["tiny", "compiled tiny"])
def test_a_network_of_one_size_takes_what_its_stem_rounds_to_it(name):
    """The stem's maps of 29 to 32 pixels are all 8×8, as the head wants them."""
    network = NETWORKS[name]()
    assert network(X[..., 1:30, 2:31]).shape == (2, 10)
    with pytest.raises(InputError, match=r"\[2, 3, 28, 32\].*; resize them to 32×32 pixels"):
        network(X[..., :28, :])


@pytest.mark.parametrize("name", ["mobilenet", "compiled csr"])
def test_a_network_that_pools_takes_any_size(name):
    assert NETWORKS[name]()(X[..., :20, :9]).shape == (2, 10)


def test_autocast_takes_images_of_less_precision():
    """As torch's layers do; without it they are refused."""
    model = mobilenet()
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        assert model(X.bfloat16()).shape == (2, 10)
    with pytest.raises(InputError, match=r"images are bfloat16.*images\.to\(torch\.float32\)"):
        model(X.bfloat16())


def test_a_network_of_doubles_asks_for_doubles():
    with pytest.raises(
        InputError, match=r"images are float32, .*takes float64.*images\.to\(torch\.float64\)"
    ):
        mobilenet().double()(X)


@torch.no_grad()
@pytest.mark.parametrize("name", ["tiny", "mobilenet", "dense mobilenet", "shufflenet"])
def test_a_network_that_looks_at_its_batch_is_exported(name):
    """Dense ones with any number of images."""
    model, is_dense = NETWORKS[name](), name in ("dense mobilenet", "shufflenet")
    free = ({0: torch.export.Dim("batch", min=2, max=64)},) if is_dense else None
    exported = torch.export.export(model, (X,), dynamic_shapes=free).module()
    torch.testing.assert_close(exported(X), model(X))
    if is_dense:
        torch.testing.assert_close(exported(torch.cat([X, X]))[:2], model(X))
    parameters = dict(model.named_parameters())
    torch.testing.assert_close(torch.func.functional_call(model, parameters, (X,)), model(X))


@torch.no_grad()
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("name", ["dense mobilenet", "shufflenet"])
def test_dense_networks_run_under_vmap_and_tracers(name):
    model = NETWORKS[name]()
    torch.testing.assert_close(
        torch.func.vmap(lambda image: model(image[None])[0])(X), model(X), rtol=1e-4, atol=1e-5
    )
    torch.testing.assert_close(torch.jit.trace(model, X)(X), model(X))
    torch.testing.assert_close(torch.fx.symbolic_trace(model)(X), model(X))


@pytest.mark.parametrize("name", ["tiny", "dense mobilenet", "shufflenet"])
def test_a_compiled_graph_of_torch_has_no_break_for_the_look(name):
    explained = torch._dynamo.explain(NETWORKS[name]())(X)
    assert explained.graph_break_count == 0, explained.break_reasons


def test_arrays_of_pixels_are_no_images_to_a_network_but_to_a_run():
    """A network takes what is prepared; the sentence says who prepares."""
    pixels = np.zeros((2, 32, 32, 3), dtype=np.uint8)
    with pytest.raises(InputError, match=r"uint8.*run\.preprocess of load_run"):
        tiny()(torch.from_numpy(pixels).permute(0, 3, 1, 2))
