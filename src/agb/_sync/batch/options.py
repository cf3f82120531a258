# Generated from src/agb/_async/batch/options.py by tools/unasync.py. Do not edit.
"""How a batch is run: its options, checked."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from os import PathLike
from typing import Any

from attrs import field, frozen

from ..._ops.arguments import check_create_params, check_warm_browser
from ..._wire.deadline import check_timeout
from ...browser_options import BrowserOption
from ...outcomes import RetryOn
from ...owned import check_name as check_owner_name
from ...session_params import CreateSessionParams
from ..lifecycle.session_pool import SessionPool

MAX_NAME_LENGTH = 100


@frozen
class BatchOptions:
    """The options of a batch; see `AGB.map`. They are pickled for the workers of an executor."""

    params: CreateSessionParams | None
    """None if sessions are borrowed from a pool."""
    concurrency: int
    ordered: bool
    pool: SessionPool | bool
    timeout: float | None
    attempts: int
    retries: int | None
    retry_on: RetryOn
    buffer: int
    key: Callable[[Any], str] | None
    redo_failed: bool
    warm_browser: BrowserOption | None = field(converter=check_warm_browser)

    def check(self) -> None:
        """Raise `TypeError` or `ValueError` for an option that cannot be used."""
        if not isinstance(self.pool, (bool, SessionPool)):
            raise TypeError(f"pool is True, False or a pool that client.pool() returned, not {self.pool!r}")
        if isinstance(self.pool, bool):
            check_create_params(self.params)
        elif self.params is not None:
            raise ValueError("params are those of the pool: pass one of the two")
        if self.warm_browser is not None and not isinstance(self.pool, bool):
            raise ValueError("warm_browser is an argument of the pool: client.pool(..., warm_browser=...)")
        _check_number("concurrency", self.concurrency, 1)
        _check_number("attempts", self.attempts, 1)
        if self.retries is not None:
            _check_number("retries", self.retries, 0)
        _check_number("buffer", self.buffer, 0)
        check_timeout(self.timeout)
        _check_retry_on(self.retry_on)
        if self.key is not None and not callable(self.key):
            raise TypeError(f"key is a function that returns an item's name, not a {type(self.key).__name__}")

    @property
    def session_params(self) -> CreateSessionParams:
        """What sessions are created from, by the batch or by the pool that lends them."""
        params = self.params if isinstance(self.pool, bool) else self.pool.params
        assert params is not None  # `check` raises without them
        return params


@frozen
class ExecutorOptions:
    """How a batch is distributed over the workers of an executor."""

    executor: Executor | Callable[[], Executor] | None
    """None if it is not."""
    chunk_size: int | None
    chunks: int | None
    chunk_timeout: float | None
    send_key: bool

    def check(self) -> None:
        """Raise `TypeError` or `ValueError` for an option that cannot be used."""
        for name, number in (("chunk_size", self.chunk_size), ("chunks", self.chunks)):
            if number is not None:
                _check_number(name, number, 1)
        check_timeout(self.chunk_timeout, "chunk_timeout")
        if self.executor is None:
            if (self.chunk_size, self.chunks, self.chunk_timeout, self.send_key) != (None, None, None, False):
                raise ValueError(
                    "chunk_size, chunks, chunk_timeout and send_key are for an executor: pass executor=... with them"
                )
        elif not (hasattr(self.executor, "submit") or callable(self.executor)):
            raise TypeError(
                f"executor is an executor, or a function that makes one, not a {type(self.executor).__name__}"
            )


def check_items(items: object) -> None:
    """Raise `TypeError` unless ``items`` is an iterable of items."""
    if not (hasattr(items, "__iter__") or hasattr(items, "__iter__")) or isinstance(items, (str, bytes)):
        raise TypeError(f"items is an iterable of items, not a {type(items).__name__}")


def check_journal(journal: str | PathLike[str] | None, options: BatchOptions) -> None:
    """Raise `TypeError` or `ValueError` unless ``journal`` can be a path, and options that need one have one."""
    if journal is not None and not isinstance(journal, (str, PathLike)):
        raise TypeError(f"journal is the path of a file, not {type(journal).__name__}")
    if journal is None and (options.key is not None or options.redo_failed):
        raise ValueError("key and redo_failed are for a journal: pass journal=... with them")


def check_name(name: str | None) -> None:
    """Raise `TypeError` or `ValueError` unless a batch can have this name."""
    if name is not None and len(check_owner_name(name, "name")) > MAX_NAME_LENGTH:
        raise ValueError(f"name is one line of 1 to {MAX_NAME_LENGTH} characters, not {name!r}")


def _check_number(name: str, number: object, minimum: int) -> None:
    if isinstance(number, bool) or not isinstance(number, int):
        raise TypeError(f"{name} is a whole number, not {number!r}")
    if number < minimum:
        raise ValueError(f"{name} is a number >= {minimum}, not {number}")


def _check_retry_on(retry_on: RetryOn) -> None:
    classes = retry_on if isinstance(retry_on, tuple) else (retry_on,)
    if all(isinstance(one, type) and issubclass(one, BaseException) for one in classes):
        return
    if not callable(retry_on) or isinstance(retry_on, type):
        raise TypeError(f"retry_on is a class of exceptions, several in a tuple, or a function, not {retry_on!r}")
