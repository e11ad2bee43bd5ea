"""Whatever a public function is given for any argument, it works or says in a sentence what is wrong."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import dnw_graph as dg
from dnw_graph import arguments
from dnw_graph.errors import InputError
from dnw_graph.interchange.extract import graph_of

JUNK: dict[str, Any] = {
    "None": None,
    "zero": 0,
    "negative": -1,
    "huge": 10**30,
    "fraction": 2.5,
    "nan": float("nan"),
    "True": True,
    "word": "nope",
    "empty word": "",
    "zero byte": "a\0b",
    "long word": "x" * 5000,
    "no UTF-8": "\udce9",
    "bytes": b"\xff",
    "empty list": [],
    "list": [1],
    "list of words": ["nope"],
    "mapping": {"a": 1},
    "set": {1},
    "object": object(),
    "function": len,
    "class": dict,
    "array": np.zeros((2, 2)),
    "tensor": torch.zeros(3),
    "module": torch.nn.Linear(2, 2),
    "path": Path("nope"),
    "folder": Path("/"),
    "empty graph": dg.Graph({}, {}),
    "no graph": dg.Graph(None, None),
}


TRAINING = {"None", "word", "no UTF-8", "path"}
"""What `train` takes for a new directory."""


@pytest.fixture(scope="module")
def functions(load_module, small_run, small) -> dict[str, tuple[Any, dict[str, Any]]]:
    """Name → (function, arguments with which it works)."""
    model = dg.build_model(small.small_config()).eval()
    run, graph, analysis = dg.load_run(small_run), graph_of(model), dg.analysis
    wiring, net = analysis.wiring_of(model), dg.compile(model)
    stored = analysis.stored_wirings(small_run, model.layout)
    few = analysis.RandomGraphs(draws=1)
    report = analysis.analyze([small_run], random=few, measures=["size"])
    images, official = torch.zeros(1, 3, 32, 32), {"source": {"a": torch.zeros(2)}}
    official |= {"network": "tiny_static", "graph": "dnw", "prune_rate": 0.5, "small": False}
    official |= {"image_size": 32, "num_classes": 10, "blocks": None}
    train = {
        "cfg": small.small_config(),
        "run_dir": small_run,
        "data_dir": None,
        "resume": None,
        "plugin": (),
    }
    return {
        "build_model": (dg.build_model, {"cfg": small.small_config()}),
        "compile": (dg.compile, {"model": model, "backend": "csr"}),
        "count": (dg.count, {"model": model}),
        "draw": (
            dg.draw,
            {"what": graph, "kind": "adjacency", "other": None, "stage": None, "path": "a.png"},
        ),
        "from_official": (dg.from_official, official),
        "load_config": (dg.load_config, {"path": "digits/tiny_static_dnw", "overrides": ()}),
        "load_graph": (dg.load_graph, {"path": "w.npz", "format": None, "trusted": False}),
        "load_run": (dg.load_run, {"path": small_run, "checkpoint": "last", "overrides": ()}),
        "push_to_hub": (
            dg.push_to_hub,
            {"run": small_run, "repo": "me/run", "private": False, "license": None, "token": None},
        ),
        "save_graph": (
            dg.save_graph,
            {"model": graph, "path": "w.npz", "format": None, "stage": None, "threshold": None}
            | {"without_dead": False},
        ),
        "to_networkx": (dg.to_networkx, {"model": graph}),
        "train": (dg.train, train),
        "register": (lambda name, piece: dg.register(name)(piece), {"name": "mine", "piece": 3}),
        "model.candidates": (model.candidates, {"stage": 0}),
        "model.rewire": (model.rewire, {"step": 0}),
        "model.load_graph": (model.load_graph, {"graph": graph}),
        "model.set_budgets": (model.set_budgets, {"budgets": model.budgets()}),
        "model": (model, {"images": images}),
        "net.run": (net.run, {"images": images}),
        "net.profile": (net.profile, {"images": images, "calls": 1}),
        "run.predict": (run.predict, {"images": [], "top": 5, "batch_size": 2}),
        "run.preprocess": (run.preprocess, {"images": []}),
        "analyze": (
            analysis.analyze,
            {"paths": [small_run], "checkpoint": "last", "random": few, "measures": ["size"]},
        ),
        "RandomGraphs": (analysis.RandomGraphs, {"draws": 1, "seed": 0, "keep": "stages"}),
        "wiring_of": (analysis.wiring_of, {"source": model, "checkpoint": "last"}),
        "wiring_from_ids": (
            analysis.wiring_from_ids,
            {"layout": model.layout, "ids": [np.arange(3)], "read": None},
        ),
        **{
            name: (getattr(analysis, name), {"wiring": wiring})
            for name in ("degrees_of", "densities_of", "hubs_of", "paths_of", "spans_of", "status_counts")
        },
        "communities_of": (analysis.communities_of, {"wiring": wiring, "stage": 0, "seed": 0}),
        "overlaps_of": (analysis.overlaps_of, {"one": wiring, "other": wiring}),
        "sum_of": (analysis.sum_of, {"overlaps": analysis.overlaps_of(wiring, wiring)}),
        "stored_wirings": (analysis.stored_wirings, {"run": small_run, "layout": model.layout}),
        "turnover_of": (analysis.turnover_of, {"stored": stored}),
        "ages_by_epoch": (lambda stored: list(analysis.ages_by_epoch(stored)), {"stored": stored}),
        "percentiles_of": (analysis.percentiles_of, {"weight": wiring.weight}),
        "write_report": (analysis.write_report, {"report": report, "path": "r.csv"}),
    }


NAMES = (
    *("build_model", "compile", "count", "draw", "from_official", "load_config", "load_graph", "load_run"),
    *("push_to_hub", "save_graph", "to_networkx", "train", "register", "model.candidates", "model.rewire"),
    *("model.load_graph", "model.set_budgets", "model", "net.run", "net.profile", "run.predict"),
    *("run.preprocess", "analyze", "RandomGraphs", "wiring_of", "wiring_from_ids", "degrees_of"),
    *("densities_of", "hubs_of", "paths_of", "spans_of", "status_counts", "communities_of", "overlaps_of"),
    *("sum_of", "stored_wirings", "turnover_of", "ages_by_epoch", "percentiles_of", "write_report"),
)


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_argument_is_a_sentence(functions, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")  # Nobody listens there.
    dg.save_graph(functions["save_graph"][1]["model"], "w.npz")
    function, good = functions[name]
    refusals = []
    for argument in good:
        for junk, value in JUNK.items():
            if (name, argument) == ("train", "run_dir") and junk in TRAINING:
                continue
            try:
                function(**{**good, argument: value})
            except InputError as error:
                refusals.append(str(error))
            except BaseException as error:
                raise AssertionError(f"{name}({argument}={junk}) ends with {type(error).__name__}") from error
    assert refusals
    assert [each for each in refusals if len(each) < 20 or "\n" in each] == []


def test_every_public_name_is_tried(functions):
    """But classes that take nothing, or whose making checks nothing: a graph is checked where it is used."""
    tried = {name for name in functions if "." not in name}
    assert set(dg.__all__) - tried == {"Graph", "InputError", "Rule", "analysis"} | _later()
    measures = {name for name in dg.analysis.__all__ if inspect.isfunction(getattr(dg.analysis, name))}
    assert measures <= tried
    assert set(functions) == set(NAMES)


def _later() -> set[str]:
    """Names that are checked where their libraries are."""
    return {"to_dgl", "to_pyg"} & set(dg.__all__)


# The sentences


@pytest.mark.parametrize(
    ("check", "sentence"),
    [
        (lambda: arguments.expect(3, str, "rule", "a name"), "rule 3 is a int; give a name"),
        (
            lambda: arguments.expect(object(), str, "rule", "a name"),
            "rule that was given is a object; give",
        ),
        (lambda: arguments.expect("x" * 99, int, "rule", "1"), f"rule '{'x' * 58}… is a str; give 1"),
        (lambda: arguments.path_of("a\0b", "path"), "path 'a\\x00b' is no path, for it holds a zero byte"),
        (lambda: arguments.path_of("x" * 999, "path"), "is too long for a path; give a shorter one"),
        (lambda: arguments.whole_number(2.5, "step"), "step 2.5 is a float; give a whole number"),
        (lambda: arguments.whole_number(True, "step"), "step True is out of range; give a whole number"),
        (
            lambda: arguments.whole_number(9, "stage", 0, 4),
            "stage 9 is out of range; give a whole number from 0 to",
        ),
        (
            lambda: arguments.whole_number(-1, "step", 0),
            "step -1 is out of range; give a whole number from 0",
        ),
        (lambda: arguments.number("1", "threshold"), "threshold '1' is a str; give a number"),
        (lambda: arguments.one_of("x", ("a", "b"), "keep"), "keep 'x' is unknown; use a or b"),
        (lambda: arguments.several("ab", "paths", "a list"), "paths 'ab' is no list; give a list"),
    ],
)
def test_the_sentence_says_what_was_given_and_what_to_give(check, sentence):
    with pytest.raises(InputError) as error:
        check()
    assert sentence in str(error.value)


def test_good_arguments_pass():
    assert arguments.path_of("\udce9", "path") == Path("\udce9")
    assert arguments.whole_number(np.int64(3), "step", 0, 3) == 3
    assert arguments.several((1, 2), "paths", "a list") == [1, 2]
