"""Processes on the local runtime, on both routes: output, input, signals, ends, and failures."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from agb import (
    AsyncAGB,
    AsyncProcess,
    AsyncProcessOutput,
    AsyncSession,
    CommandError,
    Config,
    CreateSessionParams,
    ErrorKind,
    Stderr,
    Stdout,
)
from agb.local import LocalServer

pytestmark = pytest.mark.anyio

PARAMS = CreateSessionParams(image_id="agb-code-space-1")
LIMIT_MS = 60_000
"""Milliseconds for a command of a test; the default of 1,000 is too short on a loaded machine."""
LIMIT = 120
"""Seconds to wait for an event that must happen; a test that waits so long has failed."""
NASTY = ["a'b\"c", "$HOME `id` $(id)", "\\ \\n \n\t!", "größe ☃", "", "-n", "--", "a=b", "*", "; exit 9"]


def client(runtime: LocalServer) -> AsyncAGB:
    return AsyncAGB(runtime.api_key, Config(runtime.endpoint, 30_000))


def routes(agb: AsyncAGB, session: AsyncSession) -> list[AsyncSession]:
    """Return the session by its link, and by the API."""
    return [session, agb.attach(session.ref)]


async def read_all(process: AsyncProcess, **limits: Any) -> tuple[str, str, int]:
    """Return both outputs, and the number of pieces in which they arrived."""
    out, err, pieces = "", "", 0
    async with process.stream(**limits) as output:
        async for event in output:
            pieces += 1
            match event:
                case Stdout(text):
                    out += text
                case Stderr(text):
                    err += text
    return out, err, pieces


async def one_of(output: AsyncProcessOutput) -> Stdout | Stderr:
    async for event in output:
        return event
    raise AssertionError("the output has ended")


async def until(process: AsyncProcess, text: str) -> None:
    """Read until the process has written this."""
    seen = ""
    async with process.stream(timeout=LIMIT) as output:
        async for event in output:
            seen += event.text
            if text in seen:
                return
    raise AssertionError(f"the process ended without writing {text!r}: {seen!r}")


async def processes_left(session: AsyncSession) -> str:
    """Return the directories and programs of processes, after waiting for those that are just ending.

    A process that was killed is listed until its parent, or the first process of the session, has reaped it.
    """
    script = 'for i in $(seq 600); do left=$(ls /tmp/agb-processes; pgrep -l sleep); [ -n "$left" ] || break; '
    listed = await session.command.execute(f"{script} sleep 0.1; done; echo $left", LIMIT_MS)
    return listed.raise_for_error().stdout.strip()


# --- the plain way -----------------------------------------------------------------------------------------------


async def test_output_comes_as_it_is_written(runtime: LocalServer) -> None:
    async with client(runtime) as agb, agb.session(PARAMS) as session:
        for one in routes(agb, session):
            async with await one.command.start("echo one; read x; echo $x; echo e >&2", stdin=True) as process:
                async with process.stream() as output:
                    events = [await one_of(output)]
                    assert (await process.write("two\n")).data == 4
                    events += [event async for event in output if event.text]
                assert events[0] == Stdout("one\n")
                assert "".join(event.text for event in events if isinstance(event, Stdout)) == "one\ntwo\n"
                assert events[-1] == Stderr("e\n")
                assert (output.stdout, output.stderr) == (8, 2)
                result = await process.wait()
                assert (result.success, result.exit_code) == (True, 0)
                assert (result.stdout, result.stderr, result.output) == ("one\ntwo\n", "e\n", "one\ntwo\ne\n")
                assert await process.poll() == 0
                assert await process.wait() is result
        assert await processes_left(session) == ""


@pytest.mark.one_event_loop
async def test_exit_code_is_a_result(runtime: LocalServer) -> None:
    async with client(runtime) as agb, agb.session(PARAMS) as session:
        for one in routes(agb, session):
            result = await (await one.command.start("echo out; echo err >&2; exit 42")).wait()
            assert (result.success, result.exit_code, result.stdout, result.stderr) == (False, 42, "out\n", "err\n")
            with pytest.raises(CommandError) as caught:
                result.raise_for_error()
            assert (caught.value.exit_code, caught.value.stdout, caught.value.stderr) == (42, "out\n", "err\n")
        missing = await (await session.command.start(["no-such-program-1"])).wait()
        assert missing.exit_code == 127
        assert "no-such-program-1" in missing.stderr


@pytest.mark.one_event_loop
async def test_wait_leaves_nothing_behind_unless_kept(runtime: LocalServer) -> None:
    async with client(runtime) as agb, agb.session(PARAMS) as session:
        process = await session.command.start("echo kept")
        assert (await process.wait(keep=True)).stdout == "kept\n"
        again = await session.command.attach(process.process_id)
        assert again.pid == process.pid
        assert (await read_all(again))[:2] == ("kept\n", "")
        assert (await again.wait(output=False)).exit_code == 0
        with pytest.raises(CommandError) as caught:
            await session.command.attach(process.process_id)
        assert caught.value.kind is ErrorKind.NOT_FOUND
        assert (await process.cleanup()).success
        assert await processes_left(session) == ""


@pytest.mark.one_event_loop
async def test_attach_from_another_client(runtime: LocalServer) -> None:
    async with client(runtime) as agb, agb.session(PARAMS) as session:
        process = await session.command.start(["cat"], stdin=True)
        async with client(runtime) as other:
            again = await other.attach(session.ref).command.attach(process.process_id)
            assert again.pid == process.pid
            assert (await again.write("from afar")).success
            assert (await again.close_stdin()).success
            assert (await again.close_stdin()).success
            assert (await again.wait(timeout=LIMIT)).stdout == "from afar"


@pytest.mark.one_event_loop
async def test_stream_from_an_offset(runtime: LocalServer) -> None:
    async with (
        client(runtime) as agb,
        agb.session(PARAMS) as session,
        await session.command.start("printf 0123456789") as process,
    ):
        assert (await read_all(process, stdout=4))[:2] == ("456789", "")


# --- nothing is injected -----------------------------------------------------------------------------------------


@pytest.mark.one_event_loop
async def test_arguments_environment_and_directory_arrive_as_they_are(runtime: LocalServer) -> None:
    async with client(runtime) as agb, agb.session(PARAMS) as session:
        directory = "/tmp/a b'c\"$d;e"
        (await session.command.execute('mkdir -p "$D"', envs={"D": directory}, timeout_ms=LIMIT_MS)).raise_for_error()
        for one in routes(agb, session):
            result = await (await one.command.start(["printf", "%s\\0", *NASTY])).wait()
            assert result.stdout.split("\0")[:-1] == NASTY
            envs = {f"N{i}": text for i, text in enumerate(NASTY)} | {"not a name": "x", "PATH": "/usr/bin:/bin"}
            result = await (await one.command.start(["env", "-0"], envs=envs, cwd=directory)).wait()
            variables = dict(pair.split("=", 1) for pair in result.stdout.split("\0") if pair)
            assert {name: variables.get(name) for name in envs} == envs
            assert variables["PWD"] == directory
            assert [name for name in variables if name.startswith("AGB_")] == ["AGB_COMMAND_ID"]


@pytest.mark.one_event_loop
async def test_program_gets_the_umask_and_signals_of_a_plain_command(runtime: LocalServer) -> None:
    async with client(runtime) as agb, agb.session(PARAMS) as session:
        show = "umask; grep -E 'Sig(Ign|Blk|Cgt)' /proc/self/status"
        plain = await session.command.execute(show, timeout_ms=LIMIT_MS)
        ours = await (await session.command.start(["bash", "-c", show])).wait()
        assert ours.stdout.splitlines()[0] == plain.stdout.splitlines()[0]
        ignored = next(line.split()[1] for line in ours.stdout.splitlines() if line.startswith("SigIgn:"))
        assert int(ignored, 16) & 0x7FFF_FFFF == 0  # all but those that the C library keeps for itself
        modes = await session.command.execute("stat -c %a /tmp/agb-processes", timeout_ms=LIMIT_MS)
        assert modes.stdout == "700\n"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"command": None}, TypeError),
        ({"command": b"true"}, TypeError),
        ({"command": ""}, ValueError),
        ({"command": []}, ValueError),
        ({"command": [""]}, ValueError),
        ({"command": ["echo", 1]}, TypeError),
        ({"command": "echo \0"}, ValueError),
        ({"command": ["echo", "a\0b"]}, ValueError),
        ({"command": "echo \ud800"}, ValueError),
        ({"command": "true", "cwd": "a\0"}, ValueError),
        ({"command": "true", "cwd": 1}, TypeError),
        ({"command": "true", "envs": {"A": 1}}, TypeError),
        ({"command": "true", "envs": {"A=": "1"}}, ValueError),
        ({"command": "true", "envs": {"": "1"}}, ValueError),
        ({"command": "true", "envs": {"A": "1\0"}}, ValueError),
        ({"command": "true", "envs": ["A"]}, TypeError),
        ({"command": "true", "stdin": "text"}, TypeError),
        ({"command": "true", "timeout": 0}, ValueError),
        ({"command": "true", "timeout": "1"}, TypeError),
    ],
)
async def test_bad_arguments(arguments: dict[str, Any], error: type[Exception]) -> None:
    session = AsyncAGB("k", Config("http://127.0.0.1:9", 1000)).attach("s-1")
    with pytest.raises(error):
        await session.command.start(**arguments)


async def test_bad_arguments_of_a_process() -> None:
    session = AsyncAGB("k", Config("http://127.0.0.1:9", 1000)).attach("s-1")
    process = AsyncProcess(session, "AbCdEf123456", 7)
    for wrong in ("../../etc", "", "a b c d e f", "$(reboot)"):
        with pytest.raises(ValueError, match="no process id"):
            await session.command.attach(wrong)
    for number in (0, 65, -9):
        with pytest.raises(ValueError, match="from 1 to 64"):
            await process.signal(number)
    for name in ("", "; reboot", "TERM KILL"):
        with pytest.raises(ValueError, match="not the name of a signal"):
            await process.signal(name)
    with pytest.raises(TypeError):
        await process.write(5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="above zero"):
        await process.wait(timeout=0)
    with pytest.raises(ValueError, match="from the beginning"):
        process.stream(stdout=-1)
    with pytest.raises(TypeError):
        process.stream(stderr="0")  # type: ignore[arg-type]


# --- ends --------------------------------------------------------------------------------------------------------


@pytest.mark.one_event_loop
@pytest.mark.one_flavour
async def test_ended_by_a_signal(runtime: LocalServer) -> None:
    async with client(runtime) as agb, agb.session(PARAMS) as session:
        for one in routes(agb, session):
            for sent, code in ((signal.SIGKILL, 137), ("SIGTERM", 143), ("int", 130), (1, 129)):
                process = await one.command.start("echo up; sleep 60")
                await until(process, "up")
                assert await process.poll() is None
                assert (await process.signal(sent)).data is True
                result = await process.wait(timeout=LIMIT)
                assert (result.success, result.exit_code, result.stdout) == (False, code, "up\n")
                assert result.stderr == ""
        assert await processes_left(session) == ""


@pytest.mark.one_event_loop
async def test_signal_after_the_end_is_not_sent(runtime: LocalServer) -> None:
    async with (
        client(runtime) as agb,
        agb.session(PARAMS) as session,
        await session.command.start("true") as process,
    ):
        assert (await process.wait(keep=True)).success
        result = await process.kill()
        assert (result.success, result.data) == (True, False)
        assert not (await process.signal("NOSUCH")).data


@pytest.mark.one_event_loop
async def test_signal_that_the_session_does_not_know(runtime: LocalServer) -> None:
    async with (
        client(runtime) as agb,
        agb.session(PARAMS) as session,
        await session.command.start("sleep 60") as process,
    ):
        result = await process.signal("NOSUCH")
        assert not result.success
        assert "NOSUCH" in result.error_message


@pytest.mark.one_event_loop
@pytest.mark.one_flavour
async def test_command_that_ignores_sigterm(runtime: LocalServer) -> None:
    async with client(runtime) as agb, agb.session(PARAMS) as session:
        for one in routes(agb, session):
            program = "trap 'echo no' TERM; echo up; while :; do sleep 0.02; done"
            async with await one.command.start(program) as process:
                await until(process, "up")
                assert (await process.terminate()).data is True
                await until(process, "no")
                waited = await process.wait(timeout=0.1)
                assert (waited.success, waited.exit_code) == (False, None)
                assert waited.error is not None
                assert waited.error.kind is ErrorKind.TIMED_OUT
                assert waited.stdout == "up\nno\n"
                assert await process.poll() is None
                assert (await process.kill()).data is True
                assert (await process.wait(timeout=LIMIT)).exit_code == 137


@pytest.mark.one_event_loop
async def test_time_limit_of_a_process(runtime: LocalServer) -> None:
    async with client(runtime) as agb, agb.session(PARAMS) as session:
        process = await session.command.start("echo so far; sleep 60 & sleep 60", timeout=2)
        result = await process.wait(timeout=LIMIT)
        assert (result.success, result.exit_code, result.stdout) == (False, 143, "so far\n")
        assert result.error is not None
        assert result.error.kind is ErrorKind.TIMED_OUT
        quick = await session.command.start("true", timeout=60)
        assert (await quick.wait(timeout=LIMIT)).success
        assert await processes_left(session) == ""


async def test_leaving_the_block_ends_the_process_and_its_children(runtime: LocalServer) -> None:
    async with client(runtime) as agb, agb.session(PARAMS) as session:
        with pytest.raises(KeyError):
            async with await session.command.start("trap '' TERM; sleep 60 & sleep 60", stdin=True, timeout=60):
                raise KeyError
        assert await processes_left(session) == ""


async def test_stream_out_of_time(runtime: LocalServer) -> None:
    async with client(runtime) as agb, agb.session(PARAMS) as session:
        async with await session.command.start("sleep 60") as process:
            with pytest.raises(CommandError, match="still runs") as caught:
                await read_all(process, timeout=0.1)
            assert caught.value.kind is ErrorKind.TIMED_OUT
        # Each observation finds new output, the last one too: its output is returned before the error.
        async with await session.command.start("while echo x; do :; done") as process:
            with pytest.raises(CommandError, match="still runs"):
                await read_all(process, timeout=0.3)


@pytest.mark.one_event_loop
async def test_supervisor_that_is_killed(runtime: LocalServer) -> None:
    async with client(runtime) as agb, agb.session(PARAMS) as session:
        process = await session.command.start("echo so far; sleep 60")
        await until(process, "so far")
        directory = f"/tmp/agb-processes/{process.process_id}"
        (await session.command.execute(f"kill -9 $(cat {directory}/supervisor)", LIMIT_MS)).raise_for_error()
        result = await process.wait(timeout=LIMIT, keep=True)
        assert (result.success, result.exit_code, result.stdout) == (False, None, "so far\n")
        assert "supervisor" in result.error_message
        fresh = await session.command.attach(process.process_id)
        with pytest.raises(CommandError, match="supervisor"):
            await fresh.poll()
        assert (await fresh.cleanup()).success
        assert await processes_left(session) == ""


@pytest.mark.one_event_loop
async def test_process_of_a_deleted_session(runtime: LocalServer) -> None:
    async with client(runtime) as agb:
        session = (await agb.create(PARAMS)).raise_for_error().session
        assert session is not None
        process = await session.command.start("sleep 60", stdin=True)
        assert (await session.delete()).success
        for one in (process, AsyncProcess(agb.attach(session.ref), process.process_id, process.pid)):
            for result in (await one.wait(timeout=5), await one.kill(), await one.write("x"), await one.close_stdin()):
                assert not result.success
                assert result.error is not None
                assert result.error.kind in (ErrorKind.NOT_FOUND, ErrorKind.UNREACHABLE, ErrorKind.BAD_CREDENTIALS)
            for attempt in (one.poll, lambda one=one: read_all(one)):
                with pytest.raises(CommandError):
                    await attempt()
        with pytest.raises(CommandError):
            await session.command.start("true")


@pytest.mark.one_event_loop
async def test_directory_that_is_not_there(runtime: LocalServer) -> None:
    async with client(runtime) as agb, agb.session(PARAMS) as session:
        with pytest.raises(CommandError, match="/no/such/place"):
            await session.command.start("true", cwd="/no/such/place")


# --- output ------------------------------------------------------------------------------------------------------


@pytest.mark.one_event_loop
async def test_output_that_is_no_utf8(runtime: LocalServer) -> None:
    async with client(runtime) as agb, agb.session(PARAMS) as session:
        for one in routes(agb, session):
            async with await one.command.start(r"printf 'a\xff\x00\xc3\xa4b\xe2\x98'") as process:
                assert (await read_all(process))[:2] == ("a\ufffd\0äb\ufffd", "")
                assert (await process.wait()).stdout == "a\ufffd\0äb\ufffd"


@pytest.mark.one_event_loop
async def test_character_in_two_pieces(runtime: LocalServer) -> None:
    async with (
        client(runtime) as agb,
        agb.session(PARAMS) as session,
        await session.command.start(["cat"], stdin=True) as process,
    ):
        assert (await process.write(b"a\xe2\x98")).success
        async with process.stream() as output:
            assert await one_of(output) == Stdout("a")
            assert (await process.write(b"\x83")).success
            assert await one_of(output) == Stdout("☃")


@pytest.mark.one_event_loop
@pytest.mark.one_flavour
async def test_megabytes_on_one_line(runtime: LocalServer) -> None:
    async with (
        client(runtime) as agb,
        agb.session(PARAMS) as session,
        await session.command.start("head -c 3000000 /dev/zero | tr '\\0' x") as process,
    ):
        out, err, pieces = await read_all(process)
        assert (len(out), out.strip("x"), err) == (3_000_000, "", "")
        assert pieces >= 3
        by_api = AsyncProcess(agb.attach(session.ref), process.process_id, process.pid)
        assert (await by_api.wait()).stdout == out


# --- input -------------------------------------------------------------------------------------------------------


@pytest.mark.one_event_loop
async def test_much_input(runtime: LocalServer) -> None:
    data = bytes(range(256)) * 800
    digest = ""
    async with client(runtime) as agb, agb.session(PARAMS) as session:
        for one in routes(agb, session):
            async with await one.command.start("sha256sum", stdin=True) as process:
                assert (await process.write(data)).data == len(data)
                assert (await process.close_stdin()).success
                digest = (await process.wait(timeout=LIMIT)).stdout.split()[0]
        (await session.command.execute("rm -f data", check=True, timeout_ms=LIMIT_MS))
        async with await session.command.start(["sh", "-c", "cat >data"], stdin=True) as process:
            assert (await process.write(data)).success
            assert (await process.close_stdin()).success
            assert (await process.wait(timeout=LIMIT)).success
        assert (await session.command.execute("sha256sum <data", timeout_ms=LIMIT_MS)).stdout.split()[0] == digest


@pytest.mark.one_event_loop
async def test_input_that_is_not_read(runtime: LocalServer) -> None:
    async with client(runtime) as agb, agb.session(PARAMS) as session:
        async with await session.command.start("sleep 60") as process:
            assert "stdin=True" in (await process.write("x")).error_message
        async with await session.command.start("exec 0<&-; echo closed; sleep 60", stdin=True) as process:
            await until(process, "closed")
            assert "closed its input" in (await process.write("x")).error_message
        async with await session.command.start("true", stdin=True) as process:
            assert (await process.wait(keep=True)).success
            assert "has ended" in (await process.write("x")).error_message
            assert (await process.close_stdin()).success
        async with await session.command.start("cat >/dev/null; sleep 60", stdin=True) as process:
            assert (await process.close_stdin()).success
            assert "is closed" in (await process.write("x")).error_message
        async with await session.command.start("sleep 60", stdin=True) as process:
            result = await process.write(b"x" * 200_000, timeout=2)
            assert not result.success
            assert result.error is not None
            assert result.error.kind is ErrorKind.TIMED_OUT
            assert result.data == 49_152
