"""The environment of Harbor: every method of its base class, and whole trials with the oracle agent."""

# pyright: reportMissingImports=false
from __future__ import annotations

import asyncio
import inspect
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("harbor", exc_type=ImportError)

from harbor.environments.base import (
    BaseEnvironment,
    HealthcheckError,
    SandboxBuildFailedError,
    ServiceOperationsUnsupportedError,
)
from harbor.environments.factory import EnvironmentFactory
from harbor.models.task.config import HealthcheckConfig, NetworkMode, NetworkPolicy, TaskOS
from harbor.models.trial.config import AgentConfig, EnvironmentConfig, ResourceMode, TaskConfig, TrialConfig
from harbor.trial.trial import Trial

from agb import AGB, AGBError, Config
from agb.exceptions import FileError
from agb.integrations.harbor import AGBEnvironment
from agb.local import LocalServer

from .harbor_tasks import IMAGE, environment, hello

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

IMPORT_PATH = "agb.integrations.harbor:AGBEnvironment"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _configured(runtime: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGB_API_KEY", runtime.api_key)
    monkeypatch.setenv("AGB_ENDPOINT", runtime.endpoint)
    monkeypatch.setenv("HARBOR_TELEMETRY", "0")


@pytest.fixture
async def started(tmp_path: Path) -> AsyncIterator[AGBEnvironment]:
    """An environment with an empty Dockerfile, started."""
    one = environment(tmp_path)
    await one.start(force_build=False)
    yield one
    await one.stop(delete=True)


@pytest.fixture
def client(runtime: LocalServer) -> AGB:
    return AGB(runtime.api_key, Config(runtime.endpoint))


# --- the whole -----------------------------------------------------------------------------------------------------


async def test_trial_of_the_oracle_agent_has_reward_1(tmp_path: Path) -> None:
    config = TrialConfig(
        task=TaskConfig(path=hello(tmp_path)),
        agent=AgentConfig(name="oracle"),
        environment=EnvironmentConfig(import_path=IMPORT_PATH, kwargs={"image_id": IMAGE}),
        trials_dir=tmp_path / "trials",
    )
    result = await (await Trial.create(config)).run()
    assert result.exception_info is None
    assert result.verifier_result is not None
    assert result.verifier_result.rewards == {"reward": 1.0}


def test_command_line_runs_a_job_with_two_trials_at_a_time(tmp_path: Path, client: AGB) -> None:
    command = [str(Path(sys.executable).with_name("harbor")), "run", "-p", str(hello(tmp_path)), "-a", "oracle", "-y"]
    command += ["--environment-import-path", IMPORT_PATH, "--ek", f"image_id={IMAGE}", "-k", "2", "-n", "2"]
    command += ["-o", str(tmp_path / "jobs"), "--job-name", "two"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [*results] = (tmp_path / "jobs" / "two").glob("*/result.json")
    rewards = [json.loads(path.read_text())["verifier_result"]["rewards"] for path in results]
    assert rewards == [{"reward": 1.0}] * 2
    assert client.list({"harbor-task": "hello"}).session_ids == []


def test_every_method_of_the_base_class_has_a_test() -> None:
    """Methods that a later version of Harbor adds are to be looked at."""
    members = inspect.getmembers(BaseEnvironment, lambda member: callable(member) or isinstance(member, property))
    public = {name for name, _ in members if not name.startswith("_")}
    text = Path(__file__).read_text()
    assert {name for name in public if name not in text} == set()


# --- what it is ----------------------------------------------------------------------------------------------------


async def test_properties(tmp_path: Path) -> None:
    one = environment(tmp_path)
    assert (one.type(), one.os) == ("agb", TaskOS.LINUX)
    assert len(one.environment_id) == 32
    assert one.network_policy.network_mode is NetworkMode.PUBLIC
    assert not any(one.capabilities.model_dump().values())
    resources = one.resource_capabilities()
    assert resources is not None
    assert not any(resources.model_dump().values())
    assert not one.stream_enabled
    assert not one.is_path_mounted("/logs/agent", tmp_path)
    with pytest.raises(NotImplementedError):
        _ = one.stream_handle
    with pytest.raises(NotImplementedError):
        one.connect_ssh(None)  # type: ignore[arg-type]  # pyright: ignore
    with pytest.warns(DeprecationWarning, match="task_os"):
        assert one.task_os is TaskOS.LINUX


def test_factory_makes_it_by_its_import_path() -> None:
    assert EnvironmentFactory.get_environment_class(import_path=IMPORT_PATH) is AGBEnvironment
    properties = AGBEnvironment.options_schema()["properties"]
    assert {"image_id", "dockerfile", "directories", "context", "idle_timeout", "owner", "endpoint"} <= set(properties)


def test_options_are_checked() -> None:
    with pytest.raises(ValueError, match="Unknown option 'imageid'"):
        AGBEnvironment.parse_options({"imageid": IMAGE})
    with pytest.raises(ValueError, match="idle_timeout: Input should be greater than 0"):
        AGBEnvironment.preflight({"idle_timeout": 0})


def test_preflight_wants_a_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    AGBEnvironment.preflight({"image_id": IMAGE})
    monkeypatch.delenv("AGB_API_KEY")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="AGB_API_KEY"):
        AGBEnvironment.preflight({"image_id": IMAGE})


async def test_resources_that_cannot_be_kept_are_refused(tmp_path: Path) -> None:
    environment(tmp_path, config={"cpus": 2, "memory_mb": 4096})  # without a policy they are wishes
    with pytest.raises(ValueError, match="does not support CPU resource limits"):
        environment(tmp_path, config={"cpus": 2}, cpu_enforcement_policy=ResourceMode.LIMIT)
    with pytest.raises(RuntimeError, match="does not support GPU allocation"):
        environment(tmp_path, config={"gpus": 1})
    with pytest.raises(RuntimeError, match="does not support Windows"):
        environment(tmp_path, config={"os": "windows"})
    with pytest.raises(ValueError, match="cannot mount directories of this machine"):
        environment(tmp_path, mounts=[{"type": "bind", "source": str(tmp_path), "target": "/data"}])
    with pytest.raises(ValueError, match="stream mode"):
        environment(tmp_path, stream=True)


async def test_network_policies_that_cannot_be_kept_are_refused(started: AGBEnvironment) -> None:
    closed = NetworkPolicy(network_mode=NetworkMode.NO_NETWORK)
    with pytest.raises(ValueError, match="'no-network' is not supported"):
        started.validate_network_policy_support(closed)
    with pytest.raises(ValueError, match="'no-network' is not supported"):
        await started.set_network_policy(closed)
    await started.set_network_policy(NetworkPolicy())


async def test_definitions_that_need_docker_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no environment definition"):
        environment(tmp_path / "nothing", {"notes.txt": ""})
    with pytest.raises(ValueError, match=r"docker-compose\.yaml"):
        environment(tmp_path / "compose", {"Dockerfile": "FROM a\n", "docker-compose.yaml": "services: {}\n"})
    with pytest.raises(ValueError, match=r"no AGB image for the Docker image debian:12.*--ek image_id="):
        environment(tmp_path / "image", image_id=None)
    with pytest.raises(ValueError, match="Dockerfile, line 2: ENTRYPOINT has no counterpart in a session"):
        environment(tmp_path / "entry", {"Dockerfile": "FROM a\nENTRYPOINT serve\n"})


# --- start and stop --------------------------------------------------------------------------------------------------


async def test_images_are_chosen_by_the_docker_image(tmp_path: Path, client: AGB) -> None:
    images = {"python:*": "no-such-image", "debian:1?": "agb-code-space-2"}
    one = environment(tmp_path, image_id=images)
    await one.start(force_build=True)
    await one.stop(delete=True)
    two = environment(tmp_path, {"Dockerfile": "FROM python:3\n"}, image_id=images)
    with pytest.raises(AGBError, match="no-such-image"):
        await two.start(force_build=True)
    assert client.list({"harbor-session": two.session_id}).session_ids == []


async def test_sessions_carry_owner_and_labels(tmp_path: Path, client: AGB) -> None:
    one = environment(tmp_path)
    await one.start(force_build=False)
    with pytest.raises(RuntimeError, match="started before"):
        await one.start(force_build=False)
    [session_id] = client.list({"harbor-session": "hello__abc__env", "harbor-task": "hello"}).session_ids
    reaped = client.reap("harbor:nightly", even_if_alive=True)
    assert [session.session_id for session in reaped.deleted] == [session_id]
    await one.stop(delete=True)  # it is gone already, which is what is wanted
    with pytest.raises(RuntimeError, match="not started"):
        await one.exec("true")


async def test_stop_without_delete_leaves_the_session(tmp_path: Path, client: AGB) -> None:
    one = environment(tmp_path, owner="kept")
    await one.start(force_build=False)
    await one.stop(delete=False)
    await one.stop(delete=True)  # there is nothing to stop any more
    assert len(client.reap("harbor:kept", even_if_alive=True).deleted) == 1


async def test_failed_step_deletes_the_session_and_shows_its_output(tmp_path: Path, client: AGB) -> None:
    one = environment(tmp_path, {"Dockerfile": "FROM debian\nWORKDIR /app\n\nRUN echo the reason >&2; exit 7\n"})
    with pytest.raises(SandboxBuildFailedError, match=r"(?s)line 4, in a session of the image .*code 7:\nthe reason"):
        await one.start(force_build=False)
    assert client.list({"harbor-session": one.session_id}).session_ids == []


async def test_directory_that_sessions_cannot_have(tmp_path: Path) -> None:
    one = environment(tmp_path, {"Dockerfile": "FROM debian\nWORKDIR /usr/src/app\n"})
    with pytest.raises(SandboxBuildFailedError, match=r"line 2, in a session of .*/usr/src"):
        await one.start(force_build=False)


async def test_cancelled_start_deletes_the_session(tmp_path: Path, client: AGB) -> None:
    one = environment(tmp_path, {"Dockerfile": "FROM debian\nRUN touch ~/begun; sleep 600\n"})
    start = asyncio.create_task(one.start(force_build=False))
    while not (ids := (await asyncio.to_thread(client.list, {"harbor-session": one.session_id})).session_ids):
        assert not start.done(), start.exception()
    session = client.attach(ids[0])
    await asyncio.to_thread(session.command.execute, "until [ -e ~/begun ]; do sleep 0.01; done", 60_000, check=True)
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    assert client.list({"harbor-session": one.session_id}).session_ids == []


async def test_prebuilt_image_gets_the_files_of_the_task(tmp_path: Path) -> None:
    one = environment(tmp_path, {"data/x.txt": "x"}, config={"docker_image": "example/task:1", "workdir": "/work"})
    await one.start(force_build=False)
    assert (await one.exec("cat data/x.txt")).stdout == "x"
    await one.stop(delete=True)


async def test_dockerfile_that_the_image_has_the_results_of(tmp_path: Path) -> None:
    text = "FROM debian\nENV MODE=fast\nWORKDIR /app\nCOPY nothing /\nRUN exit 1\n"
    one = environment(tmp_path, {"Dockerfile": text, "nothing": ""}, dockerfile=False)
    await one.start(force_build=False)
    assert (await one.exec("pwd; echo $MODE")).stdout == "/app\nfast\n"
    await one.stop(delete=True)


async def test_attach_is_a_shell_in_the_session(started: AGBEnvironment, monkeypatch: pytest.MonkeyPatch) -> None:
    executed: list[Any] = []
    monkeypatch.setattr(os, "execv", lambda *arguments: executed.append(arguments))
    await started.attach()
    [(program, arguments)] = executed
    assert program == "/bin/sh"
    done = await asyncio.to_thread(
        subprocess.run, arguments, input="echo in $PWD\n", capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "in /home/user"), done.stderr


# --- commands --------------------------------------------------------------------------------------------------------


async def test_exec(started: AGBEnvironment) -> None:
    result = await started.exec("echo out; echo err >&2; echo $A; pwd; exit 5", cwd="/tmp", env={"A": "a b"})
    assert (result.stdout, result.stderr, result.return_code) == ("out\na b\n/tmp\n", "err\n", 5)
    assert (await started.exec("set -o pipefail; false | true")).return_code == 1  # bash, which agents rely on
    result = await started.exec("printf '\\xff'; echo é")
    assert result.stdout == "\ufffdé\n"


async def test_exec_that_is_out_of_time(started: AGBEnvironment) -> None:
    result = await started.exec("echo begun; (sleep 600; touch late) & sleep 600", timeout_sec=1)
    assert (result.stdout, result.return_code) == ("begun\n", 124)
    assert "timed out after 1 seconds" in str(result.stderr)
    assert (await started.exec('pgrep -xf "sleep 600"')).return_code == 1


async def test_exec_that_is_cancelled_ends_the_command(started: AGBEnvironment) -> None:
    task = asyncio.create_task(started.exec("touch begun; sleep 600"))
    await started.exec("until [ -e begun ]; do sleep 0.01; done", timeout_sec=60)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await started.exec('pgrep -xf "sleep 600"')).return_code == 1


