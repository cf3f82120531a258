"""What is sent to a session: pickles of calls, and the program that runs them there."""

from __future__ import annotations

import platform
import sys
import threading
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

PROGRAM = Path(__file__).with_name("_remote_call.py")
"""The program that runs a call in the session."""


@cache
def cloudpickle() -> Any:
    """Return the module cloudpickle.

    Raises:
        ImportError: it is not installed.
    """
    try:
        import cloudpickle as module
    except ImportError as error:
        raise ImportError("SandboxExecutor needs cloudpickle: pip install 'agb[executor]'") from error
    return module


@cache
def session_files() -> str:
    """Return a zip archive in base64 of the program and of this program's cloudpickle, so both ends use the same."""
    package = Path(cloudpickle().__file__).parent
    packed = BytesIO()
    with ZipFile(packed, "w", ZIP_DEFLATED) as archive:
        archive.write(PROGRAM, PROGRAM.name)
        for path in sorted(package.glob("*.py")):
            archive.write(path, f"cloudpickle/{path.name}")
    return b64encode(packed.getvalue()).decode("ascii")


_registry_lock = threading.Lock()


@contextmanager
def _by_value(modules: Iterable[ModuleType]) -> Iterator[None]:
    """Have cloudpickle pickle modules by value; its registry belongs to the process, so it is restored afterwards."""
    registry = cloudpickle()
    with _registry_lock:
        new = [module for module in modules if module.__name__ not in registry.list_registry_pickle_by_value()]
        for module in new:
            registry.register_pickle_by_value(module)
        try:
            yield
        finally:
            for module in new:
                registry.unregister_pickle_by_value(module)


def python_version() -> str:
    """Return the implementation and version of this Python, such as ``"CPython 3.11"``."""
    return f"{platform.python_implementation()} {sys.version_info.major}.{sys.version_info.minor}"


def interpreter_names(python: str | None) -> str:
    """Return the names of interpreters to try in the session, separated by spaces."""
    return python or f"python{sys.version_info.major}.{sys.version_info.minor} python3 python"


def pickle_call(
    fn: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], by_value: Iterable[ModuleType]
) -> bytes:
    """Return the pickle of a call.

    Raises:
        TypeError: the function or its arguments cannot be pickled.
    """
    try:
        with _by_value(by_value):
            call: bytes = cloudpickle().dumps((fn, args, kwargs))
    except Exception as error:
        name = getattr(fn, "__qualname__", None) or repr(fn)
        raise TypeError(f"{name} and its arguments cannot be pickled to travel to a session: {error}") from error
    return call
