"""Print the constraints file for the Python that runs this, or say in one sentence why it cannot be used.

Runs before anything is installed and under any Python 3, old ones included: hence no annotations.
"""

import platform
import sys

SUPPORTED = ((3, 10), (3, 11), (3, 12), (3, 13))


def complaint(version, system):
    """Return why the Makefile cannot use Python (major, minor) on this system; empty if it can."""
    found = ".".join(str(part) for part in version)
    if version < SUPPORTED[0]:
        return f"dnw-graph needs Python 3.10 or newer, not {found}; for example `make PYTHON=python3.11 ...`."
    if version not in SUPPORTED:
        return (
            f"constraints/ has no tested versions for Python {found}; use 3.10 to 3.13, for example "
            "`make PYTHON=python3.11 ...`, or take the newest with `pip install .`."
        )
    if system not in ("Linux", "Darwin"):
        return f"The Makefile is for Linux and macOS; on {system} run `pip install .`."
    return ""


def constraints_file(version):
    """Return the path, relative to the repository, of the pins for (major, minor)."""
    return "constraints/py" + ".".join(str(part) for part in version) + ".txt"


def main():
    version = tuple(sys.version_info[:2])
    problem = complaint(version, platform.system())
    if problem:
        sys.exit(problem)
    print(constraints_file(version))


if __name__ == "__main__":
    main()
