"""The arrival of data: waits until the contexts of a new session have been downloaded into it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..._ops import contexts as ops
from ..._ops.sync_tasks import MountWatch, Verdict
from ..._wire.deadline import Deadline
from ...context_sync import ContextSync
from ...exceptions import AGBError, SessionError
from ...results.syncs import ContextStatusData
from .._compat.loop import sleep

if TYPE_CHECKING:
    from ..api import AsyncAPI


async def wait_for_contexts(
    api: AsyncAPI, session_id: str, syncs: Sequence[ContextSync], deadline: Deadline
) -> tuple[list[ContextStatusData], SessionError | None]:
    """Wait for the data of the contexts of a new session; return its downloads, and which data is missing."""
    watch, began = MountWatch(syncs), deadline.left()
    status = ops.get_context_info(session_id)
    pause, error = 0.02, None
    while True:
        try:
            rows, _ = await api.call(status, deadline=deadline.part(api.timeout))
        except AGBError as failure:
            error = failure if deadline.left() > 0 else None
            break
        if watch.look(rows) is Verdict.DONE or deadline.left() <= 0:
            break
        await sleep(min(pause, 1.0, deadline.left()))
        pause *= 1.5
    return watch.tasks, watch.failure(session_id, began - deadline.left(), error)
