"""Rules, networks, data sets, optimisers, schedules and backends from a user's own file."""

from __future__ import annotations

import importlib.util
import sys
import zlib
from pathlib import Path

from dnw_graph.errors import InputError
from dnw_graph.message_passing import backends
from dnw_graph.registry import Registry
from dnw_graph.wiring.rule import registered_rules


def load_plugin(path: str | Path) -> None:
    """Run a Python file that registers something of its own (`--plugin mine.py`).

    The file is code and runs with the user's rights; that is why only the command line names it,
    never a config. Raises InputError if it is missing, fails, ends the program or registers nothing.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError(
            f"--plugin {path}: no such file; give the path of a Python file that registers something"
        )
    # Files of one name in two folders are two modules, so that neither replaces the other's rules.
    name = f"dnw_graph_plugin_{file.stem}_{zlib.crc32(str(file.resolve()).encode()):08x}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise InputError(f"--plugin {path}: not a Python file; its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    is_new, before = name not in sys.modules, _registered()
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
        # A file loaded again may leave its rules to a module that is not.
        if is_new and _registered() == before:
            raise InputError(
                f"--plugin {path}: registers nothing; put @register(name) of dnw_graph.wiring on the class "
                "of a rule, for example"
            )
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, InputError) or not isinstance(error, (Exception, SystemExit)):
            raise
        what = "ended the program" if isinstance(error, SystemExit) else "failed"
        raise InputError(
            f"--plugin {path}: running it {what} with {type(error).__name__}: {error}; it must run to its end"
        ) from error


def _registered() -> list[object]:
    """All that is registered; a class that is defined again is another one."""
    entries = [entry for registry in Registry.every for entry in registry.entries.values()]
    return [*registered_rules().values(), *backends(), *entries]
