"""Starts a Jupyter kernel and reports when it listens.

Arguments: the directory for its sockets, and the name they begin with. The key that signs its messages is the first
line of standard input; what follows are receipts for displays. One byte is written to descriptor 3 once the sockets are
there.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
from typing import Any

import zmq
from ipykernel.kernelapp import IPKernelApp
from jupyter_client.jsonutil import json_default
from jupyter_client.session import Session, json_packer
from traitlets.config import Config

from . import DISCARDED, DISPLAYS, MOST
from .shell import SessionKernel, leave_out_debugger
from .streams import Receipts, StandardStreams

READY_FD = 3
LONGEST = MOST // 16
"""Characters of a text in a message that was too large; a character may take six bytes, and there may be two texts."""
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
    leave_out_debugger()
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


def pack(message: Any) -> bytes:
    """Return JSON; a number that is none is null, as `json_packer` would only write it with a warning in stderr."""
    try:
        text = json.dumps(message, default=json_default, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError):
        packed: bytes = json_packer(without_nan(message))
        return packed
    return text.encode("utf8", "surrogateescape")


class SessionMessages(Session):
    """Sends messages that the runtime accepts, and counts displays."""

    receipts: Receipts

    def serialize(self, msg: dict[str, Any], ident: Any = None) -> list[bytes]:
        """Return the parts of a message; what makes it too large is left out, and its size is in the metadata."""
        if msg["header"]["msg_type"] in DISPLAYS:
            self.receipts.expect()
        try:
            parts: list[bytes] = super().serialize(msg, ident)
        except UnicodeEncodeError:
            parts = super().serialize({**msg, "content": whole_characters(msg["content"])}, ident)
        size = sum(map(len, parts))
        if size <= MOST:
            return parts
        content, discarded = shortened(msg["content"])
        metadata = {**msg["metadata"], DISCARDED: discarded}
        cut: list[bytes] = super().serialize({**msg, "content": content, "metadata": metadata}, ident)
        return cut


class SessionKernelApp(IPKernelApp):
    """A kernel without the parts that are not used here."""

    receipts: Receipts

    def _session_default(self) -> Session:
        session = SessionMessages(parent=self, pack=pack)
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


def without_nan(value: Any) -> Any:
    """Return a value of JSON with null for the numbers that JSON does not have."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (list, tuple)):
        return [without_nan(item) for item in value]
    if isinstance(value, dict):
        return {name: without_nan(item) for name, item in value.items()}
    return value


def shortened(content: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """Return the content of a message without what makes it large, and how many characters were left out.

    Of a text its beginning is kept, of the formats of a display those that are small, and of a traceback its end.
    """
    short, discarded = dict(content), 0
    for name, value in content.items():
        if name == "data" and isinstance(value, dict):
            short[name] = {}
            for mime, one in value.items():
                size = len(one if isinstance(one, str) else json.dumps(one, default=str))
                if mime == "text/plain" and isinstance(one, str):
                    short[name][mime] = one[:LONGEST]
                    discarded += max(0, size - LONGEST)
                elif size <= LONGEST // 8:
                    short[name][mime] = one
                else:
                    discarded += size
        elif name == "traceback" and isinstance(value, list):
            short[name] = [str(line)[-LONGEST // 100 :] for line in value[-50:]]
        elif isinstance(value, str) and len(value) > LONGEST:
            short[name] = value[:LONGEST]
            discarded += len(value) - LONGEST
    return short, discarded
