"""Whatever bytes a reader of strangers' files is given, there is a value or one sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).parent
NAMES = [
    *("configuration", "state", "tensors", "records", "stored_wiring", "array_in_a_wiring"),
    *(
        "graph_npz",
        "attributes_in_an_npz",
        "graphml",
        "node_link",
        "csv_edges",
        "csv_nodes",
        "csv_attributes",
    ),
    *(
        "official_2019",
        "official_today",
        "pickle_in_an_official_file",
        "idx",
        "idx_gz",
        "cifar10",
        "cifar100",
        "image",
    ),
]
SECONDS, SECONDS_OF_ALL = 2, 60


@pytest.fixture(scope="module")
def readers(load_module) -> ModuleType:
    return load_module(HERE / "readers.py")


@pytest.fixture(scope="module")
def driver(load_module) -> ModuleType:
    return load_module(HERE / "driver.py")


def test_every_reader_is_run_and_every_case_belongs_to_one(readers):
    assert list(readers.READERS) == NAMES
    assert {path.name for path in (HERE / "corpus").iterdir()} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_no_bytes_surprise_a_reader(readers, driver, tmp_path, name):
    """Its seeds are read, what was found once is refused or read, and a short search finds nothing."""
    (tmp_path / "files").mkdir()
    seeds, read = readers.READERS[name](tmp_path / "files")
    read(seeds[0])
    for data in driver.kept(name):
        driver.check(read, data)
    driver.by_hypothesis(read, seeds, SECONDS, tmp_path / "found")


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_no_bytes_surprise_a_reader_in_a_longer_search(tmp_path, name):
    """By atheris where it is installed; what it finds is kept in tmp_path/found."""
    words = [sys.executable, HERE / "driver.py", name, SECONDS_OF_ALL, tmp_path / "search"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parents[1])}
    done = subprocess.run(list(map(str, words)), env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
