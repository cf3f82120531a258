"""What the facade of a session returns: the outcome of a program, and the entries of directories."""

from __future__ import annotations

from attrs import field, frozen


@frozen
class ExecOutcome:
    """The outcome of a program.

    Attributes:
        exit_code: 128 plus the signal's number after a signal; 124 if the time limit ended the program.
        stdout: its output, byte for byte, up to the output limit.
        stderr: its error output, likewise.
        timed_out: whether the time limit ended it; the output is that until then.
        truncated: whether one of the outputs exceeded the output limit, so that its end is missing.
    """

    exit_code: int
    stdout: bytes = field(repr=lambda data: f"<{len(data)} bytes>")
    stderr: bytes = field(repr=lambda data: f"<{len(data)} bytes>")
    timed_out: bool = False
    truncated: bool = False


@frozen
class Entry:
    """A file or directory in a directory.

    Attributes:
        name: its name; bytes that are not UTF-8 are surrogates, as of `os.fsdecode`.
        path: its path in the session.
        is_dir: whether it is a directory, or a link that leads to one.
        size: bytes.
        modified: the time of modification in seconds since 1970.
    """

    name: str
    path: str
    is_dir: bool
    size: int
    modified: float
