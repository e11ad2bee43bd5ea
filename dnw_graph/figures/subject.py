"""What is drawn: a wiring, and where it came from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from dnw_graph.analysis.wiring import Wiring, wiring_from_graph
from dnw_graph.errors import InputError
from dnw_graph.graph.layout import Layout, Level, Stage
from dnw_graph.interchange import load_graph
from dnw_graph.interchange.formats import FORMATS
from dnw_graph.portable.graph import Array, Graph


@dataclass(frozen=True)
class Subject:
    """A wiring to be drawn, as a whole or one stage of it.

    name    of the run or file, for legends
    graph   nodes with their data
    wiring  the same edges, in the order of stage and id
    stages  those that are drawn, in order
    about   more about it, for the title: data set, epochs
    run     the run directory; None if the wiring came from a file
    readout  of a dynamic network: how many nodes the classifier reads, the last ones; 0: unknown
    """

    name: str
    graph: Graph
    wiring: Wiring
    stages: tuple[Stage, ...]
    about: dict[str, str] = field(default_factory=dict)
    run: Path | None = None
    readout: int = 0

    @property
    def layout(self) -> Layout:
        return self.wiring.layout

    @property
    def levels(self) -> list[Level]:
        """Levels of the drawn stages, input levels included."""
        found = {level.index: level for stage in self.stages for level in stage.levels}
        return [found[index] for index in sorted(found)]

    @property
    def is_dynamic(self) -> bool:
        """Whether the graph is that of one evaluation of many."""
        return self.layout.evaluations is not None

    def name_of(self, level: Level) -> str:
        """For an axis: its number, or which states of a dynamic network it holds."""
        return ("before", "after")[level.index] if self.is_dynamic else str(level.index)

    @property
    def is_whole(self) -> bool:
        return len(self.stages) == len(self.layout.stages)

    @cached_property
    def edges(self) -> Array:
        """Positions, in `wiring`, of the edges of the drawn stages, int64."""
        return np.flatnonzero(np.isin(self.wiring.stage, [stage.index for stage in self.stages]))

    @property
    def heading(self) -> str:
        """Network, data, rule, and which stage if not all are drawn."""
        attributes = self.graph.attributes
        words = str(attributes.get("network", "wiring"))
        words += f" on {self.about['dataset']}" if "dataset" in self.about else ""
        words += f", rule {attributes.get('rule', 'unknown')}"
        if "threshold" in attributes.get("part", {}):
            words += f", edges with |weight| ≥ {attributes['part']['threshold']:g}"
        part = (
            "" if self.is_whole else f", stage {self.stages[0].index} of 0 to {len(self.layout.stages) - 1}"
        )
        return words + part

    @property
    def title(self) -> str:
        """The heading with the moment of training, and how many nodes and edges are drawn."""
        return self.titled(self.about.get("moment", ""))

    def titled(self, moment: str) -> str:
        """The heading with another moment, or span, of training; empty: none."""
        # The levels of a dynamic network are the same nodes, before and after an evaluation.
        levels = self.levels[:1] if self.is_dynamic else self.levels
        nodes = sum(level.size for level in levels)
        when = f", {moment}" if moment else ""
        times = self.layout.evaluations
        applied = "" if times is None else f", applied {times} times" if times else ", applied by a solver"
        return f"{self.heading}{when}: {nodes:,} nodes, {len(self.edges):,} edges{applied}"

    @property
    def span(self) -> str:
        """Which epochs a figure of the whole training shows; empty where nothing is stored."""
        from dnw_graph.runs.history import history_of

        epochs = history_of(self.run).epochs if self.run is not None else ()
        return f"epochs {epochs[0]} to {epochs[-1]}" if epochs else ""

    @property
    def carry_note(self) -> str:
        """What no edge shows: the states that readout nodes start from; empty where there are none."""
        last = self.layout.levels[-1]
        if not self.layout.has_starts or last not in self.levels:
            return ""
        twin = f"its twin in level {last.index - 1}"
        return f"besides, each node of level {last.index} starts from the state of {twin}"

    def of_stage(self, number: int | None) -> Subject:
        """This stage alone; None: everything. Raises InputError if there is none of that number."""
        if number is None:
            return self
        last = len(self.layout.stages) - 1
        if not 0 <= number <= last:
            there = "stage 0 only" if last == 0 else f"stages 0 to {last}"
            raise InputError(f"--stage {number}: {self.name} has {there}; choose one of them")
        return replace(self, stages=(self.layout.stages[number],))


def subject_of(graph: Graph, name: str = "graph", *, about: dict[str, str] | None = None) -> Subject:
    """A wiring without a run. Raises InputError if the graph is none, or if nodes were left out of it."""
    if "number" in graph.nodes:
        raise InputError(
            f"{name}: nodes were left out when it was exported; give the whole wiring (--stage N draws "
            "a stage of it)"
        )
    wiring = wiring_from_graph(graph, name)
    return Subject(name, graph, wiring, wiring.layout.stages, about or {})


def read_subject(path: str | Path, checkpoint: str | None = None) -> Subject:
    """RUN on the command line: a run directory, a checkpoint in it, or a file that `save_graph` wrote.

    checkpoint  which one of a run directory: best or last; None: the best, where one was chosen
    Raises InputError for what is missing or damaged, and for a run of a dense network.
    """
    path = Path(path)
    if path.suffix.lower() in FORMATS and not path.is_dir():
        return subject_of(load_graph(path), path.name)
    return _of_run(path, checkpoint)


def _of_run(path: Path, checkpoint: str | None) -> Subject:
    from dnw_graph.interchange.extract import graph_of
    from dnw_graph.models.dynamic import DynamicBody
    from dnw_graph.models.network import WiredNetwork
    from dnw_graph.runs.checkpoint import read_state
    from dnw_graph.runs.directory import locate_checkpoint, run_of
    from dnw_graph.runs.hub import is_address
    from dnw_graph.runs.load import load_run

    directory = locate_checkpoint(path, checkpoint)
    found = load_run(directory)
    cfg, model = found.config, found.model
    if not cfg.model.is_wired:
        raise InputError(
            f"{path}: {cfg.model.network} is a dense network and has no wiring to draw; give a run of "
            "a wired one"
        )
    run = run_of(directory)
    position = read_state(directory).get("position", {})
    assert isinstance(model, WiredNetwork)
    moment = moment_of(position.get("epoch", 0), position.get("step", 0), imported=bool(model.facts.official))
    about = {"dataset": cfg.data.dataset, "moment": moment}
    # Of no other network is it part of the drawing.
    readout = model.body.readout if isinstance(model.body, DynamicBody) else 0
    # A downloaded one lies in a directory that is named after its commit.
    name = path.name if is_address(path) else run.name
    return replace(subject_of(graph_of(model), name, about=about), run=run, readout=readout)


def moment_of(epoch: int, step: int, *, imported: bool = False) -> str:
    """How far the training of a checkpoint has come, in words.

    imported  whether the network came from a file of the 2019 program, which trained it
    """
    if epoch:
        return f"after {epoch} epoch{'s' * (epoch != 1)}"
    if step:
        return f"after {step:,} step{'s' * (step != 1)}"
    return "as imported" if imported else "untrained"
