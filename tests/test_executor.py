"""Sessions as an executor: functions there and back, whatever they do, and no session left behind."""

from __future__ import annotations

import asyncio
import gc
import os
import pickle
import queue
import signal
import subprocess
import sys
import textwrap
import threading
import types
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, as_completed, wait
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import agb
from agb import (
    AGB,
    AsyncAGB,
    BrokenSandbox,
    Config,
    CreateSessionParams,
    ErrorKind,
    ExecutionError,
    SandboxExecutor,
    SandboxFuture,
    Session,
)
from agb.local import LocalServer

HERE = sys.modules[__name__]
IMAGE = "agb-code-space-1"
SECONDS = 60


class SpecialError(ValueError):
    """An exception that the session knows by value only."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message, number)
        self.number = number


class StubbornError(Exception):
    """An exception that pickles, and does not unpickle."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} and {two}")


class Guest:
    """Makes executors whose sessions have a label of their own, and checks that they are deleted."""

    def __init__(self, server: LocalServer) -> None:
        self.server = server
        self.client = AGB(server.api_key, Config(server.endpoint, 30_000))
        self.labels = {"test": uuid4().hex}
        self.made: queue.Queue[Session] = queue.Queue()

    def executor(self, **more: Any) -> SandboxExecutor:
        params = CreateSessionParams(image_id=IMAGE, labels=self.labels)
        prepare = more.pop("prepare", None)

        def made(session: Session) -> None:
            if prepare is not None:
                prepare(session)
            self.made.put(session)

        return SandboxExecutor(params, client=self.client, prepare=made, **{"by_value": [HERE], **more})

    def session(self) -> Session:
        """Return the next session that is made."""
        return self.made.get(timeout=SECONDS)

    def sessions(self) -> list[str]:
        return [session.session_id for session in self.client.iterate(self.labels)]


@pytest.fixture
def guest(runtime: LocalServer) -> Iterator[Guest]:
    guest = Guest(runtime)
    yield guest
    left = guest.sessions()
    guest.client.close()
    gc.collect()  # so that a socket that was not closed fails the test that left it open
    assert left == []


def until(session: Session, path: str) -> None:
    """Return when there is a file in the session."""
    session.command.execute(f"until [ -e {path} ]; do sleep 0.01; done", 30_000, check=True)


def forever(path: str = "/tmp/started") -> None:
    """Run until the process is killed."""
    Path(path).touch()
    threading.Event().wait()


# --- there and back ----------------------------------------------------------------------------------------------


def test_functions_and_what_they_give(guest: Guest) -> None:
    factor = 3

    def greet(name: str, *, times: int) -> str:
        return name * times * factor

    with guest.executor() as executor:
        assert isinstance(executor, Executor)
        assert executor.submit(pow, 2, 10).result() == 1024
        assert executor.submit(greet, "ab", times=2).result() == "ab" * 6
        assert executor.submit(lambda: {"self": SpecialError("x", 1).number}).result() == {"self": 1}
        assert executor.submit(lambda: lambda n: n + 1).result()(1) == 2
        assert executor.submit(lambda: os.getpid() != 0 and "AGB_CALL" not in os.environ).result() is True
        assert len(guest.sessions()) == 1


def test_each_call_has_a_process_of_its_own(guest: Guest) -> None:
    def count() -> int:
        sys.modules["counter"] = counter = sys.modules.get("counter", types.ModuleType("counter"))
        vars(counter)["value"] = vars(counter).get("value", 0) + 1
        return int(vars(counter)["value"])

    with guest.executor(max_workers=1) as executor:
        assert [executor.submit(count).result() for _ in range(2)] == [1, 1]


@pytest.mark.parametrize(("end", "code"), [("return", 0), ("raise", 1), ("exit", 7)])
def test_a_child_that_leaves_the_function_too(guest: Guest, end: str, code: int) -> None:
    """It ends as a program does, and answers nothing."""

    def fork() -> int:
        print("before", flush=True)
        child = os.fork()
        if child:
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print("child")
        if end == "raise":
            raise LookupError("of the child")
        if end == "exit":
            sys.exit(7)
        return -1

    with guest.executor() as executor:
        future = executor.submit(fork)
        assert future.result() == code
        assert isinstance(future, SandboxFuture)
        assert future.stdout == "before\nchild\n"
        assert ("LookupError: of the child" in future.stderr) == (end == "raise")


