"""Runs inside a session: a Jupyter kernel that reports when it listens.

Arguments: the directory for its sockets, and the name they begin with. The key that signs its messages is read from
standard input, one line; one byte is written to descriptor 3 once the sockets are there.
"""

from __future__ import annotations

import codecs
import json
import math
import os
import sys
from typing import Any

READY_FD = 3
MOST = 32 << 20
"""Bytes of one message; the runtime breaks the connection off at a larger size."""
DISCARDED = "agb_discarded"
"""The field of a message's metadata with the number of characters that were left out of it."""


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
    from jupyter_client.jsonutil import json_default
    from jupyter_client.session import Session, json_packer

    def pack(message: Any) -> bytes:
        """Return JSON; a number that is none is null, as `json_packer` would only write it with a warning in stderr."""
        try:
            text = json.dumps(message, default=json_default, ensure_ascii=False, allow_nan=False)
        except (TypeError, ValueError):
            return json_packer(without_nan(message))
        return text.encode("utf8", "surrogateescape")

    setattr(OutStream, "_watch_pipe_fd", read_programs_output)  # noqa: B010 - not ours, so type checkers object

    class SizedSession(Session):
        """Sends messages that the runtime accepts."""

        def serialize(self, msg: dict[str, Any], ident: Any = None) -> list[bytes]:
            """Return the parts of a message; what makes it too large is left out, and its size is in the metadata."""
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

        def _session_default(self) -> Session:
            return SizedSession(parent=self, pack=pack)

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


LONGEST = MOST // 16
"""Characters of a text in a message that was too large; a character may take six bytes, and there may be two texts."""

if __name__ == "__main__":
    main()
