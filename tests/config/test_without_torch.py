"""Configurations are read, checked and written where there is no torch; each case in a fresh interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = """
import sys
sys.modules["torch"] = None  # an import of it fails
import dnw_graph as dg
import dnw_graph.errors
from dnw_graph.config import to_yaml
try:
    print(to_yaml(dg.load_config("configs/digits/tiny_static_dnw.yaml", {overrides!r})))
except dg.errors.InputError as error:
    print(error)
"""


def read(*overrides: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", CODE.format(overrides=list(overrides))]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("overrides", "found"),
    [
        ((), "name: cosine"),
        (("optimizer.name=adamw", "optimizer.momentum=null"), "name: adamw"),
        (
            ("optimizer.name=adamw", "optimizer.momentum=null", "optimizer.options={amsgrad: true}"),
            "options:\n    amsgrad: true",
        ),
        (("model.network=tiny_statik",), "is no known network; did you mean tiny_static (--plugin FILE adds"),
        (("data.dataset=digit",), "is no known data set; did you mean digits (--plugin FILE adds"),
        (("optimizer.name=adamv",), "is no known optimiser; did you mean adam (--plugin FILE adds"),
        (("schedule.name=multi",), "is no known schedule; did you mean multistep (--plugin FILE adds"),
    ],
)
def test_names_are_checked_and_nothing_needs_torch(overrides: tuple[str, ...], found: str) -> None:
    assert found in read(*overrides)
