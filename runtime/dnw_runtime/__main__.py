"""`python -m dnw_runtime plan net.dnw -o net.plan`, and where header and library are."""

import sys

from dnw_runtime.runtime.command import main

if __name__ == "__main__":
    sys.exit(main())
