"""Each tool of the MCP server, by the official client in this process, in sessions of the local runtime."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import quote

import anyio
import httpx
import pytest

pytest.importorskip("mcp")

from mcp import Client, MCPError

from agb import AGB, AsyncAGB, Config
from agb.integrations.mcp import Options, create_server
from agb.integrations.mcp.conversations import Conversations, Refused
from agb.local import LocalServer
from tests.desktops import needs_desktop
from tests.local.browser import needs_chromium

from .mcp_servers import SECONDS, Agent, Sessions, in_process, pictures_of, text_of

pytestmark = pytest.mark.anyio
SHOP = f"""data:text/html,{
    quote('''
<title>Shop</title><h1>Shoes</h1>
<form onsubmit="event.preventDefault(); out.textContent = `hello ${who.value}`">
  <label>Name <input id=who></label> <button>Send</button>
</form>
<p id=out></p>
''')
}"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def sessions(runtime: LocalServer) -> Iterator[Sessions]:
    with AGB(runtime.api_key, Config(runtime.endpoint, 60_000)) as agb:
        yield Sessions(agb)


# --- sessions -----------------------------------------------------------------------------------------------------


async def test_session_is_created_at_the_first_call_and_released_at_the_end(
    runtime: LocalServer, sessions: Sessions
) -> None:
    async with in_process(runtime, name=sessions.name) as agent:
        assert sessions.ids == []
        async with anyio.create_task_group() as tasks:  # at the same time, but one session
            for number in range(3):
                tasks.start_soon(partial(agent.text, "write_file", path=f"{number}", content="x"))
        assert len(sessions.ids) == 1
        assert (await agent.ask("list_files")).structured_content == {
            "entries": [{"name": str(number), "is_dir": False, "size": 1} for number in range(3)],
            "total": 3,
            "next_offset": None,
        }
    assert sessions.ids == []


async def test_create_and_delete_sessions(runtime: LocalServer, sessions: Sessions) -> None:
    async with in_process(runtime, name=sessions.name, max_sessions=2) as agent:
        first = (await agent.ask("create_session")).structured_content
        assert first is not None
        assert first["image"] == "agb-code-space-1"
        await agent.ask("write_file", path="one", content="1")
        second = (await agent.ask("create_session", image="agb-code-space-2")).structured_content
        assert second is not None
        assert await agent.text("list_files") == "no entries"  # the second is the current one
        assert await agent.text("read_file", path="one", session_id=first["session_id"]) == "1"
        assert "2 sessions, which is its limit" in await agent.failure("create_session")
        await agent.ask("delete_session")
        assert await agent.text("list_files") == "one  1"  # the first is the current one again
        second = (await agent.ask("create_session")).structured_content
        assert second is not None
        deleted = await agent.text("delete_session", session_id=first["session_id"])
        assert deleted.endswith(f"The current session is now {second['session_id']}.")
        assert "because it was deleted" in await agent.failure("list_files", session_id=first["session_id"])
        assert (await agent.text("delete_session")).endswith("The next call begins with a new session.")
        assert sessions.ids == []
        assert "no current session" in await agent.failure("delete_session")
        await agent.ask("list_files")  # begins with a new one
        assert "no image 'nothing'" in await agent.failure("create_session", image="nothing")
        assert "there is no session 's-1'" in await agent.failure("list_files", session_id="s-1")


async def test_session_that_ends_by_itself_is_reported_once(runtime: LocalServer, sessions: Sessions) -> None:
    async with in_process(runtime, name=sessions.name) as agent:
        await agent.ask("write_file", path="file", content="x")
        assert "not found" in await agent.failure("read_file", path="nothing")
        sessions.only.delete().raise_for_error()
        text = await agent.failure("read_file", path="file")
        assert "is gone with its files" in text
        assert "The next call begins with a new session" in text
        assert await agent.text("list_files") == "no entries"


async def test_idle_session_is_released_and_a_busy_one_is_not(runtime: LocalServer, sessions: Sessions) -> None:
    async with in_process(runtime, name=sessions.name, idle_time=0.5) as agent:
        assert await agent.text("run_command", command="sleep 1.5; echo done") == "done"
        created = (await agent.ask("create_session")).structured_content
        assert created is not None
        await sessions.until_gone()
        assert "without a call" in await agent.failure("list_files", session_id=created["session_id"])
        assert "0.5 seconds without a call" in await agent.failure("list_files")
        assert await agent.text("list_files") == "no entries"


