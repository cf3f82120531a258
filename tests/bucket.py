"""A service that keeps the files of one context in memory, on a real socket; faults can be injected."""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from attrs import define, field

from tests.servers import Action, Conversation, Request, answer, cut, refuse, scripted, value

CONTEXT = "SdkCtx-1"
SECRET = "very-secret-signature"


@define(eq=False)
class Bucket:
    """Stored files by their paths, and the actions that replace the usual answers."""

    files: dict[str, bytes] = field(factory=dict)
    server: Any = None
    scheme: str = "http"
    instead: deque[Action] = field(factory=deque)
    """Actions for the next transfers, one each; when it is empty, transfers are answered as usual."""
    early: deque[Action] = field(factory=deque)
    """The same for uploads, before the body is read."""
    rows: list[dict[str, Any]] | None = None
    """The listing that is answered instead of the true one."""
    is_deep: bool = True
    """Whether the listing of a folder is recursive."""
    shows_folders: bool = False
    """Whether folders are listed too; if neither, only the listing of the root is recursive."""

    @property
    def transfers(self) -> list[Request]:
        """The requests to pre-signed URLs."""
        return [request for request in self.server.requests if request.path.endswith("/bucket")]

    def url(self, path: str) -> str:
        host = "localhost" if self.scheme == "https" else "127.0.0.1"
        return f"{self.scheme}://{host}:{self.server.port}/bucket?path={quote(path, safe='')}&signature={SECRET}"

    def look(self, request: Request) -> Action | None:
        return self.early.popleft() if request.method == "PUT" and self.early else None

    def __call__(self, talk: Conversation) -> None:
        path = urlsplit(talk.request.target).path  # a proxy receives absolute URLs
        query = {name: values[0] for name, values in parse_qs(urlsplit(talk.request.target).query).items()}
        if path == "/bucket":
            action = self.instead.popleft() if self.instead else self.transfer(talk.request, query["path"])
        elif path == "/sdk/DescribeContextFiles":
            action = self.listed(query)
        elif query.get("contextId") != CONTEXT:
            action = refuse("InvalidParameter", "Invalid context ID", 400)
        elif path.endswith("DownloadUrl") and query["filePath"] not in self.files:
            action = refuse("", "File not found", 404)
        else:
            action = value({"url": self.url(query["filePath"]), "expireTime": 3600})
        action(talk)

    def transfer(self, request: Request, path: str) -> Action:
        if request.method == "PUT":
            if len(request.body) < int(request.headers["content-length"]):
                return cut()
            self.files[path] = request.body
            return answer(b"", headers={"ETag": '"e-1"'})
        return answer(self.files[path], headers={"ETag": '"e-1"', "Content-Type": "application/octet-stream"})

    def listed(self, query: dict[str, str]) -> Action:
        parent = query.get("parentFolderPath", "")
        rows = self.rows
        if rows is None:
            rows = self.children(f"{parent}/")
        number, size = int(query["pageNumber"]), int(query["pageSize"])
        return value(rows[(number - 1) * size : number * size], count=len(rows))

    def children(self, folder: str) -> list[dict[str, Any]]:
        below = sorted(path for path in self.files if path.startswith(folder))
        if self.is_deep or (folder == "/" and not self.shows_folders):
            return [row(path, len(self.files[path])) for path in below]
        rows = [row(path, len(self.files[path])) for path in below if "/" not in path.removeprefix(folder)]
        folders = {folder + path.removeprefix(folder).split("/")[0] for path in below} - {r["filePath"] for r in rows}
        return rows + [row(path, 0, "folder") for path in sorted(folders)] if self.shows_folders else rows


def row(path: str, size: int, kind: str = "") -> dict[str, Any]:
    kind = kind or path.rpartition(".")[2]
    return {"fileId": path, "fileName": path.rpartition("/")[2], "filePath": path, "fileType": kind, "size": size}


@contextmanager
def bucket(files: dict[str, bytes] | None = None, tls: ssl.SSLContext | None = None) -> Iterator[Bucket]:
    """Run a bucket for the time of a block."""
    kept = Bucket(dict(files or {}), scheme="https" if tls else "http")
    with scripted(kept, tls=tls, early=kept.look) as server:
        kept.server = server
        yield kept
