"""The command ``agb`` as a whole: the table of its commands, and what its errors look like from outside."""

from __future__ import annotations

import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Final

import click

from .._version import __version__
from . import output
from .parser import BROKEN_PIPE, Entry, Group, Shared

_SESSION: Final = {
    "ls": Entry(".sessions", "ls", "list sessions"),
    "create": Entry(".sessions", "create", "create a session and print its id"),
    "info": Entry(".sessions", "info", "show a session: state, image, age, labels, page"),
    "labels": Entry(".sessions", "labels", "show or change the labels of a session"),
    "link": Entry(".sessions", "link", "print a URL that leads to a port of a session"),
    "keep-alive": Entry(".sessions", "keep_alive", "start the idle time of sessions afresh"),
    "stats": Entry(".sessions", "stats", "show processor, memory and disk use"),
    "rm": Entry(".sessions", "rm", "delete sessions"),
}
_CONTEXT: Final = {
    "ls": Entry(".contexts", "ls", "list contexts"),
    "create": Entry(".contexts", "create", "create a context and print its id"),
    "rm": Entry(".contexts", "rm", "delete contexts with all their data"),
    "ls-files": Entry(".contexts", "ls_files", "list the files of a context"),
    "put": Entry(".contexts", "put", "store a file or a directory in a context"),
    "get": Entry(".contexts", "get", "copy a file or a folder of a context to this machine"),
    "sync": Entry(".contexts", "sync", "copy between a session and its contexts now"),
}
_EXTENSION: Final = {
    "ls": Entry(".extensions", "ls", "list the browser extensions of a context"),
    "add": Entry(".extensions", "add", "store browser extensions (.zip) in a context"),
    "rm": Entry(".extensions", "rm", "delete browser extensions"),
}
_CONFIG: Final = {
    "show": Entry(".config", "show", "show the settings in use and where they come from"),
    "ls": Entry(".config", "ls", "list the profiles"),
    "set": Entry(".config", "set_", "store endpoint and key in a profile"),
    "rm": Entry(".config", "rm", "delete a profile"),
}

session = Group("session", _SESSION, "Look at sessions, and create, change and delete them.", ("agb session ls",))
context = Group("context", _CONTEXT, "Work with contexts: data that outlives sessions.", ("agb context ls",))
extension = Group(
    "extension", _EXTENSION, "Work with browser extensions, which are stored in a context.", ("agb extension ls",)
)
config = Group("config", _CONFIG, "Store endpoint and key of the service, by profile.", ("agb config show",))

_COMMANDS: Final = {
    "run": Entry(".run", "run", "run code in a session"),
    "exec": Entry(".execute", "execute", "run a command in a session"),
    "shell": Entry(".shell", "shell", "open an interactive shell in a session"),
    "cp": Entry(".copy", "copy", "copy files between this machine and a session"),
    "logs": Entry(".execute", "logs", "list the processes of a session, or print the output of one"),
    "ls": _SESSION["ls"],
    "rm": _SESSION["rm"],
    "session": Entry(".app", "session", "list, create, change and delete sessions"),
    "context": Entry(".app", "context", "work with data that outlives sessions"),
    "extension": Entry(".app", "extension", "work with browser extensions"),
    "open": Entry(".sessions", "open_", "open a session's page in the browser"),
    "browser": Entry(".sessions", "browser", "start a session's browser and print its DevTools address"),
    "images": Entry(".images", "images", "list images and what each can do"),
    "gc": Entry(".gc", "gc", "list and delete sessions that were left behind"),
    "serve": Entry(".serve", "serve", "run the local runtime"),
    "mcp": Entry(".mcp", "mcp", "serve sessions to agents over the Model Context Protocol"),
    "quickstart": Entry(".quickstart", "quickstart", "take a session through its whole life and show each step"),
    "doctor": Entry(".doctor", "doctor", "check this machine, the settings and the service"),
    "config": Entry(".app", "config", "store endpoint and key by profile"),
    "completion": Entry(".completion", "completion", "print the completion script of a shell"),
}


def _print_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    del param
    if value:
        click.echo(f"agb {__version__}")
        ctx.exit()


root = Group(
    "agb",
    _COMMANDS,
    "AGB cloud sandboxes from the command line.\n\n'agb COMMAND --help' explains a command.",
    ("agb run -c 'print(6 * 7)'", "agb ls --label project=demo", "agb exec SESSION -- uname -a"),
)
root.params.append(
    click.Option(
        ["--version"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        help="Print the version.",
        callback=_print_version,
    )
)


def run(arguments: list[str]) -> int:
    """Run the command line and return the exit code; each error becomes one line, and a code of its kind."""
    shared = Shared()
    with (
        Path(os.devnull).open("w", encoding="utf-8") as nowhere,
        redirect_stdout(sys.stdout or nowhere),  # None if the caller has closed it, as with >&-
        redirect_stderr(sys.stderr or nowhere),
    ):
        try:
            code = root.main(
                arguments, prog_name="agb", standalone_mode=False, obj=shared, complete_var="_AGB_COMPLETE"
            )
            sys.stdout.flush()
        except SystemExit as ended:  # completion ends so
            return int(ended.code or 0)
        except click.Abort:  # Ctrl-C, or the end of the input, at a question
            click.echo(err=True)
            return output.INTERRUPTED
        except KeyboardInterrupt:
            return output.INTERRUPTED
        except BrokenPipeError:
            code = BROKEN_PIPE
        except Exception as error:
            from .errors import reported

            words = arguments[: arguments.index("--")] if "--" in arguments else arguments
            shared.json = shared.json or "--json" in words  # it may stand behind what was wrong
            return reported(error, shared)
        if code == BROKEN_PIPE:
            # What is left in the buffer would raise again when the interpreter flushes it at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(code or 0)
