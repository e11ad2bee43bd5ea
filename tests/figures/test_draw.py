"""`dg.draw`: the figure itself, of whatever has a wiring; and the file that `visualize` would write."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

import dnw_graph as dg
from dnw_graph.commands.main import main
from dnw_graph.errors import InputError
from dnw_graph.interchange.extract import graph_of


def test_a_figure_comes_back_of_whatever_has_a_wiring(nine_nodes, small_run, tmp_path):
    graph = graph_of(nine_nodes)
    dg.save_graph(graph, tmp_path / "w.npz")
    for what in (
        nine_nodes,
        graph,
        tmp_path / "w.npz",
        str(tmp_path / "w.npz"),
        small_run,
        dg.load_run(small_run),
    ):
        figure = dg.draw(what, "adjacency")
        assert isinstance(figure, Figure)
        assert figure.axes
    assert isinstance(dg.draw(dg.load_run(small_run), "turnover"), Figure)
    assert isinstance(dg.draw(nine_nodes, "compare", other=graph), Figure)


def test_a_file_has_the_bytes_that_the_command_writes(small_run, tmp_path):
    dg.draw(dg.load_run(small_run), "levels", path=tmp_path / "a.svg")
    assert main(["visualize", str(small_run), "--kind", "levels", "-o", str(tmp_path / "b.svg")]) == 0
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_one_stage_is_drawn_alone(nine_nodes):
    assert "stage 1" in dg.draw(nine_nodes, "adjacency", stage=1).get_suptitle()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"kind": "nope"}, "is no kind of figure"),
        ({"kind": 3}, "kind 3 is a int; give one of layered"),
        ({"kind": "film"}, r"is a file only; write it with dnw-graph visualize --kind film"),
        ({"kind": "turnover"}, "run"),
        ({"kind": "compare"}, "draws two wirings"),
        ({"stage": 7}, "has stages 0 to 1"),
        ({"stage": "x"}, "stage 'x' is a str; give a whole number"),
        ({"path": "a.txt"}, "names no picture"),
        ({"path": 3}, "path 3 is a int; give a path"),
        ({"what": None}, r"was given a NoneType; give what dnw_graph\.load_run gave"),
        ({"what": "nope.npz"}, "nope.npz"),
        ({"what": dg.Graph(None, None)}, "the graph: format_version is None"),
        ({"what": np.zeros(3)}, "was given a ndarray"),
    ],
)
def test_what_cannot_be_drawn_is_a_sentence(nine_nodes, options, sentence):
    with pytest.raises(InputError, match=sentence):
        dg.draw(**{"what": nine_nodes, **options})
