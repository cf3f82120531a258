"""The tool shell: a new shell per call, its output, its time limit, what it leaves running."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Literal

import psutil
import pytest

from agb.local.errors import Refused
from agb.local.limits import Limits
from agb.local.sessions.runtime import Runtime
from agb.local.sessions.session import LocalSession

from .runtimes import IMAGE, call, needs_bubblewrap, output, shell

pytestmark = pytest.mark.asyncio


@pytest.mark.asyncio(loop_scope="module")
async def test_result(shared_runtime: Runtime, shared_box: LocalSession) -> None:
    reply = await call(shared_runtime, shared_box, "shell", command="echo out; echo err >&2")
    assert not reply.is_error
    assert json.loads(reply.text) == {"stdout": "out\n", "stderr": "err\n", "exit_code": 0, "traceId": ""}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("exit 3", 3, ""),
        ("invalid_command_12345", 127, "not found"),
        ("ls /nonexistent", 2, "No such file or directory"),
        ("kill -9 $$", 137, ""),
        ("kill -TERM $$", 143, ""),
        ("/etc/passwd", 126, "Permission denied"),
    ],
)
async def test_failure(shared_runtime: Runtime, shared_box: LocalSession, command: str, code: int, said: str) -> None:
    result = await shell(shared_runtime, shared_box, command)
    assert result["exit_code"] == code
    assert said in result["stderr"]
    assert result["traceId"]


async def test_every_call_is_a_new_shell_on_the_same_files(local_runtime: Runtime, box: LocalSession) -> None:
    await output(local_runtime, box, "cd /tmp; X=1; export Y=2; echo kept > ~/file; echo kept > $TMPDIR/file")
    assert await output(local_runtime, box, "pwd; echo $X$Y; cat file; cat $TMPDIR/file") == (
        f"{box.sandbox.home}\n\nkept\nkept"
    )


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("a=(1 2 3); echo ${a[1]}", "2"),
        ("cat <<'END'\n$HOME `x` 'y' \"z\"\nEND", "$HOME `x` 'y' \"z\""),
        ("echo a && echo b | tr b c", "a\nc"),
        ("set -e\nfalse || echo went on", "went on"),
        ("echo 'ünïcode ☃ 🐍'", "ünïcode ☃ 🐍"),
        ("printf 'a\\xffb'", "a\ufffdb"),
        ("cat; echo no input", "no input"),
    ],
)
async def test_it_is_a_bash(shared_runtime: Runtime, shared_box: LocalSession, command: str, said: str) -> None:
    assert await output(shared_runtime, shared_box, command) == said


@pytest.mark.asyncio(loop_scope="module")
async def test_values_of_variables_are_not_interpreted(shared_runtime: Runtime, shared_box: LocalSession) -> None:
    values = {"A": 'it\'s "quoted"', "B": "; echo pwned; $(id) `id` !@#$%^&*()", "C": "two\nlines", "D": "", "E": "☃"}
    result = await shell(shared_runtime, shared_box, 'for n in A B C D E; do printf "%s\\0" "${!n}"; done', envs=values)
    assert result["stdout"].split("\0")[:-1] == list(values.values())
    assert await output(shared_runtime, shared_box, "echo $HOME", envs={"X": "1"}) == shared_box.sandbox.home


@pytest.mark.parametrize("isolation", [pytest.param("bubblewrap", marks=needs_bubblewrap), "none"])
async def test_variables_and_directory_do_not_reach_the_shell_itself(isolation: Literal["bubblewrap", "none"]) -> None:
    async with Runtime(isolation=isolation, network="isolated") as runtime:
        session = await runtime.create(IMAGE)
        await output(runtime, session, "mkdir tools; printf '#!/bin/sh\necho mine\n' > tools/bash; chmod +x tools/bash")
        envs = {"PATH": f"{session.sandbox.home}/tools"}
        assert await output(runtime, session, "echo $PATH; pwd", envs=envs, cwd="tools") == (
            f"{session.sandbox.home}/tools\n{session.sandbox.home}/tools"
        )


async def test_directory(local_runtime: Runtime, box: LocalSession) -> None:
    place = f"{box.sandbox.home}/with spaces; and $signs"
    await output(local_runtime, box, f"mkdir '{place}'")
    assert await output(local_runtime, box, "pwd", cwd=place) == place
    assert await output(local_runtime, box, "pwd", cwd="") == box.sandbox.home
    # As for the file tools, the home is the base of relative paths.
    assert await output(local_runtime, box, "pwd", cwd="with spaces; and $signs") == place
    assert await output(local_runtime, box, "pwd", cwd=".") == box.sandbox.home
    for missing in ("/no/such/place", "/etc/passwd", "no/such/place"):
        reply = await call(local_runtime, box, "shell", command="pwd", cwd=missing)
        assert reply.is_error
        assert "cwd" in reply.text
        assert missing in reply.text


async def test_time_limit(local_runtime: Runtime, box: LocalSession) -> None:
    result = await shell(local_runtime, box, "echo begun; echo so far >&2; sleep 1000 & sleep 1000", timeout_ms=3000)
    assert result["exit_code"] == 124
    assert result["stdout"] == "begun\n"
    assert result["stderr"] == "so far\nCommand execution timeout"
    assert result["traceId"]
    # both were killed; it is for the session's own process 1 to bury the orphan
    await output(local_runtime, box, "while grep -q sleep /proc/[0-9]*/comm 2>/dev/null; do :; done")
    assert [process.name for process in await box.processes()] == []


@pytest.mark.asyncio(loop_scope="module")
async def test_time_limit_of_a_second_by_default(shared_runtime: Runtime, shared_box: LocalSession) -> None:
    began = time.perf_counter()
    reply = await call(shared_runtime, shared_box, "shell", command="sleep 1000")
    assert "Command execution timeout" in reply.text
    assert time.perf_counter() - began >= 1


async def test_background_program_lives_on(local_runtime: Runtime, box: LocalSession) -> None:
    await output(local_runtime, box, "nohup sleep 1000 > log 2>&1 &")
    await output(local_runtime, box, "sleep 1000 &")  # holds the output open, and the call does not wait for it
    await output(local_runtime, box, "until [ $(cat /proc/[0-9]*/comm | grep -c sleep) = 2 ]; do :; done")
    assert [process.name for process in await box.processes()] == ["sleep", "sleep"]


async def test_background_program_that_goes_on_writing_is_not_killed(local_runtime: Runtime, box: LocalSession) -> None:
    await output(
        local_runtime, box, "mkfifo go; (read < go; for i in {1..30000}; do echo line $i; done; echo > wrote) &"
    )
    await output(local_runtime, box, "echo > go; until [ -e wrote ]; do :; done")


async def test_much_output_does_no_harm() -> None:
    async with Runtime(allow_none=True, limits=Limits(output=1000)) as runtime:
        session = await runtime.create(IMAGE)
        before = psutil.Process().memory_info().rss
        result = await shell(runtime, session, "head -c 100M /dev/zero | tr '\\0' x; echo error >&2")
        assert result["exit_code"] == 0
        assert result["stdout"] == "x" * 1000
        assert result["discarded"] == {"stdout": (100 << 20) - 1000}
        assert result["stderr"] == "error\n"
        assert psutil.Process().memory_info().rss - before < 50 << 20


async def test_calls_run_beside_one_another(local_runtime: Runtime, box: LocalSession) -> None:
    # Each waits for the other.
    await output(local_runtime, box, "mkfifo a b")
    one = output(local_runtime, box, "echo 1 > a; cat b")
    other = output(local_runtime, box, "cat a; echo 2 > b")
    said = await asyncio.gather(one, other)
    assert list(said) == ["2", "1"]


async def test_caller_that_goes_away_ends_its_command(local_runtime: Runtime, box: LocalSession) -> None:
    await output(local_runtime, box, "mkfifo begun")
    task = asyncio.create_task(shell(local_runtime, box, "echo > begun; sleep 1000", timeout_ms=1_000_000))
    await output(local_runtime, box, "read < begun")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await output(local_runtime, box, "while grep -qs sleep /proc/[0-9]*/comm; do :; done")


async def test_release_ends_a_command(local_runtime: Runtime, box: LocalSession) -> None:
    await output(local_runtime, box, "mkfifo begun")
    task = asyncio.create_task(
        call(local_runtime, box, "shell", command="echo > begun; sleep 1000", timeout_ms=1_000_000)
    )
    await output(local_runtime, box, "read < begun")
    local_runtime.release(box.id)
    with pytest.raises(Refused, match="is not found"):
        await task


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({}, "missing required field `command`"),
        ({"command": 5}, "Expected `str`, got `int` - at `$.command`"),
        ({"command": "true", "timeout_ms": "abc"}, "Expected `int`, got `str` - at `$.timeout_ms`"),
        ({"command": "true", "timeout_ms": True}, "Expected `int`, got `bool`"),
        ({"command": "true", "timeout_ms": 1.5}, "Expected `int`, got `float`"),
        ({"command": "true", "timeout_ms": 0}, "Expected `int` >= 1"),
        ({"command": "true", "timeout_ms": 10**30}, "Expected `int` <= 86400000"),
        ({"command": "true", "envs": {"A": 1}}, "Expected `str`, got `int` - at `$.envs[...]`"),
        ({"command": "true", "envs": ["A"]}, "Expected `object | null`, got `array` - at `$.envs`"),
        ({"command": "true", "envs": {"A=B": "x"}}, "cannot be the name of a variable"),
        ({"command": "true", "envs": {"": "x"}}, "cannot be the name of a variable"),
        ({"command": "echo \0"}, "matching regex"),
        ({"command": "echo \ud800"}, "half of a surrogate pair"),
        ({"command": "true", "envs": {"A": "\ud800"}}, "half of a surrogate pair"),
        ({"command": "cat", "stdin": "no base64"}, "argument 'stdin': not base64"),
        ({"command": "cat", "format": "hex"}, "format"),
        ({"command": "cat", "output_limit": -1}, "output_limit"),
        ({"command": "cat", "argv": [1]}, "argv"),
        ({"command": "true", "envs": {f"V{i}": "x" * 100_000 for i in range(40)}}, "could not be started"),
    ],
)
async def test_bad_arguments(
    shared_runtime: Runtime, shared_box: LocalSession, args: dict[str, object], said: str
) -> None:
    reply = await call(shared_runtime, shared_box, "shell", **args)
    assert reply.is_error
    assert reply.text.startswith("shell: ")
    assert said in reply.text
    assert await output(shared_runtime, shared_box, "echo goes on") == "goes on"


@pytest.mark.asyncio(loop_scope="module")
async def test_arguments_that_are_tolerated(shared_runtime: Runtime, shared_box: LocalSession) -> None:
    reply = await call(
        shared_runtime, shared_box, "shell", command="echo", timeout_ms=5000.0, cwd=None, envs={}, unknown=[1]
    )
    assert not reply.is_error