def test_output_is_returned(guest: Guest) -> None:
    def speak() -> None:
        print("out é")
        print("err", file=sys.stderr)
        os.system("echo from a child")

    with guest.executor() as executor:
        future = executor.submit(speak)
        assert future.result() is None
        assert isinstance(future, SandboxFuture)
        assert (sorted(future.stdout.splitlines()), future.stderr) == (["from a child", "out é"], "err\n")
        assert future.session_id in guest.sessions()


@pytest.mark.parametrize(
    ("size", "written"),
    [
        (10, 300_000),
        (3_000_000, 0),
        pytest.param(10, 0, marks=pytest.mark.long),
        pytest.param(3_000_000, 300_000, marks=pytest.mark.long),
    ],
)
def test_sizes(guest: Guest, size: int, written: int) -> None:
    """Large calls and results travel as files, and so does a result after much output."""

    def double(data: bytes) -> bytes:
        sys.stdout.write("x" * written)
        return data * 2

    data = os.urandom(size)
    with guest.executor() as executor:
        future = executor.submit(double, data)
        assert future.result() == data * 2
        assert len(future.stdout) == min(written, 256 * 1024)


def test_nothing_of_a_call_stays_in_its_session(guest: Guest) -> None:
    """But for the last one, which a thread may still be tidying away."""
    with guest.executor(max_workers=1) as executor:
        executor.submit(len, bytes(100_000)).result()
        executor.submit(bytes, 1_000_000).result()
        look = "ls -A ${TMPDIR:-/tmp}/agb-processes | wc -l; ls -A ${TMPDIR:-/tmp}/agb-executor-*"
        listed = executor.submit(subprocess.check_output, ["sh", "-c", look], text=True).result()
    assert listed.split() == ["1", "__pycache__", "_remote_call.py", "cloudpickle"] or listed.split() == [
        "1",
        "_remote_call.py",
        "cloudpickle",
    ]


def test_an_exception_is_itself_and_shows_where_it_came_from(guest: Guest) -> None:
    def fail() -> None:
        print("on the way")
        raise SpecialError("no luck", 7)

    with guest.executor() as executor:
        error = executor.submit(fail).exception()
    assert isinstance(error, SpecialError)
    assert error.number == 7
    assert "in fail" in str(error.__cause__)
    assert "SpecialError" in str(error.__cause__)
    assert any("on the way" in note for note in error.__notes__)


def test_what_cannot_travel_back(guest: Guest) -> None:
    def stubborn() -> None:
        raise StubbornError("a", "b")

    def broken_text() -> None:
        class MuteError(Exception):
            def __str__(self) -> str:
                raise RuntimeError

        raise MuteError

    with guest.executor() as executor:
        error = executor.submit(stubborn).exception()
        assert isinstance(error, ExecutionError)
        assert (error.name, error.value) == ("StubbornError", "a and b")
        assert "stubborn" in error.traceback
        assert any("cannot be unpickled here" in note for note in error.__notes__)

        error = executor.submit(lambda: (n for n in [1])).exception()
        assert isinstance(error, ExecutionError)
        assert "returned a generator that cannot travel back as pickle" in str(error)

        error = executor.submit(sys.exit, 3).exception()
        assert isinstance(error, ExecutionError)
        assert str(error) == "SystemExit: 3"

        assert executor.submit(broken_text).exception() is not None
        assert executor.submit(abs, -1).result() == 1
        assert len(guest.sessions()) == 1  # nothing of this has cost a session


