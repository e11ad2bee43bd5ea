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
    assert all(check["complaint"](version, "Linux", "x86_64") == "" for version in check["SUPPORTED"])


def test_this_python_gets_its_constraints() -> None:
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, check=True)
    assert (REPOSITORY / done.stdout.strip()).is_file()


@pytest.mark.parametrize("version", [(3, 9), (3, 13)])
def test_python_without_a_wheel_gets_one_sentence(check: dict[str, Any], version: tuple[int, int]) -> None:
    sentence = check["complaint"](version, "Linux", "x86_64")
    assert sentence.startswith(
        f"DGL has no wheel for Python {version[0]}.{version[1]}; use 3.10, 3.11 or 3.12"
    )
    assert "make PYTHON=python3.11" in sentence


@pytest.mark.parametrize(
    ("system", "machine"), [("Darwin", "arm64"), ("Linux", "aarch64"), ("Windows", "AMD64")]
)
def test_machine_without_a_wheel_gets_one_sentence(check: dict[str, Any], system: str, machine: str) -> None:
    sentence = check["complaint"]((3, 11), system, machine)
    assert sentence.startswith(f"DGL has no wheel for {system} on {machine}; use Linux on x86-64")
    assert "make PYTHON=python3.11" in sentence
