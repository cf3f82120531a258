"""The program of a process: its words and environment, and the script that becomes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from shlex import quote

LONGEST = 90_000
"""Bytes of command line and environment: in base64 they must fit into one variable (128 KiB)."""


def command_line(command: str | Sequence[str]) -> list[str]:
    """Return the words of a command; the first is ``""`` for the session's shell, if the command is a string."""
    if isinstance(command, str):
        words = ["", command]
        if not command.strip():
            raise ValueError("the command is empty")
    elif isinstance(command, (bytes, Mapping)) or not isinstance(command, Sequence):
        raise TypeError(f"a command must be a string or a list of strings, not {type(command).__name__}")
    else:
        words = list(command)
        if not words or words[0] == "":
            raise ValueError("a list of arguments must begin with the program, and this one does not")
    for word in words:
        check_text(word, "an argument of the command")
    return words


def check_text(value: object, name: str) -> None:
    """Raise unless a program can receive this text; the error does not show the text, which may be a secret."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, not {type(value).__name__}")
    if "\0" in value:
        raise ValueError(f"{name} must not contain the character NUL, which no argument or variable can hold")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        position = error.start
    else:
        return
    raise ValueError(f"{name} cannot be written as UTF-8: its character {position} is half of a surrogate pair")


def _check_environment(envs: Mapping[str, str]) -> None:
    if not isinstance(envs, Mapping):
        raise TypeError(f"envs must be a dict of strings to strings, not {type(envs).__name__}")
    for name, value in envs.items():
        check_text(name, "the name of a variable in envs")
        if not name or "=" in name:
            raise ValueError(f"a name in envs must not be empty or contain '=', unlike {name!r}")
        try:
            check_text(value, f"the value of {name!r} in envs")
        except ValueError as error:
            raise type(error)(
                f"the value of {name!r} in envs cannot be passed on: {error.__class__.__name__}"
            ) from None


def run_script(command: str | Sequence[str], envs: Mapping[str, str] | None = None) -> str:
    """Return the script that becomes the program: ``$1`` is the directory, ``$2`` the shell, ``$3`` the umask.

    Every word is quoted, and ``--`` keeps a command that begins with ``-`` or ``+`` from being an option. A program
    whose name `env` would take for a variable (``a=b``) or an option (``-``) is started by a shell in between.
    """
    words = command_line(command)
    variables = {} if envs is None else envs
    _check_environment(variables)
    assignments = " ".join(quote(f"{name}={value}") for name, value in variables.items())
    if words[0] == "":
        program = f'"$2" -c -- {quote(words[1])}'
    elif words[0] == "-" or "=" in words[0]:
        program = f""""$2" -c '"$@"' sh {" ".join(map(quote, words))}"""
    else:
        program = " ".join(map(quote, words))
    script = _RUN + f"exec env -- {assignments} {program}\n"
    if len(script.encode()) > LONGEST:
        raise ValueError(
            f"command line and environment have {len(script.encode()):,} bytes together, and the limit is {LONGEST:,}; "
            "write the data to a file or to the process's input"
        )
    return script


# The first line removes the script, which may hold secrets; a shell has read its only block by then, or keeps it open.
_RUN = """\
rm -f -- "$0"
echo $$ >"$1/pid"
umask "$3"
echo $$ >"$1/ready"
"""
