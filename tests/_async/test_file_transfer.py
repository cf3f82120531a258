"""`session.file.upload` and `download`: into a session of the local runtime and out of it, and the failures."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

from agb import AGBError, AsyncAGB, AsyncSession, Config, CreateSessionParams, ErrorKind
from agb.local import LocalServer
from agb.modules.file_transfer import AsyncFileTransfer
from tests.bucket import CONTEXT, SECRET, Bucket
from tests.servers import Action, Conversation, answer, refuse, scripted, silent, value

pytestmark = [pytest.mark.anyio, pytest.mark.one_event_loop]

IMAGE = CreateSessionParams(image_id="agb-code-space-1")
LIMIT_MS = 60_000
"""Milliseconds for a command of a test; the default of 1,000 is too short on a loaded machine."""
PLACE = "/tmp/file_transfer"
LARGE = os.urandom(1 << 20) * 9


# --- the local runtime -------------------------------------------------------------------------------------------


async def test_there_and_back(runtime: LocalServer, config: Config, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(LARGE)
    async with AsyncAGB(runtime.api_key, config) as agb, agb.session(IMAGE) as session:
        place = await session.file.transfer_path()
        assert (await session.command.execute(f"echo begun > {place}/begun", timeout_ms=LIMIT_MS)).success
        begun = await session.file.download(f"{place}/begun", f"{tmp_path}/begun")
        assert begun.success, begun.error_message
        assert (tmp_path / "begun").read_text() == "begun\n"
        reports: list[int] = []
        sent = await session.file.upload(
            f"{tmp_path}/large", f"{place}/with space ü%+?.bin", progress_cb=reports.append
        )
        assert sent.success, sent.error_message
        assert sent.raise_for_error() is sent
        assert (sent.http_status, sent.bytes_sent, sent.path) == (200, len(LARGE), f"{place}/with space ü%+?.bin")
        assert sent.etag
        assert sent.request_id_upload_url
        assert sent.request_id_sync
        assert reports[-1] == len(LARGE)
        assert reports == sorted(reports)
        changed = await session.command.execute(
            f"cd {place}; wc -c < with*; mkdir -p sub; mv with* sub/moved", timeout_ms=LIMIT_MS
        )
        assert changed.output.strip() == str(len(LARGE))
        reports.clear()
        got = await session.file.download(f"{place}/sub/moved", f"{tmp_path}/new/back", progress_cb=reports.append)
        assert got.success, got.error_message
        assert (got.http_status, got.bytes_received, got.local_path) == (200, len(LARGE), f"{tmp_path}/new/back")
        assert reports[-1] == len(LARGE)
        assert (tmp_path / "new" / "back").read_bytes() == LARGE


async def test_what_is_refused(runtime: LocalServer, config: Config, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    async with AsyncAGB(runtime.api_key, config) as agb, agb.session(IMAGE) as session:
        missing = await session.file.upload(f"{tmp_path}/none", f"{PLACE}/a")
        assert "Local file not found" in str(missing.error_message)
        assert "Local file not found" in str((await session.file.upload(str(tmp_path), f"{PLACE}/a")).error_message)
        relative = await session.file.upload(f"{tmp_path}/a", "a")
        assert "absolute" in str(relative.error_message)
        outside = await session.file.upload(f"{tmp_path}/a", "/opt/elsewhere/a")
        assert not outside.success
        assert "/opt" in str(outside.error_message)
        empty = await session.file.upload(f"{tmp_path}/a", f"{PLACE}/empty")
        assert empty.success
        assert empty.bytes_sent == 0
        absent = await session.file.download(f"{PLACE}/none", f"{tmp_path}/b")
        assert "get_file_download_url failed" in str(absent.error_message)
        assert absent.error is not None
        assert absent.error.kind is ErrorKind.NOT_FOUND
        kept = await session.file.download(f"{PLACE}/none", f"{tmp_path}/a", overwrite=False)
        assert "Destination exists and overwrite=False" in str(kept.error_message)
        with pytest.raises(AGBError):
            kept.raise_for_error()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


ELSEWHERE = ["/home/user/sales ü.csv", "/tmp/new/dir/\udcff\n", "/tmp/file_transfer/../up", "/dev/shm/x"]


@pytest.mark.parametrize("attached", [False, True])
@pytest.mark.one_flavour
async def test_any_absolute_path(runtime: LocalServer, config: Config, tmp_path: Path, attached: bool) -> None:
    source = tmp_path / "sales.csv"
    source.write_bytes(LARGE[: 3 << 20])
    source.chmod(0o751)
    os.utime(source, (1e9, 1e9 + 0.25))
    async with AsyncAGB(runtime.api_key, config) as agb, agb.session(IMAGE) as made:
        session = agb.attach(made.ref) if attached else made
        for number, place in enumerate(ELSEWHERE):
            reports: list[int] = []
            sent = await session.file.upload(str(source), place, progress_cb=reports.append)
            assert (sent.success, sent.error_message) == (True, None)
            assert (sent.bytes_sent, sent.path, reports[-1]) == (3 << 20, place, 3 << 20)
            back = tmp_path / f"{number}" / "back"
            reports.clear()
            got = await session.file.download(place, str(back), progress_cb=reports.append)
            assert (got.success, got.error_message) == (True, None)
            assert (got.bytes_received, got.local_path, reports[-1]) == (3 << 20, str(back), 3 << 20)
            assert back.read_bytes() == source.read_bytes()
            found = back.stat()
            assert (found.st_mode & 0o777, found.st_mtime) == (0o751, 1e9 + 0.25)
        kept = await session.file.download(ELSEWHERE[0], str(source), overwrite=False)
        assert "overwrite=False" in str(kept.error_message)
        absent = await session.file.download("/home/user/none", f"{tmp_path}/none")
        assert absent.error is not None
        assert absent.error.kind is ErrorKind.NOT_FOUND
        assert not (tmp_path / "none").exists()
        directory = await session.file.upload(str(source), "/home/user")
        assert "directory" in str(directory.error_message)


async def test_what_has_no_end_or_is_too_large(runtime: LocalServer, config: Config, tmp_path: Path) -> None:
    async with AsyncAGB(runtime.api_key, config) as agb, agb.session(IMAGE) as session:
        place = await session.file.transfer_path()
        made = await session.command.execute(
            f"ln -s /dev/zero /tmp/result; head -c 100000 /dev/zero | tee /tmp/large {place}/large >/tmp/log",
            timeout_ms=LIMIT_MS,
        )
        assert made.success
        device = await session.file.download("/tmp/result", f"{tmp_path}/a")
        assert "not a regular file" in str(device.error_message)
        for path in ("/tmp/large", f"{place}/large"):
            large = await session.file.download(path, f"{tmp_path}/a", max_size=99_999)
            assert "99,999 bytes" in str(large.error_message)
            assert (await session.file.download(path, f"{tmp_path}/b", max_size=100_000)).success
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


async def test_what_a_callback_raises_ends_a_copy_by_the_tools(
    runtime: LocalServer, config: Config, tmp_path: Path
) -> None:
    def fail(count: int) -> None:
        raise LookupError(count)

    (tmp_path / "a").write_bytes(LARGE[: 2 << 20])
    async with AsyncAGB(runtime.api_key, config) as agb, agb.session(IMAGE) as session:
        assert (await session.file.upload(f"{tmp_path}/a", "/tmp/d/a")).success
        with pytest.raises(LookupError):
            await session.file.upload(f"{tmp_path}/a", "/tmp/d/b", progress_cb=fail)
        with pytest.raises(LookupError):
            await session.file.download("/tmp/d/a", f"{tmp_path}/b", progress_cb=fail)
        assert [entry["name"] for entry in (await session.file.list("/tmp/d")).entries] == ["a"]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


async def test_session_that_is_gone(runtime: LocalServer, config: Config, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    async with AsyncAGB(runtime.api_key, config) as agb:
        async with agb.session(IMAGE) as session:
            pass
        assert await session.file.transfer_path() is None
        result = await session.file.upload(f"{tmp_path}/a", f"{PLACE}/a")
        assert result.error is not None
        assert result.error.kind is ErrorKind.NOT_FOUND
        assert session.session_id in str(result.error_message)


# --- services that do otherwise ----------------------------------------------------------------------------------

ITEMS = [
    {"contextId": "SdkCtx-other", "contextType": "browser", "contextPath": "/other"},
    {"contextId": CONTEXT, "contextType": "file_transfer", "contextPath": PLACE},
]


@define(eq=False)
class Service(Bucket):
    """A service with one session, whose tasks have no ids, as in the cloud."""

    items: Any = field(factory=lambda: ITEMS)
    rows_now: list[dict[str, Any]] = field(factory=list)
    started: list[str] = field(factory=list)
    ends_as: dict[str, Any] = field(factory=lambda: {"status": "Success", "errorMessage": ""})
    sync: Action | None = None

    def __call__(self, talk: Conversation) -> None:
        path = talk.request.path
        if path == "/sdk/GetAndLoadInternalContext":
            return value(self.items)(talk)
        if path == "/sdk/SyncContext":
            return (self.sync or self.begin)(talk)
        if path == "/sdk/GetContextInfo":
            return value({"contextStatus": _status(self.rows_now)})(talk)
        return super().__call__(talk)

    def begin(self, talk: Conversation) -> None:
        mode = "upload" if "mode=upload" in talk.request.target else "download"
        self.started.append(mode)
        self.rows_now = [*self.rows_now, task(mode, len(self.started), **self.ends_as)]
        value(None)(talk)


def task(mode: str, start: int, **more: Any) -> dict[str, Any]:
    return {"contextId": CONTEXT, "path": PLACE, "taskType": mode, "startTime": start, "finishTime": start, **more}


def _status(rows: list[dict[str, Any]]) -> str:
    return json.dumps([{"type": "data", "data": json.dumps(rows)}])


@contextmanager
def serving(service: Service) -> Iterator[Service]:
    with scripted(service, early=service.look) as server:
        service.server = server
        yield service


@pytest.fixture
def service() -> Iterator[Service]:
    with serving(Service()) as service:
        yield service


@pytest.fixture
def local(tmp_path: Path) -> Path:
    path = tmp_path / "local"
    path.write_bytes(b"content")
    return path


def session_of(service: Service, agb: AsyncAGB) -> AsyncSession:
    agb.client._random = lambda: 0.0
    return agb.attach("s-1")


def client(service: Service, timeout_ms: int = 5000) -> AsyncAGB:
    return AsyncAGB("ako-key", Config(service.server.endpoint, timeout_ms))


def in_force(transfer: AsyncFileTransfer) -> tuple[str | None, str | None]:
    return transfer.context_id, transfer.context_path


async def test_context_is_chosen_by_its_type(service: Service, local: Path) -> None:
    async with client(service) as agb:
        transfer = AsyncFileTransfer(agb, session_of(service, agb))
        assert in_force(transfer) == (None, None)
        result = await transfer.upload(str(local), f"{PLACE}/a", content_type="text/plain")
        assert result.success, result.error_message
        assert in_force(transfer) == (CONTEXT, PLACE)
        assert await transfer.ensure_context_id() == (True, None)
    assert service.files == {f"{PLACE}/a": b"content"}
    assert service.transfers[0].headers["content-type"] == "text/plain"
    assert sum("Internal" in request.path for request in service.server.requests) == 1


@pytest.mark.parametrize("items", [None, [], [{"contextId": "", "contextPath": ""}], ITEMS[:1]])
async def test_no_internal_context(service: Service, local: Path, items: Any) -> None:
    service.items = items
    async with client(service) as agb:
        transfer = AsyncFileTransfer(agb, session_of(service, agb))
        is_there, message = await transfer.ensure_context_id()
        assert not is_there
        assert "Response contains no data" in str(message)
        result = await transfer.upload(str(local), f"{PLACE}/a")
        assert "Response contains no data" in str(result.error_message)
        assert await session_of(service, agb).file.transfer_path() is None


@pytest.mark.parametrize("status", ["Failed", "failed"])
@pytest.mark.parametrize("message", ["the disk is full", ""])
async def test_failed_sync_is_a_failure(
    service: Service, local: Path, tmp_path: Path, status: str, message: str
) -> None:
    service.files[f"{PLACE}/a"] = b"stale"
    service.ends_as = {"status": status, "errorMessage": message}
    async with client(service) as agb:
        session = session_of(service, agb)
        sent = await session.file.upload(str(local), f"{PLACE}/a", wait_timeout=60)
        got = await session.file.download(f"{PLACE}/a", f"{tmp_path}/got", wait_timeout=60)
    assert not sent.success
    assert "Upload sync not finished" in str(sent.error_message)
    assert message in str(sent.error_message)
    assert sent.http_status == 200
    assert not got.success
    assert "Download sync not finished" in str(got.error_message)
    assert not (tmp_path / "got").exists()


async def test_only_the_new_task_counts(service: Service, local: Path) -> None:
    service.rows_now = [task("download", 1, status="Failed", errorMessage="an old failure")]
    service.started = ["older"]
    async with client(service) as agb:
        result = await session_of(service, agb).file.upload(str(local), f"{PLACE}/a")
    assert result.success, result.error_message


async def test_wait_ends_in_time(service: Service, local: Path) -> None:
    service.ends_as = {"status": "Running", "errorMessage": ""}
    async with client(service) as agb:
        result = await session_of(service, agb).file.upload(str(local), f"{PLACE}/a", wait_timeout=1)
    assert "Upload sync not finished" in str(result.error_message)
    assert "within 1 s" in str(result.error_message)
    assert result.error is not None
    assert result.error.kind is ErrorKind.TIMED_OUT


async def test_without_waiting(service: Service, local: Path, tmp_path: Path) -> None:
    service.ends_as = {"status": "Running", "errorMessage": ""}
    async with client(service) as agb:
        session = session_of(service, agb)
        sent = await session.file.upload(str(local), f"{PLACE}/a", wait=False)
        got = await session.file.download(f"{PLACE}/a", f"{tmp_path}/got", wait=False)
    assert sent.success
    assert got.success
    assert service.started == ["download", "upload"]
    looks = [request for request in service.server.requests if request.path == "/sdk/GetContextInfo"]
    assert len(looks) == 2  # the tasks before each start


async def test_sync_that_cannot_be_started(service: Service, local: Path) -> None:
    service.sync = refuse("Busy", "not now")
    async with client(service) as agb:
        result = await session_of(service, agb).file.upload(str(local), f"{PLACE}/a")
    assert "session.context.sync(download) failed" in str(result.error_message)
    assert "not now" in str(result.error_message)


async def test_store_that_refuses(service: Service, local: Path, tmp_path: Path) -> None:
    service.files[f"{PLACE}/a"] = b"content"
    service.instead.extend([answer({"code": "EntityTooLarge", "message": "too large"}, 413), *[answer(b"", 404)] * 3])
    async with client(service) as agb:
        session = session_of(service, agb)
        sent = await session.file.upload(str(local), f"{PLACE}/b")
        got = await session.file.download(f"{PLACE}/a", f"{tmp_path}/got")
    assert "Upload failed with HTTP 413" in str(sent.error_message)
    assert "too large" in str(sent.error_message)
    assert (sent.http_status, sent.bytes_sent) == (413, 7)
    assert "Download failed with HTTP 404" in str(got.error_message)
    assert got.http_status == 404
    assert SECRET not in f"{sent!r} {got!r}"


async def test_redirects_may_be_forbidden(service: Service, local: Path) -> None:
    service.instead.append(answer(b"", 307, {"Location": "/bucket?path=/tmp/b"}))
    async with client(service) as agb:
        session = session_of(service, agb)
        follows = await AsyncFileTransfer(agb, session).upload(str(local), f"{PLACE}/a")
        service.instead.append(answer(b"", 307, {"Location": "/bucket?path=/tmp/b"}))
        does_not = await AsyncFileTransfer(agb, session, follow_redirects=False).upload(str(local), f"{PLACE}/a")
    assert follows.success
    assert not does_not.success
    assert "redirect" in str(does_not.error_message)


async def test_store_that_stands_still(service: Service, local: Path) -> None:
    service.instead.extend([silent] * 3)
    async with client(service) as agb:
        transfer = AsyncFileTransfer(agb, session_of(service, agb), http_timeout=0.5)
        result = await transfer.upload(str(local), f"{PLACE}/a")
    assert "for 0.5 s" in str(result.error_message)
    assert result.http_status is None
    assert result.request_id_upload_url == "R-1"


async def test_what_the_callback_raises_is_raised(service: Service, local: Path, tmp_path: Path) -> None:
    service.files[f"{PLACE}/a"] = b"content"

    def mistaken(done: int) -> None:
        raise LookupError("a mistake of the caller's")

    async with client(service) as agb:
        session = session_of(service, agb)
        with pytest.raises(LookupError):
            await session.file.upload(str(local), f"{PLACE}/b", progress_cb=mistaken)
        with pytest.raises(LookupError):
            await session.file.download(f"{PLACE}/a", f"{tmp_path}/got", progress_cb=mistaken)
    assert list(service.files) == [f"{PLACE}/a"]
    assert [path.name for path in tmp_path.iterdir()] == ["local"]


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"wait_timeout": 0}, ValueError),
        ({"wait_timeout": "30"}, TypeError),
        ({"poll_interval": -1}, ValueError),
        ({"progress_cb": 5}, TypeError),
    ],
)
async def test_wrong_arguments(service: Service, local: Path, more: Any, error: type[Exception]) -> None:
    async with client(service) as agb:
        session = session_of(service, agb)
        with pytest.raises(error):
            await session.file.upload(str(local), f"{PLACE}/a", **more)
        with pytest.raises(error):
            await session.file.download(f"{PLACE}/a", str(local), **more)
    assert service.server.requests == []
