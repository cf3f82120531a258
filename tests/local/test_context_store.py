"""The store of contexts: what is kept, what is refused, and what a process that dies leaves behind."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agb.local.contexts.keys import above, below, file_key, folder_key, parent_of
from agb.local.contexts.store import ContextStore
from agb.local.contexts.stored import StoredFile
from agb.local.errors import CannotStart, Refused
from agb.local.page_tokens import token_after

from .runtimes import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@contextmanager
def opened(directory: Path, clock: Clock | None = None) -> Iterator[ContextStore]:
    store = ContextStore(directory, clock=clock or Clock())
    try:
        yield store
    finally:
        store.close()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[ContextStore]:
    with opened(tmp_path / "contexts", clock) as store:
        yield store


@pytest.fixture
def context(store: ContextStore) -> str:
    """The id of an empty context."""
    return store.find("mine", create=True).id


def put(store: ContextStore, context: str, path: str, content: bytes = b"content", **more: Any) -> StoredFile:
    with store.writing(context, path, **more) as writing:
        writing.write(content)
        return writing.commit()


def content(store: ContextStore, context: str, path: str) -> bytes:
    file, stored = store.open(context, path)
    with file:
        read = file.read()
    assert len(read) == stored.size
    return read


def blobs(directory: Path) -> list[Path]:
    """Everything on the disk that is content, in its place or incoming."""
    return [path for part in ("blobs", "incoming") for path in (directory / part).rglob("*") if path.is_file()]


# --- contexts ----------------------------------------------------------------------------------------------------


def test_context_is_made_once_for_a_name_and_found_by_it_and_its_id(store: ContextStore) -> None:
    made = store.find("mine", create=True)
    assert made.id.startswith("SdkCtx-")
    assert made.state == "available"
    assert store.find("mine") == store.find("mine", create=True) == store.get(made.id) == made


def test_what_was_stored_is_there_when_the_store_is_opened_again(
    store: ContextStore, context: str, tmp_path: Path
) -> None:
    stored = put(store, context, "/tmp/x.txt")
    store.make_directory(context, "/tmp/empty", mode=0o700, mtime=5.0)
    store.close()
    with opened(tmp_path / "contexts") as again:
        assert again.get(context).name == "mine"
        assert again.stat(context, "/tmp/x.txt") == stored
        assert content(again, context, "/tmp/x.txt") == b"content"
        assert [(file.path, file.kind) for file in again.files(context)] == [
            ("/tmp/empty", "directory"),
            ("/tmp/x.txt", "file"),
        ]


def test_one_name_is_made_once_by_many_threads(store: ContextStore) -> None:
    with ThreadPoolExecutor(8) as threads:
        made = {context.id for context in threads.map(lambda _: store.find("mine", create=True), range(32))}
    assert len(made) == 1
    assert store.list(10).count == 1


def test_pages_are_stable_whatever_comes_and_goes(store: ContextStore) -> None:
    made = [store.find(str(number), create=True).id for number in range(6)]
    first = store.list(2)
    assert [context.id for context in first.contexts] == made[:2]
    store.delete(made[0])
    store.delete(made[2])
    store.find("new", create=True)
    second = store.list(2, first.next_token)
    assert [context.id for context in second.contexts] == made[3:5]
    assert second.count == 5
    last = store.list(2, second.next_token)
    assert [context.name for context in last.contexts] == ["5", "new"]
    assert last.next_token == ""
    with pytest.raises(Refused, match="maxResults"):
        store.list(0)


def test_pages_of_files_are_stable_whatever_comes_and_goes(store: ContextStore, context: str) -> None:
    for name in "bcdefg":
        put(store, context, f"/data/{name}")
    put(store, context, "/data/below/x")

    def page(token: str) -> tuple[str, str]:
        found = store.page(context, "/data", 1, 2, token)
        return "".join(file.name for file in found.files), found.next_token

    names, token = page("")
    assert names == "bc"
    for name in "bcd":
        store.remove(context, f"/data/{name}")
    for name in "aeh":
        put(store, context, f"/data/{name}")
    names, token = page(token)
    assert names == "ef"
    assert page(token) == ("gh", "")
    for bad in ("x", token_after(7)):
        with pytest.raises(Refused, match="nextToken"):
            page(bad)


def test_deleted_context_takes_everything_with_it(store: ContextStore, context: str, tmp_path: Path) -> None:
    for number in range(600):  # more than go at once
        store.make_directory(context, f"/{number}")
    put(store, context, "/x")
    store.recycling.set_rule(context, "/", 1)
    store.delete(context)
    with pytest.raises(Refused, match="not found"):
        store.get(context)
    with pytest.raises(Refused, match="not found"):
        store.delete(context)
    assert blobs(tmp_path / "contexts") == []
    assert store.find("mine", create=True).id != context


def test_name_of_a_context_is_taken_once(store: ContextStore, context: str) -> None:
    other = store.find("other", create=True)
    with pytest.raises(Refused, match="taken") as refused:
        store.rename(other.id, "mine")
    assert refused.value.http_status == 409
    assert store.get(other.id).name == "other"
    assert store.rename(other.id, "third").name == "third"
    assert store.find("third").id == other.id


@pytest.mark.parametrize("name", ["", " \n", "x" * 256, "\ud800", "a\0"])
def test_name_that_cannot_be_one(store: ContextStore, context: str, name: str) -> None:
    uses: list[Callable[[], object]] = [lambda: store.find(name, create=True), lambda: store.rename(context, name)]
    for use in uses:
        with pytest.raises(Refused, match="the name of a context must"):
            use()


def test_time_of_last_use(store: ContextStore, context: str, clock: Clock, tmp_path: Path) -> None:
    made = clock.now
    uses: list[Callable[[], object]] = [
        lambda: store.touch(context),
        lambda: put(store, context, "/x"),
        lambda: store.use(context, "/x")[0].close(),
        lambda: store.remove(context, "/x"),
    ]
    for use in uses:
        clock.now += 1
        use()
        assert store.get(context).last_used == clock.now
    clock.now += 1
    store.touch(context)
    store.close()
    with opened(tmp_path / "contexts") as again:
        assert (again.get(context).created, again.get(context).last_used) == (made, clock.now)


def test_unknown_context_is_refused(store: ContextStore) -> None:
    with pytest.raises(Refused, match=r"Invalid context ID: .* not found") as refused:
        store.get("SdkCtx-none")
    assert (refused.value.code, refused.value.http_status) == ("InvalidContext.NotFound", 400)
    for use in (
        lambda: store.stat("SdkCtx-none", "/x"),
        lambda: store.files("SdkCtx-none"),
        lambda: store.page("SdkCtx-none", None, 1, 1),
        lambda: store.writing("SdkCtx-none", "/x"),
        lambda: store.open("SdkCtx-none", "/x"),
        lambda: store.remove("SdkCtx-none", "/x"),
        lambda: store.make_directory("SdkCtx-none", "/x"),
        lambda: store.recycling.set_rule("SdkCtx-none", "/x", 1),
        lambda: store.recycling.expire("SdkCtx-none", "", 1),
        lambda: store.begin_clear("SdkCtx-none"),
        lambda: store.finish_clear("SdkCtx-none"),
        lambda: store.touch("SdkCtx-none"),
        lambda: store.rename("SdkCtx-none", "x"),
    ):
        with pytest.raises(Refused, match="Invalid context ID"):
            use()


# --- files -------------------------------------------------------------------------------------------------------


def test_versions(store: ContextStore, context: str, clock: Clock, tmp_path: Path) -> None:
    first = put(store, context, "/x", b"one")
    clock.now += 10
    second = put(store, context, "/x", b"two!")
    assert second.version > first.version
    assert (second.number, second.created) == (first.number, first.created)
    assert (second.size, second.modified, second.mtime) == (4, clock.now, clock.now)
    assert store.remove(context, "/x")
    third = put(store, context, "/x", b"one")
    assert third.version > second.version
    assert third.number != first.number
    assert third.etag == first.etag == sha256(b"one").hexdigest()
    assert len(blobs(tmp_path / "contexts")) == 1


def test_mode_and_mtime_are_kept(store: ContextStore, context: str) -> None:
    with store.writing(context, "/x", mode=0o100755, mtime=12.5) as writing:
        written = writing.commit()
    assert (written.mode, written.mtime, written.size) == (0o755, 12.5, 0)
    assert store.stat(context, "/x") == written


def test_writing_left_without_commit_changes_nothing(store: ContextStore, context: str, tmp_path: Path) -> None:
    old = put(store, context, "/x")
    with store.writing(context, "/x") as writing:
        writing.write(b"new")
    with pytest.raises(ValueError, match="has ended"):
        writing.write(b"more")
    assert store.stat(context, "/x") == old
    assert len(blobs(tmp_path / "contexts")) == 1


def test_writing_on_a_condition(store: ContextStore, context: str, tmp_path: Path) -> None:
    def write(content: bytes, if_version: int | None) -> StoredFile:
        with store.writing(context, "/x") as writing:
            writing.write(content)
            return writing.commit(if_version)

    first = write(b"first", None)
    for wrong in (None, first.version + 1):
        with pytest.raises(Refused, match="Another version") as refused:
            write(b"other", wrong)
        assert (refused.value.code, refused.value.http_status) == ("InvalidFile.Changed", 412)
    second = write(b"second", first.version)
    assert not store.remove(context, "/x", first.version)
    assert content(store, context, "/x") == b"second"
    assert store.remove(context, "/x", second.version)
    assert not store.remove(context, "/x")
    assert blobs(tmp_path / "contexts") == []


def test_content_stays_readable(store: ContextStore, context: str) -> None:
    put(store, context, "/x", b"old")
    file, stored = store.open(context, "/x")
    with file:
        put(store, context, "/x", b"newer")
        store.remove(context, "/x")
        assert file.read() == b"old"
    assert stored.size == 3
    with pytest.raises(Refused, match="File not found"):
        store.open(context, "/x")


def test_what_is_below_a_directory(store: ContextStore, context: str) -> None:
    for path in ("/a/x", "/a/b/y", "/a.b", "/a-b/x", "/ab", "/a0"):
        put(store, context, path)
    store.make_directory(context, "/a/empty")
    assert [file.path for file in store.files(context, "/a")] == ["/a/b/y", "/a/empty", "/a/x"]
    assert [file.path for file in store.files(context, "/a/")] == ["/a/b/y", "/a/empty", "/a/x"]
    assert len(store.files(context)) == len(store.files(context, "/")) == 7
    assert [file.path for file in store.page(context, "/a", 1, 10).files] == ["/a/x"]
    assert [file.path for file in store.page(context, "/", 1, 10).files] == ["/a.b", "/a0", "/ab"]
    assert store.page(context, None, 1, 10).count == store.page(context, "", 3, 2).count == 6
    assert len(store.page(context, "", 3, 2).files) == 2
    assert store.page(context, "", 10**9, 10**9).files == []


def test_directories_round_trip(store: ContextStore, context: str) -> None:
    made = store.make_directory(context, "/a/empty", mode=0o700, mtime=5.0)
    assert (made.kind, made.mode, made.mtime, made.size, made.etag) == ("directory", 0o700, 5.0, 0, "")
    assert store.stat(context, "/a/empty") == made
    assert store.make_directory(context, "/a/empty").number == made.number
    with pytest.raises(Refused, match="File not found"):
        store.open(context, "/a/empty")
    written = put(store, context, "/a/empty/file")
    with pytest.raises(Refused, match="directory with files"):
        put(store, context, "/a/empty")
    assert store.remove(context, written.path)
    assert put(store, context, "/a/empty").kind == "file"  # nothing was in it
    with pytest.raises(Refused, match="it is a file"):
        store.make_directory(context, "/a/empty")
    with pytest.raises(Refused, match="'/a/empty' is a file"):
        store.make_directory(context, "/a/empty/below")


def test_links_round_trip(store: ContextStore, context: str, clock: Clock, tmp_path: Path) -> None:
    """Clients of the API see files only: what a real service has."""
    made = put(store, context, "/a/link", b"../file", kind="link", mode=0o777, mtime=5.0)
    put(store, context, "/a/file", b"content")
    assert (made.kind, made.mode, made.mtime, made.size) == ("link", 0o777, 5.0, 7)
    assert store.stat(context, "/a/link") == made
    content, found = store.open(context, "/a/link")
    with content:
        assert (content.read(), found) == (b"../file", made)
    with pytest.raises(Refused, match="File not found"):
        store.use(context, "/a/link")
    page = store.page(context, "/a", 1, 10)
    assert ([file.path for file in page.files], page.count) == (["/a/file"], 1)
    with pytest.raises(Refused, match="'/a/link' is a link"):
        put(store, context, "/a/link/below")
    with pytest.raises(Refused, match="it is a link"):
        store.make_directory(context, "/a/link")
    with pytest.raises(Refused, match="directory with files"):
        put(store, context, "/a", b"x", kind="link")
    assert put(store, context, "/a/link").number == made.number  # as a file
    assert put(store, context, "/a/link", b"x", kind="link").kind == "link"
    store.close()
    with opened(tmp_path / "contexts", clock) as again:
        assert [(file.path, file.kind) for file in again.files(context)] == [("/a/file", "file"), ("/a/link", "link")]
        clock.now += 10
        assert again.recycling.expire(context, "", 5) == 2
        assert again.files(context) == []


def test_size_limit(store: ContextStore, context: str, tmp_path: Path) -> None:
    with store.writing(context, "/x", size_limit=10) as writing:
        writing.write(b"x" * 10)
        with pytest.raises(Refused, match="larger than 10 bytes") as refused:
            writing.write(b"x")
    assert refused.value.http_status == 413
    assert blobs(tmp_path / "contexts") == []


def test_size_of_a_sparse_file(store: ContextStore, context: str, tmp_path: Path) -> None:
    """Much of nothing has a size, and takes no room; with ``nox -s long`` it is 5 GiB, whose digest takes a while."""
    zeros, pieces = memoryview(bytes(1 << 20)), int(os.environ.get("AGB_SPARSE_MIB", "256"))
    with store.writing(context, "/sparse") as writing:
        writing.write(b"begin")
        for _ in range(pieces):
            writing.write(zeros)
        stored = writing.commit()
    size = 5 + pieces * len(zeros)
    assert stored.size == store.page(context, None, 1, 1).files[0].size == size
    (blob,) = blobs(tmp_path / "contexts")
    assert blob.stat().st_size == size
    assert blob.stat().st_blocks * 512 < 1 << 20
    file, _ = store.open(context, "/sparse")
    with file:
        assert os.pread(file.fileno(), 10, 0) == b"begin" + bytes(5)
        assert os.pread(file.fileno(), 10, size - 5) == bytes(5)


def test_holes_are_read_as_the_zeros_that_were_written(store: ContextStore, context: str) -> None:
    given = b"a" * 5000 + bytes(8192) + b"b" + bytes(4096)
    with store.writing(context, "/x") as writing:
        for part in (given[:5000], given[5000:13192], given[13192:13193], given[13193:]):
            writing.write(part)
        stored = writing.commit()
    assert content(store, context, "/x") == given
    assert stored.etag == sha256(given).hexdigest()


def test_threads_at_work_on_one_context(store: ContextStore, context: str, tmp_path: Path) -> None:
    def work(number: int) -> None:
        path = f"/{number % 5}"
        put(store, context, path, str(number).encode() * 100)
        with suppress(Refused):  # removed by another one
            read = content(store, context, path)
            assert len(set(read.split(b" "))) == 1
        if number % 7 == 0:
            store.remove(context, path)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(200)))
    assert len(blobs(tmp_path / "contexts")) == len(store.files(context))


# --- clearing and recycling --------------------------------------------------------------------------------------


def test_files_of_several_threads_share_a_commit(store: ContextStore, context: str) -> None:
    put(store, context, "/file")
    statements: list[str] = []
    paths = [f"/data/{number}" for number in range(5)]
    with ThreadPoolExecutor(6) as threads:
        with store._commits._leader_lock:  # as a commit under way holds it
            futures = {path: threads.submit(put, store, context, path) for path in [*paths, "/file/below"]}
            while len(store._commits._waiting) < len(futures):
                time.sleep(0.001)  # waits on purpose: a thread that is queued sets no event
            store._database._connection.set_trace_callback(statements.append)
        with pytest.raises(Refused, match="is a file"):
            futures.pop("/file/below").result()
        versions = {path: future.result().version for path, future in futures.items()}
    assert statements.count("COMMIT") == 1
    assert {file.path: file.version for file in store.files(context, "/data")} == versions
    assert len(set(versions.values())) == len(paths)


def test_failed_commit_fails_all_its_files(store: ContextStore, context: str, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as threads:
        with store._commits._leader_lock:
            futures = [threads.submit(put, store, context, path) for path in ("/a", "/b")]
            while len(store._commits._waiting) < len(futures):
                time.sleep(0.001)  # waits on purpose: a thread that is queued sets no event
            store._database._connection.set_authorizer(
                lambda action, *_: sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_UPDATE else 0
            )
        for future in futures:
            with pytest.raises(sqlite3.DatabaseError, match="not authorized"):
                future.result()
    store._database._connection.set_authorizer(None)
    assert store.files(context) == []
    assert put(store, context, "/a").path == "/a"


def test_clearing(store: ContextStore, context: str, tmp_path: Path) -> None:
    before = store.writing(context, "/late")
    before.write(b"late")
    put(store, context, "/x")
    for number in range(600):
        store.make_directory(context, f"/{number}")
    store.begin_clear(context)
    store.begin_clear(context)
    assert store.get(context).state == "clearing"
    for use in (lambda: store.writing(context, "/y"), lambda: store.make_directory(context, "/y"), before.commit):
        with pytest.raises(Refused, match="is being cleared") as refused:
            use()
        assert refused.value.http_status == 409
    store.finish_clear(context)
    assert store.get(context).state == "available"
    assert store.files(context) == []
    assert blobs(tmp_path / "contexts") == []
    store.finish_clear(context)  # nothing to finish
    put(store, context, "/y")
    store.finish_clear(context)
    assert len(store.files(context)) == 1


def test_what_was_interrupted_goes_on_when_the_store_is_opened(
    store: ContextStore, context: str, tmp_path: Path
) -> None:
    """A clearing, a deleting, blobs without rows, and half-written ones."""
    directory = tmp_path / "contexts"
    put(store, context, "/x")
    kept = store.find("kept", create=True).id
    put(store, kept, "/y")
    store.begin_clear(context)
    deleting = store.find("deleting", create=True).id
    put(store, deleting, "/z")
    unfinished = store.writing(kept, "/unfinished")
    unfinished.write(b"x" * 5000)
    (directory / "blobs" / "0" / "0").mkdir(parents=True, exist_ok=True)
    (directory / "blobs" / "0" / "0" / "00orphan").write_bytes(b"x")
    shutil.copytree(directory, tmp_path / "killed")  # as a process that is killed now leaves it
    with sqlite3.connect(tmp_path / "killed" / "contexts.sqlite3") as db:
        db.execute("UPDATE contexts SET name = NULL WHERE id = ?", (deleting,))
    db.close()
    assert len(blobs(tmp_path / "killed")) == 5
    with opened(tmp_path / "killed") as again:
        assert again.get(context).state == "available"
        assert again.files(context) == []
        with pytest.raises(Refused, match="not found"):
            again.get(deleting)
        assert content(again, kept, "/y") == b"content"
        assert len(blobs(tmp_path / "killed")) == 1
    unfinished.close()


def test_recycling(store: ContextStore, context: str, clock: Clock, tmp_path: Path) -> None:
    day = 86_400
    for path in ("/data/tmp/x", "/data/tmp/y", "/data/tmpx", "/data/one", "/data/kept", "/other/tmp/x"):
        put(store, context, path)
    store.make_directory(context, "/data/tmp/empty")
    store.recycling.set_rule(context, "/data", 3, ["/tmp/", "one"])
    clock.now += 3 * day
    assert store.recycle() == 0
    put(store, context, "/data/tmp/y")  # stored anew
    clock.now += 1
    assert store.recycle() == 2
    left = ["/data/kept", "/data/tmp/empty", "/data/tmp/y", "/data/tmpx", "/other/tmp/x"]
    assert [file.path for file in store.files(context)] == left
    store.recycling.set_rule(context, "/data", None, ["/tmp"])
    clock.now += 100 * day
    assert store.recycle() == 0
    store.recycling.set_rule(context, "/other", 1)
    store.recycling.set_rule(context, "/data", 200)
    store.close()
    with opened(tmp_path / "contexts", clock) as again:  # opening looks for it too
        assert [file.path for file in again.files(context)] == left[:-1]
        assert again.recycling.expire(context, "/data/kept", 10 * day) == 1
        assert again.recycling.expire(context, "", 1000 * day) == 0


@pytest.mark.parametrize("path", ["..", "a/../../x", "\0", "\ud800"])
def test_recycling_of_a_path_that_cannot_be_one(store: ContextStore, context: str, path: str) -> None:
    with pytest.raises(Refused):
        store.recycling.set_rule(context, "/data", 1, [path])


# --- disks and directories ---------------------------------------------------------------------------------------


def test_full_disk(small_disk: Path) -> None:
    directory = small_disk / "contexts"
    with opened(directory) as store:
        context = store.find("mine", create=True).id
        put(store, context, "/x", b"old")
        with store.writing(context, "/x") as writing, pytest.raises(Refused, match=r"disk .* is full") as refused:
            writing.write(os.urandom(16 << 20))
        pieces = [os.urandom(1 << 20)] * 16
        with store.writing(context, "/x") as writing, pytest.raises(Refused, match=r"disk .* is full"):
            list(map(writing.write, pieces))
        assert (refused.value.code, refused.value.http_status) == ("InsufficientStorage", 507)
        with pytest.raises(Refused, match="full"):
            store.writing(context, "/x", expected=1 << 30)
        assert content(store, context, "/x") == b"old"
        assert len(blobs(directory)) == 1


def test_disk_that_others_have_filled(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reserve is gone, and the system itself says that there is no room: while writing, and for the metadata."""
    directory = small_disk / "contexts"
    with opened(directory) as store:
        context = store.find("mine", create=True).id
        old = put(store, context, "/x", b"old")
        monkeypatch.setattr("agb.local.contexts.blobs.RESERVE", -(1 << 40))
        with store.writing(context, "/x") as writing:
            writing.write(b"new")
            fill(small_disk)
            with pytest.raises(Refused, match="full"):
                writing.write(os.urandom(1 << 20))
            refusals = []
            for number in range(2000):  # until the free pages of SQLite are used up
                try:
                    store.find(str(number), create=True)
                except Refused as refused:
                    refusals.append(refused.code)
                    break
            assert refusals == ["InsufficientStorage"]
            with pytest.raises(Refused, match="full"):
                writing.commit()
        assert store.stat(context, "/x") == old
        assert content(store, context, "/x") == b"old"
        assert len(blobs(directory)) == 1
        store.touch(context)  # not worth a refusal
        (small_disk / "other").unlink()
        assert content(store, context, put(store, context, "/x", b"new").path) == b"new"
    with opened(directory) as again:
        assert content(again, context, "/x") == b"new"


