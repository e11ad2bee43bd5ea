"""The layered picture: real files, the right numbers in it, and no wiring that it cannot draw."""

from __future__ import annotations

import struct
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dnw_graph.errors import InputError
from dnw_graph.figures.layered import DPI, SIZE, draw_layered, layered_figure, strongest_edges
from dnw_graph.figures.pair_map import pair_counts
from dnw_graph.interchange.check import layout_of
from dnw_graph.interchange.extract import graph_of
from dnw_graph.interchange.graph import Graph
from dnw_graph.models.network import WiredNetwork
from dnw_graph.models.tiny_static import tiny_static


@pytest.fixture
def graph(nine_nodes: WiredNetwork) -> Graph:
    return graph_of(nine_nodes)


def without_edges(graph: Graph) -> Graph:
    graph.edges = {name: values[:0] for name, values in graph.edges.items()}
    graph.nodes["status"][:] = "dead"
    return graph


def texts(figure: Any) -> str:
    found = [figure.get_suptitle()]
    for axes in figure.axes:
        found += [axes.get_title(), axes.get_xlabel(), *(text.get_text() for text in axes.texts)]
        found += [label.get_text() for label in axes.get_xticklabels()]
        if axes.get_legend():
            found += [text.get_text() for text in axes.get_legend().get_texts()]
            found.append(axes.get_legend().get_title().get_text())
    return "\n".join(found)


def test_png_has_the_expected_size(graph: Graph, tmp_path: Path) -> None:
    draw_layered(graph, tmp_path / "w.png")
    data = (tmp_path / "w.png").read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", data[16:24]) == (SIZE[0] * DPI, SIZE[1] * DPI)
    assert data.endswith(b"IEND\xaeB`\x82")


def test_svg_is_xml_with_a_mark_per_node(graph: Graph, tmp_path: Path) -> None:
    draw_layered(graph, tmp_path / "w.svg")
    root = ElementTree.parse(tmp_path / "w.svg").getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.get("width") == f"{SIZE[0] * 72:g}pt"


def test_pdf(graph: Graph, tmp_path: Path) -> None:
    draw_layered(graph, tmp_path / "w.PDF")
    assert (tmp_path / "w.PDF").read_bytes().startswith(b"%PDF-")


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_same_graph_gives_the_same_bytes(suffix: str, graph: Graph, tmp_path: Path) -> None:
    for name in ("a", "b"):
        draw_layered(graph, tmp_path / f"{name}.{suffix}")
    assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()


def test_picture_says_its_numbers(graph: Graph) -> None:
    said = texts(layered_figure(graph))
    assert (
        "mobilenet_v1, rule top_k: 9 nodes (4 live, 4 constant, 1 dead), 7 edges (4 between live nodes)"
        in said
    )
    assert "level 3\n3 nodes\n1 live\n4×4 px" in said
    assert "lines: 7 of 7 edges" in said
    for name in ("stem", "stage 0", "stage 1", "dead node (1)", "positive weight", "negative weight"):
        assert name in said


def test_readout_twins_are_explained() -> None:
    model = tiny_static(rule="top_k", num_classes=3, groups=(4, 6, 6), readout=5, stem_channels=3, edges=40)
    assert "each node of level 3 starts from the state of its twin in level 2" in texts(
        layered_figure(graph_of(model))
    )


def test_wiring_without_edges_is_drawn(graph: Graph, tmp_path: Path) -> None:
    empty = without_edges(graph)
    draw_layered(empty, tmp_path / "w.png")
    assert "9 nodes (0 live, 0 constant, 9 dead), 0 edges" in texts(layered_figure(empty))


def test_every_pair_of_levels_shows_its_strongest_edge(graph: Graph) -> None:
    """Of 2→4 (-1) and 3→5 (3) the second, of 4→6 (1), 5→6 (2) and 5→7 (-2) the first of the equals."""
    drawn = strongest_edges(graph, 1)
    ends = zip(graph.edges["source"][drawn].tolist(), graph.edges["target"][drawn].tolist(), strict=True)
    assert sorted(ends) == [(0, 2), (0, 4), (3, 5), (5, 6)]


def test_edges_at_dead_nodes_are_not_drawn(graph: Graph) -> None:
    graph.nodes["status"][2] = "dead"
    drawn = strongest_edges(graph, 100)
    assert sorted(graph.edges["source"][drawn].tolist()) == [0, 3, 4, 5, 5]


def test_pairs_are_counted(graph: Graph) -> None:
    edges, candidates = pair_counts(graph, layout_of(graph, "graph"))
    np.testing.assert_array_equal(edges, [[0, 1, 1, 0], [0, 0, 2, 0], [0, 0, 0, 3], [0, 0, 0, 0]])
    np.testing.assert_array_equal(candidates, [[0, 4, 4, 0], [0, 0, 4, 0], [0, 0, 0, 6], [0, 0, 0, 0]])


def test_unknown_suffix(graph: Graph, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the suffix '.gif' names no picture; use .png, .svg, .pdf"):
        draw_layered(graph, tmp_path / "w.gif")
    with pytest.raises(InputError, match=r"w.png: cannot be written"):
        draw_layered(graph, tmp_path / "missing" / "w.png")
