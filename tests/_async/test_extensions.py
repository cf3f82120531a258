"""Browser extensions in the local runtime: kept in a context that is theirs only if they made it."""

from __future__ import annotations

import zipfile
from pathlib import Path
from uuid import uuid4

import pytest

from agb import (
    AGBError,
    AsyncAGB,
    AsyncExtensionsService,
    BrowserContext,
    Config,
    Context,
    CreateSessionParams,
    ErrorKind,
    Extension,
    ExtensionOption,
)
from agb.local import LocalServer
from tests.servers import Action, Conversation, cut, refuse, scripted, value

pytestmark = pytest.mark.anyio

NOT_FOUND = refuse("Context.NotFound", "there is no such context", 404)


def client(runtime: LocalServer) -> AsyncAGB:
    return AsyncAGB(runtime.api_key, Config(runtime.endpoint, 30_000))


def new_name() -> str:
    return f"extensions-test-{uuid4().hex[:8]}"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "Reader Mode.ZIP"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("manifest.json", '{"name": "reader"}')
    return path


async def test_life_of_an_extension(runtime: LocalServer, archive: Path) -> None:
    async with client(runtime) as agb:
        extensions = AsyncExtensionsService(agb, name := new_name())
        assert extensions.context_name == name
        made = await extensions.create(archive)
        assert isinstance(made, Extension)
        assert made.id.startswith("ext_")
        assert made.id.endswith(".zip")
        assert len(made.id) == len("ext_.zip") + 32
        assert made.name == "Reader Mode.ZIP"
        assert extensions.context_id == (await agb.context.get(name)).context_id
        assert extensions.auto_created

        (listed,) = await extensions.list()
        assert (listed.id, listed.name) == (made.id, made.name)
        assert listed.created_at
        (by_another,) = await AsyncExtensionsService(agb, name).list()
        assert (by_another.id, by_another.name) == (made.id, made.id)  # the service keeps no other name

        option = await extensions.create_extension_option([made.id])
        assert option == ExtensionOption(extensions.context_id, [made.id])
        sizes = [item.size async for item in agb.context.iterate_files(option.context_id)]
        assert sizes == [archive.stat().st_size]

        newer = archive.with_name("newer.zip")
        newer.write_bytes(b"newer")
        assert (await extensions.update(made.id, str(newer))).name == "newer.zip"
        assert (await extensions.list())[0].name == "newer.zip"

        assert await extensions.delete(made.id)
        assert not await extensions.delete(made.id)
        assert await extensions.list() == []
        assert await extensions.cleanup()
        assert not (await agb.context.get(name)).success


async def test_extension_arrives_in_a_session_unpacked(runtime: LocalServer, archive: Path) -> None:
    async with client(runtime) as agb:
        profile = (await agb.context.create(new_name())).raise_for_error()
        extensions = AsyncExtensionsService(agb)
        chosen, other = await extensions.create(archive), await extensions.create(archive)
        option = await extensions.create_extension_option([chosen.id])
        params = CreateSessionParams(
            image_id="agb-browser-use-1", browser_context=BrowserContext(profile.context_id, extension_option=option)
        )
        created = await agb.create(params)
        session = created.raise_for_error().session
        assert session is not None
        try:
            assert created.error_message == ""
            paths = {task.path.rstrip("/") for task in created.context_status}
            assert paths == {"/tmp/extensions", "/tmp/agb_browser_data"}
            found = (await session.command.execute("cd /tmp/extensions; find . -type f", 30_000)).stdout
            assert "manifest.json" in found
            assert other.id.removesuffix(".zip") not in found
            assert not await extensions.cleanup()  # it is in use
        finally:
            assert (await session.delete()).success
        assert await extensions.cleanup()
        assert profile.context is not None
        assert (await agb.context.delete(profile.context)).success


async def test_existing_context_is_never_deleted(runtime: LocalServer, archive: Path) -> None:
    async with client(runtime) as agb:
        mine = (await agb.context.create(new_name())).raise_for_error().context
        assert mine is not None
        assert (await agb.context.upload(mine.id, archive, "/tmp/extensions/before.zip")).success
        for known_as in (mine.name, mine.id):  # the id does not make a context of that name
            extensions = AsyncExtensionsService(agb, known_as)
            assert (await extensions.open()).id == mine.id
            assert not extensions.auto_created
            made = await extensions.create(archive)
            assert {item.id for item in await extensions.list()} == {"before.zip", made.id}
            assert await extensions.cleanup()
            assert [item.id for item in await AsyncExtensionsService(agb, mine.id).list()] == ["before.zip"]
        assert (await agb.context.delete(mine)).success


async def test_context_that_others_use_as_well_is_not_deleted(runtime: LocalServer, archive: Path) -> None:
    async with client(runtime) as agb:
        name = new_name()
        extensions, others = AsyncExtensionsService(agb, name), AsyncExtensionsService(agb, name)
        await extensions.create(archive)
        theirs = await others.create(archive)
        assert (extensions.auto_created, others.auto_created) == (True, False)
        assert not await extensions.cleanup()
        assert [item.id for item in await others.list()] == [theirs.id]
        assert await others.cleanup()
        assert await extensions.cleanup()  # now nothing is in it
        assert not (await agb.context.get(name)).success


