"""Checkpoints: a directory of safetensors files and one JSON file; no pickle.

    last/  model.safetensors  optimizer.safetensors  [ema.safetensors]  state.json

state.json names the format and its version, and size and SHA-256 of every other file. A checkpoint is written
beside its place, synced to the disk and renamed, so that after a crash at any moment there is a complete one:
`last`, or between two renames `last.previous`.
"""

from __future__ import annotations

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
from dnw_graph.runs.state import check_state, damaged

FORMAT = "dnw-graph checkpoint"
VERSION = 1


def write_checkpoint(
    directory: Path, groups: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any]
) -> None:
    """Write a checkpoint to `directory`, replacing the one that is there once the new one is complete.

    groups  {"model": {name: tensor}, …}: one safetensors file each
    state   JSON-able; "format", "version" and "files" are added
    Raises InputError when the disk refuses; what was there before stays.
    """
    new, previous = directory.with_name(f".{directory.name}.new"), _previous(directory)
    try:
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        files = {
            f"{name}.safetensors": _write(new / f"{name}.safetensors", _pack(tensors))
            for name, tensors in groups.items()
        }
        header = {"format": FORMAT, "version": VERSION, "files": files}
        _write(new / "state.json", json.dumps(header | dict(state), allow_nan=False).encode())
        _sync(new)
        if directory.exists():
            shutil.rmtree(previous, ignore_errors=True)
            directory.rename(previous)
        new.rename(directory)
        _sync(directory.parent)
        shutil.rmtree(previous, ignore_errors=True)
    except OSError as error:
        shutil.rmtree(new, ignore_errors=True)
        raise InputError(
            f"{directory}: the checkpoint cannot be written ({error.strerror or error}); make room or choose "
            "another --run-dir, then go on with --resume auto."
        ) from error


def find_checkpoint(directory: Path) -> Path | None:
    """Where the checkpoint meant for `directory` lies: there, or where a crash during renaming left it."""
    return next((place for place in (directory, _previous(directory)) if place.is_dir()), None)


def read_state(directory: Path) -> dict[str, Any]:
    """state.json. Raises InputError if it is missing, damaged, of another kind or of a newer version."""
    path = directory / "state.json"
    try:
        text = path.read_bytes()
        state = json.loads(text)
    except FileNotFoundError:
        raise InputError(
            f"{directory}: no checkpoint here (state.json is missing); give a directory that has one."
        ) from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its permissions.") from None
    except ValueError:
        raise damaged(path, "is not valid JSON") from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise InputError(
            f'{path}: is not a dnw-graph checkpoint ("format" is not "{FORMAT}"); give another path.'
        )
    version = state.get("version")
    if not isinstance(version, int):
        raise damaged(path, "lacks version")
    if version > VERSION:
        raise InputError(
            f"{path}: format version {version} is newer than {VERSION}, the newest this dnw-graph reads; "
            "upgrade dnw-graph."
        )
    check_state(text, path)
    return state


def read_tensors(directory: Path, group: str, state: Mapping[str, Any]) -> dict[str, Tensor]:
    """One group of tensors, on the CPU; `state` is the checkpoint's. Raises InputError if it is damaged."""
    name = f"{group}.safetensors"
    path = directory / name
    expected = state["files"].get(name)
    if not isinstance(expected, dict):
        raise InputError(f"{directory}: this checkpoint holds no {name}; give one that training wrote.")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise damaged(path, "is missing") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its permissions.") from None
    if len(data) != expected.get("bytes"):
        raise damaged(path, f"has {len(data)} bytes instead of {expected.get('bytes')}")
    if hashlib.sha256(data).hexdigest() != expected.get("sha256"):
        raise damaged(path, "is not what was written (its SHA-256 differs)")
    try:
        return safetensors.torch.load(data)
    except SafetensorError as error:
        raise damaged(path, f"is no safetensors file ({error})") from None


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


def _previous(directory: Path) -> Path:
    return directory.with_name(f"{directory.name}.previous")
