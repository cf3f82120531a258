"""The sessions of an executor."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import wait as wait_for

from .._ops.ownership import nameless
from .._sync.client import AGB
from .._sync.lifecycle.deletion import delete_surely, warn_left_behind
from .._sync.lifecycle.owner_process import BlockProcess
from .._sync.session import Session
from ..exceptions import AGBError
from ..owned import Owner
from ..session_params import CreateSessionParams
from .errors import WrongPython, ended_early, unusable
from .sandbox import Sandbox


class SandboxPool:
    """The sessions of an executor: created when needed, used again when idle, and all deleted by `end`.

    Invariant: a session is in ``all`` from its creation until its deletion begins, and only the caller that removed it
    from there deletes it; so each is deleted once. A session that is created while the pool ends is added to ``all``
    and then removed by its own creator, which sees ``is_ending`` under the same lock.

    The pool has no reference to its executor, so an executor that was not shut down can be garbage-collected; its
    sessions are deleted then.
    """

    def __init__(
        self, client: AGB, params: CreateSessionParams, prepare: Callable[[Session], object] | None, python: str | None
    ) -> None:
        self.process = BlockProcess()
        self.all: set[Sandbox] = set()
        self.is_ending = False
        self.unusable: AGBError | None = None
        """Why no session can run anything, once that is known."""
        self._owner = Owner("executor", nameless())
        self._idle: list[Sandbox] = []
        self._lock = threading.Lock()
        self._client = client
        self._params = params
        self._prepare = prepare
        self._python = python

    def take(self) -> tuple[Sandbox, bool]:
        """Return an idle sandbox, or a new one and True."""
        with self._lock:
            if self.is_ending:
                raise ended_early()
            if self.unusable is not None:
                raise unusable(self.unusable)
            if self._idle:
                return self._idle.pop(), False
        created = self._client.create(self._params, owner=self._owner).raise_for_error()
        assert created.session is not None  # a success has one
        sandbox = Sandbox(created.session)
        with self._lock:
            self.all.add(sandbox)
            is_late = self.is_ending
        try:
            if is_late:
                raise ended_early()
            if created.error is not None:
                raise created.error
            if self._prepare is not None:
                self._prepare(created.session)
            sandbox.set_up(self._python)
        except BaseException as error:
            if isinstance(error, WrongPython):
                self.unusable = error
            self.drop(sandbox)
            if self.is_ending:
                raise ended_early() from error
            raise
        return sandbox, True

    def give_back(self, sandbox: Sandbox) -> None:
        """Keep a sandbox for the next call."""
        with self._lock:
            if sandbox in self.all:
                self._idle.append(sandbox)

    def drop(self, sandbox: Sandbox) -> None:
        """Delete a sandbox that is not to be used again, unless `end` has taken it."""
        with self._lock:
            is_ours = sandbox in self.all
            self.all.discard(sandbox)
        if is_ours:
            _delete(sandbox)

    def end(self) -> None:
        """Delete all sandboxes, whatever runs in them, and create no more."""
        with self._lock:
            self.is_ending = True
            sandboxes = list(self.all)
            self.all.clear()
            self._idle.clear()
        if not threading.main_thread().is_alive():  # the interpreter shuts down, and can start no threads
            for sandbox in sandboxes:
                _delete(sandbox)
        elif sandboxes:  # in threads, which Ctrl-C does not interrupt
            with ThreadPoolExecutor(min(len(sandboxes), 16), "agb-executor-end") as threads:
                wait_for([threads.submit(_delete, sandbox) for sandbox in sandboxes])


def _delete(sandbox: Sandbox) -> None:
    error = delete_surely(sandbox.session)
    if error is not None:
        warn_left_behind(sandbox.session.session_id, error)


def end_in_background(pool: SandboxPool) -> None:
    """Delete the sessions of an executor that was garbage-collected, or was never shut down when the program ends.

    A collection can happen in any thread at any point, while it holds any lock, so it only starts a thread. A forked
    child has a copy of the executor, whose sessions belong to its parent.
    """
    if not pool.process.is_current:
        return
    if threading.main_thread().is_alive():
        threading.Thread(target=pool.end, name="agb-executor-end").start()
    else:
        pool.end()
