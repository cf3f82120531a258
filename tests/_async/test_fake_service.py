"""`agb.testing.FakeService`: every operation has an answer that the SDK reads, and tests can set others."""

from __future__ import annotations

import pytest

from agb import AsyncAGB, Config, ContextSync, CreateSessionParams, ErrorKind
from agb.testing import CodeAnswer, CommandAnswer, FakeService, ToolFailure

pytestmark = [pytest.mark.anyio, pytest.mark.one_event_loop]

IMAGE = CreateSessionParams(image_id="agb-code-space-1")


def client(fake: FakeService) -> AsyncAGB:
    return AsyncAGB("any-key", Config("https://api.example"), transport=fake)


async def test_sessions() -> None:
    fake = FakeService()
    async with client(fake) as agb:
        async with agb.session(CreateSessionParams(image_id="agb-code-space-1", labels={"team": "a"})) as session:
            assert (await agb.list({"team": "a"})).session_ids == [session.session_id]
            assert (await agb.list({"team": "b"})).session_ids == []
            await session.set_labels({"team": "b"})
            assert (await session.get_labels()).data == {"team": "b"}
            assert (await session.get_link(port=30200)).data == f"https://fake.invalid/{session.session_id}/30200"
            assert (await session.get_status()).status == "RUNNING"
        gone = (await agb.get(session.session_id)).error
        assert gone is not None
        assert gone.kind is ErrorKind.NOT_FOUND
        for _ in range(12):
            await agb.create(IMAGE)
        assert len([one async for one in agb.iterate()]) == 12
    assert not fake.sessions[session.session_id].is_open
    assert [call.session_id for call in fake.called("SetLabel")] == [session.session_id]
    assert "any-key" not in repr(fake.calls)


async def test_code_commands_and_tools() -> None:
    fake = FakeService()
    async with client(fake) as agb, agb.session(IMAGE) as session:
        assert (await session.code.run("x = 1", "python")).success
        assert (await session.command.execute("true")).exit_code == 0
        fake.on_code("42")
        assert (await session.code.run("6 * 7", "python")).result == "42"
        fake.on_code(lambda code, language: CodeAnswer(stdout=f"{language}: {code}", error="ValueError: no"))
        failed = await session.code.run("f()", "py")
        assert (failed.logs.stdout, failed.error_message) == (["python: f()"], "ValueError: no")
        fake.on_command(lambda command: CommandAnswer(stderr=f"no {command}", exit_code=3))
        command = await session.command.execute("make")
        assert (command.exit_code, command.stderr) == (3, "no make")
        fake.on_tool("measure", lambda args: {"length": args["a"] * 2})
        assert (await session.call_mcp_tool("measure", {"a": 4})).data == '{"length": 8}'

        def broken(args: object) -> str:
            raise ToolFailure("the meter is broken")

        fake.on_tool("measure", broken)
        assert "the meter is broken" in (await session.call_mcp_tool("measure", {})).error_message
    assert [call.args["code"] for call in fake.called("run_code")] == ["x = 1", "6 * 7", "f()"]


async def test_files() -> None:
    fake = FakeService()
    async with client(fake) as agb, agb.session(IMAGE) as session:
        files = session.file
        assert (await files.write("/tmp/a.txt", "größer")).success
        assert (await files.write("/tmp/big", bytes(1_500_000))).success
        assert (await files.write("/tmp/a.txt", "!", "append")).success
        assert (await files.read("/tmp/a.txt")).content == "größer!"
        assert len((await files.read("/tmp/big", format="bytes")).content) == 1_500_000
        assert (await files.exists("/tmp/a.txt")).data
        assert not (await files.exists("/tmp/none")).data
        assert (await files.edit("/tmp/a.txt", [{"oldText": "gr", "newText": "GR"}])).success
        assert (await files.mkdir("/tmp/d")).success
        assert (await files.move("/tmp/a.txt", "/tmp/d/b.txt")).success
        assert [entry["name"] for entry in (await files.list("/tmp")).entries] == ["big", "d"]
        assert (await files.search("/tmp", "*.txt")).matches == ["/tmp/d/b.txt"]
        assert fake.sessions[session.session_id].files.contents["/tmp/d/b.txt"].decode() == "GRößer!"
        assert not (await files.write("/none/a", "x")).success
        assert (await files.remove("/tmp/d", recursive=True)).success
        missing = (await files.read("/tmp/d/b.txt")).error
        assert missing is not None
        assert missing.kind is ErrorKind.NOT_FOUND
        refused = (await files.glob("/tmp/*")).error
        assert "FakeService runs no scripts" in str(refused)


async def test_contexts() -> None:
    fake = FakeService()
    async with client(fake) as agb:
        context = (await agb.context.create("data")).raise_for_error().context
        fake.contexts[context.id].files["/a.txt"] = b"stored"
        sync = ContextSync.new(context.id, "/mnt/data")
        params = CreateSessionParams(image_id="agb-code-space-1", context_syncs=[sync])
        async with agb.session(params) as session:
            assert (await session.file.read("/mnt/data/a.txt")).content == "stored"
            await session.file.write("/mnt/data/b.txt", "new")
            assert (await session.context.sync()).success
        listed = await agb.context.list_files(context.id, "/")
        assert [entry.file_path for entry in listed.entries] == ["/a.txt", "/b.txt"]
        assert (await agb.context.delete(context)).success
        assert not (await agb.context.get("data")).success


async def test_answers_and_refusals_of_operations() -> None:
    fake = FakeService()
    async with client(fake) as agb:
        session = agb.attach("s-7")
        fake.on("getLink", {"url": "https://app.example"})
        assert (await session.get_link()).data == "https://app.example"
        fake.on("getLink", lambda call: {"url": f"https://{call.session_id}.example"})
        assert (await session.get_link()).data == "https://s-7.example"
        with pytest.raises(ValueError, match=r"answer set for getLink .* data.url is a number, not a string"):
            fake.on("getLink", {"url": 7})
        with pytest.raises(ValueError, match="there is no operation 'getlink'; there are ClearContext"):
            fake.on("getlink", {})
        fake.refuse("createSession", code="Quota", message="too many", status=200)
        refused = (await agb.create(IMAGE)).error
        assert refused is not None
        assert (refused.code, refused.kind) == ("Quota", ErrorKind.REFUSED)
        fake.refuse("createSession", status=429, retry_after=0)
        assert (await agb.create(IMAGE)).success
