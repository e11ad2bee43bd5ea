"""Checkpoints: a directory of safetensors files and one JSON file; no pickle.

    last/  model.safetensors  optimizer.safetensors  [ema.safetensors]  state.json  state.json.sha256
    last.1/  the one before, last.2/ the one before that, … as many as are kept

state.json names the format and its version, and size and SHA-256 of the tensors' files; its own is beside it,
as sha256sum writes it. A checkpoint is written beside its place, synced to the disk and renamed: at any
moment one is complete, `last`, or between two renames `last.1`.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from dnw_graph.errors import InputError
from dnw_graph.limits import read_file
from dnw_graph.runs.state import DamagedError, check_state, damaged, parse_state

FORMAT = "dnw-graph checkpoint"
VERSION = 2
"""1 had no checksum of state.json."""

_MOST_STATE = 256 << 20
"""Bytes of state.json: 30,000 for every process, and the names of classes."""

# What the system says where a file is not what was written; other refusals, as of permissions, pass.
_OF_DAMAGE = (errno.EIO, errno.EISDIR, errno.ELOOP, errno.ENOTDIR, errno.ENXIO, errno.EFBIG)


def write_checkpoint(
    directory: Path, groups: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any], keep: int = 0
) -> None:
    """Write a checkpoint to `directory`; the one that is there becomes `NAME.1` once the new one is complete.

    groups  {"model": {name: tensor}, …}: one safetensors file each
    state   JSON-able; "format", "version" and "files" are added
    keep    how many of those before stay
    Raises InputError when the disk refuses; what was there before stays.
    """
    new = _beside(directory)
    try:
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        files = {
            f"{name}.safetensors": _write(new / f"{name}.safetensors", _pack(tensors))
            for name, tensors in groups.items()
        }
        header = {"format": FORMAT, "version": VERSION, "files": files}
        text = json.dumps(header | dict(state), allow_nan=False).encode()
        _write(new / "state.json", text)
        _write(new / "state.json.sha256", _digest_of(text))
        _sync(new)
        _make_room(directory)
        new.rename(directory)
        _sync(directory.parent)
        for old in find_checkpoints(directory)[1 + keep :]:
            shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        shutil.rmtree(new, ignore_errors=True)
        raise InputError(
            f"{directory}: the checkpoint cannot be written ({error.strerror or error}); make room or choose "
            "another --run-dir, then go on with --resume auto."
        ) from error


def find_checkpoints(directory: Path) -> list[Path]:
    """The checkpoints meant for `directory`, the newest first; none of them has been looked into."""
    numbered = [
        (int(each.suffix[1:]), each)
        for each in directory.parent.glob(f"{directory.name}.*")
        if each.suffix[1:].isdecimal() and each.stem == directory.name
    ]
    # `.previous` is where dnw-graph left one between two renames before it kept any.
    places = [directory, *(each for _, each in sorted(numbered)), _numbered(directory, "previous")]
    return [place for place in places if place.is_dir()]


def find_checkpoint(directory: Path) -> Path | None:
    """Where the checkpoint meant for `directory` lies: there, or where a crash during renaming left it."""
    return next(iter(find_checkpoints(directory)), None)


def check_files(directory: Path) -> None:
    """Raise InputError unless every file of a checkpoint is what was written."""
    state = read_state(directory)
    for name in state["files"]:
        _read(directory, name, state)


def set_aside(directory: Path) -> None:
    """Take a damaged checkpoint out of the row of those to go on from; `NAME.damaged` is for inspection."""
    aside = _numbered(directory, "damaged")
    shutil.rmtree(aside, ignore_errors=True)
    directory.rename(aside)


def remove_leftovers(directory: Path) -> None:
    """Remove what a crash left beside a checkpoint that is complete."""
    shutil.rmtree(_beside(directory), ignore_errors=True)
    if directory.is_dir():
        shutil.rmtree(_numbered(directory, "previous"), ignore_errors=True)


def read_state(directory: Path) -> dict[str, Any]:
    """state.json. Raises InputError if it is missing, damaged, of another kind or of a newer version."""
    path = directory / "state.json"
    try:
        text = read_file(path, _MOST_STATE)
    except FileNotFoundError:
        raise DamagedError(
            f"{directory}: no checkpoint here (state.json is missing); give a directory that has one."
        ) from None
    except OSError as error:
        raise _unreadable(path, error) from None
    state = parse_state(text, path)
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise DamagedError(
            f'{path}: is not a dnw-graph checkpoint ("format" is not "{FORMAT}"); give another path.'
        )
    version = state.get("version")
    if type(version) is not int:
        raise damaged(path, "lacks version")
    known = _known_digest(directory)
    differs = known not in (None, _digest_of(text))
    if version > VERSION:
        # Where the SHA-256 tells of damage, the version is not believed either.
        raise (DamagedError if differs else InputError)(
            f"{path}: format version {version} is newer than {VERSION}, the newest this dnw-graph reads; "
            "upgrade dnw-graph."
        )
    if differs:
        raise damaged(path, "is not what was written (its SHA-256 differs)")
    if known is None and version == VERSION:
        raise damaged(path.with_name("state.json.sha256"), "is missing")
    check_state(text, path)
    return state


def read_tensors(directory: Path, group: str, state: Mapping[str, Any]) -> dict[str, Tensor]:
    """One group of tensors, on the CPU; `state` is the checkpoint's. Raises InputError if it is damaged."""
    name = f"{group}.safetensors"
    if name not in state["files"]:
        raise InputError(f"{directory}: this checkpoint holds no {name}; give one that training wrote.")
    data = _read(directory, name, state)
    try:
        return safetensors.torch.load(data)
    except SafetensorError as error:
        raise damaged(directory / name, f"is no safetensors file ({error})") from None


