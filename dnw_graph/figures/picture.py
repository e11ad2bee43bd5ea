"""From a figure to a file: PNG, SVG or PDF, the same bytes for the same figure."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from dnw_graph.errors import InputError

SUFFIXES = (".png", ".svg", ".pdf")

# Dates and versions would make a file differ from one day or installation to the next.
_DATELESS: dict[str, dict[str, str | None]] = {
    ".svg": {"Date": None, "Creator": "dnw-graph"},
    ".pdf": {"CreationDate": None, "Creator": "dnw-graph", "Producer": None},
}


def check_suffix(path: Path, known: tuple[str, ...] = SUFFIXES, what: str = "picture") -> None:
    """Raise InputError unless the file's suffix is one of `known`; `what` names what is to be written."""
    if path.suffix.lower() not in known:
        raise InputError(f"{path}: the suffix {path.suffix!r} names no {what}; use {' or '.join(known)}")


def picture_bytes(figure: Figure, suffix: str) -> bytes:
    """The content of a file with this suffix; call it within `style.drawing`."""
    content = io.BytesIO()
    if suffix == ".png":
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        # Without transparency, which no figure has, a third smaller.
        pixels = Image.fromarray(np.array(canvas.buffer_rgba())[..., :3])
        pixels.save(content, format="PNG", optimize=True, dpi=(figure.dpi, figure.dpi))
    else:
        figure.savefig(content, format=suffix[1:], metadata=_DATELESS[suffix])
    return content.getvalue()
