"""The WebSocket of a session: several pieces of code at a time, whose output is sent while they run.

API: WebSocket /sessions/{session_id}/ws. Back-pressure, from the code to the client:

- A kernel is never made to wait for a slow client: it serves all sockets of the session, and code that waits for one
  reader would hold up the others and run into its own time limit. So output goes into the socket's `_Outbox`, which
  never blocks the code.
- The outbox is bounded by three rules together. Each piece of code has a limit of output (`Execution.limit`). No new
  code is begun while more than ``_FULL`` characters wait. With more than ``_MANY`` events waiting, text is joined to
  the last event of the same stream and the same kind, so many small writes become few frames.
- Text is joined only to an event after which nothing else of its stream was queued (`_Stream.texts`). So each stream
  keeps the order of its events, and ``seq``, which is counted when a frame is taken for sending, has no gaps.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from typing import Any

from attrs import define, field
from starlette.responses import PlainTextResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from ..._wire.reply import UNAUTHORIZED
from ..._wire.run_end import EndReason
from ..._wire.stream import CANCEL, FrameError, StreamRequest, end_text, event_text, read_request, refusal_text
from ..errors import Refused, invalid
from ..kernels.base import Broken, Live
from ..sessions.runtime import Runtime
from ..sessions.session import LocalSession
from ..sessions.tasks import stop
from ..validation import shown
from .request import same_secret

logger = logging.getLogger("agb.local")

MOST_STREAMS = 256
"""Streams of one socket that may be pending."""
MOST_CODE = 64 << 20
"""Characters of code they may have together."""
CANCELLED = "Cancelled"

_FULL = 1 << 20
"""Characters that wait to be sent, beyond which no new code is begun."""
_MANY = 1000
"""Events that wait to be sent, beyond which text is joined."""
_LAST_FRAMES_SECONDS = 2.0
"""How long the client of a session that has ended may take to read the rest."""
_GOING_AWAY = 1001


class Streams:
    """The sockets of a runtime's sessions."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def serve(self, websocket: WebSocket) -> None:
        """Serve one socket until its client leaves or its session ends; refuse it without a session or its token."""
        try:
            session = self._session(websocket)
        except Refused as refused:
            denial = PlainTextResponse(f"{refused.message}\n", refused.http_status)
            await websocket.send_denial_response(denial)
            return
        await websocket.accept()
        try:
            await _Socket(self._runtime, session, websocket).serve()
        except Exception:
            # The application's error handlers are for HTTP only, so nothing else would log it.
            logger.exception("Unexpected error in a stream of %s", session.id)
            raise

    def _session(self, websocket: WebSocket) -> LocalSession:
        """Return the session of a socket; raise `Refused` if it has ended, or its token is missing or wrong."""
        session_id = websocket.path_params["session_id"]
        try:
            session = self._runtime.find(session_id)
        except Refused as refused:
            gone = f"The session {shown(session_id)} is not found: it has expired or was released"
            raise Refused(refused.code, gone, http_status=404) from refused
        if not same_secret(websocket.headers.get("x-access-token", ""), session.token):
            why = "The session's token is missing or wrong: send it in the header X-Access-Token"
            raise Refused(UNAUTHORIZED, why, http_status=403)
        return session


@define(eq=False)
class _Stream:
    """One pending invocation."""

    request: StreamRequest
    task: asyncio.Task[None] | None = None
    seq: int = 0
    is_cancelled: bool = False
    texts: dict[str, _Frame] = field(factory=dict)
    """The last stdout and stderr that wait to be sent, if nothing else of this stream was queued after them."""

    @property
    def size(self) -> int:
        """Characters of its code."""
        code = self.request.params.get("code")
        return len(code) if isinstance(code, str) else 0


@define(eq=False)
class _Frame:
    """A frame that waits to be sent: an event of a stream, its end, or a refusal (``stream`` is None)."""

    stream: _Stream | None
    kind: str
    payload: dict[str, Any]
    chunks: list[str] = field(factory=list)
    size: int = 0

    def frame(self) -> str:
        """Return the frame; to be called in the order of sending."""
        if self.stream is None:
            return refusal_text(str(self.payload["id"]), str(self.payload["error"]))
        request = self.stream.request
        if self.kind == "refusal":
            return refusal_text(request.invocation_id, str(self.payload["error"]), str(self.payload.get("code", "")))
        self.stream.seq += 1
        if self.kind == "end":
            return end_text(request, self.stream.seq, self.payload)
        payload = {"chunk": "".join(self.chunks)} if self.chunks else self.payload
        try:
            return event_text(request, self.stream.seq, self.kind, payload)
        except (ValueError, RecursionError) as error:  # a number that is none, or nested too deep
            mime = {"text/plain": f"[this result cannot be sent: {error}]"}
            result: dict[str, Any] = self.payload["result"]
            return event_text(request, self.stream.seq, self.kind, {"result": {**result, "mime": mime}})


