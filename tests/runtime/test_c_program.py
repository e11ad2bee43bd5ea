"""The example in C: it classifies as `Network.predict` does, and refuses spoiled files in a sentence."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dnw_graph.data.preprocessing import describe
from dnw_graph.native import library
from dnw_graph.runtime.command import main
from dnw_graph.runtime.document import encoded
from dnw_graph.runtime.network import Network

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "dnw_graph" / "native" / "source"
EXAMPLE = ROOT / "runtime" / "examples" / "classify.c"
STRICT = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", f"-I{SOURCE}"]

pytestmark = pytest.mark.skipif(
    library.reason() is not None, reason="the C kernels are not built: no compiler"
)


@pytest.fixture(scope="module")
def compiler() -> str:
    found = shutil.which("gcc") or shutil.which("clang")
    assert found is not None, "the example needs a C compiler"
    return found


@pytest.fixture(scope="module")
def folder(documents, tmp_path_factory):
    """net.dnw with names and preprocessing, its plan file, and image.ppm."""
    folder = tmp_path_factory.mktemp("c")
    described = describe(32, (0.4, 0.5, 0.6), (0.2, 0.25, 0.3))
    names = ["Katze", "chien", "ψάρι"]
    document = replace(documents["tiny"], preprocessing=described, class_names=names)
    (folder / "net.dnw").write_bytes(encoded(document))
    assert main(["plan", str(folder / "net.dnw"), "-o", str(folder / "net.plan")]) == 0
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "image.ppm")
    return folder


@pytest.fixture(scope="module")
def program(compiler, folder) -> Path:
    command = [compiler, *STRICT, str(EXAMPLE), library.path(), "-o", str(folder / "classify")]
    subprocess.run(command, check=True)
    return folder / "classify"


def run(program: Path, *arguments: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [str(program), *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | environment, timeout=60
    )


def test_the_example_has_40_lines():
    assert len(EXAMPLE.read_text().splitlines()) <= 40


def test_an_image_is_classified_as_in_python(program, folder):
    network = Network(folder / "net.dnw")
    ((name, _),) = network.predict(folder / "image.ppm", top=1)
    done = run(program, folder / "net.plan", folder / "image.ppm")
    assert (done.returncode, done.stderr) == (0, "")
    number, said, logit = done.stdout.split()
    assert said == name == network.class_names[int(number)]
    pixels = np.asarray(Image.open(folder / "image.ppm")).transpose(2, 0, 1)[None].astype(np.float32)
    mean, std = (np.array(network.preprocessing[each], np.float32)[:, None, None] for each in ("mean", "std"))
    assert float(logit) == pytest.approx(network((pixels / 255 - mean) / std).max(), rel=1e-4)


def test_other_sizes_are_plans_of_their_own(documents, tmp_path, capsys):
    (tmp_path / "net.dnw").write_bytes(encoded(documents["mobilenet"]))
    plan = tmp_path / "net.plan"
    assert main(["plan", str(tmp_path / "net.dnw"), "-o", str(plan), "--size", "20", "31"]) == 0
    assert capsys.readouterr().out == f"{plan}: {plan.stat().st_size:,} bytes\n"
    assert main(["plan", str(tmp_path / "net.dnw"), "-o", str(plan), "--size", "0", "31"]) == 2
    assert capsys.readouterr().err == (
        "dnw_runtime: error: images of 0×31 pixels are none; give another size.\n"
    )
    assert main(["plan", str(tmp_path / "no.dnw"), "-o", str(plan)]) == 2
    assert "no.dnw: cannot be read (No such file or directory)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data[:100], "is no plan file"),
        (lambda data: b"X" + data[1:], "is no plan file"),
        (lambda data: data[:8] + b"\2" + data[9:], "was written by another version of dnw_runtime"),
        (lambda data: data[:-1], "is damaged: its end is missing, or there is more"),
        (lambda data: data + b"x", "is damaged: its end is missing, or there is more"),
        (
            lambda data: data.replace(b"chien", b"chi\0n"),
            "is damaged: its names are not those of its classes",
        ),
        (lambda data: data[:200] + b"\xff" * 64 + data[264:], "is damaged: its plan leads out of its memory"),
    ],
)
def test_a_damaged_plan_is_refused(change, said, program, folder, tmp_path):
    (tmp_path / "net.plan").write_bytes(change((folder / "net.plan").read_bytes()))
    done = run(program, tmp_path / "net.plan", folder / "image.ppm")
    assert done.returncode == 1
    assert done.stderr.startswith(f"{tmp_path / 'net.plan'}: {said}")
    assert run(program, tmp_path / "none.plan", folder / "image.ppm").stderr.endswith("cannot be read\n")


@pytest.mark.slow
def test_spoiled_plans_never_leave_their_memory(compiler, folder, tmp_path):
    """Under sanitizers: they run, or are refused in a sentence."""
    flags = [
        "-g",
        "-O1",
        "-pthread",
        "-fsanitize=address,undefined",
        "-fno-sanitize-recover=all",
        "-Wno-psabi",
    ]
    sources = sorted(map(str, SOURCE.glob("*.c")))
    program = tmp_path / "classify"
    subprocess.run(
        [compiler, "-std=gnu11", *flags, f"-I{SOURCE}", str(EXAMPLE), *sources, "-lm", "-o", str(program)],
        check=True,
    )
    good, numbers, seen = (folder / "net.plan").read_bytes(), random.Random(0), {0: 0, 1: 0}
    for _ in range(300):
        changed = bytearray(good)
        # Most of the bytes are weights, whose values are nobody's business.
        for _ in range(numbers.choice([1, 1, 2, 5])):
            at = numbers.randrange(numbers.choice([128, 3000, len(good)]))
            changed[at] = numbers.choice([0, 1, 255, changed[at] ^ 1 << numbers.randrange(8)])
        (tmp_path / "net.plan").write_bytes(changed)
        done = run(
            program, tmp_path / "net.plan", folder / "image.ppm", ASAN_OPTIONS="exitcode=99:detect_leaks=0"
        )
        assert done.returncode in (0, 1), done.stderr[-2000:]
        assert done.stderr.count("\n") == done.returncode
        seen[done.returncode] += 1
    assert min(seen.values()) > 20
