"""What all kernels have in common: they run code, report its output, can be interrupted, and end."""

from __future__ import annotations

import abc
import asyncio
import contextlib
import json
import math
import signal
from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen

from ..._wire.mime_types import TEXT_FORMATS
from ..._wire.run_end import EndReason
from ..sandbox.sandbox import Sandbox
from .output import KernelOutput

_ITEM = 200
"""Characters a result counts for beyond its own."""
_CHUNK = 1 << 16
"""Characters of one event of text; each may take six bytes in a frame."""
_BEGIN_SECONDS = 3.0
"""How long an interrupt waits for code to begin that was sent just before."""


class KernelDied(Exception):
    """The kernel ended, or sends no valid messages any more; the message says how."""


@frozen
class CodeError:
    """The exception that ended a piece of code."""

    name: str
    value: str
    traceback: str = ""
    reason: EndReason = EndReason.EXCEPTION

    def __str__(self) -> str:
        return f"{self.name}: {self.value}" if self.value else self.name


class Broken(CodeError):  # a value, never raised
    """Not an exception of the code's own: it was stopped, or its kernel ended; ``value`` is the whole message."""

    def __str__(self) -> str:
        return self.value


class Execution(abc.ABC):
    """The output of one piece of code so far, and how it ended.

    The kernel fills it while the code runs, not at its end, so the output is complete up to the moment at which the
    code has to be stopped.

    ``limit`` bounds each of stdout and stderr, in characters, and all result items together; the excess is counted in
    ``discarded`` and dropped. The subclasses decide what happens to the output: `Collected` keeps it, `Live` passes it
    on.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.count: int | None = None
        self.seconds = 0.0
        self.error: CodeError | None = None
        self._sizes: dict[str, int] = {}
        self.discarded: dict[str, int] = {}
        """Characters of ``stdout``, ``stderr`` and ``results`` that were dropped."""

    @abc.abstractmethod
    def put_text(self, name: str, text: str) -> None:
        """Take text that was written to ``stdout`` or ``stderr``."""

    @abc.abstractmethod
    def put_item(self, bundle: Mapping[str, Any], *, main: bool, display_id: str | None, is_update: bool) -> None:
        """Take one result, or the new content of a display."""

    def write(self, name: str, text: str) -> None:
        """Add to ``stdout`` or ``stderr``."""
        name = "stderr" if name == "stderr" else "stdout"
        if kept := text[: self._room(name, len(text))]:
            self.put_text(name, kept)

    def add(self, bundle: Mapping[str, Any], *, main: bool = False, display_id: str | None = None) -> None:
        """Add one result: its value in every format, by mime type."""
        self.put_item(self._fitting(bundle), main=main, display_id=display_id, is_update=False)

    def update(self, bundle: Mapping[str, Any], display_id: str) -> None:
        """Replace the content of a display of this piece of code."""
        self.put_item(self._fitting(bundle), main=False, display_id=display_id, is_update=True)

    def discard(self, name: str, size: int) -> None:
        """Count characters that were dropped before they came here."""
        self.discarded[name] = self.discarded.get(name, 0) + size

    def _room(self, name: str, size: int) -> int:
        """Reserve room for ``size`` characters; return how many fit, and count the rest as discarded."""
        taken = self._sizes.get(name, 0)
        kept = max(0, min(size, self.limit - taken))
        self._sizes[name] = taken + kept
        if kept < size:
            self.discard(name, size - kept)
        return kept

    def _fitting(self, bundle: Mapping[str, Any]) -> dict[str, Any]:
        """Return the formats of a result that fit into the limit, as they can be sent.

        Plain text is cut, since its beginning is of use, and what is left of the other formats' room is not: half a
        picture is none. The smallest format comes first, so that a large one does not take the room of all others.
        """
        values = {mime: _sendable(mime, value) for mime, value in bundle.items()}
        sizes = {mime: len(value if isinstance(value, str) else json.dumps(value)) for mime, value in values.items()}
        kept: dict[str, Any] = {}
        for mime in sorted(values, key=lambda mime: (mime != _PLAIN, sizes[mime])):
            value, size = values[mime], sizes[mime]
            if mime == _PLAIN and isinstance(value, str):
                kept[mime] = value[: self._room("results", size)]
            elif self._sizes.get("results", 0) + size <= self.limit:
                kept[mime] = value
                self._room("results", size)
            else:
                self.discard("results", size)
        self._sizes["results"] = self._sizes.get("results", 0) + _ITEM  # small ones count as well
        return {mime: kept[mime] for mime in values if mime in kept}


_PLAIN = "text/plain"


def _sendable(mime: str, value: Any) -> Any:
    """Return a value as JSON can carry it: a text format as text, and a number that is none as null."""
    if isinstance(value, str):
        return value
    if mime in TEXT_FORMATS:
        return json.dumps(value)
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return _finite(value)
    return value


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [_finite(item) for item in value]
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    return value


class Collected(Execution):
    """Keeps everything until the code has ended."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.stdout: list[str] = []
        self.stderr: list[str] = []
        self.items: list[dict[str, Any]] = []
        self._displays: dict[str, dict[str, Any]] = {}

    def put_text(self, name: str, text: str) -> None:
        """Keep it."""
        (self.stderr if name == "stderr" else self.stdout).append(text)

    def put_item(self, bundle: Mapping[str, Any], *, main: bool, display_id: str | None, is_update: bool) -> None:
        """Keep it; an update replaces the earlier content of the same display."""
        if is_update:
            if (shown := self._displays.get(display_id or "")) is not None:
                shown.clear()
                shown.update(bundle, isMainResult=False)
            return
        item = {**bundle, "isMainResult": main}
        self.items.append(item)
        if display_id is not None:
            self._displays[display_id] = item


