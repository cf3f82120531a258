"""Runs inside a session: a Jupyter kernel that reports when it listens.

Arguments: the directory for its sockets, and the name they begin with. The key that signs its messages is read from
standard input, one line; one byte is written to descriptor 3 once the sockets are there.
"""

from __future__ import annotations

import codecs
import json
import os
import sys
from typing import Any

READY_FD = 3
MOST = 32 << 20
"""Bytes of one message; the runtime breaks the connection off at a larger size."""


def main() -> None:
    """Start the kernel and serve until it is ended."""
    sockets, name = sys.argv[1:]
    key = sys.stdin.readline().strip()
    del sys.path[0]  # this file's directory; the kernel adds the working directory
    home = os.getcwd()

    for variable in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR"):
        os.makedirs(os.environ[variable], exist_ok=True)
    os.chdir(sockets)  # the path of a socket has at most 108 bytes, so it is a relative one
    app = kernel_app(name, key)
    app.initialize([])
    os.chdir(home)
    os.write(READY_FD, b"\n")
    os.close(READY_FD)
    app.start()


def kernel_app(name: str, key: str) -> Any:
    """Return a kernel whose sockets begin with a name in the working directory, and whose messages a key signs."""
    from traitlets.config import Config

    config = Config()
    config.IPKernelApp.transport = "ipc"
    config.IPKernelApp.ip = name
    config.IPKernelApp.shell_port, config.IPKernelApp.iopub_port = 1, 2
    config.IPKernelApp.stdin_port, config.IPKernelApp.control_port = 3, 4
    config.Session.key = key.encode()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "NoColor"
    config.InteractiveShell.banner1 = ""
    return kernel_app_class().instance(config=config)


def kernel_app_class() -> Any:
    """Return the class of the kernel; it is made here because its base classes are slow to import."""
    import zmq

    # Untyped, like all of traitlets' applications.
    from ipykernel.iostream import OutStream
    from ipykernel.kernelapp import IPKernelApp
    from jupyter_client.session import Session

    setattr(OutStream, "_watch_pipe_fd", read_programs_output)  # noqa: B010 - not ours, so type checkers object

    class SizedSession(Session):
        """Sends messages that the runtime accepts."""

        def serialize(self, msg: dict[str, Any], ident: Any = None) -> list[bytes]:
            """Return the parts of a message; the content of one that is too large is replaced by a note."""
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

        def _session_default(self) -> Session:
            return SizedSession(parent=self)

        def init_iopub(self, context: Any) -> None:
            """Make output wait for a runtime that is behind; a publisher would drop it."""
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

    return SessionKernelApp


def read_programs_output(stream: Any) -> None:
    """Read what goes to a standard descriptor beside Python, in the place of ipykernel's own function.

    That one reads 1000 bytes at a time, cuts characters in two, and writes all of it once more.
    """
    if stream._fid is None:
        return
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    try:
        while (data := os.read(stream._fid, 1 << 16)) and stream._should_watch:
            stream.write(decode(data))
    except Exception:  # reported when the stream is closed
        stream._exc = sys.exc_info()


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


if __name__ == "__main__":
    main()