async def test_exec_as_a_user(started: AGBEnvironment) -> None:
    """Root stands for the user of the session; there are no others."""
    for user in (None, "root", 0, "user"):
        assert (await started.exec("id -un", user=user)).stdout == "user\n"
    with started.with_default_user("root"):
        assert (await started.exec("id -un")).stdout == "user\n"
    with started.with_default_user("agent"), pytest.raises(AGBError, match="agent"):
        await started.exec("id -un")


async def test_environments_of_commands(tmp_path: Path) -> None:
    one = environment(
        tmp_path,
        {"Dockerfile": "FROM a\nENV A=image B=image C=image D=image\n"},
        config={"env": {"B": "task"}},
        persistent_env={"C": "trial"},
    )
    await one.start(force_build=False)
    with one.scoped_exec_env({"D": "scope"}):
        assert (await one.exec("echo $A $B $C $D", env={"D": "call"})).stdout == "image task trial scope\n"
    await one.stop(delete=True)


async def test_scoped_output_callback(started: AGBEnvironment) -> None:
    received: list[tuple[str, str]] = []

    async def receive(text: str, stream: str) -> None:
        received.append((stream, text))

    with started.scoped_output_callback(receive):
        await started.exec("echo out; echo err >&2")
    assert sorted(received) == [("stderr", "err\n"), ("stdout", "out\n")]


