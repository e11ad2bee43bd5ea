"""Checkpoints: what is written is read back, a crash leaves a good one, damage is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from dnw_graph.errors import InputError
from dnw_graph.runs.checkpoint import (
    VERSION,
    find_checkpoint,
    read_state,
    read_tensors,
    write_checkpoint,
)


def write(directory: Path, step: int) -> None:
    write_checkpoint(directory, {"model": {"weight": torch.full((3,), float(step))}}, {"step": step})


def read(directory: Path) -> tuple[int, float]:
    """(step in state.json, value in the tensors) of the checkpoint meant for a directory."""
    found = find_checkpoint(directory)
    assert found is not None
    state = read_state(found)
    return state["step"], float(read_tensors(found, "model", state)["weight"][0])


def test_tensors_and_state_are_read_back(tmp_path):
    tensors = {
        "half": torch.randn(2, 3).to(torch.bfloat16),
        "ids": torch.tensor([3, 1, 2]),
        "turned": torch.randn(4, 5).t(),
        "scalar": torch.tensor(7),
        "empty": torch.empty(0, dtype=torch.int64),
    }
    write_checkpoint(tmp_path / "last", {"model": tensors}, {"loss": 0.1 + 0.2})
    state = read_state(tmp_path / "last")
    assert state["loss"] == 0.1 + 0.2
    loaded = read_tensors(tmp_path / "last", "model", state)
    assert loaded.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], tensor)


def test_a_new_checkpoint_replaces_the_old_one_and_leaves_nothing_else(tmp_path):
    for step in (1, 2, 3):
        write(tmp_path / "last", step)
    assert read(tmp_path / "last") == (3, 3.0)
    assert [each.name for each in tmp_path.iterdir()] == ["last"]


@pytest.mark.parametrize("operation", ["rename", "mkdir", "open"])
@pytest.mark.parametrize("calls_before", [0, 1])
def test_a_crash_at_any_moment_leaves_a_complete_checkpoint(tmp_path, monkeypatch, operation, calls_before):
    write(tmp_path / "last", 1)
    original, calls = getattr(Path, operation), 0

    def crash(self, *args, **kwargs):
        nonlocal calls
        calls += 1
        if calls > calls_before:
            raise KeyboardInterrupt
        return original(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Path, operation, crash)
        try:
            write(tmp_path / "last", 2)
            crashed = False
        except KeyboardInterrupt:
            crashed = True
    assert read(tmp_path / "last") == ((1, 1.0) if crashed else (2, 2.0))
    write(tmp_path / "last", 3)
    assert read(tmp_path / "last") == (3, 3.0)
    assert [each.name for each in tmp_path.iterdir()] == ["last"]


def test_a_full_disk_is_told_in_a_sentence_and_the_old_checkpoint_stays(tmp_path, monkeypatch):
    write(tmp_path / "last", 1)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("dnw_graph.runs.checkpoint.os.fsync", full)
        with pytest.raises(InputError, match="No space left on device"):
            write(tmp_path / "last", 2)
    assert read(tmp_path / "last") == (1, 1.0)
    assert [each.name for each in tmp_path.iterdir()] == ["last"]


def edit_state(**changes):
    def damage(directory: Path) -> None:
        path = directory / "state.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return damage


def truncate(name: str):
    def damage(directory: Path) -> None:
        path = directory / name
        path.write_bytes(path.read_bytes()[:-5])

    return damage


def flip_a_bit(directory: Path) -> None:
    path = directory / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (truncate("model.safetensors"), "model.safetensors: has 7. bytes instead of"),
        (truncate("state.json"), "state.json: is not valid JSON"),
        (flip_a_bit, "SHA-256"),
        (lambda directory: (directory / "model.safetensors").unlink(), "model.safetensors: is missing"),
        (lambda directory: (directory / "state.json").unlink(), "no checkpoint here"),
        (lambda directory: (directory / "state.json").write_text("[]"), "not a dnw-graph checkpoint"),
        (edit_state(format="other"), "not a dnw-graph checkpoint"),
        (edit_state(version="1"), "lacks version"),
        (edit_state(version=VERSION + 1), f"format version {VERSION + 1} is newer than {VERSION}.*upgrade"),
        (edit_state(files={}), "holds no model.safetensors"),
    ],
)
def test_damage_is_one_sentence_naming_the_file(tmp_path, damage, words):
    write(tmp_path / "last", 1)
    damage(tmp_path / "last")
    with pytest.raises(InputError, match=words) as caught:
        read(tmp_path / "last")
    assert str(tmp_path / "last") in str(caught.value)
    assert "\n" not in str(caught.value)
