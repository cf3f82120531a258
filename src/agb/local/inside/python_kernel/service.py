"""Starts a Jupyter kernel and reports when it listens.

Arguments: the directory for its sockets, and the name they begin with. The key that signs its messages is the first
line of standard input; what follows are receipts for displays. One byte is written to descriptor 3 once the sockets are
there.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import Any

import zmq
from ipykernel.kernelapp import IPKernelApp
from jupyter_client.session import Session
from traitlets.config import Config

from . import DISPLAYS
from .shell import SessionKernel
from .streams import Receipts, StandardStreams

READY_FD = 3
MOST = 32 << 20
"""Bytes of one message; the runtime breaks the connection off at a larger size."""
_KEY_BYTES = 200


def main() -> None:
    """Start the kernel and serve until the process is ended."""
    sockets, name = sys.argv[1:]
    key = os.read(0, _KEY_BYTES).strip()
    receipts = Receipts(_own_standard_input())
    streams = StandardStreams(receipts)
    home = os.getcwd()

    for variable in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR"):
        os.makedirs(os.environ[variable], exist_ok=True)
    os.chdir(sockets)  # the path of a socket has at most 108 bytes, so it is a relative one
    app: Any = SessionKernelApp.instance(config=_config(name, key))  # untyped, like all of traitlets' applications
    app.receipts = receipts
    app.initialize([])
    app.kernel.streams = streams
    os.chdir(home)
    os.write(READY_FD, b"\n")
    os.close(READY_FD)
    app.start()
    while True:
        # An interrupt in a place where it could not be handled, or the code itself, has stopped the event loop.
        with contextlib.suppress(KeyboardInterrupt):
            app.io_loop.start()


def _own_standard_input() -> int:
    """Move standard input to a descriptor that programs do not inherit, and leave an empty one in its place."""
    receipts = os.dup(0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return receipts


def _config(name: str, key: bytes) -> Config:
    """Return the settings of a kernel whose sockets begin with a name in the working directory."""
    config = Config()
    config.IPKernelApp.transport = "ipc"
    config.IPKernelApp.ip = name
    config.IPKernelApp.shell_port, config.IPKernelApp.iopub_port = 1, 2
    config.IPKernelApp.stdin_port, config.IPKernelApp.control_port = 3, 4
    config.IPKernelApp.kernel_class = SessionKernel
    config.IPKernelApp.outstream_class = None  # see streams.py
    config.IPKernelApp.log_level = "CRITICAL"  # the code's stderr is ours
    config.Session.key = key
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "NoColor"
    config.InteractiveShell.banner1 = ""
    return config


class SessionMessages(Session):
    """Sends messages that the runtime accepts, and counts displays."""

    receipts: Receipts

    def serialize(self, msg: dict[str, Any], ident: Any = None) -> list[bytes]:
        """Return the parts of a message; the content of one that is too large is replaced by a note."""
        if msg["header"]["msg_type"] in DISPLAYS:
            self.receipts.expect()
        try:
            parts: list[bytes] = super().serialize(msg, ident)
        except UnicodeEncodeError:
            parts = super().serialize({**msg, "content": whole_characters(msg["content"])}, ident)
        size = sum(map(len, parts))
        if size <= MOST:
            return parts
        cut: list[bytes] = super().serialize({**msg, "content": shortened(msg["content"], size)}, ident)
        return cut


class SessionKernelApp(IPKernelApp):
    """A kernel without the parts that are not used here."""

    receipts: Receipts

    def _session_default(self) -> Session:
        session = SessionMessages(parent=self)
        session.receipts = self.receipts
        return session

    def init_iopub(self, context: Any) -> None:
        """Make displays wait for a runtime that is behind; a publisher would drop them."""
        context.setsockopt(zmq.XPUB_NODROP, 1)
        context.setsockopt(zmq.SNDHWM, 64)
        super().init_iopub(context)  # type: ignore[no-untyped-call]

    def init_heartbeat(self) -> None:
        """Listen for no heartbeat: the agent reports the end of a process."""

    def write_connection_file(self, **_: object) -> None:
        """Write nothing: the runtime has chosen the connection."""

    def log_connection_info(self) -> None:
        """Log nothing: there is no terminal."""

    def init_connection_file(self) -> None:
        """Read nothing: see above."""


def whole_characters(content: dict[str, Any]) -> dict[str, Any]:
    """Return the content of a message with halves of surrogate pairs, which cannot be sent, replaced."""
    text = json.dumps(content, ensure_ascii=False, default=str)
    replaced: dict[str, Any] = json.loads(text.encode("utf-8", "replace"))
    return replaced


def shortened(content: dict[str, Any], size: int) -> dict[str, Any]:
    """Return the content of a message with what makes it large left out."""
    note = f"[too large to be sent: {size} bytes]"
    short = dict(content)
    for name, value in content.items():
        if name == "data":
            short[name] = {"text/plain": note}
        elif name == "traceback":
            short[name] = [note]
        elif isinstance(value, str) and len(value) > 1 << 16:
            # A character may take six bytes.
            short[name] = value[: MOST // 8] + "\n" + note + "\n"
    return short