def test_modules_that_the_session_does_not_have(guest: Guest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "only_here.py").write_text("def answer():\n    return 42\n")
    monkeypatch.syspath_prepend(tmp_path)
    import only_here  # type: ignore[import-not-found]

    with guest.executor() as executor:
        error = executor.submit(only_here.answer).exception()
        assert isinstance(error, ModuleNotFoundError)
        assert any("by_value" in note and "prepare" in note for note in error.__notes__)
    with guest.executor(by_value=[only_here]) as executor:
        assert executor.submit(only_here.answer).result() == 42
    del sys.modules["only_here"]


def test_modules_that_are_brought(guest: Guest) -> None:
    def bring(session: Session) -> None:
        session.file.mkdir("/tmp/project").raise_for_error()
        session.file.write("/tmp/project/brought.py", "import os\nWORD = os.environ['WORD']\n").raise_for_error()

    def word() -> tuple[str, str]:
        import brought  # type: ignore[import-not-found]

        return brought.WORD, str(Path.cwd())

    with guest.executor(prepare=bring, cwd="/tmp/project", envs={"WORD": "it's $HOME"}) as executor:
        assert executor.submit(word).result() == ("it's $HOME", "/tmp/project")


def test_the_cloudpickle_of_this_program_is_used(guest: Guest) -> None:
    def where() -> str:
        import cloudpickle

        return str(cloudpickle.__file__)

    with guest.executor() as executor:
        assert "/agb-executor-" in executor.submit(where).result()


# --- results that are not trusted --------------------------------------------------------------------------------


def test_json_results_are_never_unpickled(guest: Guest) -> None:
    def fail() -> None:
        raise SpecialError("no luck", 7)

    with guest.executor(results="json") as executor:
        result: Any = executor.submit(lambda: {"a": (1, 2.5, None, "é")}).result()
        assert result == {"a": [1, 2.5, None, "é"]}
        error = executor.submit(fail).exception()
        assert isinstance(error, ExecutionError)
        assert error.name == "SpecialError"
        error = executor.submit(lambda: {1, 2}).exception()
        assert isinstance(error, ExecutionError)
        assert "returned a set that cannot travel back as json" in str(error)


def test_a_forged_answer_is_not_unpickled(guest: Guest) -> None:
    """Code in a session can say what it likes; with JSON that is data, whatever it claims to be."""

    def forge() -> None:
        import base64
        import json

        import cloudpickle

        evil = cloudpickle.dumps(SpecialError("forged", 1))
        answer = json.dumps({"name": "Evil", "value": "", "traceback": "", "pickled": True}).encode() + b"\n" + evil
        mark = sys._getframe(2).f_locals["mark"]
        os.write(1, mark.encode() + base64.b64encode(answer) + mark.encode())
        os._exit(0)

    with guest.executor(results="json") as executor:
        error = executor.submit(forge).exception()
        assert isinstance(error, ExecutionError)
        assert error.name == "Evil", error.traceback
    with guest.executor() as executor:
        assert isinstance(executor.submit(forge).exception(), SpecialError)


# --- with what takes executors -----------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_run_in_executor(guest: Guest) -> None:
    def fail() -> None:
        raise SpecialError("no luck", 7)

    with guest.executor(max_workers=2) as executor:
        loop = asyncio.get_running_loop()
        calls = [loop.run_in_executor(executor, pow, n, 2) for n in range(4)]
        assert await asyncio.gather(*calls) == [0, 1, 4, 9]
        with pytest.raises(SpecialError):
            await loop.run_in_executor(executor, fail)
        await asyncio.to_thread(executor.shutdown)


