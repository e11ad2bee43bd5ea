"""What `dnw-graph analyze` is given: a run directory, a checkpoint in it, or an exported wiring."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dnw_graph.analysis.stored import StoredWirings, stored_wirings
from dnw_graph.analysis.wiring import Wiring, wiring_from_graph
from dnw_graph.arguments import path_of
from dnw_graph.errors import InputError
from dnw_graph.interchange import FORMATS, load_graph
from dnw_graph.interchange.graph import Graph
from dnw_graph.shown import Rows, Shown

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, repr=False)
class Source(Shown):
    """A wiring with its name and, if there is one, its past.

    name     as the user called it
    network, rule  as the run or the file says
    stored   wirings of the run's epochs; None where there are none, and then `missing` says why
    part     says what was left out when the wiring was exported, if anything was
    """

    name: str
    network: str
    rule: str
    wiring: Wiring
    stored: StoredWirings | None = None
    missing: str = ""
    part: str = ""

    def shown(self) -> tuple[str, Rows]:
        return f"{self.name}: {self.network}, rule {self.rule}", self.wiring.shown()[1]


def wiring_of(source: nn.Module | Graph | str | Path, checkpoint: str | None = None) -> Wiring:
    """The wiring of a network, of a loaded graph, of a run directory, of a checkpoint in it, or of a file.

    checkpoint  which one of a run directory: best or last; None: the best, where one was chosen
    Raises InputError for what has no wiring, is missing, or is damaged.
    """
    if isinstance(source, str | Path):
        return read_source(path_of(source, "source"), checkpoint).wiring
    if isinstance(source, Graph):
        return wiring_from_graph(source)
    return wiring_from_graph(_graph_of(source, type(source).__name__), "network")


def read_source(path: str | Path, checkpoint: str | None = None) -> Source:
    """A run directory or a checkpoint in it with the run's stored wirings; or the file of an exported wiring.

    Raises InputError for what is missing, damaged, or has no wiring.
    """
    name, path = str(path), Path(path)
    if path.is_dir() or not (path.exists() or path.suffix.lower() in FORMATS):
        return _from_run(name, path, checkpoint)
    missing = f"{name}: no turnover, for the file holds the wiring of one moment; give the run directory"
    return _from_graph(name, load_graph(path), None, missing)


def _from_run(name: str, path: Path, checkpoint: str | None) -> Source:
    # They need torch, which files do not.
    from dnw_graph.runs.load import load_run

    found = load_run(path, checkpoint=checkpoint)
    graph, run = _graph_of(found.model, name), found.path
    wiring = wiring_from_graph(graph, name)
    if not any((run / "wiring").glob("epoch_*.npz")):
        missing = f"{name}: no turnover, for the run has no stored wirings (wiring/epoch_*.npz)"
        return _from_graph(name, graph, None, missing)
    return _from_graph(name, graph, stored_wirings(run, wiring.layout), "")


def _from_graph(name: str, graph: Graph, stored: StoredWirings | None, missing: str) -> Source:
    network, rule = (str(graph.attributes.get(key, "unknown")) for key in ("network", "rule"))
    left_out = graph.attributes.get("part", {})
    options = ", ".join(
        f"{key} {left_out[key]}" for key in ("threshold", "strongest", "without_dead") if key in left_out
    )
    part = f"{name}: all numbers are of the part that was exported ({options})" if options else ""
    return Source(name, network, rule, wiring_from_graph(graph, name), stored, missing, part)


def _graph_of(model: nn.Module, name: str) -> Graph:
    from dnw_graph.interchange.extract import graph_of
    from dnw_graph.models.network import WiredNetwork

    if not isinstance(model, WiredNetwork):
        raise InputError(f"{name}: is a dense network, which has no wiring; analyze a wired one")
    return graph_of(model)
