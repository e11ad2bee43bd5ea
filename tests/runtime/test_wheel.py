"""The wheel of dnw-runtime in an environment that has NumPy and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import pytest

import dnw_graph as dg
from dnw_graph.native import library
from dnw_graph.runtime.document import encoded

ROOT = Path(__file__).parents[2]
SCRIPT = """
import json, sys
import numpy as np
import dnw_runtime
network = dnw_runtime.Network(sys.argv[1], threads=2)
images = np.load(sys.argv[2])
np.save(sys.argv[3], network(images))
try:
    network.predict("a.png")
except dnw_runtime.InputError as error:
    said = str(error)
try:
    dnw_runtime.Network(sys.argv[2])
except dnw_runtime.InputError as error:
    refused = str(error)
loaded = sorted({name.partition(".")[0] for name in sys.modules})
print(json.dumps({"macs": network.macs, "said": said, "refused": refused, "loaded": loaded}))
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(library.reason() is not None, reason="the C kernels are not built: no compiler"),
]


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> Path:
    """The interpreter of a new environment: this NumPy, and the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    build = ["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    # A copy, so that nothing is built beside the sources.
    copied = folder / "copy"
    copied.mkdir()
    for name in ("runtime", "dnw_graph", "LICENSE"):
        subprocess.run(["cp", "-rL", str(ROOT / name), str(copied)], check=True)
    subprocess.run([*pip, *build, str(copied / "runtime")], check=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "env")], check=True)
    python = folder / "env" / "bin" / "python"
    command = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    here, there = Path(sysconfig.get_path("purelib")), Path(done.stdout.strip())
    metadata = Path(str(distribution("numpy").locate_file(""))).glob("numpy-*.dist-info")
    for source in (here / "numpy", here / "numpy.libs", *metadata):
        if source.exists():
            (there / source.name).symlink_to(source)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([*pip, "--python", str(python), "install", "--no-index", str(wheel)], check=True)
    return python


@pytest.mark.parametrize("kind", ["mobilenet", "tiny", "discrete"])
def test_the_wheel_needs_numpy_only_and_gives_the_logits_of_dense(
    kind, python, documents, models, networks, tmp_path
):
    model = models[kind]
    images = networks.images_for(model)
    (tmp_path / "net.dnw").write_bytes(encoded(documents[kind]))
    np.save(tmp_path / "images.npy", images.numpy())
    command = [str(python), "-I", "-c", SCRIPT, "net.dnw", "images.npy", "logits.npy"]
    done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    said = json.loads(done.stdout)
    expected = dg.compile(model, "dense")(images).numpy()
    assert networks.relative(np.load(tmp_path / "logits.npy"), expected) < 2e-5
    assert said["macs"] == dg.count(model).macs
    assert "numpy" in said["loaded"]
    assert not {"torch", "PIL", "dnw_graph", "dgl", "safetensors"} & set(said["loaded"])
    assert said["said"] == "net.dnw: says nothing of preprocessing; call the network with an array"
    assert said["refused"].startswith("images.npy: is no safetensors file, or its end is missing")


def test_the_wheel_has_what_c_programs_need(python, documents, tmp_path):
    (tmp_path / "net.dnw").write_bytes(encoded(documents["tiny"]))

    def said(*arguments: str) -> str:
        command = [str(python), "-I", "-m", "dnw_runtime", *arguments]
        return subprocess.run(
            command, cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout.strip()

    example = ROOT / "runtime" / "examples" / "classify.c"
    linked = [f"-I{said('include')}", said("library"), "-o", str(tmp_path / "classify")]
    subprocess.run(["gcc", str(example), *linked], check=True)
    assert said("plan", "net.dnw", "-o", "net.plan").startswith("net.plan: ")
    image = b"P6 32 32 255\n" + bytes(3 * 32 * 32)
    (tmp_path / "image.ppm").write_bytes(image)
    done = subprocess.run(
        [str(tmp_path / "classify"), "net.plan", "image.ppm"], cwd=tmp_path, check=True, capture_output=True
    )
    assert done.stdout.split()[0] in (b"0", b"1", b"2")


def test_the_version_is_that_of_dnw_graph(python):
    code = "from importlib.metadata import version; print(version('dnw-runtime'))"
    done = subprocess.run([str(python), "-I", "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == dg.__version__


def test_a_source_distribution_has_all_that_a_wheel_is_built_from(tmp_path):
    """In a folder of its own, without dnw_graph beside it."""
    copied = tmp_path / "copy"
    copied.mkdir()
    for name in ("runtime", "dnw_graph", "LICENSE"):
        subprocess.run(["cp", "-rL", str(ROOT / name), str(copied)], check=True)
    sdist = [sys.executable, "setup.py", "--quiet", "sdist", "--dist-dir", str(tmp_path)]
    subprocess.run(sdist, cwd=copied / "runtime", check=True)
    (archive,) = tmp_path.glob("*.tar.gz")
    subprocess.run(["tar", "-xf", str(archive), "-C", str(tmp_path)], check=True)
    (unpacked,) = tmp_path.glob("dnw_runtime-*/")
    build = [sys.executable, "setup.py", "--quiet", "build_py", "--build-lib", str(tmp_path / "built")]
    subprocess.run(build, cwd=unpacked, check=True)
    built = {str(path.relative_to(tmp_path / "built")) for path in (tmp_path / "built").rglob("*.py")}
    assert {"dnw_runtime/runtime/network.py", "dnw_runtime/program/steps.py"} <= built
    assert (unpacked / "dnw_graph/native/source/templates/all.h").is_file()
