"""R: Rscript inside the sandbox, driven by a small program of ours."""

from __future__ import annotations

from ..sandbox.capture import Capture
from ..sandbox.sandbox import Process, Sandbox
from .driven import DrivenKernel
from .java import numbered


class RKernel(DrivenKernel):
    """An R process that keeps its state; visible values and plots are results."""

    def __init__(self, sandbox: Sandbox, rscript: str) -> None:
        super().__init__(sandbox)
        self._rscript = rscript

    async def launch(self, stdout: Capture, stderr: Capture) -> Process:
        """Start R."""
        program = self.sandbox.program("r_driver.R")
        return await self.connect_pipes([self._rscript, "--vanilla", program], stdout, stderr)

    def request(self, number: int, code: str) -> bytes:
        """Return a line with the number and the size of the code, and the code."""
        return numbered(number, code)
