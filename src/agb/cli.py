"""The command ``agb``: imports the module of a subcommand and runs it."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module

from ._version import __version__

COMMANDS = {
    "gc": ("agb.gc", "list and delete sessions that were left behind"),
    "quickstart": ("agb.quickstart", "take a session through its whole life, for real, and show each step"),
    "serve": ("agb.local.command", "run the local runtime"),
}
"""Subcommand -> the module whose ``main(arguments, prog)`` runs it and returns the exit code; what it does."""


def main(arguments: list[str] | None = None) -> int:
    """Run ``agb`` with the given arguments (default: the process's) and return the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    if given and given[0] in COMMANDS:
        module, _ = COMMANDS[given[0]]
        return int(import_module(module).main(given[1:], prog=f"agb {given[0]}"))
    return _help(given)


def _help(given: list[str]) -> int:
    """Answer what is not a subcommand: ``--help``, nothing at all (the help again), or a mistake."""
    summary = "\n".join(f"  {name:<12}{what}" for name, (_, what) in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="agb",
        description="AGB cloud sandboxes from the command line.",
        epilog=f"commands:\n{summary}\n\n'agb <command> --help' shows its options.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"agb {__version__}")
    parser.add_argument("command", nargs="?", choices=list(COMMANDS), metavar="command")
    parser.parse_args(given)
    parser.print_help()
    return 0


if __name__ == "__main__":
    sys.exit(main())
