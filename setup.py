"""The C kernels: built where there is a compiler, left out elsewhere. All else is in pyproject.toml."""

from pathlib import Path

from setuptools import Extension, setup

SOURCE = Path("dnw_graph/native/source")

setup(
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
            extra_link_args=["-pthread"],
            # No compiler, no kernels: the package then works through the other backends.
            optional=True,
        )
    ]
)
