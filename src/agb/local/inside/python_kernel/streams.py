"""The kernel's stdout and stderr: the process' own descriptors, as in any script.

So ``buffer``, ``fileno`` and ``reconfigure`` are there, forked children write whole lines, and what was flushed is in a
pipe that outlives the process. Displays take another way, as messages. Their order with text is kept from both ends:
before a display is sent, text is flushed, and the runtime reads the pipe when it receives a display; before more text
is written, the kernel waits for the receipts of the displays it has sent.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import sys
import threading
from typing import Any

_RECEIPT_SECONDS = 1.0
"""How long text waits for the receipt of a display; between two runs the runtime takes no messages."""
_FLUSH_SECONDS = 0.2
"""How long a part of a line waits for the rest."""
_BUFFER = 8192
_DESCRIPTORS = {"stdout": 1, "stderr": 2}


class Receipts:
    """Counts displays that were sent and the receipts for them."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lock = threading.RLock()
        self._missing = 0
        self._overdue = 0
        os.set_blocking(fd, False)
        os.register_at_fork(after_in_child=self._forget)

    def expect(self) -> None:
        """Note that a display is sent."""
        with self._lock:
            self._missing += 1
            self._read()

    def wait(self) -> None:
        """Return once all displays were received, or after a second."""
        if self._missing <= 0:
            return
        with self._lock:
            while self._missing > 0:
                if not select.select([self._fd], [], [], _RECEIPT_SECONDS)[0] or not self._read():
                    # These receipts may still come.
                    self._overdue, self._missing = self._overdue + self._missing, 0

    def _read(self) -> bool:
        """Read the receipts that are there; return False if there are none."""
        try:
            count = len(os.read(self._fd, 1 << 16))
        except BlockingIOError:
            return False
        late = min(count, self._overdue)
        self._overdue -= late
        self._missing -= count - late
        return count > 0

    def _forget(self) -> None:
        self._lock = threading.RLock()
        self._missing = 0


class _Descriptor(io.FileIO):
    """A standard descriptor, to which text is written only after the displays before it."""

    def __init__(self, fd: int, receipts: Receipts) -> None:
        super().__init__(fd, "w", closefd=False)
        self._receipts = receipts

    def write(self, data: Any, /) -> int:
        """Write; waits also if a program has made the descriptor, which it shares, non-blocking."""
        self._receipts.wait()
        while (size := super().write(data)) is None:
            select.select([], [self], [])
        return size


class _Buffer(io.BufferedWriter):
    """The buffer of a stream; it cannot be closed, since the next piece of code needs it."""

    def close(self) -> None:
        """Flush."""
        self.flush()


class _Text(io.TextIOWrapper):
    """A stream that flushes at the end of a line, or a short time after a part of one."""

    _is_partial = False
    _wakeup: threading.Event

    def write(self, text: str, /) -> int:
        """Write, and have the part of a line flushed."""
        size = super().write(text)
        if not self._is_partial and not text.endswith("\n"):
            self._is_partial = True
            self._wakeup.set()
        return size

    def flush(self) -> None:
        """Flush."""
        self._is_partial = False
        super().flush()


class StandardStreams:
    """The streams of the kernel; made once, they become ``sys.stdout`` and ``sys.stderr``."""

    def __init__(self, receipts: Receipts) -> None:
        self._receipts = receipts
        self._wakeup = threading.Event()
        self._streams: dict[str, _Text] = {}
        for name in _DESCRIPTORS:
            setattr(sys, name, self._make(name))
        # Otherwise a child would write the part of a line once more that its parent has not written yet.
        os.register_at_fork(before=self.flush, after_in_child=self._detach)
        threading.Thread(target=self._flush_parts, name="flush", daemon=True).start()

    def _make(self, name: str) -> _Text:
        buffer = _Buffer(_Descriptor(_DESCRIPTORS[name], self._receipts), _BUFFER)
        # Halves of surrogate pairs cannot be sent.
        stream = _Text(buffer, encoding="utf-8", errors="replace", line_buffering=True)
        stream._wakeup = self._wakeup
        self._streams[name] = stream
        setattr(sys, f"__{name}__", stream)
        return stream

    def flush(self) -> None:
        """Write what is in the buffers."""
        for stream in self._streams.values():
            # Detached: the code has taken the buffer into a stream of its own.
            with contextlib.suppress(ValueError):
                stream.flush()

    def restore(self) -> None:
        """Flush, and put our streams back where the code has left one that cannot be written to."""
        self.flush()
        for name, own in list(self._streams.items()):
            try:
                getattr(sys, name).flush()
            except Exception:  # any class may stand here, and with any error the kernel could not go on
                is_detached = own.buffer is None
                setattr(sys, name, self._make(name) if is_detached else own)

    def _flush_parts(self) -> None:
        while True:
            self._wakeup.wait()
            self._wakeup.clear()
            threading.Event().wait(_FLUSH_SECONDS)
            self.flush()

    def _detach(self) -> None:
        """Give a forked child, which has no thread that flushes, an event that no thread of its parent has locked."""
        self._wakeup = threading.Event()
        for stream in self._streams.values():
            stream._wakeup = self._wakeup