def fill(directory: Path) -> None:
    """Take every byte that is left."""
    with (directory / "other").open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            with suppress(OSError):
                while True:
                    file.write(b"x" * size)


def test_store_that_is_closed(store: ContextStore, context: str) -> None:
    writing = store.writing(context, "/x")
    store.close()
    store.close()
    for use in (lambda: store.get(context), writing.commit, lambda: store.find("x", create=True)):
        with pytest.raises(Refused, match="stopping") as refused:
            use()
        assert refused.value.http_status == 503


def test_directory_that_holds_something_else(tmp_path: Path) -> None:
    database = tmp_path / "contexts.sqlite3"
    database.write_bytes(b"no database" * 100)
    with pytest.raises(CannotStart, match="cannot be read"):
        ContextStore(tmp_path)
    database.unlink()
    with sqlite3.connect(database) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(CannotStart, match="another version"):
        ContextStore(tmp_path)


def test_only_the_owner_may_read(store: ContextStore, context: str, tmp_path: Path) -> None:
    put(store, context, "/x")
    directory = tmp_path / "contexts"
    assert directory.stat().st_mode & 0o077 == 0
    assert not [path for path in directory.rglob("*") if path.is_file() and path.stat().st_mode & 0o077]


# --- keys --------------------------------------------------------------------------------------------------------

