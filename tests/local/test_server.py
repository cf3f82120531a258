"""The server process: how it starts, what it says, how it refuses to start, and that it ends without a trace."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import anyio
import httpx
import psutil
import pytest
import trio
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

import agb.local
from agb import cli
from agb.cli.serve import serve
from agb.local import CannotStart, LocalServer
from agb.local.child import ServerProcess
from agb.local.options import Options
from agb.local.report import Report

from .conftest import Api
from .runtimes import LACKING
from .test_links import ECHO, SOCKETS

SERVE = [sys.executable, "-m", "agb.local", "--port", "0", *(["--isolation", "none"] if LACKING else [])]


class Served:
    """``agb serve`` as a process of its own, and what it said."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.process = process
        self.banner = ""
        for line in process.stdout:
            self.banner += line
            if line.startswith("Ctrl-C"):
                break

    def said(self, pattern: str) -> str:
        found = re.search(pattern, self.banner)
        assert found, self.banner
        return found[1]

    @cached_property
    def api(self) -> Api:
        key, endpoint = self.said(r"AGB_API_KEY[=:] ?(.+)"), self.said(r"AGB_ENDPOINT=(\S+)")
        return Api(LocalServer(endpoint, "test-key" if "was given" in key else key, 0, Report("none", "", "host")))

    def end(self) -> None:
        """Ask it to end, if it has not been asked yet, and wait."""
        if "api" in vars(self):
            self.api.http.close()
        self.process.terminate()
        assert self.process.wait(10) == 0


