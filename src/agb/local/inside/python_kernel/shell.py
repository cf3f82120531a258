"""How the kernel runs code, where IPython's ways fit a terminal and not a session."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import signal
import site
import sys
import warnings
from collections.abc import Iterator
from typing import Any, NoReturn

from ipykernel.ipkernel import IPythonKernel
from ipykernel.zmqshell import ZMQInteractiveShell
from IPython.core import interactiveshell
from IPython.core.autocall import ZMQExitAutocall
from traitlets import Type, default

from .streams import StandardStreams

_EXIT_HINT = "To exit: use 'exit'"


class Exit(ZMQExitAutocall):
    """``exit`` and ``quit``: stop the code, as in a script."""

    def __call__(self, code: object = None) -> NoReturn:
        """Raise ``SystemExit``."""
        raise SystemExit(code)


def _warn(message: Any, category: type[Warning] | None = None, stacklevel: int = 1) -> None:
    """Warn, in the place of ``warnings.warn`` in IPython's shell; its hint to the user of a prompt is left out."""
    if not str(message).startswith(_EXIT_HINT):
        warnings.warn(message, category, stacklevel=stacklevel + 1)


class SessionShell(ZMQInteractiveShell):
    """Runs code."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        setattr(interactiveshell, "warn", _warn)  # noqa: B010 - not ours, so type checkers object
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]
        # Modules that the code imports use them as builtins.
        self.builtin_trap.auto_builtins.update(exit=self.exiter, quit=self.exiter)

    @default("exiter")
    def _own_exiter(self) -> Exit:
        return Exit(self)  # type: ignore[no-untyped-call]

    async def run_cell_async(self, *args: Any, **kwargs: Any) -> Any:
        """Run code; leaving it with no exit status, or 0, is a success."""
        result = await super().run_cell_async(*args, **kwargs)
        if _is_success(result.error_in_exec):
            result.error_in_exec = None
        return result

    def showtraceback(self, *args: Any, **kwargs: Any) -> None:
        """Report the exception that has ended the code."""
        error = sys.exc_info()[1]
        if _is_success(error):
            return
        _leave_out_own_frame(error)
        if isinstance(error, SystemExit):
            kwargs["exception_only"] = False
        super().showtraceback(*args, **kwargs)


def _is_success(error: BaseException | None) -> bool:
    return isinstance(error, SystemExit) and (error.code is None or (isinstance(error.code, int) and error.code == 0))


def _leave_out_own_frame(error: BaseException | None) -> None:
    """Let the traceback end where the code has called a function of this file, such as ``exit``."""
    frame = error.__traceback__ if error is not None else None
    while frame is not None:
        if frame.tb_next is not None and frame.tb_next.tb_frame.f_code.co_filename == __file__:
            frame.tb_next = None
        frame = frame.tb_next


def leave_out_debugger() -> None:
    """Let ipykernel find no debugpy: it is not used here, and importing it takes a third of the kernel's start.

    It is imported when a kernel object is made. The code can import it nevertheless.
    """
    if "debugpy" in sys.modules:
        return
    sys.modules["debugpy"] = None  # type: ignore[assignment]  # makes an import of it fail
    try:
        importlib.import_module("ipykernel.debugger")
    finally:
        del sys.modules["debugpy"]


class SessionKernel(IPythonKernel):
    """Executes what the runtime requests."""

    shell_class = Type(SessionShell)
    streams: StandardStreams
    _packages: float = 0.0

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "debugpy_stream": None})  # type: ignore[no-untyped-call]

    async def do_execute(self, *args: Any, **kwargs: Any) -> Any:
        """Run code."""
        self._find_installed_packages()
        try:
            return await super().do_execute(*args, **kwargs)  # type: ignore[no-untyped-call]
        finally:
            self.streams.restore()

    def _find_installed_packages(self) -> None:
        """Make what was installed since the last run importable."""
        importlib.invalidate_caches()
        own = site.getusersitepackages()
        try:
            changed = os.stat(own).st_mtime
        except OSError:
            return
        if changed != self._packages and not sys.flags.no_user_site:
            self._packages = changed
            site.addsitedir(own)  # reads the .pth files of packages that are installed as links to their source

    @contextlib.contextmanager
    def _cancel_on_sigint(self, future: asyncio.Future[Any]) -> Iterator[None]:
        """Interrupt code with a top-level await, in the place of ipykernel's own, which does not wake the event loop.

        Code that waits is cancelled. Code that runs between two awaits gets the exception where it is: the cell a
        ``KeyboardInterrupt``, another task a ``CancelledError``, since the former would end the event loop, and with
        it the kernel.
        """
        loop = asyncio.get_running_loop()

        def interrupt(*_: object) -> None:
            running = asyncio.current_task(loop)
            if running is not future:
                loop.call_soon_threadsafe(future.cancel)
            if running is not None:
                raise KeyboardInterrupt if running is future else asyncio.CancelledError

        before = signal.signal(signal.SIGINT, interrupt)
        ours, theirs = os.pipe()
        os.set_blocking(theirs, False)
        # The signal may reach another thread; the byte wakes this one.
        fd = signal.set_wakeup_fd(theirs, warn_on_full_buffer=False)
        loop.add_reader(ours, os.read, ours, 1 << 12)
        try:
            yield
        finally:
            signal.set_wakeup_fd(fd)
            signal.signal(signal.SIGINT, before)
            loop.remove_reader(ours)
            os.close(ours)
            os.close(theirs)

    def raw_input(self, *_: object, **__: object) -> NoReturn:
        """Fail: there is no input while code runs."""
        raise EOFError(
            "code has no standard input; write it to a file, start that with command.start(..., stdin=True), "
            "and write the input to the process"
        )

    getpass = raw_input
