"""Configurations: YAML file + overrides → one frozen, checked `Config`.

Needs neither torch nor dgl. Every mistake is an `InputError` of one sentence: the file or override, the
dotted key, its value, what was expected, and the fix.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from dnw_graph.errors import InputError
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
            f"{where}: expected the sections {', '.join(Config.model_fields)}; found {_show(values)}."
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
        raise InputError(_sentence(error, where, origins)) from None


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
            f'override "{override}": {section_name} is {_show(section)} in the file, not a section.'
        )
    field = _field((section_name, key))
    if value is None and field is not None and not field.is_required():
        section.pop(key, None)
    else:
        section[key] = value


def _field(location: tuple[Any, ...]) -> Any:
    """The pydantic field at a location; None if there is none. List positions belong to their list."""
    model: Any = Config
    field = None
    for part in location:
        if not isinstance(part, str):
            break
        fields = model.model_fields if isinstance(model, type) and issubclass(model, BaseModel) else {}
        if part not in fields:
            return None
        field = fields[part]
        model = field.annotation
    return field


def _sentence(error: ValidationError, where: str, origins: dict[tuple[str, ...], str]) -> str:
    # A misspelt key also shows as a missing one, and a wrong value may break a combination: first causes first.
    order = {"extra_forbidden": 0, "missing": 2, "value_error": 3}
    first = min(error.errors(include_url=False), key=lambda each: order.get(each["type"], 1))
    location = tuple(first["loc"])
    key = ".".join(str(part) for part in location if isinstance(part, str))
    source = origins.get(location[:2], where)
    kind, value = first["type"], first["input"]
    if kind == "value_error":
        changed = [override for keys, override in origins.items() if not location or keys[0] == location[0]]
        source = f"{where} with {', '.join(changed)}" if changed else where
        return f"{source}: {first['ctx']['error']}."
    if kind == "extra_forbidden":
        return f"{source}: {key} is no known key; {_nearest(location)}."
    if kind == "missing":
        return f"{source}: {key} is missing; add it, {_expected(location)}."
    return f"{source}: {key} {_show(value)} is not valid; expected {_expected(location)}."


def _nearest(location: tuple[Any, ...]) -> str:
    """The known key most like the wrong one: of its own section if one is alike, else of any."""
    here = (
        Config.model_fields
        if len(location) == 1
        else Config.model_fields[location[0]].annotation.model_fields
    )
    wrong = str(location[-1])
    prefix = "" if len(location) == 1 else f"{location[0]}."
    if close := difflib.get_close_matches(wrong, here, n=1):
        return f"did you mean {prefix}{close[0]}"
    everywhere = {
        key: f"{name}.{key}" for name, section in Config.model_fields.items() for key in _keys(section)
    }
    everywhere |= {name: name for name in Config.model_fields}
    if close := difflib.get_close_matches(wrong, everywhere, n=1, cutoff=0.7):
        return f"did you mean {everywhere[close[0]]}"
    return f"known are {', '.join(here)}"


def _keys(section: Any) -> Iterable[str]:
    return section.annotation.model_fields


def _expected(location: tuple[Any, ...]) -> str:
    """Type, limits, meaning and an example of a key, from its field."""
    field = _field(location)
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
        return f"a section with the keys {', '.join(_keys(field))}"
    schema = Config.model_json_schema()["$defs"][_field(location[:1]).annotation.__name__]["properties"][
        location[1]
    ]
    options = [option for option in schema.get("anyOf", [schema]) if option.get("type") != "null"]
    example = field.examples[0] if field.examples else field.default
    text = f"{_kind(options[0])} ({field.description})"
    return (
        text
        if "enum" in options[0] or not isinstance(example, (int, float, str, list))
        else (f"{text}, for example {_show(example)}")
    )


def _kind(schema: dict[str, Any]) -> str:
    """A JSON-schema type with its limits, in words."""
    if "enum" in schema:
        return f"one of {', '.join(schema['enum'])}"
    if schema.get("type") == "array":
        return f"a list, each {_kind(schema['items'])}"
    words = {"integer": "an integer", "number": "a number", "boolean": "true or false", "string": "a word"}
    limits = {
        "minimum": "at least",
        "exclusiveMinimum": "above",
        "maximum": "at most",
        "exclusiveMaximum": "below",
    }
    bounds = [f"{word} {_show(schema[limit])}" for limit, word in limits.items() if limit in schema]
    return " ".join([words[schema["type"]], " and ".join(bounds)]).strip()


def _show(value: Any) -> str:
    """A value as in YAML, on one line and not too long."""
    if isinstance(value, str):
        text = f'"{value}"'
    else:
        text = {True: "true", False: "false"}.get(value) if isinstance(value, bool) else None
        text = text or ("null" if value is None else str(value))
    text = " ".join(text.split())
    return text if len(text) <= 60 else f"{text[:57]}..."
