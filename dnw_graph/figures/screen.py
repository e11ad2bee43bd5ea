"""One figure shown many times with other contents: what stays is drawn once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage


class Screen:
    """The pixels of a figure of which only some artists change; its layout is kept.

    images  their data changes; lines and frames of their axes are drawn over them again
    others  that change, on top of everything
    """

    def __init__(self, figure: Figure, images: Sequence[AxesImage], others: Sequence[Artist] = ()) -> None:
        axes = dict.fromkeys(image.axes for image in images)
        over = [artist for each in axes for artist in (*each.lines, *each.spines.values())]
        self._moving = [*images, *over, *others]
        self._canvas = FigureCanvasAgg(figure)
        self._figure = figure
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        for artist in self._moving:
            artist.set_animated(True)
        self._canvas.draw()
        self._still = self._canvas.copy_from_bbox(figure.bbox)

    def pixels(self) -> npt.NDArray[np.uint8]:
        """As it looks now, [height, width, 3]."""
        self._canvas.restore_region(self._still)
        for artist in self._moving:
            self._figure.draw_artist(artist)
        return np.array(self._canvas.buffer_rgba(), dtype=np.uint8)[..., :3]
