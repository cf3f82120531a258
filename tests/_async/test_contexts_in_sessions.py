"""Contexts and sessions in the local runtime: data comes with a session, is stored, and outlives it."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from agb import (
    AsyncAGB,
    AsyncSession,
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
    SyncPolicy,
    UploadMode,
    UploadPolicy,
    WhiteList,
)
from agb.local import LocalServer

pytestmark = [pytest.mark.anyio, pytest.mark.one_flavour]

IMAGE = "agb-code-space-1"
MOUNT = "/home/user/data"
NO_AUTO_UPLOAD = SyncPolicy(upload_policy=UploadPolicy(auto_upload=False))


def client(runtime: LocalServer) -> AsyncAGB:
    return AsyncAGB(runtime.api_key, Config(runtime.endpoint, 30_000))


async def new_context(agb: AsyncAGB) -> Context:
    context = (await agb.context.create(f"test-{uuid4().hex}")).raise_for_error().context
    assert context is not None
    return context


def mounting(context: Context, policy: SyncPolicy | None = None, path: str = MOUNT) -> CreateSessionParams:
    return CreateSessionParams(image_id=IMAGE, context_syncs=[ContextSync(context.id, path, policy)])


async def stored(agb: AsyncAGB, context: Context) -> list[str]:
    return [entry.file_path async for entry in agb.context.iterate_files(context.id)]


async def write(session: AsyncSession, name: str, text: str) -> None:
    (await session.file.mkdir(f"{MOUNT}/{name}".rpartition("/")[0])).raise_for_error()
    (await session.file.write(f"{MOUNT}/{name}", text)).raise_for_error()


async def text_of(session: AsyncSession, name: str, mount: str = MOUNT) -> str:
    return (await session.file.read(f"{mount}/{name}")).raise_for_error().content


# --- contexts ----------------------------------------------------------------------------------------------------


async def test_life_of_a_context(runtime: LocalServer) -> None:
    async with client(runtime) as agb:
        name = f"test-{uuid4().hex}"
        missing = await agb.context.get(name)
        assert (missing.success, missing.context) == (False, None)
        assert missing.error is not None
        assert missing.error.kind is ErrorKind.NOT_FOUND

        made = await agb.context.create(name)
        context = made.context
        assert context is not None
        assert (made.success, made.context_id, context.name, context.state) == (True, context.id, name, "available")
        assert context.created_at
        assert (await agb.context.create(name)).context_id == context.id  # the same again
        assert (await agb.context.get(context_id=context.id)).context == context
        assert context.id in [item.id async for item in agb.context.iterate(2)]

        other = await new_context(agb)
        other.name = name
        taken = await agb.context.update(other)
        assert (taken.success, taken.data) == (False, None)
        assert name in taken.error_message
        context.name = f"{name}-renamed"
        assert (await agb.context.update(context)).success
        assert not (await agb.context.get(name)).success

        for done in (context, other):
            assert (await agb.context.delete(done)).data == {"context_id": done.id}
        for result in (
            await agb.context.get(context_id=context.id),
            await agb.context.update(context),
            await agb.context.delete(context),
            await agb.context.clear(context.id),
            await agb.context.get_clear_status(context.id),
            await agb.context.list_files(context.id),
            await agb.context.get_file_upload_url(context.id, "/x"),
            await agb.context.get_file_download_url(context.id, "/x"),
            await agb.context.delete_file(context.id, "/x"),
            await agb.create(mounting(context)),
        ):
            assert not result.success
            assert result.error is not None
            assert result.error.kind is ErrorKind.NOT_FOUND
            assert context.id in str(result.error_message)


async def test_pages_of_contexts(runtime: LocalServer) -> None:
    async with client(runtime) as agb:
        made = [await new_context(agb) for _ in range(5)]
        page = await agb.context.list(ContextListParams(max_results=2))
        assert (len(page.contexts), page.max_results) == (2, 2)
        assert page.total_count is not None
        assert page.total_count >= 5
        assert page.next_token
        following = await agb.context.list(ContextListParams(2, page.next_token))
        assert not {item.id for item in page.contexts} & {item.id for item in following.contexts}
        found = [item.id async for item in agb.context.iterate(2)]
        assert {context.id for context in made} <= set(found)
        assert len(found) == len(set(found))
        assert not (await agb.context.list(ContextListParams(next_token="nonsense"))).success
        for context in made:
            assert (await agb.context.delete(context)).success


@pytest.mark.one_event_loop
async def test_files_are_stored_and_deleted_while_they_are_listed(runtime: LocalServer, tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"{number:02}").touch()
    late = tmp_path / "late"
    late.touch()
    async with client(runtime) as agb:
        context = await new_context(agb)
        uploaded = await agb.context.upload(context.id, tmp_path, "/data")
        uploaded.raise_for_error()
        (await agb.context.delete_file(context.id, "/data/late")).raise_for_error()
        found = []
        async for item in agb.context.iterate_files(context.id, "/data", page_size=5):
            found.append(item.file_name)
            (await agb.context.delete_file(context.id, item.file_path)).raise_for_error()
            if item.file_name == "07":
                for name in ("/data/0", "/data/late"):  # before the place of the list, and behind it
                    (await agb.context.upload(context.id, late, name)).raise_for_error()
        assert found == [*(f"{number:02}" for number in range(20)), "late"]
        assert await stored(agb, context) == ["/data/0"]
        assert (await agb.context.delete(context)).success


@pytest.mark.one_event_loop
async def test_contexts_are_deleted_while_they_are_listed(runtime: LocalServer) -> None:
    async with client(runtime) as agb:
        made = [(await new_context(agb)).id for _ in range(6)]
        found = []
        async for item in agb.context.iterate(2):
            if item.id in made:
                found.append(item.id)
                assert (await agb.context.delete(item)).success
        assert found == made


@pytest.mark.parametrize("path", ["x.txt", "/tmp/../etc/passwd", "/tmp/x\0y"])
async def test_path_that_cannot_be_stored_is_refused(runtime: LocalServer, path: str) -> None:
    async with client(runtime) as agb:
        context = await new_context(agb)
        result = await agb.context.get_file_upload_url(context.id, path)
        assert (result.success, result.url) == (False, "")
        assert "filePath" in str(result.error_message) or "path" in str(result.error_message)
        assert (await agb.context.delete(context)).success


async def test_clearing(runtime: LocalServer) -> None:
    async with client(runtime) as agb:
        context = await new_context(agb)
        async with agb.session(mounting(context)) as session:
            await write(session, "a", "1")
            assert (await session.context.sync()).success
        assert await stored(agb, context) == [f"{MOUNT}/a"]
        cleared = await agb.context.clear(context.id, timeout=60, poll_interval=0.05)
        assert (cleared.success, cleared.status, cleared.context_id) == (True, "available", context.id)
        assert await stored(agb, context) == []
        assert (await agb.context.clear_async(context.id)).status == "clearing"
        assert (await agb.context.clear(context.id, poll_interval=0)).status == "available"  # once more does no harm
        assert (await agb.context.delete(context)).success


# --- sessions ----------------------------------------------------------------------------------------------------


async def test_data_outlives_its_session(runtime: LocalServer) -> None:
    async with client(runtime) as agb:
        context = await new_context(agb)
        async with agb.session(mounting(context, NO_AUTO_UPLOAD)) as session:
            await write(session, "notes/größe 1+1?.txt", "kept")
            await write(session, "empty", "")
            synced = await session.context.sync()
            assert (synced.success, synced.error_message) == (True, "")
            (task,) = synced.context_status_data
            assert (task.context_id, task.path, task.task_type, task.status) == (context.id, MOUNT, "upload", "Success")
            assert task.task_id
            assert 0 < task.start_time <= task.finish_time
            await write(session, "late", "not stored")
        assert await stored(agb, context) == [f"{MOUNT}/empty", f"{MOUNT}/notes/größe 1+1?.txt"]

        created = await agb.create(mounting(context, NO_AUTO_UPLOAD))
        session_ = created.raise_for_error().session
        assert session_ is not None
        (task,) = created.context_status
        assert (task.path, task.task_type, task.status, task.error_message) == (MOUNT, "download", "Success", "")
        assert await text_of(session_, "notes/größe 1+1?.txt") == "kept"
        assert await text_of(session_, "empty") == ""
        assert not (await session_.file.exists(f"{MOUNT}/late")).data
        assert (await session_.delete()).success
        assert (await agb.context.delete(context)).success


@pytest.mark.parametrize("mode", UploadMode)
async def test_tree_comes_back_as_it_was(runtime: LocalServer, mode: UploadMode) -> None:
    """With the links of virtual environments and of npm, and the modes of directories: PostgreSQL refuses 755."""
    make = """
        mkdir -p venv/bin venv/lib node_modules/.bin node_modules/x data; echo secret > data/file
        echo py > venv/bin/python3; echo js > node_modules/x/cli.js; chmod 755 venv/bin/python3
        ln -s python3 venv/bin/python; ln -s lib venv/lib64; ln -s ../x/cli.js node_modules/.bin/x; chmod 700 data .
    """
    look = "find . -printf '%p %y %m %l\\n' | sort; cat data/file venv/bin/python node_modules/.bin/x"
    policy = SyncPolicy(UploadPolicy(auto_upload=False, upload_mode=mode))
    async with client(runtime) as agb:
        context = await new_context(agb)
        async with agb.session(mounting(context, policy)) as session:
            expected = (await session.command.execute(f"cd {MOUNT}; {make}{look}", 30_000, check=True)).stdout
            assert {". d 700 ", "./data d 700 ", "./venv/lib64 l 777 lib"} <= set(expected.splitlines())
            (await session.context.sync()).raise_for_error()
            await session.command.execute(f"cd {MOUNT}; ln -s /etc/hostname out; ln -s ../.. data/up", 30_000)
            synced = await session.context.sync()
            assert not synced.success
            (task,) = synced.context_status_data
            for path, why in (("out", "with an absolute target"), ("data/up", "that leads out of the mount")):
                assert f"'{path}' (it is a symbolic link {why})" in task.error_message
        async with agb.session(mounting(context, policy)) as session:
            assert (await session.command.execute(f"cd {MOUNT}; {look}", 30_000, check=True)).stdout == expected
        if mode is UploadMode.FILE:
            files = ("data/file", "node_modules/x/cli.js", "venv/bin/python3")
            assert await stored(agb, context) == [f"{MOUNT}/{name}" for name in files]
        assert (await agb.context.delete(context)).success


async def test_deletion_with_data_first(runtime: LocalServer) -> None:
    async with client(runtime) as agb:
        context = await new_context(agb)
        session = (await agb.create(mounting(context, NO_AUTO_UPLOAD))).raise_for_error().session
        assert session is not None
        await write(session, "a", "1")
        deleted = await session.delete(sync_context=True)
        assert (deleted.success, deleted.error_message, deleted.error) == (True, "", None)
        assert await stored(agb, context) == [f"{MOUNT}/a"]
        assert (await agb.context.delete(context)).success


async def test_session_is_kept_when_its_data_cannot_be_stored(runtime: LocalServer) -> None:
    """A link that leads out of the mount is not stored, and said so."""
    async with client(runtime) as agb:
        context = await new_context(agb)
        session = (await agb.create(mounting(context, NO_AUTO_UPLOAD))).raise_for_error().session
        assert session is not None
        await write(session, "a", "1")
        assert (await session.command.execute(f"ln -s /etc/hostname {MOUNT}/out", 30_000)).success
        failed = await session.context.sync()
        assert not failed.success
        assert "out" in failed.error_message
        assert failed.context_status_data[0].status == "Failed"
        kept = await agb.delete(session, sync_context=True, on_sync_failure="keep")
        assert not kept.success
        assert "the session is kept" in kept.error_message
        assert "out" in kept.error_message
        assert (await session.get_status()).status == "RUNNING"
        assert await text_of(session, "a") == "1"
        deleted = await session.delete(sync_context=True)
        assert deleted.success
        assert "contexts were not stored" in deleted.error_message
        assert await stored(agb, context) == [f"{MOUNT}/a"]  # everything else was
        assert (await agb.context.delete(context)).success


async def test_sync_of_one_mount_each_way(runtime: LocalServer) -> None:
    async with client(runtime) as agb:
        context, other = await new_context(agb), await new_context(agb)
        params = mounting(context, NO_AUTO_UPLOAD)
        params.context_syncs.append(ContextSync(other.id, "/home/user/other", NO_AUTO_UPLOAD))
        async with agb.session(params) as session, agb.session(mounting(context, NO_AUTO_UPLOAD)) as reader:
            await write(session, "a", "1")
            (await session.file.write("/home/user/other/b", "2")).raise_for_error()
            assert (await session.context.sync(context.id, MOUNT, "upload")).success
            assert await stored(agb, context) == [f"{MOUNT}/a"]
            assert await stored(agb, other) == []
            assert not (await reader.file.exists(f"{MOUNT}/a")).data
            assert (await reader.context.sync(context.id, MOUNT, "download")).success
            assert await text_of(reader, "a") == "1"
            both = await session.context.sync()
            assert {task.path for task in both.context_status_data} == {MOUNT, "/home/user/other"}
            uploads = await session.context.info(context.id, MOUNT, "upload")
            assert len(uploads.context_status_data) >= 1
            assert {task.task_type for task in uploads.context_status_data} == {"upload"}
            nowhere = await session.context.sync(context.id, "/nowhere")
            assert not nowhere.success
            foreign = await session.context.sync("SdkCtx-nowhere", MOUNT)
            assert not foreign.success
        for done in (context, other):
            assert (await agb.context.delete(done)).success


async def test_session_without_contexts_has_nothing_to_sync(runtime: LocalServer) -> None:
    async with client(runtime) as agb:
        async with agb.session(CreateSessionParams(image_id=IMAGE)) as session:
            result = await session.context.sync(timeout=60)
            assert (result.success, result.context_status_data) == (True, [])
            assert (await session.context.info()).context_status_data == []
        gone = await session.context.sync()
        assert gone.error is not None
        assert gone.error.kind is ErrorKind.NOT_FOUND


async def test_policies_do_what_they_say(runtime: LocalServer) -> None:
    async with client(runtime) as agb:
        context = await new_context(agb)
        async with agb.session(mounting(context)) as session:  # autoUpload stores it before the release
            for name in ("src/a", "src/build/b", "doc/c"):
                await write(session, name, name)
        assert len(await stored(agb, context)) == 3

        only = SyncPolicy(
            bw_list=BWList([WhiteList("/src", ["/build"])]), upload_policy=UploadPolicy(auto_upload=False)
        )
        async with agb.session(mounting(context, only)) as session:
            found = (await session.command.execute(f"cd {MOUNT}; find . -type f", 30_000)).stdout.split()
            assert found == ["./src/a"]

        elsewhere = SyncPolicy(UploadPolicy(auto_upload=False), mapping_policy=MappingPolicy(MOUNT))
        async with agb.session(mounting(context, elsewhere, "/home/user/moved")) as session:
            assert await text_of(session, "doc/c", "/home/user/moved") == "doc/c"

        nothing = SyncPolicy(UploadPolicy(auto_upload=False), DownloadPolicy(auto_download=False))
        async with agb.session(mounting(context, nothing)) as session:
            assert not (await session.file.exists(f"{MOUNT}/doc/c")).data

        keeping = SyncPolicy(delete_policy=DeletePolicy(sync_local_file=False))
        for policy, left in ((keeping, 3), (SyncPolicy(), 2)):
            async with agb.session(mounting(context, policy)) as session:
                (await session.file.remove(f"{MOUNT}/doc/c")).raise_for_error()
            assert len(await stored(agb, context)) == left
        assert (await agb.context.delete(context)).success
