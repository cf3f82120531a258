"""The command line in a terminal: tables, questions, Ctrl-C, a shell with a terminal of its own."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from agb import AGB, Config, CreateSessionParams, Session
from agb.local import LocalServer, serve
from tests.waiting import pause

IMAGE = "agb-code-space-1"
LIMIT = 60.0
"""Seconds until an expected text must be there, on a loaded machine."""


def _own_terminal() -> None:
    """Make the standard input the terminal of the new process, and SIGINT what it is there; test workers ignore it."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Terminal:
    """A command in a pseudo-terminal of 30 lines."""

    def __init__(self, runtime: LocalServer, *words: str, columns: int = 100, **env: str) -> None:
        self.screen = b""
        settings = {"AGB_API_KEY": runtime.api_key, "AGB_ENDPOINT": runtime.endpoint, "TERM": "xterm-256color"}
        settings["COLUMNS"] = ""  # the width is that of the terminal
        self._own, inner = pty.openpty()
        self.resize(30, columns)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "agb", *words],
            stdin=inner,
            stdout=inner,
            stderr=inner,
            env=os.environ | settings | env,
            start_new_session=True,
            preexec_fn=_own_terminal,
        )
        os.close(inner)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._own, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        os.write(self._own, text.encode())

    def until(self, text: str) -> str:
        """Read until the text is there, and return what was read since the last call and up to it.

        What comes behind it is left for the next call: on a loaded machine one read may return both.
        """
        while text.encode() not in self.screen:
            assert self._read(), f"{text!r} did not appear: {self.screen!r}"
        before, found, self.screen = self.screen.partition(text.encode())
        return (before + found).decode("utf-8", "replace")

    def until_it_reads(self) -> None:
        """Return once a command that has printed a question sleeps in the read of the answer.

        Python would notice a Ctrl-C in the moment between the two only after the next key.
        """
        process = psutil.Process(self.process.pid)
        while process.status() != psutil.STATUS_SLEEPING:
            pause()

    def end(self) -> tuple[int, str]:
        """Read to the end of the command and return its exit code and what was read since the last call."""
        while self._read():
            pass
        return self.process.wait(LIMIT), self.screen.decode("utf-8", "replace")

    def _read(self) -> bool:
        """Read once; return whether there is more to come."""
        readable, _, _ = select.select([self._own], [], [], LIMIT)
        assert readable, f"nothing more appeared: {self.screen!r}"
        try:
            piece = os.read(self._own, 65536)
        except OSError:  # the other end is closed
            return False
        self.screen += piece
        return bool(piece)

    @property
    def is_raw(self) -> bool:
        return not termios.tcgetattr(self._own)[3] & termios.ICANON

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait(LIMIT)
        os.close(self._own)


@pytest.fixture
def session(runtime: LocalServer) -> Iterator[Session]:
    params = CreateSessionParams(image_id=IMAGE, labels={"terminal": uuid4().hex})
    with AGB(runtime.api_key, Config(runtime.endpoint, 60_000)) as agb, agb.session(params) as session:
        yield session


@pytest.fixture
def terminals(runtime: LocalServer) -> Iterator[list[Terminal]]:
    opened: list[Terminal] = []
    yield opened
    for terminal in opened:
        terminal.close()


def test_shell(runtime: LocalServer, session: Session, terminals: list[Terminal]) -> None:
    shell = Terminal(runtime, "shell", session.session_id)
    terminals.append(shell)
    shell.until("agb: a shell")
    shell.resize(31, 119)  # before the shell runs
    shell.until("$ ")
    shell.type("until [ \"$(stty size)\" = '31 119' ]; do sleep 0.05; done; tty\r")
    assert "/dev/pts/" in shell.until("/dev/pts/")
    shell.type("sleep 600\r")
    shell.until("sleep 600")
    shell.type("\x03")  # ends the command, and not the shell
    shell.until("^C")
    shell.resize(41, 121)
    shell.process.send_signal(signal.SIGWINCH)
    shell.type("until [ \"$(stty size)\" = '41 121' ]; do sleep 0.05; done; echo resi''zed\r")
    shell.until("resized")
    shell.type("exit 9\r")
    assert shell.end()[0] == 9


