# Generated from tests/_async/test_transfers.py by tools/unasync.py. Do not edit.
"""Transfers: files and directories to and from a context, against a store that misbehaves on command."""

from __future__ import annotations

import os
import subprocess
import threading
from base64 import b64encode
from collections.abc import Iterator
from hashlib import md5
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest

from agb import AGB, AGBError, Config, ErrorKind, FileError
from agb._wire.retry import RetryPolicy
from agb._wire.signed import signed_call
from agb.local import LocalServer
from tests.bucket import CONTEXT, SECRET, Bucket, bucket, row
from tests.servers import Gate, answer, cut, scripted, silent, then_close, then_silent, trickle, value

KEY = "ako-very-secret"
LARGE = os.urandom(1 << 20) * 12
"""More than any buffer on the way holds."""


@pytest.fixture
def store() -> Iterator[Bucket]:
    with bucket() as kept:
        yield kept


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large.bin"
    path.write_bytes(LARGE)
    return path


def client(store: Bucket, timeout_ms: int = 5000, attempts: int = 3, **more: Any) -> AGB:
    agb = AGB(KEY, Config(store.server.endpoint, timeout_ms), **more)
    agb.client._random = lambda: 0.0  # back-off at its shortest
    agb.client._retry = RetryPolicy(attempts, first_delay=0.01)
    return agb


def left_behind(directory: Path) -> list[Path]:
    """Return the temporary files in a directory."""
    return [path for path in directory.rglob("*") if path.name.endswith(".part")]


def check_secrets(error: BaseException | None, result: object = "") -> None:
    while error is not None:
        assert SECRET not in f"{error} {error!r} {result!r}"
        assert KEY not in f"{error} {error!r} {result!r}"
        error = error.__cause__


# --- there and back ----------------------------------------------------------------------------------------------

NAMES = ["plain", "with space.txt", "größe", "100%.txt", "a+b.txt", "what?.txt", "日本/語.txt", "#&=;", "%2e", "a.dir"]


@pytest.mark.parametrize("kind", ["deep", "folders", "direct"])
def test_directory_there_and_back(store: Bucket, tmp_path: Path, kind: str) -> None:
    store.is_deep, store.shows_folders = kind == "deep", kind == "folders"
    contents = {name: os.urandom(number * 1000) for number, name in enumerate(NAMES)}
    for name, content in contents.items():
        (tmp_path / "here" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "here" / name).write_bytes(content)
    with client(store) as agb:
        sent = agb.context.upload(CONTEXT, tmp_path / "here", "/tmp/x")
        got = agb.context.download(CONTEXT, "/tmp/x", tmp_path / "back")
    assert sent.raise_for_error() is sent
    assert store.files == {f"/tmp/x/{name}": content for name, content in contents.items()}
    assert {file.remote_path for file in sent.files} == set(store.files)
    assert sent.size == sum(map(len, contents.values()))
    assert got.raise_for_error().size == sent.size
    assert [file.etag for file in got.files] == ['"e-1"'] * len(NAMES)
    found = {
        str(p.relative_to(tmp_path / "back")): p.read_bytes() for p in (tmp_path / "back").rglob("*") if p.is_file()
    }
    assert found == contents


