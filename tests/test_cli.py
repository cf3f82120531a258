"""The command line against the local runtime, run in this process as in a pipe: every command, its errors and codes."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4
from zipfile import ZipFile

import pytest

from agb import AGB, Config, CreateSessionParams, Session
from agb.cli import main
from agb.cli.app import root
from agb.cli.parser import Group
from agb.cli.sessions import age
from agb.local import LocalServer
from tests.local.browser import needs_chromium
from tests.servers import LIST, Sessions, refuse, scripted

IMAGE = "agb-code-space-1"


@pytest.fixture
def agb(runtime: LocalServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[AGB]:
    monkeypatch.setenv("AGB_API_KEY", runtime.api_key)
    monkeypatch.setenv("AGB_ENDPOINT", runtime.endpoint)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    with AGB(runtime.api_key, Config(runtime.endpoint, 60_000)) as agb:
        yield agb


@pytest.fixture(scope="module")
def shared_session(runtime: LocalServer) -> Iterator[Session]:
    """A session for tests that change nothing that another one looks at."""
    params = CreateSessionParams(image_id=IMAGE)
    with AGB(runtime.api_key, Config(runtime.endpoint, 60_000)) as agb, agb.session(params) as session:
        yield session


class Ran:
    """What a command printed, and its exit code."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def data(self) -> Any:
        answer = json.loads(self.out)
        assert answer["ok"] is True, answer
        return answer["data"]

    @property
    def error(self) -> dict[str, Any]:
        answer = json.loads(self.out)
        assert answer["ok"] is False, answer
        return dict(answer["error"])


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    def run(*words: str, stdin: bytes = b"") -> Ran:
        capfd.readouterr()
        read, write = os.pipe()
        os.write(write, stdin)  # less than a pipe holds
        os.close(write)
        with os.fdopen(read, encoding="utf-8") as input_:
            monkeypatch.setattr(sys, "stdin", input_)
            code = main(list(words))
        sys.stdout.flush()
        printed = capfd.readouterr()
        return Ran(code, printed.out, printed.err)

    return run


# --- sessions ---------------------------------------------------------------------------------------------------------


def test_life_of_a_session(agb: AGB, run: Any) -> None:
    project = uuid4().hex
    session_id = run("session", "create", "--label", f"project={project}").out.strip()
    table = run("ls", "--label", f"project={project}")
    assert table.out.splitlines()[0].split() == ["ID", "IMAGE", "STATE", "AGE", "OWNER", "LABELS"]
    assert table.out.splitlines()[1].split()[:3] == [session_id, IMAGE, "RUNNING"]
    assert f"project={project}" in table.out
    assert run("ls", "-q", "-l", f"project={project}").out == f"{session_id}\n"
    [row] = run("session", "ls", "-l", f"project={project}", "--json").data
    assert (row["id"], row["labels"]) == (session_id, {"project": project})
    assert row["created_at"] > 1_700_000_000
    assert run("ls", "-l", f"project={project}", "--state", "FINISH").err == "no sessions found\n"

    assert run("session", "labels", session_id, "a=b", "project-").out == "a=b\n"
    assert agb.attach(session_id).get_labels().data == {"a": "b"}
    assert run("session", "labels", session_id, "--replace", "c=d", "--json").data == {"c": "d"}
    info = run("session", "info", session_id, "--json").data
    assert info["labels"] == {"c": "d"}
    assert session_id in info["page"]
    assert run("open", session_id, "--print").out.startswith("http")
    assert run("session", "link", session_id, "--port", "30100").out.startswith("http")
    assert run("session", "keep-alive", session_id, "--json").data == [{"id": session_id}]
    [usage] = run("session", "stats", session_id, "--json").data
    assert usage["memory_mib"] > 0

    assert run("rm", session_id).out == f"{session_id}\n"
    assert run("session", "info", session_id).code == 4
    assert run("rm", session_id).code == 4


def test_more_than_one_is_deleted_only_when_that_is_said(agb: AGB, run: Any) -> None:
    project = uuid4().hex
    ids = {run("session", "create", "-l", f"project={project}").out.strip() for _ in range(2)}
    asked = run("rm", "--label", f"project={project}")
    assert asked.code == 2
    assert "Delete 2 sessions" in asked.err
    assert "--yes" in asked.err
    assert agb.list({"project": project}).total_count == 2
    deleted = run("rm", "--label", f"project={project}", "--yes", "--json").data
    assert {row["id"] for row in deleted if row["deleted"]} == ids
    assert run("rm", "--label", f"project={project}", "--yes").code == 4


