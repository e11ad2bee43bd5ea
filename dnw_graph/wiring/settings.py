"""Options of a rule, checked by its own pydantic class."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from dnw_graph.errors import InputError


def settings_of(name: str, kind: Any, options: Mapping[str, Any]) -> Any:
    """`model.rule_options` as an instance of the rule's class `Settings`; None for a rule without one.

    kind  a pydantic model, or None
    Raises InputError for a rule without settings, an unknown key, a wrong value or one that is missing.
    """
    if kind is None:
        if options:
            raise InputError(
                f"model.rule_options: rule {name} takes no options and was given {', '.join(options)}; "
                "leave them out"
            )
        return None
    # Here, so that networks with other rules can be built where there is no pydantic.
    from pydantic import ValidationError

    known = list(kind.model_fields)
    for key in options:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known) or 'none'}"
            raise InputError(f"model.rule_options.{key} is no option of rule {name}; {hint}")
    try:
        return kind.model_validate(dict(options))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(["model.rule_options", *map(str, first["loc"])])
        if first["type"] == "missing":
            raise InputError(f"{key} is missing; rule {name} needs it") from None
        reason = first["msg"][0].lower() + first["msg"][1:]
        raise InputError(
            f"{key} {first['input']!r} is not valid for rule {name} ({reason}); give another value"
        ) from None
