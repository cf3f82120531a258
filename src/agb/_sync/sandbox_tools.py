# Generated from src/agb/_async/sandbox_tools.py by tools/unasync.py. Do not edit.
"""The tools of an agent in a session: functions whose signatures and docstrings describe them to a model."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any, Literal

from .._ops import tool_texts
from .._wire.deadline import check_timeout
from .sandbox import Sandbox

MOST_MATCHES = 2000
"""Lines that a search returns at most."""
SHORTEST_LIMIT = 100
"""The fewest characters of an answer that a caller can choose."""
TIMEOUT = 120.0
"""Seconds of a command or of code."""


class SandboxTools:
    """The tools of an agent in a session.

    Frameworks make a schema of each function in `functions` from its signature and its docstring.

    Args:
        sandbox: returns the session with its directory and user; it is called by each tool, so that it can create the
            session for the first one.
        text_limit: characters of an answer, and bytes of a file that are read at once.
        timeout: seconds of a command or of code, where the model does not choose others.

    Raises:
        ValueError, TypeError: ``text_limit`` or ``timeout`` cannot be used.
    """

    def __init__(
        self,
        sandbox: Callable[[], Sandbox],
        *,
        text_limit: int = tool_texts.TEXT_LIMIT,
        timeout: float = TIMEOUT,
    ) -> None:
        if text_limit < SHORTEST_LIMIT:
            raise ValueError(f"text_limit is a number of characters from {SHORTEST_LIMIT}, not {text_limit}")
        check_timeout(timeout)
        self._sandbox = sandbox
        self.text_limit = text_limit
        self.timeout = timeout

    @property
    def functions(self) -> builtins.list[Callable[..., Any]]:
        """The functions for a model, in the order in which they are shown to it."""
        return [
            self.run_code,
            self.run_command,
            self.read_file,
            self.write_file,
            self.edit_file,
            self.list_files,
            self.find_files,
            self.search_files,
            self.make_link,
        ]

    def run_code(
        self,
        code: str,
        language: Literal["python", "javascript", "java", "r"] = "python",
        timeout: float | None = None,
    ) -> Any:  # a ToolAnswer: frameworks make schemas of the types that they see
        """Run code in the sandbox, and return its output, its value and its pictures.

        Variables last from call to call, as in a notebook.

        Args:
            code: The code. In Python, the value of the last expression is shown.
            language: The language of the code.
            timeout: Seconds after which the code is stopped.
        """
        sandbox = self._sandbox()
        seconds = self.timeout if timeout is None else timeout
        with sandbox.session.code.stream(code, language, seconds) as events:
            result = events.collect()
        return tool_texts.of_run(result, self.text_limit)

    def run_command(
        self, command: str, cwd: str | None = None, stdin: str | None = None, timeout: float | None = None
    ) -> str:
        """Run a command line in the sandbox to its end, and return its output and exit code.

        Each command has a new shell, so cd and variables do not last.

        Args:
            command: The command line for bash. Pipes, && and here-documents work.
            cwd: The working directory.
            stdin: The whole standard input, which is empty by default.
            timeout: Seconds after which the command is ended, with all that it has started.
        """
        sandbox = self._sandbox()
        seconds = self.timeout if timeout is None else timeout
        outcome = sandbox.exec(command, cwd=cwd, stdin=stdin, timeout=seconds)
        return tool_texts.of_outcome(outcome, self.text_limit, seconds)

    def read_file(self, path: str, offset: int = 0) -> str:
        """Read a text file of the sandbox. A long one is returned part by part.

        Args:
            path: The path of the file.
            offset: The byte to begin with.
        """
        sandbox = self._sandbox()
        data = sandbox.read(path, offset=offset, limit=self.text_limit + 1)
        return tool_texts.of_file(data, offset, self.text_limit)

    def write_file(self, path: str, content: str) -> str:
        """Write a text file of the sandbox, in place of one that exists. Missing directories are made.

        Args:
            path: The path of the file.
            content: The whole text of the file.
        """
        sandbox = self._sandbox()
        sandbox.write(path, content)
        return f"Wrote {len(content.encode())} bytes to {path}."

    def edit_file(self, path: str, old: str, new: str, replace_all: bool = False) -> str:
        """Replace a text in a file of the sandbox.

        Args:
            path: The path of the file.
            old: The text to replace, exactly as it is in the file.
            new: The text in its place.
            replace_all: Replace every occurrence. Otherwise there must be exactly one.
        """
        sandbox = self._sandbox()
        count = sandbox.edit(path, old, new, replace_all=replace_all)
        return f"Replaced {count} occurrence{'' if count == 1 else 's'} in {path}."

    def list_files(self, path: str = ".") -> str:
        """List the files and directories in a directory of the sandbox, with sizes in bytes.

        Args:
            path: The path of the directory.
        """
        sandbox = self._sandbox()
        entries = sandbox.list(path)
        lines = [
            f"{tool_texts.as_text(entry.name)}/" if entry.is_dir else f"{tool_texts.as_text(entry.name)}  {entry.size}"
            for entry in entries
        ]
        return tool_texts.of_lines(lines, self.text_limit, "entries")

    def find_files(self, pattern: str, path: str | None = None) -> str:
        """Find files and directories of the sandbox by a pattern of their names.

        Args:
            pattern: Such as *.py, or src/**/*.py for all directories below src.
            path: The directory to begin in.
        """
        sandbox = self._sandbox()
        paths = sandbox.glob(pattern, path)
        return tool_texts.of_lines([tool_texts.as_text(one) for one in paths], self.text_limit, "paths")

    def search_files(
        self,
        pattern: str,
        path: str | None = None,
        glob: str | None = None,
        regex: bool = False,
        ignore_case: bool = False,
    ) -> str:
        """Find the lines of files of the sandbox that contain a text, with path and line number.

        Args:
            pattern: The text, or a regular expression.
            path: A directory, which is searched with all below it, or a file.
            glob: Only files with such names, such as *.py.
            regex: Whether the pattern is an extended regular expression.
            ignore_case: Whether upper and lower case are the same.
        """
        sandbox = self._sandbox()
        matches = sandbox.grep(pattern, path, glob=glob, regex=regex, ignore_case=ignore_case, max_matches=MOST_MATCHES)
        lines = [
            f"{tool_texts.as_text(match.path)}:{match.line}: {match.text[: tool_texts.LONGEST_LINE]}"
            for match in matches
        ]
        return tool_texts.of_lines(lines, self.text_limit, "lines")

    def make_link(self, port: int) -> str:
        """Return a URL by which a web server in the sandbox is reached from outside.

        Args:
            port: The port that the server listens on, 30100 to 30199.
        """
        sandbox = self._sandbox()
        made = sandbox.session.get_link(port=port)
        return made.raise_for_error().data
