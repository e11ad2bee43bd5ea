"""Configurations: YAML file + overrides → one frozen, checked `Config`.

Needs neither torch nor dgl. Every mistake is an `InputError` of one sentence: the file or override, the
dotted key, its value, what was expected, and the fix.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain, combinations
from math import inf
from os import PathLike
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dnw_graph.arguments import several
from dnw_graph.config.complaint import combination, has_default, sentence, show, wrong_combinations
from dnw_graph.config.packaged import find_config
from dnw_graph.config.schedules import SCHEDULES, Schedule
from dnw_graph.config.schema import Config, config_with
from dnw_graph.config.yaml_text import parse_yaml, write_yaml
from dnw_graph.errors import InputError

Origins = dict[tuple[str, ...], str]

# More overrides than this are hardly wrong together only, and there are too many sets of them to try.
MOST_TO_BLAME = 3

MOST_BYTES = 1 << 20
MOST_LEVELS = 12
# Single precision has numbers up to 3e38.
MOST_NUMBER = 1e30
MOST = {
    "model.image_size": 65536,
    "model.num_classes": 2**31,
    "model.edges": 2**40,
    "data.workers": 1024,
    "training.epochs": 2**31,
    "training.batch_size": 2**31,
    "training.eval_batch_size": 2**31,
    "training.accumulate": 2**31,
    "training.threads": 4096,
    "gradient.every": 2**53,
    "checkpoint.every_steps": 2**53,
    "logging.every_steps": 2**53,
    "schedule.warmup_epochs": 2**31,
    "schedule.milestones": 2**31,
}
"""Section and key → the largest number that is not refused at once."""


def load_config(path: str | PathLike[str], overrides: Iterable[str] = ()) -> Config:
    """Read a configuration file and apply overrides, left to right.

    path       YAML file with the sections that docs/training.md describes, or the name of one that comes with
               the package, such as digits/tiny_static_dnw
    overrides  "section.key=value", the value in YAML; null takes the key away, so that its default holds
    Raises InputError for a missing or unreadable file, an unknown key, a wrong value or combination.
    """
    if not isinstance(path, (str, PathLike)):
        raise InputError(f"load_config reads a file and was given a {type(path).__name__}; give its path")
    path = Path(path)
    try:
        # A pipe is read as well; one that never ends, or a device, only so far.
        with find_config(path).open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise InputError(f"{path}: is larger than {MOST_BYTES:,} bytes; give a YAML configuration.")
        text = data.decode("utf-8")
    except InputError:
        raise
    except IsADirectoryError:
        raise InputError(f"{path}: is a directory; give the path of a configuration file in it.") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not UTF-8 text; give the path of a YAML configuration.") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its permissions.") from None
    except ValueError:
        raise InputError(f"{str(path)!a}: is no path; give that of a YAML configuration.") from None
    return config_from_dict(parse_yaml(text, str(path)), overrides, where=str(path))


def config_from_dict(values: Any, overrides: Iterable[str] = (), *, where: str = "config") -> Config:
    """The same from plain nested dicts; `where` names them in errors."""
    if not isinstance(values, Mapping):
        raise InputError(
            f"{where}: expected the sections {', '.join(Config.model_fields)}; found {show(values)}."
        )
    changes = override_list(overrides)
    tree, origins = _assemble(values, changes)
    _check_numbers(tree, origins, where)
    kind = _kind(tree)
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        if (told := combination(error)) is not None:
            origins = _to_blame(told, values, changes)
        raise InputError(sentence(error, kind, where, origins)) from None


def _check_numbers(tree: Any, origins: Mapping[tuple[str, ...], str], where: str) -> None:
    """Raise InputError for numbers that no computer could use, and values too deep to be settings."""

    def check(value: Any, keys: tuple[str, ...]) -> None:
        source = origins.get(keys[:2], where)
        name = ".".join(keys[:2])
        if len(keys) > MOST_LEVELS:
            raise InputError(f"{source}: {name} is nested too deep; settings have a few levels at most.")
        if isinstance(value, (Mapping, list, tuple)):
            parts = value.items() if isinstance(value, Mapping) else enumerate(value)
            for key, part in parts:
                check(part, (*keys, str(key)))
        most = MOST.get(name, MOST_NUMBER)
        if isinstance(value, (int, float)) and most < abs(value) < inf:
            digits = str(value) if abs(value) < 1e300 else "a number of hundreds of digits"
            raise InputError(f"{source}: {name} {digits} is out of range; use at most {most:g}.")

    check(tree, ())


def override_list(overrides: Iterable[str]) -> list[str]:
    """The overrides as a list. Raises InputError for a lone string, whose letters they would be."""
    if isinstance(overrides, str):
        raise InputError(f'overrides "{overrides}" are one string; give a list, ["{overrides}"]')
    listed = several(overrides, "overrides", 'a list such as ["optimizer.lr=0.05"]')
    if wrong := [each for each in listed if not isinstance(each, str)]:
        raise InputError(f'override {wrong[0]!r} is no string; give "section.key=value"')
    return listed


def to_yaml(cfg: Config, *, given: bool = False) -> str:
    """The resolved configuration as YAML: every default spelled out, keys without meaning left out.

    given  only what was given, without defaults
    """
    return write_yaml(cfg.model_dump(mode="json", exclude_none=True, exclude_unset=given))


def dump_config(cfg: Config, path: str | Path) -> None:
    """Write `to_yaml(cfg)` to a file that `load_config` reads back as an equal Config."""
    Path(path).write_text(to_yaml(cfg), encoding="utf-8")


def _kind(tree: Mapping[str, Any]) -> type[Config]:
    """The configuration whose schedule section has the keys of the schedule that is named."""
    section = tree.get("schedule")
    name = section.get("name", "cosine") if isinstance(section, Mapping) else "cosine"
    return config_with(SCHEDULES.entries.get(name, Schedule) if isinstance(name, str) else Schedule)


def _assemble(values: Mapping[str, Any], overrides: Iterable[str]) -> tuple[dict[str, Any], Origins]:
    """(all values, what set which): (section, key) → the last override of it, (section,) → what made it."""
    tree = {key: dict(value) if isinstance(value, Mapping) else value for key, value in values.items()}
    origins: Origins = {}
    for override in overrides:
        keys, value = _split(override)
        if keys[0] not in tree:
            origins[keys[:1]] = f'override "{override}"'
        _assign(tree, keys, value, override)
        origins[keys] = f'override "{override}"'
    return tree, origins


def _to_blame(told: str, values: Mapping[str, Any], overrides: list[str]) -> Origins:
    """The fewest overrides that make a combination wrong; none where the file alone is."""
    last = {_split(override)[0]: override for override in overrides}
    sizes = range(min(len(last), MOST_TO_BLAME) + 1)
    for few in chain.from_iterable(combinations(last.values(), size) for size in sizes):
        tree, origins = _assemble(values, few)
        try:
            _kind(tree).model_validate(tree)
        except ValidationError as error:
            if told in wrong_combinations(error):
                return origins
    return _assemble(values, overrides)[1]


def _split(override: str) -> tuple[tuple[str, ...], Any]:
    name, equals, text = override.partition("=")
    keys = tuple(name.strip().split("."))
    if not equals or len(keys) != 2 or not all(keys):
        raise InputError(f'override "{override}": expected section.key=value, for example optimizer.lr=0.05.')
    return keys, parse_yaml(text, f'override "{override}"')


def _assign(tree: dict[str, Any], keys: tuple[str, ...], value: Any, override: str) -> None:
    section_name, key = keys
    section = tree.setdefault(section_name, {})
    if section is None:
        section = tree[section_name] = {}
    if not isinstance(section, dict):
        raise InputError(
            f'override "{override}": {section_name} is {show(section)} in the file, not a section.'
        )
    if value is None and has_default(section_name, key):
        section.pop(key, None)
    else:
        section[key] = value
