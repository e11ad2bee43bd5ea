"""What state.json of a checkpoint holds, and the sentence for one that holds something else.

Only what is there is looked at: a field may be missing, as in checkpoints of earlier versions.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dnw_graph.config.complaint import show
from dnw_graph.errors import InputError

Count = Annotated[int, Field(ge=0, lt=2**63)]
FileName = Annotated[str, Field(pattern=r"^[a-z_]+\.safetensors$")]
Word = Annotated[int, Field(ge=0, lt=2**32)]
Sums = Annotated[list[float], Field(min_length=3, max_length=3)]


@dataclass
class Position:
    """Where a run stands.

    epoch  epochs finished;  step  optimiser steps of all epochs
    swaps           edges that entered in this epoch, up to the last record
    seconds         of training in this epoch;  window_seconds  the same since the last record
    """

    __pydantic_config__ = ConfigDict(strict=True, allow_inf_nan=False, extra="forbid")

    epoch: Count = 0
    step_in_epoch: Count = 0
    step: Count = 0
    swaps: Count = 0
    seconds: float = 0.0
    window_seconds: float = 0.0
    best_top1: float = -1.0
    best_epoch: Count = 0


class _Fields(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class _File(_Fields):
    bytes: Count
    sha256: str


class _Plugin(_Fields):
    file: str
    sha256: str


class _Part(_Fields):
    params: Count
    macs: Count


class _Published(_Fields):
    params: Count
    macs: Count | None
    stem: _Part | None
    stages: list[_Part] | None
    head: _Part | None
    wiring_crc32: int


class _ImportedStage(_Fields):
    kept: Count
    usable: Count


class _Metadata(_Fields):
    width: Annotated[float, Field(gt=0)] | None = None
    class_names: list[str] | None = None
    preprocessing: dict[str, Any] | None = None
    published: _Published | None = None
    official: dict[str, _ImportedStage] | None = None


class _Wiring(_Fields):
    budgets: dict[str, Count]
    metadata: _Metadata


class _Optimizer(_Fields):
    values: dict[str, Any]
    groups: list[dict[str, Any]]
    on_host: list[str]


class _Learner(_Fields):
    scaler: dict[str, Any]
    averaged_steps: Count
    swaps: Count
    optimizer: _Optimizer | None = None


class _Python(_Fields):
    version: Literal[3]
    words: Annotated[list[Word], Field(min_length=625, max_length=625)]
    gauss: float | None


class _Numpy(_Fields):
    name: Literal["MT19937"]
    keys: Annotated[list[Word], Field(min_length=624, max_length=624)]
    position: Annotated[int, Field(ge=0, le=624)]
    has_gauss: Literal[0, 1]
    cached: float


class _Random(_Fields):
    python: _Python
    numpy: _Numpy
    torch: str
    cuda: str | None = None


class _Rank(_Fields):
    random: _Random
    window: Sums
    epoch: Sums


class _Images(_Fields):
    images: Count
    fingerprint: str


class _Data(_Fields):
    train: _Images
    validation: _Images | None = None
    test: _Images | None = None


class _State(_Fields):
    files: dict[FileName, _File]
    config: dict[str, Any] = {}
    plugins: list[_Plugin] = []
    evaluated: Literal["model", "ema"] = "model"
    best_by: Literal["validation"] | None = None
    class_names: list[str] | None = None
    preprocessing: dict[str, Any] | None = None
    data: _Data | None = None
    position: Position = Position()
    metrics_bytes: Count = 0
    wiring: _Wiring | None = None
    learner: _Learner | None = None
    ranks: Annotated[list[_Rank], Field(min_length=1)] | None = None


def parse_state(text: bytes, path: Path) -> Any:
    """The value that JSON stands for. Raises InputError, also for numbers that no 64 bits hold."""
    try:
        return json.loads(text, parse_int=_integer, parse_float=_finite, parse_constant=_finite)
    except RecursionError:
        raise damaged(path, "is nested too deep") from None
    except ValueError:
        raise damaged(path, "is not valid JSON") from None


def check_state(text: bytes, path: Path) -> None:
    """Raise InputError, naming the first field of state.json that cannot be right."""
    try:
        _State.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        if first["type"] == "missing":
            raise damaged(path, f"lacks {field}") from None
        expected = first["msg"][0].lower() + first["msg"][1:]
        raise damaged(path, f"{field} {show(first['input'])} is wrong ({expected})") from None


class DamagedError(InputError):
    """A checkpoint is not what was written; one written before it may be."""


def damaged(path: Path, what: str) -> DamagedError:
    """The error for a file of a checkpoint that was not written so."""
    return DamagedError(
        f"{path}: {what}; the checkpoint is damaged, use another one (--resume auto takes the one before)."
    )


def _integer(text: str) -> int:
    # The length first: the time to read digits grows with its square.
    if len(text) > 20 or not -(2**63) <= (value := int(text)) < 2**64:
        raise ValueError("a number beyond 64 bits")
    return value


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError("a number that is not finite")
    return value