async def test_run_healthcheck(started: AGBEnvironment) -> None:
    await started.run_healthcheck()
    quick = {"interval_sec": 0.01, "timeout_sec": 30.0, "start_period_sec": 0.0, "retries": 2}
    await started.run_healthcheck(HealthcheckConfig(command="test -d /tests", **quick))
    with pytest.raises(HealthcheckError):
        await started.run_healthcheck(HealthcheckConfig(command="exit 1", **quick))


async def test_operations_of_services(started: AGBEnvironment, tmp_path: Path) -> None:
    assert started.is_main_service(None)
    assert (await started.service_exec("echo a > f; cat f")).stdout == "a\n"
    await started.service_download_file("/home/user/f", tmp_path / "f")
    await started.exec("mkdir d; cp f d/f; cp f d/g")
    await started.service_download_dir("/home/user/d", tmp_path / "d")
    await started.service_download_dir_with_exclusions(
        source_dir="/home/user/d", target_dir=tmp_path / "e", exclude=["g"]
    )
    assert await started.service_is_dir("/home/user/d")
    assert (tmp_path / "f").read_text() == "a\n"
    assert [sorted(path.name for path in (tmp_path / name).iterdir()) for name in "de"] == [["f", "g"], ["f"]]
    with pytest.raises(ServiceOperationsUnsupportedError):
        await started.service_exec("true", service="database")
    with pytest.raises(ServiceOperationsUnsupportedError):
        await started.stop_service("database")


