"""What a page is asked of: a network, a graph, a run directory, a checkpoint in it, or an exported wiring."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from dnw_graph.analysis.stored import stored_wirings
from dnw_graph.analysis.wiring import wiring_from_graph
from dnw_graph.errors import InputError
from dnw_graph.interchange import load_graph
from dnw_graph.interchange.extract import graph_of
from dnw_graph.interchange.formats import FORMATS
from dnw_graph.models.lower import lower
from dnw_graph.models.network import WiredNetwork
from dnw_graph.portable.graph import Graph
from dnw_graph.view.content import Content, content_of

if TYPE_CHECKING:
    from dnw_graph.program.program import Program


def read_content(source: nn.Module | Graph | str | Path, checkpoint: str | None = None) -> Content:
    """Raises InputError for what has no wiring, is missing, or is damaged; see `write_page`."""
    if isinstance(source, Graph):
        return content_of(source, "wiring")
    if isinstance(source, nn.Module):
        return content_of(graph_of(source), "network", program=_program(source))
    path = Path(source)
    if path.suffix.lower() in FORMATS and not path.is_dir():
        return content_of(load_graph(path), path.name)
    return _of_run(path, checkpoint)


def _of_run(path: Path, checkpoint: str | None) -> Content:
    from dnw_graph.runs.checkpoint import read_state
    from dnw_graph.runs.directory import locate_checkpoint, run_of
    from dnw_graph.runs.load import load_run

    directory = locate_checkpoint(path, checkpoint)
    found = load_run(directory)
    cfg, model = found.config, found.model
    if not cfg.model.is_wired:
        raise InputError(f"{path}: {cfg.model.network} is a dense network without a wiring; give a wired one")
    graph, run = graph_of(model), run_of(directory)
    epoch = read_state(directory).get("position", {}).get("epoch", 0)
    has_past = any((run / "wiring").glob("epoch_*.npz"))
    past = stored_wirings(run, wiring_from_graph(graph, str(path)).layout) if has_past else None
    facts = {"data": cfg.data.dataset, "epoch": str(epoch)}
    return content_of(graph, run.name, program=_program(model), past=past, facts=facts)


def _program(model: nn.Module) -> Program:
    assert isinstance(model, WiredNetwork)
    return lower(model)
