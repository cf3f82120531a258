"""``python -m agb.local``: the same as ``agb serve``; ``--child`` serves the program that started it.

``--shared-child`` serves all programs that hold the other end of its standard input.
"""

import sys

if __name__ == "__main__":
    if sys.argv[1:] in (["--child"], ["--shared-child"]):
        from .command import serve_child

        sys.exit(serve_child(is_shared=sys.argv[1] == "--shared-child"))
    from ..cli import main

    sys.exit(main(["serve", *sys.argv[1:]]))
