"""A pydantic error in one sentence: source, dotted key, value, what was expected, the nearest key."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from dnw_graph.config.schema import Config, Section
from dnw_graph.config.yaml_text import spell

Location = tuple[Any, ...]

# A misspelt key also shows as a missing one, and a wrong value may break a combination: causes first.
_ORDER = {"extra_forbidden": 0, "invalid_key": 0, "missing": 2, "value_error": 3}
_LIMITS = {
    "minimum": "at least",
    "exclusiveMinimum": "above",
    "maximum": "at most",
    "exclusiveMaximum": "below",
}
_TYPES = {"integer": "an integer", "number": "a number", "boolean": "true or false", "string": "a word"}


def sentence(error: ValidationError, where: str, overrides: Mapping[Location, str]) -> str:
    """The most telling mistake of `error`.

    where      the file, or another name of the source
    overrides  (section, key) → description of the override that set it; (section,) where it made the section
    """
    first = _first(error)
    location: Location = tuple(first["loc"])
    if first["type"] == "value_error":
        changed = [text for keys, text in overrides.items() if len(keys) == 2]
        source = f"{where} with {', '.join(changed)}" if changed else where
        return f"{source}: {first['ctx']['error']}."
    source = overrides.get(location[:2], where)
    key = ".".join(part for part in location if isinstance(part, str))
    if first["type"] in ("extra_forbidden", "invalid_key"):
        return f"{source}: {'.'.join(map(str, location))} is no known key; {_nearest(location)}."
    if first["type"] == "missing":
        return f"{source}: {key} is missing; add it, {_expected(location)}."
    return f"{source}: {key} {show(first['input'])} is not valid; expected {_expected(location)}."


def combination(error: ValidationError) -> str | None:
    """What is wrong between values that are each right; None where a single key or value is wrong."""
    first = _first(error)
    return str(first["ctx"]["error"]) if first["type"] == "value_error" else None


def wrong_combinations(error: ValidationError) -> set[str]:
    """All that is wrong between values, as far as it could be looked at."""
    found = error.errors(include_url=False)
    return {str(each["ctx"]["error"]) for each in found if each["type"] == "value_error"}


def _first(error: ValidationError) -> Any:
    return min(error.errors(include_url=False), key=lambda each: _ORDER.get(each["type"], 1))


def field_at(location: Location) -> FieldInfo | None:
    """The field of a section or of a key in it; None if there is none."""
    field = Config.model_fields.get(location[0])
    if field is None or len(location) == 1:
        return field
    return _keys(field).get(location[1])


def show(value: Any) -> str:
    """A value as in YAML, on one line and not too long."""
    text = f'"{value}"' if isinstance(value, str) else spell(value)
    text = " ".join(text.split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def _keys(section: FieldInfo) -> dict[str, FieldInfo]:
    kind = section.annotation
    assert isinstance(kind, type)
    assert issubclass(kind, Section)
    return kind.model_fields


def _nearest(location: Location) -> str:
    """The known key most like the wrong one: in its own section if one is alike there, else in any."""
    *section, wrong = map(str, location)
    sections = Config.model_fields
    here = [".".join([*section, key]) for key in (_keys(sections[section[0]]) if section else sections)]
    everywhere = [*sections, *(f"{name}.{key}" for name in sections for key in _keys(sections[name]))]
    for names, cutoff in ((here, 0.6), (everywhere, 0.7)):
        by_key = {name.rpartition(".")[2]: name for name in names}
        if close := difflib.get_close_matches(wrong, by_key, n=1, cutoff=cutoff):
            return f"did you mean {by_key[close[0]]}"
    return f"known are {', '.join(here)}"


def _expected(location: Location) -> str:
    """Type, limits, meaning and an example of a key, or the keys of a section."""
    section, key = Config.model_fields[location[0]], location[1] if len(location) > 1 else None
    if key is None:
        return f"a section with the keys {', '.join(_keys(section))}"
    field = _keys(section)[key]
    definitions = Config.model_json_schema()["$defs"]
    schema = definitions[section.annotation.__name__]["properties"][key]  # type: ignore[union-attr]
    options = [option for option in schema.get("anyOf", [schema]) if option.get("type") != "null"]
    text = f"{_kind(options[0])} ({field.description})"
    if "enum" in options[0]:
        return text
    example = field.examples[0] if field.examples else field.default
    return text if example in (None, PydanticUndefined) else f"{text}, for example {show(example)}"


def _kind(schema: Mapping[str, Any]) -> str:
    """A JSON-schema type with its limits, in words."""
    if "enum" in schema:
        return f"one of {', '.join(schema['enum'])}"
    if schema.get("type") == "array":
        return f"a list, each {_kind(schema['items'])}"
    limits = [f"{word} {show(schema[limit])}" for limit, word in _LIMITS.items() if limit in schema]
    return " ".join([_TYPES[schema["type"]], " and ".join(limits)]).strip()
