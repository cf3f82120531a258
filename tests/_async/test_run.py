"""Programs that run to their end, byte for byte: in one call, and as processes where the service cannot run them so."""

from __future__ import annotations

from typing import Any

import pytest

from agb import AsyncAGB, AsyncSession, CommandError, Config, CreateSessionParams, ErrorKind, McpTool
from agb.local import LocalServer

pytestmark = pytest.mark.anyio

PARAMS = CreateSessionParams(image_id="agb-code-space-1")
LIMIT_MS = 60_000
"""Milliseconds for a command of a test; the default of 1,000 is too short on a loaded machine."""
ANY_BYTES = bytes(range(256)) * 400
DETACHED = "setsid sh -c 'echo $$ >/tmp/detached; exec sleep 600' >/dev/null 2>&1 & (sleep 601 &) ; echo begun"
"""Starts one process in a session of its own, and one that has lost its parent."""
WAIT = "while [ ! -s /tmp/detached ]; do sleep 0.02; done; echo detached"
"""Waits until the one in a session of its own runs."""
ALIVE = "ps -eo args | grep '^sleep 60[01]' || echo none"


def client(runtime: LocalServer) -> AsyncAGB:
    return AsyncAGB(runtime.api_key, Config(runtime.endpoint, 30_000))


def routes(agb: AsyncAGB, session: AsyncSession) -> list[AsyncSession]:
    """Return the session by its link, by the API, and as one whose `shell` has the arguments of the protocol alone."""
    plain = agb.attach(session.ref)
    plain.tool_list = [McpTool("shell", input_schema={"properties": {"command": {}, "timeout_ms": {}}})]
    return [session, agb.attach(session.ref), plain]


@pytest.mark.one_flavour
async def test_bytes_codes_and_input(runtime: LocalServer) -> None:
    async with client(runtime) as agb, agb.session(PARAMS) as session:
        for one in routes(agb, session):
            outcome = await one.command.run("cat; printf '\\377\\376' >&2; exit 3", stdin=ANY_BYTES)
            assert (outcome.exit_code, outcome.stdout, outcome.stderr) == (3, ANY_BYTES, b"\xff\xfe")
            assert (outcome.timed_out, outcome.truncated) == (False, False)
            outcome = await one.command.run(["printf", "%s|", "a b", "$HOME", ""], stdin="not read")
            assert outcome.stdout == b"a b|$HOME||"
            assert (await one.command.run("cat")).stdout == b""
            assert (await one.command.run(["/no/such/program"])).exit_code == 127
            assert (await one.command.run(["/etc/passwd"])).exit_code == 126
            assert (await one.command.run("kill -9 $$")).exit_code == 137
            outcome = await one.command.run('echo "$A"; pwd', cwd="/tmp", envs={"A": "x  $B"})
            assert outcome.stdout == b"x  $B\n/tmp\n"


@pytest.mark.one_event_loop
async def test_relative_directory(runtime: LocalServer) -> None:
    async with client(runtime) as agb, agb.session(PARAMS) as session:
        home = (await session.command.execute("mkdir -p 'a b/c'; pwd", LIMIT_MS)).stdout.strip()
        for one in routes(agb, session):
            assert (await one.command.run("pwd", cwd="a b/c")).stdout.decode() == f"{home}/a b/c\n"
            assert (await one.command.execute("pwd", LIMIT_MS, "a b/c")).stdout == f"{home}/a b/c\n"
            assert (await (await one.command.start("pwd", cwd="a b/c")).wait()).stdout == f"{home}/a b/c\n"


@pytest.mark.one_event_loop
@pytest.mark.one_flavour
async def test_commands_and_input_of_any_length(runtime: LocalServer) -> None:
    long = ": " + "x" * 300_000 + "\ncat; echo 'done'; echo $0 | wc -c"
    data = b"\0\xff" * (3 << 20)
    async with client(runtime) as agb, agb.session(PARAMS) as session:
        for one in routes(agb, session):
            outcome = await one.command.run(long, stdin="in\n")
            assert (outcome.exit_code, outcome.stdout[:8], outcome.stderr) == (0, b"in\ndone\n", b"")
            outcome = await one.command.run("wc -c; cat <&0", stdin=data)
            assert outcome.stdout == f"{len(data)}\n".encode()
            result = await one.command.execute(long, LIMIT_MS)
            assert (result.exit_code, result.stdout[:5]) == (0, "done\n")
            process = await one.command.start(long)
            assert (await process.wait()).stdout[:5] == "done\n"
            process = await one.command.start(["wc", "-c", "-", *["x" * 1000] * 300], envs={"Q": "q" * 100_000})
            assert (await process.wait()).exit_code == 1
            left = await one.command.execute("ls -A /tmp | grep agb- | grep -v processes || true", LIMIT_MS)
            assert left.stdout == ""


async def test_output_limit(runtime: LocalServer) -> None:
    async with client(runtime) as agb, agb.session(PARAMS) as session:
        for one in routes(agb, session):
            outcome = await one.command.run("printf 0123456789; printf abc >&2; exit 4", output_limit=5)
            assert (outcome.stdout, outcome.stderr, outcome.truncated) == (b"01234", b"abc", True)
            assert outcome.exit_code == 4
            outcome = await one.command.run("printf 01234", output_limit=5)
            assert (outcome.stdout, outcome.truncated) == (b"01234", False)


