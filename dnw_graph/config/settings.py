"""Settings of a user's own function: the parameters in its signature, checked before it is called."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Collection, Mapping
from typing import Any, get_type_hints

from pydantic import ValidationError, create_model
from pydantic.errors import PydanticUserError

from dnw_graph.config.section import Section
from dnw_graph.config.yaml_text import spell
from dnw_graph.errors import InputError
from dnw_graph.registry import nearest

_NO_NAME = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.VAR_POSITIONAL,
    inspect.Parameter.VAR_KEYWORD,
)


def parameters(function: Callable[..., Any], what: str) -> Mapping[str, inspect.Parameter]:
    """The named parameters of a function or class. Raises InputError for *args, **kwargs or nameless ones."""
    found = inspect.signature(function).parameters
    for each in found.values():
        if each.kind in _NO_NAME:
            raise InputError(f"{what} takes {each}; spell out its parameters, which are called by name")
    return found


def settings_of(function: Callable[..., Any], given: Collection[str], what: str) -> type[Section]:
    """The parameters of `function` that are not `given` as a section, with their types and defaults.

    Raises InputError for a type that no YAML value can have.
    """
    try:
        annotated = function.__init__ if inspect.isclass(function) else function
        hints = get_type_hints(annotated, include_extras=True)
        fields: dict[str, Any] = {
            name: (hints.get(name, Any), ... if each.default is each.empty else each.default)
            for name, each in parameters(function, what).items()
            if name not in given
        }
        return create_model("Options", __base__=Section, **fields)
    except (NameError, TypeError, PydanticUserError) as error:
        raise InputError(
            f"{what}: its signature is no list of settings ({error}); annotate it with plain types"
        ) from error


def check_settings(kind: type[Section], given: Mapping[str, Any], key: str, what: str) -> dict[str, Any]:
    """The settings as `function` wants them, defaults left to it. Raises ValueError with one sentence.

    key   of the configuration, such as model.options
    what  the owner, such as network mine
    """
    for name in given:
        if name not in kind.model_fields:
            raise ValueError(f"{key}.{name} is no setting of {what}; {nearest(name, kind.model_fields)}")
    try:
        # As JSON a list may be a tuple, which strict Python values may not.
        checked = kind.model_validate_json(json.dumps(given))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, (key, *first["loc"])))
        if first["type"] == "missing":
            raise ValueError(f"{place} is missing; {what} needs it") from None
        expected = first["msg"][0].lower() + first["msg"][1:]
        raise ValueError(f"{place} {spell(first['input'])} is not valid for {what}: {expected}") from None
    except TypeError as error:
        raise ValueError(f"{key} {spell(dict(given))} holds what is no plain value ({error})") from None
    return {name: getattr(checked, name) for name in given}