async def test_more_than_a_hundred_extensions(runtime: LocalServer, tmp_path: Path) -> None:
    for number in range(120):
        (tmp_path / f"ext_{number:03}.zip").write_bytes(b"x")
    async with client(runtime) as agb:
        extensions = AsyncExtensionsService(agb)
        context = await extensions.open()
        assert (await agb.context.upload(context.id, tmp_path, "/tmp/extensions")).success
        assert len(await extensions.list()) == 120
        assert (await extensions.update("ext_119.zip", tmp_path / "ext_000.zip")).id == "ext_119.zip"
        assert (await agb.context.delete(context)).success


async def test_contexts_made_at_the_same_time_are_different(runtime: LocalServer) -> None:
    async with client(runtime) as agb:
        first, second = AsyncExtensionsService(agb), AsyncExtensionsService(agb, "  ")
        assert (await first.open()).id != (await second.open()).id
        assert first.context_name.startswith("extensions-")
        assert await first.cleanup()
        assert await second.cleanup()
        assert await AsyncExtensionsService(agb).cleanup()  # nothing was made


async def test_what_is_no_extension_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    text = tmp_path / "a.txt"
    text.write_text("x")
    with scripted(value(None)) as server:
        extensions = AsyncExtensionsService(AsyncAGB("k", Config(server.endpoint)), "n")
        with pytest.raises(FileNotFoundError, match=r"nowhere\.zip"):
            await extensions.create(tmp_path / "nowhere.zip")
        with pytest.raises(FileNotFoundError):
            await extensions.create(tmp_path)
        with pytest.raises(ValueError, match=r"is a \.zip archive, not 'a\.txt'"):
            await extensions.create(str(text))
        with pytest.raises(ValueError, match=r"is a \.zip archive, not 'a\.txt'"):
            await extensions.update("ext_1.zip", text)
        for bad in ("", " ", "../x", "a/b", ".."):
            with pytest.raises(ValueError, match="extension_id is the id"):
                await extensions.delete(bad)
        with pytest.raises(TypeError, match="name of a context"):
            AsyncExtensionsService(extensions.agb, 5)  # type: ignore[arg-type]
    assert server.requests == []


async def test_unknown_extension_is_not_updated(runtime: LocalServer, archive: Path) -> None:
    async with client(runtime) as agb:
        extensions = AsyncExtensionsService(agb)
        with pytest.raises(ValueError, match=r"no extension 'ext_1\.zip'"):
            await extensions.update("ext_1.zip", archive)
        with pytest.raises(ValueError, match="extension_ids"):
            await extensions.create_extension_option([])
        assert await extensions.cleanup()


# --- what no server does on request ------------------------------------------------------------------------------


class Finding:
    """A service that answers the look for a name, the look for an id, and the making of a context."""

    def __init__(self, by_name: Action, by_id: Action = NOT_FOUND) -> None:
        self.by_name, self.by_id = by_name, by_id
        self.deleted = 0

    def __call__(self, talk: Conversation) -> None:
        target = talk.request.target
        self.deleted += "DeleteContext?" in target
        if "DescribeContextFiles" in target:
            value([], count=0)(talk)
        elif "GetContext?" not in target or "allowCreate=true" in target:
            value({"id": "SdkCtx-1", "name": "n"})(talk)
        else:
            (self.by_id if "id=" in target.partition("?")[2].split("&")[0] else self.by_name)(talk)


@pytest.mark.parametrize(
    ("by_name", "auto_created"),
    [
        (NOT_FOUND, True),
        (value(None), True),  # a success without a context
        (refuse("Whatever", "no"), False),  # it may be there
        (value({"id": "SdkCtx-1", "name": "n"}), False),
    ],
)
async def test_context_is_deleted_only_if_it_was_surely_made_here(by_name: Action, auto_created: bool) -> None:
    service = Finding(by_name)
    with scripted(service) as server:
        async with AsyncAGB("k", Config(server.endpoint)) as agb:
            extensions = AsyncExtensionsService(agb, "n")
            assert await extensions.open() == Context("SdkCtx-1", "n")
            assert extensions.auto_created is auto_created
            assert await extensions.cleanup()
    assert service.deleted == int(auto_created)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refuse("Unauthorized", "bad key", 401), ErrorKind.BAD_CREDENTIALS),
        (cut(), ErrorKind.UNREACHABLE),
    ],
)
async def test_context_that_cannot_be_looked_for_is_not_made(answer: Action, kind: ErrorKind, archive: Path) -> None:
    with scripted(answer) as server:
        async with AsyncAGB("k", Config(server.endpoint)) as agb:
            extensions = AsyncExtensionsService(agb, "n")
            for attempt in (extensions.open, extensions.list, lambda: extensions.create(archive)):
                with pytest.raises(AGBError) as caught:
                    await attempt()
                assert caught.value.kind is kind
            assert not await extensions.delete("ext_1.zip")
            assert not [request for request in server.requests if "allowCreate=true" in request.target]
