"""Share a run: `dnw-graph push` from a checkout, installed or not."""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    from dnw_graph.commands.main import run_command

    sys.exit(run_command("push", sys.argv[1:]))
