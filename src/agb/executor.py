"""Sessions as a `concurrent.futures.Executor`: programs that take an executor run their functions in sandboxes.

Needs the extra ``agb[executor]`` (cloudpickle).
"""

from __future__ import annotations

import json
import pickle
import platform
import secrets
import sys
import threading
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from concurrent.futures import wait as _wait
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from itertools import chain, islice
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Generic, Literal, NoReturn, ParamSpec, TypeVar, get_args
from weakref import finalize
from zipfile import ZIP_DEFLATED, ZipFile

from attrs import frozen

from ._ops.ownership import Owner, nameless
from ._ops.tools import process as processes
from ._ops.tools import program
from ._ops.tools import remote_call as ops
from ._sync._compat.cancellation import CLEANUP_LIMIT
from ._sync.client import AGB
from ._sync.lifecycle.deletion import deletion_error, warn_left_behind
from ._sync.modules.process import LONGEST_WAIT, Process, observe
from ._sync.session import Session
from ._wire.deadline import check_timeout
from .exceptions import AGBError, ErrorKind, ExecutionError, RemoteTraceback
from .session_params import CreateSessionParams

P = ParamSpec("P")
T = TypeVar("T")

Results = Literal["pickle", "json"]
INLINE = 32 * 1024
"""Bytes of a pickled call that travel with the start of its process; a larger one goes as a file before it."""
SETUP_MS = 60_000
"""Milliseconds that a session may take to unpack what it needs."""


class BrokenSandbox(ExecutionError, BrokenExecutor):  # noqa: N818 - beside BrokenProcessPool, BrokenThreadPool
    """The process or the session of a function ended before the function did.

    Only the one function is concerned; the executor goes on with a new session. It is raised by ``submit`` too when no
    session of this executor could run anything, as with the wrong Python version.

    Attributes:
        exit_code: of the process, 128 plus the signal's number after a signal (137 is what a lack of memory gives);
            None if it is not known.
    """

    def __init__(self, name: str = "", *args: Any, exit_code: int | None = None, **kwargs: Any) -> None:
        super().__init__(name, *args, **kwargs)
        self.exit_code = exit_code


class SandboxFuture(Future[T]):
    r"""What `SandboxExecutor.submit` gives: a future that, once done, also tells what the function has written.

    Attributes:
        stdout, stderr: what it has written, the first 256 KiB of each; ``""`` until it is done.
        session_id: the session it ran in, ``""`` until it runs.

    Example:
        >>> from agb import CreateSessionParams, SandboxExecutor
        >>> with SandboxExecutor(CreateSessionParams(image_id="agb-code-space-1")) as executor:
        ...     future = executor.submit(print, "hello")
        >>> future.stdout
        'hello\n'
    """

    def __init__(self) -> None:
        super().__init__()
        self.stdout = ""
        self.stderr = ""
        self.session_id = ""


