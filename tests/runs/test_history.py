"""What a run kept of its past is read back, and damaged files are refused in one sentence."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
import torch

from dnw_graph.errors import InputError
from dnw_graph.runs.directory import RunDirectory
from dnw_graph.runs.history import history_of, read_records, read_wiring
from dnw_graph.runs.journal import Journal

STEP = {"kind": "step", "epoch": 1, "step": 10, "swaps": 2}
EPOCH = {"kind": "epoch", "epoch": 1, "step": 22, "swaps": 2, "test_top1": 0.5}


@pytest.fixture
def run(tmp_path):
    run = RunDirectory(tmp_path)
    for epoch, ids in ((0, [0, 3, 7]), (2, [1, 3, 7]), (10, [1, 2, 7])):
        run.save_wiring(epoch, {"stage_0": torch.tensor(ids), "head": torch.tensor([5])})
    run.metrics.write_text("".join(json.dumps(each) + "\n" for each in (STEP, EPOCH)) + '{"kind": "st')
    return run


def test_stored_wirings_are_found_in_order(run):
    history = history_of(run.path)
    assert history.epochs == (0, 2, 10)
    found = history.wiring(2)
    assert {name: ids.tolist() for name, ids in found.items()} == {"stage_0": [1, 3, 7], "head": [5]}


def test_a_run_without_wirings_has_no_epochs(tmp_path):
    assert history_of(tmp_path / "nowhere").epochs == ()


def test_records_are_split_by_kind_and_a_line_in_progress_is_left_out(run):
    history = history_of(run.path)
    assert history.records("step") == [STEP]
    assert history.records("epoch") == [EPOCH]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"stage_0": np.arange(3)}, "it has no format_version"),
        ({"format_version": np.int64(9)}, "format version 9 is newer than 1"),
        ({"format_version": np.int64(1), "stage_0": np.array([2, 1])}, "stage_0 holds no ascending ids"),
        ({"format_version": np.int64(1), "stage_0": np.array([-1, 1])}, "stage_0 holds no ascending ids"),
        ({"format_version": np.int64(1), "stage_0": np.array([0.5])}, "stage_0 holds no ascending ids"),
    ],
)
def test_what_is_no_wiring_is_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "epoch_0001.npz", **arrays)
    with pytest.raises(InputError, match=message):
        read_wiring(tmp_path / "epoch_0001.npz")


def test_damaged_and_missing_files_are_refused(tmp_path):
    (tmp_path / "epoch_0001.npz").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(InputError, match=r"epoch_0001.npz: is no stored wiring"):
        read_wiring(tmp_path / "epoch_0001.npz")
    with pytest.raises(InputError, match=r"epoch_0002.npz: cannot be read"):
        read_wiring(tmp_path / "epoch_0002.npz")
    with pytest.raises(InputError, match=r"metrics.jsonl: cannot be read"):
        read_records(tmp_path / "metrics.jsonl")
    (tmp_path / "metrics.jsonl").write_text("{]\n")
    with pytest.raises(InputError, match=r"metrics.jsonl: is damaged"):
        read_records(tmp_path / "metrics.jsonl")
    (tmp_path / "metrics.jsonl").write_text("[]\n")
    with pytest.raises(InputError, match=r"line 1 is damaged .it is no JSON object"):
        read_records(tmp_path / "metrics.jsonl")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"step": None}, "its step is None, not a number from 1"),
        ({"step": 0}, "its step is 0"),
        ({"epoch": -5}, "its epoch is -5"),
        ({"epoch": True}, "its epoch is True"),
        ({"step": 10**4000}, "its step is 1000"),
        ({"swaps": "x"}, "'swaps' is 'x', not a finite number"),
        ({"test_top1": None}, "'test_top1' is None"),
        ({"lr": float("nan")}, "'lr' is nan"),
        ({"lr": float("inf")}, "'lr' is inf"),
        ({"kind": "\ud800"}, "its kind is"),
        ({"kind": ["step"]}, "its kind is"),
    ],
)
def test_records_that_no_training_wrote_are_refused(tmp_path, changes, why):
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in (STEP, EPOCH | changes)))
    with pytest.raises(InputError, match=r"metrics.jsonl: line 2 is damaged") as caught:
        read_records(path)
    assert why in str(caught.value)
    assert len(str(caught.value)) < 300
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "name", ["epoch_99999999999999999999", "epoch_1", "epoch_00001", "epoch_٣٣٣٣", "epoch_-001"]
)
def test_other_names_are_no_stored_wirings(run, name):
    run.wiring(0).rename(run.wiring(0).with_name(f"{name}.npz"))
    assert history_of(run.path).epochs == (2, 10)


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_records_from_a_pipe_or_device_are_refused_and_nobody_waits_for_them(tmp_path, make):
    make(tmp_path / "metrics.jsonl")
    with pytest.raises(InputError, match=r"metrics.jsonl: cannot be read \(it is a pipe or device"):
        read_records(tmp_path / "metrics.jsonl")
    with pytest.raises(InputError, match=r"metrics.jsonl: cannot be written \(it is a pipe or device"):
        Journal(tmp_path / "metrics.jsonl", None)


def test_a_position_beyond_every_file_costs_nothing(tmp_path):
    """A checkpoint of a stranger may say so."""
    (tmp_path / "metrics.jsonl").write_text('{"kind": "step"}\n')
    with Journal(tmp_path / "metrics.jsonl", None, position=2**63) as journal:
        assert "records are missing" in str(journal.notice)