# --- directories and files -------------------------------------------------------------------------------------------


async def test_directories_of_harbor_are_there_and_writable(started: AGBEnvironment) -> None:
    paths = "/logs/agent /logs/verifier /tests /solution /installed-agent /runtime"
    result = await started.exec(f"for d in {paths}; do mkdir -p $d && touch $d/file || exit; done", user="root")
    assert result.return_code == 0, result.stderr
    assert await started.is_dir("/logs/agent")
    assert await started.is_file("/tests/file")
    assert not await started.is_file("/tests")
    await started.prepare_logs_for_host()


async def test_directories_of_a_task(tmp_path: Path) -> None:
    one = environment(tmp_path, directories=["/data/in", "/srv"])
    await one.start(force_build=False)
    assert (await one.exec("touch /data/in/x /data/y /srv/z")).return_code == 0
    await one.stop(delete=True)


async def test_reset_ensure_and_empty_dirs(started: AGBEnvironment) -> None:
    await started.exec("mkdir -p /tests/old work; touch /tests/old/f /tests/.hidden work/f")
    result = await started.reset_dirs(
        remove_dirs=["/tests", "/home/user/work"], create_dirs=["/tests", "/logs/new"], chmod_dirs=["/logs/new"]
    )
    assert result.return_code == 0, result.stderr
    assert (await started.exec("ls -A /tests; stat -c %a /logs/new; ls")).stdout == "777\n"
    for ensured in (await started.ensure_dirs(["/logs/a", "/logs/b"]), await started.empty_dirs(["/logs/a"])):
        assert ensured is not None
        assert ensured.return_code == 0, ensured.stderr
    assert (await started.exec("ls /logs")).stdout == "a\nb\nnew\n"


