"""Writing files of a session in pieces.

A service's `write_file` takes text at least; whether it takes bytes, its schema says. Where it takes none, bytes travel
in base64 through scripts of the shell. Either way, a file that takes several calls is written to a temporary file in
the directory of the target, and moved over the target at the end. A rename within one directory is atomic: a reader
sees the old file or the new one, and a failure on the way leaves the old file as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from ..._ops.sessions import get_session
from ..._ops.tools import file_scripts as scripts
from ..._ops.tools import files as ops
from ..._wire.toolcall import ToolCall, parse_tool_list
from ...results.base import BoolResult
from ...results.sessions import GetSessionResult, McpTool
from .._compat.concurrency import gather
from .._compat.iteration import AnyBytesIterable, each
from ..host.progress import AsyncProgressReport
from .file_calls import CHUNK, CONCURRENT_CALLS, AsyncFileCalls, random_token

if TYPE_CHECKING:
    from .protocols import AsyncSessionAccess


class AsyncFileWriter:
    """Writes files of one session; it remembers whether the session's `write_file` takes bytes."""

    def __init__(self, session: AsyncSessionAccess) -> None:
        self._session = session
        self._takes_bytes: bool | None = None

    @property
    def _id(self) -> str:
        return self._session.session_id

    async def replace(self, path: str, data: bytes, calls: AsyncFileCalls, report: AsyncProgressReport) -> BoolResult:
        """Write a whole file, by one call if it fits into one."""
        call = await self._single_call(path, data, calls)
        if call is None:
            return await self.replace_by_chunks(path, (data,), calls, report, len(data))
        result = await calls.run(call)
        await report.add(len(data), len(data))
        return result

    async def _single_call(self, path: str, data: bytes, calls: AsyncFileCalls) -> ToolCall[BoolResult] | None:
        """Return the one call that writes everything, None if it takes several."""
        if len(data) > CHUNK:
            return None
        if await self._can_take_bytes(calls):
            return ops.write_file(path, data, session_id=self._id)
        if len(data) > scripts.PIECE:
            return None
        return scripts.write_at_once(path, data, random_token(), session_id=self._id)

    async def append(self, path: str, data: bytes, calls: AsyncFileCalls, report: AsyncProgressReport) -> BoolResult:
        """Append piece by piece; a piece whose answer is lost is not sent again, since it may have been written."""
        as_bytes = await self._can_take_bytes(calls)
        size = CHUNK if as_bytes else scripts.PIECE
        result = BoolResult(success=True, data=True)
        for start in range(0, max(len(data), 1), size):
            piece = data[start : start + size]
            if as_bytes:
                call = ops.write_file(path, piece, "append", session_id=self._id)
            else:
                call = scripts.append(path, piece, session_id=self._id)
            result = await calls.run(call)
            await report.add(len(piece), len(data))
        return result

    async def replace_by_chunks(
        self,
        path: str,
        chunks: AnyBytesIterable,
        calls: AsyncFileCalls,
        report: AsyncProgressReport,
        total: int | None = None,
    ) -> BoolResult:
        """Write chunks to a temporary file beside the target, and move it there once all of them have arrived.

        The last call compares the size of the temporary file with the bytes that were sent, so a piece that was lost
        or written twice is an error and never a damaged file. Whatever ends the writing early, a cancellation
        included, removes the temporary file.
        """
        place = await calls.run(scripts.begin(path, random_token(), session_id=self._id))
        try:
            size = await self.fill(place, chunks, calls, report, total)
            return await calls.run(scripts.finish(place, size, session_id=self._id))
        except BaseException:
            await calls.remove_temporary(place.temporary)
            raise

    async def fill(
        self,
        place: scripts.Place,
        chunks: AnyBytesIterable,
        calls: AsyncFileCalls,
        report: AsyncProgressReport,
        total: int | None = None,
    ) -> int:
        """Write chunks to an empty file; return the number of bytes.

        `write_file` can only append, so its pieces are sent one after the other. A script writes each piece at its own
        offset, so several are sent at the same time, in any order, and each may be repeated.
        """
        as_bytes = await self._can_take_bytes(calls)
        pieces = _Pieces(chunks, CHUNK if as_bytes else scripts.PIECE)
        number = 0
        while batch := await pieces.receive(1 if as_bytes else CONCURRENT_CALLS):
            todo = [self._piece(place, number + i, piece, as_bytes) for i, piece in enumerate(batch)]
            await gather([partial(calls.run, call) for call in todo])
            number += len(batch)
            await report.add(sum(len(piece) for piece in batch), total)
        return report.done

    def _piece(self, place: scripts.Place, number: int, data: bytes, as_bytes: bool) -> ToolCall[BoolResult]:
        if as_bytes:
            return ops.write_file(place.temporary, data, "append", session_id=self._id)
        return scripts.put_piece(place, number, data, session_id=self._id)

    async def _can_take_bytes(self, calls: AsyncFileCalls) -> bool:
        """Return whether `write_file` takes bytes; the service is asked once, if the session's tool list is empty."""
        if self._takes_bytes is None:
            self._takes_bytes = ops.takes_bytes(self._session.tool_list or [])
        if self._takes_bytes is None:
            self._takes_bytes = ops.takes_bytes(await self._tools(calls)) or False
        return self._takes_bytes

    async def _tools(self, calls: AsyncFileCalls) -> Sequence[McpTool]:
        """Return the tools of the session's image, or of the session itself if it was attached to by its id."""
        if self._session.image_id:
            return (await self._session.list_mcp_tools(timeout=calls.left())).tools
        api = self._session.get_client()
        result = await api.result(get_session(self._id), GetSessionResult, timeout=calls.left())
        tools = parse_tool_list(result.data.tool_list if result.data else "")
        return [McpTool(tool["name"], input_schema=tool.get("inputSchema")) for tool in tools]


class _Pieces:
    """Cuts chunks of any sizes into pieces of one size; only the last piece may be shorter."""

    def __init__(self, chunks: AnyBytesIterable, size: int) -> None:
        self._chunks = each(chunks)
        self._size = size
        self._left = memoryview(b"")
        self._is_over = False

    async def receive(self, count: int) -> list[bytes]:
        """Return the next pieces, at most ``count``; none at the end."""
        pieces: list[bytes] = []
        while len(pieces) < count and (piece := await self._piece()):
            pieces.append(piece)
        return pieces

    async def _piece(self) -> bytes:
        parts: list[memoryview] = []
        missing = self._size
        while missing:
            if not self._left and not await self._more():
                break
            parts.append(self._left[:missing])
            self._left = self._left[len(parts[-1]) :]
            missing -= len(parts[-1])
        return b"".join(parts)

    async def _more(self) -> bool:
        while not self._is_over:
            try:
                chunk = await self._chunks.__anext__()
            except StopAsyncIteration:
                self._is_over = True
                break
            if not isinstance(chunk, (bytes, bytearray, memoryview)):
                raise TypeError(f"chunks must be an iterable of bytes, not of {type(chunk).__name__}")
            self._left = memoryview(chunk).cast("B")
            if self._left:
                return True
        return False
