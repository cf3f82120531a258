"""The facade of a session for adapters of frameworks: programs and files, byte for byte, with errors that are raised.

Frameworks ask for the same few things in different words. This class has them once, so that an adapter only translates
names. It adds nothing to a session but these forms.
"""

from __future__ import annotations

import builtins
import posixpath
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from .._ops.tools.files import check_path
from .._ops.tools.run import OUTPUT_LIMIT, check_limit
from ..exceptions import AGBError
from ..results.files import FileMatch
from ..results.sandbox import Entry, ExecOutcome
from ._compat.concurrency import gather

if TYPE_CHECKING:
    from .session import AsyncSession

CONCURRENT_FILES = 4
"""Files that are transferred at the same time."""


class AsyncSandbox:
    """Programs and files of a session, as frameworks ask for them.

    Args:
        session: the session; it stays the caller's.
        cwd: the directory of programs, and the one relative paths start at; without it, that of the session.
        user: the user of programs, where the image has several.
        output_limit: bytes of each output of a program that are returned.
    """

    def __init__(
        self,
        session: AsyncSession,
        *,
        cwd: str | None = None,
        user: str | None = None,
        output_limit: int = OUTPUT_LIMIT,
    ) -> None:
        if cwd is not None:
            check_path(cwd, "cwd")
        check_limit(output_limit)
        self.session = session
        self.cwd = cwd
        self.user = user
        self.output_limit = output_limit

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of session {self.session.session_id}>"

    # --- programs ------------------------------------------------------------------------------------------------

    async def exec(
        self,
        command: str | Sequence[str],
        *,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        stdin: bytes | str | None = None,
        user: str | None = None,
        timeout: float | None = None,
        output_limit: int | None = None,
    ) -> ExecOutcome:
        """Run a program to its end and return its output and exit code.

        If the caller is cancelled, the program is ended, with the processes it has started.

        Args:
            command: a string for the session's shell, or a list of arguments that no shell interprets; of any length.
            cwd: the working directory; a relative one starts at that of the sandbox.
            env: environment variables, added to the session's.
            stdin: the whole standard input; empty without it.
            user: the user it runs as.
            timeout: seconds after which the program is ended, with the processes it has started.
            output_limit: bytes of each output that are returned.

        Returns:
            The outcome, also if the program failed, does not exist (exit code 127), or was ended by its time limit.

        Raises:
            CommandError: it could not be run: no such directory, no such session, no answer.
            ValueError, TypeError: an argument is invalid; nothing was sent.
        """
        return await self.session.command.run(
            command,
            cwd=self._path(cwd) if cwd else self.cwd,
            envs=env,
            stdin=stdin,
            user=self.user if user is None else user,
            timeout=timeout,
            output_limit=self.output_limit if output_limit is None else output_limit,
        )

    # --- files ---------------------------------------------------------------------------------------------------

    async def read(self, path: str, *, offset: int = 0, limit: int | None = None) -> bytes:
        """Return the bytes of a file: ``limit`` of them from ``offset`` on, or all to the end.

        Raises:
            FileError: the file cannot be read.
            ValueError, TypeError: an argument is invalid; nothing was sent.
        """
        result = await self.session.file.read(self._path(path), format="bytes", offset=offset, limit=limit)
        return result.raise_for_error().content

    async def write(self, path: str, data: bytes | str) -> None:
        """Write a file, and create the directories above it that are missing.

        Raises:
            FileError: the file cannot be written.
            ValueError, TypeError: an argument is invalid; nothing was sent.
        """
        (await self.session.file.write(self._path(path), data, parents=True)).raise_for_error()

    async def edit(self, path: str, old: str, new: str, *, replace_all: bool = False) -> int:
        """Replace a text that is in a file exactly once, or every occurrence; return the number of replacements.

        Raises:
            FileError: the file cannot be read or written, or the text is not in it, or more than once.
            ValueError, TypeError: an argument is invalid; nothing was sent.
        """
        edits = [{"oldText": old, "newText": new}]
        result = await self.session.file.edit(self._path(path), edits, replace_all=replace_all)
        result.raise_for_error()
        return result.replacements[0]

    async def list(self, path: str) -> builtins.list[Entry]:
        """Return the contents of a directory, sorted by name.

        Raises:
            FileError: it cannot be listed.
            ValueError, TypeError: an argument is invalid; nothing was sent.
        """
        path = self._path(path)
        (await self.session.file.list(path)).raise_for_error()
        command = ["find", path + "/.", "-mindepth", "1", "-maxdepth", "1", "-printf", r"%Y\t%s\t%T@\t%f\0"]
        outcome = await self.exec(command)
        entries = []
        for line in outcome.stdout.decode("utf-8", "surrogateescape").split("\0")[:-1]:
            kind, size, modified, name = line.split("\t", 3)
            entries.append(Entry(name, posixpath.join(path, name), kind == "d", int(size), float(modified)))
        return sorted(entries, key=lambda entry: entry.name)

    async def glob(self, pattern: str, path: str | None = None) -> builtins.list[str]:
        """Return the paths that match a pattern, sorted; a relative pattern starts at ``path``, or at the directory.

        Raises:
            FileError: the search failed.
            ValueError, TypeError: an argument is invalid; nothing was sent.
        """
        base = self._path(path) if path else (self.cwd or "")
        found = await self.session.file.glob(posixpath.join(base, pattern))
        return found.raise_for_error().matches

    async def grep(
        self,
        pattern: str,
        path: str | None = None,
        *,
        glob: str | None = None,
        regex: bool = False,
        ignore_case: bool = False,
        max_matches: int | None = None,
    ) -> builtins.list[FileMatch]:
        """Return the lines of files that contain a text, or match a regular expression, sorted by path and line.

        Args:
            pattern: a text; with ``regex``, an extended regular expression of POSIX.
            path: a file, or a directory that is searched with everything below it; without it, the directory.
            glob: a pattern of the names of the files to search, or with a slash of their paths below ``path``.
            regex: whether the pattern is a regular expression.
            ignore_case: whether upper and lower case are the same.
            max_matches: the most matches that are returned; all without it.

        Raises:
            FileError: the search failed.
            ValueError, TypeError: an argument is invalid; nothing was sent.
        """
        found = await self.session.file.grep(
            pattern,
            self._path(path) if path else (self.cwd or "."),
            glob=glob,
            regex=regex,
            ignore_case=ignore_case,
            max_matches=max_matches,
        )
        return found.raise_for_error().matches

    async def upload(self, files: Sequence[tuple[str, bytes]]) -> builtins.list[AGBError | None]:
        """Write files; return for each, in their order, its error, or None. One that fails does not stop the others.

        Raises:
            ValueError, TypeError: an argument is invalid; nothing was sent.
        """
        if not isinstance(files, str) and self.cwd:
            files = [(self._path(path), data) for path, data in files]
        return (await self.session.file.write_batch(files, parents=True)).errors

    async def download(self, paths: Sequence[str]) -> builtins.list[bytes | AGBError]:
        """Read files; return for each, in their order, its bytes, or its error.

        Raises:
            ValueError, TypeError: an argument is invalid; nothing was sent.
        """

        async def one(path: str) -> bytes | AGBError:
            try:
                return await self.read(path)
            except AGBError as error:
                return error

        results: builtins.list[bytes | AGBError] = []
        for start in range(0, len(paths), CONCURRENT_FILES):
            results += await gather([partial(one, path) for path in paths[start : start + CONCURRENT_FILES]])
        return results

    def _path(self, path: str) -> str:
        return posixpath.join(self.cwd, path) if self.cwd else path
