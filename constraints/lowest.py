"""Print, as constraints for pip, the lowest version that pyproject.toml allows of each package.

    python constraints/lowest.py dist/dnw_graph-0.1.0-py3-none-linux_x86_64.whl > lowest.txt

Reads the wheel's metadata with the `packaging` that lies in pip, so that nothing need be installed.
"""

import sys
import zipfile
from email.parser import Parser
from pathlib import PurePosixPath

from pip._vendor.packaging.requirements import Requirement

EXTRAS = ("", "figures", "tensorboard")


def lowest(requirements):
    """Lines NAME==VERSION of those that count for this Python and system; others have no bound below."""
    found = {}
    for text in requirements:
        requirement = Requirement(text)
        if requirement.marker and not any(requirement.marker.evaluate({"extra": extra}) for extra in EXTRAS):
            continue
        for specifier in requirement.specifier:
            if specifier.operator == ">=":
                found[requirement.name] = specifier.version
    return [f"{name}=={version}" for name, version in sorted(found.items())]


def main():
    with zipfile.ZipFile(sys.argv[1]) as wheel:
        (metadata,) = (name for name in wheel.namelist() if PurePosixPath(name).name == "METADATA")
        requirements = Parser().parsestr(wheel.read(metadata).decode()).get_all("Requires-Dist")
    print("\n".join(lowest(requirements)))


if __name__ == "__main__":
    main()
