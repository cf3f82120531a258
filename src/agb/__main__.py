"""``python -m agb``: the same as the command ``agb``."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
