"""Graphs as GraphML, the XML that networkx, igraph, Cytoscape and Gephi read.

Every datum is declared with its type; a kernel is nine numbers in a text. Node ids are the nodes' numbers.
One directed graph of nodes and edges is read; what other programs add to their data is ignored.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn
from xml.parsers import expat
from xml.sax.saxutils import escape

from dnw_graph.errors import InputError
from dnw_graph.interchange.file import MAX_TEXT_BYTES, read_chunks, write_text
from dnw_graph.interchange.records import Records, check_size, to_graph
from dnw_graph.interchange.text import Report, batches, column, from_json, silent, to_json
from dnw_graph.portable.graph import Array, Graph
from dnw_graph.portable.schema import ATTRIBUTES, EDGE_FIELDS, NODE_FIELDS, Field, in_order

NAMESPACE = "http://graphml.graphdrawing.org/xmlns"

# Bounds on the work that a hostile file can cause; a tag of a wiring has 100 characters, and 5 are nested.
_MAX_TOKEN = 1 << 20
_MAX_DEPTH = 20

_TYPES = {int: "long", str: "string", list: "string", dict: "string"}
_FLOAT_TYPES = {"float32": "float", "float64": "double"}


def write(graph: Graph, path: Path, report: Report = silent) -> None:
    """Raises InputError for a place that cannot be written."""
    write_text(path, generate(graph, report))


def read(path: Path) -> Graph:
    """Raises InputError for a file that is missing, damaged, no wiring, or written by a newer version."""
    reader = _Reader(str(path))
    for chunk in read_chunks(path, MAX_TEXT_BYTES):
        reader.feed(chunk)
    return to_graph(reader.close(), str(path))


# Writing


def generate(graph: Graph, report: Report = silent) -> Iterator[str]:
    """The file's text, piece by piece."""
    yield f'<?xml version="1.0" encoding="UTF-8"?>\n<graphml xmlns="{NAMESPACE}">\n'
    for name, _ in in_order(graph.attributes):
        yield _key(name, "graph", _TYPES[ATTRIBUTES[name]])
    for fields, arrays, kind in ((NODE_FIELDS, graph.nodes, "node"), (EDGE_FIELDS, graph.edges, "edge")):
        for field in fields:
            yield _declared(field, arrays[field.name], kind)
    yield '<graph id="wiring" edgedefault="directed">\n'
    for name, value in in_order(graph.attributes):
        text = value if isinstance(value, str) else to_json(value)
        yield f'<data key="{name}">{escape(text)}</data>\n'
    nodes = [_data(field, graph.nodes[field.name]) for field in NODE_FIELDS]
    ids = map(str, graph.numbers.tolist())
    yield from batches(
        lambda number, *data: f'<node id="{number}">{"".join(data)}</node>\n', [ids, *nodes], report
    )
    edges = [_data(field, graph.edges[field.name]) for field in EDGE_FIELDS]
    ends = [map(str, graph.numbers[graph.edges[end]].tolist()) for end in ("source", "target")]
    yield from batches(
        lambda source, target, *data: f'<edge source="{source}" target="{target}">{"".join(data)}</edge>\n',
        [*ends, *edges],
        report,
    )
    yield "</graph>\n</graphml>\n"


def _declared(field: Field, values: Array, kind: str) -> str:
    if field.kind == "number":
        return _key(field.name, kind, _FLOAT_TYPES[str(values.dtype)])
    if field.kind == "kernel":
        return _key(field.name, kind, "string", f"nine {values.dtype} numbers, row by row")
    return _key(field.name, kind, "long" if field.kind == "integer" else "string")


def _key(name: str, kind: str, value_type: str, description: str = "") -> str:
    end = f"><desc>{description}</desc></key>" if description else "/>"
    return f'<key id="{name}" for="{kind}" attr.name="{name}" attr.type="{value_type}"{end}\n'


def _data(field: Field, values: Array) -> Iterator[str]:
    return (f'<data key="{field.name}">{text}</data>' if text else "" for text in column(field, values))


# Reading


