"""The check that runs before anything is installed."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[1]
SCRIPT = REPOSITORY / "constraints" / "check_python.py"


@pytest.fixture(scope="module")
def check() -> dict[str, Any]:
    return runpy.run_path(str(SCRIPT))


def test_every_supported_python_has_its_constraints(check: dict[str, Any]) -> None:
    files = {check["constraints_file"](version) for version in check["SUPPORTED"]}
    assert files == {f"constraints/{file.name}" for file in SCRIPT.parent.glob("py*.txt")}
    assert all(
        check["complaint"](version, system) == ""
        for version in check["SUPPORTED"]
        for system in ("Linux", "Darwin")
    )


def test_this_python_gets_its_constraints() -> None:
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, check=True)
    assert (REPOSITORY / done.stdout.strip()).is_file()


@pytest.mark.parametrize(
    ("version", "sentence"),
    [
        ((3, 9), "dnw-graph needs Python 3.10 or newer, not 3.9; "),
        ((3, 14), "constraints/ has no tested versions for Python 3.14; use 3.10 to 3.13, "),
    ],
)
def test_other_python_gets_one_sentence(
    check: dict[str, Any], version: tuple[int, int], sentence: str
) -> None:
    told = check["complaint"](version, "Linux")
    assert told.startswith(sentence)
    assert "make PYTHON=python3.11" in told


def test_other_system_gets_one_sentence(check: dict[str, Any]) -> None:
    assert check["complaint"]((3, 11), "Windows") == (
        "The Makefile is for Linux and macOS; on Windows run `pip install .`."
    )
