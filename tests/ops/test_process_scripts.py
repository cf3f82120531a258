"""The scripts of processes: whatever the words are, a real shell runs exactly them; and the parsers of answers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agb import AGBError, CommandError, ErrorKind
from agb._ops.tools import process as ops
from agb._ops.tools.program import run_script
from agb._wire.toolcall import ToolCall, ToolReply
from agb.results.commands import ProcessInfo

SHELLS = [path for name in ("dash", "bash") if (path := shutil.which(name))]
WORDS = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=40)
NASTY = st.sampled_from(
    ["'", '"', "$(exit 9)", "`exit 9`", "\n", "\\", "$0", "-", "--", "-i", "a=b", "=", "!x", "*", "~", "\r", "é", ";&|"]
)
ARGUMENT = st.one_of(WORDS, NASTY, st.lists(NASTY, max_size=5).map("".join))
NAME = ARGUMENT.map(lambda text: text.replace("=", "_")).filter(bool)
MANY = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with a program that writes down its arguments and environment."""
    program = tmp_path / "record"
    program.write_text(
        '#!/bin/sh\nprintf "%s\\0" "$@" >"$RECORDED/arguments"\ncat /proc/$$/environ >"$RECORDED/environment"\n'
    )
    program.chmod(0o755)
    return tmp_path


