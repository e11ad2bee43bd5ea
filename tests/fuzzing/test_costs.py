"""A file costs its reader memory in proportion to its size, and no more calls than that."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FREE = 8 << 20
TIMES = {
    "configuration": 16,
    "state": 40,
    "tensors": 40,
    "records": 60,
    "stored_wiring": 8,
    "array_in_a_wiring": 8,
    "graph_npz": 8,
    "attributes_in_an_npz": 60,
    "graphml": 16,
    "node_link": 40,
    "csv_edges": 40,
    "csv_nodes": 40,
    "csv_attributes": 40,
    "official_2019": 8,
    "official_today": 8,
    "pickle_in_an_official_file": 100,
    "idx": 8,
    "idx_gz": 8,
    "cifar10": 24,
    "cifar100": 24,
    "image": 16,
}
"""Bytes of memory for a byte of a costly file, beyond FREE; docs/reliability.md says so."""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc here")
def test_reading_costs_what_the_size_of_a_file_allows():
    words = [sys.executable, HERE / "costs.py", "8000", "1000000"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parents[1])}
    done = subprocess.run(list(map(str, words)), env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report.keys() == TIMES.keys()
    too_much = {
        name: memory for name, (_, _, size, memory) in report.items() if memory > FREE + TIMES[name] * size
    }
    assert not too_much, report
    not_in_proportion = {
        name: (few, many) for name, (few, many, _, _) in report.items() if many > 5 * few + 1000
    }
    assert not not_in_proportion
