"""YAML in and out: the 1.2 core schema, plain values only, no key twice.

PyYAML follows YAML 1.1, where `5e-5` is a string, `010` is eight and `no` is false.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from dnw_graph.errors import InputError

_SCALARS = {
    "tag:yaml.org,2002:bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "tag:yaml.org,2002:int": (r"[-+]?(0|[1-9][0-9]*)", "-+0123456789"),
    "tag:yaml.org,2002:float": (
        r"[-+]?((\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+|\.(inf|Inf|INF))|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
}
MOST_VALUES = 10_000
"""That a text may stand for, those of an alias counted each time; a long configuration has sixty."""

_TOO_MANY = f"stands for more than {MOST_VALUES:,} values; write less"
_KEY_TAGS = {"tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"}
_KEPT = {"tag:yaml.org,2002:null", "tag:yaml.org,2002:merge"}


def _use_core_schema(cls: Any) -> None:
    resolvers = {
        first: [(tag, pattern) for tag, pattern in rules if tag in _KEPT]
        for first, rules in cls.yaml_implicit_resolvers.items()
    }
    cls.yaml_implicit_resolvers = {first: rules for first, rules in resolvers.items() if rules}
    for tag, (pattern, firsts) in _SCALARS.items():
        cls.add_implicit_resolver(tag, re.compile(f"^(?:{pattern})$"), list(firsts))


class _Loader(yaml.SafeLoader):
    values = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Count the values as they come, so that a text of many costs no more than one of the most."""
        self.values += 1
        if self.values > MOST_VALUES:
            raise yaml.MarkedYAMLError(None, None, _TOO_MANY, self.peek_event().start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: dict[str, yaml.ScalarNode] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag not in _KEY_TAGS:
                found = key.value if isinstance(key, yaml.ScalarNode) else "a list or mapping"
                problem = f"{found} is no name of a key; use a word"
                raise yaml.MarkedYAMLError(None, None, problem, key.start_mark)
            if key.value in seen:
                first = seen[key.value].start_mark.line + 1
                problem = f"key {key.value} was given before, in line {first}; keep one of them"
                raise yaml.MarkedYAMLError(None, None, problem, key.start_mark)
            seen[key.value] = key
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """A mapping takes a line for each key, a list one line."""

    def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None) -> yaml.MappingNode:
        return super().represent_mapping(tag, mapping, flow_style=not mapping)

    def represent_sequence(
        self, tag: str, sequence: Any, flow_style: bool | None = None
    ) -> yaml.SequenceNode:
        return super().represent_sequence(tag, sequence, flow_style=True)


def _check_size(root: yaml.Node) -> None:
    """Refuse what would take longer to spell out than a configuration does, and what holds itself."""
    sizes: dict[int, int | None] = {}

    def size(node: yaml.Node) -> int:
        if id(node) in sizes:
            known = sizes[id(node)]
            if known is None:
                raise yaml.MarkedYAMLError(None, None, "a value holds itself; write it out", node.start_mark)
            return known
        sizes[id(node)] = None
        parts = node.value if isinstance(node, yaml.CollectionNode) else []
        pairs = [part for part in parts if isinstance(part, tuple)]
        below = [each for pair in pairs for each in pair] if pairs else parts
        sizes[id(node)] = total = 1 + sum(map(size, below))
        if total > MOST_VALUES:
            raise yaml.MarkedYAMLError(None, None, _TOO_MANY, node.start_mark)
        if isinstance(node, yaml.ScalarNode):
            _check_scalar(node)
        return total

    size(root)


def _check_scalar(node: yaml.ScalarNode) -> None:
    if any("\ud800" <= letter <= "\udfff" for letter in node.value):
        problem = "a word holds half of a character (a lone surrogate); use UTF-8"
        raise yaml.MarkedYAMLError(None, None, problem, node.start_mark)
    if node.tag == "tag:yaml.org,2002:int" and len(node.value) > 20:
        problem = f"a number of {len(node.value)} digits is beyond every setting"
        raise yaml.MarkedYAMLError(None, None, problem, node.start_mark)


def _refuse_tag(_: _Loader, node: yaml.Node) -> None:
    problem = f"tag {node.tag} stands for an object; use plain numbers, words and lists"
    raise yaml.MarkedYAMLError(None, None, problem, node.start_mark)


_Loader.add_constructor(None, _refuse_tag)
_use_core_schema(_Loader)
_use_core_schema(_Dumper)


def parse_yaml(text: str, where: str) -> Any:
    """The value that `text` stands for. Raises InputError naming `where` and the line."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _check_size(node)
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        raise InputError(f"{where}{line}: {error.problem or 'not valid YAML'}.") from error
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"{where}: not valid YAML ({' '.join(str(error).split())}).") from error
    except (AttributeError, LookupError, TypeError) as error:
        # What PyYAML's own constructors raise on `!!int ""`, `!!bool x` and their kin.
        raise InputError(f"{where}: a tag such as !!int does not fit its value; leave tags out.") from error
    except RecursionError as error:
        raise InputError(f"{where}: nested too deeply; a configuration has two levels.") from error


def spell(value: Any) -> str:
    """A value as it would be written in YAML, on one line: `null`, `true`, `[80, 120]`."""
    words = {None: "null", True: "true", False: "false"}
    if value is None or isinstance(value, bool):
        return words[value]
    return f"[{', '.join(map(spell, value))}]" if isinstance(value, (list, tuple)) else str(value)


def write_yaml(value: Any) -> str:
    """`value` (dicts, lists, strings, numbers) as YAML text that `parse_yaml` reads back unchanged."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
