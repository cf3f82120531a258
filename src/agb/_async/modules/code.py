"""Code in a session: run to its end, or with events while it runs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ..._ops.sessions import get_session, get_session_info, has_ended
from ..._ops.tools.code import check_language, run_code
from ..._ops.tools.code_stream import CodeRun, stream_request
from ..._wire.deadline import Deadline, check_timeout
from ..._wire.stream import CODE_SERVER, Phase
from ...events import CodeEvent, Error, Stderr, Stdout
from ...exceptions import AGBError, ErrorKind, Sent, SessionError
from ...results.code import EnhancedCodeExecutionResult
from .._compat.cancellation import shielded
from .._compat.flavour import BlockHint, Closable, IterationHint
from .._compat.loop import call
from .tools import run_tool

if TYPE_CHECKING:
    from ...language import Language
    from ..net.websocket import AsyncStream
    from .protocols import AsyncSessionAccess

STATUS_SECONDS = 5.0
"""Seconds for the request whether the session of a refused stream has ended."""


class AsyncCode:
    """Runs code in a session; available as ``session.code``."""

    def __init__(self, session: AsyncSessionAccess) -> None:
        self.session = session

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of session {self.session.session_id}>"

    async def run(
        self,
        code: str,
        language: Language,
        timeout_s: float = 60,
        stream_beta: bool = False,
        on_stdout: Callable[[str], Any] | None = None,
        on_stderr: Callable[[str], Any] | None = None,
        on_error: Callable[[Any], Any] | None = None,
        *,
        timeout: float | None = None,
    ) -> EnhancedCodeExecutionResult:
        """Run code and return its output, its displays and its value; variables are kept for the next run.

        If the caller is cancelled, or the deadline passes, the connection is closed; the local runtime interrupts the
        code then. A service that does not notice runs it to its time limit, unless it is streamed.

        Args:
            code: the source; in Python it is a notebook cell, the value of its last expression is the main result.
            language: ``python``, ``javascript``, ``java`` or ``r``; also ``py``, ``python3``, ``js``, ``node``,
                ``nodejs``.
            timeout_s: seconds after which the code is stopped, at most 86,400 (a day).
            stream_beta: live output, over the session's WebSocket; the three callbacks are used only then.
            on_stdout: called with each piece of output as it arrives.
            on_stderr: called with each piece of error output as it arrives.
            on_error: called once, with the service's description of an error (a dict), or with the exception that
                ended the stream early.
            timeout: seconds for the whole call; without it, the client's time-out on top of ``timeout_s``.

        Returns:
            A success if the code ran to its end without raising; otherwise ``error`` has name, value and traceback.
            ``truncated`` is how much output exceeded the limit of the service.
            An unsupported language is a failure, and nothing is sent. When streaming, the result of a failed run holds
            everything that arrived before the failure.

        Raises:
            ValueError, TypeError: an argument is invalid; nothing was sent.
            Exception: that of a callback; the execution is stopped then.

        Example:
            >>> async with client.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     result = await session.code.run("6 * 7", "python")
            ...     print(result.result)
            42

        API: the tool ``run_code``; when streaming, the session's WebSocket.
        """
        try:
            check_language(language)
        except ValueError as error:  # a result, as in 0.12
            failure = SessionError(str(error), kind=ErrorKind.REFUSED, session_id=self.session.session_id)
            return EnhancedCodeExecutionResult.failed(failure)
        if stream_beta:
            events = self.stream(code, language, timeout_s, timeout=timeout)
            return await _run_with_callbacks(events, on_stdout, on_stderr, on_error)
        tool = run_code(code, language, timeout_s, session_id=self.session.session_id)
        try:
            return await run_tool(self.session, tool, timeout=timeout)
        except AGBError as error:
            return EnhancedCodeExecutionResult.failed(error)

    def stream(
        self, code: str, language: Language, timeout_s: float = 60, *, timeout: float | None = None
    ) -> AsyncCodeEvents:
        """Run code and return its events as they happen: a context manager that is iterated over.

        The events are those of `agb.events`: ``Stdout``, ``Stderr``, ``Result``, ``Error`` and, last, ``Finished``.
        Leaving the block before the end stops the execution, and so do a passed deadline and a cancelled caller.

        Args:
            code: the source.
            language: as for `run`.
            timeout_s: seconds after which the service stops the code, at most 86,400 (a day); the last event is then a
                ``Finished`` whose ``error.kind`` is ``TIMED_OUT``.
            timeout: seconds for the whole call; without it, the client's time-out on top of ``timeout_s``.

        Raises:
            ValueError, TypeError: an argument is invalid.
            SessionError: when the block is entered: the stream could not be opened.
            ExecutionError: when iterating: the stream broke, or the deadline passed before the end; ``collect`` and
                ``result`` do not raise it, and have everything that arrived until then.

        Example:
            >>> async with client.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     async with session.code.stream("print('hello'); 6 * 7", "python") as events:
            ...         async for event in events:
            ...             if isinstance(event, Stdout):
            ...                 print(event.text, end="")
            ...     print(events.result().result)
            hello
            42

        API: the tool ``run_code`` over the session's WebSocket (``ws_url``).
        """
        check_language(language)
        check_timeout(timeout)
        return AsyncCodeEvents(self.session, stream_request(code, language, timeout_s), timeout_s, timeout)


class AsyncCodeEvents(Closable, BlockHint, IterationHint):
    """The events of code that runs, from ``session.code.stream``; entered once, and then iterated by one caller.

    A failure of the stream is raised once, by the iterator; `collect` and `result` report it in the result instead.

    Attributes:
        session: whose code it is.
        language: of the code, by the name that the service has for it.
    """

    # There is no reader task: a frame is read when the caller asks for an event. The end of the execution is one of
    # three: the service's last frame, a failure of the stream, or `aclose`. Each sets ``_is_over``, and after it only
    # ``_ready`` is returned: text that was held back because its last character was incomplete, and the last event.

    def __init__(
        self, session: AsyncSessionAccess, request: Mapping[str, Any], timeout_s: float, timeout: float | None
    ) -> None:
        self.session = session
        self.language: str = request["params"]["language"]
        self._request = request
        self._seconds = session.get_client().timeout + timeout_s if timeout is None else timeout
        self._stream: AsyncStream | None = None
        self._deadline = Deadline(self._seconds)
        self._run = CodeRun("", session.session_id)
        self._ready: deque[CodeEvent] = deque()
        self._failure: AGBError | None = None
        self._is_explained = False
        self._is_over = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of session {self.session.session_id}{', over' if self._is_over else ''}>"

    async def __aenter__(self) -> Self:
        await self._open()
        return self

    async def _open(self) -> None:
        if self._stream is not None:
            raise RuntimeError("code runs once: call session.code.stream again")
        session = self.session
        await self._learn_addresses()
        if not session.ws_url:
            raise self._unavailable("ws_url is not available for this session")
        if not session.token:
            raise self._unavailable("token is not available for WS connection")
        self._deadline = Deadline(self._seconds)
        channel = session.get_client().websocket(session.session_id, session.ws_url, session.token)
        servers = {tool.name: tool.server for tool in reversed(session.tool_list or [])}
        target = servers.get("run_code") or CODE_SERVER
        try:
            self._stream = await channel.start(self._request, target, self._deadline)
        except AGBError as error:
            raise await self._explained(error) from error
        self._run = CodeRun(self._stream.invocation_id, session.session_id)

    async def _learn_addresses(self) -> None:
        """Ask the service for the address of the session's streams, if the session was attached to by its id."""
        session, api = self.session, self.session.get_client()
        if session.ws_url or not session.needs_addresses:
            return
        data, _ = await api.call(get_session(session.session_id), timeout=min(self._seconds, api.timeout))
        session.ws_url, session.token, session.needs_addresses = data.ws_url, session.token or data.token, False

    async def _explained(self, error: AGBError) -> AGBError:
        """Return an error of the stream, as one of the kind not found if its cause is that the session has ended.

        A service that refuses a stream of a session that has ended need not say so: its token is not valid any more. So
        the state of the session is requested.
        """
        if error.kind not in (ErrorKind.BAD_CREDENTIALS, ErrorKind.REFUSED) or self._deadline.left() <= 0:
            return error
        api, session_id = self.session.get_client(), self.session.session_id
        try:
            status, _ = await api.call(get_session_info(session_id), timeout=min(STATUS_SECONDS, self._deadline.left()))
            is_over = has_ended(status, None)
        except AGBError as failure:
            is_over = has_ended("", failure)
        if not is_over:
            return error
        return SessionError(
            f"session {session_id} has ended: {error}",
            kind=ErrorKind.NOT_FOUND,
            request_id=error.request_id,
            code=error.code,
            http_status=error.http_status,
            session_id=session_id,
            sent=error.sent,
        )

    def _unavailable(self, reason: str) -> SessionError:
        return SessionError(f"Failed to run code: {reason}", session_id=self.session.session_id)

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Stop the execution if it has not ended; may be called twice."""
        if self._stream is not None and not self._stream.has_ended:
            if not self._is_over:
                self._run.fail(self._stopped(self._stream.invocation_id))
            self._is_over = True
            await shielded(self._stream.aclose)

    def _stopped(self, invocation_id: str) -> SessionError:
        return SessionError(
            "the execution was stopped before its end",
            session_id=self.session.session_id,
            request_id=invocation_id,
            sent=Sent.YES,
        )

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> CodeEvent:
        event = self._next_nowait()
        if event is not None:
            return event
        event = await self._next()
        if event is not None:
            return event
        if self._failure is None:
            raise StopAsyncIteration
        failure, self._failure = self._failure, None
        raise self._run.failure from failure

    async def collect(self) -> EnhancedCodeExecutionResult:
        """Read all further events and return the result; a failure is a result too, with everything before it."""
        while await self._next() is not None:
            pass
        self._failure = None
        return self._run.result()

    def result(self) -> EnhancedCodeExecutionResult:
        """Return the result of the events so far; it is no success before ``Finished``."""
        return self._run.result()

    async def _next(self) -> CodeEvent | None:
        """Return the next event, None at the end; a failure of the stream is kept in ``_failure``."""
        if self._stream is None:
            raise RuntimeError("the code runs when the block is entered: with session.code.stream(...) as events")
        while not self._ready:
            if self._is_over:
                if self._failure is not None and not self._is_explained:
                    self._is_explained = True
                    self._failure = await self._explained(self._failure)
                    self._run.fail(self._failure)
                return None
            try:
                phase, data = await self._stream.receive(self._deadline)
            except AGBError as error:
                self._fail(error)
                continue
            event = self._event_of(phase, data)
            if event is not None:
                return event
        return self._ready.popleft()

    def _next_nowait(self) -> CodeEvent | None:
        """Return the next event if its frame has arrived already, as most have; None if `_next` must find out."""
        if self._stream is None or self._ready or self._is_over:
            return None
        try:
            frame = self._stream.receive_nowait()
        except AGBError as error:
            self._fail(error)
            return None
        return None if frame is None else self._event_of(*frame)

    def _event_of(self, phase: Phase, data: Mapping[str, Any]) -> CodeEvent | None:
        """Return the event of a frame, None if it has none; the last events go to ``_ready``."""
        try:
            if phase == "event":
                return self._run.event(data)
            if phase == "end":
                end = self._run.end(data)
                self._is_over = True
                self._ready += [*self._run.rest(), end]
            else:
                self._fail(self._run.refused(data))
        except AGBError as error:  # the frame is not valid
            self._fail(error)
        return None

    def _fail(self, error: AGBError) -> None:
        self._is_over = True
        self._failure = error
        self._ready += self._run.rest()
        self._run.fail(error)


async def _run_with_callbacks(
    events: AsyncCodeEvents,
    on_stdout: Callable[[str], Any] | None,
    on_stderr: Callable[[str], Any] | None,
    on_error: Callable[[Any], Any] | None,
) -> EnhancedCodeExecutionResult:
    """Run code, call a callback for each event, and return the result."""
    try:
        await events._open()
    except AGBError as error:
        return EnhancedCodeExecutionResult.failed(error)
    is_reported = on_error is None
    try:
        while (event := await events._next()) is not None:
            if isinstance(event, Stdout):
                if on_stdout is not None:
                    await call(on_stdout, event.text)
            elif isinstance(event, Stderr):
                if on_stderr is not None:
                    await call(on_stderr, event.text)
            elif isinstance(event, Error) and on_error is not None:
                is_reported = True
                await call(on_error, dict(event.payload))
        if not is_reported and on_error is not None and events._failure is not None:
            await call(on_error, events._failure)
    finally:
        await events.aclose()
    return events.result()