class SandboxExecutor(Executor):
    """Runs Python functions in sandbox sessions; a `concurrent.futures.Executor` like those of processes and threads.

    Function, arguments and result travel as cloudpickle's pickles, so lambdas, closures and functions of the main
    program work, and an exception arrives as itself, with the traceback of the session as its cause. Each call runs in
    a Python process of its own in one of at most ``max_workers`` sessions, which are made when needed and used again.
    A session whose function did not come to its end is deleted, and the next call gets a new one.

    Leaving a ``with`` block waits for what was submitted and deletes the sessions; if the block is left by an exception
    such as Ctrl-C, nothing is waited for. They are deleted at the end of the program too, if nobody did it before.

    Args:
        params: what each session is created from.
        max_workers: how many functions run at a time, and sessions exist, at most.
        client: the client to use, which is not closed; without it, one made from the environment.
        timeout: seconds that a call may run; then it is ended and its future has an `ExecutionError` of the kind timed
            out. Without it, it may run forever.
        prepare: called with each new session before anything runs in it, to install packages or bring files.
        python: the session's interpreter, a name or a path; without it ``python3.11`` (of the version this program
            runs on) or else ``python3``.
        cwd: the working directory of the functions, which they can import modules from; without it, a fixed directory
            of the session.
        envs: environment variables for them.
        by_value: modules, and packages with all their modules, whose functions and classes travel with the call since
            the session does not have them; what they import in turn is not brought.
        results: ``"pickle"``, or ``"json"`` if a session is not trusted: unpickling runs what the pickle says, and code
            that took over a session can answer with any pickle. With ``"json"`` nothing from a session is unpickled;
            functions return what JSON can say (tuples become lists), and what they raise is an `ExecutionError`.

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
        _cloudpickle()
        _check(params, max_workers, client, prepare, python, results)
        check_timeout(timeout)
        self._by_value = _modules(by_value)
        self._form: Results = results
        self._timeout = timeout
        self._cwd = cwd
        self._envs = dict(envs or {})
        program.run_script("true", self._envs)  # raises if they cannot be used
        self._owned = client is None
        self._client = AGB() if client is None else client
        self._sandboxes = _Sandboxes(self._client, params, prepare, python)
        self._threads = ThreadPoolExecutor(max_workers, "agb-executor")
        self._lock = threading.Lock()
        self._unfinished: set[SandboxFuture[Any]] = set()
        self._is_shut = False
        self._finalizer = finalize(self, _let_go, self._sandboxes)

    def __repr__(self) -> str:
        state = "shut down" if self._is_shut else f"{len(self._unfinished)} calls, {len(self._sandboxes.all)} sessions"
        return f"<{type(self).__name__}: {state}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a SandboxExecutor holds sessions and is not pickled or copied; make one where it is needed")

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> SandboxFuture[T]:
        """Have a function called in a session, and return its future at once.

        The future's exception is the function's own, or an `ExecutionError`: if the exception or the result cannot
        travel, if its time was over, and as `BrokenSandbox` if its process or session was lost. A future that runs
        cannot be cancelled, as with every executor; ``shutdown(cancel_futures=True)`` ends it.

        Raises:
            TypeError: the function or its arguments cannot be pickled; nothing was sent.
            RuntimeError: the executor is shut down, or, as `BrokenSandbox`, no session can run its functions.
        """
        if not callable(fn):
            raise TypeError(f"a function is submitted, not {type(fn).__name__} ({fn!r})")
        call = self._pickled(fn, args, kwargs)
        future: SandboxFuture[T] = SandboxFuture()
        with self._lock:
            if self._is_shut:
                raise RuntimeError("cannot submit a function: the executor is shut down")
            if self._sandboxes.unusable is not None:
                raise _unusable(self._sandboxes.unusable)
            self._threads.submit(self._work, _Work(future, call, secrets.token_hex(16)))
            self._unfinished.add(future)
        return future

    def map(
        self, fn: Callable[..., T], *iterables: Iterable[Any], timeout: float | None = None, chunksize: int = 1
    ) -> Iterator[T]:
        """Call a function for each item, several at a time, and return an iterator of the results in order.

        As the ``map`` of every executor it submits all at once; see ``agb.map`` for batches of any length.

        Args:
            fn: the function, with as many arguments as there are iterables.
            iterables: where the arguments come from; the shortest one ends it.
            timeout: seconds from now until the last result must be there; then the iterator raises `TimeoutError`.
            chunksize: how many items one process handles; more than one spares the overhead of a call for each.

        Raises:
            ValueError, TypeError: an argument cannot be used; nothing was sent.
        """
        if isinstance(chunksize, bool) or not isinstance(chunksize, int) or chunksize < 1:
            raise ValueError(f"chunksize is a number of items, at least 1, not {chunksize!r}")
        if chunksize == 1:
            return super().map(fn, *iterables, timeout=timeout)

        def each(chunk: list[tuple[Any, ...]]) -> list[T]:  # a local function, so it travels by value
            return [fn(*args) for args in chunk]

        items = zip(*iterables, strict=False)
        chunks = iter(lambda: list(islice(items, chunksize)), [])
        return chain.from_iterable(super().map(each, chunks, timeout=timeout))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take nothing more, and delete the sessions once everything submitted is done.

        Args:
            wait: whether to return when that has happened, or at once.
            cancel_futures: cancel what does not run yet, and end what runs by deleting its session; its future has a
                `BrokenSandbox`.
        """
        with self._lock:
            self._is_shut = True
            unfinished = list(self._unfinished)
        try:
            if cancel_futures:
                self._break_off(unfinished)
            elif wait:
                _wait(unfinished)  # not by joining threads: Python 3.11 takes an interrupted join for their end
        except BaseException:
            self._break_off(unfinished)
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

    def _work(self, work: _Work[Any]) -> None:
        try:
            if work.future.set_running_or_notify_cancel():
                self._perform(work)
        finally:
            with self._lock:
                self._unfinished.discard(work.future)
                is_last = self._is_shut and not self._unfinished
            if is_last:
                self._finish()

    def _perform(self, work: _Work[T]) -> None:
        """Run a call and tell its future."""
        try:
            sandbox, process = self._start(work)
        except BaseException as error:  # noqa: BLE001 - the future raises it
            work.future.set_exception(error)
            return
        work.future.session_id = sandbox.session.session_id
        try:
            ended = sandbox.end_of(process, work)
        except BaseException as error:  # noqa: BLE001 - the future raises it
            ended_early = isinstance(error, BrokenSandbox) and self._sandboxes.is_ending
            work.future.set_exception(_ended_early() if ended_early else error)
            self._sandboxes.drop(sandbox)
            return
        self._sandboxes.give_back(sandbox)  # so that whoever submits again once this is done finds it
        try:
            value: T = self._value(ended, work.future)
        except BaseException as error:  # noqa: BLE001 - the future raises it
            work.future.set_exception(error)
        else:
            work.future.set_result(value)
        sandbox.tidy(process, ended)

    def _start(self, work: _Work[Any]) -> tuple[_Sandbox, Process]:
        """Start the process of a call, in a new session if one that was idle has been released meanwhile."""
        while True:
            sandbox, is_new = self._sandboxes.take()
            try:
                return sandbox, sandbox.start(work, self._form, self._timeout, self._cwd, self._envs)
            except AGBError as error:
                self._sandboxes.drop(sandbox)
                if self._sandboxes.is_ending:
                    raise _ended_early() from error
                if is_new or error.kind is not ErrorKind.NOT_FOUND:
                    raise

    def _value(self, ended: _Ended, future: SandboxFuture[T]) -> T:
        """Return the result that a call's answer tells, or raise its exception."""
        future.stdout, future.stderr = ended.stdout, ended.stderr
        answer = ended.answer
        if not answer.name:
            try:
                result: T = json.loads(answer.content) if self._form == "json" else pickle.loads(answer.content)  # noqa: S301 - documented
            except Exception as error:
                what = f"the result of the function arrived and cannot be read here ({self._form})"
                raise ExecutionError(type(error).__name__, f"{what}: {error}", session_id=future.session_id) from error
            return result
        raised = _exception(answer, self._form, future.session_id)
        raised.__cause__ = RemoteTraceback(answer.traceback)
        _annotate(raised, ended.stdout, ended.stderr, future.session_id)
        raise raised

    # --- the rest ------------------------------------------------------------------------------------------------

    def _pickled(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bytes:
        try:
            with _by_value(self._by_value):
                call: bytes = _cloudpickle().dumps((fn, args, kwargs))
        except Exception as error:
            name = getattr(fn, "__qualname__", None) or repr(fn)
            raise TypeError(f"{name} and its arguments cannot be pickled to travel to a session: {error}") from error
        return call

    def _break_off(self, futures: list[SandboxFuture[Any]]) -> None:
        for future in futures:
            future.cancel()
        self._sandboxes.end()

    def _finish(self) -> None:
        """Delete the sessions, once nothing runs or will run any more; may be called twice."""
        self._sandboxes.end()
        if self._owned:
            self._client.close()


@frozen(eq=False)
class _Work(Generic[T]):
    """A call on its way: who waits for it, its pickle, and what its answer is known by."""

    future: SandboxFuture[T]
    call: bytes
    mark: str


@frozen
class _Ended:
    """What a process left that ran a function to its end."""

    answer: ops.Answer
    stdout: str
    stderr: str
    file: str
    """The file the answer came in, ``""`` if there was none."""


class _Sandbox:
    """A session that can run functions, one at a time."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._executable = ""
        self._directory = ""

    def set_up(self, python: str | None) -> None:
        """Find the interpreter and bring what it needs; raise `_WrongPython` if there is no right one."""
        command, envs = ops.setup(_version(), _pythons(python), _files())
        said = self.session.command.execute(command, SETUP_MS, envs=envs, check=True).stdout
        try:
            found = ops.read_setup(said)
        except ValueError:
            raise BrokenSandbox(f"the session's Python did not answer as expected: {said[:200]!r}") from None
        if found is None or not found.directory:
            raise _WrongPython(found, python, self.session)
        self._executable, self._directory = found.executable, found.directory

    def start(
        self, work: _Work[Any], form: str, timeout: float | None, cwd: str | None, envs: Mapping[str, str]
    ) -> Process:
        """Start the process of a call."""
        variables = dict(envs)
        if len(work.call) <= INLINE:
            variables[ops.CALL] = b64encode(work.call).decode("ascii")
        else:
            self.session.file.write(self._path(f"{work.mark}.call"), work.call).raise_for_error()
        command = [self._executable, self._path(_PROGRAM.name), work.mark, form, str(processes.CHUNK)]
        return self.session.command.start(command, cwd=cwd, envs=variables, timeout=timeout)

    def end_of(self, process: Process, work: _Work[Any]) -> _Ended:
        """Wait for the end of a call; raise `BrokenSandbox` or, if its time was over, `ExecutionError`."""
        try:
            look = observe(process, chunk=processes.CHUNK, wait=LONGEST_WAIT, for_output=False)
            while look.is_running:
                look = observe(process, chunk=0, wait=LONGEST_WAIT, for_output=False)
                if not look.is_running:
                    look = observe(process, chunk=processes.CHUNK)
            stdout, answer = ops.parted(look.stdout, work.mark)
            file = ""
            if answer is None and look.exit_code == 0:
                file = self._path(f"{work.mark}.answer")
                answer = self._content(file)
            if answer is not None:
                told = ops.read_answer(answer)
                return _Ended(told, _text(stdout), _text(look.stderr), file)
        except (AGBError, ValueError) as error:
            why = f"the session {self.session.session_id} was lost while the function ran, or its answer was: {error}"
            raise BrokenSandbox(why, session_id=self.session.session_id) from error
        work.future.stdout, work.future.stderr = _text(stdout), _text(look.stderr)
        lost: ExecutionError
        if look.has_expired:
            why = f"the function was ended when its time was over, in session {self.session.session_id}"
            lost = ExecutionError(why, kind=ErrorKind.TIMED_OUT, session_id=self.session.session_id)
        else:
            code = look.exit_code
            lost = BrokenSandbox(
                f"the function's process ended before the function did, {_how(code)}",
                exit_code=code,
                session_id=self.session.session_id,
            )
        _annotate(lost, work.future.stdout, work.future.stderr, self.session.session_id)
        raise lost

    def _content(self, path: str) -> bytes | None:
        """Return the bytes of a file, None if there is no such file."""
        read = self.session.file.read(path, format="bytes")
        if read.error is not None and read.error.kind is ErrorKind.NOT_FOUND:
            return None
        return read.raise_for_error().content

    def tidy(self, process: Process, ended: _Ended) -> None:
        """Remove what a call has left; should that fail, it goes with the session."""
        process.cleanup()
        if ended.file:
            self.session.file.remove(ended.file)

    def _path(self, name: str) -> str:
        return f"{self._directory}/{name}"


class _Sandboxes:
    """The sessions of an executor: made when wanted, idle ones taken again, deleted once and for all by `end`.

    It does not know its executor, which can thus be collected, and its sessions deleted, without having been shut down.
    """

    def __init__(
        self, client: AGB, params: CreateSessionParams, prepare: Callable[[Session], object] | None, python: str | None
    ) -> None:
        self.all: set[_Sandbox] = set()
        self.is_ending = False
        self.unusable: AGBError | None = None
        """Why no session can run anything, if one has turned out not to."""
        self._owner = Owner("executor", nameless())
        self._idle: list[_Sandbox] = []
        self._lock = threading.Lock()
        self._client = client
        self._params = params
        self._prepare = prepare
        self._python = python

    def take(self) -> tuple[_Sandbox, bool]:
        """Return an idle sandbox, or a new one and True."""
        with self._lock:
            if self.is_ending:
                raise _ended_early()
            if self.unusable is not None:
                raise _unusable(self.unusable)
            if self._idle:
                return self._idle.pop(), False
        created = self._client.create(self._params, owner=self._owner).raise_for_error()
        assert created.session is not None  # noqa: S101 - a success has one
        sandbox = _Sandbox(created.session)
        with self._lock:
            self.all.add(sandbox)
            is_late = self.is_ending
        try:
            if is_late:
                raise _ended_early()
            if created.error is not None:
                raise created.error
            if self._prepare is not None:
                self._prepare(created.session)
            sandbox.set_up(self._python)
        except BaseException as error:
            if isinstance(error, _WrongPython):
                self.unusable = error
            self.drop(sandbox)
            if self.is_ending:
                raise _ended_early() from error
            raise
        return sandbox, True

    def give_back(self, sandbox: _Sandbox) -> None:
        """Keep a sandbox for the next call."""
        with self._lock:
            if sandbox in self.all:
                self._idle.append(sandbox)

    def drop(self, sandbox: _Sandbox) -> None:
        """Delete a sandbox that shall not be used again, unless somebody else does."""
        with self._lock:
            is_ours = sandbox in self.all
            self.all.discard(sandbox)
        if is_ours:
            _delete(sandbox)

    def end(self) -> None:
        """Delete all sandboxes, whatever runs in them, and make no more."""
        with self._lock:
            self.is_ending = True
            sandboxes = list(self.all)
            self.all.clear()
            self._idle.clear()
        if not threading.main_thread().is_alive():  # the interpreter ends, and starts no thread any more
            for sandbox in sandboxes:
                _delete(sandbox)
        elif sandboxes:  # in threads, which Ctrl-C does not interrupt
            with ThreadPoolExecutor(min(len(sandboxes), 16), "agb-executor-end") as threads:
                _wait([threads.submit(_delete, sandbox) for sandbox in sandboxes])


def _delete(sandbox: _Sandbox) -> None:
    error = deletion_error(sandbox.session.delete(timeout=CLEANUP_LIMIT))
    if error is not None:
        warn_left_behind(sandbox.session.session_id, error)


def _let_go(sandboxes: _Sandboxes) -> None:
    """Delete the sessions of an executor that was collected or is still there when the program ends."""
    if threading.main_thread().is_alive():  # collected, anywhere: whoever is interrupted by that may hold any lock
        threading.Thread(target=sandboxes.end, name="agb-executor-end").start()
    else:
        sandboxes.end()


# --- what travels ------------------------------------------------------------------------------------------------

_PROGRAM = Path(__file__).with_name("_remote_call.py")


@cache
def _cloudpickle() -> Any:
    try:
        import cloudpickle
    except ImportError as error:
        raise ImportError("SandboxExecutor needs cloudpickle: pip install 'agb[executor]'") from error
    return cloudpickle


@cache
def _files() -> str:
    """Return what a session needs: our program, and the cloudpickle of this program, so that both ends are the same."""
    package = Path(_cloudpickle().__file__).parent
    packed = BytesIO()
    with ZipFile(packed, "w", ZIP_DEFLATED) as archive:
        archive.write(_PROGRAM, _PROGRAM.name)
        for path in sorted(package.glob("*.py")):
            archive.write(path, f"cloudpickle/{path.name}")
    return b64encode(packed.getvalue()).decode("ascii")


_pickling = threading.Lock()


@contextmanager
def _by_value(modules: Iterable[ModuleType]) -> Iterator[None]:
    """Have cloudpickle bring modules along; what it knows of that belongs to the process, so it is put back."""
    registry = _cloudpickle()
    with _pickling:
        new = [module for module in modules if module.__name__ not in registry.list_registry_pickle_by_value()]
        for module in new:
            registry.register_pickle_by_value(module)
        try:
            yield
        finally:
            for module in new:
                registry.unregister_pickle_by_value(module)


def _version() -> str:
    return f"{platform.python_implementation()} {sys.version_info.major}.{sys.version_info.minor}"


def _pythons(python: str | None) -> str:
    return python or f"python{sys.version_info.major}.{sys.version_info.minor} python3 python"


# --- errors ------------------------------------------------------------------------------------------------------


class _WrongPython(BrokenSandbox):
    """No session of this executor has an interpreter that can run its functions."""

    def __init__(self, found: ops.Interpreter | None, python: str | None, session: Session) -> None:
        image = f"the image {session.image_id}" if session.image_id else "the session"
        if found is None:
            why = f"{image} has no Python by the name {' or '.join(_pythons(python).split())}"
        else:
            why = f"{image} has {found.version} ({found.executable}), and this program runs on {_version()}"
        super().__init__(
            f"{why}: functions travel as bytecode, which only the same version reads. Take an image with "
            f"{_version()}, name its interpreter with python='...', or run this program on the version of the session",
            session_id=session.session_id,
        )


def _unusable(why: AGBError) -> BrokenSandbox:
    return BrokenSandbox(str(why), session_id=why.session_id)


def _ended_early() -> BrokenSandbox:
    return BrokenSandbox("the executor was shut down before the function came to its end")


def _exception(answer: ops.Answer, form: Results, session_id: str) -> Exception:
    """Return the exception of a function: itself if it arrived and may be unpickled, otherwise what was told of it."""
    if answer.is_pickled and form == "pickle":
        try:
            error = pickle.loads(answer.content)  # noqa: S301 - documented
        except Exception as why:  # noqa: BLE001 - noted
            note = f"the exception itself cannot be unpickled here: {type(why).__name__}: {why}"
        else:
            if isinstance(error, Exception):
                return error
            note = f"in place of the exception came a {type(error).__name__}"
    else:
        note = ""
    told = ExecutionError(answer.name, answer.value, answer.traceback, session_id=session_id)
    if note:
        told.add_note(note)
    return told


def _annotate(error: BaseException, stdout: str, stderr: str, session_id: str) -> None:
    """Note with an exception what its function has written, for whoever sees nothing but a traceback."""
    for name, text in (("output", stdout), ("error output", stderr)):
        if text.strip():
            short = text if len(text) <= 2000 else f"...{text[-2000:]}"
            error.add_note(f"its {name} in session {session_id}:\n{short.rstrip()}")
    if isinstance(error, ModuleNotFoundError) or (
        isinstance(error, ExecutionError) and error.name == "ModuleNotFoundError"
    ):
        error.add_note("modules that the session lacks can be installed by prepare=, or travel along by by_value=[...]")


def _how(exit_code: int | None) -> str:
    if exit_code is None:
        return "and its exit code is not known"
    by_signal = f", as by signal {exit_code - 128}" if 128 < exit_code < 128 + 65 else ""
    memory = "; a lack of memory looks like this" if exit_code == 128 + 9 else ""
    return f"with exit code {exit_code}{by_signal}{memory}"


def _text(output: bytes) -> str:
    return output.decode("utf-8", "replace")


# --- arguments ---------------------------------------------------------------------------------------------------


def _check(
    params: object, max_workers: object, client: object, prepare: object, python: object, results: object
) -> None:
    if not isinstance(params, CreateSessionParams):
        raise TypeError(f"params is a CreateSessionParams, not {type(params).__name__} ({params!r})")
    if isinstance(max_workers, bool) or not isinstance(max_workers, int):
        raise TypeError(f"max_workers is a number of sessions, not {max_workers!r}")
    if max_workers < 1:
        raise ValueError(f"max_workers is a number of sessions, at least 1, not {max_workers}")
    if client is not None and not isinstance(client, AGB):
        raise TypeError(
            f"client is an AGB, the synchronous one, since it is used by threads; not {type(client).__name__}"
        )
    if prepare is not None and not callable(prepare):
        raise TypeError(f"prepare is a function of a session, not {prepare!r}")
    if python is not None and not (isinstance(python, str) and python.split() == [python]):
        raise ValueError(f"python is the name or the path of an interpreter, without spaces, not {python!r}")
    if results not in get_args(Results):
        raise ValueError(f"results is 'pickle' or 'json', not {results!r}")


def _modules(by_value: object) -> tuple[ModuleType, ...]:
    modules: tuple[Any, ...] = (
        (by_value,) if isinstance(by_value, str) or not isinstance(by_value, Iterable) else tuple(by_value)
    )
    for module in modules:
        if not isinstance(module, ModuleType):
            raise TypeError(f"by_value is a list of modules, such as [mymodule], not of {type(module).__name__}")
    return modules