class _Outbox:
    """The frames that wait to be sent on one socket; the rules that bound them are at the top of this module.

    Invariants: ``_size`` is the sum of the sizes of ``_waiting``; ``_filled`` is set exactly while there are any;
    ``_has_room`` is cleared when ``_size`` reaches ``_FULL`` and set when it has fallen below it. ``is_empty`` is set
    only when the last frame was also sent, so a socket that closes after it has lost nothing.
    """

    def __init__(self) -> None:
        self._waiting: deque[_Frame] = deque()
        self._size = 0
        self._filled = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self.is_empty = asyncio.Event()
        self.is_empty.set()

    def put(self, stream: _Stream, kind: str, payload: dict[str, Any]) -> None:
        """Add an event of a stream, or its end."""
        text = payload.get("chunk")
        if not isinstance(text, str):
            stream.texts.clear()
            self._add(_Frame(stream, kind, payload, size=_size(payload)))
            return
        last = stream.texts.get(kind)
        if last is not None and len(self._waiting) > _MANY and last.size < 1 << 16:
            last.chunks.append(text)
            last.size += len(text)
            self._size += len(text)
            return
        stream.texts[kind] = waiting = _Frame(stream, kind, {}, [text], len(text))
        self._add(waiting)

    def refuse(self, invocation_id: str, why: str) -> None:
        """Add the refusal of a frame that belongs to no stream."""
        self._add(_Frame(None, "refusal", {"id": invocation_id, "error": why}, size=len(why)))

    async def next(self) -> str:
        """Return the next frame, once there is one."""
        await self._filled.wait()
        waiting = self._waiting.popleft()
        self._size -= waiting.size
        if waiting.stream is not None and waiting.stream.texts.get(waiting.kind) is waiting:
            del waiting.stream.texts[waiting.kind]
        if not self._waiting:
            self._filled.clear()
        if self._size < _FULL:
            self._has_room.set()
        return waiting.frame()

    async def room(self) -> None:
        """Return once there is room for the output of new code."""
        await self._has_room.wait()

    def sent(self) -> None:
        """Note that the last frame taken was sent."""
        if not self._waiting:
            self.is_empty.set()

    def _add(self, waiting: _Frame) -> None:
        self._waiting.append(waiting)
        self._size += waiting.size
        self._filled.set()
        self.is_empty.clear()
        if self._size >= _FULL:
            self._has_room.clear()


def _size(payload: dict[str, Any]) -> int:
    mime = payload.get("result", {}).get("mime", {})
    return sum(len(value) for value in mime.values() if isinstance(value, str))


