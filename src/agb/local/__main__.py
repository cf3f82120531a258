"""``python -m agb.local``: the same as ``agb serve``."""

import sys

from .command import main

if __name__ == "__main__":
    sys.exit(main(prog="python -m agb.local"))