def test_ctrl_c_is_for_the_command(runtime: LocalServer, session: Session, terminals: list[Terminal]) -> None:
    script = "trap 'echo interrupted; exit 3' INT; echo ready; while :; do sleep 0.05; done"
    command = Terminal(runtime, "exec", session.session_id, "--", "bash", "-c", script)
    terminals.append(command)
    command.until("ready")
    command.type("\x03")
    code, rest = command.end()
    assert code == 3
    assert "interrupted" in rest


def test_input_reaches_the_command(runtime: LocalServer, session: Session, terminals: list[Terminal]) -> None:
    command = Terminal(
        runtime, "exec", session.session_id, "--", "bash", "-c", 'echo ready; read -r line; echo "<$line>"'
    )
    terminals.append(command)
    command.until("ready")
    command.type("hello\n")
    assert "<hello>" in command.end()[1]


def test_table_and_question(runtime: LocalServer, session: Session, terminals: list[Terminal]) -> None:
    label = "terminal=" + session.get_labels().raise_for_error().data["terminal"]
    listing = Terminal(runtime, "ls", "--label", label)
    terminals.append(listing)
    code, shown = listing.end()
    assert code == 0
    assert session.session_id in shown
    assert "\x1b[1m" in shown  # a bold heading
    plain = Terminal(runtime, "ls", "--label", label, NO_COLOR="1")
    terminals.append(plain)
    assert session.session_id in plain.end()[1]

    question = Terminal(runtime, "rm", "--label", label)
    terminals.append(question)
    question.until("Delete 1 session")
    question.type("n\r")
    assert question.end()[0] == 0
    assert session.get_status().status == "RUNNING"
    sure = Terminal(runtime, "rm", "--label", label)
    terminals.append(sure)
    sure.until("Delete 1 session")
    sure.type("y\r")
    assert session.session_id in sure.end()[1]
    assert session.get_status().status != "RUNNING"


def test_ctrl_c_ends_quietly(runtime: LocalServer, session: Session, terminals: list[Terminal]) -> None:
    code = Terminal(runtime, "run", "-c", "import time; print('ready', flush=True); time.sleep(600)")
    terminals.append(code)
    code.until("ready")
    code.type("\x03")
    ended, rest = code.end()
    assert ended == 130
    assert "Traceback" not in rest


def test_ctrl_c_at_a_question(runtime: LocalServer, session: Session, terminals: list[Terminal]) -> None:
    question = Terminal(runtime, "rm", "--label", "terminal=" + session.get_labels().raise_for_error().data["terminal"])
    terminals.append(question)
    question.until("[y/N]: ")
    question.until_it_reads()
    question.type("\x03")
    code, rest = question.end()
    assert code == 130
    assert rest.endswith("^C\r\n")
    assert session.get_status().status == "RUNNING"


def test_narrow_terminal(runtime: LocalServer, session: Session, terminals: list[Terminal]) -> None:
    """A row is a block of lines where the columns do not fit."""
    label = "terminal=" + session.get_labels().raise_for_error().data["terminal"]
    listing = Terminal(runtime, "ls", "--label", label, columns=40)
    terminals.append(listing)
    code, shown = listing.end()
    assert code == 0
    assert shown.splitlines()[:3] == [f"ID      {session.session_id}", f"IMAGE   {IMAGE}", "STATE   RUNNING"]


def test_progress_bar_leaves_the_summary(
    runtime: LocalServer, session: Session, terminals: list[Terminal], tmp_path: Path
) -> None:
    (tmp_path / "data").write_bytes(bytes(2**20))
    copy = Terminal(runtime, "cp", str(tmp_path / "data"), f"{session.session_id}:/tmp/data", columns=200)
    terminals.append(copy)
    code, shown = copy.end()
    assert code == 0
    bar, _, summary = shown.partition("copied ")
    assert "1.0/1.0 MB" in bar
    assert "1.0 MiB in" in summary
    assert "\x1b" not in summary


def test_runtime_that_ends_while_a_shell_is_open(terminals: list[Terminal]) -> None:
    with serve(warm=0) as runtime, AGB(runtime.api_key, Config(runtime.endpoint, 60_000)) as agb:
        session_id = agb.create(CreateSessionParams(image_id=IMAGE)).raise_for_error().session.session_id
        shell = Terminal(runtime, "shell", session_id)
        terminals.append(shell)
        shell.until("$ ")
        assert shell.is_raw
    code, shown = shell.end()
    assert code in (4, 5)
    assert not shell.is_raw
    assert shown.count("agb: ") == 1
    assert "Traceback" not in shown
