"""The grammar of the command line: commands that are loaded when they are used, and the options that all of them have.

A group knows the names of its commands, a summary of each, and where each is defined; so ``agb --help`` and completion
of names import none of them, and ``agb ls`` imports one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any, NamedTuple

import click

BROKEN_PIPE = 141
"""The exit code of a command whose output is not read any more."""

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhd]?)")


class Shared:
    """The values of the options that every command has; a plain class, since ``--help`` needs attrs nowhere else."""

    json: bool = False
    quiet: bool = False
    verbose: int = 0
    endpoint: str | None = None
    api_key: str | None = None
    profile: str | None = None
    timeout: float | None = None


# --- types of values --------------------------------------------------------------------------------------------------


class Duration(click.ParamType[float]):
    """A time above zero: ``90``, ``500ms``, ``90s``, ``15m``, ``2h``, ``1d``; the value is in seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the seconds."""
        found = _DURATION.fullmatch(value) if isinstance(value, str) else None
        if found is None or not float(found[1]):
            self.fail(f"{value!r} is not a time above zero, such as 90s, 15m, 2h or 1d", param, ctx)
        return float(found[1]) * _UNITS[found[2] or "s"]


class Label(click.ParamType["tuple[str, str]"]):
    """A label, ``key=value``; the value is the pair."""

    name = "key=value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Return key and value."""
        key, sign, text = str(value).partition("=")
        if not sign or not key.strip():
            self.fail(f"{value!r} is not a label: key=value", param, ctx)
        return key, text


DURATION = Duration()
LABEL = Label()


def label_option(text: str) -> Callable[[Any], Any]:
    """Return the decorator of the option ``--label``, which may be given more than once."""
    return click.option("--label", "-l", "labels", type=LABEL, multiple=True, metavar="KEY=VALUE", help=text)


# --- options of all commands ------------------------------------------------------------------------------------------


def _store(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    # An option may stand before the command, behind it, or in both places: the last one that was given applies.
    shared = ctx.find_root().ensure_object(Shared)
    if value not in (None, False, 0):
        setattr(shared, str(param.name), value)


def _shared_options() -> list[click.Option]:
    def option(*names: str, **rest: Any) -> click.Option:
        return click.Option(names, expose_value=False, callback=_store, **rest)

    return [
        option("--json", is_flag=True, help="Print one JSON object: {ok, data} or {ok, error}."),
        option("--endpoint", metavar="URL", help="The service; default: AGB_ENDPOINT, .env, the profile, the cloud."),
        option("--api-key", metavar="KEY", help="The key; default: AGB_API_KEY, .env, the profile."),
        option("--profile", metavar="NAME", help="The profile of 'agb config'; default: AGB_PROFILE, else 'default'."),
        option("--timeout", type=DURATION, metavar="TIME", help="For each call of the service: 90s, 15m."),
        option("--quiet", "-q", is_flag=True, help="Print ids and values only."),
        option("--verbose", "-v", count=True, help="Log the calls of the service to stderr."),
    ]


@contextmanager
def broken_pipe() -> Iterator[None]:
    """Raise the exit of a command in place of a broken pipe, for which click would end the process with 1."""
    try:
        yield
    except BrokenPipeError:
        raise click.exceptions.Exit(BROKEN_PIPE) from None


class _Helped(click.Command):
    """A command whose help has the shared options in a section of their own, and examples at its end."""

    examples: Sequence[str] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("context_settings", {"help_option_names": ["-h", "--help"]})
        super().__init__(*args, **kwargs)
        self._shared = _shared_options()
        self.params += self._shared

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a reader of its output that has left ends it as SIGPIPE does (click would return 1)."""
        with broken_pipe():
            return super().invoke(ctx)

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Read the arguments, which prints the help if they ask for it; likewise."""
        with broken_pipe():
            return super().make_context(info_name, args, parent, **extra)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the command's own options, then the shared ones."""
        records = {True: list[tuple[str, str]](), False: list[tuple[str, str]]()}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and isinstance(param, click.Option):
                records[param in self._shared].append(record)
        for title, is_shared in (("Options", False), ("Options of all commands", True)):
            if records[is_shared]:
                with formatter.section(title):
                    formatter.write_dl(records[is_shared])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, as they are."""
        del ctx
        if self.examples:
            with formatter.section("Examples"):
                for line in self.examples:
                    formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


class Command(_Helped):
    """A command."""


def command(
    *examples: str, cls: type[Command] = Command, context_settings: Mapping[str, Any] | None = None
) -> Callable[[Callable[..., int | None]], Command]:
    """Return the decorator that makes a command of a function, whose docstring is the help."""
    settings = {"help_option_names": ["-h", "--help"], **(context_settings or {})}

    def decorate(function: Callable[..., int | None]) -> Command:
        made = click.command(cls=cls, context_settings=settings)(function)
        made.examples = examples
        return made

    return decorate


class Entry(NamedTuple):
    """A command of a group: the module and name of it, and one line about it."""

    module: str
    attribute: str
    summary: str
    hidden: bool = False


class Group(_Helped, click.Group):
    """A group whose commands are imported when they are used."""

    def __init__(self, name: str, entries: Mapping[str, Entry], text: str, examples: Sequence[str] = ()) -> None:
        super().__init__(name=name, help=text, no_args_is_help=False, invoke_without_command=True)
        self.callback = self._without_command
        self.examples = examples
        self._entries = entries

    def _without_command(self) -> int | None:
        ctx = click.get_current_context()
        if ctx.invoked_subcommand is None:
            click.echo(ctx.get_help())
        return None

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names that are shown."""
        del ctx
        return [name for name, entry in self._entries.items() if not entry.hidden]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command; None if there is none of that name."""
        del ctx
        entry = self._entries.get(cmd_name)
        if entry is None:
            return None
        found = getattr(import_module(entry.module, __package__), entry.attribute)
        assert isinstance(found, click.Command)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the arguments name; a wrong name is an error with the closest right ones."""
        if args and args[0] not in self._entries and not args[0].startswith("-"):
            from difflib import get_close_matches

            close = get_close_matches(args[0], self._entries)
            hint = f"; did you mean {' or '.join(close)}?" if close else f"; there are {', '.join(self._entries)}"
            ctx.fail(f"there is no command {args[0]!r}{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands from the table, without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, e.summary) for name, e in self._entries.items() if not e.hidden])

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, then the options."""
        self.format_commands(ctx, formatter)
        super().format_options(ctx, formatter)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """Return the names that complete what was typed, with their summaries; nothing is imported."""
        from click.shell_completion import CompletionItem

        if incomplete and not incomplete[0].isalnum():
            return super().shell_complete(ctx, incomplete)
        return [
            CompletionItem(name, help=entry.summary)
            for name, entry in self._entries.items()
            if name.startswith(incomplete) and not entry.hidden
        ]
