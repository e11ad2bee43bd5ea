"""What pyproject.toml cannot say: the C kernels, the configurations inside of the package, links of its page.

The kernels are built where there is a compiler and left out elsewhere. They are no Python module but a plain
library, opened by ctypes: one wheel per platform serves every Python 3.
"""

import re
import shutil
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py
from setuptools.command.egg_info import egg_info

SOURCE = Path("dnw_graph/native/source")
CONFIGS = Path("configs")


class BuildKernels(build_ext):
    """Without the Python's ABI in the library's name."""

    def get_ext_filename(self, fullname):
        return str(Path(*fullname.split("."))) + ".so"


class BuildPackage(build_py):
    """With a copy of configs/; in an editable installation the folder itself is used."""

    def run(self):
        super().run()
        if not self.editable_mode:
            for source, target in self._configs().items():
                Path(target).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)

    def get_outputs(self, include_bytecode=1):
        return super().get_outputs(include_bytecode) + list(self._configs().values())

    def get_source_files(self):
        return super().get_source_files() + list(self._configs())

    def _configs(self):
        place = Path(self.build_lib, "dnw_graph")
        return {str(path): str(place / path) for path in sorted(CONFIGS.glob("*/*.yaml"))}


class PackagePage(egg_info):
    """The README as a package index shows it, where a relative link leads nowhere."""

    def run(self):
        metadata = self.distribution.metadata
        repository = (metadata.project_urls or {}).get("Repository", "").rstrip("/")

        def link(found):
            image, text, target = found.groups()
            if re.match(r"[a-z]+:|#", target):
                return found[0]
            if repository:
                return f"{image}[{text}]({repository}/{'raw' if image else 'blob'}/HEAD/{target})"
            return text if image or text == target else f"{text} ({target})"

        metadata.long_description = re.sub(r"(!?)\[([^][]*)\]\(([^()\s]+)\)", link, metadata.long_description)
        super().run()


class AnyPython(bdist_wheel):
    """Tagged with the platform only."""

    def finalize_options(self):
        super().finalize_options()
        self.root_is_pure = False

    def get_tag(self):
        return ("py3", "none", super().get_tag()[2])


setup(
    cmdclass={
        "build_ext": BuildKernels,
        "build_py": BuildPackage,
        "bdist_wheel": AnyPython,
        "egg_info": PackagePage,
    },
    ext_modules=[
        Extension(
            "dnw_graph.native._kernels",
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
            # No compiler, no kernels: the package then works through the other backends.
            optional=True,
        )
    ],
)
