# Generated from tests/_async/test_contexts_in_sessions.py by tools/unasync.py. Do not edit.
"""Contexts and sessions in the local runtime: data comes with a session, is stored, and outlives it."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from agb import (
    AGB,
    BWList,
    Config,
    Context,
    ContextListParams,
    ContextSync,
    CreateSessionParams,
    DeletePolicy,
    DownloadPolicy,
    ErrorKind,
    MappingPolicy,
    Session,
    SyncPolicy,
    UploadMode,
    UploadPolicy,
    WhiteList,
)
from agb.local import LocalServer

pytestmark = [pytest.mark.one_flavour]

IMAGE = "agb-code-space-1"
MOUNT = "/home/user/data"
NO_AUTO_UPLOAD = SyncPolicy(upload_policy=UploadPolicy(auto_upload=False))


def client(runtime: LocalServer) -> AGB:
    return AGB(runtime.api_key, Config(runtime.endpoint, 30_000))


def new_context(agb: AGB) -> Context:
    context = agb.context.create(f"test-{uuid4().hex}").raise_for_error().context
    assert context is not None
    return context


def mounting(context: Context, policy: SyncPolicy | None = None, path: str = MOUNT) -> CreateSessionParams:
    return CreateSessionParams(image_id=IMAGE, context_syncs=[ContextSync(context.id, path, policy)])


def stored(agb: AGB, context: Context) -> list[str]:
    return [entry.file_path for entry in agb.context.iterate_files(context.id)]


def write(session: Session, name: str, text: str) -> None:
    session.file.mkdir(f"{MOUNT}/{name}".rpartition("/")[0]).raise_for_error()
    session.file.write(f"{MOUNT}/{name}", text).raise_for_error()


def text_of(session: Session, name: str, mount: str = MOUNT) -> str:
    return session.file.read(f"{mount}/{name}").raise_for_error().content


# --- contexts ----------------------------------------------------------------------------------------------------


def test_life_of_a_context(runtime: LocalServer) -> None:
    with client(runtime) as agb:
        name = f"test-{uuid4().hex}"
        missing = agb.context.get(name)
        assert (missing.success, missing.context) == (False, None)
        assert missing.error is not None
        assert missing.error.kind is ErrorKind.NOT_FOUND

        made = agb.context.create(name)
        context = made.context
        assert context is not None
        assert (made.success, made.context_id, context.name, context.state) == (True, context.id, name, "available")
        assert context.created_at
        assert agb.context.create(name).context_id == context.id  # the same again
        assert agb.context.get(context_id=context.id).context == context
        assert context.id in [item.id for item in agb.context.iterate(2)]

        other = new_context(agb)
        other.name = name
        taken = agb.context.update(other)
        assert (taken.success, taken.data) == (False, None)
        assert name in taken.error_message
        context.name = f"{name}-renamed"
        assert agb.context.update(context).success
        assert not agb.context.get(name).success

        for done in (context, other):
            assert agb.context.delete(done).data == {"context_id": done.id}
        for result in (
            agb.context.get(context_id=context.id),
            agb.context.update(context),
            agb.context.delete(context),
            agb.context.clear(context.id),
            agb.context.get_clear_status(context.id),
            agb.context.list_files(context.id),
            agb.context.get_file_upload_url(context.id, "/x"),
            agb.context.get_file_download_url(context.id, "/x"),
            agb.context.delete_file(context.id, "/x"),
            agb.create(mounting(context)),
        ):
            assert not result.success
            assert result.error is not None
            assert result.error.kind is ErrorKind.NOT_FOUND
            assert context.id in str(result.error_message)


def test_pages_of_contexts(runtime: LocalServer) -> None:
    with client(runtime) as agb:
        made = [new_context(agb) for _ in range(5)]
        page = agb.context.list(ContextListParams(max_results=2))
        assert (len(page.contexts), page.max_results) == (2, 2)
        assert page.total_count is not None
        assert page.total_count >= 5
        assert page.next_token
        following = agb.context.list(ContextListParams(2, page.next_token))
        assert not {item.id for item in page.contexts} & {item.id for item in following.contexts}
        found = [item.id for item in agb.context.iterate(2)]
        assert {context.id for context in made} <= set(found)
        assert len(found) == len(set(found))
        assert not agb.context.list(ContextListParams(next_token="nonsense")).success
        for context in made:
            assert agb.context.delete(context).success


@pytest.mark.one_event_loop
def test_files_are_stored_and_deleted_while_they_are_listed(runtime: LocalServer, tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"{number:02}").touch()
    late = tmp_path / "late"
    late.touch()
    with client(runtime) as agb:
        context = new_context(agb)
        uploaded = agb.context.upload(context.id, tmp_path, "/data")
        uploaded.raise_for_error()
        agb.context.delete_file(context.id, "/data/late").raise_for_error()
        found = []
        for item in agb.context.iterate_files(context.id, "/data", page_size=5):
            found.append(item.file_name)
            agb.context.delete_file(context.id, item.file_path).raise_for_error()
            if item.file_name == "07":
                for name in ("/data/0", "/data/late"):  # before the place of the list, and behind it
                    agb.context.upload(context.id, late, name).raise_for_error()
        assert found == [*(f"{number:02}" for number in range(20)), "late"]
        assert stored(agb, context) == ["/data/0"]
        assert agb.context.delete(context).success


@pytest.mark.one_event_loop
def test_contexts_are_deleted_while_they_are_listed(runtime: LocalServer) -> None:
    with client(runtime) as agb:
        made = [new_context(agb).id for _ in range(6)]
        found = []
        for item in agb.context.iterate(2):
            if item.id in made:
                found.append(item.id)
                assert agb.context.delete(item).success
        assert found == made


@pytest.mark.parametrize("path", ["x.txt", "/tmp/../etc/passwd", "/tmp/x\0y"])
def test_path_that_cannot_be_stored_is_refused(runtime: LocalServer, path: str) -> None:
    with client(runtime) as agb:
        context = new_context(agb)
        result = agb.context.get_file_upload_url(context.id, path)
        assert (result.success, result.url) == (False, "")
        assert "filePath" in str(result.error_message) or "path" in str(result.error_message)
        assert agb.context.delete(context).success


def test_clearing(runtime: LocalServer) -> None:
    with client(runtime) as agb:
        context = new_context(agb)
        with agb.session(mounting(context)) as session:
            write(session, "a", "1")
            assert session.context.sync().success
        assert stored(agb, context) == [f"{MOUNT}/a"]
        cleared = agb.context.clear(context.id, timeout=60, poll_interval=0.05)
        assert (cleared.success, cleared.status, cleared.context_id) == (True, "available", context.id)
        assert stored(agb, context) == []
        assert agb.context.clear_async(context.id).status == "clearing"
        assert agb.context.clear(context.id, poll_interval=0).status == "available"  # once more does no harm
        assert agb.context.delete(context).success


# --- sessions ----------------------------------------------------------------------------------------------------


def test_data_outlives_its_session(runtime: LocalServer) -> None:
    with client(runtime) as agb:
        context = new_context(agb)
        with agb.session(mounting(context, NO_AUTO_UPLOAD)) as session:
            write(session, "notes/größe 1+1?.txt", "kept")
            write(session, "empty", "")
            synced = session.context.sync()
            assert (synced.success, synced.error_message) == (True, "")
            (task,) = synced.context_status_data
            assert (task.context_id, task.path, task.task_type, task.status) == (context.id, MOUNT, "upload", "Success")
            assert task.task_id
            assert 0 < task.start_time <= task.finish_time
            write(session, "late", "not stored")
        assert stored(agb, context) == [f"{MOUNT}/empty", f"{MOUNT}/notes/größe 1+1?.txt"]

        created = agb.create(mounting(context, NO_AUTO_UPLOAD))
        session_ = created.raise_for_error().session
        assert session_ is not None
        (task,) = created.context_status
        assert (task.path, task.task_type, task.status, task.error_message) == (MOUNT, "download", "Success", "")
        assert text_of(session_, "notes/größe 1+1?.txt") == "kept"
        assert text_of(session_, "empty") == ""
        assert not session_.file.exists(f"{MOUNT}/late").data
        assert session_.delete().success
        assert agb.context.delete(context).success


@pytest.mark.parametrize("mode", UploadMode)
def test_tree_comes_back_as_it_was(runtime: LocalServer, mode: UploadMode) -> None:
    """With the links of virtual environments and of npm, and the modes of directories: PostgreSQL refuses 755."""
    make = """
        mkdir -p venv/bin venv/lib node_modules/.bin node_modules/x data; echo secret > data/file
        echo py > venv/bin/python3; echo js > node_modules/x/cli.js; chmod 755 venv/bin/python3
        ln -s python3 venv/bin/python; ln -s lib venv/lib64; ln -s ../x/cli.js node_modules/.bin/x; chmod 700 data .
    """
    look = "find . -printf '%p %y %m %l\\n' | sort; cat data/file venv/bin/python node_modules/.bin/x"
    policy = SyncPolicy(UploadPolicy(auto_upload=False, upload_mode=mode))
    with client(runtime) as agb:
        context = new_context(agb)
        with agb.session(mounting(context, policy)) as session:
            expected = session.command.execute(f"cd {MOUNT}; {make}{look}", 30_000, check=True).stdout
            assert {". d 700 ", "./data d 700 ", "./venv/lib64 l 777 lib"} <= set(expected.splitlines())
            session.context.sync().raise_for_error()
            session.command.execute(f"cd {MOUNT}; ln -s /etc/hostname out; ln -s ../.. data/up", 30_000)
            synced = session.context.sync()
            assert not synced.success
            (task,) = synced.context_status_data
            for path, why in (("out", "with an absolute target"), ("data/up", "that leads out of the mount")):
                assert f"'{path}' (it is a symbolic link {why})" in task.error_message
        with agb.session(mounting(context, policy)) as session:
            assert session.command.execute(f"cd {MOUNT}; {look}", 30_000, check=True).stdout == expected
        if mode is UploadMode.FILE:
            files = ("data/file", "node_modules/x/cli.js", "venv/bin/python3")
            assert stored(agb, context) == [f"{MOUNT}/{name}" for name in files]
        assert agb.context.delete(context).success


def test_deletion_with_data_first(runtime: LocalServer) -> None:
    with client(runtime) as agb:
        context = new_context(agb)
        session = agb.create(mounting(context, NO_AUTO_UPLOAD)).raise_for_error().session
        assert session is not None
        write(session, "a", "1")
        deleted = session.delete(sync_context=True)
        assert (deleted.success, deleted.error_message, deleted.error) == (True, "", None)
        assert stored(agb, context) == [f"{MOUNT}/a"]
        assert agb.context.delete(context).success


def test_session_is_kept_when_its_data_cannot_be_stored(runtime: LocalServer) -> None:
    """A link that leads out of the mount is not stored, and said so."""
    with client(runtime) as agb:
        context = new_context(agb)
        session = agb.create(mounting(context, NO_AUTO_UPLOAD)).raise_for_error().session
        assert session is not None
        write(session, "a", "1")
        assert session.command.execute(f"ln -s /etc/hostname {MOUNT}/out", 30_000).success
        failed = session.context.sync()
        assert not failed.success
        assert "out" in failed.error_message
        assert failed.context_status_data[0].status == "Failed"
        kept = agb.delete(session, sync_context=True, on_sync_failure="keep")
        assert not kept.success
        assert "the session is kept" in kept.error_message
        assert "out" in kept.error_message
        assert session.get_status().status == "RUNNING"
        assert text_of(session, "a") == "1"
        deleted = session.delete(sync_context=True)
        assert deleted.success
        assert "contexts were not stored" in deleted.error_message
        assert stored(agb, context) == [f"{MOUNT}/a"]  # everything else was
        assert agb.context.delete(context).success


def test_sync_of_one_mount_each_way(runtime: LocalServer) -> None:
    with client(runtime) as agb:
        context, other = new_context(agb), new_context(agb)
        params = mounting(context, NO_AUTO_UPLOAD)
        params.context_syncs.append(ContextSync(other.id, "/home/user/other", NO_AUTO_UPLOAD))
        with agb.session(params) as session, agb.session(mounting(context, NO_AUTO_UPLOAD)) as reader:
            write(session, "a", "1")
            session.file.write("/home/user/other/b", "2").raise_for_error()
            assert session.context.sync(context.id, MOUNT, "upload").success
            assert stored(agb, context) == [f"{MOUNT}/a"]
            assert stored(agb, other) == []
            assert not reader.file.exists(f"{MOUNT}/a").data
            assert reader.context.sync(context.id, MOUNT, "download").success
            assert text_of(reader, "a") == "1"
            both = session.context.sync()
            assert {task.path for task in both.context_status_data} == {MOUNT, "/home/user/other"}
            uploads = session.context.info(context.id, MOUNT, "upload")
            assert len(uploads.context_status_data) >= 1
            assert {task.task_type for task in uploads.context_status_data} == {"upload"}
            nowhere = session.context.sync(context.id, "/nowhere")
            assert not nowhere.success
            foreign = session.context.sync("SdkCtx-nowhere", MOUNT)
            assert not foreign.success
        for done in (context, other):
            assert agb.context.delete(done).success


def test_session_without_contexts_has_nothing_to_sync(runtime: LocalServer) -> None:
    with client(runtime) as agb:
        with agb.session(CreateSessionParams(image_id=IMAGE)) as session:
            result = session.context.sync(timeout=60)
            assert (result.success, result.context_status_data) == (True, [])
            assert session.context.info().context_status_data == []
        gone = session.context.sync()
        assert gone.error is not None
        assert gone.error.kind is ErrorKind.NOT_FOUND


def test_policies_do_what_they_say(runtime: LocalServer) -> None:
    with client(runtime) as agb:
        context = new_context(agb)
        with agb.session(mounting(context)) as session:  # autoUpload stores it before the release
            for name in ("src/a", "src/build/b", "doc/c"):
                write(session, name, name)
        assert len(stored(agb, context)) == 3

        only = SyncPolicy(
            bw_list=BWList([WhiteList("/src", ["/build"])]), upload_policy=UploadPolicy(auto_upload=False)
        )
        with agb.session(mounting(context, only)) as session:
            found = session.command.execute(f"cd {MOUNT}; find . -type f", 30_000).stdout.split()
            assert found == ["./src/a"]

        elsewhere = SyncPolicy(UploadPolicy(auto_upload=False), mapping_policy=MappingPolicy(MOUNT))
        with agb.session(mounting(context, elsewhere, "/home/user/moved")) as session:
            assert text_of(session, "doc/c", "/home/user/moved") == "doc/c"

        nothing = SyncPolicy(UploadPolicy(auto_upload=False), DownloadPolicy(auto_download=False))
        with agb.session(mounting(context, nothing)) as session:
            assert not session.file.exists(f"{MOUNT}/doc/c").data

        keeping = SyncPolicy(delete_policy=DeletePolicy(sync_local_file=False))
        for policy, left in ((keeping, 3), (SyncPolicy(), 2)):
            with agb.session(mounting(context, policy)) as session:
                session.file.remove(f"{MOUNT}/doc/c").raise_for_error()
            assert len(stored(agb, context)) == left
        assert agb.context.delete(context).success
