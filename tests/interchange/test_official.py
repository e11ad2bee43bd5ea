"""Checkpoints of the 2019 program: what is read, what is refused, and that nothing in them runs."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from fractions import Fraction

import numpy as np
import pytest
import torch

import dnw_graph as dg
from dnw_graph.errors import InputError
from dnw_graph.models.facts import ImportedStage

FILES = ["init_2019", "epoch_0_2019", "epoch_0_today"]
TINY = {"network": "tiny_static", "prune_rate": 0.95}


@pytest.fixture(scope="session")
def narrow(golden_folder):
    """What is in the narrow network's checkpoint files."""
    return json.loads((golden_folder / "ckpt_mobile_narrow_dnw.json").read_text())


def options(narrow):
    return {"prune_rate": 0.5, "blocks": narrow["block_table"]["rows"], "image_size": 32}


def relative(a, b) -> float:
    """max|a − b| / max|b|"""
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    return float(np.abs(a - b).max() / np.abs(b).max())


@pytest.mark.parametrize("name", FILES)
def test_checkpoint_file_gives_the_official_logits(golden_folder, fill, narrow, name):
    """Both torch formats, with the trainer's own class inside, tagged for a GPU in 2019."""
    recorded = narrow["init" if name.startswith("init") else "epoch_0"]
    images = torch.from_numpy(fill.fill_input(narrow["epoch_0"]["input_spec"]))
    model = dg.from_official(golden_folder / f"ckpt_mobile_narrow_dnw_{name}.pt", **options(narrow))
    assert not model.training
    with torch.no_grad():
        assert relative(model(images), recorded["eval_logits64"]) < 2e-5
        assert relative(model.double()(images.double()), recorded["eval_logits64"]) < 1e-10


def test_both_formats_of_one_training_run_give_the_same_network(golden_folder, narrow):
    old, new = (
        dg.from_official(golden_folder / f"ckpt_mobile_narrow_dnw_{name}.pt", **options(narrow))
        for name in ("epoch_0_2019", "epoch_0_today")
    )
    assert all(torch.equal(value, new.state_dict()[name]) for name, value in old.state_dict().items())


def test_a_state_dictionary_is_read_with_and_without_prefix(golden):
    state = golden("tiny_static_dnw").state
    plain = dg.from_official(state, **TINY)
    prefixed = dg.from_official({f"module.{name}": value for name, value in state.items()}, **TINY)
    assert all(torch.equal(value, prefixed.state_dict()[name]) for name, value in plain.state_dict().items())


def test_the_network_shares_no_memory_with_the_dictionary(golden):
    state = {name: value.clone() for name, value in golden("tiny_static_dnw").state.items()}
    model = dg.from_official(state, **TINY)
    with torch.no_grad():
        for value in model.state_dict().values():
            if value.is_floating_point():
                value.fill_(0.5)
    assert all(torch.equal(value, golden("tiny_static_dnw").state[name]) for name, value in state.items())


def test_edges_dropped_are_reported(golden):
    """18,994 of the 32,000 edges that the file kept were never read."""
    model = dg.from_official(golden("tiny_static_dnw").state, **TINY)
    assert model.facts.official == {"stage_0": ImportedStage(kept=32_000, usable=13_006)}
    assert model.facts.official["stage_0"].never_read == 18_994
    assert model.body.stages[0].budget == 13_006


def test_complete_keeps_every_edge(golden):
    model = dg.from_official(golden("tiny_static_dnw").state, **(TINY | {"graph": "complete"}))
    assert model.wirings()["stage_0"].numel() == 264_960


def test_float64_stays_float64(golden):
    model = dg.from_official(golden("tiny_static_dnw").state_in(torch.float64), **TINY)
    assert {value.dtype for value in model.parameters()} == {torch.float64}


def without(name):
    return lambda state: state.pop(name)