async def test_link_leads_to_a_server_in_the_session(runtime: LocalServer) -> None:
    async with in_process(runtime) as agent:
        await agent.ask("write_file", path="site/index.html", content="<h1>hello</h1>")
        started = await agent.ask("start_command", command="python3 -u -m http.server 30100", cwd="site")
        assert started.structured_content is not None
        wait = "until grep -q Serving " + started.structured_content["log"] + "; do sleep 0.05; done"
        await agent.ask("run_command", command=wait)
        link = (await agent.ask("make_link", port=30100)).structured_content
        assert link is not None
        async with httpx.AsyncClient() as http:
            assert (await http.get(link["url"])).text == "<h1>hello</h1>"
        await agent.ask("run_command", command=f"kill -- -{started.structured_content['pid']}")
        assert "port" in await agent.failure("make_link", port=0)


async def test_calls_cancelled_while_their_session_is_created_leave_none(
    runtime: LocalServer, sessions: Sessions
) -> None:
    async with in_process(runtime, name=sessions.name) as agent:
        begin = anyio.current_time()
        await agent.ask("create_session")
        duration = anyio.current_time() - begin
        await agent.ask("delete_session")
        for step in range(12):
            with anyio.move_on_after(duration * step / 8):
                await agent.ask("list_files")
            await agent.client.call_tool("delete_session", {})  # an error if there is none
            await sessions.until_gone()


async def test_session_that_is_created_while_the_server_ends_is_released(
    runtime: LocalServer, sessions: Sessions
) -> None:
    """Its request is one that the server does not cancel."""

    def connect() -> AsyncAGB:
        return AsyncAGB(runtime.api_key, Config(runtime.endpoint, 60_000))

    conversations = Conversations(connect, Options(name=sessions.name))
    async with anyio.create_task_group() as requests:
        async with conversations.running():
            requests.start_soon(conversations.create, None)
            await anyio.sleep(0)
        assert sessions.ids == []
        with pytest.raises(Refused, match="the server ends"):
            await conversations.create(None)


# --- code and commands --------------------------------------------------------------------------------------------


async def test_commands(runtime: LocalServer) -> None:
    async with in_process(runtime) as agent:
        ran = await agent.ask(
            "run_command",
            command="cat; echo $NAME; pwd; echo oops >&2; exit 3",
            stdin="in\n",
            env={"NAME": "x"},
            cwd="/",
        )
        assert ran.structured_content == {
            "exit_code": 3,
            "stdout": "in\nx\n/\n",
            "stderr": "oops\n[exit code 3]",
            "timed_out": False,
        }
        assert text_of(ran) == "in\nx\n/\n[stderr]\noops\n[exit code 3]"
        assert await agent.text("run_command", command="true") == "[exit code 0]"
        late = await agent.ask("run_command", command="echo begun; sleep 100", timeout=1)
        assert text_of(late).startswith("begun\n[ended after 1 seconds, its time limit")
        assert "less than or equal to 3600" in await agent.failure("run_command", command="true", timeout=10_000)
        assert "command: Field required" in await agent.failure("run_command")


async def test_code(runtime: LocalServer) -> None:
    async with in_process(runtime) as agent:
        assert await agent.text("run_code", code="x = 6; print('out'); x * 7") == "out\n42"
        assert await agent.text("run_code", code="x") == "6"  # variables last
        assert "ZeroDivisionError: division by zero" in await agent.text("run_code", code="1 / 0")
        assert "longer than 1 s" in await agent.text("run_code", code="import time; time.sleep(99)", timeout=1)
        assert await agent.text("run_code", code="pass") == "[no output]"
        assert "language" in await agent.failure("run_code", code="1", language="cobol")


async def test_pictures_of_code_are_images(runtime: LocalServer) -> None:
    code = "from PIL import Image; display(Image.new('RGB', (20, 10), 'red')); Image.new('RGB', (4, 4), 'blue')"
    async with in_process(runtime) as agent:
        pictures = pictures_of(await agent.ask("run_code", code=code))
        assert [picture.size for picture in pictures] == [(20, 10), (4, 4)]
        assert pictures[0].convert("RGB").getpixel((5, 5)) == (255, 0, 0)
        noise = "import os; Image.frombytes('RGB', (1000, 1200), os.urandom(3_600_000))"
        large = await agent.ask("run_code", code=noise)
        assert not pictures_of(large)
        assert "a picture is left out" in text_of(large)


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
async def test_code_of_another_language(runtime: LocalServer) -> None:
    async with in_process(runtime) as agent:
        assert await agent.text("run_code", code="console.log(6 * 7)", language="javascript") == "42"


