"""Package dnw-runtime: the parts of dnw_graph that need NumPy only, under a name of their own.

Every module is taken from ../dnw_graph when this is built; nothing is kept twice. A source distribution has
them beside this file.
"""

import re
import shutil
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

HERE = Path(__file__).resolve().parent
BESIDE = HERE / "dnw_graph"
ORIGIN = BESIDE if BESIDE.is_dir() else HERE.parent / "dnw_graph"
SOURCE = ORIGIN / "native/source"
MODULES = (
    "errors",
    "data/decode",
    "graph/node_spec",
    *(f"program/{name}" for name in ("activations", "cost", "program", "reference", "steps")),
    *(f"native/{name}" for name in ("library", "status", "structures", "tables")),
    *(f"engine/{path.stem}" for path in sorted((ORIGIN / "engine").glob("*.py"))),
    *(f"runtime/{path.stem}" for path in sorted((ORIGIN / "runtime").glob("*.py"))),
)


class BuildKernels(build_ext):
    """Without the Python's ABI in the library's name."""

    def get_ext_filename(self, fullname):
        return str(Path(*fullname.split("."))) + ".so"


class BuildPackage(build_py):
    """With the modules of dnw_graph, which import each other under their new name."""

    def run(self):
        super().run()
        for name in MODULES:
            text = (ORIGIN / f"{name}.py").read_text(encoding="utf-8")
            target = Path(self._target(name))
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(re.sub(r"\bdnw_graph\b", "dnw_runtime", text), encoding="utf-8")
        header = Path(self._header())
        header.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(SOURCE / "dnw.h", header)

    def get_outputs(self, include_bytecode=1):
        return [*super().get_outputs(include_bytecode), *map(self._target, MODULES), self._header()]

    def _header(self):
        return str(Path(self.build_lib, "dnw_runtime/native/source/dnw.h"))

    def _target(self, name):
        return str(Path(self.build_lib, "dnw_runtime", f"{name}.py"))


class AnyPython(bdist_wheel):
    """Tagged with the platform only."""

    def finalize_options(self):
        super().finalize_options()
        self.root_is_pure = False

    def get_tag(self):
        return ("py3", "none", super().get_tag()[2])


class WithSources(sdist):
    """With what is taken from dnw_graph, and its version."""

    def make_release_tree(self, base_dir, files):
        super().make_release_tree(base_dir, files)
        for path in ["__init__.py", *(f"{name}.py" for name in MODULES)]:
            target = Path(base_dir, "dnw_graph", path)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ORIGIN / path, target)
        shutil.copytree(SOURCE, Path(base_dir, "dnw_graph/native/source"), dirs_exist_ok=True)


def _version():
    return re.search(r'^__version__ = "(.+)"', (ORIGIN / "__init__.py").read_text(), re.MULTILINE)[1]


setup(
    version=_version(),
    cmdclass={
        "build_ext": BuildKernels,
        "build_py": BuildPackage,
        "bdist_wheel": AnyPython,
        "sdist": WithSources,
    },
    ext_modules=[
        Extension(
            "dnw_runtime.native._kernels",
            sources=sorted(str(path) for path in SOURCE.glob("*.c")),
            depends=sorted(str(path) for path in SOURCE.rglob("*.h")),
            extra_compile_args=[
                "-O3",
                "-std=gnu11",
                "-pthread",
                "-ffp-contract=fast",
                "-fvisibility=hidden",
                "-Wno-psabi",
            ],
            extra_link_args=["-pthread", "-lm"],
        )
    ],
)