@contextmanager
def served(*arguments: str, key: str | None = "test-key") -> Iterator[Served]:
    env = {name: value for name, value in os.environ.items() if name != "AGB_API_KEY"}
    env |= {"AGB_API_KEY": key} if key else {}
    process = subprocess.Popen([*SERVE, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
    with process:
        try:
            server = Served(process)
            yield server
            server.end()
        finally:
            process.kill()


def refused(*arguments: str, env: dict[str, str] | None = None) -> str:
    """Return what is said on stderr by a server that does not start: one line."""
    ended = subprocess.run(
        [*SERVE, *arguments], capture_output=True, text=True, env=os.environ | (env or {}), timeout=120
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.count("\n") == 1, ended.stderr
    return ended.stderr


def family(pid: int) -> list[psutil.Process]:
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


# --- the command -------------------------------------------------------------------------------------------------


def test_banner_says_how_to_connect_and_shows_a_generated_key() -> None:
    with served(key=None) as server:
        assert "sessions" in server.banner
        assert "python (" in server.banner
        assert "Chromium" in server.banner  # its version, or what to install
        assert server.said(r"AGB_API_KEY=(.+)").startswith("ako-")
        assert "Warning" not in server.banner
        assert server.api.get("/sdk/ListSession") == []


def test_banner_never_shows_a_key_that_was_given(tmp_path: Path) -> None:
    with served("--api-key", "from-argument", "--data-dir", str(tmp_path), key="from-environment") as server:
        assert "from-argument" not in server.banner
        assert "from-environment" not in server.banner
        pasted = "\n".join(line for line in server.banner.splitlines() if re.match("  (export|#) ", line))
        shown = subprocess.run(
            ["bash", "-ec", f'{pasted}\necho "$AGB_ENDPOINT $AGB_API_KEY"'],
            env={**os.environ, "AGB_API_KEY": "mine"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert (shown.stdout, shown.stderr) == (server.said(r"AGB_ENDPOINT=(\S+)") + " mine\n", "")
        url = server.said(r"AGB_ENDPOINT=(\S+)") + "/sdk/ListSession"
        statuses = [
            httpx.get(url, headers={"authorization": f"Bearer {key}"}).status_code
            for key in ("from-argument", "from-environment")
        ]
        assert statuses == [200, 401]
        assert "another runtime" in refused("--data-dir", str(tmp_path))


def test_address_that_others_can_reach_is_warned_about() -> None:
    with served("--host", "0.0.0.0") as server:
        assert "Warning: 0.0.0.0 can be reached from other machines" in server.banner
        assert server.said(r"AGB_ENDPOINT=(\S+)").startswith("http://127.0.0.1:")


def test_ipv6() -> None:
    with served("--host", "::1") as server:
        assert server.said(r"AGB_ENDPOINT=(\S+)").startswith("http://[::1]:")
        session = server.api.create()["sessionId"]
        assert httpx.get(server.api.link(session)).status_code == 502  # nothing listens on that port
        assert server.api.link_by_path(session).startswith(server.said(r"AGB_ENDPOINT=(\S+)"))


def test_port_in_use_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = refused("--port", port)
    assert said.startswith("agb: cannot listen on 127.0.0.1 port")
    assert port in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port", "70000"], "65535"),
        (["--api-key", ""], "API key"),
        (["--api-key", "schlüssel"], "ASCII"),
        (["--idle-timeout", "0"], "idle-timeout"),
        (["--idle-timeout", "nan"], "idle-timeout"),
    ],
)
def test_options_that_make_no_sense_are_one_line(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["serve", *arguments]) == 2
    said = capsys.readouterr()
    assert words in said.err
    assert (said.out, said.err.count("\n")) == ("", 1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--host", "no such host"], "no such host"), (["--data-dir", "/dev/null/x"], "/dev/null/x")],
)
def test_options_that_cannot_be_used_are_one_line(arguments: list[str], words: str) -> None:
    assert words in refused(*arguments)


def test_missing_packages_are_named() -> None:
    program = "import sys; sys.modules['uvicorn'] = None; from agb.cli import main; sys.exit(main(['serve']))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.returncode == 2
    assert "uvicorn" in ended.stderr
    assert "pip install 'agb[local]'" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_other_systems_get_an_error_that_names_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert cli.main(["serve"]) == 2
    assert "agb: the local runtime needs Linux" in capsys.readouterr().err


def test_command_lists_its_subcommands(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 0
    assert "serve" in capsys.readouterr().out
    assert cli.main(["sevre"]) == 2
    assert "did you mean serve?" in capsys.readouterr().err


def test_command_line_and_programs_have_the_same_options() -> None:
    given = {param.name for param in serve.params} | {"api_key"}  # the key is an option of all commands
    assert {name for name in Options.__annotations__ if name not in ("allow_none", "planner_path")} <= given


# --- the end -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long)])
def test_signal_ends_everything_even_with_open_links(tmp_path: Path, number: signal.Signals) -> None:
    with served("--data-dir", str(tmp_path)) as server:
        api, process = server.api, server.process
        session = api.create()["sessionId"]
        api.start(session, ECHO)
        api.start(session, SOCKETS, port=30101)
        everything = family(process.pid)
        assert len(everything) > 2
        with (
            connect(api.link(session, 30101, "ws")) as outside,
            httpx.stream("GET", f"{api.link(session)}endless", timeout=120) as answer,
        ):
            outside.recv(timeout=120)
            next(answer.iter_raw())
            process.send_signal(number)
            assert process.wait(120) == 0
            with pytest.raises(ConnectionClosed):
                outside.recv(timeout=120)
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert psutil.wait_procs(everything, timeout=120)[1] == []
    assert list((tmp_path / "sessions").glob("*")) == []


def test_call_under_way_is_answered_when_the_server_stops() -> None:
    with served() as server:
        api = server.api
        session = api.create()["sessionId"]
        with socket.create_connection(api.http.base_url.netloc.decode().split(":")) as raw:  # type: ignore[arg-type]
            command = {"command": "echo $$ > started; sleep 600", "timeout_ms": 600_000}
            body = json.dumps({"sessionId": session, "name": "shell", "args": json.dumps(command)})
            head = [
                "POST /mcp HTTP/1.1",
                "Host: localhost",
                "Authorization: Bearer test-key",
                f"Content-Length: {len(body)}",
            ]
            raw.sendall("\r\n".join([*head, "", body]).encode())
            api.shell(session, "until [ -s started ]; do read -t 0.01 <> <(:) || true; done")
            server.process.terminate()
            assert b"is not found" in b"".join(iter(lambda: raw.recv(65536), b""))


KILLED = """
import sys, agb.local
with agb.local.serve(allow_none=True, data_dir=sys.argv[1]) as server:
    print(server.pid, server.endpoint, server.api_key, flush=True)
    sys.stdin.read()
"""


def test_server_ends_when_the_program_that_started_it_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid, endpoint, key = parent.stdout.readline().split()
        api = Api(LocalServer(endpoint, key, int(pid), Report("none", "", "host")))
        with api.http:
            api.create()
            session = api.create()["sessionId"]  # it makes the runtime start a third sandbox
            api.tool(session, "shell", command="sleep 600 > /dev/null 2>&1 &")
            everything = family(int(pid))
            parent.kill()
            assert psutil.wait_procs(everything, timeout=120)[1] == []
    assert list((tmp_path / "sessions").glob("*")) == []


# --- from a program ----------------------------------------------------------------------------------------------


def test_serve_in_a_script(tmp_path: Path) -> None:
    with agb.local.serve(allow_none=True, api_key="given", data_dir=tmp_path, idle_timeout=77) as server:
        assert server.api_key == "given"
        assert "given" not in repr(server)
        assert server.report.isolation in ("bubblewrap", "none")
        assert "python" in server.report.languages
        process = psutil.Process(server.pid)
        assert "given" not in " ".join(process.cmdline()) + str(process.environ())
        api = Api(server)
        with api.http:
            api.create()
        everything = family(server.pid)
    assert psutil.wait_procs(everything, timeout=120)[1] == []
    assert list((tmp_path / "sessions").glob("*")) == []


@pytest.mark.parametrize("run", [anyio.run, trio.run], ids=["asyncio", "trio"])
def test_aserve(run: Callable[[Callable[[], Awaitable[LocalServer]]], LocalServer]) -> None:
    async def main() -> LocalServer:
        async with agb.local.aserve(allow_none=True) as server, httpx.AsyncClient() as client:
            headers = {"authorization": f"Bearer {server.api_key}"}
            assert (await client.get(f"{server.endpoint}/sdk/ListSession", headers=headers)).status_code == 200
            return server

    assert not psutil.pid_exists(run(main).pid)


@pytest.mark.asyncio
async def test_cancelled_start_leaves_no_process() -> None:
    import asyncio

    entered = asyncio.Event()

    async def main() -> None:
        entered.set()
        async with agb.local.aserve(allow_none=True):
            raise AssertionError("was not cancelled")

    before = {process.pid for process in psutil.Process().children()}
    task = asyncio.create_task(main())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert {process.pid for process in psutil.Process().children()} == before


def test_reason_of_a_server_that_does_not_start_is_raised() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(CannotStart, match="cannot listen"):
        ServerProcess({"port": taken.getsockname()[1]}).start()
    with pytest.raises(CannotStart, match="no option nonsense"):
        ServerProcess({"nonsense": 1}).start()
    with pytest.raises(CannotStart, match="isolation must be one of"), agb.local.serve(isolation="magic"):  # type: ignore[arg-type]
        pass


def test_stopping_twice_is_the_same_as_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGB_API_KEY", "the-key-of-the-cloud")
    process = ServerProcess({"allow_none": True})
    assert process.start().api_key.startswith("ako-local-")  # a new one each time, whatever the environment says
    process.stop()
    process.stop()
    with pytest.raises(CannotStart, match="stopped"):
        process.start()


def test_importing_loads_nothing_of_the_server() -> None:
    heavy = ["starlette", "uvicorn", "jupyter_client", "zmq", "psutil", "anyio", "asyncio", "httpx", "websockets"]
    program = f"import sys, agb.local; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "[]\n"
