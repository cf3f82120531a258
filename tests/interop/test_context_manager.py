"""Contexts in sessions, as 0.12 mounts and syncs them, moves files by them, and brings extensions with them."""

from __future__ import annotations

import asyncio
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from .harness import IMAGE, Sessions
from .test_contexts import get, made, put

if TYPE_CHECKING:
    from agb import AGB, Session
    from agb.context import Context

PLACE = "/home/user/data"


@pytest.fixture
def context(agb: AGB) -> Iterator[Context]:
    """A new context; the sessions of the test are gone before it is."""
    found = made(agb, f"interop {uuid4().hex}")
    yield found
    agb.context.delete(found)


def mounted(agb: AGB, sessions: Sessions, *syncs: Any, **more: Any) -> Session:
    """Return a session with its data in it: 0.12 waits for that."""
    from agb import CreateSessionParams

    result = agb.create(CreateSessionParams(image_id=IMAGE, context_syncs=list(syncs), **more))
    assert result.success, result.error_message
    assert result.session is not None
    sessions.made.append(result.session.session_id)
    return result.session


def shell(session: Session, command: str) -> str:
    result = session.command.execute(command)
    assert result.success, result.error_message
    return result.output.strip()


def rows(session: Session, **wanted: Any) -> list[tuple[str, str, str]]:
    result = session.context.info(**wanted)
    assert result.success, result.error_message
    return [(row.path, row.task_type, row.status) for row in result.context_status_data]


# --- mounts and syncs --------------------------------------------------------------------------------------------


def test_data_outlives_its_session(agb: AGB, sessions: Sessions, context: Context) -> None:
    from agb import ContextSync, SyncPolicy

    put(agb, context, f"{PLACE}/dir/größe 🙂.txt", b"stored")
    sync = ContextSync(context.id, PLACE, SyncPolicy())
    first = mounted(agb, sessions, sync)
    assert rows(first) == [(PLACE, "download", "Success")]
    assert shell(first, f"cat {PLACE}/dir/*; echo new > {PLACE}/new; rm {PLACE}/dir/*") == "stored"
    result = asyncio.run(first.context.sync())
    assert result.success, result.error_message
    assert rows(first, context_id=context.id, path=PLACE, task_type="upload") == [(PLACE, "upload", "Success")]
    assert get(agb, context, f"{PLACE}/new") == b"new\n"
    shell(first, f"echo last > {PLACE}/last")
    assert first.delete().success

    second = mounted(agb, sessions, sync)
    assert shell(second, f"cd {PLACE}; find . -type f | sort; cat new last") == "./last\n./new\nnew\nlast"
    assert agb.delete(second).success


def test_sync_with_a_callback(agb: AGB, sessions: Sessions, context: Context) -> None:
    from agb import ContextSync, SyncPolicy

    session = mounted(agb, sessions, ContextSync.new(context.id, PLACE, SyncPolicy()))
    shell(session, f"echo new > {PLACE}/new")
    called = threading.Event()
    reported: list[bool] = []

    def callback(success: bool) -> None:
        reported.append(success)
        called.set()

    assert asyncio.run(session.context.sync(context.id, PLACE, "upload", callback)).success
    assert called.wait(30)
    assert reported == [True]
    assert get(agb, context, f"{PLACE}/new") == b"new\n"
    assert session.delete().success


def test_deleted_with_its_data_stored_first(agb: AGB, sessions: Sessions, context: Context) -> None:
    from agb import ContextSync, SyncPolicy, UploadPolicy

    policy = SyncPolicy(upload_policy=UploadPolicy(auto_upload=False))
    session = mounted(agb, sessions, ContextSync(context.id, PLACE, policy))
    shell(session, f"echo new > {PLACE}/new")
    assert session.delete(sync_context=True).success
    assert get(agb, context, f"{PLACE}/new") == b"new\n"


def test_failed_sync_is_reported(agb: AGB, sessions: Sessions, context: Context) -> None:
    from agb import ContextSync, SyncPolicy, UploadPolicy

    policy = SyncPolicy(upload_policy=UploadPolicy(auto_upload=False))
    session = mounted(agb, sessions, ContextSync(context.id, PLACE, policy))
    shell(session, f"echo new > {PLACE}/new; ln -s / {PLACE}/out")
    assert not asyncio.run(session.context.sync(context.id, PLACE)).success
    (row,) = (row for row in session.context.info().context_status_data if row.task_type == "upload")
    assert "a symbolic link with an absolute target" in row.error_message
    assert get(agb, context, f"{PLACE}/new") == b"new\n"
    shell(session, f"rm {PLACE}/out")
    assert asyncio.run(session.context.sync(context.id, PLACE)).success
    assert not asyncio.run(session.context.sync("SdkCtx-none", PLACE)).success
    assert session.delete().success


def test_unknown_context_at_creation(agb: AGB) -> None:
    from agb import ContextSync, CreateSessionParams, SyncPolicy

    sync = ContextSync("SdkCtx-none", PLACE, SyncPolicy())
    result = agb.create(CreateSessionParams(image_id=IMAGE, context_syncs=[sync]))
    assert not result.success
    assert "not found" in (result.error_message or "")