async def test_upload_and_download_file(started: AGBEnvironment, tmp_path: Path) -> None:
    data = os.urandom(3_000_000)
    (tmp_path / "data").write_bytes(data)
    (tmp_path / "data").chmod(0o755)
    await started.upload_file(tmp_path / "data", "/tmp/new/deep er/data")
    assert (await started.exec("test -x '/tmp/new/deep er/data'")).return_code == 0
    await started.download_file("/tmp/new/deep er/data", tmp_path / "back" / "data")
    assert (tmp_path / "back" / "data").read_bytes() == data
    with pytest.raises(FileError):
        await started.upload_file(tmp_path / "nothing", "/tmp/nothing")
    with pytest.raises(FileError):
        await started.download_file("/tmp/nothing", tmp_path / "nothing")


async def test_upload_and_download_dir(started: AGBEnvironment, tmp_path: Path) -> None:
    """Permissions, links, empty directories, hidden and strangely named files go both ways."""
    source = tmp_path / "source"
    (source / "empty").mkdir(parents=True)
    (source / ".hidden").write_text("h")
    (source / "a b'ü\n").write_text("odd")
    (source / "tool").write_text("#!/bin/sh\necho works\n")
    (source / "tool").chmod(0o755)
    (source / "link").symlink_to("tool")
    await started.upload_dir(source, "/tests/new")
    assert (await started.exec("/tests/new/link; ls -A /tests/new | wc -l")).stdout == "works\n6\n"
    await started.exec("ln -s /etc/passwd /tests/new/outside; mkfifo /tests/new/pipe")
    await started.download_dir("/tests/new", tmp_path / "back")
    back = {path.name for path in (tmp_path / "back").iterdir()}
    assert back == {"empty", ".hidden", "a b'ü\n", "tool", "link"}
    assert os.access(tmp_path / "back" / "tool", os.X_OK)
    assert (await started.exec("ls -A /tmp | grep harbor")).stdout == ""
    with pytest.raises(NotADirectoryError):
        await started.upload_dir(tmp_path / "nothing", "/tests")
    with pytest.raises(RuntimeError, match="cannot read /nothing"):
        await started.download_dir("/nothing", tmp_path / "back")


async def test_download_of_parts_of_a_directory(started: AGBEnvironment, tmp_path: Path) -> None:
    await started.exec("mkdir -p /logs/agent/deep; cd /logs/agent; touch a.log b.txt deep/c.log deep/secret.log")
    await started.download_dir_filtered(
        source_dir="/logs/agent", target_dir=tmp_path / "f", include=["*.log"], exclude=["*secret*"]
    )
    await started.download_dir_with_exclusions(source_dir="/logs/agent", target_dir=tmp_path / "e", exclude=["*.log"])
    assert files_below(tmp_path / "f") == ["a.log", "deep/c.log"]
    assert files_below(tmp_path / "e") == ["b.txt"]


def files_below(top: Path) -> list[str]:
    return sorted(str(path.relative_to(top)) for path in top.rglob("*") if path.is_file())
