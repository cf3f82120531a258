"""Inspect AI with sessions as sandboxes: evaluations end to end, what they leave behind, and the errors of tools."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

pytest.importorskip("inspect_ai")

from inspect_ai.log import EvalLog
from inspect_ai.model import ChatMessage, ModelOutput
from inspect_ai.util import (
    OutputLimitExceededError,
    SandboxUnavailableError,
    SandboxUserUnsupportedError,
)
from inspect_ai.util._sandbox.events import SandboxEnvironmentProxy
from inspect_ai.util._sandbox.limits import override_max_exec_output_size

from agb import AGB, Config, CreateSessionParams, Owner, SessionError
from agb.integrations.inspect import AGBSandboxConfig, AGBSandboxEnvironment, SessionOptions, read_config
from agb.local import LocalServer

from .inspect_harness import multiply, run, task

pytestmark = [
    pytest.mark.anyio,
    # Inspect's own: streams in memory that it leaves to the collector, and a name of tenacity.
    pytest.mark.filterwarnings("ignore:Unclosed <MemoryObject:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:The 'initial' parameter is deprecated:DeprecationWarning"),
]

IMAGE = CreateSessionParams(image_id="agb-code-space-1")
CLEAN_UP = [sys.executable, "-m", "inspect_ai", "sandbox", "cleanup", "agb"]


@pytest.fixture(autouse=True)
def _environment(runtime: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGB_API_KEY", runtime.api_key)
    monkeypatch.setenv("AGB_ENDPOINT", runtime.endpoint)


@pytest.fixture
def agb(runtime: LocalServer) -> Iterator[AGB]:
    with AGB(runtime.api_key, Config(runtime.endpoint, 60_000)) as agb:
        yield agb


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def sandbox(anyio_backend: str) -> AsyncIterator[AGBSandboxEnvironment]:
    environments = await AGBSandboxEnvironment.sample_init("task", None, {"__sample_id__": "1"})
    try:
        yield environments["default"].as_type(AGBSandboxEnvironment)
    finally:
        await AGBSandboxEnvironment.sample_cleanup("task", None, environments, False)


def count(agb: AGB) -> int:
    return agb.list().total_count


def accuracy(log: EvalLog) -> float:
    assert log.status == "success", log.error
    assert log.results is not None
    return float(log.results.scores[0].metrics["accuracy"].value)


# --- evaluations -------------------------------------------------------------------------------------------------


def test_fifty_samples_at_twenty_five_at_a_time(agb: AGB, tmp_path: Path) -> None:
    log = run(task(50), multiply, at_once=25, log_dir=tmp_path)
    assert accuracy(log) == 1.0
    assert count(agb) == 0


def test_limits_of_the_client_hold_for_all_samples(agb: AGB, tmp_path: Path) -> None:
    alive: list[int] = []

    def script(messages: list[ChatMessage], *rest: Any) -> ModelOutput:
        alive.append(count(agb))
        return multiply(messages, *rest)

    config = AGBSandboxConfig(max_sessions=2, creates_per_second=50)
    assert accuracy(run(task(6, config), script, at_once=6, log_dir=tmp_path)) == 1.0
    assert max(alive) <= 2
    assert count(agb) == 0


def test_options_are_read_from_a_file(agb: AGB, tmp_path: Path) -> None:
    options = tmp_path / "options.yaml"
    options.write_text("labels: {suite: inspect}\ncwd: work/here\nsandboxes:\n  other: {cwd: /tmp}\n")
    log = run(task(2, str(options)), multiply, at_once=2, log_dir=tmp_path)
    assert accuracy(log) == 1.0
    assert log.eval.sandbox is not None
    assert read_config(str(options)).all["other"] == SessionOptions(cwd="/tmp")


def test_file_beside_the_task_is_found_and_may_be_gone_at_the_end(
    agb: AGB, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = tmp_path / "evaluation" / "task.py"
    beside.parent.mkdir()
    beside.write_text(
        "from inspect_ai import task\n"
        "from tests.integrations import inspect_harness\n"
        "@task\n"
        "def multiply():\n"
        "    return inspect_harness.task(2)\n"
    )
    options = beside.parent / "agb.yaml"
    options.write_text("labels: {suite: beside}\ncwd: here\n")
    found: list[int] = []

    def script(messages: list[ChatMessage], *rest: Any) -> ModelOutput:
        options.unlink(missing_ok=True)
        found.append(agb.list({"suite": "beside"}).total_count)
        return multiply(messages, *rest)

    monkeypatch.chdir(tmp_path)
    assert accuracy(run("evaluation/task.py", script, at_once=2, log_dir=tmp_path)) == 1.0
    assert max(found) > 0
    assert count(agb) == 0


def test_samples_with_several_sessions_do_not_wait_for_each_other(agb: AGB, tmp_path: Path) -> None:
    config = AGBSandboxConfig(max_sessions=3, sandboxes={"other": SessionOptions()}, create_timeout=60)
    assert accuracy(run(task(4, config), multiply, at_once=4, log_dir=tmp_path)) == 1.0
    assert count(agb) == 0
    with pytest.raises(ValueError, match="less than the 2 sessions of a sample"):
        AGBSandboxConfig(max_sessions=1, sandboxes={"other": SessionOptions()})


@pytest.mark.parametrize(
    ("text", "words"),
    [("image: x", "image\n  Extra inputs"), ("- 1", "holds options by name"), ("max_sessions: 0", "max_")],
)
def test_options_that_cannot_be_used_are_refused(text: str, words: str, tmp_path: Path) -> None:
    options = tmp_path / "options.yaml"
    options.write_text(text)
    with pytest.raises(ValueError, match=words):
        read_config(str(options))


def test_samples_keep_their_sessions_if_asked_and_are_found_by_their_owner(
    agb: AGB, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = run(task(2), multiply, at_once=2, log_dir=tmp_path, sandbox_cleanup=False)
    assert accuracy(log) == 1.0
    assert "These sessions were kept" in capsys.readouterr().out
    owner = f"inspect:{log.eval.run_id}"
    kept = agb.reap(owner).kept  # this process created them, and runs
    assert sorted(one.part for one in kept) == ["multiply/sample 1/1", "multiply/sample 2/1"]
    anyio.run(AGBSandboxEnvironment.cli_cleanup, None)
    assert capsys.readouterr().out.count("its process still runs") == 2
    assert len(agb.reap(owner, even_if_alive=True).deleted) == 2


# --- what is left behind -----------------------------------------------------------------------------------------


def harness(*arguments: str, log_dir: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.integrations.inspect_harness", *arguments, "--log-dir", str(log_dir)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def wait_for(process: subprocess.Popen[str], line: str, times: int) -> None:
    """Read lines until a line has come so often."""
    assert process.stdout is not None
    while times:
        text = process.stdout.readline()
        assert text, "the evaluation ended early"
        times -= text.strip() == line


@pytest.mark.parametrize(("script", "times"), [("model", 1), ("tool", 25)])
def test_nothing_is_left_after_control_c(script: str, times: int, agb: AGB, tmp_path: Path) -> None:
    """In the model while other samples create their sessions, and in tools."""
    with harness(script, log_dir=tmp_path) as process:
        wait_for(process, "waiting", times)
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate()
    assert rest.endswith("interrupted\n")
    assert count(agb) == 0


def test_sessions_of_a_killed_evaluation_are_cleaned_up(
    agb: AGB, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = agb.create(IMAGE, owner=Owner("inspect", "other-run")).raise_for_error().session
    assert mine is not None
    with harness("model", "--samples", "3", "--at-once", "3", log_dir=tmp_path) as process:
        wait_for(process, "waiting", 3)
        process.kill()
    assert count(agb) == 4
    done = subprocess.run(CLEAN_UP, capture_output=True, text=True)
    assert done.stdout.count("deleted s-") == 3, done.stderr
    assert f"kept {mine.session_id} (inspect:other-run ): its process still runs" in done.stdout
    assert count(agb) == 1
    anyio.run(AGBSandboxEnvironment.cli_cleanup, mine.session_id)
    assert capsys.readouterr().out == f"deleted {mine.session_id}\n"
    assert count(agb) == 0
    with pytest.raises(SessionError, match="no-such-run"):
        anyio.run(AGBSandboxEnvironment.cli_cleanup, "no-such-run")


# --- tools -------------------------------------------------------------------------------------------------------


async def test_lost_session_is_reported_as_such(sandbox: AGBSandboxEnvironment) -> None:
    assert (await sandbox.session.delete()).success
    with pytest.raises(SandboxUnavailableError):
        await sandbox.exec(["true"])
    with pytest.raises(SandboxUnavailableError):
        await sandbox.read_file("x")
    with pytest.raises(SandboxUnavailableError):
        await sandbox.write_file("x", "y")


async def test_errors_of_programs_are_those_of_inspect(sandbox: AGBSandboxEnvironment) -> None:
    with pytest.raises(FileNotFoundError):
        await sandbox.exec(["true"], cwd="no-such-directory")
    with pytest.raises(TimeoutError) as timed_out:
        await sandbox.exec(["sh", "-c", "echo begun; sleep 100"], timeout=1)
    assert timed_out.value.truncated_output == "begun\n"  # type: ignore[attr-defined]
    with override_max_exec_output_size(1000), pytest.raises(OutputLimitExceededError) as exceeded:
        await sandbox.exec(["sh", "-c", "yes | head -c 5000"])
    assert exceeded.value.truncated_output == "y\n" * 500
    missing = await sandbox.exec(["no-such-program"])
    assert (missing.success, missing.returncode) == (False, 127)
    refused = await sandbox.exec(["sh", "-c", "echo Permission denied >&2; exit 1"])
    assert refused.returncode == 1
    binary = await sandbox.exec(["printf", r"a\377b"])
    assert binary.stdout == "a\ufffdb"


async def test_users_are_those_of_the_session(sandbox: AGBSandboxEnvironment) -> None:
    name = (await sandbox.exec(["id", "-un"])).stdout.strip()
    number = (await sandbox.exec(["id", "-u"])).stdout.strip()
    for user in (name, number):
        assert (await sandbox.exec(["id", "-u"], user=user)).stdout.strip() == number
    with pytest.raises(SandboxUserUnsupportedError):
        await sandbox.exec(["true"], user="no-such-user")


async def test_a_person_can_open_a_shell(sandbox: AGBSandboxEnvironment) -> None:
    connection = await sandbox.connection()
    assert connection.command == f"agb shell {sandbox.session.session_id} --cwd /home/user"
    command = [sys.executable, "-m", "agb", *connection.command.split()[1:]]
    done = subprocess.run(command, input="pwd\n", capture_output=True, text=True)
    assert done.stdout == "/home/user\n"
    with pytest.raises(NotImplementedError):
        await sandbox.connection(user="root")
    await AGBSandboxEnvironment.sample_cleanup("task", None, {"default": sandbox}, False)
    with pytest.raises(ConnectionError):
        await sandbox.connection()


async def test_programs_in_the_background_use_the_injected_tools(sandbox: AGBSandboxEnvironment) -> None:
    proxy = SandboxEnvironmentProxy(sandbox)  # as solvers and tools see a sandbox
    done = await proxy.exec_remote(["sh", "-c", "echo out; exit 3"], stream=False)
    assert (done.returncode, done.stdout) == (3, "out\n")


async def test_a_session_that_cannot_be_prepared_is_deleted(agb: AGB) -> None:
    with pytest.raises(RuntimeError, match="the working directory /etc/passwd cannot be used"):
        await AGBSandboxEnvironment.sample_init("task", AGBSandboxConfig(cwd="/etc/passwd"), {})
    assert count(agb) == 0


async def test_missing_key_is_reported_before_samples_begin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AGB_API_KEY")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="AGB_API_KEY"):
        await AGBSandboxEnvironment.task_init("task", None)
