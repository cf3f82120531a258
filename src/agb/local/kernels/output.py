"""The stdout and stderr of a kernel: two pipes, which are read whether code runs or not."""

from __future__ import annotations

import codecs
from typing import Protocol

from ..sandbox.capture import Capture
from ..sandbox.sandbox import Sandbox

_LATE = 1 << 20
"""Characters of each stream that are kept between two runs."""
_START = 2000
_END_NOTE = "[end of the output between the runs]\n"


class TextSink(Protocol):
    """What takes the text: an execution."""

    def write(self, name: str, text: str) -> None:
        """Add to ``stdout`` or ``stderr``."""
        ...

    def discard(self, name: str, size: int) -> None:
        """Count characters that were dropped before."""
        ...


class _Stream:
    """One of the two: its pipe, its decoder, and the text that arrived while no code ran."""

    def __init__(self, name: str, output: KernelOutput, owner: int | None) -> None:
        self.name = name
        self.late = ""
        self.discarded = 0
        self._output = output
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        # The execution has the limit; a kernel lives longer than one.
        self.capture = Capture(1 << 62, owner=owner, on_data=self._put)

    def _put(self, data: bytes, *, final: bool = False) -> None:
        text = self._decoder.decode(data, final)
        if self._output.execution is not None:
            self._output.execution.write(self.name, text)
            return
        kept = text[: max(0, _LATE - len(self.late))]
        self.late += kept
        self.discarded += len(text) - len(kept)

    def finish(self) -> None:
        """Read what is in the pipe, up to an incomplete character at its end."""
        self.capture.drain()
        self._put(b"", final=True)

    def take_late(self) -> tuple[str, int]:
        """Return the text that arrived while no code ran, with the number of characters discarded, and forget it."""
        late = self.late, self.discarded
        self.late, self.discarded = "", 0
        return late


class KernelOutput:
    """What the code of a kernel, its threads and the programs it has started write.

    Text belongs to the code that runs when it is read. Text that arrives while no code runs is late output of earlier
    code: it is kept and passed to the next execution, as stderr between two notes, so that its stdout has nothing but
    its own. The pipes outlive the process, so text that was written before a kernel died is never lost.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self.execution: TextSink | None = None
        self._sandbox = sandbox
        self._streams = (_Stream("stdout", self, sandbox.user), _Stream("stderr", self, sandbox.user))

    @property
    def captures(self) -> tuple[Capture, Capture]:
        """The pipes, for the program."""
        return self._streams[0].capture, self._streams[1].capture

    def begin(self, execution: TextSink) -> None:
        """Pass output to an execution from now on; what has arrived before is late."""
        self.pass_late(execution)
        self.execution = execution

    def end(self) -> None:
        """Pass what is in the pipes to the execution; later output is late."""
        if self.execution is not None:
            for stream in self._streams:
                stream.finish()
            self.execution = None

    def drain(self) -> None:
        """Read what is in the pipes now."""
        for stream in self._streams:
            stream.capture.drain()

    def pass_late(self, execution: TextSink) -> None:
        """Pass late output to an execution."""
        self.drain()
        for stream in self._streams:
            text, discarded = stream.take_late()
            if text:
                end = "" if text.endswith("\n") else "\n"
                execution.write("stderr", f"[{stream.name} between the runs]\n{text}{end}{_END_NOTE}")
            if discarded:
                execution.discard("stderr", discarded)

    def start_message(self) -> str:
        """Return the last words of a kernel that did not start, and forget them."""
        self.drain()
        texts = [stream.take_late()[0][-_START:] for stream in self._streams]
        return " | ".join("".join(texts).strip().splitlines()[-3:])

    def close(self) -> None:
        """Stop reading once the kernel has ended; programs it has started may write on. May be called twice."""
        for stream in self._streams:
            stream.capture.drain()
            stream.capture.close_writer()
            self._sandbox.adopt(stream.capture)