def test_wait_as_completed_and_map(guest: Guest) -> None:
    with guest.executor(max_workers=2) as executor:
        futures: list[Future[int]] = [executor.submit(abs, -n) for n in range(3)]
        assert wait(futures, timeout=SECONDS).not_done == set()
        assert sorted(future.result() for future in as_completed(futures)) == [0, 1, 2]
        assert list(executor.map(lambda a, b: a * b, range(4), range(10))) == [0, 1, 4, 9]
        assert list(executor.map(lambda n: n + 1, range(7), chunksize=3, timeout=SECONDS)) == [*range(1, 8)]
        assert len(guest.sessions()) <= 2
        with pytest.raises(ZeroDivisionError):
            list(executor.map(lambda n: 1 // n, [1, 0, 2], chunksize=2))
        with pytest.raises(ValueError, match="chunksize is a number of items, at least 1"):
            executor.map(abs, [], chunksize=0)


# --- functions that do not come to their end ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "exit_code", "how"),
    [
        (lambda: os._exit(0), 0, "exit code 0"),
        pytest.param(lambda: os._exit(7), 7, "exit code 7", marks=pytest.mark.long),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), 137, "signal 9; a lack of memory looks like this"),
    ],
)
def test_a_process_that_ends_too_soon(guest: Guest, end: Callable[[], object], exit_code: int, how: str) -> None:
    def fail() -> None:
        print("last words", file=sys.stderr, flush=True)
        end()

    with guest.executor(max_workers=1) as executor:
        broken, after = executor.submit(fail), executor.submit(os.getpid)
        error = broken.exception()
        assert isinstance(error, BrokenSandbox)
        assert isinstance(error, BrokenExecutor)
        assert isinstance(error, ExecutionError)
        assert error.exit_code == exit_code
        assert how in str(error)
        assert broken.stderr == "last words\n"
        assert any("last words" in note for note in error.__notes__)
        assert pickle.loads(pickle.dumps(error)).exit_code == exit_code
        assert after.result() > 0
        assert after.session_id != broken.session_id


def test_time_is_over(guest: Guest) -> None:
    def never() -> None:
        print("so far", flush=True)
        threading.Event().wait()

    for timeout in (1, 4, 16, 64):  # on a loaded machine a process takes long to start
        with guest.executor(timeout=timeout, max_workers=1) as executor:
            future = executor.submit(never)
            error = future.exception()
            assert isinstance(error, ExecutionError)
            assert error.kind is ErrorKind.TIMED_OUT
            if future.stdout and executor.submit(abs, -1).exception() is None:
                break
    else:
        pytest.fail("the function was never started in time")
    assert future.stdout == "so far\n"


def test_a_session_that_is_lost_while_a_function_runs(guest: Guest) -> None:
    with guest.executor(max_workers=1) as executor:
        future = executor.submit(forever)
        session = guest.session()
        until(session, "/tmp/started")
        assert future.running()
        assert future.cancel() is False
        session.delete().raise_for_error()
        with pytest.raises(BrokenSandbox, match=f"session {session.session_id} was lost while the function ran"):
            future.result()
        assert executor.submit(abs, -1).result() == 1


def test_a_session_that_is_gone_when_it_is_wanted_again(guest: Guest) -> None:
    """The service releases idle sessions; nothing has run in them, so the call runs in a new session."""
    with guest.executor(max_workers=1) as executor:
        for data in (b"x", bytes(100_000)):
            assert executor.submit(len, data).result() == len(data)
            guest.session().delete().raise_for_error()
        assert executor.submit(abs, -1).result() == 1


# --- sessions that cannot be used --------------------------------------------------------------------------------


def scripted_python(version: str) -> Callable[[Session], None]:
    """Have a session run a Python of ours, which says it is of another version."""

    def install(session: Session) -> None:
        change = f"import sys; sys.version_info = {version}; exec(sys.argv[1])"
        program = f"#!/bin/sh\nexec python3 -c '{change}' \"$2\"\n"
        session.file.write("/tmp/python-scripted", program).raise_for_error()
        session.command.execute("chmod +x /tmp/python-scripted", 30_000, check=True)

    return install


def test_the_wrong_version_of_python(guest: Guest) -> None:
    mine = f"{sys.version_info.major}.{sys.version_info.minor}"
    with guest.executor(prepare=scripted_python("(3, 8, 1)"), python="/tmp/python-scripted") as executor:
        with pytest.raises(BrokenSandbox, match=r"has CPython 3\.8 .* runs on CPython " + mine) as caught:
            executor.submit(abs, -1).result()
        assert "Use an image with" in str(caught.value)
        with pytest.raises(BrokenSandbox, match=r"CPython 3\.8"):  # no session is made to fail again
            executor.submit(abs, -1).result()
    assert guest.made.qsize() == 1


