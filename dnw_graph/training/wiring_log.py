"""What TensorBoard shows of the wiring after every epoch: adjacency, densities by level, new edges."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dnw_graph.analysis.densities import densities_of
from dnw_graph.analysis.wiring import Wiring, wiring_from_ids
from dnw_graph.graph.layout import Layout
from dnw_graph.runs.history import Wiring as Stored

WIDTH, HEIGHT, DPI = 8.75, 7.5, 80
"""Inches, and pixels per inch, of the adjacency picture."""


class WiringLog:
    """Writes events; the picture's axes are made once, so that an epoch costs a tenth of a second."""

    def __init__(self, writer: Any, layout: Layout) -> None:
        """writer: torch's SummaryWriter"""
        self._writer = writer
        self._layout = layout
        self._screen: Any = None
        self._images: list[Any] = []

    def add(self, now: Stored, before: Stored | None, step: int) -> None:
        """The stored wiring of an epoch, that of the epoch before if there is one, optimiser steps done.

        Curves `wiring_density/level_U_to_V`: edges per hundred candidates; `wiring_new_edges/STAGE`: edges
        that were not in the wiring of the epoch before. Picture `adjacency`.
        """
        wiring = wiring_from_ids(self._layout, [now[f"stage_{each.index}"] for each in self._layout.stages])
        percent = 100 * densities_of(wiring).density
        for source, target in zip(*np.nonzero(~np.isnan(percent)), strict=True):
            tag = f"wiring_density/level_{source}_to_{target}"
            self._writer.add_scalar(tag, percent[source, target], step)
        if before is not None:
            for name, ids in now.items():
                new = np.setdiff1d(ids, before[name], assume_unique=True)
                self._writer.add_scalar(f"wiring_new_edges/{name}", len(new), step)
        self._writer.add_image("adjacency", self._picture(wiring), step, dataformats="HWC")

    def _picture(self, wiring: Wiring) -> npt.NDArray[np.uint8]:
        """Pixels [height, width, 3] of all stages, on a scale that is the same in every epoch."""
        from dnw_graph.figures import style
        from dnw_graph.figures.adjacency import densities, draw_panels, limits_of
        from dnw_graph.figures.screen import Screen

        parts = densities(wiring, self._layout.stages)
        with style.drawing():
            if self._screen is None:
                title, line = "Adjacency: which nodes send to which", "one picture per epoch, on one scale"
                figure = style.new_figure(HEIGHT, title, line, width=WIDTH, dpi=DPI)
                self._images = draw_panels(figure, self._layout, self._layout.stages, parts, limits_of(parts))
                self._screen = Screen(figure, self._images)
            for image, part in zip(self._images, parts, strict=True):
                image.set_data(part.percent)
            pixels: npt.NDArray[np.uint8] = self._screen.pixels()
        return pixels
