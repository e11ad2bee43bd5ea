"""The configurations that come with the package: `configs/` of a clone, or the wheel's copy of it."""

from __future__ import annotations

import difflib
from pathlib import Path

from dnw_graph.errors import InputError

_PACKAGE = Path(__file__).parents[1]


def folder() -> Path:
    """Where they are. A wheel has them inside of the package; in a clone `configs/` lies beside it."""
    inside = _PACKAGE / "configs"
    return inside if inside.is_dir() else _PACKAGE.parent / "configs"


def listed() -> dict[str, str]:
    """Name, such as `digits/tiny_static_dnw` → the line that describes it, the first comment of the file."""
    place = folder()
    found = {}
    for path in sorted(place.glob("*/*.yaml")):
        first = path.read_text(encoding="utf-8").partition("\n")[0]
        found[path.relative_to(place).with_suffix("").as_posix()] = first.removeprefix("#").strip()
    return found


def find_config(path: Path) -> Path:
    """The path itself where something is there, else the configuration that has this name.

    Raises InputError, with the nearest name, if there is neither.
    """
    if path.exists():
        return path
    name = path.with_suffix("").as_posix() if path.suffix == ".yaml" else path.as_posix()
    if name in (known := listed()):
        return folder() / f"{name}.yaml"
    near = difflib.get_close_matches(name, known, n=1)
    hint = (
        f"did you mean {near[0]}?" if near else "`dnw-graph configs` lists those that come with the package."
    )
    raise InputError(f"{path}: no such file and no configuration of that name; {hint}")