def test_policies(agb: AGB, sessions: Sessions, context: Context) -> None:
    from agb.context_sync import (
        BWList,
        ContextSync,
        DeletePolicy,
        MappingPolicy,
        SyncPolicy,
        UploadMode,
        UploadPolicy,
        WhiteList,
    )

    for path in ("src/a", "src/out/b", "other"):
        put(agb, context, f"/home/old/{path}", b"stored")
    some = SyncPolicy(
        delete_policy=DeletePolicy(sync_local_file=False),
        bw_list=BWList([WhiteList("/src", ["/out"])]),
        mapping_policy=MappingPolicy("/home/old"),
    )
    archive = SyncPolicy(upload_policy=UploadPolicy(upload_mode=UploadMode.ARCHIVE))
    first = mounted(agb, sessions, ContextSync(context.id, PLACE, some), ContextSync(context.id, "/tmp/arc", archive))
    assert shell(first, f"cd {PLACE}; find . -type f; rm src/a; echo new > src/new") == "./src/a"
    shell(first, "cd /tmp/arc; mkdir -p a/empty; echo f > a/f; chmod 700 a/f")
    assert first.delete().success
    found = agb.context.list_files(context.id, page_size=100)
    assert sorted(entry.file_path for entry in found.entries) == [
        "/home/old/other",
        "/home/old/src/a",
        "/home/old/src/new",
        "/home/old/src/out/b",
        "/tmp/arc/.agb-archive.tar.gz",
    ]
    second = mounted(agb, sessions, ContextSync(context.id, "/tmp/arc", archive))
    assert shell(second, "cd /tmp/arc; find . | sort; stat -c %a a/f") == ".\n./a\n./a/empty\n./a/f\n700"
    assert second.delete().success


# --- file transfer -----------------------------------------------------------------------------------------------


def test_files_go_into_the_session_and_come_out(agb: AGB, sessions: Sessions, tmp_path: Path) -> None:
    session = sessions.create()
    directory = session.file.transfer_path()
    assert directory == "/tmp/file_transfer"
    source, target = tmp_path / "source.bin", tmp_path / "out" / "target.bin"
    content = bytes(range(256)) * 10_000
    source.write_bytes(content)
    for remote in (f"{directory}/in.bin", f"{directory}/sub dir/größe.zip"):
        sent = session.file.upload(str(source), remote)
        assert sent.success, sent.error
        assert (sent.http_status, sent.bytes_sent) == (200, len(content))
        assert shell(session, f"stat -c %s '{remote}'; cp '{remote}' '{remote}.copy'") == str(len(content))
        got = session.file.download(f"{remote}.copy", str(target))
        assert got.success, got.error
        assert (got.http_status, got.bytes_received) == (200, len(content))
        assert target.read_bytes() == content
    missing = session.file.download(f"{directory}/none", str(tmp_path / "none"))
    assert not missing.success
    assert not (tmp_path / "none").exists()
    ids = {row.context_id for row in session.context.info().context_status_data}
    assert session.delete().success
    assert [agb.context.get(context_id=context_id).success for context_id in ids] == [False]


def test_own_context_of_a_session_is_in_no_list(agb: AGB, sessions: Sessions) -> None:
    from agb.context import ContextListParams

    def ids() -> set[str]:
        result = agb.context.list(ContextListParams(max_results=1000))
        assert result.success
        return {found.id for found in result.contexts}

    before = ids()
    session = sessions.create()
    assert session.file.transfer_path()
    assert ids() == before
    assert session.delete().success


# --- browsers ----------------------------------------------------------------------------------------------------


def test_browser_context_with_extensions(agb: AGB, sessions: Sessions, context: Context, tmp_path: Path) -> None:
    from agb.extension import ExtensionsService
    from agb.session_params import BrowserContext

    service = ExtensionsService(agb, f"interop extensions {uuid4().hex}")
    try:
        ids = []
        for number in range(3):
            path = tmp_path / f"{number}.zip"
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("manifest.json", str(number))
                archive.writestr("js/background.js", "")
            ids.append(service.create(str(path)).id)
        assert {found.id for found in service.list()} == set(ids)
        option = service.create_extension_option(ids[:2])
        put(agb, context, "/tmp/agb_browser_data/Local State", b"state")
        put(agb, context, "/tmp/agb_browser_data/Default/History", b"not wanted")
        browser = BrowserContext(context.id, extension_option=option)
        session = mounted(agb, sessions, browser_context=browser)
        assert sorted(rows(session)) == [
            ("/tmp/agb_browser_data", "download", "Success"),
            ("/tmp/extensions/", "download", "Success"),
        ]
        found = shell(session, "cd /tmp/extensions; find . -type f | sort; cat */manifest.json").split("\n")
        names = sorted(extension_id.removesuffix(".zip") for extension_id in ids[:2])
        assert found[:-1] == [f"./{name}/{file}" for name in names for file in ("js/background.js", "manifest.json")]
        assert shell(
            session, "cd /tmp/agb_browser_data; find . -type f; mkdir Default; echo c > Default/Cookies; echo x > x"
        ) == ("./Local State")
        assert session.delete().success
        assert get(agb, context, "/tmp/agb_browser_data/Default/Cookies") == b"c\n"
        stored = agb.context.list_files(context.id, page_size=100).entries
        assert len(stored) == 3
        assert {found.id for found in service.list()} == set(ids)
    finally:
        service.cleanup()