def test_hostile_labels_do_not_reach_the_terminal(agb: AGB, run: Any) -> None:
    label = uuid4().hex
    with agb.session(CreateSessionParams(image_id=IMAGE, labels={label: "\x1b]0;owned\x07\x1b[31mred"})):
        shown = run("ls", "-l", f"{label}=\x1b]0;owned\x07\x1b[31mred")
        assert "\\x1b]0;owned\\x07" in shown.out
        assert "\x1b" not in shown.out


def test_images(agb: AGB, run: Any) -> None:
    rows = {row["image"]: row for row in run("images", "--json").data}
    assert rows[IMAGE]["code"] is True
    assert rows[IMAGE]["desktop"] is False
    assert run("images", "--image", "no-such-image").code == 4


def test_ages() -> None:
    assert [age(seconds) for seconds in (-1, 5, 59.9, 60, 7200, 200_000)] == ["0s", "5s", "59s", "1m", "2h", "2d"]


# --- code and commands ------------------------------------------------------------------------------------------------


def test_code(agb: AGB, shared_session: Session, run: Any, tmp_path: Path) -> None:
    in_session = ("--session", shared_session.session_id)
    first = run("run", "-c", "import sys\nprint('out')\nprint('err', file=sys.stderr)\nn = 6\nn * 7", *in_session)
    assert (first.code, first.out, first.err) == (0, "out\n42\n", "err\n")
    assert run("run", "-", *in_session, stdin=b"print(n)").out == "6\n"
    script = tmp_path / "script.js"
    script.write_text("console.log([1, 2].length)")
    if "javascript" in agb_languages(shared_session):
        assert run("run", str(script), *in_session).out == "2\n"
    failed = run("run", "-c", "1 / 0", *in_session)
    assert failed.code == 1
    assert "ZeroDivisionError" in failed.err
    assert run("run", "-c", "import sys; sys.exit(5)", *in_session).code == 5
    answer = run("run", "-c", "print('x'); n", *in_session, "--json").data
    assert (answer["exit_code"], answer["stdout"], answer["results"][0]["text"]) == (0, "x\n", "6")
    too_long = run("run", "-c", "import time; time.sleep(600)", *in_session, "--limit", "500ms")
    assert too_long.code == 1


def agb_languages(session: Session) -> set[str]:
    result = session.code.run("1", "javascript")
    return {"python", "javascript"} if result.success else {"python"}


def test_pictures_are_saved(agb: AGB, shared_session: Session, run: Any, tmp_path: Path) -> None:
    code = (
        "from IPython.display import SVG, display\n"
        'display(SVG(\'<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>\'))'
    )
    ran = run("run", "-c", code, "--session", shared_session.session_id, "--save-dir", str(tmp_path / "pictures"))
    assert ran.code == 0
    assert "<svg" in (tmp_path / "pictures" / "picture-1.svg").read_text()


def test_new_session_of_a_run(agb: AGB, run: Any) -> None:
    before = agb.list().total_count
    assert run("run", "-c", "print(1)").out == "1\n"
    assert agb.list().total_count == before
    kept = run("run", "-c", "print(2)", "--keep")
    assert kept.out == "2\n"
    assert run("rm", kept.err.strip()).code == 0


def test_command(agb: AGB, shared_session: Session, run: Any) -> None:
    session_id = shared_session.session_id
    ran = run("exec", session_id, "--env", "NAME=world", "--", "sh", "-c", 'echo "$NAME"; echo no >&2; exit 7')
    assert (ran.code, ran.out, ran.err) == (7, "world\n", "no\n")
    data = bytes(range(256)) * 100
    script = "import sys; data = sys.stdin.buffer.read(); sys.stdout.write(str((len(data), sum(data))))"
    assert run("exec", session_id, "--", "python3", "-c", script, stdin=data).out == str((len(data), sum(data)))
    assert run("exec", session_id, "--cwd", "/tmp", "--", "pwd").out == "/tmp\n"
    assert run("exec", session_id, "--", "no-such-command").code == 127
    assert run("exec", session_id, "--json", "--", "echo", "$HOME").data == {
        "exit_code": 0,
        "timed_out": False,
        "stdout": "$HOME\n",
        "stderr": "",
    }
    limited = run("exec", session_id, "--limit", "300ms", "--", "sleep", "600")
    assert (limited.code, limited.err) == (143, "agb: the command was ended after 0.3 s (--limit)\n")
    assert run("exec", session_id, "--limit", "300ms", "--json", "--", "sleep", "600").data["timed_out"] is True


