"""The C code gives the stored results for the stored inputs, on this processor and on an emulated arm64."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "dnw_graph" / "native" / "source"
STORED = Path(__file__).with_name("cases.bin")
# Misaligned, overflowing or otherwise undefined: the program stops there.
CHECKED = ["-O1", "-fsanitize=undefined", "-fno-sanitize-recover=all"]
HERE = ("gcc", [])
ARM64 = pytest.param(("aarch64-linux-gnu-gcc", ["qemu-aarch64"]), marks=pytest.mark.needs_arm64)


@pytest.fixture(scope="module")
def record_cases(load_module):
    return load_module(Path(__file__).with_name("record_cases.py"))


def test_stored_are_the_inputs_and_results_of_the_reference(record_cases):
    stored, at = STORED.read_bytes(), 0
    for case in record_cases.cases():
        for made in case:
            size = int(np.frombuffer(stored, np.int64, 1, at)[0])
            assert size == made.nbytes, "write them anew: python tests/native/record_cases.py"
            found = np.frombuffer(stored, made.dtype, made.size, at + 8).reshape(made.shape)
            if made.dtype == np.float32:
                np.testing.assert_allclose(found, made, rtol=1e-5, atol=1e-5)
            else:
                assert (found == made).all(), "write them anew: python tests/native/record_cases.py"
            at += 8 + size + -size % 8
    assert at == len(stored)


def replay(machine: tuple[str, list[str]], flags: list[str], folder: Path) -> list[str]:
    """The command that replays cases, built for a machine."""
    compiler, emulator = machine
    assert shutil.which(compiler) is not None, f"the tests of other builds need {compiler}"
    built = folder / "replay"
    sources = [Path(__file__).with_name("replay.c"), *sorted(SOURCE.glob("*.c"))]
    # An emulated program finds no shared libraries of its machine.
    static = ["-static"] if emulator else []
    flags = [*flags, *static, "-std=gnu11", "-pthread", "-Wall", "-Wextra", "-Werror", "-Wno-psabi"]
    files = [f"-I{SOURCE}", *map(str, sources), "-lm", "-o", str(built)]
    subprocess.run([compiler, *flags, *files], check=True)
    return [*emulator, str(built)]


@pytest.fixture
def changed(tmp_path):
    """The stored cases with another last result, a logit, before the padding of the file's 9 last floats."""
    data = bytearray(STORED.read_bytes())
    data[-8:-4] = np.float32(9).tobytes()
    path = tmp_path / "changed.bin"
    path.write_bytes(data)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("flags", [["-O3", "-ffp-contract=fast"], CHECKED], ids=["fast", "checked"])
@pytest.mark.parametrize("machine", [HERE, ARM64], ids=["here", "arm64"])
def test_stored_results_are_found_and_others_told(machine, flags, changed, tmp_path):
    command = replay(machine, flags, tmp_path)
    for instructions in ("", "portable"):
        done = subprocess.run([*command, str(STORED), instructions], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.endswith(", 0 failures\n")
        done = subprocess.run([*command, str(changed), instructions], capture_output=True, text=True)
        assert done.returncode == 1
        assert ": logits[8] is " in done.stdout
