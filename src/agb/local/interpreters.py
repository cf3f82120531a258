"""Running code: one kernel per session and language, started when first needed, one piece of code at a time."""

from __future__ import annotations

import asyncio
import functools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import field, frozen

from .kernels.base import Broken, Execution, Kernel, KernelDied
from .sandbox import Sandbox

if TYPE_CHECKING:
    import zmq.asyncio

_GRACE_SECONDS = 3.0
"""How long interrupted code may take to stop before its kernel is ended."""
TIMEOUT_ERROR = "TimeoutError"
KERNEL_DIED = "KernelDied"


class Interpreter:
    """One language of one session. The kernel is made again when it has ended, and whoever asked next is told."""

    def __init__(self, language: str, make: Callable[[], Kernel]) -> None:
        self._language = language
        self._make = make
        self._lock = asyncio.Lock()
        self._kernel: Kernel | None = None
        self._running: asyncio.Task[None] | None = None

    async def run(self, code: str, *, timeout: float, limit: int) -> tuple[Execution, float]:
        """Run code after what was asked before it; return what came out and the seconds it took.

        ``timeout`` seconds count from the start of the code. Then it is interrupted, and if that does not help within
        a few seconds its kernel is ended. Both are told in the execution's ``error``.
        """
        execution = Execution(limit)
        async with self._lock:
            try:
                kernel = await self._started(execution)
            except KernelDied as error:
                execution.error = Broken(KERNEL_DIED, f"the {self._language} kernel {error}")
                return execution, 0.0
            began = time.perf_counter()
            await self._run(kernel, code, timeout, execution)
            return execution, time.perf_counter() - began

    async def stop(self) -> None:
        """End the kernel, and with it the code that runs."""
        if self._kernel is not None:
            await self._kernel.stop()

    async def _started(self, execution: Execution) -> Kernel:
        if self._running is not None and self._kernel is not None and not self._running.done():
            await self._break_off(self._kernel, self._running)  # its caller was cancelled twice
        if self._kernel is not None and not self._kernel.is_alive:
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
            execution.error = Broken(
                TIMEOUT_ERROR, f"Execution timeout: the code ran longer than {timeout:g} s.{ending}"
            )
        elif isinstance(error := running.exception(), KernelDied):
            await kernel.stop()
            execution.error = Broken(
                KERNEL_DIED, f"the {self._language} kernel {error}. The next call gets a new one; variables are lost."
            )
        elif error is not None:
            raise error
        execution.finish()

    async def _break_off(self, kernel: Kernel, running: asyncio.Task[None]) -> bool:
        """Stop running code; return whether its kernel has survived."""
        await kernel.interrupt()
        done, _ = await asyncio.wait({running}, timeout=_GRACE_SECONDS)
        if not done:
            running.cancel()
            await kernel.stop()
            await asyncio.wait({running})
        # Without this asyncio would report an exception that nobody has asked for.
        return not running.cancelled() and running.exception() is None


@frozen
class Languages:
    """The languages this machine offers, and their kernels."""

    found: dict[str, str]
    """Language -> version."""
    missing: dict[str, str]
    """Language -> what to install."""
    node: str | None = None
    trees: tuple[Path, ...] = ()
    """What a sandbox must see of the machine for them."""
    _contexts: list[zmq.asyncio.Context] = field(factory=list, init=False, eq=False, repr=False)

    def interpreter(self, language: str, sandbox: Sandbox) -> Interpreter:
        """Return an interpreter of a language in ``found``; nothing is started yet."""
        return Interpreter(language, functools.partial(self._kernel, language, sandbox))

    def _kernel(self, language: str, sandbox: Sandbox) -> Kernel:
        if language == "javascript" and self.node is not None:
            from .kernels.javascript import JavaScriptKernel

            return JavaScriptKernel(sandbox, self.node)
        from .kernels.python import PythonKernel, make_context

        if not self._contexts:
            self._contexts.append(make_context())
        return PythonKernel(sandbox, self._contexts[0])

    def close(self) -> None:
        """Free what kernels shared; all of them must have ended."""
        while self._contexts:
            self._contexts.pop().destroy(linger=0)


def find_languages() -> Languages:
    """Return what this machine has. Starts programs to ask for their versions."""
    found: dict[str, str] = {}
    missing: dict[str, str] = {
        "java": "this runtime does not offer Java yet",
        "r": "this runtime does not offer R yet",
    }
    if find_spec("ipykernel") is None or find_spec("jupyter_client") is None:
        missing["python"] = "install the Python packages ipykernel and jupyter-client (pip install 'agb[local]')"
    else:
        found["python"] = ".".join(map(str, sys.version_info[:3]))
    node = shutil.which("node") or shutil.which("nodejs")
    version = _node_version(node) if node else ""
    if node is None or not version:
        missing["javascript"] = "install Node.js 18 or later (the program node)"
        return Languages(found, missing)
    found["javascript"] = f"node {version}"
    real = Path(os.path.realpath(node))
    return Languages(found, missing, str(real), (_node_tree(real),))


def _node_version(node: str) -> str:
    try:
        done = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=20, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return ""
    version = done.stdout.strip()
    major = version.removeprefix("v").partition(".")[0]
    return version if done.returncode == 0 and major.isdigit() and int(major) >= 18 else ""


def _node_tree(node: Path) -> Path:
    """Return the directory node is installed in, if it has one of its own; else the program alone."""
    prefix = node.parent.parent
    return prefix if (prefix / "include/node").is_dir() or (prefix / "lib/node_modules").is_dir() else node
