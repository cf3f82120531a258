"""JavaScript: node inside the sandbox, driven over a socket by a small program of ours."""

from __future__ import annotations

import json

from ..sandbox.capture import Capture
from ..sandbox.sandbox import Process, Sandbox
from .driven import DrivenKernel


class JavaScriptKernel(DrivenKernel):
    """A node process that keeps its state; the value of the last expression is the result."""

    def __init__(self, sandbox: Sandbox, node: str) -> None:
        super().__init__(sandbox)
        self._node = node

    async def launch(self, stdout: Capture, stderr: Capture) -> Process:
        """Start node."""
        return await self.connect_socket([self._node, self.sandbox.program("node_driver.js")], stdout, stderr)

    def request(self, number: int, code: str) -> bytes:
        """Return a JSON line."""
        return json.dumps({"id": number, "code": code}).encode() + b"\n"