class _Socket:
    """One socket with the streams that are pending on it."""

    def __init__(self, runtime: Runtime, session: LocalSession, websocket: WebSocket) -> None:
        self._runtime = runtime
        self._session = session
        self._websocket = websocket
        self._outbox = _Outbox()
        self._streams: dict[str, _Stream] = {}

    async def serve(self) -> None:
        """Serve it; on return all its code has stopped.

        The first of three tasks to end decides: the reader (the client has left), the sender (the connection is broken)
        or the session. Then every stream is cancelled, which interrupts its code, and awaited.
        """
        reader = asyncio.create_task(self._read())
        sender = asyncio.create_task(self._send())
        ended = asyncio.create_task(self._session.sandbox.ended.wait())
        try:
            await asyncio.wait({reader, sender, ended}, return_when=asyncio.FIRST_COMPLETED)
            if ended.done() and not reader.done() and not sender.done():
                await self._send_the_end()
        finally:
            await stop({reader, sender, ended, *self._tasks()})
        for task in (reader, sender):
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    def _tasks(self) -> list[asyncio.Task[None]]:
        return [stream.task for stream in self._streams.values() if stream.task is not None]

    async def _read(self) -> None:
        with contextlib.suppress(WebSocketDisconnect):
            while (message := await self._websocket.receive())["type"] == "websocket.receive":
                text = message.get("text")
                try:
                    request = read_request(message["bytes"] if text is None else text)
                except FrameError as error:
                    if error.invocation_id:  # frames without an id, such as {"type": "ping"}, get no answer
                        self._outbox.refuse(error.invocation_id, str(error))
                    continue
                self._take(request)

    async def _send(self) -> None:
        with contextlib.suppress(WebSocketDisconnect):
            while True:
                await self._websocket.send_text(await self._outbox.next())
                self._outbox.sent()

    def _take(self, request: StreamRequest) -> None:
        pending = self._streams.get(request.invocation_id)
        if request.method == CANCEL:
            if pending is not None and pending.task is not None and not pending.is_cancelled:
                pending.is_cancelled = True
                pending.task.cancel()
            return
        try:
            self._check(request, pending)
        except Refused as refused:
            self._outbox.refuse(request.invocation_id, refused.message)
            return
        stream = _Stream(request)
        self._streams[request.invocation_id] = stream
        stream.task = asyncio.create_task(self._run(stream))

    def _check(self, request: StreamRequest, pending: _Stream | None) -> None:
        """Raise ``Refused`` unless the request can begin a stream."""
        if pending is not None:
            raise invalid("a stream with this invocationId is pending already; take a new id for each")
        if request.method != "run_code" or request.mode not in ("", "stream"):
            asked = f"method {shown(request.method)}, mode {shown(request.mode)}"
            raise invalid(f"streams are offered for method 'run_code', mode 'stream', not for {asked}")
        size = sum(stream.size for stream in self._streams.values())
        if len(self._streams) >= MOST_STREAMS or size > MOST_CODE:
            raise invalid(f"{len(self._streams)} streams are pending on this connection; wait for one to end")

    async def _run(self, stream: _Stream) -> None:
        """Run the code of a stream and send its output, then its end."""
        execution = Live(self._session.sandbox.limits.output, lambda kind, payload: self._put(stream, kind, payload))
        params = stream.request.params
        args = {**params, "timeout_s": params.get("timeoutS", params.get("timeout_s"))}
        try:
            await self._outbox.room()
            await self._runtime.stream_code(self._session.id, args, execution)
        except asyncio.CancelledError:
            if not stream.is_cancelled:
                raise  # the client has left
            why = "Execution cancelled: the caller asked for it"
            execution.error = Broken(CANCELLED, why, reason=EndReason.CANCELLED)
        except Refused as refusal:
            self._end(stream, "refusal", {"error": refusal.message, "code": refusal.code})
            return
        except Exception:
            logger.exception("Unexpected error in a stream of %s", self._session.id)
            self._end(stream, "refusal", {"error": "The runtime failed unexpectedly; its log has more"})
            return
        self._finish(stream, execution)

    def _finish(self, stream: _Stream, execution: Live) -> None:
        end: dict[str, Any] = {"status": "finished"}
        if (error := execution.error) is not None:
            details = {
                "code": error.name,
                "message": error.value,
                "traceId": "",
                "traceback": error.traceback,
                "reason": error.reason,
            }
            self._put(stream, "error", {"error": details})
            end = {"status": "failed", "executionError": str(error)}
        if execution.count is not None:
            end["executionCount"] = execution.count
        if execution.discarded:
            end["discarded"] = execution.discarded
        self._end(stream, "end", {**end, "executionTime": round(execution.seconds, 6)})

    def _put(self, stream: _Stream, kind: str, payload: dict[str, Any]) -> None:
        self._outbox.put(stream, kind, payload)

    def _end(self, stream: _Stream, kind: str, payload: dict[str, Any]) -> None:
        self._outbox.put(stream, kind, payload)
        self._streams.pop(stream.request.invocation_id, None)

    async def _send_the_end(self) -> None:
        """Send the last frames of the streams of a session that has ended, then close."""
        with contextlib.suppress(TimeoutError, WebSocketDisconnect):
            async with asyncio.timeout(_LAST_FRAMES_SECONDS):
                if tasks := self._tasks():
                    await asyncio.wait(tasks)
                await self._outbox.is_empty.wait()
                await self._websocket.close(_GOING_AWAY, "the session was released")