class _Reader:
    """Collects records while the parser walks through the file.

    Document types, and so entities, are refused: they can make a small file large.
    """

    def __init__(self, where: str) -> None:
        self.where = where
        self.records = Records({})
        self._keys: dict[str, str] = {}
        self._path: list[str] = []
        self._key: str | None = None
        self._text: list[str] | None = None
        self._item: dict[str, str] = {}
        self._graphs = self._fed = self._length = 0
        for field in NODE_FIELDS:
            self.records.nodes[field.name] = []
        for name in ("source", "target", *(field.name for field in EDGE_FIELDS)):
            self.records.edges[name] = []
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._parser.StartDoctypeDeclHandler = self._doctype

    def feed(self, chunk: bytes) -> None:
        self._parse(chunk, False)
        self._fed += len(chunk)
        if self._fed - self._parser.CurrentByteIndex > _MAX_TOKEN:
            self._refuse(f"has a tag or comment of more than {_MAX_TOKEN} bytes; no wiring has")

    def close(self) -> Records:
        self._parse(b"", True)
        if not self._graphs:
            self._refuse("has no <graph>; give a file that dnw-graph wrote")
        return self.records

    def _parse(self, chunk: bytes, last: bool) -> None:
        try:
            self._parser.Parse(chunk, last)
        except (expat.ExpatError, ValueError, LookupError) as error:
            if isinstance(error, InputError):
                raise
            reason = " ".join(str(error).split())[:100]
            self._refuse(f"is no readable XML ({reason}); it is damaged or of another kind")

    def _doctype(self, *_: Any) -> None:
        self._refuse("declares a document type (<!DOCTYPE>), which could define entities; remove it")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition(" ")[2]
        if not self._path and name != "graphml":
            self._refuse(f"is no GraphML: its outermost element is <{name:.60}>")
        if len(self._path) >= _MAX_DEPTH:
            self._refuse(f"has elements nested more than {_MAX_DEPTH} deep; no wiring has")
        self._path.append(name)
        if name == "key":
            self._start_key(attributes)
        elif name == "graph":
            self._graphs += 1
            if self._graphs > 1:
                self._refuse("has more than one <graph>; a wiring is one")
            if attributes.get("edgedefault") != "directed":
                self._refuse("its edges have no direction (edgedefault); a wiring is directed")
        elif name in ("node", "edge"):
            self._start_item(name, attributes)
        elif name in ("hyperedge", "port"):
            self._refuse(f"has a <{name}>; a wiring has nodes and edges only")
        elif name in ("data", "desc"):
            self._text, self._length = [], 0
            if name == "data":
                self._key = attributes.get("key")

    def _start_key(self, attributes: dict[str, str]) -> None:
        self._key = attributes.get("id", "")
        kind, name = attributes.get("for", "all"), attributes.get("attr.name", self._key)
        if len(self._keys) >= 1000:
            self._refuse("declares more than 1000 keys; no wiring does")
        self._keys[self._key] = name
        value_type = attributes.get("attr.type")
        if kind in ("node", "edge") and value_type in ("float", "double"):
            self.records.types[name] = "float32" if value_type == "float" else "float64"

    def _start_item(self, name: str, attributes: dict[str, str]) -> None:
        if self._path[-2:-1] != ["graph"]:
            self._refuse(f"has a <{name}> outside of <graph>; a wiring has none")
        self._item = {}
        if name == "node":
            self.records.ids.append(attributes.get("id"))
        else:
            for end in ("source", "target"):
                self.records.edges[end].append(attributes.get(end))
        check_size(len(self.records.ids), len(self.records.edges["source"]), self.where)

    def _characters(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)
            self._length += len(text)
            if self._length > _MAX_TOKEN:
                self._refuse(f"has a text of more than {_MAX_TOKEN} characters; no wiring has")

    def _end(self, tag: str) -> None:
        name = self._path.pop()
        if name == "data" and self._text is not None:
            self._end_data("".join(self._text))
        elif name == "desc" and self._path[-1] == "key" and self._text is not None:
            self._describe("".join(self._text))
        elif name == "node":
            for field in NODE_FIELDS:
                self.records.nodes[field.name].append(self._item.get(field.name))
        elif name == "edge":
            for field in EDGE_FIELDS:
                self.records.edges[field.name].append(self._item.get(field.name))
        if name in ("data", "desc"):
            self._text = None

    def _describe(self, text: str) -> None:
        if self._keys.get(self._key or "") == "kernel" and "float32" in text:
            self.records.types["kernel"] = "float32"

    def _end_data(self, text: str) -> None:
        name, parent = self._keys.get(self._key or "", ""), self._path[-1]
        if parent in ("node", "edge"):
            self._item[name] = text
        elif parent == "graph" and name in ATTRIBUTES:
            wanted = ATTRIBUTES[name]
            self.records.attributes[name] = (
                text if wanted is str else from_json(text, self.where, f"its graph attribute {name} is")
            )

    def _refuse(self, what: str) -> NoReturn:
        raise InputError(f"{self.where}: {what}")