async def test_time_limit_ends_everything(runtime: LocalServer) -> None:
    async with client(runtime) as agb, agb.session(PARAMS) as session:
        for one in routes(agb, session):
            for limit in (0.5, 4.0, 32.0):  # until the program has begun within it
                outcome = await one.command.run(f"rm -f /tmp/detached; {DETACHED}; {WAIT}; sleep 99", timeout=limit)
                assert (await one.command.execute(ALIVE, LIMIT_MS)).stdout == "none\n"
                if b"detached" in outcome.stdout:
                    break
            assert (outcome.timed_out, outcome.exit_code, outcome.stdout) == (True, 124, b"begun\ndetached\n")
        result = await session.command.execute(f"{DETACHED}; sleep 99", timeout_ms=1000)
        assert result.error is not None
        assert result.error.kind is ErrorKind.TIMED_OUT
        assert (await session.command.execute(ALIVE, LIMIT_MS)).stdout == "none\n"


async def test_killed_process_leaves_no_child_that_has_detached_itself(runtime: LocalServer) -> None:
    async with client(runtime) as agb, agb.session(PARAMS) as session:
        for end in ("kill", "cleanup"):
            process = await session.command.start(f"{DETACHED}; sleep 99")
            async with process.stream() as output:
                await output.__anext__()
            assert (await getattr(process, end)()).success
            assert (await session.command.execute(ALIVE, LIMIT_MS)).stdout == "none\n"


@pytest.mark.one_event_loop
async def test_background_programs_outlive_a_command_that_ends(runtime: LocalServer) -> None:
    async with client(runtime) as agb, agb.session(PARAMS) as session:
        for one in routes(agb, session):
            outcome = await one.command.run("(sleep 600 >/dev/null 2>&1 &) ; echo begun")
            assert (outcome.stdout, outcome.exit_code) == (b"begun\n", 0)
            # The shell's child becomes the program a moment after the shell has ended.
            found = "until ps -eo args | grep '^sleep 600'; do sleep 0.02; done"
            await one.command.execute(found, LIMIT_MS, check=True)
            await one.command.execute("pkill sleep", LIMIT_MS)


@pytest.mark.one_flavour
async def test_users(runtime: LocalServer) -> None:
    async with client(runtime) as agb, agb.session(PARAMS) as session:
        name = (await session.command.execute("id -un", LIMIT_MS)).stdout.strip()
        for one in routes(agb, session):
            assert (await one.command.run(["id", "-un"], user=name)).stdout.decode() == f"{name}\n"
            with pytest.raises(CommandError, match="no user 'nobody-here'") as caught:
                await one.command.run(["id"], user="nobody-here")
            assert caught.value.kind is ErrorKind.NOT_FOUND
            assert caught.value.extra["user"] == "nobody-here"
            outcome = await one.command.run("cat; id -u; echo $A", user="root", stdin="in\n", envs={"A": "b c"})
            assert outcome.stdout == b"in\n0\nb c\n"
            assert (await one.command.execute("id -u; echo 'a  b'", LIMIT_MS, user="root")).stdout == "0\na  b\n"
            process = await one.command.start("id -u; echo 'a  b'", user="0")
            assert (await process.wait()).stdout == "0\na  b\n"
        result = await session.command.execute("id", LIMIT_MS, user="nobody-here")
        assert result.error is not None
        assert result.error.kind is ErrorKind.NOT_FOUND
        assert result.exit_code is None


@pytest.mark.one_event_loop
async def test_user_that_the_session_may_not_change_to(runtime: LocalServer) -> None:
    async with client(runtime) as agb, agb.session(PARAMS) as session:
        await session.command.execute(
            "mkdir -p bin; printf '#!/bin/sh\\nexit 1' >bin/unshare; chmod +x bin/*", LIMIT_MS
        )
        await session.command.execute("mkdir -p .local && mv bin .local/bin", LIMIT_MS)
        with pytest.raises(CommandError, match="cannot run programs as the user 'root'") as caught:
            await session.command.run("id", user="root")
        assert caught.value.kind is ErrorKind.PERMISSION_DENIED


async def test_program_that_cannot_be_run(runtime: LocalServer) -> None:
    async with client(runtime) as agb, agb.session(PARAMS) as session:
        for one in routes(agb, session):
            with pytest.raises(CommandError, match="/no/where") as caught:
                await one.command.run("pwd", cwd="/no/where")
            assert "user" not in caught.value.extra
        with pytest.raises(CommandError) as caught:
            await session.command.run("pwd", cwd="/no/where")
        assert caught.value.kind is ErrorKind.NOT_FOUND
        await session.delete()
        with pytest.raises(CommandError) as caught:
            await session.command.run("pwd")
        assert caught.value.kind is ErrorKind.NOT_FOUND


@pytest.mark.one_event_loop
@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"command": ""}, ValueError),
        ({"command": []}, ValueError),
        ({"command": ["a", 1]}, TypeError),
        ({"command": "a\0b"}, ValueError),
        ({"command": "a", "stdin": 1}, TypeError),
        ({"command": "a", "output_limit": -1}, ValueError),
        ({"command": "a", "output_limit": "1"}, TypeError),
        ({"command": "a", "timeout": -1}, ValueError),
        ({"command": "a", "envs": {"a=b": ""}}, ValueError),
        ({"command": "a", "user": ""}, ValueError),
        ({"command": "a", "user": "-x"}, ValueError),
        ({"command": "a", "cwd": 1}, TypeError),
    ],
)
async def test_bad_arguments(arguments: dict[str, Any], error: type[Exception]) -> None:
    session = AsyncAGB("k", Config("http://127.0.0.1:9", 1000)).attach("s-1")
    session.tool_list = [McpTool("shell", input_schema={"properties": {"argv": {}}})]
    with pytest.raises(error):
        await session.command.run(**arguments)
