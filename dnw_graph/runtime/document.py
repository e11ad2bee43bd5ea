"""net.dnw: a network in one file. docs/dnw_file.md describes the format.

A safetensors file. Its metadata "dnw" is JSON: the steps of the live part and of the constant part, and what
is known of the network. Its tensors are those of the steps.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dnw_graph.engine.plan_limits import lacks
from dnw_graph.errors import InputError
from dnw_graph.program.program import IMAGES, LOGITS, Program
from dnw_graph.runtime import container
from dnw_graph.runtime.check import CONSTANTS, check
from dnw_graph.runtime.plain import count, mapping, plain, program_of, record, sequence, text
from dnw_graph.runtime.preprocess import Preprocessing

VERSION = 1
"""Of the format; a newer one is refused."""

MAX_FILE_BYTES = 1 << 30
_LIVE, _CONSTANT = "live/", "constant/"


@dataclass(frozen=True)
class Document:
    """What a file says.

    live           images → logits, live channels only, norms folded
    constant       images of zeros → states from which the live part starts; None if there are none
    class_names    one per logit, or None
    preprocessing  as in `dnw_graph.data.preprocessing`, or None
    counts         macs per image, params and others (norms and biases)
    provenance     config, metrics, … where the network comes from, values of JSON
    """

    live: Program
    constant: Program | None = None
    class_names: list[str] | None = None
    preprocessing: dict[str, Any] | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)


def starts(live: Program) -> tuple[str, ...]:
    """The states that the live part has from the constant one."""
    return tuple(step.source for step in live.steps if step.part == CONSTANTS)  # type: ignore[attr-defined]


def encoded(document: Document, precision: str = "float32") -> bytes:
    """A file's bytes, the same for the same document. Raises InputError for numbers that float16 lacks."""
    live, tensors = plain(document.live, _LIVE)
    constant = None
    if document.constant is not None:
        constant, more = plain(document.constant, _CONSTANT)
        tensors |= more
    header = {
        "version": VERSION,
        "precision": precision,
        "image_size": document.live.image_size,
        "live": live,
        "constant": constant,
        "class_names": document.class_names,
        "preprocessing": document.preprocessing,
        "counts": dict(document.counts),
        "provenance": dict(document.provenance),
    }
    stored = {name: _stored(name, values, precision) for name, values in tensors.items()}
    return container.written({"dnw": container.plain_text(header)}, stored)


def _stored(name: str, values: container.Array, precision: str) -> container.Array:
    if values.dtype.kind != "f":
        return values
    with np.errstate(over="ignore"):
        stored = values.astype(precision)
    if not np.isfinite(stored).all() and np.isfinite(values).all():
        raise InputError(
            f"{name}: has numbers up to {abs(values).max():.3g}, more than {precision} holds; use float32"
        )
    return stored


def decoded(data: bytes, where: str) -> Document:
    """What `encoded` wrote. Raises InputError with one sentence for anything else."""
    try:
        return _decoded(data)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    except ValueError as error:
        raise InputError(f"{where}: {error}; the file is damaged or no .dnw file") from None


def read_document(path: str | Path) -> Document:
    """A file's content. Raises InputError if it is missing, too large, damaged or newer."""
    path = Path(path)
    try:
        # Pipes and devices have no end.
        if path.exists() and not path.is_file():
            raise InputError(f"{path}: is no file; give the path of a .dnw file")
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            data = b"" if size > MAX_FILE_BYTES else file.read(size)
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be read ({reason}); give the path of a .dnw file") from None
    if size > MAX_FILE_BYTES:
        raise InputError(f"{path}: is larger than {MAX_FILE_BYTES:,} bytes, the most that is read")
    return decoded(data, str(path))


def _decoded(data: bytes) -> Document:
    metadata, tensors = container.read(data)
    if "dnw" not in metadata:
        raise ValueError('has no metadata "dnw"')
    try:
        header = mapping(container.parsed(metadata["dnw"]))
    except ValueError:
        raise ValueError('has metadata "dnw" that are no object of JSON') from None
    version = count(record(header, "version")["version"])
    if version > VERSION:
        raise InputError(
            f"format version {version} is newer than {VERSION}, the newest that this version reads; upgrade"
        )
    names = ("image_size", "live", "constant", "class_names", "preprocessing", "counts", "provenance")
    header = record(header, *names)
    single = {
        name: values.astype(np.float32) if values.dtype.kind == "f" else values
        for name, values in tensors.items()
    }
    if stray := [name for name in single if not name.startswith((_LIVE, _CONSTANT))]:
        raise ValueError(f"has a tensor {stray[0][:80]!r} that belongs to no part")
    size = count(header["image_size"])
    if not 1 <= size <= 1 << 14:
        raise ValueError(f"has images of {size} pixels a side")
    live = program_of(header["live"], single, _LIVE, size)
    constant = None
    if header["constant"] is not None:
        constant = program_of(header["constant"], single, _CONSTANT, size)
    _check(live, constant)
    described = header["preprocessing"]
    document = Document(
        live,
        constant,
        None if header["class_names"] is None else [text(each) for each in sequence(header["class_names"])],
        None if described is None else mapping(described),
        {name: count_of_any_size(value) for name, value in mapping(header["counts"]).items()},
        mapping(header["provenance"]),
    )
    if described is not None:
        Preprocessing.of(described)
    names_given = document.class_names
    if names_given is not None and len(names_given) != live.channels[LOGITS]:
        raise ValueError(f"has {len(names_given)} class names for {live.channels[LOGITS]} classes")
    return document


def _check(live: Program, constant: Program | None) -> None:
    given = {} if constant is None else check(constant, {}, starts(live))
    for program in [live] if constant is None else [live, constant]:
        if program.channels.get(IMAGES) != live.channels.get(IMAGES):
            raise ValueError("has two parts with other images")
    if not check(live, given, (LOGITS,))[LOGITS][0]:
        raise ValueError("has no classes")
    if (reason := lacks(live)) is not None:
        raise ValueError(f"has {reason}, which the engine lacks")


def count_of_any_size(value: object) -> int:
    if type(value) is not int or not 0 <= value < 1 << 63:
        raise ValueError("has counts that are no counts")
    return value
