"""Running code: one kernel per session and language, started when first needed, one piece of code at a time."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

from attrs import field, frozen

from ..._wire.run_end import EndReason
from ..sandbox.sandbox import Sandbox, SandboxGone
from .base import Broken, Execution, Kernel, KernelDied

_GRACE_SECONDS = 5.0
"""How long interrupted code may take to stop before its kernel is ended."""
TIMEOUT_ERROR = "TimeoutError"
KERNEL_DIED = "KernelDied"


class Interpreter:
    """One language of one session: one kernel, which is replaced when it has ended, with a note on the next stderr.

    Calls are serialised by a lock. The code runs in a task of its own, `_running`, so that cancelling the caller does
    not cancel the conversation with the kernel halfway: the caller interrupts the code and waits for that task, and the
    kernel is in a known state when the lock is released. Only a caller that is cancelled twice leaves the task behind;
    the next call finds it and stops it first.
    """

    def __init__(self, language: str, make: Callable[[], Kernel]) -> None:
        self.on_run: Callable[[], None] = lambda: None
        """Called before each piece of code, when its kernel has started."""
        self._language = language
        self._make = make
        self._lock = asyncio.Lock()
        self._kernel: Kernel | None = None
        self._running: asyncio.Task[None] | None = None

    async def start_ahead(self) -> None:
        """Start the kernel before there is code; if that fails, the first code starts one and reports why not."""
        async with self._lock:
            if self._kernel is None:
                kernel = self._make()
                with contextlib.suppress(KernelDied, SandboxGone):
                    await kernel.start()
                    self._kernel = kernel

    async def run(self, code: str, execution: Execution, *, timeout: float) -> None:
        """Run code after the code of earlier calls; ``execution`` takes its output.

        ``timeout`` seconds count from the start of the code. Then it is interrupted, and if that does not help within
        a few seconds its kernel is ended; the execution's ``error`` reports both. Cancelling the caller interrupts the
        code in the same way.
        """
        async with self._lock:
            try:
                kernel = await self._started(execution)
            except KernelDied as error:
                why = f"the {self._language} kernel {error}"
                execution.error = Broken(KERNEL_DIED, why, reason=EndReason.NOT_STARTED)
                return
            self.on_run()
            began = time.perf_counter()
            try:
                await self._run(kernel, code, timeout, execution)
            finally:
                execution.seconds = time.perf_counter() - began

    async def stop(self) -> None:
        """End the kernel, and with it the code that runs."""
        if self._kernel is not None:
            await self._kernel.stop()

    async def _started(self, execution: Execution) -> Kernel:
        if self._running is not None and self._kernel is not None and not self._running.done():
            await self._break_off(self._kernel, self._running)  # its caller was cancelled twice
        if self._kernel is not None and not self._kernel.is_alive:
            if self._kernel.output is not None:
                self._kernel.output.pass_late(execution)
            execution.write(
                "stderr", f"[the {self._language} kernel had ended; this is a new one without its variables]\n"
            )
            await self._kernel.stop()
            self._kernel = None
        if self._kernel is None:
            kernel = self._make()
            await kernel.start()
            self._kernel = kernel
        return self._kernel

    async def _run(self, kernel: Kernel, code: str, timeout: float, execution: Execution) -> None:
        running = self._running = asyncio.create_task(kernel.execute(code, execution))
        try:
            done, _ = await asyncio.wait({running}, timeout=timeout)
            stopped = True if done else await self._break_off(kernel, running)
        except asyncio.CancelledError:
            await asyncio.shield(self._break_off(kernel, running))
            raise
        if not done:
            ending = (
                ""
                if stopped
                else f" It could not be interrupted, so the {self._language} kernel was ended; variables are lost."
            )
            why = f"Execution timeout: the code ran longer than {timeout:g} s.{ending}"
            execution.error = Broken(TIMEOUT_ERROR, why, reason=EndReason.TIMEOUT)
        elif isinstance(error := running.exception(), KernelDied):
            await kernel.stop()
            why = f"the {self._language} kernel {error}. The next call gets a new one; variables are lost."
            execution.error = Broken(KERNEL_DIED, why, reason=EndReason.KERNEL_DIED)
        elif error is not None:
            raise error

    async def _break_off(self, kernel: Kernel, running: asyncio.Task[None]) -> bool:
        """Stop running code; return whether its kernel has survived."""
        await kernel.interrupt()
        done, _ = await asyncio.wait({running}, timeout=_GRACE_SECONDS)
        if not done:
            running.cancel()
            await kernel.stop()
            await asyncio.wait({running})
        # Reading the exception keeps asyncio from reporting it as never retrieved.
        return not running.cancelled() and running.exception() is None


@frozen
class Languages:
    """The languages this machine offers, and their kernels."""

    found: dict[str, str]
    """Language -> version."""
    missing: dict[str, str]
    """Language -> what to install."""
    programs: dict[str, str] = field(factory=dict)
    """Language -> the program that runs it; Python is the runtime's own."""
    trees: dict[str, Path] = field(factory=dict)
    """Language -> the directory or file of the machine that a sandbox must show for its program."""
    fixed: tuple[str, ...] = ("r",)
    """Languages that work only where they are installed: R's programs contain the path."""

    def interpreter(self, language: str, sandbox: Sandbox) -> Interpreter:
        """Return an interpreter of a language in ``found``; nothing is started yet."""
        return Interpreter(language, functools.partial(self._kernel, language, sandbox))

    def _kernel(self, language: str, sandbox: Sandbox) -> Kernel:
        program = sandbox.seen(self.programs.get(language, ""))
        match language:
            case "javascript":
                from .javascript import JavaScriptKernel

                return JavaScriptKernel(sandbox, program)
            case "java":
                from .java import JavaKernel

                return JavaKernel(sandbox, program)
            case "r":
                from .r import RKernel

                return RKernel(sandbox, program)
        from .python import PythonKernel

        return PythonKernel(sandbox)