def test_no_python(guest: Guest) -> None:
    with guest.executor(python="python9.9") as executor:
        error = executor.submit(abs, -1).exception()
    assert isinstance(error, BrokenSandbox)
    assert "has no Python by the name python9.9" in str(error)


def test_a_session_that_cannot_be_made(guest: Guest) -> None:
    with SandboxExecutor(CreateSessionParams(image_id=""), client=guest.client) as executor:
        error = executor.submit(abs, -1).exception()
    assert isinstance(error, agb.SessionError)


def test_a_session_that_cannot_be_prepared(guest: Guest) -> None:
    failing = [True]

    def prepare(session: Session) -> None:
        if failing.pop():
            raise SpecialError("not now", 1)
        failing.append(False)

    failing.insert(0, False)
    with guest.executor(prepare=prepare, max_workers=1) as executor:
        with pytest.raises(SpecialError):
            executor.submit(abs, -1).result()
        assert executor.submit(abs, -1).result() == 1


def test_no_such_directory(guest: Guest) -> None:
    with guest.executor(cwd="/nowhere") as executor:
        assert isinstance(executor.submit(abs, -1).exception(), agb.CommandError)


# --- the end -----------------------------------------------------------------------------------------------------


def test_shutdown_waits(guest: Guest) -> None:
    executor = guest.executor(max_workers=2)
    futures = [executor.submit(abs, -n) for n in range(4)]
    executor.shutdown()
    assert [future.result(timeout=0) for future in futures] == [0, 1, 2, 3]
    assert guest.sessions() == []
    executor.shutdown()
    with pytest.raises(RuntimeError, match="the executor is shut down"):
        executor.submit(abs, -1)


def test_shutdown_without_waiting(guest: Guest) -> None:
    executor = guest.executor(max_workers=1)
    futures = [executor.submit(abs, -n) for n in range(2)]
    executor.shutdown(wait=False)
    assert [future.result() for future in futures] == [0, 1]
    executor._threads.shutdown(wait=True)  # its last thread deletes the sessions
    assert guest.sessions() == []


def test_shutdown_ends_what_runs_and_cancels_what_waits(guest: Guest) -> None:
    executor = guest.executor(max_workers=1)
    running, waiting = executor.submit(forever), executor.submit(abs, -1)
    until(guest.session(), "/tmp/started")
    executor.shutdown(cancel_futures=True)
    with pytest.raises(BrokenSandbox, match="shut down before the function ended"):
        running.result(timeout=0)
    assert waiting.cancelled()
    with pytest.raises(CancelledError):
        waiting.result(timeout=0)


def test_a_block_left_by_an_exception_waits_for_nothing(guest: Guest) -> None:
    futures = []

    def leave() -> None:
        with guest.executor(max_workers=1) as executor:
            futures.append(executor.submit(forever))
            until(guest.session(), "/tmp/started")
            raise SpecialError("enough", 1)

    with pytest.raises(SpecialError):
        leave()
    (future,) = futures
    assert isinstance(future.exception(timeout=0), BrokenSandbox)


def test_interrupted_while_waiting(guest: Guest) -> None:
    """Ctrl-C while a block waits for its functions ends them."""
    executor = guest.executor(max_workers=1)
    future = executor.submit(forever)

    def interrupt() -> None:
        until(guest.session(), "/tmp/started")
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt), executor:
        pass
    thread.join()
    assert isinstance(future.exception(timeout=SECONDS), BrokenSandbox)


def test_an_executor_that_is_dropped(guest: Guest) -> None:
    executor = guest.executor(max_workers=1)
    assert executor.submit(abs, -1).result() == 1
    executor._threads.shutdown(wait=True)
    del executor
    gc.collect()
    for thread in threading.enumerate():
        if thread.name == "agb-executor-end":  # it waits for the threads that it starts
            thread.join()
    assert guest.sessions() == []