def test_output_that_is_no_text_is_passed_on(agb: AGB, shared_session: Session) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "agb", "exec", shared_session.session_id, "--", "printf", "\\377\\000\\376"],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
        check=True,
    )
    assert ran.stdout == b"\xff\x00\xfe"


def test_process_that_runs_detached(agb: AGB, shared_session: Session, run: Any) -> None:
    session_id = shared_session.session_id
    process = run("exec", session_id, "--detach", "--", "sleep", "600").out.strip()
    listed = {row["id"]: row for row in run("logs", session_id, "--json").data}
    assert (listed[process]["state"], listed[process]["exit_code"]) == ("running", None)
    assert (run("logs", session_id, process).code, run("logs", session_id, process).out) == (0, "")
    ended = shared_session.command.start(["sh", "-c", "echo text; echo wrong >&2; exit 3"])
    ended.wait(keep=True)
    read = run("logs", session_id, ended.process_id)
    assert (read.code, read.out) == (0, "text\n")
    assert read.err == "wrong\nagb: the process has ended with exit code 3\n"
    assert run("logs", session_id, "AAAAAAAAAAAA").code == 4
    shared_session.command.attach(process).cleanup()


def test_list_of_processes_has_a_line_for_each(agb: AGB, shared_session: Session, run: Any) -> None:
    session_id = shared_session.session_id
    script = f"# {uuid4().hex}\nsleep 600\ntrue\n"
    with shared_session.command.start(script) as process:
        [line] = [line for line in run("logs", session_id).out.splitlines() if process.process_id in line]
        assert line.endswith(f"{script.splitlines()[0]} …")
        whole = {row["id"]: row["command"] for row in run("logs", session_id, "--json").data}
        assert whole[process.process_id].endswith(script.strip())


@needs_chromium
def test_address_of_a_browser(agb: AGB, shared_session: Session, run: Any) -> None:
    with agb.session(CreateSessionParams(image_id="agb-browser-use-1")) as session:
        started = run("browser", session.session_id)
        assert (started.code, started.out[:5]) == (0, "ws://")
        assert run("browser", session.session_id, "--json").data == {
            "id": session.session_id,
            "url": started.out.strip(),
        }
    without = run("browser", shared_session.session_id)
    assert (without.code, without.err.count("\n")) == (3, 1)


