"""Checkpoints: what is written is read back, a crash leaves a good one, damage is named."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
import torch

from dnw_graph.errors import InputError
from dnw_graph.runs.checkpoint import (
    VERSION,
    _digest_of,
    check_files,
    find_checkpoint,
    find_checkpoints,
    read_state,
    read_tensors,
    write_checkpoint,
)
from dnw_graph.runs.state import DamagedError


def write(directory: Path, step: int, keep: int = 0) -> None:
    tensors = {"weight": torch.full((3,), float(step))}
    write_checkpoint(directory, {"model": tensors}, {"step": step}, keep)


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
        (directory / "state.json.sha256").write_bytes(_digest_of(path.read_bytes()))

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


def test_no_changed_byte_of_a_checkpoint_is_believed(tmp_path):
    """Any bit of any file turned over: refused as damaged; nothing else is ever read out of it."""
    write(tmp_path / "last", 1)
    for path in sorted((tmp_path / "last").iterdir()):
        whole = path.read_bytes()
        for place in range(len(whole)):
            changed = bytearray(whole)
            changed[place] ^= 1 << place % 8
            path.write_bytes(changed)
            with pytest.raises(DamagedError):
                check_files(tmp_path / "last")
        path.write_bytes(whole)
    check_files(tmp_path / "last")


def test_a_checkpoint_without_its_checksum_is_read_if_it_is_of_the_version_that_had_none(tmp_path):
    write(tmp_path / "last", 1)
    (tmp_path / "last/state.json.sha256").unlink()
    with pytest.raises(DamagedError, match=r"state.json.sha256: is missing"):
        read(tmp_path / "last")
    edit_state(version=1)(tmp_path / "last")
    (tmp_path / "last/state.json.sha256").unlink()
    assert read(tmp_path / "last") == (1, 1.0)


@pytest.mark.parametrize("keep", [0, 1, 3])
def test_so_many_checkpoints_are_kept_in_order(tmp_path, keep):
    for step in range(1, 7):
        write(tmp_path / "last", step, keep)
    found = find_checkpoints(tmp_path / "last")
    assert [each.name for each in found] == ["last", *(f"last.{number}" for number in range(1, keep + 1))]
    assert [read_state(each)["step"] for each in found] == [6 - number for number in range(keep + 1)]
    write(tmp_path / "last", 7)
    assert [each.name for each in tmp_path.iterdir()] == ["last"]


@pytest.mark.parametrize("calls_before", range(4))
def test_a_crash_between_two_renames_leaves_the_newest_whole_one_first(tmp_path, monkeypatch, calls_before):
    for step in (1, 2, 3):
        write(tmp_path / "last", step, keep=2)
    original, calls = Path.rename, 0

    def crash(self, target):
        nonlocal calls
        calls += 1
        if calls > calls_before:
            raise KeyboardInterrupt
        return original(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", crash)
        with pytest.raises(KeyboardInterrupt):
            write(tmp_path / "last", 4, keep=2)
    steps = [read_state(each)["step"] for each in find_checkpoints(tmp_path / "last")]
    assert steps == [3, 2, 1]
    write(tmp_path / "last", 5, keep=2)
    assert [read_state(each)["step"] for each in find_checkpoints(tmp_path / "last")][:2] == [5, 3]


ODD = {
    "pipe": os.mkfifo,
    "folder": Path.mkdir,
    "link to itself": lambda path: path.symlink_to(path.name),
    "device without end": lambda path: path.symlink_to("/dev/zero"),
    "terabytes": lambda path: (path.touch(), os.truncate(path, 1 << 41)),
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("name", ["state.json", "state.json.sha256", "model.safetensors"])
def test_what_is_no_file_of_that_size_is_damage_and_nobody_waits_for_it(tmp_path, name, odd):
    write(tmp_path / "last", 1)
    (tmp_path / "last" / name).unlink()
    ODD[odd](tmp_path / "last" / name)
    with pytest.raises(DamagedError, match=rf"{name}: (cannot be read|has \d+ bytes instead)"):
        check_files(tmp_path / "last")


def test_a_file_without_permission_is_no_damage(tmp_path, monkeypatch):
    """It may be whole: `--resume auto` must not set it aside."""
    write(tmp_path / "last", 1)

    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("dnw_graph.runs.checkpoint.read_file", refuse)
    with pytest.raises(InputError, match=r"\(Permission denied\); check its permissions") as caught:
        check_files(tmp_path / "last")
    assert not isinstance(caught.value, DamagedError)


def test_files_outside_of_the_checkpoint_are_not_read(tmp_path):
    write(tmp_path / "last", 1)
    edit_state(files={"../model.safetensors": {"bytes": 0, "sha256": ""}})(tmp_path / "last")
    with pytest.raises(DamagedError, match=r"files.*is wrong"):
        check_files(tmp_path / "last")


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"step": 1' + "0" * 400 + "}", '{"step": 1e999}', '{"step": NaN}', '{"a": "\udce9"}'],
)
def test_json_that_no_checkpoint_has_is_damage(tmp_path, text):
    write(tmp_path / "last", 1)
    (tmp_path / "last/state.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(DamagedError):
        read_state(tmp_path / "last")
