"""Film: the adjacency of a run's stored wirings, one after the other, as an animated GIF."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from PIL import Image

from dnw_graph.analysis.stored import StoredWirings
from dnw_graph.analysis.wiring import wiring_from_ids
from dnw_graph.figures import style
from dnw_graph.figures.adjacency import densities, draw_panels
from dnw_graph.figures.binned import Binned, range_of
from dnw_graph.figures.cohorts import Cohorts, changes_of
from dnw_graph.figures.screen import Screen
from dnw_graph.figures.subject import Subject

WIDTH, HEIGHT, DPI = 8.8, 8.4, 84
MAX_FRAMES = 60
STILL = 0.001
"""New edges per edge and epoch; the film ends where no later epoch has more."""
SECONDS, LONGEST = 0.6, 20.0
"""Of a frame, if the film then takes no longer than the second; the last frame stays five times as long."""

Tell = Callable[[int, int], None]


def film_bytes(subject: Subject, tell: Tell = lambda number, count: None) -> bytes:
    """The content of a .gif file, which plays again and again.

    tell  is called with the number of each frame and of all of them, before it is drawn
    Raises InputError for what is no run with several stored wirings, or if they are all the same.
    """
    frames = [_paletted(pixels) for pixels in film_frames(subject, tell)]
    each = int(1000 * min(SECONDS, LONGEST / len(frames)))
    content = io.BytesIO()
    frames[0].save(
        content,
        format="GIF",
        save_all=True,
        append_images=frames[1:],
        duration=[*[each] * (len(frames) - 1), 5 * each],
        loop=0,
        optimize=False,
    )
    return content.getvalue()


def last_moving(cohorts: Cohorts) -> int:
    """The last stored wiring that has more new edges than STILL says."""
    moving = cohorts.entered > STILL * np.maximum(cohorts.edges, 1) * np.diff(cohorts.epochs, prepend=0)
    return int(np.flatnonzero(moving).max(initial=1))


def film_frames(subject: Subject, tell: Tell = lambda number, count: None) -> Iterator[np.ndarray]:
    """Pixels [height, width, 3] uint8 of MAX_FRAMES epochs at most, up to the last that moves."""
    stored, cohorts = changes_of(subject, "film")
    end = last_moving(cohorts)
    shown = np.unique(np.linspace(0, end, MAX_FRAMES).round().astype(int)).tolist()
    parts = [_parts(subject, stored, row) for row in shown]
    limits = range_of([part.percent for frame in parts for part in frame])
    figure = style.new_figure(HEIGHT, _moment(cohorts, shown[-1]), subject.heading, width=WIDTH, dpi=DPI)
    above, below = _halves(figure)
    images = draw_panels(above, subject.layout, subject.stages, parts[0], limits, readout=subject.readout)
    mark = _draw_course(below, cohorts)
    title = figure.suptitle(figure.get_suptitle())
    screen = Screen(figure, images, [title, mark])
    for number, (row, frame) in enumerate(zip(shown, parts, strict=True), start=1):
        tell(number, len(shown))
        for image, part in zip(images, frame, strict=True):
            image.set_data(part.percent)
        mark.set_xdata([cohorts.epochs[row]] * 2)
        title.set_text(f"{_moment(cohorts, row)}\n{subject.heading}")
        yield screen.pixels()


def _halves(figure: Figure) -> tuple[SubFigure, SubFigure]:
    above, below = np.asarray(figure.subfigures(2, 1, height_ratios=(6, 1.25)))
    return above, below


def _parts(subject: Subject, stored: StoredWirings, row: int) -> list[Binned]:
    return densities(wiring_from_ids(stored.layout, stored.ids[row]), subject.stages)


def _moment(cohorts: Cohorts, row: int) -> str:
    when = f"After epoch {cohorts.epochs[row]} of {cohorts.epochs[-1]}"
    if row == 0:
        return when if cohorts.epochs[0] else "Before the first step: untrained"
    share = cohorts.entered[row] / max(int(cohorts.edges[row]), 1)
    moment = f"{when}: {share:.1%} of the edges are new since epoch {cohorts.epochs[row - 1]}"
    ends_early = row == last_moving(cohorts) < len(cohorts.epochs) - 1
    return f"{moment}, then at most {STILL:.1%}" if ends_early else moment


def _draw_course(figure: SubFigure, cohorts: Cohorts) -> Line2D:
    """New edges of all epochs, and a line that stands at the frame's."""
    axes = figure.add_subplot()
    share = 100 * cohorts.entered[1:] / np.maximum(cohorts.edges[1:], 1)
    axes.plot(cohorts.epochs[1:], share, color=style.BLUE, marker="o", markersize=3)
    axes.set_xlim(cohorts.epochs[0] - 0.1, cohorts.epochs[-1] + 0.1)
    axes.set_ylim(0, max(float(share.max()) * 1.1, 1))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="epoch", ylabel="new, % of edges")
    style.ruled(axes)
    return axes.axvline(cohorts.epochs[0], color=style.VERMILLION, linewidth=2)


def _paletted(pixels: np.ndarray) -> Image.Image:
    """With the same 256 colours in every frame, and without dots that imitate others."""
    return Image.fromarray(pixels).quantize(palette=_palette(), dither=Image.Dither.NONE)


@cache
def _palette() -> Image.Image:
    # White, and lines and letters, which fade into it over several pixels.
    fading = [
        LinearSegmentedColormap.from_list("", ["white", ink])(np.linspace(0.1, 1, 24))
        for ink in (style.INK, style.BLUE, style.VERMILLION, style.GREEN)
    ]
    tones = style.density_colours()(np.linspace(0, 1, 256 - 1 - 4 * 24))
    colours = np.concatenate([np.ones((1, 4)), tones, *fading])
    palette = Image.new("P", (1, 1))
    palette.putpalette(np.round(255 * colours[:, :3]).astype(np.uint8).tobytes())
    return palette