PROGRAM = """
    import sys, threading
    from pathlib import Path
    import agb

    executor = agb.SandboxExecutor(agb.CreateSessionParams(image_id="agb-code-space-1", labels={"test": sys.argv[1]}))

    class Mine(Exception):
        pass

    def fail():
        raise Mine("from main")

    try:
        executor.submit(fail).result()
    except Mine as error:
        print("caught", error, flush=True)
"""


def program(guest: Guest, more: str, **options: Any) -> subprocess.Popen[str]:
    environment = {**os.environ, "AGB_API_KEY": guest.server.api_key, "AGB_ENDPOINT": guest.server.endpoint}
    code = textwrap.dedent(PROGRAM) + textwrap.dedent(more)
    command = [sys.executable, "-W", "error", "-c", code, guest.labels["test"]]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_program_that_ends_without_shutting_down(guest: Guest) -> None:
    """Its functions are done, as with every executor, and its sessions are deleted."""
    with program(guest, "executor.submit(print, 1).add_done_callback(lambda done: print(done.stdout, end=''))") as run:
        said, errors = run.communicate(timeout=SECONDS)
    assert (said, errors, run.returncode) == ("caught from main\n1\n", "", 0)


def test_a_program_that_is_interrupted(guest: Guest) -> None:
    more = """
        def forever():
            Path("/tmp/started").touch()
            threading.Event().wait()

        with executor:
            print(executor.submit(forever).result())
    """
    with program(guest, more) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "caught from main\n"
        (session_id,) = guest.sessions()
        until(guest.client.attach(session_id), "/tmp/started")
        run.send_signal(signal.SIGINT)
        _, errors = run.communicate(timeout=SECONDS)
    assert errors.strip().endswith("KeyboardInterrupt")
    assert "Exception ignored" not in errors


# --- arguments ---------------------------------------------------------------------------------------------------


def test_what_cannot_be_pickled_is_refused_before_anything_is_sent() -> None:
    with SandboxExecutor(
        CreateSessionParams(image_id=IMAGE), client=AGB("k", Config("http://127.0.0.1:9"))
    ) as executor:
        with pytest.raises(TypeError, match=r"Event\.wait and its arguments cannot be pickled .* '_thread.lock'"):
            executor.submit(threading.Event().wait)
        with pytest.raises(TypeError, match=r"a function is submitted, not int \(3\)"):
            executor.submit(3)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="is not pickled or copied"):
            pickle.dumps(executor)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"params": None}, "params is a CreateSessionParams, not NoneType"),
        ({"max_workers": 0}, "max_workers is a number of sessions, at least 1, not 0"),
        ({"max_workers": "2"}, "max_workers is a number of sessions, not '2'"),
        ({"client": AsyncAGB("k")}, "client is an AGB, the synchronous one"),
        ({"timeout": -1}, "timeout"),
        ({"prepare": 1}, "prepare is a function of a session, not 1"),
        ({"python": "python3 -I"}, "python is the name or the path of an interpreter, without spaces"),
        ({"envs": {"a=b": "c"}}, "a name in envs"),
        ({"by_value": "agb"}, r"by_value is a list of modules, such as \[mymodule\], not of str"),
        ({"by_value": [1]}, "by_value is a list of modules"),
        ({"results": "yaml"}, "results is 'pickle' or 'json', not 'yaml'"),
    ],
)
def test_wrong_arguments(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises((TypeError, ValueError), match=says):
        SandboxExecutor(**{"params": CreateSessionParams(image_id=IMAGE), "client": AGB("k"), **wrong})


def test_without_a_key() -> None:
    with pytest.raises(ValueError, match="API key is required"):
        SandboxExecutor(CreateSessionParams(image_id=IMAGE))


def test_without_cloudpickle() -> None:
    code = "import sys; sys.modules['cloudpickle'] = None; import agb; agb.SandboxExecutor(None)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert last == "ImportError: SandboxExecutor needs cloudpickle: pip install 'agb[executor]'"
