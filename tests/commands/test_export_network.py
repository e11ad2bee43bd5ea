"""`dnw-graph export RUN -o net.dnw`: a file that runs, small, and the same for the same run."""

from __future__ import annotations

import json
import re

import onnx
import onnxruntime
import pytest
import torch

import dnw_graph as dg
from dnw_graph.commands.main import main
from dnw_graph.config import config_from_dict
from dnw_graph.native import library
from dnw_graph.runs import load_run
from dnw_graph.runtime import Network
from dnw_graph.runtime.document import read_document
from dnw_graph.training.adopt import adopt


def adopted(tmp_path_factory, **model):
    cfg = config_from_dict(
        {
            "model": {"num_classes": 10, "image_size": 32} | model,
            "data": {"dataset": "digits"},
            "training": {"epochs": 1, "batch_size": 8},
        }
    )
    torch.manual_seed(0)
    return adopt(cfg, dg.build_model(cfg), tmp_path_factory.mktemp("export") / "run")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return adopted(tmp_path_factory, network="tiny_static", edges=1500)


@pytest.fixture(scope="module")
def mobilenet(tmp_path_factory):
    return adopted(tmp_path_factory, network="mobilenet_v1", width=0.225)


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_a_file_runs_like_its_run(precision, run, tmp_path, networks, capsys):
    path = tmp_path / "net.dnw"
    assert main(["export", str(run), "-o", str(path), "--precision", precision]) == 0
    said = capsys.readouterr().out
    model = load_run(run).model
    counts = dg.count(model)
    assert said.startswith(f"{path}: dnw, {path.stat().st_size:,} bytes, {counts.macs:,} MACs per image, ")
    assert f"{counts.params:,} parameters in {precision}" in said
    document = read_document(path)
    assert document.counts["macs"] == counts.macs
    assert document.provenance["config"]["model"]["edges"] == 1500
    assert document.provenance["dnw_graph"] == dg.__version__
    if library.reason() is None:
        limit = {"float32": 2e-5, "float16": 5e-3}[precision]
        images = networks.images_for(model)
        expected = dg.compile(model, "dense")(images).numpy()
        assert networks.relative(Network(path)(images.numpy()), expected) < limit
        assert float(re.search(r"by (\S+) of the largest", said)[1]) < limit


def test_an_onnx_model_says_where_it_comes_from(run, tmp_path, networks, capsys):
    path = tmp_path / "net.onnx"
    assert main(["export", str(run), "-o", str(path)]) == 0
    said, model = capsys.readouterr().out, load_run(run).model
    assert f"{dg.count(model).macs:,} MACs per image; engines that multiply by missing edges too" in said
    facts = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert json.loads(facts["provenance"])["config"]["model"]["edges"] == 1500
    images = networks.images_for(model).numpy()
    (logits,) = onnxruntime.InferenceSession(path).run(None, {"images": images})
    expected = dg.compile(model, "dense")(torch.from_numpy(images)).numpy()
    assert networks.relative(logits, expected) < 1e-4


def test_the_same_run_gives_the_same_bytes(run, tmp_path):
    for name in ("a.dnw", "b.dnw"):
        assert main(["export", str(run), "-o", str(tmp_path / name)]) == 0
    assert (tmp_path / "a.dnw").read_bytes() == (tmp_path / "b.dnw").read_bytes()


@pytest.mark.parametrize(("precision", "each"), [("float32", 4), ("float16", 2)])
@pytest.mark.parametrize("which", ["run", "mobilenet"])
def test_a_file_is_small(which, precision, each, tmp_path, request):
    """At most 4 or 2 bytes per live value, one bit per candidate edge, and 64 KB."""
    directory, path = request.getfixturevalue(which), tmp_path / "net.dnw"
    assert main(["export", str(directory), "-o", str(path), "--precision", precision]) == 0
    model = load_run(directory).model
    counts = dg.count(model)
    values = counts.params + read_document(path).counts["others"]
    assert path.stat().st_size < each * values + model.layout.num_candidates / 8 + 64 * 1024


def test_a_run_in_discrete_time_is_exported_and_one_in_continuous_time_is_not(
    tmp_path_factory, tmp_path, capsys
):
    for time, code in (("discrete", 0), ("continuous", 2)):
        directory = adopted(tmp_path_factory, network=f"tiny_{time}_time", edges=300)
        assert main(["export", str(directory), "-o", str(tmp_path / f"{time}.dnw")]) == code
    assert capsys.readouterr().err == (
        "dnw-graph: error: dnw-runtime, which runs .dnw files, lacks a solver for continuous time; "
        "export the wiring instead.\n"
    )
    assert not (tmp_path / "continuous.dnw").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "net.dnw", "--stage", "0"], "leave out --stage, --threshold and --without-dead."),
        (["-o", "net.npz", "--format", "dnw"], "net.npz: the suffix is that of npz; for dnw use .dnw."),
        (["-o", "net.dnw", "--format", "csv"], "net.dnw: the suffix is that of dnw; for csv use another."),
        (["-o", "net.onnx", "--format", "dnw"], "net.onnx: the suffix is that of onnx; for dnw use another."),
        (["-o", "net.onnx", "--precision", "float16"], "--precision float16: is of .dnw files alone"),
        (["-o", "net.onnx", "--threshold", "0.1"], "a .onnx file holds the whole network"),
        (["-o", "w.npz", "--precision", "float16"], "--precision float16: is of .dnw files alone"),
        (["-o", "nowhere/net.dnw"], "nowhere/net.dnw: cannot be written (No such file or directory)"),
    ],
)
def test_mistakes_are_one_line(arguments, message, run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["export", str(run), *arguments]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
