"""ONNX models of wired networks: the logits of other engines, what the file says of itself, refusals."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dnw_graph as dg
from dnw_graph.errors import InputError
from dnw_graph.interchange.onnx_network import check_logits, onnx_model, save_onnx

LAW = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


def by_onnx_runtime(made, images):
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"images": images})[0]


def by_openvino(made, images):
    core = openvino.Core()
    network = core.read_model(made.SerializeToString())
    return core.compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(images)[0]


def difference(found, wanted):
    return np.abs(found - wanted).max() / np.abs(wanted).max()


CONFIGS = [
    "digits/tiny_static_dnw",
    "digits/tiny_discrete_time_random",
    "cifar10/dnw_x0.225",
    "imagenet/dnw_small_x0.15",
]


@pytest.mark.parametrize("name", CONFIGS)
def test_other_engines_give_the_logits_for_any_batch(name):
    torch.manual_seed(0)
    model = dg.build_model(dg.load_config(name)).eval()
    made = onnx_model(model)
    for batch in (1, 3):
        images = torch.randn(batch, 3, model.image_size, model.image_size)
        with torch.no_grad():
            wanted = model(images).numpy()
        assert difference(by_onnx_runtime(made, images.numpy()), wanted) < 1e-4
        assert difference(by_openvino(made, images.numpy()), wanted) < 1e-4


@given(data=st.data())
@LAW
def test_random_wirings(data, networks):
    """With dead and constant nodes; a network in which no image reaches the classifier is refused."""
    kinds = st.one_of(networks.mobilenets(), networks.tinies(), networks.discretes())
    model = data.draw(kinds).float().eval()
    images = torch.randn(2, 3, model.image_size, model.image_size)
    refusal = None
    try:
        made = onnx_model(model)
    except InputError as error:
        refusal = str(error)
    if refusal is not None:
        assert "no image changes the logits" in refusal
        with torch.no_grad():
            logits = model(images)
        torch.testing.assert_close(logits[0], logits[1])
        return
    with torch.no_grad():
        wanted = model(images).numpy()
    found = by_onnx_runtime(made, images.numpy())
    assert np.abs(found - wanted).max() <= 1e-4 * max(1.0, np.abs(wanted).max())


@pytest.mark.parametrize("activation", ["relu6", "hardswish", "silu", "identity"])
def test_every_activation(activation):
    model = dg.build_model(dg.load_config("digits/tiny_static_random")).eval()
    for operation in model.body.operations:
        operation.spec = replace(operation.spec, activation=activation)
    made, images = onnx_model(model), torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        wanted = dg.compile(model, "dense")(images).numpy()
    assert difference(by_onnx_runtime(made, images.numpy()), wanted) < 1e-4


def test_the_file_says_what_it_is(tmp_path):
    model = dg.build_model(dg.load_config("digits/tiny_static_random")).eval()
    names, preprocessing = [f"digit {n}" for n in range(10)], {"mean": [0.5] * 3, "std": [0.2] * 3}
    model.facts = replace(model.facts, class_names=names, preprocessing=preprocessing)
    save_onnx(model, tmp_path / "net.onnx")
    found = {entry.key: entry.value for entry in onnx.load(tmp_path / "net.onnx").metadata_props}
    assert json.loads(found["class_names"]) == names
    assert json.loads(found["preprocessing"]) == preprocessing
    report = dg.count(model)
    assert (int(found["macs"]), int(found["params"])) == (report.macs, report.params)
    assert int(found["macs_dense"]) > 5 * report.macs


def test_a_model_that_computes_something_else_is_found():
    model = dg.build_model(dg.load_config("digits/tiny_static_random")).eval()
    made = onnx_model(model)
    for constant in made.graph.initializer:
        if len(constant.dims) == 4:
            values = onnx.numpy_helper.to_array(constant) * np.float32(1.01)
            constant.CopyFrom(onnx.numpy_helper.from_array(values, constant.name))
    with pytest.raises(RuntimeError, match="differ from the network's"):
        check_logits(model, made)


def test_what_onnx_cannot_hold_is_refused():
    with pytest.raises(InputError, match="no solver for continuous time"):
        onnx_model(dg.build_model(dg.load_config("digits/tiny_continuous_time_random")))
    with pytest.raises(InputError, match=r"dense; torch\.onnx\.export writes it"):
        onnx_model(dg.build_model(dg.load_config("imagenet/mobilenet_v1_x0.25")))


def test_without_the_package_the_fix_is_named(monkeypatch):
    monkeypatch.setattr("dnw_graph.dependencies._exists", lambda package: False)
    with pytest.raises(InputError, match=r"onnx is not installed; run `pip install 'dnw-graph\[onnx\]'`"):
        onnx_model(dg.build_model(dg.load_config("digits/tiny_static_random")))
