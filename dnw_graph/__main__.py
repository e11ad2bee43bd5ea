"""`python -m dnw_graph` is `dnw-graph`."""

import sys

from dnw_graph.commands.main import main

if __name__ == "__main__":
    sys.exit(main())