def shaped(name, *shape):
    return lambda state: state.update({name: torch.zeros(shape)})


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (without("fc.weight"), "has no tensors of the 2019 program's networks; give one of its checkpoints"),
        (
            without("downsample.3.bias"),
            "has no tensor 'downsample.3.bias'; network, graph or small do not fit this file",
        ),
        (without("norm.4.weight"), "its norms cover 608 of 800 nodes; this is no tiny_static file"),
        (shaped("extra", 2), "tensor 'extra' has no place in this network"),
        (shaped("graph.mask", 800, 800, 1, 1), "tensor 'graph.mask' has no place in this network"),
        (shaped("norm.2.bias", 191), "norm.2.bias is [191], but this configuration wants [192]"),
        (shaped("graph.weight", 800, 799, 1, 1), "graph.weight is [800, 799, 1, 1], but"),
        (shaped("fc.weight", 10), "fc.weight is [10], but 2 dimensions are wanted"),
        (shaped("fc.weight", 10, 193), "fc.weight reads 193 nodes, but the last group has 192"),
        (shaped("conv.weight", 0), "conv.weight is [0], but 4 dimensions are wanted"),
        (lambda state: state.update({"fc.bias": 3}), "entry 'fc.bias' is no tensor with a name"),
        (lambda state: state["graph.weight"].view(-1)[5].fill_(float("nan")), "'graph.weight' is not finite"),
        (lambda state: state.clear(), "it is empty"),
    ],
)
def test_tensors_of_another_network_are_refused_in_a_sentence(golden, damage, sentence):
    state = {name: value.clone() for name, value in golden("tiny_static_dnw").state.items()}
    damage(state)
    with pytest.raises(InputError) as caught:
        dg.from_official(state, **TINY)
    assert sentence in str(caught.value)
    assert str(caught.value).startswith("state dictionary: ")


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"network": "resnet"}, "network 'resnet' cannot be imported; choose mobilenet_v1 or tiny_static"),
        ({"graph": "dwn"}, "graph 'dwn' cannot be imported; choose one of dnw, random, complete"),
        ({"prune_rate": 1.0}, "prune_rate 1.0 is not a fraction in [0, 1)"),
        ({"num_classes": 7}, "its classifier has 10 classes, not 7; leave num_classes out or correct it"),
        ({"small": True}, "small and blocks belong to mobilenet_v1; leave them out for tiny_static"),
        ({"graph": "random"}, "has no tensor 'graph.mask'"),
        (
            {"network": "mobilenet_v1"},
            "holds tiny_static of 10 classes, wirings from the weights, but mobilenet_v1 was asked for",
        ),
        ({"image_size": 64}, "model.image_size 64: tiny_static reads 8×8 maps; use 32"),
    ],
)
def test_options_that_do_not_fit_are_refused_in_a_sentence(golden, wrong, sentence):
    with pytest.raises(InputError) as caught:
        dg.from_official(golden("tiny_static_dnw").state, **(TINY | wrong))
    assert sentence in str(caught.value)


def test_another_block_table_is_refused_by_tensor(golden_folder, narrow):
    file = golden_folder / "ckpt_mobile_narrow_dnw_init_2019.pt"
    wrong = options(narrow) | {"blocks": [(32, 16, 1, 1), (16, 25, 2, 2), (25, 40, 2, 3), (40, 1024, 2, 1)]}
    with pytest.raises(
        InputError, match=r"init_2019\.pt: layers\.1\.conv\.weight is .* wants \[25, 1, 3, 3\]"
    ):
        dg.from_official(file, **wrong)


# Files