def test_local_runtime_there_and_back(runtime: LocalServer, config: Config, tmp_path: Path) -> None:
    contents = {name: os.urandom(number * 1000) for number, name in enumerate(NAMES)} | {"sub/large": LARGE}
    for name, content in contents.items():
        (tmp_path / "here" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "here" / name).write_bytes(content)
    with AGB(runtime.api_key, config) as agb:
        context = agb.context.create("there and back").raise_for_error().context
        assert context is not None
        agb.context.upload(context.id, tmp_path / "here" / "a.dir", "/tmp/other")
        sent = agb.context.upload(context.id, tmp_path / "here", "/tmp/x y")
        got = agb.context.download(context.id, "/tmp/x y", tmp_path / "back")
        everything = agb.context.download(context.id, "/", tmp_path / "all")
        missing = agb.context.download(context.id, "/tmp/x", tmp_path / "none")
        agb.context.delete(context)
        gone = agb.context.upload(context.id, tmp_path / "here", "/tmp/x")
    assert sent.raise_for_error().size == got.raise_for_error().size == sum(map(len, contents.values()))
    back = tmp_path / "back"
    assert {str(p.relative_to(back)): p.read_bytes() for p in back.rglob("*") if p.is_file()} == contents
    assert len(everything.raise_for_error().files) == len(contents) + 1
    assert (tmp_path / "all" / "tmp" / "x y" / "sub" / "large").read_bytes() == LARGE
    assert missing.error is not None
    assert missing.error.kind is ErrorKind.NOT_FOUND
    assert len(gone.failures) == len(contents)
    assert gone.error is not None
    assert gone.error.kind is ErrorKind.NOT_FOUND


def test_modes_and_times_are_stored(runtime: LocalServer, config: Config, tmp_path: Path) -> None:
    modes = {"run.sh": 0o755, "private": 0o600, "plain": 0o644}
    (tmp_path / "here").mkdir()
    for name, mode in modes.items():
        (tmp_path / "here" / name).write_text(name)
        (tmp_path / "here" / name).chmod(mode)
        os.utime(tmp_path / "here" / name, (1e9, 1e9 + 0.5))
    with AGB(runtime.api_key, config) as agb:
        context = agb.context.create("modes and times").raise_for_error().context
        assert context is not None
        agb.context.upload(context.id, tmp_path / "here", "/tmp/x").raise_for_error()
        agb.context.download(context.id, "/tmp/x", tmp_path / "back").raise_for_error()
        signed = agb.context.get_file_upload_url(context.id, "/tmp/x/plain")
        for query in ("mode=999", "mtime=soon", "mode=4755"):
            with pytest.raises(AGBError, match="mode must be"):
                agb.client.upload(
                    f"{signed.url}?{query}", Source(b""), 0, signed_call("PUT", "x"), agb.client.idle_timeout()
                )
    for name, mode in modes.items():
        found = (tmp_path / "back" / name).stat()
        assert (found.st_mode & 0o777, found.st_mtime) == (mode, 1e9 + 0.5)


def test_file_that_is_too_large(store: Bucket, tmp_path: Path) -> None:
    store.files["/tmp/x/large"], store.files["/tmp/x/small"] = bytes(5_000_000), b"small"
    with client(store) as agb:
        got = agb.context.download(CONTEXT, "/tmp/x", tmp_path / "back", max_size=1_000_000)
    assert [Path(file.local_path).name for file in got.files] == ["small"]
    assert "1,000,000 bytes" in str(got.failures[0].error)
    assert [path.name for path in (tmp_path / "back").iterdir()] == ["small"]


class Source:
    """What is uploaded, from memory."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.at = 0

    def receive(self) -> bytes:
        piece = self.content[self.at : self.at + 1000]
        self.at += len(piece)
        return piece

    def rewind(self) -> None:
        self.at = 0


def test_altered_url(runtime: LocalServer, config: Config) -> None:
    """The transport's own way, which others may build upon."""
    call = signed_call("PUT", "upload what is in memory")
    with AGB(runtime.api_key, config) as agb:
        context = agb.context.create("altered").raise_for_error().context
        assert context is not None
        url = agb.context.get_file_upload_url(context.id, "/tmp/a").url
        reply = agb.client.upload(url, Source(b"x" * 5000), 5000, call, agb.client.idle_timeout())
        assert reply.status == 200
        altered = url[:-1] + ("A" if url[-1] != "A" else "B")
        with pytest.raises(AGBError, match="altered") as caught:
            agb.client.upload(altered, Source(b"y" * 9000), 9000, call, agb.client.idle_timeout())
        assert caught.value.http_status == 403
        assert altered.rpartition("/")[2] not in str(caught.value)
        other_way = signed_call("GET", "download")
        with pytest.raises(AGBError, match="Could not download"):
            with agb.client.download(url, other_way, agb.client.idle_timeout()):
                pass
        stored = agb.context.get_file_download_url(context.id, "/tmp/a").url
        with agb.client.download(stored, other_way, agb.client.idle_timeout()) as download:
            assert download.size == 5000
            assert download.receive() == b"x" * 5000
            assert download.receive() == b""
        agb.context.delete(context)