async def test_long_output_is_cut_and_all_of_it_can_be_read(runtime: LocalServer) -> None:
    async with in_process(runtime, answer_limit=2000) as agent:
        ran = await agent.ask("run_command", command="seq 1 5000; echo end; seq 1 3 >&2")
        assert len(text_of(ran)) < 2300
        assert ran.structured_content is not None
        assert text_of(ran).startswith("1\n2\n3\n")
        assert "characters are left out" in text_of(ran)
        assert text_of(ran).endswith("\n4999\n5000\nend\n[stderr]\n1\n2\n3")
        path = text_of(ran).partition("All of it is in ")[2].partition(":")[0]
        whole, offset = await _part(agent, path, 0)
        while offset is not None:
            part, offset = await _part(agent, path, offset)
            whole += part
        assert whole.split() == [*map(str, range(1, 5001)), "end"]
        assert len(await agent.text("run_code", code="print('x' * 100_000)")) < 2300


async def _part(agent: Agent, path: str, offset: int) -> tuple[str, int | None]:
    text = await agent.text("read_file", path=path, offset=offset)
    assert len(text) < 2100
    part, found, note = text.rpartition("\n[the file goes on: call again with offset=")
    return (part, int(note.partition(" ")[0])) if found else (text, None)


# --- files --------------------------------------------------------------------------------------------------------


async def test_files(runtime: LocalServer) -> None:
    async with in_process(runtime) as agent:
        await agent.ask("write_file", path="src/deep/a.py", content="import os\nprint('wörld')\n")
        await agent.ask("write_file", path="src/b.txt", content="import nothing\n")
        assert await agent.text("read_file", path="src/deep/a.py") == "import os\nprint('wörld')\n"
        assert await agent.text("read_file", path="src/deep/a.py", offset=10, limit=5) == (
            "print\n[the file goes on: call again with offset=15 for more]"
        )
        assert await agent.text("edit_file", path="src/deep/a.py", old="os", new="sys") == (
            "Replaced 1 occurrence in src/deep/a.py."
        )
        assert (await agent.ask("list_files", path="src")).structured_content == {
            "entries": [{"name": "b.txt", "is_dir": False, "size": 15}, {"name": "deep", "is_dir": True, "size": 4096}],
            "total": 2,
            "next_offset": None,
        }
        for path in ("src", "./src", "src/", "."):
            assert await agent.text("find_files", pattern="**/*.py", path=path) == "src/deep/a.py"
        for where in ({"path": "src", "glob": "*.py"}, {"path": ".", "glob": "**/*.py"}, {"path": "./src/deep"}):
            assert await agent.text("search_files", pattern="import", **where) == "src/deep/a.py:1: import sys"
        found = (
            await agent.ask("search_files", pattern="IMPORT (sys|no)", regex=True, ignore_case=True)
        ).structured_content
        assert found is not None
        assert found["total"] == 2
        assert await agent.text("search_files", pattern="absent", path="src") == "no lines"
        assert "not found" in await agent.failure("read_file", path="nothing")
        assert "not" in await agent.failure("edit_file", path="src/b.txt", old="absent", new="")
        assert "no text in UTF-8" in await agent.failure("read_file", path="/bin/sh")
        assert "file ends before" in await agent.text("read_file", path="src/b.txt", offset=99)


async def test_characters_are_never_split(runtime: LocalServer) -> None:
    async with in_process(runtime, answer_limit=1000) as agent:
        await agent.ask("write_file", path="file", content="a" + "é" * 800)
        part, offset = await _part(agent, "file", 0)
        assert (len(part), offset) == (500, 999)
        rest, end = await _part(agent, "file", 999)
        assert (part + rest, end) == ("a" + "é" * 800, None)


async def test_lists_are_returned_page_by_page(runtime: LocalServer) -> None:
    async with in_process(runtime, answer_limit=1000) as agent:
        await agent.ask("run_command", command="mkdir many; cd many; for i in $(seq 100 299); do echo $i >$i.txt; done")
        for tool, arguments in (
            ("list_files", {"path": "many"}),
            ("find_files", {"pattern": "many/*.txt"}),
            ("search_files", {"pattern": "", "path": "many", "regex": True} | {"pattern": "^[0-9]+$"}),
        ):
            seen, offset = 0, 0
            while offset is not None:
                result = await agent.ask(tool, offset=offset, **arguments)
                assert len(text_of(result)) < 1200
                values: Any = result.structured_content
                seen += len(next(value for value in values.values() if isinstance(value, list)))
                assert values["total"] == 200
                offset = values["next_offset"]
            assert seen == 200, tool


async def test_picture_files_are_images(runtime: LocalServer) -> None:
    async with in_process(runtime, answer_limit=1000) as agent:
        code = "from PIL import Image; import os; Image.frombytes('RGB', (90, 90), os.urandom(24300)).save('a.{}')"
        for kind in ("png", "jpeg", "gif", "webp"):
            await agent.ask("run_code", code=code.format(kind))
            (picture,) = pictures_of(await agent.ask("read_file", path=f"a.{kind}"))
            assert picture.size == (90, 90)
        await agent.ask(
            "run_code", code="Image.frombytes('RGB', (1000, 1200), os.urandom(3_600_000)).save('large.png')"
        )
        assert "and an answer holds" in await agent.failure("read_file", path="large.png")


