"""The deployment of SWE-ReX: every method of its deployments and runtimes.

``nox -s integrations`` runs SWE-ReX's own tests of runtimes as well, with this one.
"""

# pyright: reportMissingImports=false
from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

pytest.importorskip("swerex", exc_type=ImportError)

from swerex.deployment.abstract import AbstractDeployment
from swerex.deployment.hooks.abstract import DeploymentHook
from swerex.exceptions import (
    BashIncorrectSyntaxError,
    CommandTimeoutError,
    DeploymentNotStartedError,
    DeploymentStartupError,
    NonZeroExitCodeError,
    SessionDoesNotExistError,
    SessionExistsError,
    SessionNotInitializedError,
)
from swerex.runtime.abstract import (
    AbstractRuntime,
    BashAction,
    BashInterruptAction,
    BashObservation,
    CloseBashSessionRequest,
    Command,
    CreateBashSessionRequest,
    ReadFileRequest,
    UploadRequest,
    WriteFileRequest,
)

from agb import AsyncAGB, Config, CreateSessionParams
from agb.integrations.swerex import AGBDeployment, AGBRuntime
from agb.local import LocalServer

pytestmark = pytest.mark.anyio

PARAMS = CreateSessionParams(image_id="agb-code-space-1")
LONG = 60.0
"""Seconds that stop a broken test."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def client(runtime: LocalServer) -> AsyncIterator[AsyncAGB]:
    async with AsyncAGB(runtime.api_key, Config(runtime.endpoint)) as agb:
        yield agb


@pytest.fixture
async def rex(client: AsyncAGB) -> AsyncIterator[AGBRuntime]:
    """A runtime with a shell."""
    deployment = AGBDeployment(PARAMS, agb=client)
    await deployment.start()
    await deployment.runtime.create_session(CreateBashSessionRequest())
    yield deployment.runtime
    await deployment.stop()


async def run(rex: AGBRuntime, command: str, **more: object) -> BashObservation:
    return await rex.run_in_session(BashAction(command=command, **{"timeout": LONG, **more}))  # type: ignore[arg-type]


# --- deployment ------------------------------------------------------------------------------------------------------


def test_every_method_of_the_base_classes_is_there() -> None:
    for base, ours in ((AbstractDeployment, AGBDeployment), (AbstractRuntime, AGBRuntime)):
        public = {name for name, _ in inspect.getmembers(base) if not name.startswith("_")}
        assert public <= vars(ours).keys()
        assert not inspect.isabstract(ours)


async def test_deployment_starts_and_stops(client: AsyncAGB) -> None:
    messages = []

    class Hook(DeploymentHook):
        def on_custom_step(self, message: str) -> None:
            messages.append(message)

    deployment = AGBDeployment(PARAMS, agb=client, owner="nightly")
    deployment.add_hook(Hook())
    with pytest.raises(DeploymentNotStartedError):
        await deployment.is_alive()
    await deployment.start()
    with pytest.raises(DeploymentStartupError, match="started before"):
        await deployment.start()
    assert await deployment.is_alive(timeout=LONG)
    assert messages == ["Creating a session"]
    reaped = await client.reap("swerex:nightly", even_if_alive=True)
    assert len(reaped.deleted) == 1
    assert not await deployment.is_alive()
    await deployment.stop()
    await deployment.stop()
    with pytest.raises(DeploymentNotStartedError):
        _ = deployment.runtime
    await deployment.start()  # once more
    await deployment.stop()


async def test_deployment_that_cannot_start(client: AsyncAGB) -> None:
    with pytest.raises(DeploymentStartupError, match="no-image"):
        await AGBDeployment(CreateSessionParams(image_id="no-image"), agb=client).start()


async def test_deployment_that_is_not_stopped_is_reported(client: AsyncAGB) -> None:
    deployments = [AGBDeployment(PARAMS, agb=client, owner="left")]
    await deployments[0].start()
    with pytest.warns(ResourceWarning, match="was not stopped"):
        deployments.clear()
    assert len((await client.reap("swerex:left", even_if_alive=True)).deleted) == 1


async def test_client_of_the_environment(runtime: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGB_API_KEY", runtime.api_key)
    monkeypatch.setenv("AGB_ENDPOINT", runtime.endpoint)
    deployment = AGBDeployment(PARAMS)
    await deployment.start()
    assert (await deployment.runtime.execute(Command(command=["echo", "a"]))).stdout == "a\n"
    await deployment.stop()


# --- shells ----------------------------------------------------------------------------------------------------------


async def test_shell_keeps_its_state(rex: AGBRuntime) -> None:
    await run(rex, "f() { echo f$1; }; export A=1; cd /tmp; shopt -s extglob")
    result = await run(rex, "f $A\npwd\nset -o | grep -c . >/dev/null; jobs")
    assert result.output == "f1\n/tmp\n"


async def test_output_is_exactly_that_of_the_command(rex: AGBRuntime) -> None:
    for command, output in (
        ("printf '  x'", "  x"),
        ("echo '\n \nä'", "\n \nä\n"),
        ("printf '\\377'", "\\xff"),
        ("seq 20000 | tail -1", "20000\n"),
        ("", ""),
        ("# nothing", ""),
        ("cat <<EOF\n$((1+1))\nEOF", "2\n"),
        ("echo '" + "long " * 20_000 + "' | wc -c", "100001\n"),
        ("echo $PS1 | wc -l", "1\n"),
    ):
        assert (await run(rex, command)).output == output


async def test_exit_codes(rex: AGBRuntime) -> None:
    assert (await run(rex, "(exit 7)", check="silent")).exit_code == 7
    assert (await run(rex, "echo $?")).output == "0\n"
    assert (await run(rex, "nonsense", check="ignore")).exit_code is None
    with pytest.raises(NonZeroExitCodeError, match="it was: Command 'false' failed with exit code 1"):
        await run(rex, "false", error_msg="it was")
    with pytest.raises(BashIncorrectSyntaxError) as caught:
        await run(rex, "touch begun; (a")
    assert "unexpected" in caught.value.extra_info["bash_stderr"]
    assert (await run(rex, "ls begun", check="silent")).exit_code == 2


async def test_shells_are_apart(rex: AGBRuntime) -> None:
    with pytest.raises(SessionExistsError):
        await rex.create_session(CreateBashSessionRequest())
    await rex.write_file(WriteFileRequest(path="/tmp/rc", content="echo sourced; export B=2; PS1=mine"))
    created = await rex.create_session(CreateBashSessionRequest(session="other", startup_source=["/tmp/rc"]))
    assert created.output == "sourced\n"
    other = BashAction(command="echo $B", session="other")
    results = await asyncio.gather(run(rex, "echo [$B]; sleep 0.1"), rex.run_in_session(other))
    assert [result.output for result in results] == ["[]\n", "2\n"]
    await rex.close_session(CloseBashSessionRequest(session="other"))
    with pytest.raises(SessionDoesNotExistError):
        await rex.run_in_session(other)
    with pytest.raises(SessionDoesNotExistError):
        await rex.close_session(CloseBashSessionRequest(session="other"))


async def test_command_that_is_out_of_time_goes_on_and_can_be_interrupted(rex: AGBRuntime) -> None:
    with pytest.raises(CommandTimeoutError, match=r"timeout after 0\.1 seconds while running command 'echo a; sleep"):
        await run(rex, "echo a; sleep 600", timeout=0.1)
    assert (await rex.execute(Command(command=["pgrep", "-xf", "sleep 600"]))).exit_code == 0
    await rex.run_in_session(BashInterruptAction())
    assert (await run(rex, "echo next")).output == "next\n"


async def test_output_of_an_earlier_command_is_not_that_of_the_next(rex: AGBRuntime) -> None:
    with pytest.raises(CommandTimeoutError):
        await run(rex, "while ! [ -e go ]; do sleep 0.01; done; echo late; (exit 9)", timeout=0.1)
    await rex.write_file(WriteFileRequest(path="go", content=""))
    result = await run(rex, "echo next", check="silent")
    assert (result.output, result.exit_code) == ("next\n", 0)


async def test_program_that_ignores_an_interrupt_is_killed(rex: AGBRuntime) -> None:
    with pytest.raises(CommandTimeoutError):
        await run(rex, "python3 -c 'import signal, time; signal.signal(2, 1); time.sleep(600)'", timeout=0.5)
    await rex.run_in_session(BashInterruptAction(n_retry=1))
    assert (await run(rex, "echo next")).output.endswith("next\n")


async def test_cancelled_command_is_interrupted(rex: AGBRuntime) -> None:
    task = asyncio.create_task(run(rex, "touch /tmp/begun; sleep 600"))
    await rex.execute(Command(command="until [ -e /tmp/begun ]; do sleep 0.01; done", shell=True, timeout=LONG))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await run(rex, "echo next")).output == "next\n"
    assert (await rex.execute(Command(command=["pgrep", "-xf", "sleep 600"]))).exit_code == 1


async def test_interactive_program(rex: AGBRuntime) -> None:
    await run(rex, "python3", is_interactive_command=True, expect=[">>> "])
    result = await run(rex, "print(6 * 7)", is_interactive_command=True, expect=[">>> "])
    assert (result.output, result.expect_string) == ("42", ">>> ")
    await run(rex, "quit()", is_interactive_quit=True)
    assert (await run(rex, "echo done")).output == "done\n"


async def test_shell_that_has_ended(rex: AGBRuntime) -> None:
    with pytest.raises(SessionNotInitializedError, match="the shell has ended"):
        await run(rex, "exit 3")
    await rex.close_session(CloseBashSessionRequest())
    await rex.create_session(CreateBashSessionRequest())
    await rex.close()
    with pytest.raises(SessionDoesNotExistError):
        await run(rex, "true")
    assert (await rex.execute(Command(command="ls -A /tmp | grep swerex", shell=True))).stdout == ""


# --- commands and files ----------------------------------------------------------------------------------------------


async def test_execute(rex: AGBRuntime) -> None:
    result = await rex.execute(Command(command=["sh", "-c", "echo $A; pwd; echo e >&2"], env={"A": "x y"}, cwd="/tmp"))
    assert (result.stdout, result.stderr, result.exit_code) == ("x y\n/tmp\n", "e\n", 0)
    merged = await rex.execute(Command(command="echo o; echo e >&2", shell=True, merge_output_streams=True))
    assert (merged.stdout, merged.stderr) == ("o\ne\n", "")
    with pytest.raises(CommandTimeoutError):
        await rex.execute(Command(command="sleep 600 & sleep 600", shell=True, timeout=0.5))
    assert (await rex.execute(Command(command=["pgrep", "-xf", "sleep 600"]))).exit_code == 1
    with pytest.raises(NonZeroExitCodeError, match="it was: Command 'exit 4' failed with exit code 4"):
        await rex.execute(Command(command="exit 4", shell=True, check=True, error_msg="it was"))


async def test_files(rex: AGBRuntime) -> None:
    await rex.write_file(WriteFileRequest(path="/tmp/new/ä.txt", content="a\r\nü"))
    assert (await rex.read_file(ReadFileRequest(path="/tmp/new/ä.txt"))).content == "a\nü"
    latin = ReadFileRequest(path="/tmp/new/ä.txt", encoding="ascii", errors="replace")
    assert (await rex.read_file(latin)).content == "a\n\ufffd\ufffd"
    for path, error in (("/tmp/none", FileNotFoundError), ("/tmp", IsADirectoryError), ("/usr/x", OSError)):
        with pytest.raises(error):
            await rex.read_file(ReadFileRequest(path=path))
    with pytest.raises(Exception, match="/usr/x"):
        await rex.write_file(WriteFileRequest(path="/usr/x", content=""))


async def test_upload(rex: AGBRuntime, tmp_path: Path) -> None:
    (tmp_path / "d" / "sub").mkdir(parents=True)
    (tmp_path / "d" / "sub" / "tool").write_text("#!/bin/sh\necho works\n")
    (tmp_path / "d" / "sub" / "tool").chmod(0o755)
    (tmp_path / "file").write_text("content")
    await rex.upload(UploadRequest(source_path=str(tmp_path / "d"), target_path="/tmp/d"))
    await rex.upload(UploadRequest(source_path=str(tmp_path / "file"), target_path="/tmp/d"))
    await rex.upload(UploadRequest(source_path=str(tmp_path / "file"), target_path="/tmp/other/name"))
    assert (await run(rex, "/tmp/d/sub/tool; cat /tmp/d/file /tmp/other/name")).output == "works\ncontentcontent"
    with pytest.raises(FileNotFoundError):
        await rex.upload(UploadRequest(source_path=str(tmp_path / "none"), target_path="/tmp/none"))