def test_large_file_there_and_back_on_kept_connections(store: Bucket, large: Path, tmp_path: Path) -> None:
    with client(store) as agb:
        for _ in range(3):
            assert agb.context.upload(CONTEXT, large, "/tmp/large.bin").success
            assert agb.context.download(CONTEXT, "/tmp/large.bin", tmp_path / "back.bin").success
    assert store.files["/tmp/large.bin"] == LARGE
    assert (tmp_path / "back.bin").read_bytes() == LARGE
    assert store.server.connections <= 2  # 12 requests; a connection that is slow to become free is not waited for


@pytest.mark.parametrize("library", [httpx, httpx2])
def test_by_a_client_of_ones_own(store: Bucket, large: Path, tmp_path: Path, library: Any) -> None:
    with library.Client(headers={"X-Mine": "1"}) as http, client(store, http_client=http) as agb:
        assert agb.context.upload(CONTEXT, large, "/tmp/large.bin").success
        assert agb.context.download(CONTEXT, "/tmp/large.bin", tmp_path / "back.bin").success
        store.instead.append(cut(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"))
        agb.client._retry = RetryPolicy(1)
        broken = agb.context.download(CONTEXT, "/tmp/large.bin", tmp_path / "broken.bin")
    assert store.files["/tmp/large.bin"] == LARGE
    assert (tmp_path / "back.bin").read_bytes() == LARGE
    assert store.transfers[0].headers["content-length"] == str(len(LARGE))
    assert "transfer-encoding" not in store.transfers[0].headers
    assert all("x-mine" not in request.headers for request in store.transfers)
    assert broken.error is not None
    assert broken.error.kind is ErrorKind.UNREACHABLE
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["back.bin", "large.bin"]


def test_by_way_of_a_proxy(store: Bucket, large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", store.server.endpoint)
    monkeypatch.setenv("no_proxy", "")
    with client(store, attempts=1) as agb:
        assert agb.context.upload(CONTEXT, large, "/tmp/large.bin").success
        assert agb.context.download(CONTEXT, "/tmp/large.bin", tmp_path / "back.bin").success
        store.instead.append(cut(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"))
        broken = agb.context.download(CONTEXT, "/tmp/large.bin", tmp_path / "broken.bin")
    assert all(request.target.startswith("http://") for request in store.transfers)
    assert store.files["/tmp/large.bin"] == LARGE
    assert (tmp_path / "back.bin").read_bytes() == LARGE
    assert "by way of the proxy" in broken.error_message
    check_secrets(broken.error, broken)


def test_nothing_of_the_api_goes_to_the_store(store: Bucket, large: Path, tmp_path: Path) -> None:
    with client(store) as agb:
        agb.context.upload(CONTEXT, large, "/tmp/a")
        agb.context.download(CONTEXT, "/tmp/a", tmp_path / "a")
    for request in store.transfers:
        assert KEY not in str(request.headers)
        assert "authorization" not in request.headers
        assert "content-type" not in request.headers
        assert "x-access-token" not in request.headers
    assert store.transfers[0].headers["content-length"] == str(len(LARGE))
    assert store.transfers[1].headers["accept-encoding"] == "identity"


def test_file_goes_into_a_folder(store: Bucket, large: Path, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    with client(store) as agb:
        sent = agb.context.upload(CONTEXT, large, "/tmp/folder/")
        got = agb.context.download(CONTEXT, "/tmp/folder/large.bin", tmp_path / "here")
        new = agb.context.download(CONTEXT, "/tmp/folder/large.bin", f"{tmp_path / 'new'}{os.sep}")
    assert sent.files[0].remote_path == "/tmp/folder/large.bin"
    assert got.files[0].local_path == str(tmp_path / "here" / "large.bin")
    assert new.files[0].local_path == str(tmp_path / "new" / "large.bin")


def test_more_pages_than_one(store: Bucket, tmp_path: Path) -> None:
    store.files = {f"/tmp/x/{number:03}": b"%d" % number for number in range(230)}
    with client(store) as agb:
        got = agb.context.download(CONTEXT, "/tmp/x/", tmp_path)
    assert len(got.raise_for_error().files) == 230


def test_several_at_once(store: Bucket, tmp_path: Path) -> None:
    store.files = {f"/tmp/x/{number}": b"x" for number in range(6)}
    gates = [Gate() for _ in range(3)]
    store.instead.extend(gate.before(answer(b"held")) for gate in gates)

    def close_iterator() -> None:
        for gate in gates:
            assert gate.asked.wait(60)
        for gate in gates:
            gate.open()

    opener = threading.Thread(target=close_iterator)
    opener.start()
    with client(store) as agb:
        got = agb.context.download(CONTEXT, "/tmp/x", tmp_path, concurrency=3)
    opener.join()
    assert got.raise_for_error().size == 3 * 4 + 3
    assert store.server.connections == 3


def test_progress(store: Bucket, large: Path, tmp_path: Path) -> None:
    steps: list[tuple[int, int | None]] = []
    store.instead.append(cut())
    with client(store) as agb:
        agb.context.upload(CONTEXT, large, "/tmp/x/a", progress=lambda *step: steps.append(step))
        assert (len(LARGE), len(LARGE)) in steps
        assert (0, len(LARGE)) in steps  # the first try was given up
        steps.clear()
        agb.context.download(CONTEXT, "/tmp/x/", tmp_path / "back", progress=lambda *step: steps.append(step))
    assert steps[-1] == (len(LARGE), len(LARGE))
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)


def test_what_a_callback_raises_ends_all(store: Bucket, large: Path, tmp_path: Path) -> None:
    store.files = {f"/tmp/x/{number}": LARGE for number in range(20)}

    def mistaken(done: int, total: int | None) -> None:
        raise LookupError("a mistake of the caller's")

    with client(store) as agb:
        with pytest.raises(LookupError):
            agb.context.download(CONTEXT, "/tmp/x/", tmp_path / "back", progress=mistaken, concurrency=3)
        with pytest.raises(LookupError):
            agb.context.upload(CONTEXT, large, "/tmp/new", progress=mistaken)
    assert not left_behind(tmp_path)
    assert "/tmp/new" not in store.files
    assert len(store.transfers) < 20


# --- the store says no -------------------------------------------------------------------------------------------


def early(status: int, code: str, *, closes: bool) -> Any:
    body = f"<Error><Code>{code}</Code><Message>It is so.</Message><RequestId>X-1</RequestId></Error>".encode()
    refusal = answer(body, status, {"Content-Type": "application/xml"})
    return then_close(refusal) if closes else then_silent(refusal)


@pytest.mark.parametrize("closes", [True, False])
@pytest.mark.parametrize(("status", "code"), [(413, "EntityTooLarge"), (403, "AccessDenied")])
def test_answer_while_a_body_is_sent(store: Bucket, large: Path, status: int, code: str, closes: bool) -> None:
    store.early.extend([early(status, code, closes=closes)] * 3)
    with client(store) as agb:
        result = agb.context.upload(CONTEXT, large, "/tmp/a")
    error = result.error
    assert isinstance(error, FileError)
    assert error.http_status == status
    assert error.code == code
    assert error.request_id == "X-1"
    assert "It is so." in result.error_message
    assert str(large) in result.error_message
    assert not error.retryable
    check_secrets(error, result)


def test_expired_url_is_asked_for_again(store: Bucket, tmp_path: Path) -> None:
    store.files["/tmp/a"] = b"content"
    store.instead.append(answer({"success": False, "code": "AccessDenied", "message": "Request has expired"}, 403))
    with client(store) as agb:
        got = agb.context.download(CONTEXT, "/tmp/a", tmp_path / "a")
    assert got.raise_for_error().size == 7
    assert sum("DownloadUrl" in request.path for request in store.server.requests) == 2


def test_refusal_after_lost_attempts_is_final(store: Bucket, tmp_path: Path) -> None:
    store.files["/tmp/a"] = b"content"
    expired = answer({"code": "AccessDenied", "message": "Request has expired"}, 403)
    store.instead.extend([*[cut()] * 4, expired])  # each attempt is sent once more on a new connection
    with client(store) as agb:
        got = agb.context.download(CONTEXT, "/tmp/a", tmp_path / "a")
    assert got.error is not None
    assert (got.error.kind, got.error.retryable) == (ErrorKind.BAD_CREDENTIALS, False)


def test_url_that_is_refused_twice(store: Bucket, tmp_path: Path) -> None:
    store.files["/tmp/a"] = b"content"
    store.instead.extend([answer({"code": "AccessDenied", "message": "Request has expired"}, 403)] * 5)
    with client(store) as agb:
        got = agb.context.download(CONTEXT, "/tmp/a", tmp_path / "a")
    assert got.error is not None
    assert got.error.kind is ErrorKind.BAD_CREDENTIALS
    assert "Request has expired" in got.error_message
    assert len(store.transfers) == 2
    assert list(tmp_path.iterdir()) == []
    check_secrets(got.error, got)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_passing_trouble(store: Bucket, large: Path, status: int) -> None:
    store.instead.extend([answer(b"", status)] * 2)
    with client(store) as agb:
        assert agb.context.upload(CONTEXT, large, "/tmp/a").success
        store.instead.extend([answer(b"", status)] * 3)
        result = agb.context.upload(CONTEXT, large, "/tmp/b")
    assert result.error is not None
    assert result.error.http_status == status
    assert result.error.retryable
    assert store.files == {"/tmp/a": LARGE}


def test_unknown_context_and_unknown_file(store: Bucket, large: Path, tmp_path: Path) -> None:
    with client(store) as agb:
        sent = agb.context.upload("SdkCtx-other", large, "/tmp/a")
        got = agb.context.download(CONTEXT, "/tmp/a", tmp_path / "a")
    assert "Invalid context ID" in sent.error_message
    assert got.error is not None
    assert got.error.kind is ErrorKind.NOT_FOUND
    with pytest.raises(FileError, match="neither a file nor a folder"):
        got.raise_for_error()


# --- redirects ---------------------------------------------------------------------------------------------------


def redirect(location: str, status: int = 307) -> Any:
    return answer(b"", status, {"Location": location})


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirect_is_followed(store: Bucket, large: Path, tmp_path: Path, status: int) -> None:
    store.instead.append(redirect("/bucket?path=/tmp/elsewhere&signature=other", status))
    with client(store) as agb:
        assert agb.context.upload(CONTEXT, large, "/tmp/a").success
        store.files["/tmp/a"] = b""
        with bucket({"/tmp/elsewhere": LARGE}) as other:
            store.instead.append(redirect(other.url("/tmp/elsewhere"), status))
            assert agb.context.download(CONTEXT, "/tmp/a", tmp_path / "a").success
            assert "authorization" not in other.server.requests[0].headers
    assert store.files["/tmp/elsewhere"] == LARGE
    assert (tmp_path / "a").read_bytes() == LARGE


@pytest.mark.parametrize(
    ("location", "status"), [("ftp://127.0.0.1/x", 307), ("", 302), ("/bucket?signature=very-secret-signature", 303)]
)
def test_redirect_that_is_not_followed(store: Bucket, large: Path, location: str, status: int) -> None:
    store.instead.append(redirect(location, status))
    with client(store) as agb:
        result = agb.context.upload(CONTEXT, large, "/tmp/a")
    assert result.error is not None
    assert result.error.kind is ErrorKind.INVALID_ANSWER
    assert "redirect" in result.error_message
    assert len(store.transfers) == 1
    check_secrets(result.error, result)


def test_redirects_come_to_an_end(store: Bucket, tmp_path: Path) -> None:
    store.files["/tmp/a"] = b""
    store.instead.extend([redirect(store.url("/tmp/a"))] * 20)
    with client(store) as agb:
        result = agb.context.download(CONTEXT, "/tmp/a", tmp_path / "a")
    assert result.error is not None
    assert result.error.kind is ErrorKind.INVALID_ANSWER
    assert len(store.transfers) == 6


# --- connections that break --------------------------------------------------------------------------------------


def test_upload_cut_in_the_middle_is_sent_again(store: Bucket, large: Path) -> None:
    store.early.extend([cut()] * 2)
    with client(store) as agb:
        assert agb.context.upload(CONTEXT, large, "/tmp/a").success
    assert store.files["/tmp/a"] == LARGE


def test_upload_that_is_always_cut(store: Bucket, large: Path) -> None:
    store.files["/tmp/a"] = b"before"
    store.early.extend([cut()] * 3)
    with client(store) as agb:
        result = agb.context.upload(CONTEXT, large, "/tmp/a")
    assert result.error is not None
    assert result.error.kind is ErrorKind.UNREACHABLE
    assert result.error.retryable
    assert "/tmp/a" in result.error_message
    assert store.files["/tmp/a"] == b"before"
    check_secrets(result.error, result)


@pytest.mark.parametrize(
    "answered",
    [
        cut(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf"),
        cut(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"),
        cut(b"HTTP/1.1 200 OK\r\nContent-Le"),
        answer(b"other", headers={"Content-MD5": b64encode(md5(b"content").digest()).decode()}),
    ],
)
def test_download_that_is_not_whole(store: Bucket, tmp_path: Path, answered: Any) -> None:
    store.files["/tmp/a"] = b"content"
    (tmp_path / "a").write_bytes(b"before")
    store.instead.extend([answered] * 3)
    with client(store) as agb:
        result = agb.context.download(CONTEXT, "/tmp/a", tmp_path / "a")
        assert result.error is not None
        assert result.error.kind is ErrorKind.UNREACHABLE
        assert len(store.transfers) == 3
        assert (tmp_path / "a").read_bytes() == b"before"
        assert not left_behind(tmp_path)
        check_secrets(result.error, result)
        store.instead.append(answered)
        assert agb.context.download(CONTEXT, "/tmp/a", tmp_path / "a").success
    assert (tmp_path / "a").read_bytes() == b"content"


def test_other_framings_of_the_body(store: Bucket, tmp_path: Path) -> None:
    store.files["/tmp/a"] = b""
    digest = b"Content-MD5: " + b64encode(md5(b"content").digest())
    for said in (
        cut(b"HTTP/1.1 200 OK\r\n\r\ncontent"),
        cut(b"HTTP/1.0 200 OK\r\nContent-Length: 7\r\n\r\ncontent"),
        cut(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 7\r\n" + digest + b"\r\n\r\ncontent"),
        answer(b"4\r\ncont\r\n3\r\nent\r\n0\r\n\r\n", headers={"Transfer-Encoding": "chunked"}),
        answer(b"content", after=b"surplus"),
    ):
        store.instead.append(said)
        with client(store, attempts=1) as agb:
            result = agb.context.download(CONTEXT, "/tmp/a", tmp_path / "a")
            assert result.raise_for_error().size == 7
            assert (tmp_path / "a").read_bytes() == b"content"
            (tmp_path / "a").unlink()
            assert agb.context.list_files(CONTEXT).success  # nothing of it is taken for the next answer


def test_encoding_that_was_not_asked_for(store: Bucket, tmp_path: Path) -> None:
    store.files["/tmp/a"] = b""
    store.instead.append(answer(b"...", headers={"Content-Encoding": "gzip"}))
    with client(store) as agb:
        result = agb.context.download(CONTEXT, "/tmp/a", tmp_path / "a")
    assert "gzip" in result.error_message
    assert list(tmp_path.iterdir()) == []


def test_store_that_stands_still(store: Bucket, large: Path, tmp_path: Path) -> None:
    store.files["/tmp/a"] = b""
    with client(store, 300, attempts=1) as agb:
        store.early.append(silent)
        sent = agb.context.upload(CONTEXT, large, "/tmp/b")
        store.instead.append(then_silent(cut(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx")))
        got = agb.context.download(CONTEXT, "/tmp/a", tmp_path / "a")
    for result in (sent, got):
        assert result.error is not None
        assert result.error.kind is ErrorKind.TIMED_OUT
        assert "for 0.3 s" in result.error_message
    assert not left_behind(tmp_path)


def test_time_for_everything(store: Bucket, tmp_path: Path) -> None:
    store.files["/tmp/a"] = b""
    store.instead.append(trickle)
    with client(store) as agb:
        result = agb.context.download(CONTEXT, "/tmp/a", tmp_path / "a", timeout=1)
    assert result.error is not None
    assert result.error.kind is ErrorKind.TIMED_OUT
    assert "within 1 s" in result.error_message
    assert list(tmp_path.iterdir()) == []


def test_url_that_is_none(store: Bucket, large: Path) -> None:
    for url in (f"nothing?{SECRET}", f"ftp://host/{SECRET}", f"http://user:{SECRET}@host/"):
        with scripted(value({"url": url})) as server:
            store.server.port, port = server.port, store.server.port
            with client(store) as agb:
                result = agb.context.upload(CONTEXT, large, "/tmp/a")
            store.server.port = port
        assert result.error is not None
        assert result.error.kind is ErrorKind.INVALID_ANSWER
        check_secrets(result.error, result)


# --- files of this machine ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/tmp/x/../../escaped", "/tmp/x//escaped", "/tmp/x/./escaped", "/etc/escaped", "/tmp/x/a\0b", "escaped"]
)
def test_listing_that_leads_out(store: Bucket, tmp_path: Path, path: str) -> None:
    store.files["/tmp/x/good"] = b"good"
    store.rows = [row("/tmp/x/good", 4), row(path, 4)]
    (tmp_path / "a" / "b").mkdir(parents=True)
    with client(store) as agb:
        result = agb.context.download(CONTEXT, "/tmp/x", tmp_path / "a" / "b")
    assert not result.success
    assert [file.remote_path for file in result.files] == ["/tmp/x/good"]
    assert [failure.remote_path for failure in result.failures] == [path]
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "b", "good"]
    assert len(store.transfers) == 1


def test_what_is_here_is_kept_if_asked(store: Bucket, tmp_path: Path) -> None:
    store.files = {"/tmp/x/a": b"new", "/tmp/x/b": b"new"}
    (tmp_path / "a").write_bytes(b"old")
    with client(store) as agb:
        result = agb.context.download(CONTEXT, "/tmp/x", tmp_path, overwrite=False)
    assert not result.success
    assert "overwrite=False" in result.error_message
    assert (tmp_path / "a").read_bytes() == b"old"
    assert (tmp_path / "b").read_bytes() == b"new"


def test_no_such_file_here(store: Bucket, tmp_path: Path) -> None:
    with client(store) as agb:
        result = agb.context.upload(CONTEXT, tmp_path / "none", "/tmp/a")
    assert isinstance(result.error, FileError)
    assert str(tmp_path / "none") in result.error_message
    assert store.server.requests == []


def test_directory_where_a_file_goes(store: Bucket, tmp_path: Path) -> None:
    store.files = {"/tmp/x/a": b"file", "/tmp/x/b": b"file"}
    (tmp_path / "a").mkdir()
    (tmp_path / "file").write_bytes(b"")
    with client(store) as agb:
        result = agb.context.download(CONTEXT, "/tmp/x", tmp_path)
        below_a_file = agb.context.download(CONTEXT, "/tmp/x", tmp_path / "file")
    assert [failure.remote_path for failure in result.failures] == ["/tmp/x/a"]
    assert "directory" in result.error_message
    assert (tmp_path / "b").read_bytes() == b"file"
    assert len(below_a_file.failures) == 2
    assert not left_behind(tmp_path)


def test_links_and_special_files(store: Bucket, tmp_path: Path) -> None:
    here = tmp_path / "here"
    (here / "sub").mkdir(parents=True)
    (here / "sub" / "file").write_bytes(b"content")
    (tmp_path / "outside").write_bytes(b"secret of another directory")
    (here / "inside").symlink_to("sub/file")
    (here / "out").symlink_to(tmp_path / "outside")
    (here / "up").symlink_to("..")
    (here / "again").symlink_to("sub")
    (here / "nowhere").symlink_to("nowhere else")
    os.mkfifo(here / "pipe")
    with client(store) as agb:
        result = agb.context.upload(CONTEXT, here, "/tmp/x")
        pipe = agb.context.upload(CONTEXT, here / "pipe", "/tmp/pipe")
    assert store.files == {"/tmp/x/sub/file": b"content", "/tmp/x/inside": b"content"}
    assert {failure.remote_path for failure in result.failures} == {
        f"/tmp/x/{n}" for n in ("out", "up", "again", "nowhere")
    }
    assert "not a regular file" in pipe.error_message


def test_name_that_is_no_text(store: Bucket, tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"bad\xff")).write_bytes(b"x")
    (tmp_path / "good").write_bytes(b"x")
    with client(store) as agb:
        result = agb.context.upload(CONTEXT, tmp_path, "/tmp/x")
    assert list(store.files) == ["/tmp/x/good"]
    assert "UTF-8" in result.error_message


@pytest.mark.parametrize("grows", [True, False])
def test_file_that_changes_its_size_while_it_is_uploaded(store: Bucket, large: Path, grows: bool) -> None:
    def change(done: int, total: int | None) -> None:
        os.truncate(large, len(LARGE) * 2 if grows else len(LARGE) // 2)

    with client(store) as agb:
        result = agb.context.upload(CONTEXT, large, "/tmp/a", progress=change)
    if grows:
        assert result.raise_for_error().size == len(LARGE)
        assert store.files["/tmp/a"] == LARGE
    else:
        assert "shorter" in result.error_message
        assert store.files == {}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "agb-test", str(disk)], check=False, capture_output=True
    )
    if made.returncode:
        pytest.skip(f"no file system can be mounted here: {made.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_disk_that_is_full(store: Bucket, small_disk: Path) -> None:
    store.files["/tmp/a"] = LARGE
    (small_disk / "a").write_bytes(b"before")
    with client(store) as agb:
        result = agb.context.download(CONTEXT, "/tmp/a", small_disk / "a")
    assert "No space left" in result.error_message
    assert [path.name for path in small_disk.iterdir()] == ["a"]
    assert (small_disk / "a").read_bytes() == b"before"
    assert len(store.transfers) == 1


@pytest.mark.parametrize(
    ("arguments", "more", "error"),
    [
        (("", "x", "/tmp/a"), {}, ValueError),
        ((1, "x", "/tmp/a"), {}, TypeError),
        ((CONTEXT, "x", "tmp/a"), {}, ValueError),
        ((CONTEXT, "x", "/tmp/../a"), {}, ValueError),
        ((CONTEXT, "x", "/tmp/a"), {"concurrency": 0}, ValueError),
        ((CONTEXT, "x", "/tmp/a"), {"concurrency": "8"}, TypeError),
        ((CONTEXT, "x", "/tmp/a"), {"timeout": 0}, ValueError),
        ((CONTEXT, "x", "/tmp/a"), {"progress": 5}, TypeError),
    ],
)
def test_wrong_arguments(store: Bucket, arguments: Any, more: Any, error: type[Exception]) -> None:
    with client(store) as agb:
        with pytest.raises(error):
            agb.context.upload(*arguments, **more)
        with pytest.raises(error):
            agb.context.download(arguments[0], arguments[2], arguments[1], **more)
    assert store.server.requests == []
