"""What commands print: one JSON object, or text for a person; tables, errors, and questions before deleting.

Text from the service and from sessions (labels, names, messages) may hold escape sequences of terminals, so it is
printed with control characters replaced. The output of the user's own code and commands is passed on as it is.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from .parser import Shared

if TYPE_CHECKING:
    from rich.console import Console

DONE, FAILED, USAGE, REFUSED, NOT_FOUND, UNREACHABLE, TIMED_OUT = 0, 1, 2, 3, 4, 5, 6
"""Exit codes; 1 is an error of this program, or something that was only done in part."""
INTERRUPTED = 130
_NARROWEST = 16
"""Characters that the last column of a table needs at least, unless its text is shorter."""


class CommandFailed(Exception):
    """A command cannot go on, for a reason that is no error of the service; ``code`` is the exit code."""

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code


def clean(text: object) -> str:
    """Return a text with control characters replaced by their escapes, so that it cannot control the terminal."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in str(text)
    )


class Output:
    """Where a command prints, and in which form."""

    def __init__(self, shared: Shared) -> None:
        self.shared = shared

    @property
    def is_json(self) -> bool:
        """Whether the command prints one JSON object."""
        return self.shared.json

    def data(self, value: Any) -> None:
        """Print the result of a command as JSON."""
        click.echo(json.dumps({"ok": True, "data": value}, ensure_ascii=False))

    def value(self, value: Mapping[str, Any], key: str) -> None:
        """Print the one property of a thing that a script wants; all of them as JSON."""
        if self.shared.json:
            self.data(dict(value))
        else:
            click.echo(clean(value[key]))

    def note(self, text: str) -> None:
        """Print a line about what happens to stderr; nothing with ``--json`` or ``--quiet``."""
        if not (self.shared.json or self.shared.quiet):
            click.echo(text, err=True)

    def values(self, values: Sequence[Mapping[str, Any]], columns: Sequence[str], empty: str, key: str = "id") -> None:
        """Print a list: as JSON, with ``--quiet`` the ``key`` of each, otherwise as a table of these columns."""
        if self.shared.json:
            self.data(list(values))
        elif self.shared.quiet:
            for value in values:
                click.echo(clean(value[key]))
        elif values:
            table([name.upper().replace("_", " ") for name in columns], [[cell(v[c]) for c in columns] for v in values])
        else:
            click.echo(empty, err=True)

    def record(self, value: Mapping[str, Any], key: str | None = None) -> None:
        """Print one thing: as JSON, with ``--quiet`` its ``key``, otherwise a line for each property."""
        if self.shared.json:
            self.data(dict(value))
        elif self.shared.quiet and key is not None:
            click.echo(clean(value[key]))
        else:
            lines({name.replace("_", " "): cell(entry) for name, entry in value.items()})


def cell(value: Any) -> str:
    """Return a value as a cell of a table."""
    if value is None or value in ("", {}, []):
        return "-"
    if isinstance(value, Mapping):
        return clean(" ".join(f"{key}={entry}" for key, entry in value.items()))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return clean(", ".join(map(str, value)))
    return clean(value)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: whole and plain in a pipe, otherwise fitted to the width of the terminal.

    The last column is folded. In a terminal that is too narrow for the others, each row becomes a block of lines.
    """
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    if not is_terminal():
        for row in (header, *rows):
            click.echo("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
        return
    from rich.table import Table
    from rich.text import Text

    screen = console()
    left = screen.width - sum(width + 2 for width in widths[:-1])
    if left < min(widths[-1], _NARROWEST):
        for number, row in enumerate(rows):
            click.echo("\n" if number else "", nl=False)
            lines(dict(zip(header, row, strict=True)))
        return
    drawn = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for number, name in enumerate(header, 1):
        drawn.add_column(name, no_wrap=number < len(header), overflow="fold")
    for row in rows:
        drawn.add_row(*map(Text, row))
    screen.print(drawn)


def lines(value: Mapping[str, str]) -> None:
    """Print a line for each property of a thing."""
    width = max(map(len, value))
    for name, text in value.items():
        click.echo(f"{name:<{width}}  {text}".rstrip())


def console(*, stderr: bool = False) -> Console:
    """Return a console of rich; it obeys NO_COLOR."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False)


def is_terminal() -> bool:
    """Return whether stdout is a terminal that a person reads."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something is deleted; without a terminal ``--yes`` is needed.

    Raises:
        CommandFailed: there is no terminal to ask at, or the answer is no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise CommandFailed(f"{question} There is no terminal to ask at: --yes says so", USAGE)
    if not click.confirm(question, err=True):
        raise CommandFailed("nothing was deleted", DONE)
