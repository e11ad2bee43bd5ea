"""Configurations: YAML file + overrides → one frozen, checked `Config`.

Needs neither torch nor dgl. Every mistake is an `InputError` of one sentence: the file or override, the
dotted key, its value, what was expected, and the fix.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dnw_graph.errors import InputError
from dnw_graph.training.complaint import field_at, sentence, show
from dnw_graph.training.schema import (
    Checkpoint,
    Config,
    Data,
    Logging,
    Model,
    Optimizer,
    Schedule,
    Section,
    Training,
)
from dnw_graph.training.yaml_text import parse_yaml, write_yaml

__all__ = [
    "Checkpoint",
    "Config",
    "Data",
    "Logging",
    "Model",
    "Optimizer",
    "Schedule",
    "Section",
    "Training",
    "config_from_dict",
    "dump_config",
    "load_config",
    "to_yaml",
]


def load_config(path: str | Path, overrides: Iterable[str] = ()) -> Config:
    """Read a configuration file and apply overrides, left to right.

    path       YAML file with the sections model, data, optimizer, schedule, training, checkpoint, logging
    overrides  "section.key=value", the value in YAML; null takes the key away, so that its default holds
    Raises InputError for a missing or unreadable file, an unknown key, a wrong value or combination.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; give the path of a configuration (see configs/).") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a directory; give the path of a configuration file in it.") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not UTF-8 text; give the path of a YAML configuration.") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its permissions.") from None
    return config_from_dict(parse_yaml(text, str(path)), overrides, where=str(path))


def config_from_dict(values: Any, overrides: Iterable[str] = (), *, where: str = "config") -> Config:
    """The same from plain nested dicts; `where` names them in errors."""
    if not isinstance(values, Mapping):
        raise InputError(
            f"{where}: expected the sections {', '.join(Config.model_fields)}; found {show(values)}."
        )
    tree = {key: dict(value) if isinstance(value, Mapping) else value for key, value in values.items()}
    origins: dict[tuple[str, ...], str] = {}
    for override in overrides:
        keys, value = _split(override)
        _assign(tree, keys, value, override)
        origins[keys] = f'override "{override}"'
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        raise InputError(sentence(error, where, origins)) from None


def to_yaml(cfg: Config) -> str:
    """The resolved configuration as YAML: every default spelled out, keys without meaning left out."""
    return write_yaml(cfg.model_dump(mode="json", exclude_none=True))


def dump_config(cfg: Config, path: str | Path) -> None:
    """Write `to_yaml(cfg)` to a file that `load_config` reads back as an equal Config."""
    Path(path).write_text(to_yaml(cfg), encoding="utf-8")


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
    field = field_at((section_name, key))
    if value is None and field is not None and not field.is_required():
        section.pop(key, None)
    else:
        section[key] = value