def run(shell: str, place: Path, script: str) -> int:
    """Run what the supervisor would run, and return the exit code."""
    (place / "run").write_text(script, encoding="utf-8")
    (place / "ready").touch()
    done = subprocess.run(
        [shell, str(place / "run"), str(place), shell, "0022"],
        env={"PATH": os.environ["PATH"], "RECORDED": str(place)},
        cwd=place,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert not (place / "run").exists()
    return done.returncode


def recorded(place: Path, name: str) -> list[str]:
    return (place / name).read_bytes().decode().split("\0")[:-1]


@MANY
@given(arguments=st.lists(ARGUMENT, max_size=6), envs=st.dictionaries(NAME, ARGUMENT, max_size=4))
def test_any_arguments_and_environment(shell: str, place: Path, arguments: list[str], envs: dict[str, str]) -> None:
    script = run_script([str(place / "record"), *arguments], envs)
    assert run(shell, place, script) == 0
    assert recorded(place, "arguments") == (arguments or [""])
    variables = dict(pair.split("=", 1) for pair in recorded(place, "environment"))
    assert {name: variables.get(name) for name in envs} == envs


@MANY
@given(name=st.one_of(st.sampled_from(["-", "a=b", "=", "-x", "--", "'", "$0", "a b"]), ARGUMENT.filter(bool)))
def test_any_name_of_a_program(shell: str, place: Path, name: str) -> None:
    """The named program is run, or none: never any other."""
    code = run(shell, place, run_script([name.replace("/", "_").replace(".", "_")[:60], "exit 9"]))
    assert code != 9


@pytest.mark.parametrize("name", ["a=b", "a b", "=", "'", "$x", "é"])
def test_program_with_an_odd_name_runs(shell: str, place: Path, name: str) -> None:
    (place / "record").rename(place / name)
    script = run_script([name, "1", "a=2"], {"PATH": f"{place}:{os.environ['PATH']}", "A": "b=c"})
    assert run(shell, place, script) == 0
    assert recorded(place, "arguments") == ["1", "a=2"]


@MANY
@given(text=ARGUMENT)
def test_text_for_the_shell_arrives_whole(shell: str, place: Path, text: str) -> None:
    script = run_script('printf "%s\\0" "$TEXT" >"$RECORDED/arguments"', {"TEXT": text})
    assert run(shell, place, script) == 0
    assert recorded(place, "arguments") == [text]


@given(text=st.text())
def test_invalid_commands_are_refused_before_anything_is_sent(text: str) -> None:
    try:
        text.encode()
        usable = "\0" not in text and bool(text.strip())
    except UnicodeEncodeError:
        usable = False
    if usable:
        assert ops.start(text, session_id="s").name == "shell"
    else:
        with pytest.raises(ValueError, match=r"NUL|UTF-8|empty"):
            ops.start(text, session_id="s")


def test_secrets_are_not_in_the_command_line() -> None:
    call = ops.start(["true", "hush"], envs={"TOKEN": "hush"}, session_id="s")
    assert "hush" not in call.args["command"]
    with pytest.raises(ValueError, match="TOKEN") as caught:
        ops.start("true", envs={"TOKEN": "hush\0"}, session_id="s")
    assert "hush" not in str(caught.value)


def test_scripts_are_valid_in_any_shell(shell: str) -> None:
    calls: list[ToolCall[Any]] = [
        ops.start("true", stdin=True, timeout=1, session_id="s"),
        ops.observe("AbCdEf1", session_id="s"),
        ops.write("AbCdEf1", b"x", wait=1, session_id="s"),
        ops.close_stdin("AbCdEf1", session_id="s"),
        ops.list_processes(session_id="s"),
        ops.send_signal("AbCdEf1", "TERM", session_id="s"),
        ops.clean_up("AbCdEf1", session_id="s"),
    ]
    for call in calls:
        subprocess.run([shell, "-n", "-c", call.args["command"]], check=True, timeout=120)


def test_clean_up_waits_for_the_supervisor(shell: str, tmp_path: Path) -> None:
    """A supervisor may still make a file in the directory when the exit code is written there."""
    directory = tmp_path / "agb-processes" / "AbCdEf1"
    directory.mkdir(parents=True)
    (directory / "exit").write_text("0\n")
    supervisor = subprocess.Popen(["sleep", "0.1"])  # far less than the second that the script waits at most
    reaping = threading.Thread(target=supervisor.wait)  # as the first process of a session does
    (directory / "supervisor").write_text(f"{supervisor.pid}\n")
    reaping.start()
    script = ops.clean_up("AbCdEf1", session_id="s").args["command"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run([shell, "-c", script], env=environment, capture_output=True, check=True, timeout=120)
    assert not Path(f"/proc/{supervisor.pid}").exists()
    assert b"agb-process done" in done.stdout
    assert not directory.exists()
    reaping.join()


def test_time_limit_that_has_not_begun_ends_with_the_process(shell: str, tmp_path: Path) -> None:
    """A process may be over before its watchdog has a session, and so a group, of its own."""
    setsid = tmp_path / "bin" / "setsid"
    setsid.parent.mkdir()
    setsid.write_text(
        f"#!/bin/sh\ncase $* in *expired*) echo $$ >{tmp_path}/watchdog; exec sleep 60 ;; esac\n"
        f'exec {shutil.which("setsid")} "$@"\n'
    )
    setsid.chmod(0o755)
    (tmp_path / "run").write_text(run_script(f"until [ -s {tmp_path}/watchdog ]; do sleep 0.01; done"))
    (tmp_path / "ready").touch()
    subprocess.run(
        [shell, "-c", ops._SUPERVISE, "agb-process", str(tmp_path), shell, "0022", "3600", ""],
        env={"PATH": f"{setsid.parent}:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
        timeout=120,
    )
    assert (tmp_path / "exit").read_text() == "0\n"
    watchdog = Path("/proc", (tmp_path / "watchdog").read_text().strip(), "stat")
    with suppress(FileNotFoundError, ProcessLookupError):
        assert watchdog.read_text().rpartition(")")[2].split()[0] in "ZX"


@pytest.mark.parametrize("stage", [["sh", "{directory}/run"], ["env", "--", "AGB_COMMAND_ID=AbCdEf1"]])
def test_list_shows_the_program_and_not_what_becomes_it(stage: list[str], shell: str, tmp_path: Path) -> None:
    """The script of a process and `env`, which has the variables as arguments, run for a moment before the program."""
    directory = tmp_path / "agb-processes" / "AbCdEf1"
    directory.mkdir(parents=True)
    words = [word.format(directory=directory) for word in stage]
    # `sh` reads its script under either name.
    (directory / words[-1]).write_text("sleep 0.2; exec sleep 600\n")
    with subprocess.Popen([*words, "TOKEN=hush"], executable="/bin/sh", cwd=directory) as process:
        try:
            for name in ("pid", "supervisor"):
                (directory / name).write_text(f"{process.pid}\n")
            call = ops.list_processes(session_id="s")
            environment = {**os.environ, "TMPDIR": str(tmp_path)}
            done = subprocess.run(
                [shell, "-c", call.args["command"]], env=environment, capture_output=True, check=True, timeout=120
            )
        finally:
            process.kill()
    assert call.read(answered(done.stdout.decode())) == [ProcessInfo("AbCdEf1", process.pid, True, None, "sleep 600")]


# --- answers -----------------------------------------------------------------------------------------------------


def answered(stdout: str) -> ToolReply:
    return ToolReply(json.dumps({"stdout": stdout, "stderr": "", "exit_code": 0}), False, "r")


def test_answer_of_an_observation() -> None:
    call = ops.observe("AbCdEf1", 2, 0, session_id="s")
    state = call.read(answered("agb-process ended 137 yes 5 1 42\naGVs\nIQ==\n"))
    assert state == ops.ProcessState(42, False, 137, True, b"hel", b"!", True)
    assert not call.read(answered("agb-process running - no 50 1 42\naGVs\nIQ==\n")).is_complete


@given(text=st.text(max_size=200))
def test_any_other_answer_is_an_error(text: str) -> None:
    for call in (ops.observe("AbCdEf1", session_id="s"), ops.close_stdin("AbCdEf1", session_id="s")):
        with pytest.raises(CommandError) as caught:
            call.read(answered(text))
        assert caught.value.kind is ErrorKind.INVALID_ANSWER
        with pytest.raises(AGBError):
            call.read(ToolReply(text, True, "r"))


def test_process_that_does_not_exist() -> None:
    with pytest.raises(CommandError) as caught:
        ops.observe("AbCdEf1", session_id="s").read(answered("agb-process gone\n"))
    assert caught.value.kind is ErrorKind.NOT_FOUND


def test_signals() -> None:
    assert [ops.signal_name(name) for name in ("TERM", "sigint", 9, "RTMIN+1")] == ["TERM", "INT", "9", "RTMIN+1"]
    for wrong in (True, 1.5, None):
        with pytest.raises(TypeError):
            ops.signal_name(wrong)  # type: ignore[arg-type]