class Hostile:
    """Unpickling it would create a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("layout", ["zip", "legacy", "plain pickle"])
def test_a_hostile_file_is_refused_by_name_and_nothing_runs(tmp_path, layout):
    file, trap = tmp_path / "model.pt", tmp_path / "sprung"
    content = {"model": {"a": torch.ones(1)}, "meters": Hostile(trap)}
    if layout == "plain pickle":
        file.write_bytes(pickle.dumps({"meters": content["meters"]}, protocol=2))
    else:
        torch.save(content, file, _use_new_zipfile_serialization=layout == "zip")
    with pytest.raises(InputError, match=r"model\.pt: holds \w+\.system, which could run code") as caught:
        dg.from_official(file)
    assert not trap.exists()
    assert "\n" not in str(caught.value)


def test_any_global_but_the_known_ones_is_refused(tmp_path):
    file = tmp_path / "model.pt"
    torch.save({"model": {"a": torch.ones(1)}, "meters": Fraction(1, 2)}, file)
    with pytest.raises(InputError, match=r"holds fractions\.Fraction, which could run code"):
        dg.from_official(file)


@pytest.mark.parametrize("scalar", [np.float64(81.25), np.float32(0.5)])
def test_a_best_score_of_numpys_is_admitted(tmp_path, golden, scalar):
    file = tmp_path / "model.pt"
    torch.save({"model": golden("tiny_static_dnw").state, "best_val": scalar}, file)
    assert dg.from_official(file, **TINY).wirings()["stage_0"].numel() == 13_006


def corrupt(file):
    with zipfile.ZipFile(file) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content[: len(content) // 2] if name.endswith("data.pkl") else content)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda file: file.unlink(), "no such file; give a checkpoint of the 2019 trainer"),
        (lambda file: file.write_bytes(b""), "is broken or of another format; give an unchanged checkpoint"),
        (
            lambda file: file.write_bytes(file.read_bytes()[:5000]),
            "is broken or of another format; give an unchanged checkpoint",
        ),
        (
            lambda file: file.write_text("weights, honestly"),
            "is broken or of another format; give an unchanged checkpoint",
        ),
        (corrupt, "is broken or of another format; give an unchanged checkpoint"),
        (lambda file: torch.save([1, 2], file), "holds no state dictionary"),
        (lambda file: torch.save({"model": 3}, file), "holds no state dictionary"),
        (lambda file: torch.save({"model": {}}, file), "it is empty"),
        (lambda file: torch.save({"model": {3: torch.ones(1)}}, file), "entry 3 is no tensor with a name"),
    ],
    ids=["missing", "empty", "truncated", "text", "broken pickle", "list", "number", "no tensor", "no names"],
)
def test_a_file_that_is_no_checkpoint_is_one_sentence(tmp_path, golden, spoil, sentence):
    file = tmp_path / "model.pt"
    torch.save({"model": golden("tiny_static_dnw").state}, file)
    spoil(file)
    with pytest.raises(InputError) as caught:
        dg.from_official(file, **TINY)
    assert str(caught.value).startswith(f"{file}: ")
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_directory_is_no_checkpoint(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        dg.from_official(tmp_path)


def masks(state, value):
    """A mask buffer of `value` everywhere for each graph of a state dictionary."""
    graphs = [name for name in state if name.endswith("graph.weight")]
    return {name.replace("weight", "mask"): torch.full_like(state[name], value) for name in graphs}


def test_no_update_reads_its_weights_and_not_its_masks(golden):
    """Its masks are all ones and never took effect; the values are those of dnw."""
    state = golden("tiny_static_dnw").state
    model = dg.from_official(state | masks(state, 1.0), graph="dnw_no_update", **TINY)
    assert torch.equal(model.wirings()["stage_0"], dg.from_official(state, **TINY).wirings()["stage_0"])
    assert model.rule_name == "top_k_no_update"
    assert model.rewire() == 0


def test_fine_tune_takes_its_masks_or_finds_them(golden):
    """Before the first use the file has none: the strongest positions, none of weight 0."""
    state = golden("tiny_static_dnw").state
    found = dg.from_official(state, graph="fine_tune", **TINY)
    assert torch.equal(found.wirings()["stage_0"], dg.from_official(state, **TINY).wirings()["stage_0"])
    stored = masks(state, 0.0)
    stored["graph.mask"][700, 608] = stored["graph.mask"][40, 3] = 1.0
    kept = dg.from_official(state | stored, graph="fine_tune", **TINY)
    assert kept.wirings()["stage_0"].numel() == 2
    assert kept.rewire() == 0


@pytest.mark.parametrize("graph", ["random", "dnw_no_update"])
def test_masks_that_belong_to_the_graph_must_be_there(golden, graph):
    with pytest.raises(InputError, match=r"has no tensor 'graph\.mask'"):
        dg.from_official(golden("tiny_static_dnw").state, graph=graph, **TINY)
