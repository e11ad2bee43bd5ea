"""Rules from a user's own file."""

from __future__ import annotations

import importlib.util
import sys
import zlib
from pathlib import Path

from dnw_graph.errors import InputError


def load_plugin(path: str | Path) -> None:
    """Run a Python file that registers rules (`--plugin my_rules.py`).

    The file is code and runs with the user's rights; that is why only the command line names it,
    never a config. Raises InputError if it is missing or fails.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError(
            f"--plugin {path}: no such file; give the path of a Python file that registers a rule"
        )
    # Files of one name in two folders are two modules, so that neither replaces the other's rules.
    name = f"dnw_graph_plugin_{file.stem}_{zlib.crc32(str(file.resolve()).encode()):08x}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise InputError(f"--plugin {path}: not a Python file; its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except InputError:
        raise
    except Exception as error:
        del sys.modules[name]
        raise InputError(
            f"--plugin {path}: running it failed with {type(error).__name__}: {error}"
        ) from error
