"""Print the constraints file for the Python that runs this, or say in one sentence why it cannot be used.

Runs before anything is installed and under any Python 3, old ones included: hence no annotations.
"""

import platform
import sys

SUPPORTED = ((3, 10), (3, 11), (3, 12))


def complaint(version, system, machine):
    """Return why DGL has no wheel for (major, minor) on this system and machine; empty if it has one."""
    if system != "Linux" or machine not in ("x86_64", "AMD64"):
        return (
            f"DGL has no wheel for {system} on {machine}; use Linux on x86-64, "
            "there with `make PYTHON=python3.11 ...`."
        )
    if version not in SUPPORTED:
        found = ".".join(str(part) for part in version)
        return (
            f"DGL has no wheel for Python {found}; use 3.10, 3.11 or 3.12, "
            "for example `make PYTHON=python3.11 ...`."
        )
    return ""


def constraints_file(version):
    """Return the path, relative to the repository, of the pins for (major, minor)."""
    return "constraints/py" + ".".join(str(part) for part in version) + ".txt"


def main():
    version = tuple(sys.version_info[:2])
    problem = complaint(version, platform.system(), platform.machine())
    if problem:
        sys.exit(problem)
    print(constraints_file(version))


if __name__ == "__main__":
    main()
