"""Notebooks: cells that run in sessions, by ``%load_ext agb`` and ``%%agb`` (extra ``jupyter``)."""

from __future__ import annotations

import atexit
import sys
import warnings
from typing import Any

from .._sync.client import AGB
from .._sync.session import Session
from ..events import Result, Stderr, Stdout
from ..exceptions import AGBError, ErrorKind
from ..owned import Owner
from ..session_params import CreateSessionParams

try:
    from IPython.core.error import UsageError
    from IPython.core.magic import Magics, cell_magic, line_magic, magics_class
    from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring
    from IPython.display import display
except ImportError as error:
    raise ImportError("cells in sessions need IPython: pip install 'agb[jupyter]'") from error

IMAGE = "agb-code-space-1"
"""The image of a session, unless a cell names another."""


class CellError(Exception):
    """The code of a cell failed; a notebook shows the traceback of the session, and stops."""

    def __init__(self, error: AGBError) -> None:
        super().__init__(str(error))
        self.error = error

    def _render_traceback_(self) -> list[str]:
        text = getattr(self.error, "traceback", None) or str(self.error)
        return str(text).splitlines()


@magics_class
class AGBMagics(Magics):
    """The magics ``%%agb`` and ``%agb``, and the sessions that they have created, by their names."""

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._client: AGB | None = None
        self._sessions: dict[str, Session] = {}

    @magic_arguments()
    @argument("-s", "--session", default="default", help="the name of the session; created when it is first used")
    @argument("-i", "--image", default=IMAGE, help=f"the image of a new session; without it {IMAGE}")
    @argument("-l", "--language", default="python", help="python, javascript, java or r")
    @argument("-t", "--timeout", type=float, default=3600.0, help="seconds after which the code is stopped")
    @argument("-o", "--out", help="the variable of this notebook that gets the result")
    @cell_magic("agb")
    def run(self, line: str, cell: str) -> Any:
        """Run a cell in a session, with live output and rich results; its last value is that of the cell."""
        given = parse_argstring(self.run, line)
        session = self._session(given.session, given.image)
        main = None
        try:
            with session.code.stream(cell, given.language, given.timeout) as events:
                for event in events:
                    if isinstance(event, Stdout):
                        sys.stdout.write(event.text)
                        sys.stdout.flush()
                    elif isinstance(event, Stderr):
                        sys.stderr.write(event.text)
                        sys.stderr.flush()
                    elif isinstance(event, Result):
                        if event.result.is_main_result:
                            main = event.result
                        else:
                            display(dict(event.result.data), raw=True)
            result = events.result()
        except AGBError as error:
            if error.kind is ErrorKind.NOT_FOUND:
                del self._sessions[given.session]
            raise CellError(error) from error
        if given.out:
            assert self.shell is not None  # a magic is called by its shell
            self.shell.user_ns[given.out] = result
        if result.error is not None:
            raise CellError(result.error)
        return main

    @magic_arguments()
    @argument("command", choices=["session", "list", "delete"], help="what to do")
    @argument("name", nargs="?", default="default", help="the name of the session")
    @line_magic("agb")
    def manage(self, line: str) -> Any:
        """Return a session of this notebook, all of them by their names, or delete one."""
        given = parse_argstring(self.manage, line)
        if given.command == "list":
            return dict(self._sessions)
        if given.command == "session":
            return self._session(given.name, IMAGE)
        if given.name not in self._sessions:
            raise UsageError(f"this notebook has no session named {given.name!r}")
        return self._sessions.pop(given.name).delete()

    def _session(self, name: str, image: str) -> Session:
        if name not in self._sessions:
            if self._client is None:
                self._client = AGB()
            owner = Owner.from_ids("notebook", name)
            created = self._client.create(CreateSessionParams(image_id=image), owner=owner)
            self._sessions[name] = created.raise_for_error().session
        session = self._sessions[name]
        if session.image_id and image not in (IMAGE, session.image_id):
            raise UsageError(f"the session {name!r} has the image {session.image_id}: name another session for {image}")
        return session

    def close(self) -> None:
        """Delete all sessions, at the end of the kernel or by ``%unload_ext agb``."""
        sessions, self._sessions = self._sessions, {}
        for name, session in sessions.items():
            deleted = session.delete()
            if deleted.error is not None and deleted.error.kind is not ErrorKind.NOT_FOUND:
                text = f"the session {name!r} of this notebook was not deleted: {deleted.error}"
                warnings.warn(text, RuntimeWarning, stacklevel=2)
        client, self._client = self._client, None
        if client is not None:
            client.close()


_loaded: dict[int, AGBMagics] = {}


def load_ipython_extension(shell: Any) -> None:
    """Add the magics to a shell; called by ``%load_ext agb``."""
    magics = _loaded[id(shell)] = AGBMagics(shell)
    shell.register_magics(magics)
    atexit.register(magics.close)


def unload_ipython_extension(shell: Any) -> None:
    """Delete the sessions of a shell's magics; called by ``%unload_ext agb``."""
    magics = _loaded.pop(id(shell), None)
    if magics is not None:
        atexit.unregister(magics.close)
        magics.close()
