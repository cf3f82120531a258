"""What every kernel does: take code, tell what it puts out, be interrupted, and end."""

from __future__ import annotations

import abc
import codecs
import signal
from collections.abc import Mapping
from typing import Any

from attrs import define, field, frozen

from ..capture import cut_note
from ..sandbox import Sandbox


class KernelDied(Exception):  # noqa: N818 - says what happened
    """The kernel ended, or cannot be understood any more; the message says how."""


@frozen
class CodeError:
    """The exception that ended a piece of code."""

    name: str
    value: str
    traceback: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.value}" if self.value else self.name


class Broken(CodeError):  # noqa: N818 - a value, never raised
    """Not an exception of the code's own: it was stopped, or its kernel ended; ``value`` says it all."""

    def __str__(self) -> str:
        return self.value


@define
class Execution:
    """What came out of one piece of code so far: a kernel fills it, so it is there when the code has to be stopped.

    ``limit`` bounds each of stdout and stderr, in bytes, and all result items together.
    """

    limit: int
    stdout: list[str] = field(factory=list)
    stderr: list[str] = field(factory=list)
    items: list[dict[str, Any]] = field(factory=list)
    count: int | None = None
    error: CodeError | None = None
    _sizes: dict[str, int] = field(factory=dict)
    _discarded: dict[str, int] = field(factory=dict)
    _displays: dict[str, dict[str, Any]] = field(factory=dict)

    def write(self, name: str, text: str) -> None:
        """Add to ``stdout`` or ``stderr``."""
        room = self.limit - self._sizes.get(name, 0)
        kept = text if len(text) <= room else text[: max(0, room)]
        self._sizes[name] = self._sizes.get(name, 0) + len(kept)
        if kept:
            (self.stderr if name == "stderr" else self.stdout).append(kept)
        if len(kept) < len(text):
            self._discarded[name] = self._discarded.get(name, 0) + len(text) - len(kept)

    def add(self, bundle: Mapping[str, Any], *, main: bool = False, display_id: str | None = None) -> None:
        """Add one result: its value in every format, by mime type."""
        self._sizes["items"] = size = self._sizes.get("items", 0) + sum(len(str(value)) for value in bundle.values())
        if size > self.limit:
            bundle = {"text/plain": cut_note(size - self.limit).strip()}
        item = {**bundle, "isMainResult": main}
        self.items.append(item)
        if display_id is not None:
            self._displays[display_id] = item

    def update(self, bundle: Mapping[str, Any], display_id: str) -> None:
        """Replace what a display of this piece of code shows."""
        if (item := self._displays.get(display_id)) is not None:
            item.clear()
            item.update(bundle, isMainResult=False)

    def finish(self) -> None:
        """Say what was thrown away."""
        for name, discarded in self._discarded.items():
            (self.stderr if name == "stderr" else self.stdout).append(cut_note(discarded))
        self._discarded.clear()


def how_it_ended(code: int) -> str:
    """Return an exit code, negative for a signal, in words."""
    if code >= 0:
        return f"ended with exit status {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


class Decoder:
    """Turns chunks of bytes into text, over the borders of characters."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def __call__(self, data: bytes, *, final: bool = False) -> str:
        """Return the text that is complete with ``data``."""
        return self._decoder.decode(data, final)


class Kernel(abc.ABC):
    """One interpreter inside a sandbox. It runs one piece of code at a time; whoever owns it sees to that."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    @property
    @abc.abstractmethod
    def is_alive(self) -> bool:
        """Whether it can take code."""

    @abc.abstractmethod
    async def start(self) -> None:
        """Start it. Raises ``KernelDied`` when it does not come up."""

    @abc.abstractmethod
    async def execute(self, code: str, execution: Execution) -> None:
        """Run code to its end, interrupted or not, and fill ``execution``. Raises ``KernelDied``."""

    @abc.abstractmethod
    async def interrupt(self) -> None:
        """Ask the running code to stop."""

    @abc.abstractmethod
    async def stop(self) -> None:
        """End it, at once. May be called twice."""
