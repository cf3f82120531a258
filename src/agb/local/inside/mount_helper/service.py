"""The helper's main loop: reads requests of the runtime and answers them."""

from __future__ import annotations

import contextlib
import json
import socket

from ..messages import SOCKET_FD, MessageSocket
from .packing import Packing, UnreadableFile
from .selection import Selection
from .transfer import Receiver, Sender
from .tree import ARCHIVE, MountError, Tree, reason
from .unpacking import Unpacking
from .walk import Walk

TYPE_CHECKING = False  # typing is slow to import
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

_BATCH = 1 << 16
"""Characters of paths in one message."""


class MountHelper:
    """Answers the requests of the runtime, one after another."""

    def __init__(self, messages: MessageSocket) -> None:
        self._messages = messages
        self._tree: Tree | None = None
        self._receiver: Receiver | None = None
        self._notes: list[list[Any]] = []

    def serve(self) -> None:
        """Serve until the runtime closes the connection, which raises ``EOFError`` or ``ConnectionError``."""
        while True:
            header, blob = self._messages.receive()
            operation = header["op"]
            if operation == "open":
                self._open(header)
            elif operation == "note":
                self._notes += json.loads(blob)
            elif self._tree is not None and self._receiver is not None:
                self._serve_one(operation, header, blob, self._tree, self._receiver)

    def _open(self, header: dict[str, Any]) -> None:
        try:
            self._tree = Tree(header["top"], header["below"], make=header["make"], follow=header["follow"])
        except OSError as error:
            self._messages.send({"failed": reason(error)})
            return
        self._receiver = Receiver(self._tree)
        self._messages.send({})

    def _serve_one(self, operation: str, header: dict[str, Any], blob: bytes, tree: Tree, receiver: Receiver) -> None:
        match operation:
            case "put":
                receiver.put(header, blob)
            case "drop":
                receiver.drop()
            case "results":
                self._answer(lambda: self._send_rows(receiver.results()))
            case "list":
                walk = Walk(tree, Selection(header["lists"]))
                self._answer(lambda: self._send_rows(walk.rows(header["below"])))
            case "send":
                self._answer(lambda: Sender(tree, self._messages).send(json.loads(blob)))
            case "extract":
                self._answer(lambda: self._extract(header, tree))
            case "pack":
                self._answer(lambda: self._pack(header, tree))

    def _extract(self, header: dict[str, Any], tree: Tree) -> dict[str, Any]:
        kept, self._notes = self._notes, []
        unpacking = Unpacking(tree, header["most"], (path for (path,) in kept), Selection(header["lists"]))
        try:
            self._send_rows(unpacking.unpack(header["path"], header["into"]))
            if header["delete"]:
                tree.unlink(header["path"])
        finally:
            failures = tree.set_modes()
        for path, error in failures.items():
            raise MountError(f"the mode of {path!r} cannot be set: {reason(error)}")
        return {"left": unpacking.left}

    def _pack(self, header: dict[str, Any], tree: Tree) -> dict[str, Any]:
        notes, self._notes = self._notes, []
        packing = Packing(tree, self._messages, (tuple(row) for row in notes))
        try:
            rows = packing.pack(merge=header["merge"], deletes=header["deletes"])
        except UnreadableFile as error:
            self._messages.send({"failed": str(error), "path": error.path})
            return {}
        except ConnectionError:
            raise
        except (OSError, ValueError, EOFError) as error:
            self._messages.send({"failed": f"the archive cannot be made: {error}"})
            return {}
        if header["discard"]:
            with contextlib.suppress(FileNotFoundError):
                tree.unlink(ARCHIVE)
            tree.set_modes()
        self._send_rows(rows)
        return {"foreign": packing.foreign}

    def _answer(self, work: Callable[[], dict[str, Any] | None]) -> None:
        """Do a request and send the end of its answer, whatever happens: the runtime waits for it."""
        try:
            more = work() or {}
        except ConnectionError:
            raise
        except (OSError, MountError) as error:
            self._messages.send({"failed": reason(error), "end": True})
        except MemoryError:
            self._messages.send({"failed": "the session has not enough memory for it", "end": True})
        except Exception as error:  # a fault of this program must be answered too
            self._messages.send({"failed": f"failed with {type(error).__name__}: {error}", "end": True})
        else:
            self._messages.send({"end": True, **more})

    def _send_rows(self, rows: Iterable[list[Any]]) -> None:
        batch: list[list[Any]] = []
        size = 0
        for row in rows:
            batch.append(row)
            size += len(row[0]) + 64
            if size > _BATCH:
                self._messages.send({}, json.dumps(batch).encode())
                batch, size = [], 0
        if batch:
            self._messages.send({}, json.dumps(batch).encode())


def main() -> None:
    """Serve until the runtime closes the connection."""
    with contextlib.suppress(EOFError, ConnectionError):
        MountHelper(MessageSocket(socket.socket(fileno=SOCKET_FD))).serve()
