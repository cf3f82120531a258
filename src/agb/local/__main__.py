"""``python -m agb.local``: the same as ``agb serve``; ``--child`` serves the program that started it."""

import sys

if __name__ == "__main__":
    if sys.argv[1:] == ["--child"]:
        from .command import serve_child

        sys.exit(serve_child())
    from ..cli import main

    sys.exit(main(["serve", *sys.argv[1:]]))
