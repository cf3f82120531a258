"""Java: the evaluator behind jshell (``jdk.jshell``) inside the sandbox, driven by a small program of ours."""

from __future__ import annotations

from ..sandbox.capture import Capture
from ..sandbox.sandbox import Process, Sandbox
from .driven import DrivenKernel

_OPTIONS = (
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",  # most code here runs once
    "-XX:-UsePerfData",  # a directory in /tmp
    "-Xshare:auto",
    "-Dfile.encoding=UTF-8",
    "-Djava.awt.headless=true",
)
_MIB = 1 << 20


class JavaKernel(DrivenKernel):
    """A Java process that keeps its state: snippets, declarations that may be repeated, the last expression's value."""

    def __init__(self, sandbox: Sandbox, java: str) -> None:
        super().__init__(sandbox)
        self._java = java

    async def launch(self, stdout: Capture, stderr: Capture) -> Process:
        """Start Java."""
        # Beside the heap there are stacks, code and classes; an exception for too much is better than a dead process.
        heap = max(32, self.sandbox.limits.memory // 2 // _MIB)
        program = self.sandbox.program("java_driver.java")
        return await self.connect_pipes([self._java, f"-Xmx{heap}m", *_OPTIONS, program], stdout, stderr)

    def request(self, number: int, code: str) -> bytes:
        """Return a line with the number and the size of the code, and the code."""
        return numbered(number, code)


def numbered(number: int, code: str) -> bytes:
    """Return a request for drivers in languages that cannot read JSON: a line "number size", then the code."""
    data = code.encode("utf-8", "replace")
    return b"%d %d\n%s" % (number, len(data), data)
