"""OpenTelemetry: a span and a duration for each logical operation of the SDK (extra ``otel``).

`AGBInstrumentor` replaces the public methods of clients and sessions by methods that do the same inside a span. So a
program that does not use it pays nothing. The requests of an operation are counted by hooks of `agb._wire.exchange`,
through a context variable: it names the operation that is in progress in this task or thread, or in one that was
started by it.
"""

from __future__ import annotations

import functools
import inspect
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from attrs import define, field

from ._ops.tools.code import SUPPORTED_LANGUAGES, canonical_language
from ._version import __version__
from ._wire.exchange import EVERYWHERE
from .exceptions import AGBError, ErrorKind
from .hooks import Hooks, RequestEvent, ResponseEvent, RetryEvent
from .outcomes import Outcome

try:
    from opentelemetry import metrics, propagate, trace
    from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]  # untyped there
except ImportError as error:
    raise ImportError("tracing needs OpenTelemetry: pip install 'agb[otel]'") from error

# The methods with spans: all public coroutine methods of the asynchronous class, those that it inherits included, and
# those of its twin.
_CLASSES = (
    ("", "client", "AsyncAGB"),
    ("session", "session", "AsyncSession"),
    ("code", "modules.code", "AsyncCode"),
    ("command", "modules.command", "AsyncCommand"),
    ("process", "modules.process", "AsyncProcess"),
    ("file", "modules.files", "AsyncFileSystem"),
    ("session.context", "modules.context_manager", "AsyncContextManager"),
    ("browser", "modules.browser", "AsyncBrowser"),
    ("browser.agent", "modules.browser_agent", "AsyncBrowserAgent"),
    ("computer.app", "modules.computer.app", "AsyncApplicationManager"),
    ("computer.keyboard", "modules.computer.keyboard", "AsyncKeyboardController"),
    ("computer.mouse", "modules.computer.mouse", "AsyncMouseController"),
    ("computer.screen", "modules.computer.screen", "AsyncScreenController"),
    ("computer.window", "modules.computer.window", "AsyncWindowManager"),
    ("context", "storage.contexts", "AsyncContextService"),
)
_NO_OPERATION = frozenset({"aclose", "close"})
"""Methods of a client that concern its connections."""
_STREAMS = (("code.stream", "modules.code", "AsyncCodeEvents"),)
"""Blocks that are one operation from entering to leaving."""
_ITEM = ("map.item", "batch.worker", "AsyncWorker", "process")

_current: ContextVar[_Operation | None] = ContextVar("agb_operation", default=None)
"""The operation in progress. The methods that its own method calls are parts of it, and have no spans."""


