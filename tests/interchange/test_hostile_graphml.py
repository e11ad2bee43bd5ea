"""GraphML that is no wiring, hostile files included: one sentence each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import dnw_graph as dg
from dnw_graph.models.network import WiredNetwork

Refused = Callable[[Path, str, str], None]

EDGE = '<edge source="0" target="2"><data key="weight">2.0</data><data key="id">0</data></edge>'
NODE = '<node id="0"><data key="level">0</data>'
LAUGHS = (
    '<!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">'
    '<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>'
)


def edge(source: object, target: object, weight: object = 1.0, number: object = 0) -> str:
    data = f'<data key="weight">{weight}</data><data key="id">{number}</data>'
    return f'<edge source="{source}" target="{target}">{data}</edge>'


GRAPHML = {
    "NaN weight": (EDGE, edge(0, 2, "NaN"), "weight of edge 0 is nan; a wiring's weights are finite"),
    "infinite weight": (EDGE, edge(0, 2, "1e999"), "weight of edge 0 is inf"),
    "word as weight": (EDGE, edge(0, 2, "heavy"), "weight of edge 0 is 'heavy', not a number"),
    "weight with underscores": (EDGE, edge(0, 2, "1_0"), "weight of edge 0 is '1_0', not a number"),
    "weight missing": ('<data key="weight">2.0</data>', "", "weight of edge 0 is nan"),
    "weights missing": ('key="weight"', 'key="other"', "has no edges.weight; give a whole graph"),
    "negative id": (EDGE, edge(0, 2, 1, -1), "id of edge 0 is -1; ids of stage 0 run from 0 to 11"),
    "huge id": (EDGE, edge(0, 2, 1, 10**15), "id of edge 0 is 1000000000000000; ids of stage 0"),
    "gigantic id": (EDGE, edge(0, 2, 1, 10**40), "id of edge 0 is '1000.*, not a whole number of 64 bits"),
    "fraction as id": (EDGE, edge(0, 2, 1, 0.5), "id of edge 0 is '0.5', not a whole number"),
    "another edge's id": (EDGE, edge(0, 2, 1, 1), "id of edge 0 is 1; by its two nodes it must be 0"),
    "edge twice": (EDGE, EDGE + EDGE, "edges 0 and 1 join the same two nodes; give each edge once"),
    "negative end": (EDGE, edge(-3, 2), "source of edge 0 is -3, which is no node of this graph"),
    "end that is not there": (EDGE, edge(0, 9), "target of edge 0 is 9, which is no node of this graph"),
    "huge end": (EDGE, edge(0, 2**62), "target of edge 0 is 4611686018427387904, which is no node"),
    "no end": (EDGE, '<edge source="0"/>', "target of edge 0 is missing"),
    "cycle": (EDGE, edge(0, 2) + edge(2, 0), "edge 1 goes from level 1 to level 0; edges go from a lower"),
    "to itself": (EDGE, edge(2, 2), "edge 0 goes from level 1 to level 1"),
    "skips a stage": (EDGE, edge(2, 6), r"edge 0 goes from node 2 \(level 1\) to node 6 \(level 3\)"),
    "negative node": (
        '<node id="0">',
        '<node id="-1">',
        "a node has the number -1; nodes are numbered from 0",
    ),
    "huge node": ('<node id="8">', '<node id="99999999999">', "a node has the number 99999999999"),
    "gap": ('<node id="8">', '<node id="9">', "not numbered from 0 on without gaps"),
    "node twice": ('<node id="1">', '<node id="0">', "node 0 is there twice; give each node once"),
    "name as node": ('<node id="1">', '<node id="n1">', "id of node 1 is 'n1', not a whole number"),
    "level missing": (NODE, '<node id="0">', "level of node 0 is missing"),
    "levels missing": ('key="level"', 'key="other"', "has no nodes.level; give a whole graph"),
    "kernels missing": ('key="kernel"', 'key="other"', "has no nodes.kernel; give a whole graph"),
    "short kernel": (
        '<data key="kernel">0.0 0.0 0.0 0.0 1.0 0.0 0.0 0.0 0.0',
        '<data key="kernel">0.0 0.0',
        "kernel of node 0 is '0.0 0.0', not nine numbers",
    ),
    "status": (">dead<", ">ill<", "status of node 1 is 'ill'; dead, constant, live are known"),
    "norm": ('"norm">none<', '"norm">layer<', "norm of node 6 is 'layer'; batch, instance, none are known"),
    "newer version": (
        '>1</data>\n<data key="network',
        '>2</data>\n<data key="network',
        "format version 2 is newer",
    ),
    "no version": ('<data key="format_version">1</data>', "", "format_version is None"),
    "word as version": (
        'version">1<',
        'version">one<',
        "its graph attribute format_version is not valid JSON",
    ),
    "no network": ('<data key="network">mobilenet_v1</data>', "", "has no graph attribute network"),
    "document type": ("<graphml", "<!DOCTYPE graphml><graphml", "declares a document type"),
    "billion laughs": ("<graphml", LAUGHS + "<graphml", "declares a document type"),
    "external entity": (
        "<graphml",
        '<!DOCTYPE g [<!ENTITY x SYSTEM "file:///etc/passwd">]><graphml',
        "declares a document type",
    ),
    "undefined entity": (">top_k<", ">&c;<", "is no readable XML .undefined entity"),
    "undirected": ('"directed"', '"undirected"', "its edges have no direction"),
    "two graphs": ("</graph>", '</graph><graph edgedefault="directed"></graph>', "has more than one <graph>"),
    "nested graph": (EDGE, '<graph edgedefault="directed"/>', "has more than one <graph>"),
    "hyperedge": (EDGE, "<hyperedge/>", "has a <hyperedge>; a wiring has nodes and edges only"),
    "edge in an edge": ("</edge>", EDGE + "</edge>", "has a <edge> outside of <graph>"),
    "another language": ("graphml", "svg", "is no GraphML: its outermost element is <svg>"),
    "deep": (EDGE, "<a>" * 50, "has elements nested more than 20 deep"),
    "long tag": (EDGE, f'<edge {"a" * 2_000_000}="1"/>', "has a tag or comment of more than 1048576 bytes"),
    "long comment": (EDGE, f"<!--{'a' * 2_000_000}-->", "has a tag or comment of more than 1048576 bytes"),
    "long text": (">top_k<", f">{'a' * 2_000_000}<", "has a text of more than 1048576 characters"),
    "many keys": (
        "<graph id",
        "".join(f'<key id="k{n}"/>' for n in range(1001)) + "<graph id",
        "more than 1000",
    ),
    "unknown encoding": ("UTF-8", "utf-17", "is no readable XML .unknown encoding"),
    "deep JSON": (
        '>1</data>\n<data key="network',
        f'>{"[" * 100_000}</data>\n<data key="network',
        "nested too deep",
    ),
}


@pytest.mark.parametrize("case", GRAPHML)
def test_graphml_is_refused_in_one_sentence(
    case: str, nine_nodes: WiredNetwork, refused: Refused, tmp_path: Path
) -> None:
    old, new, message = GRAPHML[case]
    dg.save_graph(nine_nodes, tmp_path / "w.graphml")
    text = (tmp_path / "w.graphml").read_text()
    assert old in text
    refused(tmp_path / "w.graphml", text.replace(old, new, -1 if "missing" in case else 1), message)
