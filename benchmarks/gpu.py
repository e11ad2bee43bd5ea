"""Everything that a GPU can tell, in one command: `benchmarks/gpu/command.py` says what.

python benchmarks/gpu.py [--minutes 6] [--tune] [--out DIR]
"""

import sys
from pathlib import Path

# Works in a checkout, with nothing installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.gpu.command import main

if __name__ == "__main__":
    sys.exit(main())
