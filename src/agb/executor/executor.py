"""`SandboxExecutor`: runs Python functions in sandbox sessions."""

from __future__ import annotations

import json
import pickle
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from itertools import chain, islice
from types import ModuleType, TracebackType
from typing import Any, NoReturn, ParamSpec, TypeVar
from weakref import finalize

from .._ops.tools import program
from .._sync.client import AGB
from .._sync.modules.process import Process
from .._sync.session import Session
from .._wire.deadline import check_timeout
from ..exceptions import AGBError, ErrorKind, ExecutionError, RemoteTraceback
from ..session_params import CreateSessionParams
from .arguments import Results, check_arguments, check_modules
from .errors import BrokenSandbox, annotate, ended_early, exception_of, unusable
from .pickling import cloudpickle, pickle_call
from .sandbox import Call, FinishedCall, Sandbox, SandboxFuture
from .sandbox_pool import SandboxPool, end_in_background

P = ParamSpec("P")
T = TypeVar("T")


class SandboxExecutor(Executor):
    """Runs Python functions in sandbox sessions; a `concurrent.futures.Executor` like those of processes and threads.

    Function, arguments and result are pickled by cloudpickle, so lambdas, closures and functions of the main program
    work, and an exception keeps its type, with the traceback of the session as its cause. Each call runs in a Python
    process of its own in one of at most ``max_workers`` sessions, which are created when needed and used again. A
    session whose function did not end is deleted, and the next call runs in a new one.

    Leaving a ``with`` block waits for all submitted calls and deletes the sessions; a block that is left by an
    exception such as Ctrl-C does not wait. Sessions that exist when the program ends are deleted too. A forked child
    leaves the block without doing anything, and cannot submit calls.

    Args:
        params: what each session is created from.
        max_workers: how many functions run at a time, and sessions exist, at most.
        client: the client to use, which is not closed; without it, one made from the environment.
        timeout: seconds that a call may run; then it is ended and its future has an `ExecutionError` of the kind timed
            out. Without it there is no limit.
        prepare: called with each new session before anything runs in it, to install packages or write files.
        python: the session's interpreter, a name or a path; without it ``python3.11`` (of the version this program
            runs on) or else ``python3``.
        cwd: the working directory of the functions, which they can import modules from; without it, a fixed directory
            of the session.
        envs: environment variables for them.
        by_value: modules, and packages with all their modules, whose functions and classes are sent with the call since
            the session does not have them; modules that they import are not sent.
        results: ``"pickle"``, or ``"json"`` if a session is not trusted: unpickling runs what the pickle says, and code
            that took over a session can answer with any pickle. With ``"json"`` nothing from a session is unpickled;
            functions return JSON values (tuples become lists), and their exceptions arrive as `ExecutionError`.

    Raises:
        ImportError: cloudpickle is not installed.
        ValueError, TypeError: an argument cannot be used, or there is no API key.

    Example:
        >>> from agb import CreateSessionParams, SandboxExecutor
        >>> with SandboxExecutor(CreateSessionParams(image_id="agb-code-space-1"), max_workers=2) as executor:
        ...     print(executor.submit(pow, 2, 10).result(), list(executor.map(lambda n: n * n, range(4))))
        1024 [0, 1, 4, 9]
    """

    def __init__(
        self,
        params: CreateSessionParams,
        *,
        max_workers: int = 4,
        client: AGB | None = None,
        timeout: float | None = None,
        prepare: Callable[[Session], object] | None = None,
        python: str | None = None,
        cwd: str | None = None,
        envs: Mapping[str, str] | None = None,
        by_value: Iterable[ModuleType] = (),
        results: Results = "pickle",
    ) -> None:
        cloudpickle()
        check_arguments(params, max_workers, client, prepare, python, results)
        check_timeout(timeout)
        self._by_value = check_modules(by_value)
        self._format: Results = results
        self._timeout = timeout
        self._cwd = cwd
        self._envs = dict(envs or {})
        program.run_script("true", self._envs)  # raises if they cannot be used
        self._owns_client = client is None
        self._client = AGB() if client is None else client
        self._sandboxes = SandboxPool(self._client, params, prepare, python)
        self._threads = ThreadPoolExecutor(max_workers, "agb-executor")
        self._lock = threading.Lock()
        self._unfinished: set[SandboxFuture[Any]] = set()
        self._is_shut = False
        self._finalizer = finalize(self, end_in_background, self._sandboxes)

    def __repr__(self) -> str:
        state = "shut down" if self._is_shut else f"{len(self._unfinished)} calls, {len(self._sandboxes.all)} sessions"
        return f"<{type(self).__name__}: {state}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a SandboxExecutor holds sessions and is not pickled or copied; make one where it is needed")

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> SandboxFuture[T]:
        """Have a function called in a session, and return its future at once.

        The future's exception is the function's own, or an `ExecutionError`: if the exception or the result cannot be
        pickled, if its time was over, and as `BrokenSandbox` if its process or session was lost. A running future
        cannot be cancelled, as with every executor; ``shutdown(cancel_futures=True)`` ends it.

        Raises:
            TypeError: the function or its arguments cannot be pickled; nothing was sent.
            RuntimeError: the executor is shut down, or, as `BrokenSandbox`, no session can run its functions.
        """
        if not callable(fn):
            raise TypeError(f"a function is submitted, not {type(fn).__name__} ({fn!r})")
        pickled = pickle_call(fn, args, kwargs, self._by_value)
        future: SandboxFuture[T] = SandboxFuture()
        self._sandboxes.process.check("a SandboxExecutor")
        with self._lock:
            if self._is_shut:
                raise RuntimeError("cannot submit a function: the executor is shut down")
            if self._sandboxes.unusable is not None:
                raise unusable(self._sandboxes.unusable)
            self._threads.submit(self._run, Call(future, pickled, secrets.token_hex(16)))
            self._unfinished.add(future)
        return future

    def map(
        self, fn: Callable[..., T], *iterables: Iterable[Any], timeout: float | None = None, chunksize: int = 1
    ) -> Iterator[T]:
        """Call a function for each item, several at a time, and return an iterator of the results in order.

        As the ``map`` of every executor it submits all at once; see ``client.map`` for batches of any length.

        Args:
            fn: the function, with as many arguments as there are iterables.
            iterables: the arguments; the shortest one ends it.
            timeout: seconds from now until the last result must be there; then the iterator raises `TimeoutError`.
            chunksize: how many items one process handles; with more than one the overhead of a call is shared.

        Raises:
            ValueError, TypeError: an argument cannot be used; nothing was sent.
        """
        if isinstance(chunksize, bool) or not isinstance(chunksize, int) or chunksize < 1:
            raise ValueError(f"chunksize is a number of items, at least 1, not {chunksize!r}")
        if chunksize == 1:
            return super().map(fn, *iterables, timeout=timeout)

        def each(chunk: list[tuple[Any, ...]]) -> list[T]:  # a local function, so it is pickled by value
            return [fn(*args) for args in chunk]

        items = zip(*iterables, strict=False)
        chunks = iter(lambda: list(islice(items, chunksize)), [])
        return chain.from_iterable(super().map(each, chunks, timeout=timeout))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Accept no more calls, and delete the sessions once all submitted calls are done.

        Args:
            wait: whether to return when that is done, or at once.
            cancel_futures: cancel calls that do not run yet, and end those that run by deleting their sessions; their
                futures have a `BrokenSandbox`.
        """
        if not self._sandboxes.process.is_current:
            return
        with self._lock:
            self._is_shut = True
            unfinished = list(self._unfinished)
        try:
            if cancel_futures:
                self._abort(unfinished)
            elif wait:
                wait_for(unfinished)  # not by joining threads: Python 3.11 takes an interrupted join for their end
        except BaseException:
            self._abort(unfinished)
            raise
        finally:
            self._threads.shutdown(wait=wait)
            if not self._unfinished:
                self._finish()

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        self.shutdown(wait=True, cancel_futures=exc is not None)
        return None

    # --- a call, in a thread -------------------------------------------------------------------------------------

    def _run(self, call: Call[Any]) -> None:
        try:
            if call.future.set_running_or_notify_cancel():
                self._perform(call)
        finally:
            with self._lock:
                self._unfinished.discard(call.future)
                is_last = self._is_shut and not self._unfinished
            if is_last:
                self._finish()

    def _perform(self, call: Call[T]) -> None:
        """Run a call and complete its future."""
        try:
            sandbox, process = self._start(call)
        except BaseException as error:  # raised by the future
            call.future.set_exception(error)
            return
        call.future.session_id = sandbox.session.session_id
        try:
            finished = sandbox.wait(process, call)
        except BaseException as error:  # raised by the future
            is_cut_off = isinstance(error, BrokenSandbox) and self._sandboxes.is_ending
            call.future.set_exception(ended_early() if is_cut_off else error)
            self._sandboxes.drop(sandbox)
            return
        self._sandboxes.give_back(
            sandbox
        )  # before the future is done, so that a call submitted after it finds the session
        try:
            value: T = self._value(finished, call.future)
        except BaseException as error:  # raised by the future
            call.future.set_exception(error)
        else:
            call.future.set_result(value)
        sandbox.tidy(process, finished)

    def _start(self, call: Call[Any]) -> tuple[Sandbox, Process]:
        """Start the process of a call, in a new session if an idle one was released by the service meanwhile."""
        while True:
            sandbox, is_new = self._sandboxes.take()
            try:
                return sandbox, sandbox.start(call, self._format, self._timeout, self._cwd, self._envs)
            except AGBError as error:
                self._sandboxes.drop(sandbox)
                if self._sandboxes.is_ending:
                    raise ended_early() from error
                if is_new or error.kind is not ErrorKind.NOT_FOUND:
                    raise

    def _value(self, finished: FinishedCall, future: SandboxFuture[T]) -> T:
        """Return the result in a call's answer, or raise its exception."""
        future.stdout, future.stderr = finished.stdout, finished.stderr
        answer = finished.answer
        if not answer.name:
            try:
                result: T = json.loads(answer.content) if self._format == "json" else pickle.loads(answer.content)
            except Exception as error:
                text = f"the result of the function arrived and cannot be read here ({self._format}): {error}"
                raise ExecutionError(type(error).__name__, text, session_id=future.session_id) from error
            return result
        raised = exception_of(answer, self._format, future.session_id)
        raised.__cause__ = RemoteTraceback(answer.traceback)
        annotate(raised, finished.stdout, finished.stderr, future.session_id)
        raise raised

    # --- the rest ------------------------------------------------------------------------------------------------

    def _abort(self, futures: list[SandboxFuture[Any]]) -> None:
        for future in futures:
            future.cancel()
        self._sandboxes.end()

    def _finish(self) -> None:
        """Delete the sessions, once no call runs or will run any more; may be called twice."""
        self._sandboxes.end()
        if self._owns_client:
            self._client.close()
