# Generated from src/agb/_async/modules/file_texts.py by tools/unasync.py. Do not edit.
"""Texts in files of a session: editing and finding them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..._ops.tools import file_listings as listings
from ..._ops.tools import files as ops
from ...exceptions import AGBError
from ...results.files import FileEditResult, FileGrepResult
from .file_calls import READ_SECONDS, FileCalls
from .file_contents import FileContents
from .file_ranges import check_range
from .tools import offered_tools, tool_result

MOST_MATCHES = 10_000
"""Lines that a search returns, unless the caller sets others."""


class FileTexts(FileContents):
    """The part of ``session.file`` that works on the texts in files."""

    _edits_exactly: bool | None = None
    """Whether the session's `edit_file` has the arguments for it, once known."""

    def edit(
        self,
        path: str,
        edits: Sequence[Mapping[str, str]],
        dry_run: bool = False,
        *,
        replace_all: bool | None = None,
        timeout: float | None = None,
    ) -> FileEditResult:
        """Replace pieces of a text file; all edits are made, or none.

        Args:
            path: the file.
            edits: dicts with ``oldText``, which must be in the file, and ``newText``; applied one after the other.
            dry_run: only check whether the edits can be applied.
            replace_all: True replaces every occurrence of an old text, which must be there. False replaces one that is
                the only one; if it is not, the failure names how many there are, which is
                ``error.extra["occurrences"]`` too.
                Without it, the service decides, as in 0.12; the local runtime replaces every one.
            timeout: seconds for the whole call.

        Returns:
            ``replacements`` is how often each old text was replaced, if ``replace_all`` is given.

        Raises:
            ValueError, TypeError: an argument is invalid; nothing was sent.

        Example:
            >>> with client.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     written = session.file.write("/tmp/app.ini", "debug = no")
            ...     edits = [{"oldText": "no", "newText": "yes"}]
            ...     edited = session.file.edit("/tmp/app.ini", edits, replace_all=False)
            ...     text = session.file.read("/tmp/app.ini")
            ...     print(edited.replacements, text.content)
            [1] debug = yes

        API: the tool ``edit_file``; with ``replace_all``, ``read_file`` and ``write_file`` where it has no such
        argument, and another program's change of the file in between is lost then.
        """
        session_id = self.session.session_id
        call = ops.edit_file(path, edits, dry_run, session_id=session_id)
        if replace_all is None:
            return tool_result(self.session, call, FileEditResult, timeout=timeout)
        if not isinstance(replace_all, bool):
            raise TypeError(f"replace_all must be True, False or None, not {replace_all!r}")
        path, wanted = ops.check_path(path), ops.check_edits(edits)
        if empty := [number for number, edit in enumerate(wanted) if not edit["oldText"]]:
            raise ValueError(f"edits[{empty[0]}]['oldText'] is empty, which is everywhere")
        calls = FileCalls(self.session, timeout)
        try:
            if self._edits_exactly is None:
                takes = ops.can_edit_exactly(self.session.tool_list or [])
                if takes is None:
                    takes = ops.can_edit_exactly(offered_tools(self.session, calls.left()))
                self._edits_exactly = bool(takes)
            if self._edits_exactly:
                exact = ops.edit_exactly(path, wanted, bool(dry_run), replace_all, session_id=session_id)
                return calls.run(exact)
            return self._edit_here(path, wanted, dry_run, replace_all, calls)
        except AGBError as error:
            return FileEditResult.failed(error)

    def _edit_here(
        self, path: str, edits: list[dict[str, str]], dry_run: bool, replace_all: bool, calls: FileCalls
    ) -> FileEditResult:
        """Read the file, edit its content here, and write it."""
        read = self.read(path, format="bytes", timeout=calls.left() or READ_SECONDS)
        content = read.raise_for_error().content
        changed, counts = ops.replaced(content, edits, replace_all)
        ops.check_counts(counts, path, replace_all, self.session.session_id, read.request_id)
        if not dry_run and changed != content:
            self.write(path, changed, timeout=calls.left()).raise_for_error()
        return FileEditResult(read.request_id, True, True, replacements=counts)

    def grep(
        self,
        pattern: str,
        path: str = ".",
        *,
        glob: str | None = None,
        regex: bool = False,
        ignore_case: bool = False,
        max_matches: int | None = MOST_MATCHES,
        timeout: float | None = None,
    ) -> FileGrepResult:
        r"""Return the lines of files that contain a text, or match a regular expression, as ``matches``.

        Files that are not text are left out, and so are those that cannot be read; links below the directory are not
        followed.

        Args:
            pattern: a text; with ``regex``, an extended regular expression of POSIX, as of ``grep -E``.
            path: a file, or a directory that is searched with everything below it.
            glob: a pattern of the files to search. Without a slash, it is that of their names, such as ``*.py``; with
                one, of their paths below the directory, such as ``src/**/*.py``, as of `glob`.
            regex: whether the pattern is a regular expression.
            ignore_case: whether upper and lower case are the same.
            max_matches: how many lines are returned at most; None for all.
            timeout: seconds for everything.

        Returns:
            The matches, sorted by path and line: each has ``path``, ``line`` (from 1) and ``text``. ``truncated`` if
            there may be more; which of them are returned is not determined then.

        Raises:
            ValueError, TypeError: an argument is invalid; nothing was sent.

        Example:
            >>> with client.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     written = session.file.write("/tmp/notes/a.md", "# One\ntwo\n", parents=True)
            ...     found = session.file.grep("^# ", "/tmp/notes", glob="*.md", regex=True)
            ...     print(found.matches)
            [FileMatch(path='/tmp/notes/a.md', line=1, text='# One')]

        API: the tool ``shell``.
        """
        path = ops.check_path(path)
        if set("\n\0").intersection(ops.check_text(pattern, "pattern")):
            raise ValueError(f"pattern must be the text of one line, or a part of it, not {pattern!r}")
        if glob is not None:
            ops.check_pattern(glob, "glob")
        check_range(0, max_matches)
        calls = FileCalls(self.session, timeout)
        call = listings.grep(
            pattern,
            path,
            glob=glob,
            is_regex=regex,
            ignore_case=ignore_case,
            most=max_matches,
            session_id=self.session.session_id,
        )
        try:
            listed, request_id = self._listed(call, calls)
        except AGBError as error:
            return FileGrepResult.failed(error)
        matches = listings.matches_in(listed)
        # The script cuts at lines, and a name with line breaks has several.
        truncated = max_matches is not None and listed.count(b"\n") > max_matches
        matches = matches[:max_matches]
        if glob is not None and "/" in glob:
            files = set(listings.matching([match.path for match in matches], f"{path}/{glob}"))
            matches = [match for match in matches if match.path in files]
        return FileGrepResult(request_id, True, matches, truncated=truncated)