def test_computer_without_a_browser(
    agb: AGB, shared_session: Session, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webbrowser.open", lambda url: False)
    assert run("open", shared_session.session_id).out.startswith("http")


def test_shell_without_a_terminal(agb: AGB, shared_session: Session, run: Any) -> None:
    ran = run("shell", shared_session.session_id, stdin=b"cd /tmp\npwd\nexit 4\n")
    assert (ran.code, ran.out) == (4, "/tmp\n")


# --- files ------------------------------------------------------------------------------------------------------------


def test_files_there_and_back(agb: AGB, shared_session: Session, run: Any, tmp_path: Path) -> None:
    session_id = shared_session.session_id
    source = tmp_path / "project"
    (source / "inner").mkdir(parents=True)
    (source / "inner" / "a.txt").write_text("hello")
    place = f"/tmp/{uuid4().hex}"
    assert run("cp", str(source), f"{session_id}:{place}/").code == 0
    assert shared_session.file.read(f"{place}/project/inner/a.txt").content == "hello"
    copied = run("cp", f"{session_id}:{place}/project", str(tmp_path / "back"), "--json").data
    assert copied["failures"] == []
    assert (tmp_path / "back" / "inner" / "a.txt").read_text() == "hello"

    (tmp_path / "one.bin").write_bytes(bytes(range(256)))
    summary = run("cp", str(tmp_path / "one.bin"), f"{session_id}:")
    assert "256 B" in summary.err
    assert run("cp", f"{session_id}:one.bin", str(tmp_path / "two.bin")).code == 0
    assert (tmp_path / "two.bin").read_bytes() == bytes(range(256))
    assert run("cp", f"{session_id}:one.bin", str(tmp_path / "back")).code == 0
    assert (tmp_path / "back" / "one.bin").exists()


@pytest.mark.parametrize(
    ("source", "target", "code", "words"),
    [
        ("here", "there", 2, "SESSION:PATH"),
        ("s-1:/a", "s-2:/b", 2, "SESSION:PATH"),
        ("missing", "{session}:/tmp/x", 4, "there is no 'missing' here"),
        ("{session}:/no/such", "x", 4, "not found"),
    ],
)
def test_copies_that_cannot_be(
    source: str, target: str, code: int, words: str, agb: AGB, shared_session: Session, run: Any
) -> None:
    ran = run("cp", *(one.format(session=shared_session.session_id) for one in (source, target)))
    assert ran.code == code
    assert words in ran.err


def test_contexts(agb: AGB, run: Any, tmp_path: Path) -> None:
    name = f"data-{uuid4().hex}"
    context_id = run("context", "create", name).out.strip()
    assert name in run("context", "ls").out
    (tmp_path / "data" / "inner").mkdir(parents=True)
    (tmp_path / "data" / "inner" / "a.txt").write_text("hello")
    assert "1 file, 5 B" in run("context", "put", name, str(tmp_path / "data"), "/tmp/data").err
    assert run("context", "ls-files", name, "/tmp/data", "-q").out == "/tmp/data/inner/a.txt\n"
    assert run("context", "ls-files", context_id, "/tmp/other").err == "no files\n"
    assert run("context", "get", name, "/tmp/data", str(tmp_path / "got"), "--json").data["bytes"] == 5
    assert (tmp_path / "got" / "inner" / "a.txt").read_text() == "hello"

    session_id = run("session", "create", "--context", f"{name}=/tmp/data").out.strip()
    assert run("exec", session_id, "--", "sh", "-c", "cat inner/a.txt > b.txt", "--cwd", "/tmp").code != 0
    assert run("exec", session_id, "--cwd", "/tmp/data", "--", "sh", "-c", "cat inner/a.txt > b.txt").code == 0
    [synced] = run("context", "sync", session_id, "--json").data
    assert synced["context"] == context_id
    assert "/tmp/data/b.txt" in run("context", "ls-files", name).out
    run("rm", session_id)
    assert run("context", "rm", name).code == 2
    assert run("context", "rm", name, "--yes").code == 0
    assert run("context", "ls-files", name).code == 4


def test_extensions(agb: AGB, run: Any, tmp_path: Path) -> None:
    with ZipFile(tmp_path / "some.zip", "w") as archive:
        archive.writestr("manifest.json", "{}")
    context = f"extensions-{uuid4().hex}"
    [added] = run("extension", "add", str(tmp_path / "some.zip"), "--context", context, "--json").data
    assert run("extension", "ls", "--context", context, "-q").out == f"{added['id']}\n"
    assert run("extension", "rm", "no-such", "--context", context).code == 4
    assert run("extension", "rm", added["id"], "--context", context).code == 0
    assert run("extension", "ls", "--context", context).err == "no extensions\n"
    assert run("extension", "add", "missing.zip", "--context", context).code == 4
    run("context", "rm", context, "--yes")


# --- settings ---------------------------------------------------------------------------------------------------------


def test_profiles(agb: AGB, run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    key = os.environ["AGB_API_KEY"]
    monkeypatch.delenv("AGB_API_KEY")
    monkeypatch.delenv("AGB_ENDPOINT")
    endpoint = agb.settings.endpoint.value
    assert run("ls").code == 2
    assert run("config", "set", "--profile", "local", "--endpoint", endpoint, stdin=f"{key}\n".encode()).code == 0
    [file] = (tmp_path / "config").rglob("profiles.json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert run("ls", "--profile", "local").code == 0
    monkeypatch.setenv("AGB_PROFILE", "local")
    assert run("ls").code == 0
    shown = run("config", "show", "--json")
    assert {row["name"]: row["source"] for row in shown.data} == {
        "endpoint": "profile local",
        "api_key": "profile local",
        "timeout_ms": "default",
    }
    assert key not in shown.out + run("config", "ls").out
    (tmp_path / ".env").write_text("AGB_API_KEY=ako-wrong\n")
    assert run("ls").code == 3  # the key of .env precedes that of the profile
    monkeypatch.setenv("AGB_API_KEY", key)
    assert run("ls").code == 0
    assert run("ls", "--api-key", "ako-wrong").code == 3
    monkeypatch.delenv("AGB_API_KEY")
    (tmp_path / ".env").unlink()
    typo = run("ls", "--profile", "typo")
    assert (typo.code, "there is no profile 'typo'" in typo.err) == (2, True)
    assert run("config", "rm", "--yes").code == 0
    assert run("ls").code == 2


def test_doctor(agb: AGB, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    well = run("doctor")
    assert well.code == 0
    assert os.environ["AGB_API_KEY"] not in well.out
    assert "answers in" in well.out
    monkeypatch.setenv("PATH", "/nowhere")
    checks = {check["name"]: check for check in run("doctor", "--json").data}
    assert checks["program bubblewrap"]["ok"] is False
    assert checks["program bubblewrap"]["remedy"] == "apt install bubblewrap"
    assert run("doctor", "--strict").code == 1
    ill = run("doctor", "--endpoint", "http://127.0.0.1:9")
    assert ill.code == 1
    assert "MISSING service" in ill.out
    assert "Python" in ill.out
    short = run("doctor", "--quiet", "--endpoint", "http://127.0.0.1:9")
    assert "MISSING service" in short.out
    assert "Python" not in short.out


def test_doctor_reports_profiles_that_cannot_be_read(run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AGB_API_KEY", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "agb").mkdir()
    (tmp_path / "agb" / "profiles.json").write_text("{broken")
    ran = run("doctor")
    assert ran.code == 1
    assert "MISSING settings" in ran.out
    assert "extra local" in ran.out


def test_profile_that_cannot_be_stored(run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    ran = run("config", "set", "--api-key", "ako-key")
    assert (ran.code, ran.err.count("\n")) == (1, 1)
    assert "Not a directory; XDG_CONFIG_HOME names another" in ran.err


# --- errors, forms ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["nosuch"], 2, "there is no command 'nosuch'"),
        (["session", "infp"], 2, "did you mean info?"),
        (["ls", "--labels", "a=b"], 2, "--label"),
        (["ls", "--label", "a"], 2, "'a' is not a label: key=value"),
        (["ls", "--timeout", "soon"], 2, "not a time above zero"),
        (["run"], 2, "give a file"),
        (["run", "missing.py"], 4, "cannot read 'missing.py': No such file"),
        (["run", "."], 2, "cannot read '.': Is a directory"),
        (["rm"], 2, "name sessions"),
        (["exec", "s-1"], 2, "COMMAND"),
        (["exec", "s-1", "ls", "-a"], 2, "has no option -a; write '--' before the command"),
        (["logs", "s-1", "no/id"], 4, "there is no process 'no/id'"),
        (["extension", "add", "no.zip"], 4, "there is no extension to upload at 'no.zip'"),
        (["session", "info", "s-1"], 4, "no session 's-1'"),
        (["exec", "s-1", "--", "true"], 4, "not found"),
        (["session", "create", "--image", "nosuch"], 3, "nosuch"),
        (["ls", "--endpoint", "http://127.0.0.1:9"], 5, "no connection"),
        (["ls", "--endpoint", "ftp://x"], 2, "ftp://"),
        (["gc", "--owner", "typo"], 4, "no session of the owner 'typo'"),
    ],
)
def test_errors_are_one_line_with_a_code(words: list[str], code: int, text: str, agb: AGB, run: Any) -> None:
    ran = run(*words)
    assert (ran.code, ran.out) == (code, "")
    assert text in ran.err
    assert ran.err.count("\n") == 1
    as_json = run(*words[:1], "--json", *words[1:])
    assert as_json.code == code
    assert text in as_json.error["message"]


def test_call_that_takes_too_long(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = Sessions()
    with scripted(sessions) as server:
        monkeypatch.setenv("AGB_API_KEY", "ako-key")
        monkeypatch.setenv("AGB_ENDPOINT", server.endpoint)
        sessions.instead[LIST] = refuse("Busy", "try tomorrow")
        refused = run("ls", "--json")
    assert (refused.code, refused.error["kind"]) == (3, "refused")


def test_options_before_and_behind_a_command_are_the_same(agb: AGB, run: Any) -> None:
    assert json.loads(run("--json", "ls").out)["ok"]
    assert json.loads(run("session", "--json", "ls").out)["ok"]


def test_calls_are_logged_on_request(agb: AGB, run: Any) -> None:
    logged = run("-v", "ls").err
    assert "agb" in logged
    assert os.environ["AGB_API_KEY"] not in logged


def commands(group: Group, prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    import click

    ctx = click.Context(group)
    for name in group.list_commands(ctx):
        found = group.get_command(ctx, name)
        yield (*prefix, name)
        if isinstance(found, Group):
            yield from commands(found, (*prefix, name))


@pytest.mark.parametrize("words", list(commands(root)), ids=" ".join)
def test_help_has_examples(words: tuple[str, ...], run: Any) -> None:
    shown = run(*words, "--help")
    assert shown.code == 0
    assert f"Usage: agb {' '.join(words)}" in shown.out
    assert "agb " in shown.out.partition("Examples:")[2]
    assert "--json" in shown.out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script(shell: str, run: Any) -> None:
    assert "_AGB_COMPLETE" in run("completion", shell).out


def test_words_are_completed(agb: AGB, run: Any, monkeypatch: pytest.MonkeyPatch, shared_session: Session) -> None:
    def complete(line: str) -> list[str]:
        monkeypatch.setenv("_AGB_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
        return [found.partition(",")[2] for found in run().out.split()]

    assert complete("agb q") == ["quickstart"]
    assert complete("agb session st") == ["stats"]
    assert "--label" in complete("agb ls --la")
    assert complete(f"agb exec {shared_session.session_id[:12]}") == [shared_session.session_id]


def test_reader_that_leaves(agb: AGB, shared_session: Session) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "agb", "exec", shared_session.session_id, "--", "yes"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.read(4) == b"y\ny\n"
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait(120) == 141


def test_reader_that_leaves_before_the_help_is_printed() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as closed:
        ended = subprocess.run([sys.executable, "-m", "agb", "ls", "--help"], stdout=closed, stderr=subprocess.PIPE)
    assert (ended.returncode, ended.stderr) == (141, b"")


@pytest.mark.parametrize(("closed", "words"), [(">&-", "exec SESSION -- echo x"), (">&-", "ls"), ("2>&-", "nosuch")])
def test_output_that_is_closed(closed: str, words: str, agb: AGB, shared_session: Session) -> None:
    words = words.replace("SESSION", shared_session.session_id)
    ended = subprocess.run(["sh", "-c", f"{sys.executable} -m agb {words} {closed}"], capture_output=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (2 if words == "nosuch" else 0, b"", b"")


def test_code_that_is_no_text(run: Any) -> None:
    ran = run("run", "-", stdin=b"x = '\xff'")
    assert (ran.code, ran.err) == (2, "agb: the standard input is no text in UTF-8: byte 5 is wrong\n")


def test_command_line_needs_its_packages() -> None:
    program = "import sys; sys.modules['click'] = None; from agb.cli import main; sys.exit(main(['ls']))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "pip install 'agb[cli]'" in ended.stderr


def test_mcp_server_needs_its_package() -> None:
    program = "import sys; sys.modules['mcp'] = None; from agb.cli import main; sys.exit(main(['mcp', '--local']))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "agb: the MCP server needs the extra 'mcp': pip install 'agb[mcp]'\n"


def test_help_imports_little() -> None:
    program = (
        "import sys; from agb.cli import main; main(['--help'])\n"
        "assert not {'httpx', 'rich', 'anyio', 'attr', 'agb._sync', 'agb._async'} & set(sys.modules), sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)


def test_listing_imports_no_command_line_of_httpx(agb: AGB) -> None:
    program = (
        "import sys; from agb.cli import main; assert main(['ls']) == 0\n"
        "assert not {'rich', 'pygments'} & set(sys.modules), sys.modules\n"
        "assert 'httpx._main' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)


def test_environment_file(tmp_path: Path) -> None:
    from agb.cli.serve import _write

    path = tmp_path / ".env"
    path.write_text("OTHER=1\nAGB_API_KEY=old\n")
    _write(path, {"AGB_ENDPOINT": "http://127.0.0.1:1", "AGB_API_KEY": "new"})
    assert path.read_text() == "OTHER=1\nAGB_API_KEY=new\nAGB_ENDPOINT=http://127.0.0.1:1\n"
    _write(tmp_path / "fresh", {"AGB_API_KEY": "key"})
    assert stat.S_IMODE((tmp_path / "fresh").stat().st_mode) == 0o600


def test_standard_input_that_was_replaced(monkeypatch: pytest.MonkeyPatch, agb: AGB, shared_session: Session) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("x"))
    assert main(["exec", shared_session.session_id, "--", "true"]) == 0
