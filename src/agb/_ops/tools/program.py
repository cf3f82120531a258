"""The program of a process: its words and environment, and the script that becomes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from shlex import quote

LONGEST = 90_000
"""Bytes of a script that travels in a variable, which has 128 KiB at most, in base64; a longer one is in a file."""
LONGEST_ARGUMENT = (1 << 17) - 1
"""Bytes that Linux allows in one argument of a program."""
MARK = "AGB_COMMAND_ID"
"""A variable of a process and all it starts, by which those that have detached themselves are found."""


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


def check_environment(envs: Mapping[str, str]) -> None:
    """Raise unless a program can receive these variables."""
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

    A command that is longer than an argument may be is evaluated by the shell from a descriptor. The environment has
    the process's id, the name of the directory.

    Every word is quoted, and ``--`` keeps a command that begins with ``-`` or ``+`` from being an option. A program
    whose name `env` would take for a variable (``a=b``) or an option (``-``) is started by a shell in between.
    """
    words = command_line(command)
    variables = {} if envs is None else envs
    check_environment(variables)
    assignments = " ".join(quote(f"{name}={value}") for name, value in variables.items())
    if words[0] == "":
        is_long = len(words[1].encode()) > LONGEST_ARGUMENT
        program = _evaluated(words[1]) if is_long else f'"$2" -c -- {quote(words[1])}'
    elif words[0] == "-" or "=" in words[0]:
        program = f""""$2" -c '"$@"' sh {" ".join(map(quote, words))}"""
    else:
        program = " ".join(map(quote, words))
    return f'{_RUN}exec env -- {MARK}="${{1##*/}}" {assignments} {program}\n'


def _evaluated(command: str) -> str:
    """Return the words of a shell that evaluates a command which it reads from a here-document."""
    end = "AGB_END"
    while end in command:
        end += "_"
    return f"""\"$2" -c 'eval "$(cat <&3)" 3<&-' 3<<'{end}'\n{command}\n{end}"""


# The first line removes the script, which may hold secrets; a shell has read its only block by then, or keeps it open.
_RUN = """\
rm -f -- "$0"
echo $$ >"$1/pid"
umask "$3"
echo $$ >"$1/ready"
"""
