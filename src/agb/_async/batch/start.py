"""The start of a batch: its arguments are checked, and it is decided where its items are processed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from os import PathLike
from typing import TYPE_CHECKING, Any, TypeVar

from ...outcomes import RetryOn
from .._compat.flavour import check_function
from .._compat.iteration import AnyIterable
from .map import AsyncBatch
from .options import BatchOptions, ExecutorOptions, check_items, check_journal, check_name

if TYPE_CHECKING:
    from ...browser_options import BrowserOption
    from ...session_params import CreateSessionParams
    from ..client import AsyncAGB
    from ..host.progress import Progress
    from ..lifecycle.session_pool import AsyncSessionPool
    from ..session import AsyncSession

ItemT = TypeVar("ItemT")


def start_batch(
    agb: AsyncAGB,
    function: Callable[[AsyncSession, ItemT], Any],
    items: AnyIterable[ItemT],
    *,
    params: CreateSessionParams | None,
    concurrency: int,
    ordered: bool,
    pool: AsyncSessionPool | bool,
    timeout: float | None,
    attempts: int,
    retries: int | None,
    retry_on: RetryOn,
    buffer: int | None,
    progress: Progress,
    journal: str | PathLike[str] | None,
    key: Callable[[ItemT], str] | None,
    redo_failed: bool,
    name: str | None,
    executor: Executor | Callable[[], Executor] | None,
    chunk_size: int | None,
    chunks: int | None,
    chunk_timeout: float | None,
    send_key: bool,
    warm_browser: bool | BrowserOption,
) -> AsyncBatch[ItemT, Any]:
    """Return a batch with these arguments, checked; see `AsyncAGB.map`. It starts when it is entered."""
    check_function(function)
    check_items(items)
    options = BatchOptions(
        params=params,
        concurrency=concurrency,
        ordered=bool(ordered),
        pool=pool,
        timeout=timeout,
        attempts=attempts,
        retries=retries,
        retry_on=retry_on,
        buffer=concurrency if buffer is None else buffer,
        key=key,
        redo_failed=bool(redo_failed),
        warm_browser=warm_browser,
    )
    options.check()
    distribution = ExecutorOptions(executor, chunk_size, chunks, chunk_timeout, bool(send_key))
    distribution.check()
    if executor is not None and not isinstance(pool, bool):
        raise ValueError("a pool of sessions does not travel to the workers of an executor: pass pool=True")
    check_journal(journal, options)
    check_name(name)
    if executor is None:
        return AsyncBatch(agb, function, items, options, progress, journal, name)
    from .distributed import AsyncDistributedBatch  # not needed by most programs

    return AsyncDistributedBatch(agb, function, items, options, distribution, progress, journal, name)