@frozen
class _Found:
    """A language that was looked for."""

    version: str = ""
    """Empty if it is not here."""
    program: str = ""
    tree: Path | None = None


def find_languages() -> Languages:
    """Return the languages of this machine. Starts their programs to read the versions."""
    found: dict[str, str] = {}
    missing: dict[str, str] = {}
    if find_spec("ipykernel") is None or find_spec("jupyter_client") is None:
        missing["python"] = "install the Python packages ipykernel and jupyter-client (pip install 'agb[local]')"
    else:
        found["python"] = ".".join(map(str, sys.version_info[:3]))
    finders: dict[str, tuple[Callable[[], _Found], str]] = {
        "javascript": (_find_node, "install Node.js 18 or later (the program node)"),
        "java": (
            _find_java,
            "install a JDK 11 or later, with jshell (Debian and Ubuntu: apt install openjdk-17-jdk-headless)",
        ),
        "r": (_find_r, "install R, with the program Rscript (Debian and Ubuntu: apt install r-base-core)"),
    }
    with ThreadPoolExecutor(len(finders)) as pool:
        answers = {language: pool.submit(find) for language, (find, _) in finders.items()}
    programs: dict[str, str] = {}
    trees: dict[str, Path] = {}
    for language, answer in answers.items():
        here = answer.result()
        if not here.version:
            missing[language] = finders[language][1]
            continue
        found[language], programs[language] = here.version, here.program
        if here.tree is not None:
            trees[language] = here.tree
    return Languages(found, missing, programs, trees)


def _find_node() -> _Found:
    node = shutil.which("node") or shutil.which("nodejs")
    version = _version_output(node, "--version") if node else ""
    major = version.removeprefix("v").partition(".")[0]
    if node is None or not major.isdigit() or int(major) < 18:
        return _Found()
    real = Path(os.path.realpath(node))
    prefix = real.parent.parent
    # The directory it is installed in, if it has one of its own; else the program alone.
    has_own = (prefix / "include/node").is_dir() or (prefix / "lib/node_modules").is_dir()
    has_own = has_own and not Path.home().is_relative_to(prefix)
    return _Found(f"node {version}", str(real), prefix if has_own else real)


def _find_java() -> _Found:
    # A Java without jshell has no compiler either; the java of the same installation is the one that fits.
    jshell = shutil.which("jshell")
    if jshell is None:
        return _Found()
    java = Path(os.path.realpath(jshell)).parent / "java"
    version = re.search(r'version "(\d+)([^"]*)"', _version_output(str(java), "-version"))
    if version is None or int(version[1]) < 11:
        return _Found()
    return _Found(f"java {version[1]}{version[2]}", str(java), java.parent.parent)


def _find_r() -> _Found:
    rscript = shutil.which("Rscript")
    version = re.search(r"version (\d+\.\d+\.\d+)", _version_output(rscript, "--version")) if rscript else None
    if rscript is None or version is None:
        return _Found()
    real = Path(os.path.realpath(rscript))
    prefix = real.parent.parent
    return _Found(f"R {version[1]}", str(real), prefix if (prefix / "lib/R").is_dir() else prefix.parent)


def _version_output(program: str, option: str) -> str:
    """Return the output of a program's version option, of both streams; an empty text if it fails."""
    try:
        done = subprocess.run([program, option], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (done.stdout + done.stderr).strip() if done.returncode == 0 else ""