async def test_names_that_are_not_utf_8(runtime: LocalServer) -> None:
    async with in_process(runtime) as agent:
        await agent.ask("run_command", command="mkdir odd; echo text >$'odd/\\xff.txt'")
        assert "\ufffd.txt" in await agent.text("list_files", path="odd")
        assert "\ufffd.txt:1: text" in await agent.text("search_files", pattern="text", path="odd")


# --- pictures of screens ------------------------------------------------------------------------------------------


@needs_chromium
async def test_browser(runtime: LocalServer) -> None:
    async with in_process(runtime, image="agb-browser-use-1") as agent:
        assert (await agent.text("browser_navigate", url=SHOP)).startswith("Successfully navigated")
        found = (await agent.ask("browser_observe", instruction="find the Send button")).structured_content
        assert found is not None
        await agent.ask("browser_act", action="type Ann into the Name field")
        await agent.ask("browser_act", element=found["elements"][0])
        schema = {"type": "object", "properties": {"out": {"type": "string"}}, "required": ["out"]}
        read = await agent.text("browser_extract", instruction="the outcome", schema=schema)
        assert "hello Ann" in read
        (picture,) = pictures_of(await agent.ask("browser_screenshot"))
        assert min(picture.size) > 100
        assert "one of the two" in await agent.failure("browser_act")


async def test_image_without_a_browser_or_a_desktop(runtime: LocalServer) -> None:
    async with in_process(runtime) as agent:
        assert "create the session with one of" in await agent.failure("browser_navigate", url="example.com")
        assert "create the session with one of" in await agent.failure("desktop_screenshot")


@needs_desktop
async def test_desktop(runtime: LocalServer) -> None:
    async with in_process(runtime, image="agb-computer-use-ubuntu-2204") as agent:
        (picture,) = pictures_of(await agent.ask("desktop_screenshot"))
        assert picture.size == (1920, 1080)


# --- errors -------------------------------------------------------------------------------------------------------


async def test_no_error_has_a_secret(runtime: LocalServer) -> None:
    key = "akm-a-key-that-is-wrong-1234567890"

    def connect() -> AsyncAGB:
        return AsyncAGB(key, Config(runtime.endpoint, 60_000))

    async with Client(create_server(connect, Options())) as client:
        text = await Agent(client).failure("list_files")
    assert "list_files" not in text
    assert key not in text
    assert "Could not create a session" in text


async def test_unreachable_service(runtime: LocalServer) -> None:
    def connect() -> AsyncAGB:
        return AsyncAGB("key", Config("http://127.0.0.1:9", 1000))

    async with Client(create_server(connect, Options())) as client:
        assert "127.0.0.1:9" in await Agent(client).failure("run_command", command="true")


async def test_fault_of_the_server_is_no_answer_of_a_tool(
    runtime: LocalServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a secret")

    async with in_process(runtime, mode="legacy") as agent:
        monkeypatch.setattr("agb.integrations.mcp.file_tools.paged", fail)
        with pytest.raises(MCPError, match="list_files failed by RuntimeError") as raised:
            await agent.client.call_tool("list_files", {})
    assert "a secret" not in str(raised.value)
    assert "a secret" in caplog.text


async def test_tools_are_described(runtime: LocalServer) -> None:
    async with in_process(runtime) as agent:
        tools = {tool.name: tool for tool in (await agent.client.list_tools()).tools}
        assert len(tools) == 18
        for tool in tools.values():
            assert tool.description
            assert tool.annotations is not None
            assert tool.input_schema["type"] == "object"
            for name, schema in tool.input_schema["properties"].items():
                assert schema["description"], (tool.name, name)
        readers = {name for name, tool in tools.items() if tool.annotations and tool.annotations.read_only_hint}
        assert {"read_file", "list_files", "find_files", "search_files", "desktop_screenshot"} <= readers
        assert not {"run_command", "write_file", "edit_file", "delete_session", "browser_act"} & readers
        assert "there is no tool 'nothing'" in await agent.failure("nothing")


async def test_calls_report_progress(runtime: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agb.integrations.mcp.server.PROGRESS_SECONDS", 0.1)
    reported = anyio.Event()
    release = "until [ -e go ]; do sleep 0.05; done"

    async def progress(progress: float, total: float | None, message: str | None) -> None:
        assert message is not None
        assert message.startswith("in progress")
        reported.set()

    async with in_process(runtime) as agent, anyio.create_task_group() as tasks:
        with anyio.fail_after(SECONDS):
            tasks.start_soon(
                lambda: agent.client.call_tool("run_command", {"command": release}, progress_callback=progress)
            )
            await reported.wait()
            await agent.ask("write_file", path="go", content="")
