"""How much of a run's wiring is new after each epoch.

    python benchmarks/wiring_change.py RUN [RUN …]

Net change: edges in the wiring at the end of an epoch that were not in it at the end of the one before.
The "swaps" of metrics.jsonl count every entry at every step; an edge that comes back counts again there.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np


def net_changes(run: Path) -> list[int]:
    """New edges per epoch, summed over stages."""
    files = sorted((run / "wiring").glob("epoch_*.npz"))
    if not files:
        raise SystemExit(f"{run}: has no wiring/epoch_*.npz; give the run directory of a wired network")
    wirings = [np.load(file) for file in files]
    stages = [name for name in wirings[0].files if name != "format_version"]
    return [
        sum(len(np.setdiff1d(after[name], before[name], assume_unique=True)) for name in stages)
        for before, after in pairwise(wirings)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    for run in parser.parse_args().runs:
        print(f"{run}: {', '.join(f'{change:,}' for change in net_changes(run))}")


if __name__ == "__main__":
    main()
