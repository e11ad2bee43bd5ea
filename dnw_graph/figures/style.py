"""One look for all figures: colours, marks, fonts, sizes, and what they say about their subject."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure

WIDTH = 11.0
"""Inches. With fonts of 10 points it can be read in a column half as wide as the screen."""
DPI = 120
"""Pixels per inch of a PNG."""
FONT, SMALL = 10, 8.5
"""Points."""

# Okabe and Ito's palette, which the colour-blind tell apart; marks, dashes and hatches do it in grey print.
BLUE, VERMILLION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
INK, GREY, PALE = "#000000", "#8C8C8C", "#F1F1F1"

NODE_STYLES = {"live": (GREEN, "o"), "constant": (ORANGE, "^"), "dead": (GREY, "x")}
"""Status of a node → (colour, marker)."""

Dashes = tuple[float, tuple[float, ...]]
SOLID: Dashes = (0, ())
DASHED: Dashes = (0, (3, 1.5))
DOTTED: Dashes = (0, (1, 1.5))
SIGN_STYLES = {"positive": (BLUE, SOLID), "negative": (VERMILLION, DASHED)}
"""Sign of a weight → (colour, dashes)."""


@contextmanager
def drawing() -> Iterator[None]:
    """Make and save figures in this context: no setting of the user's, and the same bytes each time."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(
            {
                "svg.hashsalt": "dnw-graph",
                "font.size": FONT,
                "axes.titlesize": FONT,
                "figure.titlesize": FONT + 2,
                "legend.fontsize": FONT - 1,
                "legend.frameon": False,
                "hatch.linewidth": 0.6,
            }
        )
        yield


def new_figure(height: float, title: str, subject: str, *, width: float = WIDTH, dpi: int = DPI) -> Figure:
    """An empty figure, sizes in inches; two lines above it say what, and of what."""
    figure = Figure(figsize=(width, height), dpi=dpi, layout="constrained")
    figure.suptitle(f"{title}\n{subject}")
    return figure


def bare(axes: Axes) -> None:
    """Take away the frame and the tick marks; the labels stay."""
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def ruled(axes: Axes, axis: str = "y") -> None:
    """A frame open at the top and the right, and faint rules."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, axis=axis, color="#DDDDDD", linewidth=0.6)  # type: ignore[arg-type]
    axes.set_axisbelow(True)


def density_colours() -> Colormap:
    """From a tone that is seen on white to nearly black, darker for more; nothing at all is white."""
    tones = ["#BDD7EC", "#4A98C9", "#0D57A1", "#021B3A"]
    return LinearSegmentedColormap.from_list("density", tones).with_extremes(bad="white", under=tones[0])


def ratio_colours() -> Colormap:
    """Orange for less, grey for as much, purple for more; both ends are dark in print: add the number."""
    return LinearSegmentedColormap.from_list("ratio", ["#A34A00", "#F0A860", "#B4B4B4", "#9A86C8", "#3F1A75"])
