"""The kinds of figures, and from a subject to a file."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dnw_graph.dependencies import missing_of
from dnw_graph.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Kind:
    """What a figure shows.

    summary  one line, for help
    pair     whether it is drawn of two wirings
    film     whether it moves: a .gif instead of a picture
    past     whether it shows a whole training, not one moment
    """

    summary: str
    pair: bool = False
    film: bool = False
    past: bool = False


KINDS = {
    "layered": Kind("levels as columns of nodes, the strongest edges, and totals from level to level"),
    "adjacency": Kind("which nodes send to which, as densities, sorted by level"),
    "levels": Kind("how many edges go from each level to each later one, compared with chance"),
    "degrees": Kind("how the edges are shared among the nodes, compared with random wirings"),
    "kernels": Kind("the 3×3 convolutions of the busiest nodes"),
    "turnover": Kind("how the wiring changed over training (needs a run directory)", past=True),
    "compare": Kind("two wirings of one network (needs --with)", pair=True),
    "film": Kind(
        "the adjacency, epoch by epoch, as an animated .gif (needs a run directory)", film=True, past=True
    ),
}
"""A kind's module in this package has its name and a function NAME_figure; `film` has film_bytes."""


def find_kind(name: str) -> Kind:
    """Raises InputError with the nearest name if there is none."""
    if name not in KINDS:
        near = difflib.get_close_matches(name, KINDS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(KINDS)}"
        raise InputError(f'--kind "{name}" is no kind of figure; {hint}')
    return KINDS[name]


def check_request(name: str, path: Path, *, other: bool) -> None:
    """Raise InputError for what cannot be drawn, whatever the wiring, or where Matplotlib is missing.

    path   where to; its suffix says the format
    other  whether a second wiring is given
    """
    kind = find_kind(name)
    if (missing := missing_of("figures")) is not None:
        raise InputError(f"--kind {name} cannot be drawn: {missing}")
    from dnw_graph.figures.picture import SUFFIXES, check_suffix

    if kind.film and path.suffix.lower() in SUFFIXES:
        raise InputError(f"{path}: a film moves and {path.suffix} does not; write it to a .gif file")
    if path.suffix.lower() == ".gif" and not kind.film:
        raise InputError(f"{path}: --kind {name} does not move; use {' or '.join(SUFFIXES)}, or --kind film")
    check_suffix(path, (".gif",) if kind.film else SUFFIXES, "film" if kind.film else "picture")
    if kind.pair and not other:
        raise InputError(f"--kind {name} draws two wirings; give the second one with --with RUN")
    if other and not kind.pair:
        pairs = ", ".join(each for each, known in KINDS.items() if known.pair)
        raise InputError(
            f"--with gives a second wiring, which --kind {name} has no place for; use --kind {pairs}"
        )


def draw(
    name: str,
    path: str | Path,
    subject: Any,
    other: Any = None,
    *,
    tell: Callable[[str], None] = lambda _: None,
) -> None:
    """Draw a `Subject` (and another one, where the kind is of two) to a file.

    tell  is called with what is being drawn, before each frame of a film
    The same run gives the same bytes. Raises InputError for what cannot be drawn or written.
    """
    from dnw_graph.figures.picture import picture_bytes
    from dnw_graph.figures.style import drawing
    from dnw_graph.interchange.file import write_bytes

    path = Path(path)
    check_request(name, path, other=other is not None)
    with drawing():
        if KINDS[name].film:
            film = import_module(f"dnw_graph.figures.{name}")
            content: bytes = film.film_bytes(
                subject, lambda number, count: tell(f"drawing frame {number} of {count}")
            )
        else:
            content = picture_bytes(figure_of(name, subject, other), path.suffix.lower())
    write_bytes(path, content)


def figure_of(name: str, subject: Any, other: Any = None) -> Figure:
    """The figure of a kind that does not move; call it within `style.drawing`."""
    subjects = (subject, other) if KINDS[name].pair else (subject,)
    figure: Figure = getattr(import_module(f"dnw_graph.figures.{name}"), f"{name}_figure")(*subjects)
    return figure
