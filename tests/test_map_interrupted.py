"""Batches whose program is interrupted or killed, and journals that cannot be written: every loss is reported."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agb import AGB, Config, CreateSessionParams, ItemTimeoutError, JournalError, Session
from agb._sync._compat import concurrency
from agb.local import LocalServer
from tests.servers import Sessions, scripted
from tests.waiting import pause

IMAGE = CreateSessionParams(image_id="agb-code-space-1")

PROGRAM = """
import asyncio, os, sys
from agb import AGB, AsyncAGB, CreateSessionParams

flavour, journal, calls, count, slow = *sys.argv[1:4], int(sys.argv[4]), int(sys.argv[5])
file = os.open(calls, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
options = dict(params=CreateSessionParams(image_id="agb-code-space-1"), concurrency=4, journal=journal, name="killed")

def command(number):
    os.write(file, b"%d\\n" % number)
    return f"sleep {0.02 if number < slow else 30}; echo {number}"

def work(session, number):
    return session.command.execute(command(number), timeout_ms=50_000).raise_for_error().stdout

async def async_work(session, number):
    return (await session.command.execute(command(number), timeout_ms=50_000)).raise_for_error().stdout

def show(outcome):
    print(outcome.index, outcome.ok, outcome.resumed, outcome.repeated, flush=True)

async def main():
    async with AsyncAGB() as agb, agb.map(async_work, range(count), **options) as batch:
        print("begun", flush=True)
        async for outcome in batch:
            show(outcome)

if flavour == "async":
    asyncio.run(main())
else:
    with AGB() as agb, agb.map(work, range(count), **options) as batch:
        print("begun", flush=True)
        for outcome in batch:
            show(outcome)
print("ended", flush=True)
"""


class Program:
    """The program above, in a process of its own."""

    def __init__(self, runtime: LocalServer, place: Path, flavour: str, count: int) -> None:
        self.calls = place / "calls"
        self.command = [sys.executable, "-c", PROGRAM, flavour, str(place / "journal"), str(self.calls), str(count)]
        self.environment = os.environ | {"AGB_API_KEY": runtime.api_key, "AGB_ENDPOINT": runtime.endpoint}

    @contextmanager
    def running(self, slow: int = 1000) -> Iterator[subprocess.Popen[str]]:
        """Run it; the function takes long from an item on."""
        pipe, command = subprocess.PIPE, [*self.command, str(slow)]
        with subprocess.Popen(command, env=self.environment, stdout=pipe, stderr=pipe, text=True) as process:
            try:
                yield process
            finally:
                process.kill()

    def run(self) -> list[list[str]]:
        """Run it to its end, and return what it prints of each outcome."""
        with self.running() as process:
            out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        lines = out.splitlines()
        assert lines[-1] == "ended"
        return [line.split() for line in lines[1:-1]]

    def how_often(self) -> Counter[int]:
        """Return how often the function was called for each item."""
        return Counter(int(line) for line in self.calls.read_text().split())


def alive(runtime: LocalServer, owner: str) -> list[str]:
    """Return the sessions of a batch, by its hidden label."""
    with AGB(runtime.api_key, Config(runtime.endpoint, 30_000)) as agb:
        return [session.session_id for session in agb.iterate({"agb.sdk/owner": owner})]


def owner_of(journal: Path) -> str:
    header = json.loads(journal.read_bytes().splitlines()[0])
    return f"map:{header['name']}-{header['id']}"


@pytest.mark.parametrize("flavour", ["async", pytest.param("sync", marks=pytest.mark.long)])
def test_killed_and_started_again(runtime: LocalServer, tmp_path: Path, flavour: str) -> None:
    """Finished items are not processed again, begun ones are, as `repeated`; sessions that were left are deleted."""
    program = Program(runtime, tmp_path, flavour, 24)
    delivered: list[list[str]] = []
    owner = ""
    for outcomes in (6, 12):
        with program.running(slow=outcomes) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "begun\n"
            delivered += [process.stdout.readline().split() for _ in range(outcomes)]
            while not set(range(outcomes, outcomes + 4)) <= set(program.how_often()):
                assert process.poll() is None
                pause()
            process.send_signal(signal.SIGKILL)
            process.wait(120)
        owner = owner or owner_of(tmp_path / "journal")
        assert len(alive(runtime, owner)) == 4
    before = program.how_often()
    last = program.run()
    assert not alive(runtime, owner)
    assert sorted(int(line[0]) for line in last) == list(range(24))
    assert all(line[1] == "True" for line in last)
    how_often = program.how_often()
    for number, _, resumed, repeated in last:
        if resumed == "True":
            assert how_often[int(number)] == before[int(number)]
        assert how_often[int(number)] == 1 or repeated == "True"
    given = {line[0] for line in delivered}
    assert len(given) == 12
    assert given <= {line[0] for line in last if line[2] == "True"}, "an outcome that was given is on the disk"


@pytest.mark.parametrize("flavour", ["async", "sync"])
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.long), 2])
def test_interrupted_by_ctrl_c(runtime: LocalServer, tmp_path: Path, flavour: str, seed: int) -> None:
    program = Program(runtime, tmp_path, flavour, 1000)
    with program.running() as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        for _ in range(seed * 3):
            process.stdout.readline()
        time.sleep(0.01 * seed)  # waits on purpose: for any point of the run
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    assert "KeyboardInterrupt" in err
    assert "left behind" not in err
    assert process.returncode != 0
    assert not alive(runtime, owner_of(tmp_path / "journal"))


def nothing(session: Session, item: int) -> int:
    return item


# --- functions that do not return -------------------------------------------------------------------------------


def test_thread_that_does_not_end_is_abandoned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concurrency, "GRACE", 0.1)
    goes_on = threading.Event()

    def hangs(session: Session, number: int) -> int:
        if number == 1:
            goes_on.wait(30)
        return number

    sessions = Sessions()
    with scripted(sessions) as server, AGB("ako-key", Config(server.endpoint, 10_000)) as agb:
        with agb.map(hangs, range(3), params=IMAGE, timeout=0.1, concurrency=1) as batch:
            outcomes = batch.results()
        assert not sessions.alive
        error = outcomes[1].error
        assert isinstance(error, ItemTimeoutError)
        assert error.abandoned
        assert "its thread was abandoned" in str(error)
        assert [outcome.value for outcome in outcomes] == [0, None, 2]
        with agb.map(hangs, [1], params=IMAGE) as batch:
            while not batch.stats().sessions:
                pause()
        assert not sessions.alive
    goes_on.set()


def test_items_that_never_arrive_do_not_block_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concurrency, "GRACE", 0.1)
    more = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        more.wait(30)

    with scripted(Sessions()) as server, AGB("ako-key", Config(server.endpoint, 10_000)) as agb:
        batch = agb.map(nothing, items(), params=IMAGE)
        with batch:
            assert next(batch).value == 1
    more.set()


def test_asynchronous_function_is_refused() -> None:
    async def function(session: Session, number: int) -> int:
        return number

    with AGB("ako-key", Config("http://127.0.0.1:9")) as agb, pytest.raises(TypeError, match="AsyncAGB"):
        agb.map(function, [1], params=IMAGE)


# --- a disk that is full -----------------------------------------------------------------------------------------

FULL = """
import sys
from agb import AGB, Config, CreateSessionParams, JournalError

endpoint, journal = sys.argv[1:]
options = dict(params=CreateSessionParams(image_id="agb-code-space-1"), concurrency=3, journal=journal)
given = []
with AGB("ako-key", Config(endpoint, 10_000)) as agb, agb.map(lambda s, n: "x" * 500, range(1000), **options) as batch:
    try:
        for outcome in batch:
            given.append(outcome.index)
    except JournalError as error:
        print(error)
        print(sorted(given))
        print(sorted(outcome.index for outcome in error.unrecorded))
        print(all(outcome.value == "x" * 500 for outcome in error.unrecorded))
    print(list(batch))
"""


def check_full_disk(journal: Path, make_room: Any, **more: Any) -> None:
    sessions = Sessions()
    calls: list[int] = []

    def work(session: Session, number: int) -> str:
        calls.append(number)
        return "x" * 500

    with scripted(sessions) as server:
        command = [sys.executable, "-c", textwrap.dedent(FULL), server.endpoint, str(journal)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, **more)
        assert done.returncode == 0, done.stderr
        error, given, unrecorded, is_whole, rest = done.stdout.splitlines()
        assert error.startswith(f"Could not write the journal {str(journal)!r}: ")
        assert "make room" in error
        assert json.loads(given)
        assert is_whole == "True"
        assert rest == "[]"
        made = sessions.made
        assert made == len(json.loads(given)) + len(json.loads(unrecorded)), "every finished item is reported"
        assert not sessions.alive
        make_room()
        options: dict[str, Any] = {"params": IMAGE, "concurrency": 3, "journal": journal, "ordered": True}
        with AGB("ako-key", Config(server.endpoint, 10_000)) as agb, agb.map(work, range(1000), **options) as batch:
            outcomes = [next(batch) for _ in range(made + 5)]
    assert {outcome.index for outcome in outcomes if outcome.resumed} == set(json.loads(given))
    assert all(outcome.ok for outcome in outcomes)
    assert not set(json.loads(given)) & set(calls)
    assert set(json.loads(unrecorded)) <= {outcome.index for outcome in outcomes if outcome.repeated}


def test_journal_that_may_not_grow(tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    check_full_disk(tmp_path / "journal", lambda: None, preexec_fn=limit)


def test_full_disk(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    try:
        ballast = disk / "ballast"
        ballast.write_bytes(b"x" * 40_000)
        check_full_disk(disk / "journal", ballast.unlink)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_journal_that_is_on_no_disk_at_all() -> None:
    batch = AGB("ako-key", Config("http://127.0.0.1:9")).map(nothing, [1], params=IMAGE, journal="/dev/full")
    with pytest.raises(JournalError, match="'/dev/full' is no file"):
        batch.__enter__()
