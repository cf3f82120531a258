# Generated from tests/_async/test_processes.py by tools/unasync.py. Do not edit.
"""Processes on the local runtime, on both routes: output, input, signals, ends, and failures."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from agb import (
    AGB,
    CommandError,
    Config,
    CreateSessionParams,
    ErrorKind,
    Process,
    ProcessOutput,
    Session,
    Stderr,
    Stdout,
)
from agb.local import LocalServer

PARAMS = CreateSessionParams(image_id="agb-code-space-1")
LIMIT_MS = 60_000
"""Milliseconds for a command of a test; the default of 1,000 is too short on a loaded machine."""
LIMIT = 120
"""Seconds to wait for an event that must happen; a test that waits so long has failed."""
NASTY = ["a'b\"c", "$HOME `id` $(id)", "\\ \\n \n\t!", "größe ☃", "", "-n", "--", "a=b", "*", "; exit 9"]


def client(runtime: LocalServer) -> AGB:
    return AGB(runtime.api_key, Config(runtime.endpoint, 30_000))


def routes(agb: AGB, session: Session) -> list[Session]:
    """Return the session by its link, and by the API."""
    return [session, agb.attach(session.ref)]


def read_all(process: Process, **limits: Any) -> tuple[str, str, int]:
    """Return both outputs, and the number of pieces in which they arrived."""
    out, err, pieces = "", "", 0
    with process.stream(**limits) as output:
        for event in output:
            pieces += 1
            match event:
                case Stdout(text):
                    out += text
                case Stderr(text):
                    err += text
    return out, err, pieces


def one_of(output: ProcessOutput) -> Stdout | Stderr:
    for event in output:
        return event
    raise AssertionError("the output has ended")


def until(process: Process, text: str) -> None:
    """Read until the process has written this."""
    seen = ""
    with process.stream(timeout=LIMIT) as output:
        for event in output:
            seen += event.text
            if text in seen:
                return
    raise AssertionError(f"the process ended without writing {text!r}: {seen!r}")


def processes_left(session: Session) -> str:
    """Return the directories and programs of processes, after waiting for those that are just ending.

    A process that was killed is listed until its parent, or the first process of the session, has reaped it.
    """
    script = 'for i in $(seq 600); do left=$(ls /tmp/agb-processes; pgrep -l sleep); [ -n "$left" ] || break; '
    listed = session.command.execute(f"{script} sleep 0.1; done; echo $left", LIMIT_MS)
    return listed.raise_for_error().stdout.strip()


# --- the plain way -----------------------------------------------------------------------------------------------


def test_output_comes_as_it_is_written(runtime: LocalServer) -> None:
    with client(runtime) as agb, agb.session(PARAMS) as session:
        for one in routes(agb, session):
            with one.command.start("echo one; read x; echo $x; echo e >&2", stdin=True) as process:
                with process.stream() as output:
                    events = [one_of(output)]
                    assert process.write("two\n").data == 4
                    events += [event for event in output if event.text]
                assert events[0] == Stdout("one\n")
                assert "".join(event.text for event in events if isinstance(event, Stdout)) == "one\ntwo\n"
                assert events[-1] == Stderr("e\n")
                assert (output.stdout, output.stderr) == (8, 2)
                result = process.wait()
                assert (result.success, result.exit_code) == (True, 0)
                assert (result.stdout, result.stderr, result.output) == ("one\ntwo\n", "e\n", "one\ntwo\ne\n")
                assert process.poll() == 0
                assert process.wait() is result
        assert processes_left(session) == ""


@pytest.mark.one_event_loop
def test_exit_code_is_a_result(runtime: LocalServer) -> None:
    with client(runtime) as agb, agb.session(PARAMS) as session:
        for one in routes(agb, session):
            result = one.command.start("echo out; echo err >&2; exit 42").wait()
            assert (result.success, result.exit_code, result.stdout, result.stderr) == (False, 42, "out\n", "err\n")
            with pytest.raises(CommandError) as caught:
                result.raise_for_error()
            assert (caught.value.exit_code, caught.value.stdout, caught.value.stderr) == (42, "out\n", "err\n")
        missing = session.command.start(["no-such-program-1"]).wait()
        assert missing.exit_code == 127
        assert "no-such-program-1" in missing.stderr


@pytest.mark.one_event_loop
def test_wait_leaves_nothing_behind_unless_kept(runtime: LocalServer) -> None:
    with client(runtime) as agb, agb.session(PARAMS) as session:
        process = session.command.start("echo kept")
        assert process.wait(keep=True).stdout == "kept\n"
        again = session.command.attach(process.process_id)
        assert again.pid == process.pid
        assert read_all(again)[:2] == ("kept\n", "")
        assert again.wait(output=False).exit_code == 0
        with pytest.raises(CommandError) as caught:
            session.command.attach(process.process_id)
        assert caught.value.kind is ErrorKind.NOT_FOUND
        assert process.cleanup().success
        assert processes_left(session) == ""


@pytest.mark.one_event_loop
def test_attach_from_another_client(runtime: LocalServer) -> None:
    with client(runtime) as agb, agb.session(PARAMS) as session:
        process = session.command.start(["cat"], stdin=True)
        with client(runtime) as other:
            again = other.attach(session.ref).command.attach(process.process_id)
            assert again.pid == process.pid
            assert again.write("from afar").success
            assert again.close_stdin().success
            assert again.close_stdin().success
            assert again.wait(timeout=LIMIT).stdout == "from afar"


@pytest.mark.one_event_loop
def test_stream_from_an_offset(runtime: LocalServer) -> None:
    with (
        client(runtime) as agb,
        agb.session(PARAMS) as session,
        session.command.start("printf 0123456789") as process,
    ):
        assert read_all(process, stdout=4)[:2] == ("456789", "")


# --- nothing is injected -----------------------------------------------------------------------------------------


@pytest.mark.one_event_loop
def test_arguments_environment_and_directory_arrive_as_they_are(runtime: LocalServer) -> None:
    with client(runtime) as agb, agb.session(PARAMS) as session:
        directory = "/tmp/a b'c\"$d;e"
        session.command.execute('mkdir -p "$D"', envs={"D": directory}, timeout_ms=LIMIT_MS).raise_for_error()
        for one in routes(agb, session):
            result = one.command.start(["printf", "%s\\0", *NASTY]).wait()
            assert result.stdout.split("\0")[:-1] == NASTY
            envs = {f"N{i}": text for i, text in enumerate(NASTY)} | {"not a name": "x", "PATH": "/usr/bin:/bin"}
            result = one.command.start(["env", "-0"], envs=envs, cwd=directory).wait()
            variables = dict(pair.split("=", 1) for pair in result.stdout.split("\0") if pair)
            assert {name: variables.get(name) for name in envs} == envs
            assert variables["PWD"] == directory
            assert [name for name in variables if name.startswith("AGB_")] == ["AGB_COMMAND_ID"]


@pytest.mark.one_event_loop
def test_program_gets_the_umask_and_signals_of_a_plain_command(runtime: LocalServer) -> None:
    with client(runtime) as agb, agb.session(PARAMS) as session:
        show = "umask; grep -E 'Sig(Ign|Blk|Cgt)' /proc/self/status"
        plain = session.command.execute(show, timeout_ms=LIMIT_MS)
        ours = session.command.start(["bash", "-c", show]).wait()
        assert ours.stdout.splitlines()[0] == plain.stdout.splitlines()[0]
        ignored = next(line.split()[1] for line in ours.stdout.splitlines() if line.startswith("SigIgn:"))
        assert int(ignored, 16) & 0x7FFF_FFFF == 0  # all but those that the C library keeps for itself
        modes = session.command.execute("stat -c %a /tmp/agb-processes", timeout_ms=LIMIT_MS)
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
def test_bad_arguments(arguments: dict[str, Any], error: type[Exception]) -> None:
    session = AGB("k", Config("http://127.0.0.1:9", 1000)).attach("s-1")
    with pytest.raises(error):
        session.command.start(**arguments)


def test_bad_arguments_of_a_process() -> None:
    session = AGB("k", Config("http://127.0.0.1:9", 1000)).attach("s-1")
    process = Process(session, "AbCdEf123456", 7)
    for wrong in ("../../etc", "", "a b c d e f", "$(reboot)"):
        with pytest.raises(ValueError, match="no process id"):
            session.command.attach(wrong)
    for number in (0, 65, -9):
        with pytest.raises(ValueError, match="from 1 to 64"):
            process.signal(number)
    for name in ("", "; reboot", "TERM KILL"):
        with pytest.raises(ValueError, match="not the name of a signal"):
            process.signal(name)
    with pytest.raises(TypeError):
        process.write(5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="above zero"):
        process.wait(timeout=0)
    with pytest.raises(ValueError, match="from the beginning"):
        process.stream(stdout=-1)
    with pytest.raises(TypeError):
        process.stream(stderr="0")  # type: ignore[arg-type]


# --- ends --------------------------------------------------------------------------------------------------------


@pytest.mark.one_event_loop
@pytest.mark.one_flavour
def test_ended_by_a_signal(runtime: LocalServer) -> None:
    with client(runtime) as agb, agb.session(PARAMS) as session:
        for one in routes(agb, session):
            for sent, code in ((signal.SIGKILL, 137), ("SIGTERM", 143), ("int", 130), (1, 129)):
                process = one.command.start("echo up; sleep 60")
                until(process, "up")
                assert process.poll() is None
                assert process.signal(sent).data is True
                result = process.wait(timeout=LIMIT)
                assert (result.success, result.exit_code, result.stdout) == (False, code, "up\n")
                assert result.stderr == ""
        assert processes_left(session) == ""


@pytest.mark.one_event_loop
def test_signal_after_the_end_is_not_sent(runtime: LocalServer) -> None:
    with (
        client(runtime) as agb,
        agb.session(PARAMS) as session,
        session.command.start("true") as process,
    ):
        assert process.wait(keep=True).success
        result = process.kill()
        assert (result.success, result.data) == (True, False)
        assert not process.signal("NOSUCH").data


@pytest.mark.one_event_loop
def test_signal_that_the_session_does_not_know(runtime: LocalServer) -> None:
    with (
        client(runtime) as agb,
        agb.session(PARAMS) as session,
        session.command.start("sleep 60") as process,
    ):
        result = process.signal("NOSUCH")
        assert not result.success
        assert "NOSUCH" in result.error_message


@pytest.mark.one_event_loop
@pytest.mark.one_flavour
def test_command_that_ignores_sigterm(runtime: LocalServer) -> None:
    with client(runtime) as agb, agb.session(PARAMS) as session:
        for one in routes(agb, session):
            program = "trap 'echo no' TERM; echo up; while :; do sleep 0.02; done"
            with one.command.start(program) as process:
                until(process, "up")
                assert process.terminate().data is True
                until(process, "no")
                waited = process.wait(timeout=0.1)
                assert (waited.success, waited.exit_code) == (False, None)
                assert waited.error is not None
                assert waited.error.kind is ErrorKind.TIMED_OUT
                assert waited.stdout == "up\nno\n"
                assert process.poll() is None
                assert process.kill().data is True
                assert process.wait(timeout=LIMIT).exit_code == 137


@pytest.mark.one_event_loop
def test_time_limit_of_a_process(runtime: LocalServer) -> None:
    with client(runtime) as agb, agb.session(PARAMS) as session:
        process = session.command.start("echo so far; sleep 60 & sleep 60", timeout=2)
        result = process.wait(timeout=LIMIT)
        assert (result.success, result.exit_code, result.stdout) == (False, 143, "so far\n")
        assert result.error is not None
        assert result.error.kind is ErrorKind.TIMED_OUT
        quick = session.command.start("true", timeout=60)
        assert quick.wait(timeout=LIMIT).success
        assert processes_left(session) == ""


def test_leaving_the_block_ends_the_process_and_its_children(runtime: LocalServer) -> None:
    with client(runtime) as agb, agb.session(PARAMS) as session:
        with pytest.raises(KeyError):
            with session.command.start("trap '' TERM; sleep 60 & sleep 60", stdin=True, timeout=60):
                raise KeyError
        assert processes_left(session) == ""


def test_stream_out_of_time(runtime: LocalServer) -> None:
    with client(runtime) as agb, agb.session(PARAMS) as session:
        with session.command.start("sleep 60") as process:
            with pytest.raises(CommandError, match="still runs") as caught:
                read_all(process, timeout=0.1)
            assert caught.value.kind is ErrorKind.TIMED_OUT
        # Each observation finds new output, the last one too: its output is returned before the error.
        with session.command.start("while echo x; do :; done") as process:
            with pytest.raises(CommandError, match="still runs"):
                read_all(process, timeout=0.3)


@pytest.mark.one_event_loop
def test_supervisor_that_is_killed(runtime: LocalServer) -> None:
    with client(runtime) as agb, agb.session(PARAMS) as session:
        process = session.command.start("echo so far; sleep 60")
        until(process, "so far")
        directory = f"/tmp/agb-processes/{process.process_id}"
        session.command.execute(f"kill -9 $(cat {directory}/supervisor)", LIMIT_MS).raise_for_error()
        result = process.wait(timeout=LIMIT, keep=True)
        assert (result.success, result.exit_code, result.stdout) == (False, None, "so far\n")
        assert "supervisor" in result.error_message
        fresh = session.command.attach(process.process_id)
        with pytest.raises(CommandError, match="supervisor"):
            fresh.poll()
        assert fresh.cleanup().success
        assert processes_left(session) == ""


@pytest.mark.one_event_loop
def test_process_of_a_deleted_session(runtime: LocalServer) -> None:
    with client(runtime) as agb:
        session = agb.create(PARAMS).raise_for_error().session
        assert session is not None
        process = session.command.start("sleep 60", stdin=True)
        assert session.delete().success
        for one in (process, Process(agb.attach(session.ref), process.process_id, process.pid)):
            for result in (one.wait(timeout=5), one.kill(), one.write("x"), one.close_stdin()):
                assert not result.success
                assert result.error is not None
                assert result.error.kind in (ErrorKind.NOT_FOUND, ErrorKind.UNREACHABLE, ErrorKind.BAD_CREDENTIALS)
            for attempt in (one.poll, lambda one=one: read_all(one)):
                with pytest.raises(CommandError):
                    attempt()
        with pytest.raises(CommandError):
            session.command.start("true")


@pytest.mark.one_event_loop
def test_directory_that_is_not_there(runtime: LocalServer) -> None:
    with client(runtime) as agb, agb.session(PARAMS) as session:
        with pytest.raises(CommandError, match="/no/such/place"):
            session.command.start("true", cwd="/no/such/place")


# --- output ------------------------------------------------------------------------------------------------------


@pytest.mark.one_event_loop
def test_output_that_is_no_utf8(runtime: LocalServer) -> None:
    with client(runtime) as agb, agb.session(PARAMS) as session:
        for one in routes(agb, session):
            with one.command.start(r"printf 'a\xff\x00\xc3\xa4b\xe2\x98'") as process:
                assert read_all(process)[:2] == ("a\ufffd\0äb\ufffd", "")
                assert process.wait().stdout == "a\ufffd\0äb\ufffd"


@pytest.mark.one_event_loop
def test_character_in_two_pieces(runtime: LocalServer) -> None:
    with (
        client(runtime) as agb,
        agb.session(PARAMS) as session,
        session.command.start(["cat"], stdin=True) as process,
    ):
        assert process.write(b"a\xe2\x98").success
        with process.stream() as output:
            assert one_of(output) == Stdout("a")
            assert process.write(b"\x83").success
            assert one_of(output) == Stdout("☃")


@pytest.mark.one_event_loop
@pytest.mark.one_flavour
def test_megabytes_on_one_line(runtime: LocalServer) -> None:
    with (
        client(runtime) as agb,
        agb.session(PARAMS) as session,
        session.command.start("head -c 3000000 /dev/zero | tr '\\0' x") as process,
    ):
        out, err, pieces = read_all(process)
        assert (len(out), out.strip("x"), err) == (3_000_000, "", "")
        assert pieces >= 3
        by_api = Process(agb.attach(session.ref), process.process_id, process.pid)
        assert by_api.wait().stdout == out


# --- input -------------------------------------------------------------------------------------------------------


@pytest.mark.one_event_loop
def test_much_input(runtime: LocalServer) -> None:
    data = bytes(range(256)) * 800
    digest = ""
    with client(runtime) as agb, agb.session(PARAMS) as session:
        for one in routes(agb, session):
            with one.command.start("sha256sum", stdin=True) as process:
                assert process.write(data).data == len(data)
                assert process.close_stdin().success
                digest = process.wait(timeout=LIMIT).stdout.split()[0]
        session.command.execute("rm -f data", check=True, timeout_ms=LIMIT_MS)
        with session.command.start(["sh", "-c", "cat >data"], stdin=True) as process:
            assert process.write(data).success
            assert process.close_stdin().success
            assert process.wait(timeout=LIMIT).success
        assert session.command.execute("sha256sum <data", timeout_ms=LIMIT_MS).stdout.split()[0] == digest


@pytest.mark.one_event_loop
def test_input_that_is_not_read(runtime: LocalServer) -> None:
    with client(runtime) as agb, agb.session(PARAMS) as session:
        with session.command.start("sleep 60") as process:
            assert "stdin=True" in process.write("x").error_message
        with session.command.start("exec 0<&-; echo closed; sleep 60", stdin=True) as process:
            until(process, "closed")
            assert "closed its input" in process.write("x").error_message
        with session.command.start("true", stdin=True) as process:
            assert process.wait(keep=True).success
            assert "has ended" in process.write("x").error_message
            assert process.close_stdin().success
        with session.command.start("cat >/dev/null; sleep 60", stdin=True) as process:
            assert process.close_stdin().success
            assert "is closed" in process.write("x").error_message
        with session.command.start("sleep 60", stdin=True) as process:
            result = process.write(b"x" * 200_000, timeout=2)
            assert not result.success
            assert result.error is not None
            assert result.error.kind is ErrorKind.TIMED_OUT
            assert result.data == 49_152
