"""What a run kept of its past: the wiring after every epoch, and the records of metrics.jsonl."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dnw_graph.errors import InputError
from dnw_graph.interchange.archive import Archive
from dnw_graph.interchange.file import MAX_BYTES, read_bytes
from dnw_graph.limits import read_file
from dnw_graph.runs.directory import WIRING_VERSION, RunDirectory

# As `RunDirectory.wiring` writes an epoch: one name for each.
_NAME = re.compile(r"epoch_([0-9]{4}|[1-9][0-9]{4,9})\.npz")
_MOST = 2**53

Wiring = dict[str, npt.NDArray[np.int64]]
"""Selected candidate ids [k] of every stage, ascending: stage_0, …, and head of a wired classifier."""


@dataclass(frozen=True)
class History:
    """The past of one run; nothing but the files' names is read before it is asked for.

    epochs   of the stored wirings, ascending; 0 is the one before the first step
    """

    run: Path
    epochs: tuple[int, ...]

    def wiring(self, epoch: int) -> Wiring:
        """The wiring after `epoch` epochs. Raises InputError if its file is damaged or newer."""
        return read_wiring(RunDirectory(self.run).wiring(epoch))

    def records(self, kind: str) -> list[dict[str, Any]]:
        """The records of one kind, `step` or `epoch`, in order. Raises InputError if the file is missing."""
        path = RunDirectory(self.run).metrics
        return [record for record in read_records(path) if record.get("kind") == kind]


def history_of(run: str | Path) -> History:
    """Which wirings a run directory holds; none in that of a dense network."""
    names = [_NAME.fullmatch(each.name) for each in (Path(run) / "wiring").glob("*.npz")]
    return History(Path(run), tuple(sorted(int(name[1]) for name in names if name)))


def read_wiring(path: Path) -> Wiring:
    """One wiring/epoch_NNNN.npz. Raises InputError if it is missing, damaged, or of a newer version."""
    data = read_bytes(path)
    try:
        archive = Archive(data, "the file", MAX_BYTES)
        arrays = {name: archive.array(name) for name in archive.names}
    except InputError as error:
        raise _damaged(path, str(error)) from None
    version = arrays.pop("format_version", np.array(None))
    if version.shape or version.dtype.kind != "i":
        raise _damaged(path, "it has no format_version")
    if version > WIRING_VERSION:
        newest = f"{WIRING_VERSION}, the newest that this dnw-graph reads"
        raise InputError(f"{path}: format version {version} is newer than {newest}; upgrade dnw-graph")
    for name, ids in arrays.items():
        if ids.ndim != 1 or ids.dtype != np.int64 or (np.diff(ids) <= 0).any() or (ids[:1] < 0).any():
            raise _damaged(path, f"{name} holds no ascending ids")
    return arrays


def read_records(path: Path) -> list[dict[str, Any]]:
    """All records of a metrics.jsonl, in order; a last line that is still being written is left out.

    Raises InputError if the file is missing or damaged.
    """
    try:
        lines = read_file(path, MAX_BYTES).split(b"\n")[:-1]
        records = [json.loads(line) for line in lines]
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); give a run that training wrote"
        ) from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is damaged ({error}); mend or remove the line") from None
    for number, record in enumerate(records, start=1):
        if (why := _wrong(record)) is not None:
            raise InputError(f"{path}: line {number} is damaged ({why}); mend or remove the line")
    return records


def _wrong(record: Any) -> str | None:
    """Why a value is no record of a training; None if it is one."""
    if not isinstance(record, dict):
        return "it is no JSON object"
    if record.get("kind") not in ("step", "epoch"):
        return f"its kind is {record.get('kind')!r:.40}, not step or epoch"
    for name in ("epoch", "step"):
        if type(found := record.get(name)) is not int or not 1 <= found <= _MOST:
            return f"its {name} is {found!r:.40}, not a number from 1"
    for name, value in record.items():
        is_number = type(value) in (int, float) and abs(value) <= _MOST
        if name != "kind" and not is_number:
            return f"{name!r:.40} is {value!r:.40}, not a finite number"
    return None


def _damaged(path: Path, why: str) -> InputError:
    return InputError(f"{path}: is no stored wiring ({why}); remove it, or give another run")
