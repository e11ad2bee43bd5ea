"""Reading checkpoint files of the 2019 trainer without running anything that they hold.

Every global that the pickle names is compared with a list before anything is loaded, and what is loaded costs
no more than the file: storages are uncompressed, tensors lie within them.
"""

from __future__ import annotations

import io
import pickletools
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dnw_graph.errors import InputError

_TENSORS = {"collections.OrderedDict", "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter"}
_STORAGES = {
    f"torch.{kind}Storage"
    for kind in ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")
}
# Of the trainer's meters and numpy's scalars, whose values are not used; numpy 2 renamed their module.
_INERT = {
    "train.ScalarMeter",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "numpy.dtype",
    "_codecs.encode",
}
_FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
# Files from before 1.6: two numbers, a description of the machine, the content, the storages' names.
_PICKLES_OF_OLD_FILES = 5


# Each may make an object of 70 bytes.
_MOST_OPCODES = 1_000_000


class _Inert:
    """Stands for what is not a tensor; keeps nothing of it."""

    def __init__(self, *_: Any) -> None:
        pass

    def __setstate__(self, _: Any) -> None:
        pass


def read_official_file(path: str | Path) -> dict[str, Tensor]:
    """The model's state dictionary of an official checkpoint, on the CPU.

    Only tensors, plain containers, and placeholders for numpy's scalars and the trainer's meters are
    admitted; any other global in the file is refused by name.
    Raises InputError if the file is missing, broken or holds anything else, or weights that are not finite.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError(f"{path}: no such file; give a checkpoint of the 2019 trainer")
    try:
        data = file.read_bytes()
        refused = next((name for name in _globals(data) if name not in _TENSORS | _STORAGES | _INERT), None)
        content = None if refused is not None else _load(data)
    # A broken pickle can raise anything; torch's own text recommends loading it unsafely.
    except Exception as error:
        raise InputError(
            f"{path}: is broken or of another format; give an unchanged checkpoint of the 2019 trainer"
        ) from error
    if refused is not None:
        why = "which that program never wrote" if refused.startswith("torch.") else "which could run code"
        raise InputError(f"{path}: holds {refused}, {why}; give an unchanged checkpoint of the 2019 trainer")
    state = content.get("model", content) if isinstance(content, dict) else None
    if not isinstance(state, dict):
        raise InputError(f"{path}: holds no state dictionary; a checkpoint with the key 'model' is wanted")
    check_tensors(state, str(path))
    return state


def check_tensors(state: Mapping[str, Any], where: str) -> None:
    """Raise InputError, naming `where`, for a tensor that is no plain array of finite numbers."""
    for name, value in state.items():
        if isinstance(value, Tensor) and (why := _odd(str(name), value)) is not None:
            raise InputError(f"{where}: {name!r:.80} {why}; give an unchanged checkpoint of the 2019 trainer")


def _odd(name: str, value: Tensor) -> str | None:
    """What is wrong with a tensor for a network of the 2019 program; None: nothing."""
    wanted = (torch.int64,) if name.endswith("num_batches_tracked") else _FLOATS
    if value.is_nested or value.layout != torch.strided or value.device.type != "cpu" or value.is_quantized:
        return "is no plain tensor"
    if value.dtype not in wanted:
        return f"is of {str(value.dtype).removeprefix('torch.')}, not {str(wanted[0]).removeprefix('torch.')}"
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():
        return "claims more numbers than the file holds"
    if value.is_floating_point() and not bool(torch.isfinite(value).all()):
        return "is not finite"
    return None


def _load(data: bytes) -> Any:
    admitted: list[Any] = [(_Inert, name) for name in _INERT]
    with torch.serialization.safe_globals(admitted), warnings.catch_warnings():
        # About pickle protocols; what matters is whether the file can be read.
        warnings.simplefilter("ignore")
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)


def _globals(data: bytes) -> Iterator[str]:
    """module.name of every global that the pickles name. Raises ValueError for what is no such file."""
    if not zipfile.is_zipfile(io.BytesIO(data)):
        stream = io.BytesIO(data)
        for _ in range(_PICKLES_OF_OLD_FILES):
            yield from _named(stream)
        return
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise ValueError("torch stores without compression")
        for entry in entries:
            if entry.filename.endswith(".pkl"):
                yield from _named(io.BytesIO(archive.read(entry)))


def _named(stream: io.BytesIO) -> Iterator[str]:
    for number, (code, argument, _) in enumerate(pickletools.genops(stream)):
        if number >= _MOST_OPCODES:
            raise ValueError("a checkpoint of a thousand tensors has some 30,000 pickled pieces")
        if code.name in ("STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4"):
            raise ValueError(f"torch writes no {code.name}")
        if code.name == "GLOBAL":
            yield str(argument).replace(" ", ".", 1)
