"""The runtime: sessions are made, found, listed, released when it is time; nothing of them stays."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import psutil
import pytest

from agb.local.errors import CannotStart, DataDirInUse, Refused
from agb.local.limits import Limits
from agb.local.sandbox.directories import remove
from agb.local.sessions import data_directory, sandboxes
from agb.local.sessions.images import tools_of
from agb.local.sessions.runtime import Runtime
from agb.local.sessions.session import LocalSession

from .runtimes import IMAGE, Clock, call, output, run, shell

pytestmark = pytest.mark.asyncio


async def test_new_session(local_runtime: Runtime) -> None:
    labels = {"a": "1"}
    session = await local_runtime.create(IMAGE, labels=labels, policy_id="p-1")
    labels["b"] = "2"
    assert session.id.startswith("s-")
    assert session.labels == {"a": "1"}
    assert session.policy_id == "p-1"
    assert session.image_id == IMAGE
    assert session.idle_timeout == 300
    assert session.token
    assert session.resource_id
    assert session.app_instance_id
    assert session.token not in repr(session)
    assert local_runtime.find(session.id) is session
    assert local_runtime.status(session.id) == "RUNNING"
    session.set_labels({"c": "3"})
    assert session.labels == {"c": "3"}


async def test_unknown_sessions_and_images(local_runtime: Runtime) -> None:
    for refused in (
        lambda: local_runtime.find("s-x"),
        lambda: local_runtime.status("s-x"),
        lambda: local_runtime.release("s-x"),
    ):
        with pytest.raises(Refused, match="s-x") as caught:
            refused()
        assert caught.value.code == "InvalidMcpSession.NotFound"
    with pytest.raises(Refused) as caught:
        await local_runtime.call_tool("s-x", "shell", {}, route="api")
    assert caught.value.code == "InvalidSession.NotFound"
    with pytest.raises(Refused, match="agb-code-space-1"):
        await local_runtime.create("no-such-image")
    with pytest.raises(Refused, match="agb-code-space-1"):
        tools_of("no-such-image")
    for timeout in (0, -1, float("inf"), float("nan")):
        with pytest.raises(Refused, match="above 0"):
            await local_runtime.create(IMAGE, idle_timeout=timeout)


async def test_too_many_sessions() -> None:
    async with Runtime(allow_none=True, limits=Limits(sessions=2)) as runtime:
        first = await runtime.create(IMAGE)
        await runtime.create(IMAGE)
        with pytest.raises(Refused, match="2 sessions already"):
            await runtime.create(IMAGE)
        runtime.release(first.id)
        await runtime.released(first.id)
        await runtime.create(IMAGE)


async def test_list(local_runtime: Runtime) -> None:
    sessions = [await local_runtime.create(IMAGE, labels={"n": str(n), "all": "x"}) for n in range(5)]

    def ids(**labels: str) -> list[str]:
        return [session.id for session in local_runtime.list(labels, max_results=10).sessions]

    everything = [session.id for session in sessions]
    assert ids() == ids(all="x") == everything
    assert ids(n="3") == ids(n="3", all="x") == [sessions[3].id]
    assert ids(n="3", all="y") == ids(other="x") == []

    first = local_runtime.list({}, max_results=2)
    assert [session.id for session in first.sessions] == everything[:2]
    assert first.count == 5
    # The pages continue where they were, also when sessions were released meanwhile.
    local_runtime.release(sessions[1].id)
    local_runtime.release(sessions[2].id)
    second = local_runtime.list({}, max_results=2, next_token=first.next_token)
    assert [session.id for session in second.sessions] == everything[3:]
    assert second.next_token == ""
    assert second.count == 3
    for bad in ("x", "☃", "YWZ0ZXIg", "!!!!", first.next_token[:-4] + "LTE=", "\ud800"):
        with pytest.raises(Refused, match="nextToken"):
            local_runtime.list({}, max_results=2, next_token=bad)
    with pytest.raises(Refused, match="maxResults"):
        local_runtime.list({}, max_results=0)


async def test_release(local_runtime: Runtime, box: LocalSession) -> None:
    await output(local_runtime, box, "setsid sleep 1000 > log 2>&1 &")
    agent = psutil.Process(box.sandbox.pid)
    programs = [agent, *agent.children(recursive=True)]
    assert len(programs) >= 2
    local_runtime.release(box.id)
    local_runtime.release(box.id)
    assert local_runtime.status(box.id) == "DELETING"
    assert local_runtime.list({}, max_results=10).count == 0
    with pytest.raises(Refused):
        local_runtime.find(box.id)
    await local_runtime.released(box.id)
    assert local_runtime.status(box.id) == "FINISH"
    assert box.state == "FINISH"
    assert not any(program.is_running() for program in programs)
    assert not box.sandbox.directories.root.exists()
    with pytest.raises(Refused):
        local_runtime.release(box.id)


async def test_release_does_not_wait_for_the_removal_of_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    may_remove = asyncio.Event()

    async def held(directory: Path) -> None:
        await may_remove.wait()
        await remove(directory)

    async with Runtime(allow_none=True, data_dir=tmp_path) as runtime:
        session = await runtime.create(IMAGE)
        await output(runtime, session, "echo kept > file")
        monkeypatch.setattr(sandboxes, "remove", held)
        runtime.release(session.id)
        await runtime.released(session.id)
        assert not session.sandbox.directories.root.exists()
        (left,) = (tmp_path / "removed").iterdir()
        assert (left / "home" / "file").exists()
        may_remove.set()
    assert not (tmp_path / "removed").exists()
    assert not (tmp_path / "sessions").exists()


async def test_stubborn_files_are_removed(tmp_path: Path) -> None:
    """Read-only, unreadable, deeper than a path can say, strangely named."""
    async with Runtime(allow_none=True, data_dir=tmp_path) as runtime:
        await _make_stubborn_files(runtime, await runtime.create(IMAGE))
    assert not (tmp_path / "removed").exists()


async def _make_stubborn_files(runtime: Runtime, session: LocalSession) -> None:
    await output(
        runtime,
        session,
        "mkdir -p locked/inner; touch locked/inner/file; chmod 000 locked/inner locked; "
        "touch -- -rf $'new\\nline' $'\\xff'; ln -s / root; mkfifo pipe; "
        "for i in {1..400}; do mkdir deeper-and-deeper; cd deeper-and-deeper; done; touch end",
    )


async def test_finished_sessions_are_forgotten_in_the_end(
    local_runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agb.local.sessions.finished._FINISHED_KEPT", 1)
    ids = []
    for _ in range(2):
        session = await local_runtime.create(IMAGE)
        local_runtime.release(session.id)
        await local_runtime.released(session.id)
        ids.append(session.id)
    assert local_runtime.status(ids[1]) == "FINISH"
    with pytest.raises(Refused):
        local_runtime.status(ids[0])


class TestTime:
    async def test_idle_release(self) -> None:
        clock = Clock()
        async with Runtime(allow_none=True, clock=clock) as runtime:
            usual, short = await runtime.create(IMAGE), await runtime.create(IMAGE, idle_timeout=10)
            assert runtime.sweep() == clock.now + 10
            clock.now += 9
            runtime.status(short.id)
            runtime.find(short.id)
            runtime.list({}, max_results=10)
            clock.now += 1
            assert runtime.sweep() == usual.due(1800)
            assert runtime.status(short.id) == "DELETING"
            assert runtime.status(usual.id) == "RUNNING"

    async def test_activity(self) -> None:
        clock = Clock()
        async with Runtime(allow_none=True, clock=clock) as runtime:
            session = await runtime.create(IMAGE, idle_timeout=10)
            clock.now += 9
            session.touch()
            clock.now += 9
            assert session.idle_for == 9
            await call(runtime, session, "shell", command="true")
            clock.now += 9
            runtime.sweep()
            assert runtime.status(session.id) == "RUNNING"
            # A call that runs is activity all along, and its end is, too.
            await output(runtime, session, "mkfifo begun go")
            running = asyncio.create_task(shell(runtime, session, "echo > begun; read < go"))
            await asyncio.sleep(0)
            clock.now += 1000
            runtime.sweep()
            assert runtime.status(session.id) == "RUNNING"
            await output(runtime, session, "read < begun; echo > go")
            await running
            clock.now += 9
            runtime.sweep()
            assert runtime.status(session.id) == "RUNNING"
            clock.now += 1
            runtime.sweep()
            assert runtime.status(session.id) == "DELETING"

    async def test_life_ends_in_any_case(self) -> None:
        clock = Clock()
        async with Runtime(allow_none=True, clock=clock) as runtime:
            session = await runtime.create(IMAGE, idle_timeout=10_000)
            for _ in range(3):
                clock.now += 599
                session.touch()
            runtime.sweep()
            assert runtime.status(session.id) == "RUNNING"
            clock.now += 3
            runtime.sweep()
            assert runtime.status(session.id) == "DELETING"

    async def test_idle_session_is_released_by_the_runtime_itself(self) -> None:
        async with Runtime(allow_none=True) as runtime:
            await runtime.create(IMAGE)
            session = await runtime.create(IMAGE, idle_timeout=0.05)
            async with asyncio.timeout(120):
                await session.sandbox.ended.wait()
            await runtime.released(session.id)
            assert runtime.status(session.id) == "FINISH"


class TestTokens:
    async def test_tickets(self) -> None:
        clock = Clock()
        async with Runtime(allow_none=True, clock=clock) as runtime:
            session, other = await runtime.create(IMAGE), await runtime.create(IMAGE)
            ticket, another = session.new_ticket(), session.new_ticket()
            assert ticket != another
            assert session.check_ticket(ticket)
            assert session.check_ticket(another)
            assert not other.check_ticket(ticket)
            for bad in ("", "x", "é", "\ud800", ticket[:-1]):
                assert not session.check_ticket(bad)
            clock.now += 1801
            assert not session.check_ticket(ticket)
            tickets = [session.new_ticket() for _ in range(150)]
            assert [session.check_ticket(old) for old in (tickets[0], tickets[-1])] == [False, True]

    async def test_link_tokens(self, local_runtime: Runtime, box: LocalSession) -> None:
        other = await local_runtime.create(IMAGE)
        token = box.link_token(30100)
        assert token == box.link_token(30100)
        assert box.check_link_token(30100, token)
        assert not box.check_link_token(30101, token)
        assert not other.check_link_token(30100, token)
        for bad in ("", "é", "\ud800"):
            assert not box.check_link_token(30100, bad)


class TestTools:
    async def test_list(self, local_runtime: Runtime) -> None:
        tools = {tool.name: tool.definition() for tool in tools_of(IMAGE)}
        files = {name for name, tool in tools.items() if tool["server"] == "wuying_filesystem"}
        assert set(tools) - files == {"run_code", "shell", "get_metrics"}
        assert files == {
            "create_directory",
            "delete_file",
            "edit_file",
            "get_file_change",
            "get_file_info",
            "list_directory",
            "move_file",
            "read_file",
            "read_multiple_files",
            "search_files",
            "write_file",
        }
        for tool in tools.values():
            assert tool["description"]
            assert tool["server"]
        schema = tools["shell"]["inputSchema"]
        assert schema["required"] == ["command"]
        assert schema["properties"]["timeout_ms"]["type"] == "integer"
        assert schema["properties"]["timeout_ms"]["default"] == 1000
        variables, null = schema["properties"]["envs"]["anyOf"]
        assert (variables["type"], variables["additionalProperties"]["type"]) == ("object", "string")
        assert null == {"type": "null"}
        assert tools["run_code"]["inputSchema"]["required"] == ["code", "language"]
        assert tools["run_code"]["server"] == "wuying_codespace"
        nothing = tools["get_metrics"]["inputSchema"]
        assert (nothing["type"], nothing["properties"], nothing["required"]) == ("object", {}, [])
        schema = tools["edit_file"]["inputSchema"]
        assert schema["required"] == ["path", "edits"]
        assert schema["properties"]["edits"]["items"] == {"$ref": "#/$defs/Edit"}
        assert schema["$defs"]["Edit"]["required"] == ["oldText", "newText"]
        modes = tools["write_file"]["inputSchema"]["properties"]["mode"]["enum"]
        assert sorted(modes) == ["append", "create_new", "overwrite"]

    @pytest.mark.parametrize("name", ["screenshot", "no_such_tool", ""])
    async def test_not_offered(self, local_runtime: Runtime, box: LocalSession, name: str) -> None:
        reply = await call(local_runtime, box, name)
        assert reply.is_error
        assert repr(name) in reply.text
        assert "is not offered by the image" in reply.text

    async def test_recent_calls(self, local_runtime: Runtime, box: LocalSession) -> None:
        await local_runtime.call_tool(box.id, "shell", {"command": "echo\tlong\t" + "long " * 100}, route="link")
        await call(local_runtime, box, "shell", command="false")
        good, bad = box.recent_calls
        assert (good.tool, good.route, good.ok) == ("shell", "link", True)
        assert good.summary.startswith("echo long long")
        assert len(good.summary) == 100
        assert (bad.route, bad.ok, bad.summary) == ("api", False, "false")
        assert bad.seconds > 0
        assert bad.at.tzinfo is not None
        for _ in range(60):
            await call(local_runtime, box, "shell")
        assert len(box.recent_calls) == 50


class TestDataDirectory:
    async def test_kept_private_and_emptied(self, tmp_path: Path) -> None:
        data = tmp_path / "new" / "data"
        async with Runtime(allow_none=True, data_dir=data) as runtime:
            session = await runtime.create(IMAGE)
            await output(runtime, session, "echo > ~/file")
            assert session.sandbox.directories.root.is_relative_to(data)
            assert data.stat().st_mode & 0o077 == 0
        assert sorted(path.name for path in data.iterdir()) == ["contexts", "lock"]

    async def test_one_runtime_at_a_time(self, tmp_path: Path) -> None:
        async with Runtime(allow_none=True, data_dir=tmp_path):
            with pytest.raises(DataDirInUse, match="another runtime"):
                async with Runtime(allow_none=True, data_dir=tmp_path):
                    pass
        async with Runtime(allow_none=True, data_dir=tmp_path):
            pass

    async def test_leftovers_of_a_killed_runtime_are_removed(self, tmp_path: Path) -> None:
        left = tmp_path / "sessions" / "s-left" / "home"
        left.mkdir(parents=True)
        (left / "file").touch()
        async with Runtime(allow_none=True, data_dir=tmp_path):
            assert list((tmp_path / "sessions").iterdir()) == []

    async def test_directory_of_a_runtime_that_starts_is_not_abandoned(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """Another runtime may look for abandoned directories at any moment, also between creation and lock."""
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        found: list[Path] = []
        looks: list[Path] = []
        lock = data_directory._lock

        def look_and_lock(directory: Path) -> int | None:
            if not looks:
                looks.append(directory)
                (directory / "lock").touch()
                found.extend(data_directory.abandoned())
            return lock(directory)

        monkeypatch.setattr(data_directory, "_lock", look_and_lock)
        async with contextlib.AsyncExitStack() as cleanup:
            directory = data_directory.claim(None, cleanup)
            assert looks
            assert found == []
            assert data_directory.abandoned() == []
            assert directory.is_dir()
        assert list(tmp_path.iterdir()) == []

    async def test_temporary_one_of_a_killed_runtime_is_removed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        left, other = tmp_path / "agb-runtime-left", tmp_path / "agb-something-else"
        for directory in (left, other):
            directory.mkdir()
            (directory / "lock").touch()
        async with Runtime(allow_none=True) as first:
            session = await first.create(IMAGE)
            assert not left.exists()
            async with Runtime(allow_none=True):
                pass
            await output(first, session, "true")
        assert list(tmp_path.iterdir()) == [other]

    async def test_unusable(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(CannotStart, match="cannot be used"):
            async with Runtime(allow_none=True, data_dir=tmp_path / "file"):
                pass

    async def test_temporary_one_is_removed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        async with Runtime(allow_none=True) as runtime:
            await runtime.create(IMAGE)
            assert list(tmp_path.iterdir())
        assert list(tmp_path.iterdir()) == []


async def test_leaving_ends_everything_also_when_cancelled() -> None:
    before = {path.name for path in Path("/proc/self/fd").iterdir()}
    begun = asyncio.Event()
    sessions: list[LocalSession] = []

    async def serve() -> None:
        async with Runtime(allow_none=True) as runtime:
            sessions.extend(await asyncio.gather(*(runtime.create(IMAGE) for _ in range(3))))
            await run(runtime, sessions[0], "1")
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(serve())
    await begun.wait()
    agents = [psutil.Process(session.sandbox.pid) for session in sessions]
    programs = [process for agent in agents for process in (agent, *agent.children(recursive=True))]
    assert len(programs) >= 4
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()  # once more, into the clean-up
    with pytest.raises(asyncio.CancelledError):
        await task
    assert {session.state for session in sessions} == {"FINISH"}
    assert not any(program.is_running() for program in programs)
    assert not any(session.sandbox.directories.root.exists() for session in sessions)
    assert {path.name for path in Path("/proc/self/fd").iterdir()} <= before


async def test_create_that_is_cancelled_leaves_nothing(local_runtime: Runtime, box: LocalSession) -> None:
    area = box.sandbox.directories.root.parent
    for pause in range(4):
        task = asyncio.create_task(local_runtime.create(IMAGE))
        for _ in range(pause):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert list(area.iterdir()) == [box.sandbox.directories.root]
    assert local_runtime.list({}, max_results=9).count == 1
