"""What holds for every format: loading gives back what was saved, saving is stable, names are checked."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import dnw_graph as dg
from dnw_graph.errors import InputError
from dnw_graph.interchange import FORMATS, Graph, edge_list
from dnw_graph.interchange.extract import graph_of
from dnw_graph.interchange.file import write_text
from dnw_graph.models.facts import Facts
from dnw_graph.models.network import WiredNetwork

Networks = Callable[..., WiredNetwork]
Same = Callable[[Graph, Graph], None]
Strip = Callable[[Graph], Graph]

SUFFIXES = list(FORMATS)
TEXT = [".graphml", ".json", ".csv"]
NAMES = ["w.csv", "w.nodes.csv", "w.graph.json"]


def saved(graph: Graph | WiredNetwork, path: Path, **options: Any) -> dict[str, bytes]:
    """Name → content of all files that saving makes."""
    path.parent.mkdir(exist_ok=True)
    dg.save_graph(graph, path, **options)
    return {each.name: each.read_bytes() for each in sorted(path.parent.iterdir())}


@st.composite
def graphs(draw: st.DrawFn, wired: Networks) -> Graph:
    """A small wiring whose numbers are anything that floats can be."""
    network = draw(st.sampled_from(["mobilenet_v1", "tiny_static"]))
    model = wired(network, draw(st.integers(0, 9)), **_sizes(draw, network))
    graph = graph_of(model.double() if draw(st.booleans()) else model)
    # The norms' own tensors would have to fit scale and shift.
    nodes = {name: values for name, values in graph.nodes.items() if not name.startswith("norm_")}
    sends = nodes["norm"] != "none"
    for name in ("scale", "shift", "kernel"):
        nodes[name][sends] = draw(_numbers(nodes[name][sends]))
    graph.edges["weight"] = draw(_numbers(graph.edges["weight"]))
    graph.attributes["class_names"] = draw(st.lists(st.text(max_size=5), max_size=3))
    graph.attributes["rule"] = draw(st.text(max_size=8).filter(str.isprintable))
    return Graph(nodes, graph.edges, graph.attributes)


def _sizes(draw: st.DrawFn, network: str) -> dict[str, Any]:
    if network == "tiny_static":
        return {"groups": (3, draw(st.integers(2, 5))), "readout": 2, "edges": draw(st.integers(1, 6))}
    width = draw(st.integers(1, 4))
    return {"blocks": ((2, width, 1, 2), (width, 3, 2, 1)), "density": draw(st.floats(0.1, 1))}


def _numbers(like: np.ndarray) -> st.SearchStrategy[np.ndarray]:
    width = 8 * like.dtype.itemsize
    numbers = st.floats(width=width, allow_nan=False, allow_infinity=False)
    return arrays(like.dtype, like.shape, elements=numbers)


@pytest.mark.parametrize("suffix", [".npz", *TEXT])
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_loaded_is_what_was_saved_whatever_the_numbers(
    suffix: str,
    wired: Networks,
    assert_same: Same,
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
) -> None:
    graph = data.draw(graphs(wired))
    path = tmp_path_factory.mktemp("law") / f"w{suffix}"
    dg.save_graph(graph, path)
    assert_same(dg.load_graph(path), graph)


@pytest.mark.parametrize("suffix", [*TEXT, ".bin"])
@pytest.mark.parametrize("network", ["mobilenet_v1", "tiny_static"])
def test_network_is_loaded_with_all_but_its_raw_norms(
    suffix: str, network: str, wired: Networks, assert_same: Same, without_raw_norms: Strip, tmp_path: Path
) -> None:
    model = wired(network, seed=4)
    model.facts = Facts(class_names=["naïve", "<b>&\"'\n"], preprocessing={"mean": [0.1, None]})
    dg.save_graph(model, tmp_path / f"w{suffix}")
    loaded = dg.load_graph(tmp_path / f"w{suffix}", trusted=True)
    assert_same(loaded, without_raw_norms(graph_of(model)))


@pytest.mark.parametrize("suffix", [".npz", *TEXT, ".bin"])
@pytest.mark.parametrize("network", ["mobilenet_v1", "tiny_static"])
def test_loaded_graph_gives_the_same_logits(
    suffix: str, network: str, wired: Networks, tmp_path: Path
) -> None:
    model, other = wired(network, seed=1), wired(network, seed=77)
    other.stem.load_state_dict(model.stem.state_dict())
    other.head.load_state_dict(model.head.state_dict())
    dg.save_graph(model, tmp_path / f"w{suffix}")
    other.load_graph(dg.load_graph(tmp_path / f"w{suffix}", trusted=True))
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(9))
    with torch.no_grad():
        wanted, found = model(images), other(images)
    assert float((found - wanted).abs().max() / wanted.abs().max()) < 1e-6
    if suffix == ".npz":
        assert torch.equal(found, wanted)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_same_run_gives_the_same_bytes(suffix: str, wired: Networks, tmp_path: Path) -> None:
    one = saved(wired("tiny_static", seed=3), tmp_path / "one" / f"w{suffix}")
    other = saved(wired("tiny_static", seed=3), tmp_path / "other" / f"w{suffix}")
    assert one == other
    assert len(one) == (3 if suffix == ".csv" else 1)
    if suffix in (".npz", *TEXT):
        # The way through a file is no way to other bytes.
        stripped = dg.load_graph(tmp_path / "one" / f"w{suffix}")
        assert saved(stripped, tmp_path / "again" / f"w{suffix}") == one


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_writing_tells_how_far_it_is(suffix: str, nine_nodes: WiredNetwork, tmp_path: Path) -> None:
    told: list[int] = []
    dg.save_graph(nine_nodes, tmp_path / f"w{suffix}", report=told.append)
    assert sum(told) == 9 + 7


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_was_there_stays_where_writing_fails(
    suffix: str, nine_nodes: WiredNetwork, tmp_path: Path
) -> None:
    path = tmp_path / f"w{suffix}"
    path.mkdir()
    with pytest.raises(InputError, match=r"w\.\w+: cannot be written \(\w+"):
        dg.save_graph(nine_nodes, path)
    assert path.is_dir()
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []


def test_format_may_be_named_where_the_suffix_is_silent(nine_nodes: WiredNetwork, tmp_path: Path) -> None:
    dg.save_graph(nine_nodes, tmp_path / "wiring", "json")
    assert dg.load_graph(tmp_path / "wiring", "json").num_edges == 7
    with pytest.raises(InputError, match=r"w.npz: the suffix is that of npz; for json use .json"):
        dg.save_graph(nine_nodes, tmp_path / "w.npz", "json")
    with pytest.raises(InputError, match=r"w: 'gml' is no format for graphs; use npz, graphml, gexf, json"):
        dg.save_graph(nine_nodes, tmp_path / "w", "gml")


@pytest.mark.parametrize("name", ["gexf", "dot"])
def test_formats_for_looking_are_not_read(name: str, nine_nodes: WiredNetwork, tmp_path: Path) -> None:
    dg.save_graph(nine_nodes, tmp_path / f"w.{name}")
    with pytest.raises(
        InputError, match=f"{name.upper()} is written for .* and not read back; load one of .npz"
    ):
        dg.load_graph(tmp_path / f"w.{name}")


@pytest.mark.needs_dgl
def test_dgl_files_are_read_only_where_they_are_trusted(nine_nodes: WiredNetwork, tmp_path: Path) -> None:
    dg.save_graph(nine_nodes, tmp_path / "w.bin")
    with pytest.raises(InputError, match=r"does not validate files; give trusted=True"):
        dg.load_graph(tmp_path / "w.bin")
    assert dg.load_graph(tmp_path / "w.bin", trusted=True).num_edges == 7


def test_large_graphs_are_no_dot(wired: Networks, tmp_path: Path) -> None:
    model = wired("tiny_static", seed=1, groups=(60, 60), readout=30, edges=2001)
    with pytest.raises(InputError, match=r"cannot lay out 150 nodes and 2,001 edges .* at most 2,000"):
        dg.save_graph(model, tmp_path / "w.dot")
    assert list(tmp_path.iterdir()) == []
    dg.save_graph(model, tmp_path / "w.dot", threshold=0.06)


def test_csv_names_the_files_beside_it(nine_nodes: WiredNetwork, tmp_path: Path) -> None:
    dg.save_graph(nine_nodes, tmp_path / "w.csv")
    assert [each.name for each in edge_list.files_of(tmp_path / "w.csv")] == NAMES
    assert {each.name for each in tmp_path.iterdir()} == set(NAMES)


@pytest.mark.parametrize(
    "suffix", [".graphml", ".csv", ".npz", pytest.param(".bin", marks=pytest.mark.needs_dgl)]
)
def test_no_file_takes_the_place_of_a_pipe_or_folder(nine_nodes, tmp_path, suffix):
    """Renamed onto /dev/null, a file would be there instead for everyone."""
    pipe, folder = tmp_path / f"pipe{suffix}", tmp_path / f"folder{suffix}"
    os.mkfifo(pipe)
    folder.mkdir()
    for place in (pipe, folder):
        with pytest.raises(InputError, match=r"cannot be written \(.*\); choose another place"):
            dg.save_graph(nine_nodes, place)
    assert pipe.is_fifo()
    assert sorted(path.name for path in tmp_path.iterdir()) == [folder.name, pipe.name]


@pytest.mark.parametrize("format", ["csv", "npz"])
def test_an_empty_name_is_refused(nine_nodes, format):
    with pytest.raises(InputError, match="is no name of a file"):
        dg.save_graph(nine_nodes, "", format)


def test_two_processes_write_one_file_apart(tmp_path, monkeypatch):
    """While one writes, another one writes the same place; what is read in the end is whole."""

    def slowly():
        yield "first"
        with monkeypatch.context() as patch:
            patch.setattr("dnw_graph.interchange.file.os.getpid", lambda: 7)
            write_text(tmp_path / "w.txt", ["second"])
        assert (tmp_path / "w.txt").read_text() == "second"
        yield " and last"

    write_text(tmp_path / "w.txt", slowly())
    assert (tmp_path / "w.txt").read_text() == "first and last"
    assert [path.name for path in tmp_path.iterdir()] == ["w.txt"]