def _digest_of(text: bytes) -> bytes:
    """The content of state.json.sha256; `sha256sum --check` reads it."""
    return f"{hashlib.sha256(text).hexdigest()}  state.json\n".encode()


def _known_digest(directory: Path) -> bytes | None:
    try:
        return read_file(directory / "state.json.sha256", 1 << 10)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(directory / "state.json.sha256", error) from None


def _unreadable(path: Path, error: OSError) -> InputError:
    if error.errno in _OF_DAMAGE:
        return damaged(path, f"cannot be read ({error.strerror})")
    return InputError(f"{path}: cannot be read ({error.strerror}); check its permissions.")


def _read(directory: Path, name: str, state: Mapping[str, Any]) -> bytes:
    """A file of a checkpoint, compared with what state.json says of it."""
    path, expected = directory / name, state["files"][name]
    try:
        size = path.stat().st_size
        if size != expected["bytes"]:
            raise damaged(path, f"has {size} bytes instead of {expected['bytes']}")
        data = read_file(path, size)
    except FileNotFoundError:
        raise damaged(path, "is missing") from None
    except OSError as error:
        raise _unreadable(path, error) from None
    if hashlib.sha256(data).hexdigest() != expected["sha256"]:
        raise damaged(path, "is not what was written (its SHA-256 differs)")
    return data


def _make_room(directory: Path) -> None:
    """`last` → `last.1` → `last.2` …, as far as the row goes without a gap."""
    if not directory.exists():
        return
    free = 1
    while _numbered(directory, free).exists():
        free += 1
    for number in range(free, 1, -1):
        _numbered(directory, number - 1).rename(_numbered(directory, number))
    directory.rename(_numbered(directory, 1))


def _pack(tensors: Mapping[str, Tensor]) -> bytes:
    return safetensors.torch.save({name: each.detach().cpu().contiguous() for name, each in tensors.items()})


def _write(path: Path, data: bytes) -> dict[str, Any]:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _beside(directory: Path) -> Path:
    return directory.with_name(f".{directory.name}.new")


def _numbered(directory: Path, number: int | str) -> Path:
    return directory.with_name(f"{directory.name}.{number}")