PARTS = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=20).filter(
    lambda part: part not in (".", "..")
)


@given(st.lists(st.tuples(PARTS, st.sampled_from(["/", "//", "/./", "/././/"])), min_size=1, max_size=6))
def test_every_way_to_write_a_path_is_one_key(parts: list[tuple[str, str]]) -> None:
    key = file_key("".join(f"{slash}{part}" for part, slash in parts))
    assert key == "".join(f"/{part}" for part, _ in parts)
    assert file_key(key) == folder_key(key) == folder_key(f"{key}/") == folder_key(f"{key}/.") == key
    assert parent_of(key) in ["", *above(key)]
    assert above(key) == [key[:at] for at in range(1, len(key)) if key[at] == "/"]
    for folder in above(key):
        first, end = below(folder)
        assert first.encode() <= key.encode() < end.encode()
    for slash in ("/", "/."):
        with pytest.raises(Refused, match="names a directory"):
            file_key(key + slash)


@given(st.text() | st.text(alphabet="/.a\0 ").map(lambda text: f"/{text}"))
@example("")
@example("/" + "é" * 128)
@example("/a/\ud800")
def test_key_is_sound_or_refused(path: str) -> None:
    try:
        key = file_key(path)
    except Refused:
        return
    parts = key.split("/")
    assert parts[0] == ""
    assert not {"", ".", ".."} & set(parts[1:])
    assert "\0" not in key
    assert len(key.encode()) <= 4095
    assert max(len(part.encode()) for part in parts) <= 255


@given(PARTS, PARTS)
def test_what_is_beside_a_directory_is_not_below_it(name: str, other: str) -> None:
    first, end = below(f"/{name}")
    beside = f"/{other}/x"
    assert (first.encode() <= beside.encode() < end.encode()) == (name == other)
    assert not first.encode() <= f"/{name}{other}".encode() < end.encode()
