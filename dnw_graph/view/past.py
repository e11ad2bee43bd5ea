"""The wirings of a run's epochs, as what enters and leaves from one to the next."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from dnw_graph.analysis.stored import StoredWirings
from dnw_graph.analysis.wiring import Wiring, wiring_from_ids
from dnw_graph.view.arrays import Array, smallest

MOST_EPOCHS = 64
"""Of a longer training, so many epochs are shown, evenly spread, the first and the last among them."""


def past_of(wiring: Wiring, stored: StoredWirings) -> tuple[list[int], dict[str, Array]]:
    """(epochs, arrays) of the past of a wiring with E edges.

    Edges that are gone are numbered from E on. Arrays, all unsigned:
      past/source, past/target  [G]: the ends of edges that are gone
      past/change               [C]: edges that enter or leave, epoch after epoch; before the first epoch
                                there is no edge
      past/first                [epochs + 1]: where each epoch's changes start
    """
    epochs, ids = _spread(stored)
    layout = stored.layout
    stages = np.cumsum([0, *(stage.num_candidates for stage in layout.stages)])
    now = wiring.id + stages[wiring.stage]
    then = [np.concatenate([each + at for each, at in zip(of, stages, strict=False)]) for of in ids]
    gone = np.setdiff1d(np.concatenate(then), now)
    ends = wiring_from_ids(
        layout,
        [gone[(gone >= a) & (gone < b)] - a for a, b in pairwise(stages)],
    )
    # Edges of now are sorted by stage and id, and so are those that are gone.
    known = np.concatenate([now, gone])
    order = np.argsort(known)
    before, changes = np.array([], dtype=np.int64), []
    for each in then:
        changed = np.setxor1d(before, each, assume_unique=True)
        changes.append(np.sort(order[np.searchsorted(known, changed, sorter=order)]))
        before = each
    return list(epochs), {
        "past/source": smallest(ends.source),
        "past/target": smallest(ends.target),
        "past/change": smallest(np.concatenate(changes)),
        "past/first": np.cumsum([0, *map(len, changes)]).astype(np.uint32),
    }


def _spread(stored: StoredWirings) -> tuple[tuple[int, ...], list[tuple[Array, ...]]]:
    count = len(stored.epochs)
    chosen = np.unique(np.linspace(0, count - 1, min(count, MOST_EPOCHS)).round().astype(int))
    return tuple(stored.epochs[each] for each in chosen), [stored.ids[each] for each in chosen]
