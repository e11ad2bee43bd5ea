"""The wirings that a run stored, one per epoch, checked against its network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dnw_graph.arguments import expect, path_of
from dnw_graph.errors import InputError
from dnw_graph.graph.layout import Ints, Layout
from dnw_graph.shown import Rows, Shown, brief, listed


@dataclass(frozen=True, repr=False)
class StoredWirings(Shown):
    """Candidate ids of the body's stages, as they were at the end of some epochs.

    epochs  ascending, perhaps with gaps; 0 is the wiring before the first step
    ids     per epoch and stage, int64 [k], ascending
    """

    layout: Layout
    epochs: tuple[int, ...]
    ids: tuple[tuple[Ints, ...], ...]

    def shown(self) -> tuple[str, Rows]:
        edges = [sum(map(len, stages)) for stages in self.ids]
        return "StoredWirings", [("epochs", listed(list(map(str, self.epochs)))), ("edges", brief(edges))]


def stored_wirings(run: str | Path, layout: Layout) -> StoredWirings:
    """The wirings in RUN/wiring/epoch_*.npz.

    Raises InputError if there is none, or if one is damaged, newer, or not of a network with this layout.
    """
    run = path_of(run, "run")
    expect(layout, Layout, "layout", "that of a network or a wiring, .layout")
    # It belongs to training, which needs torch.
    from dnw_graph.runs.history import history_of

    history = history_of(run)
    if not history.epochs:
        raise InputError(
            f"{run}: has no stored wirings (wiring/epoch_*.npz), which turnover is computed from; "
            "give the run directory of a training"
        )
    ids = []
    for epoch in history.epochs:
        found = history.wiring(epoch)
        for stage in layout.stages:
            mine = found.get(f"stage_{stage.index}")
            if mine is None or (len(mine) and mine[-1] >= stage.num_candidates):
                raise InputError(
                    f"{run}: the stored wiring of epoch {epoch} does not fit stage {stage.index} of this "
                    "network; give a run whose wiring/ is its own"
                )
        ids.append(tuple(found[f"stage_{stage.index}"] for stage in layout.stages))
    return StoredWirings(layout, history.epochs, tuple(ids))
