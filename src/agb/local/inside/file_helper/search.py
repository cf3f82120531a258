"""The tool that searches files by name."""

from __future__ import annotations

import fnmatch
import os
import re
import time

from .job import Job, ToolError, one_line

TYPE_CHECKING = False  # typing is slow to import, and the first call waits for this program
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_MOST_MATCHES = 200_000
_SEARCH_SECONDS = 45.0
"""Below the 60 seconds for which clients of the API wait."""


def search_files(job: Job) -> str:
    """Return the paths beneath a directory whose names match, one per line."""
    top = job.place()
    matches = _matcher(job.args["pattern"], plain="contains")
    excluded = [_matcher(pattern, plain="equals") for pattern in job.args["excludePatterns"] or ()]
    until = time.monotonic() + _SEARCH_SECONDS
    found: list[str] = []
    waiting = [("", top)]
    while waiting:
        above, directory = waiting.pop()
        if job.is_cancelled:
            raise ToolError("the caller has cancelled it")
        if time.monotonic() > until:
            raise ToolError(f"the search in {top!r} took more than {_SEARCH_SECONDS:.0f} s; search a smaller directory")
        inside = []
        for name, is_directory in _entries(directory, is_top=directory is top):
            relative = f"{above}{name}"
            if any(exclude(name, relative) for exclude in excluded):
                continue
            if matches(name, relative):
                found.append(one_line(os.path.join(top, relative)))
            if is_directory:
                inside.append((f"{relative}/", os.path.join(top, relative)))
        if len(found) > _MOST_MATCHES:
            raise ToolError(
                f"more than {_MOST_MATCHES:,} files in {top!r} match {job.args['pattern']!r}; narrow it down"
            )
        waiting += reversed(inside)
    return "\n".join(found) or "No matches found"


def _entries(directory: str, *, is_top: bool) -> list[tuple[str, bool]]:
    try:
        with os.scandir(directory) as found:
            return sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in found)
    except OSError:
        if is_top:
            raise
        return []  # removed meanwhile, or not readable


def _matcher(pattern: str, *, plain: str) -> Callable[[str, str], bool]:
    """Return a test of a name and its path from the top.

    A pattern with a slash is for the path, with ``**`` for any number of directories. One without wildcards is
    contained in the name, in whatever case, or equal to it.
    """
    if not pattern:
        raise ToolError("argument 'pattern' is empty; give a name, a part of one, or a glob such as '*.txt'")
    if "/" in pattern:
        parts = pattern.lstrip("/").split("/")
        parts += ["*"] if parts[-1] == "**" else []
        tests = [None if part == "**" else re.compile(fnmatch.translate(part)).match for part in parts]
        return lambda _, path: _fits(path.split("/"), tests)
    if any(sign in pattern for sign in "*?["):
        fits = re.compile(fnmatch.translate(pattern)).match
        return lambda name, _: fits(name) is not None
    if plain == "equals":
        return lambda name, _: name == pattern
    word = pattern.lower()
    return lambda name, _: word in name.lower()


def _fits(names: list[str], tests: Sequence[Callable[[str], object] | None]) -> bool:
    """Return whether names pass the tests one by one; None stands for any number of names."""
    states = {0}  # positions in `tests` that can be reached so far
    for name in names:
        states = _with_none_passed(states, tests)
        states = {
            state if test is None else state + 1
            for state in states
            if state < len(tests) and ((test := tests[state]) is None or test(name))
        }
    return len(tests) in _with_none_passed(states, tests)


def _with_none_passed(states: set[int], tests: Sequence[Callable[[str], object] | None]) -> set[int]:
    reached = set(states)
    for state in states:
        after = state
        while after < len(tests) and tests[after] is None:
            after += 1
            reached.add(after)
    return reached