@define
class _Operation:
    """What is noted of an operation until its span ends."""

    name: str
    attributes: dict[str, Any]
    span: Any
    requests: int = 0
    retries: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    outcome: str = "success"
    error: AGBError | None = None
    error_type: str = ""
    _started: float = field(factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def note_error(self, error: BaseException) -> None:
        if isinstance(error, AGBError):
            self.error, self.error_type = error, error.kind.name.lower()
            self.outcome = _OUTCOMES.get(error.kind, "refused" if error.kind.is_refusal else "failure")
        elif isinstance(error, Exception):
            self.outcome, self.error_type = "failure", type(error).__qualname__
        else:
            self.outcome, self.error_type = "cancelled", type(error).__qualname__

    def note_result(self, result: Any) -> None:
        """Take from a result what is no content: ids, an exit code, the error."""
        outcome = result if isinstance(result, Outcome) else None
        if outcome is not None:
            self.attributes |= {"agb.session.id": outcome.session_id, "agb.map.attempts": outcome.attempts}
        session = getattr(result, "session", None)
        if session is not None:
            self.attributes |= _facts_of_session(session)
        exit_code = getattr(result, "exit_code", None)
        if isinstance(exit_code, int):
            self.attributes["process.exit.code"] = exit_code
        error = getattr(result, "error", None)
        if isinstance(error, BaseException) and not getattr(result, "success", False):
            self.note_error(error)


_OUTCOMES = {ErrorKind.PROGRAM_FAILED: "program_failed", ErrorKind.TIMED_OUT: "timed_out"}


class AGBInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Adds spans and metrics to all clients of the process; see docs/guides/tracing.md.

    A span is named after its operation (``agb.create``, ``agb.code.run``) and has the attributes ``agb.operation``,
    ``agb.session.id``, ``agb.image.id``, ``agb.language``, ``agb.requests``, ``agb.retries``, ``agb.bytes.sent``,
    ``agb.bytes.received``, ``agb.outcome``, ``server.address`` and ``server.port``, as far as they are known. It
    contains no code, no output, no content of a file and no secret.

    Example:
        >>> from agb.otel import AGBInstrumentor
        >>> AGBInstrumentor().instrument()
        >>> AGBInstrumentor().uninstrument()
    """

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return no requirement: what is instrumented is this package."""
        return ()

    def _instrument(self, **options: Any) -> None:
        """Begin; ``tracer_provider`` and ``meter_provider`` may be passed, else the global ones are used."""
        self._telemetry = telemetry = _Telemetry(options.get("tracer_provider"), options.get("meter_provider"))
        self._replaced: list[tuple[type, str, Any]] = []
        for owner, name, operation, wrapper in _targets():
            method = vars(owner)[name]
            self._replaced.append((owner, name, method))
            setattr(owner, name, wrapper(telemetry, operation, method))
        EVERYWHERE.append(telemetry.hooks)

    def _uninstrument(self, **options: Any) -> None:
        del options
        EVERYWHERE.remove(self._telemetry.hooks)
        for owner, name, method in reversed(self._replaced):
            setattr(owner, name, method)


class _Telemetry:
    """The tracer and the instruments."""

    def __init__(self, tracer_provider: Any, meter_provider: Any) -> None:
        self._tracer = trace.get_tracer("agb", __version__, tracer_provider)
        meter = metrics.get_meter("agb", __version__, meter_provider)
        self._lock = threading.Lock()
        self._clients: WeakSet[Any] = WeakSet()
        self._streams: WeakKeyDictionary[Any, _Operation] = WeakKeyDictionary()
        """The operations of the streams that are entered."""
        self._durations = meter.create_histogram(
            "agb.client.operation.duration", unit="s", description="How long the operations of the SDK took."
        )
        self._retries = meter.create_counter(
            "agb.client.operation.retries", unit="{attempt}", description="Further attempts at requests."
        )
        meter.create_observable_up_down_counter(
            "agb.client.sessions",
            callbacks=[self._observe_sessions],
            unit="{session}",
            description="Sessions that clients of this process have created and that are alive, as far as known.",
        )
        self.hooks = Hooks(self._on_request, self._on_response, self._on_retry)

    def _observe_sessions(self, options: Any) -> Iterable[Any]:
        del options
        with self._lock:
            clients = list(self._clients)
        yield metrics.Observation(sum(client.stats().creations.sessions for client in clients))

    def facts_of(self, name: str, subject: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is known of an operation before it begins; of its arguments, only the kinds of things."""
        session = getattr(subject, "session", subject)
        facts = _facts_of_session(session)
        client = getattr(session, "agb", subject)
        endpoint = getattr(getattr(client, "client", None), "endpoint", None)
        if endpoint is not None:
            facts |= {"server.address": endpoint.host, "server.port": endpoint.port}
        if hasattr(client, "stats"):
            with self._lock:
                self._clients.add(client)
        for value in (*args, *kwargs.values()):
            image_id = getattr(value, "image_id", None)
            if isinstance(image_id, str):
                facts["agb.image.id"] = image_id
        if name == "code.run":
            language = args[1] if len(args) > 1 else kwargs.get("language")
            canonical = canonical_language(language)
            facts["agb.language"] = canonical if canonical in SUPPORTED_LANGUAGES else ""  # a name, never a text
        return facts

    @contextmanager
    def operation(self, name: str, facts: dict[str, Any], *, is_item: bool = False) -> Iterator[_Operation]:
        """Run a block as an operation: inside a span, timed, with its requests counted."""
        operation = self._begin(name, facts, is_item=is_item)
        try:
            with self._current(operation, is_item=is_item):
                yield operation
        except BaseException as error:
            operation.note_error(error)
            raise
        finally:
            self._end(operation)

    @contextmanager
    def entering(self, name: str, events: Any) -> Iterator[None]:
        """Run the beginning of a stream; its span ends when the stream is left.

        It is the current operation only while the stream is entered and left: the calls between are the program's own.
        """
        operation = self._begin(name, {**self.facts_of(name, events, (), {}), "agb.language": events.language})
        try:
            with self._current(operation):
                yield
        except BaseException as error:
            operation.note_error(error)
            self._end(operation)
            raise
        self._streams[events] = operation

    @contextmanager
    def leaving(self, events: Any, error: BaseException | None) -> Iterator[None]:
        """Run the end of a stream, and end its span, if it has one."""
        operation = self._streams.pop(events, None)
        if operation is None:
            yield
            return
        try:
            with self._current(operation):
                yield
            operation.note_result(events.result())
            if error is not None and not isinstance(error, Exception):
                operation.note_error(error)
        finally:
            self._end(operation)

    def _begin(self, name: str, facts: dict[str, Any], *, is_item: bool = False) -> _Operation:
        kind = trace.SpanKind.INTERNAL if is_item else trace.SpanKind.CLIENT
        return _Operation(name, facts, self._tracer.start_span(f"agb.{name}", kind=kind))

    @contextmanager
    def _current(self, operation: _Operation, *, is_item: bool = False) -> Iterator[None]:
        token = _current.set(None if is_item else operation)  # what an item's function does has spans of its own
        try:
            with trace.use_span(operation.span, record_exception=False, set_status_on_exception=False):
                yield
        finally:
            _current.reset(token)

    def _end(self, operation: _Operation) -> None:
        span = operation.span
        labels = {"agb.operation": operation.name, "agb.outcome": operation.outcome}
        if operation.error_type:
            labels["error.type"] = operation.error_type
        self._durations.record(operation.seconds, labels)
        if not span.is_recording():
            span.end()
            return
        facts = {**operation.attributes, **labels}
        if operation.requests:
            facts |= {
                "agb.requests": operation.requests,
                "agb.retries": operation.retries,
                "agb.bytes.sent": operation.bytes_sent,
                "agb.bytes.received": operation.bytes_received,
            }
        span.set_attributes({key: value for key, value in facts.items() if value not in ("", None)})
        if operation.outcome != "success":
            _record(span, operation)
        span.end()

    # --- hooks ---------------------------------------------------------------------------------------------------

    def _on_request(self, event: RequestEvent) -> None:
        operation = _current.get()
        if operation is not None:
            operation.requests += 1
        if event.kind != "transfer":
            propagate.inject(event.headers)

    def _on_response(self, event: ResponseEvent) -> None:
        operation = _current.get()
        if operation is not None:
            operation.bytes_sent += event.bytes_sent
            operation.bytes_received += event.bytes_received

    def _on_retry(self, event: RetryEvent) -> None:
        operation = _current.get()
        if operation is not None:
            operation.retries += 1
            self._retries.add(1, {"agb.operation": operation.name, "error.type": event.error.kind.name.lower()})


def _record(span: Any, operation: _Operation) -> None:
    """Record the error of an operation, without what may quote code or content."""
    error = operation.error
    # The error of a program quotes its code; an exception that is not the SDK's may have anything in its text.
    message = "" if error is None or error.kind is ErrorKind.PROGRAM_FAILED else str(error)
    if error is not None:
        span.add_event("exception", {"exception.type": type(error).__qualname__, "exception.message": message})
        if error.request_id:
            span.set_attribute("agb.request.id", error.request_id)
    if operation.outcome != "cancelled":
        span.set_status(trace.Status(trace.StatusCode.ERROR, message or operation.error_type))


# --- what is replaced ------------------------------------------------------------------------------------------------

_Wrapper = Callable[[_Telemetry, str, Any], Any]


def _targets() -> Iterator[tuple[type, str, str, _Wrapper]]:
    """Return class, method, operation and wrapper of all methods to be replaced, those of both flavours."""
    for prefix, module, name in _CLASSES:
        for asynchronous in getattr(import_module(f"agb._async.{module}"), name).__mro__:
            if not asynchronous.__module__.startswith("agb._async."):
                continue
            _, synchronous = _pair(asynchronous.__module__.removeprefix("agb._async."), asynchronous.__name__)
            for method, function in list(vars(asynchronous).items()):
                if method.startswith("_") or method in _NO_OPERATION or not inspect.iscoroutinefunction(function):
                    continue
                operation = f"{prefix}.{method}".lstrip(".")
                yield asynchronous, method, operation, _traced_async
                yield synchronous, method, operation, _traced_sync
    for operation, module, name in _STREAMS:
        asynchronous, synchronous = _pair(module, name)
        yield asynchronous, "__aenter__", operation, _entered_async
        yield asynchronous, "__aexit__", operation, _left_async
        yield synchronous, "__enter__", operation, _entered_sync
        yield synchronous, "__exit__", operation, _left_sync
    operation, module, name, method = _ITEM
    asynchronous, synchronous = _pair(module, name)
    yield asynchronous, method, operation, functools.partial(_traced_async, is_item=True)
    yield synchronous, method, operation, functools.partial(_traced_sync, is_item=True)


def _pair(module: str, name: str) -> tuple[type, type]:
    """Return a class of the asynchronous flavour and its twin."""
    asynchronous = getattr(import_module(f"agb._async.{module}"), name)
    synchronous = getattr(import_module(f"agb._sync.{module}"), name.removeprefix("Async"))
    return asynchronous, synchronous


def _traced_async(telemetry: _Telemetry, name: str, method: Any, *, is_item: bool = False) -> Any:
    @functools.wraps(method)
    async def traced(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        if _current.get() is not None:
            return await method(self, *args, **kwargs)
        facts = telemetry.facts_of(name, self, args, kwargs)
        with telemetry.operation(name, facts, is_item=is_item) as operation:
            result = await method(self, *args, **kwargs)
            operation.note_result(result)
            return result

    return traced


def _traced_sync(telemetry: _Telemetry, name: str, method: Any, *, is_item: bool = False) -> Any:
    @functools.wraps(method)
    def traced(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        if _current.get() is not None:
            return method(self, *args, **kwargs)
        facts = telemetry.facts_of(name, self, args, kwargs)
        with telemetry.operation(name, facts, is_item=is_item) as operation:
            result = method(self, *args, **kwargs)
            operation.note_result(result)
            return result

    return traced


def _entered_async(telemetry: _Telemetry, name: str, method: Any) -> Any:
    @functools.wraps(method)
    async def entered(self: Any) -> Any:
        if _current.get() is not None:
            return await method(self)
        with telemetry.entering(name, self):
            return await method(self)

    return entered


def _entered_sync(telemetry: _Telemetry, name: str, method: Any) -> Any:
    @functools.wraps(method)
    def entered(self: Any) -> Any:
        if _current.get() is not None:
            return method(self)
        with telemetry.entering(name, self):
            return method(self)

    return entered


def _left_async(telemetry: _Telemetry, name: str, method: Any) -> Any:
    del name

    @functools.wraps(method)
    async def left(self: Any, kind: Any, error: BaseException | None, traceback: Any) -> Any:
        with telemetry.leaving(self, error):
            return await method(self, kind, error, traceback)

    return left


def _left_sync(telemetry: _Telemetry, name: str, method: Any) -> Any:
    del name

    @functools.wraps(method)
    def left(self: Any, kind: Any, error: BaseException | None, traceback: Any) -> Any:
        with telemetry.leaving(self, error):
            return method(self, kind, error, traceback)

    return left


def _facts_of_session(session: Any) -> dict[str, Any]:
    session_id, image_id = getattr(session, "session_id", ""), getattr(session, "image_id", "")
    facts = {"agb.session.id": session_id, "agb.image.id": image_id}
    return {key: value for key, value in facts.items() if isinstance(value, str) and value}
