"""``agb gc``: what it lists, deletes and keeps, what it says, and its exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from uuid import uuid4

import pytest

from agb import AGB, Config, CreateSessionParams, Owner, Session
from agb._sync.lifecycle import owner_process
from agb._wire.labels import CREATE, OWNER
from agb.cli import main as command_line
from agb.local import LocalServer
from tests.servers import LIST, RELEASE, Sessions, refuse, scripted

IMAGE = "agb-code-space-1"


def main(arguments: list[str]) -> int:
    return command_line(["gc", *arguments])


@pytest.fixture
def agb(runtime: LocalServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[AGB]:
    monkeypatch.setenv("AGB_API_KEY", runtime.api_key)
    monkeypatch.setenv("AGB_ENDPOINT", runtime.endpoint)
    with AGB(runtime.api_key, Config(runtime.endpoint, 30_000)) as agb:
        yield agb


def made_by(maker: str, agb: AGB, owner: Owner, monkeypatch: pytest.MonkeyPatch) -> Session:
    with monkeypatch.context() as patch:
        patch.setattr("agb._sync.lifecycle.creation.this_process", lambda: maker)
        session = agb.create(CreateSessionParams(image_id=IMAGE), owner=owner).raise_for_error().session
    assert session is not None
    return session


def is_there(session: Session) -> bool:
    return session.get_status().status == "RUNNING"


DEAD = owner_process.this_process() + "0"


def test_sessions_of_the_dead_are_deleted(
    agb: AGB, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    owner = Owner("pool", uuid4().hex)
    dead = made_by(DEAD, agb, owner, monkeypatch)
    alive = made_by(owner_process.this_process(), agb, owner, monkeypatch)
    elsewhere = made_by("elsewhere/1/2", agb, owner, monkeypatch)

    assert main(["--owner", owner.label, "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["ID", "OWNER", "AGE", "MADE", "BY", "OUTCOME"]
    fates = {line.split()[0]: line for line in lines[1:]}
    assert "would be deleted" in fates[dead.session_id]
    assert "would be kept" in fates[alive.session_id]
    assert "(not of this machine)" in fates[elsewhere.session_id]
    assert all(map(is_there, (dead, alive, elsewhere)))

    assert main(["--owner", owner.label, "--older-than", "1h"]) == 0
    assert capsys.readouterr() == ("", "no sessions found\n")

    assert main(["--all-owned"]) == 0
    notes = capsys.readouterr().err.splitlines()
    assert "1 kept: the processes that created them still run; --force deletes them too" in notes
    assert [is_there(session) for session in (dead, alive, elsewhere)] == [False, True, False]

    assert main(["--owner", owner.label, "--force"]) == 0
    assert not is_there(alive)
    capsys.readouterr()
    assert main(["--owner", owner.label]) == 4
    assert f"there is no session of the owner '{owner.label}'" in capsys.readouterr().err


def test_sessions_are_found_by_part_and_by_the_beginning_of_the_owner(
    agb: AGB, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kind = f"bench-{uuid4().hex}"
    one, two, other = (
        made_by(DEAD, agb, Owner(kind, run, part), monkeypatch) for run, part in (("a", "t/1"), ("a", "t/2"), ("b", ""))
    )
    assert main(["--owner", f"{kind}:a", "--part", "t/1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["ID", "OWNER", "PART", "AGE", "MADE", "BY", "OUTCOME"]
    assert lines[1].split()[:3] == [one.session_id, f"{kind}:a", "t/1"]
    assert [is_there(session) for session in (one, two, other)] == [False, True, True]
    assert main(["--owner", f"{kind}:a", "--part", "t/1"]) == 4
    assert f"there is no session of the part 't/1' of the owner '{kind}:a'" in capsys.readouterr().err
    assert main(["--owner", f"{kind}:*"]) == 0
    assert [is_there(session) for session in (two, other)] == [False, False]


def test_session_of_a_creation_is_deleted(agb: AGB) -> None:
    session = agb.create(CreateSessionParams(image_id=IMAGE)).raise_for_error().session
    assert session is not None
    other = agb.create(CreateSessionParams(image_id=IMAGE)).raise_for_error().session
    assert other is not None
    assert main(["--create", (session._hidden_labels or {})[CREATE]]) == 0
    assert (is_there(session), is_there(other)) == (False, True)
    assert other.delete().success


def test_killed_pool_is_found(agb: AGB, capsys: pytest.CaptureFixture[str]) -> None:
    program = (
        "import agb, os, signal\n"
        "pool = agb.AGB().pool(agb.CreateSessionParams(image_id='agb-code-space-1'), min=2)\n"
        "with pool:\n"
        "    with pool.session(), pool.session():\n"
        "        print(pool.owner, flush=True)\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode < 0, done.stderr
    owner = done.stdout.strip()
    assert agb.list({OWNER: owner}).total_count == 2
    assert main(["--owner", owner]) == 0
    assert capsys.readouterr().out.count("(is gone)  deleted") == 2
    assert agb.list({OWNER: owner}).total_count == 0


@pytest.mark.parametrize(("path", "code"), [(RELEASE, 1), (LIST, 3)])
def test_failure_is_reported(
    path: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sessions = Sessions()
    with scripted(sessions) as server:
        monkeypatch.setenv("AGB_API_KEY", "ako-key")
        monkeypatch.setenv("AGB_ENDPOINT", server.endpoint)
        with AGB() as agb:
            agb.create(CreateSessionParams(image_id=IMAGE), owner=Owner("map", "x"))
            sessions.instead[path] = refuse("Busy", "try tomorrow")
            assert main(["--owner", "map:x", "--force"]) == code
    captured = capsys.readouterr()
    assert "try tomorrow" in captured.out + captured.err


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        ["--owner", "a", "--all-owned"],
        ["--all-owned", "--older-than", "soon"],
        ["--owner", ""],
        ["--all-owned", "--part", "a"],
    ],
)
def test_wrong_arguments(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(wrong) == 2
    assert capsys.readouterr().err.startswith("agb: ")


def test_missing_key_is_reported(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(str(tmp_path))
    assert main(["--all-owned"]) == 2
    assert "AGB_API_KEY" in capsys.readouterr().err


def test_owner_processes_are_distinguished() -> None:
    mine = owner_process.this_process()
    assert owner_process.is_alive(mine) is True
    assert owner_process.is_alive(DEAD) is False
    assert owner_process.is_alive("elsewhere/1/2") is None
    assert owner_process.is_alive("") is None
    child = subprocess.run(
        [sys.executable, "-c", "from agb._sync.lifecycle.owner_process import this_process; print(this_process())"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert owner_process.is_alive(child.stdout.strip()) is False