class Live(Execution):
    """Passes everything on at once: ``put`` takes the kind of an event (stdout, stderr, result) and its payload."""

    def __init__(self, limit: int, put: Callable[[str, dict[str, Any]], None]) -> None:
        super().__init__(limit)
        self._put = put

    def put_text(self, name: str, text: str) -> None:
        """Pass it on, in pieces that fit into frames clients take by default (1 MiB)."""
        for start in range(0, len(text), _CHUNK):
            self._put(name, {"chunk": text[start : start + _CHUNK]})

    def put_item(self, bundle: Mapping[str, Any], *, main: bool, display_id: str | None, is_update: bool) -> None:
        """Pass it on; an update names the display whose content it replaces."""
        result: dict[str, Any] = {"isMainResult": main, "mime": dict(bundle)}
        if display_id is not None:
            result["displayId"] = display_id
        if is_update:
            result["update"] = True
        self._put("result", {"result": result})


def how_it_ended(code: int) -> str:
    """Return an exit code, negative for a signal, in words."""
    if code >= 0:
        return f"ended with exit status {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


class Kernel(abc.ABC):
    """One interpreter inside a sandbox. It runs one piece of code at a time; its owner serialises the calls.

    An interrupt is a signal, and a signal does not name the code it is for: it interrupts what the process does at
    that moment. Before the code has begun, the process is still reading the request: Python ignores the signal there,
    and R ends. So a kernel calls `note_begun` when its process reports that the code runs, and `interrupt` waits for
    that. An interrupt after the end of the code is dropped, since an idle process must not get the signal either.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.output: KernelOutput | None = None
        """Its stdout and stderr, from its start."""
        self._is_executing = False
        self._has_begun = asyncio.Event()

    @property
    @abc.abstractmethod
    def is_alive(self) -> bool:
        """Whether it can take code."""

    @abc.abstractmethod
    async def start(self) -> None:
        """Start it. Raises ``KernelDied`` when it does not come up."""

    async def execute(self, code: str, execution: Execution) -> None:
        """Run code to its end, interrupted or not, and fill ``execution``. Raises ``KernelDied``."""
        self._has_begun.clear()
        self._is_executing = True
        if self.output is not None:
            self.output.begin(execution)
        try:
            await self.evaluate(code, execution)
        finally:
            self._is_executing = False
            self._has_begun.set()
            if self.output is not None:
                self.output.end()

    def note_begun(self) -> None:
        """Note that the process has begun to run the code it was sent."""
        self._has_begun.set()

    async def interrupt(self) -> None:
        """Ask the running code, and the programs it has started, to stop; code just sent is given time to begin."""
        if self._is_executing:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_BEGIN_SECONDS):
                    await self._has_begun.wait()
        if self._is_executing:
            await self.send_interrupt()

    @abc.abstractmethod
    async def evaluate(self, code: str, execution: Execution) -> None:
        """Send the code, call `note_begun`, and fill ``execution`` until the code ends. Raises ``KernelDied``."""

    @abc.abstractmethod
    async def send_interrupt(self) -> None:
        """Send SIGINT to the process and the programs it has started."""

    @abc.abstractmethod
    async def stop(self) -> None:
        """End it, at once. May be called twice."""
