"""Reading checkpoint files of the 2019 trainer without running anything that they hold."""

from __future__ import annotations

import codecs
import re
import warnings
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dnw_graph.errors import InputError


class _Meter:
    """Inert stand-in for the trainer's own `train.ScalarMeter`."""


def read_official_file(path: str | Path) -> dict[str, Tensor]:
    """The model's state dictionary of an official checkpoint, on the CPU.

    Only tensors, plain containers, numpy scalars and a placeholder for the trainer's meters are
    admitted; any other global in the file is refused by name.
    Raises InputError if the file is missing, broken or holds anything else.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError(f"{path}: no such file; give a checkpoint of the 2019 trainer")
    # What numpy calls when it unpickles one of its scalars; its module was renamed in numpy 2.
    scalar = np.float64(0).__reduce__()[0]
    admitted: list[Any] = [
        (_Meter, "train.ScalarMeter"),
        (scalar, "numpy.core.multiarray.scalar"),
        (scalar, "numpy._core.multiarray.scalar"),
        (np.dtype, "numpy.dtype"),
        (codecs.encode, "_codecs.encode"),
        type(np.dtype(np.float64)),
        type(np.dtype(np.float32)),
    ]
    try:
        with torch.serialization.safe_globals(admitted), warnings.catch_warnings():
            # About pickle protocols; what matters is whether the file can be read.
            warnings.simplefilter("ignore")
            content = torch.load(file, map_location="cpu", weights_only=True)
    except (
        UnpicklingError,
        RuntimeError,
        OSError,
        EOFError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
    ) as error:
        # torch's own text recommends loading it unsafely.
        refused = re.search(r"GLOBAL ([\w.]+)", str(error))
        what = f"holds {refused[1]}, which could run code" if refused else "is broken or of another format"
        raise InputError(f"{path}: {what}; give an unchanged checkpoint of the 2019 trainer") from error
    state = content.get("model", content) if isinstance(content, dict) else None
    if not isinstance(state, dict):
        raise InputError(f"{path}: holds no state dictionary; a checkpoint with the key 'model' is wanted")
    return state
