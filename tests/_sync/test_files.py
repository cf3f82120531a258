# Generated from tests/_async/test_files.py by tools/unasync.py. Do not edit.
"""Files of a session on the local runtime, on both routes, and with services that answer differently or fail."""

from __future__ import annotations

import base64
import io
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agb import AGB, Config, CreateSessionParams, ErrorKind, FileChangeEvent, FileError, McpTool, Session
from agb._sync._compat.concurrency import gather
from agb.local import LocalServer
from tests.servers import Conversation, Scripted, refuse, scripted, value

PARAMS = CreateSessionParams(image_id="agb-code-space-1")
TOOLS = ("_file", "_directory", "shell", "recursive true")
"""Words of the protocol."""
LIMIT_MS = 60_000
"""Milliseconds for a command of a test; the default of 1,000 is too short on a loaded machine."""


def client(runtime: LocalServer) -> AGB:
    return AGB(runtime.api_key, Config(runtime.endpoint, 30_000))


def routes(agb: AGB, session: Session) -> list[Session]:
    """Return the session by its link, by the API, and as one whose `write_file` takes text alone."""
    plain = agb.attach(session.ref)
    plain.tool_list = [McpTool("write_file", input_schema={"properties": {"path": {}, "content": {}, "mode": {}}})]
    return [session, agb.attach(session.ref), plain]


def nowhere() -> Session:
    return AGB("k", Config("http://127.0.0.1:9", 1000)).attach("s-1")


def left_behind(session: Session) -> str:
    return "ls -A /tmp | grep agb- || true"


# --- all of 0.12 -------------------------------------------------------------------------------------------------


def test_text(runtime: LocalServer) -> None:
    with client(runtime) as agb, agb.session(PARAMS) as session:
        for one in routes(agb, session):
            text = "größer\r\n € 😀 \n"
            assert one.file.write("/tmp/a.txt", text).data is True
            assert one.file.write("/tmp/a.txt", "more", mode="append").success
            result = one.file.read("/tmp/a.txt")
            assert (result.success, result.content) == (True, text + "more")
            assert result.request_id
            assert one.file.write("/tmp/a.txt", "").success
            assert one.file.read("/tmp/a.txt").content == ""


@pytest.mark.one_event_loop
@pytest.mark.one_flavour
def test_characters_are_never_split(runtime: LocalServer) -> None:
    text = "a" + "€😀" * 50_000
    with client(runtime) as agb, agb.session(PARAMS) as session:
        for one in routes(agb, session):
            assert one.file.write("/tmp/big.txt", text).success
            assert one.file.read("/tmp/big.txt").content == text
            assert one.file.write("/tmp/big.txt", text, "append").success
            assert one.file.read("/tmp/big.txt").content == text * 2
            assert one.command.execute(left_behind(one), timeout_ms=LIMIT_MS).stdout == ""


@pytest.mark.one_event_loop
@pytest.mark.one_flavour
def test_any_bytes(runtime: LocalServer) -> None:
    with client(runtime) as agb, agb.session(PARAMS) as session:
        for one in routes(agb, session):
            for size in (0, 1, 1000, 73_729, 400_000):
                data = os.urandom(size)
                assert one.file.write("/tmp/b.bin", data).success
                result = one.file.read("/tmp/b.bin", format="bytes")
                assert (result.content, result.size) == (data, size)
            assert one.file.write("/tmp/b.bin", b"\xff\xfe", "append").success
            assert one.file.read("/tmp/b.bin", format="bytes").content == data + b"\xff\xfe"


@pytest.mark.one_event_loop
def test_names_and_directories(runtime: LocalServer) -> None:
    with client(runtime) as agb, agb.session(PARAMS) as session:
        for one in routes(agb, session):
            file = one.file
            assert file.mkdir("/tmp/d/sub").success
            assert file.write("/tmp/d/123", "x").success
            info = file.info("/tmp/d/123").raise_for_error().file_info
            assert (info["size"], info["isDirectory"]) == (1, False)
            assert file.info("/tmp/d").file_info["isDirectory"] is True
            entries = file.list("/tmp/d").entries
            assert sorted(entries, key=lambda entry: str(entry["name"])) == [
                {"name": "123", "isDirectory": False},
                {"name": "sub", "isDirectory": True},
            ]
            assert file.list("/tmp/d/sub").entries == []
            assert file.move("/tmp/d/123", "/tmp/d/- b").success
            assert file.exists("/tmp/d/- b").data is True
            assert file.exists("/tmp/d/123").data is False
            assert file.search("/tmp/d", "- *").matches == ["/tmp/d/- b"]
            assert file.search("/tmp/d", "*.none").matches == []
            assert file.remove("/tmp/d/- b").success
            assert not file.remove("/tmp/d").success
            assert file.remove("/tmp/d", recursive=True).success
            assert file.exists("/tmp/d").data is False
            assert file.remove("/tmp/d", recursive=True).error.kind is ErrorKind.NOT_FOUND  # type: ignore[union-attr]


@pytest.mark.one_event_loop
def test_edit(runtime: LocalServer) -> None:
    edits = [{"oldText": "two", "newText": "2"}]
    with client(runtime) as agb, agb.session(PARAMS) as session:
        for one in routes(agb, session):
            assert one.file.write("/tmp/e", "one two").success
            assert one.file.edit("/tmp/e", edits, dry_run=True).success
            assert one.file.read("/tmp/e").content == "one two"
            assert one.file.edit("/tmp/e", edits).success
            assert one.file.read("/tmp/e").content == "one 2"


@pytest.mark.one_event_loop
def test_several_files_keep_what_they_hold(runtime: LocalServer) -> None:
    contents = {"/tmp/a: b": "---\n", "/tmp/c": "\n\n---\n/tmp/x: y\n\n", "/tmp/e": "", "/tmp/f": " x ", "/tmp/g": "7"}
    with client(runtime) as agb, agb.session(PARAMS) as session:
        for one in routes(agb, session):
            for path, text in contents.items():
                assert one.file.write(path, text).success
            result = one.file.read_batch([*contents, "/tmp/c"])
            assert (result.success, result.contents, result.errors) == (True, contents, {})
            result = one.file.read_batch(["/tmp/no", "/tmp/c", "/tmp"])
            assert (result.success, result.contents) == (False, {"/tmp/c": contents["/tmp/c"]})
            assert list(result.errors) == ["/tmp/no", "/tmp"]
            with pytest.raises(FileError, match="/tmp/no"):
                result.raise_for_error()
            assert one.file.read_batch([]).success


@pytest.mark.one_event_loop
def test_files_that_do_not_know_their_size(runtime: LocalServer) -> None:
    with client(runtime) as agb, agb.session(PARAMS) as session:
        result = session.file.read("/proc/self/status")
        assert "Name:" in result.content


# --- streams -----------------------------------------------------------------------------------------------------


def test_streams(runtime: LocalServer) -> None:
    data = os.urandom(700_001)
    reports: list[Any] = []

    def chunks() -> Iterator[bytes]:
        for start in range(0, len(data), 99_999):
            yield data[start : start + 99_999]

    with client(runtime) as agb, agb.session(PARAMS) as session:
        for one in routes(agb, session):
            written = one.file.write_stream("/tmp/s", chunks(), progress=lambda *args: reports.append(args))
            assert written.success, written
            assert reports[-1] == (len(data), None)
            reports.clear()
            with one.file.read_stream("/tmp/s", 100_000, progress=lambda *args: reports.append(args)) as stream:
                assert stream.size == len(data)
                got = [bytes(chunk) for chunk in stream]
            assert [len(chunk) for chunk in got] == [100_000] * 7 + [1]
            assert b"".join(got) == data
            assert reports[-1] == (len(data), len(data))
            assert one.file.write_stream("/tmp/s", []).success
            assert one.file.info("/tmp/s").file_info["size"] == 0


def test_chunks_that_end_in_an_exception_change_nothing(runtime: LocalServer) -> None:
    def chunks() -> Iterator[bytes]:
        yield bytes(500_000)
        raise RuntimeError("the source broke")

    with client(runtime) as agb, agb.session(PARAMS) as session:
        for one in routes(agb, session):
            assert one.file.write("/tmp/s", "old").success
            with pytest.raises(RuntimeError, match="the source broke"):
                one.file.write_stream("/tmp/s", chunks())
            with pytest.raises(TypeError, match="chunks must be an iterable of bytes, not of str"):
                one.file.write_stream("/tmp/s", ["text"])  # type: ignore[list-item]
            assert one.file.read("/tmp/s").content == "old"
            assert one.command.execute(left_behind(one), timeout_ms=LIMIT_MS).stdout == ""


@pytest.mark.one_event_loop
def test_stream_that_is_left(runtime: LocalServer) -> None:
    with client(runtime) as agb, agb.session(PARAMS) as session:
        assert session.file.write("/tmp/s", bytes(50_000)).success
        with session.file.read_stream("/tmp/s", 1000) as stream:
            for chunk in stream:
                assert len(chunk) == 1000
                break
        assert stream.receive() == b""


# --- whole directories ---------------------------------------------------------------------------------------------


def test_directories_there_and_back(runtime: LocalServer, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "sub" / "empty").mkdir(parents=True)
    (source / "sub" / "größe \n x").write_bytes(os.urandom(100_000))
    (source / "run.sh").write_text("#!/bin/sh\n")
    (source / "run.sh").chmod(0o755)
    (source / "link").symlink_to("run.sh")
    (source / ("n" * 150)).write_text("long")
    os.mkfifo(source / "pipe")
    reports: list[int] = []
    with client(runtime) as agb, agb.session(PARAMS) as session:
        for number, one in enumerate(routes(agb, session)):
            sent = one.file.upload_dir(source, "/tmp/up/here", progress=lambda done, total: reports.append(done))
            assert sent.success, sent
            target = tmp_path / f"target{number}"
            got = one.file.download_dir("/tmp/up/here", target, progress=lambda done, total: reports.append(done))
            assert got.success, got
            assert tree(target) == {name: content for name, content in tree(source).items() if name != "pipe"}
            assert (target / "run.sh").stat().st_mode & 0o111
            assert one.command.execute(left_behind(one), timeout_ms=LIMIT_MS).stdout == ""
    assert reports[-1] > 100_000


def tree(root: Path) -> dict[str, Any]:
    def content(path: Path) -> Any:
        if path.is_symlink():
            return path.readlink()
        return path.read_bytes() if path.is_file() else path.is_dir()

    return {str(path.relative_to(root)): content(path) for path in root.rglob("*")}


@pytest.mark.one_event_loop
def test_directories_that_cannot_be_copied(runtime: LocalServer, tmp_path: Path) -> None:
    with client(runtime) as agb, agb.session(PARAMS) as session:
        result = session.file.download_dir("/tmp/none", tmp_path / "t")
        assert result.error is not None
        assert result.error.kind is ErrorKind.NOT_FOUND
        assert not (tmp_path / "t").exists()
        with pytest.raises(ValueError, match="is none"):
            session.file.upload_dir(tmp_path / "none", "/tmp/x")
        (tmp_path / "file").touch()
        with pytest.raises(ValueError, match="is a file"):
            session.file.download_dir("/tmp", tmp_path / "file")


@pytest.mark.one_event_loop
def test_all_comes_but_for_what_cannot(runtime: LocalServer, tmp_path: Path) -> None:
    """In both directions; the exceptions are named."""
    make = (
        "mkdir -p /tmp/d/closed /tmp/d/sub && cd /tmp/d && touch a z sub/b closed/c 'sec: Cannot open: ret' &&"
        " ln -s /usr/bin/python3 python && ln -s ../elsewhere up && chmod 000 closed sec* && chmod 755 a && mkfifo pipe"
    )
    with client(runtime) as agb, agb.session(PARAMS) as session:
        session.command.execute(make, timeout_ms=LIMIT_MS).raise_for_error()
        got = session.file.download_dir("/tmp/d", tmp_path / "copy")
        assert not got.success
        assert sorted(one.remote_path for one in got.failures) == ["/tmp/d/closed", "/tmp/d/sec: Cannot open: ret"]
        assert "Permission denied" in str(got.failures[0].error)
        assert "closed" in got.error_message
        assert got.error is got.failures[0].error
        names = {str(path.relative_to(tmp_path / "copy")) for path in (tmp_path / "copy").rglob("*")}
        assert (
            {"a", "z", "sub", "sub/b", "python", "up"} <= names <= {"a", "z", "sub", "sub/b", "python", "up", "closed"}
        )
        assert (tmp_path / "copy" / "python").readlink() == Path("/usr/bin/python3")

        blocked = "mkdir -p /tmp/up/z /tmp/up/sub && touch /tmp/up/z/full && chmod 555 /tmp/up/sub"
        session.command.execute(blocked, timeout_ms=LIMIT_MS).raise_for_error()
        sent = session.file.upload_dir(tmp_path / "copy", "/tmp/up")
        assert sorted(one.remote_path for one in sent.failures) == ["/tmp/up/sub/b", "/tmp/up/z"]
        links = session.command.execute("readlink python up; stat -c %a a", LIMIT_MS, cwd="/tmp/up")
        assert links.stdout == "/usr/bin/python3\n../elsewhere\n755\n"
        assert session.command.execute(left_behind(session), timeout_ms=LIMIT_MS).stdout == ""


@pytest.mark.one_event_loop
def test_directory_that_is_too_large(runtime: LocalServer, tmp_path: Path) -> None:
    with client(runtime) as agb, agb.session(PARAMS) as session:
        make = "mkdir /tmp/d; truncate -s 500M /tmp/d/sparse"
        session.command.execute(make, timeout_ms=LIMIT_MS).raise_for_error()
        got = session.file.download_dir("/tmp/d", tmp_path / "copy", max_size=1_000_000)
        assert "1,000,000 bytes" in got.error_message
        assert got.failures == []
        assert not (tmp_path / "copy").exists()
        assert session.command.execute(left_behind(session), timeout_ms=LIMIT_MS).stdout == ""


@pytest.mark.one_event_loop
def test_file_of_this_machine_that_cannot_be_read(
    runtime: LocalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Path.open

    def refuse_secret(path: Path, *args: Any, **more: Any) -> Any:
        if path.name == "secret":
            raise PermissionError(13, "Permission denied")
        return opened(path, *args, **more)

    monkeypatch.setattr(Path, "open", refuse_secret)
    source = tmp_path / "source"
    source.mkdir()
    for name in ("a", "secret", "z"):
        (source / name).touch()
    with client(runtime) as agb, agb.session(PARAMS) as session:
        sent = session.file.upload_dir(source, "/tmp/up")
        assert [(one.local_path, one.remote_path) for one in sent.failures] == [
            (str(source / "secret"), "/tmp/up/secret")
        ]
        assert "secret (Permission denied)" in sent.error_message
        assert [entry["name"] for entry in session.file.list("/tmp/up").entries] == ["a", "z"]


# --- what has no end ---------------------------------------------------------------------------------------------


@pytest.mark.one_event_loop
def test_what_has_no_end_is_not_read(runtime: LocalServer) -> None:
    with client(runtime) as agb, agb.session(PARAMS) as session:
        make = "cd /tmp; ln -s /dev/zero result; mkfifo pipe; ln -s pipe to-pipe; echo x >file; ln -s file good"
        session.command.execute(make, timeout_ms=LIMIT_MS).raise_for_error()
        for one in routes(agb, session):
            for path in ("/dev/zero", "/tmp/result", "/tmp/pipe", "/tmp/to-pipe", "/dev/null"):
                result = one.file.read(path, format="bytes")
                assert "is not a regular file" in result.error_message
                with pytest.raises(FileError, match="not a regular file"):
                    with one.file.read_stream(path):
                        pass
            batch = one.file.read_batch(["/tmp/result", "/tmp/good"])
            assert (batch.contents, list(batch.errors)) == ({"/tmp/good": "x\n"}, ["/tmp/result"])


@pytest.mark.one_event_loop
def test_limit_on_the_size(runtime: LocalServer) -> None:
    with client(runtime) as agb, agb.session(PARAMS) as session:
        file = session.file
        for name in "ab":
            file.write(f"/tmp/{name}", name * 1_000).raise_for_error()
        assert file.read("/tmp/a", max_size=1_000).success
        assert "999 bytes" in file.read("/tmp/a", max_size=999).error_message
        assert file.read_batch(["/tmp/a", "/tmp/b"], max_size=2_000).success
        batch = file.read_batch(["/tmp/a", "/tmp/b"], max_size=1_999)
        assert "1,999 bytes" in batch.error_message
        with file.read_stream("/tmp/a", 300, max_size=None) as stream:
            assert len(stream.read()) == 1_000


def test_file_that_grows_without_end() -> None:
    """A service that reports a small size and returns data for ever."""
    endless = {
        "get_file_info": "size: 10\nisDirectory: false",
        "read_file": lambda args: base64.b64encode(bytes(args["length"])).decode(),
    }
    with scripted(tools(endless)) as server:
        with attached(server) as session:
            assert "5,000,000 bytes" in session.file.read("/f", max_size=5_000_000).error_message
            late = session.file.read("/f", max_size=None, timeout=0.2)
    assert late.error is not None
    assert late.error.kind is ErrorKind.TIMED_OUT


# --- files of this machine ---------------------------------------------------------------------------------------


@pytest.mark.one_event_loop
def test_write_stream_takes_files(runtime: LocalServer, tmp_path: Path) -> None:
    data = os.urandom(3_000_000)
    (tmp_path / "a").write_bytes(data)
    reports: list[Any] = []
    with client(runtime) as agb, agb.session(PARAMS) as session:
        file = session.file
        sent = file.write_stream("/tmp/a", tmp_path / "a", progress=lambda done, total: reports.append(total))
        assert sent.success
        assert reports[-1] == len(data)
        with (tmp_path / "a").open("rb") as opened:
            assert file.write_stream("/tmp/b", opened).success
            assert not opened.closed
        assert file.write_stream("/tmp/c", io.BytesIO(data)).success
        for name in "abc":
            assert file.read(f"/tmp/{name}", format="bytes").content == data
        for missing in (tmp_path / "none", tmp_path, Path("/dev/zero")):
            assert "cannot read" in file.write_stream("/tmp/d", missing).error_message
        with pytest.raises(TypeError, match="not of str"):
            file.write_stream("/tmp/d", io.StringIO("text"))  # type: ignore[arg-type]
        assert sorted(entry["name"] for entry in file.list("/tmp").entries if len(entry["name"]) == 1) == [*"abc"]


# --- finding -----------------------------------------------------------------------------------------------------


@pytest.mark.one_event_loop
@pytest.mark.one_flavour
def test_pattern_that_matches_very_many_files(runtime: LocalServer) -> None:
    make = "mkdir /tmp/many && cd /tmp/many && seq -f 'file-with-a-rather-long-name-%06g' 6000 | xargs touch"
    with client(runtime) as agb, agb.session(PARAMS) as session:
        assert session.command.execute(make, 30_000).success
        found = session.file.glob("/tmp/many/*-0*")
        assert found.success
        assert len(found.matches) == 6_000
        assert found.matches[6] == "/tmp/many/file-with-a-rather-long-name-000007"
        assert session.file.glob("/tmp/many/none*").matches == []
        assert session.command.execute("ls /tmp/tmp.* 2>/dev/null | wc -l", timeout_ms=LIMIT_MS).stdout == "0\n"


# --- watching ----------------------------------------------------------------------------------------------------


def test_watch(runtime: LocalServer) -> None:
    with client(runtime) as agb, agb.session(PARAMS) as session:
        for number, one in enumerate(routes(agb, session)):
            path = f"/tmp/watched{number}"
            assert one.file.mkdir(path).success
            assert one.file.write(f"{path}/before", "x").success
            seen: list[FileChangeEvent] = []
            with one.file.watch(path, interval=0.02) as changes:
                assert changes.poll() == []
                assert one.file.write(f"{path}/a", "x").success
                for batch in changes:
                    assert batch
                    seen += batch
                    if any(event.event_type == "modify" for event in seen):
                        break
                assert one.file.remove(f"{path}/a").success
                assert any(event.is_deletion for event in changes.receive())
            assert seen[0] == FileChangeEvent("create", f"{path}/a", "file")
            assert not [event for event in seen if "before" in event.path]


@pytest.mark.one_event_loop
def test_watching_what_is_not_there(runtime: LocalServer) -> None:
    with client(runtime) as agb, agb.session(PARAMS) as session:
        with pytest.raises(FileError):
            with session.file.watch("/tmp/none"):
                pass


# --- bad input ---------------------------------------------------------------------------------------------------


@pytest.mark.one_event_loop
def test_errors_use_the_words_of_the_methods(runtime: LocalServer) -> None:
    with client(runtime) as agb, agb.session(PARAMS) as session:
        for one in (session, agb.attach(session.ref)):
            file = one.file
            failures: dict[str, Any] = {
                "Could not read '/none': not found": file.read("/none"),
                "Could not list '/none': not found": file.list("/none"),
                "Could not create the directory '/proc/x/y'": file.mkdir("/proc/x/y"),
                "Could not get the properties of '/none': not found": file.info("/none"),
                "Could not remove '/none'": file.remove("/none"),
                "Could not remove '/tmp': it is a directory; recursive=True": file.remove("/tmp"),
                "Could not remove '/none': rm: ": file.remove("/none", recursive=True),
                "Could not move '/none' to '/tmp/x': not found": file.move("/none", "/tmp/x"),
                "Could not search '/none': not found": file.search("/none", "x"),
                "Could not edit '/none': not found": file.edit("/none", [{"oldText": "a", "newText": "b"}]),
                "Could not write '/tmp': it is a directory": file.write("/tmp", "x"),
                "Could not append to '/none/x': not found": file.write("/none/x", "x", "append"),
                "Could not write '/none/y': ": file.write("/none/y", b"x" * 200_000),
            }
            for text, result in failures.items():
                assert result.error_message.startswith(text)
                assert not any(tool in result.error_message for tool in TOOLS)
            assert "create it with mkdir" in file.write("/none/x", "x").error_message
        assert session.delete().success
        gone = session.file.read("/tmp/a")
    assert gone.error_message.startswith(f"Could not read '/tmp/a' in session {session.session_id}: ")


@pytest.mark.one_event_loop
def test_what_cannot_be_read(runtime: LocalServer) -> None:
    with client(runtime) as agb, agb.session(PARAMS) as session:
        for one in routes(agb, session):
            result = one.file.read("/tmp")
            assert result.error_message == "Could not read '/tmp': it is a directory"
            for path in ("/tmp/none", "/../none", "/tmp/none/x"):
                missing = one.file.read(path)
                assert isinstance(missing.error, FileError)
                assert missing.error.kind is ErrorKind.NOT_FOUND, missing
            assert one.file.write("/tmp/raw", b"abc\xffdef").success
            result = one.file.read("/tmp/raw")
            assert "0xff at offset 3" in result.error_message
            assert 'format="bytes"' in result.error_message


@pytest.mark.one_event_loop
def test_what_cannot_be_written(runtime: LocalServer) -> None:
    with client(runtime) as agb, agb.session(PARAMS) as session:
        for one in routes(agb, session):
            for content in ("x", b"x", "x" * 60_000, bytes(200_000)):
                for path in ("/tmp", "/none/x"):
                    result = one.file.write(path, content)
                    assert not result.success, (path, content[:1])
                    assert isinstance(result.error, FileError)


def test_deleted_session(runtime: LocalServer, tmp_path: Path) -> None:
    with client(runtime) as agb:
        session = agb.create(PARAMS).raise_for_error().session
        assert session is not None
        assert session.delete().success
        file = session.file
        for one in routes(agb, session):
            file = one.file
            for result in (
                file.read("/tmp/x"),
                file.write("/tmp/x", "x"),
                file.write("/tmp/x", bytes(3_000_000)),
                file.list("/tmp"),
                file.exists("/tmp"),
                file.glob("/tmp/*"),
                file.read_batch(["/tmp/x"]),
                file.upload_dir(tmp_path, "/tmp/x"),
                file.download_dir("/tmp/x", tmp_path / "x"),
            ):
                assert not result.success
                assert result.error is not None
                assert result.error.kind is ErrorKind.NOT_FOUND, result
            with pytest.raises(FileError):
                with file.watch("/tmp"):
                    pass


ARGUMENTS: list[tuple[Callable[[Any], Any], type[Exception]]] = [
    (lambda s: s.file.read(""), ValueError),
    (lambda s: s.file.read(b"/tmp"), TypeError),
    (lambda s: s.file.read("/tmp/a", format="json"), ValueError),
    (lambda s: s.file.read("/tmp/a\0"), ValueError),
    (lambda s: s.file.read("/tmp/\ud800"), ValueError),
    (lambda s: s.file.read("/tmp/a", progress="yes"), TypeError),
    (lambda s: s.file.read("/tmp/a", timeout=0), ValueError),
    (lambda s: s.file.write("/tmp/a", 5), TypeError),
    (lambda s: s.file.write("/tmp/a", "\ud800"), ValueError),
    (lambda s: s.file.write("/tmp/a", "x", timeout=-1), ValueError),
    (lambda s: s.file.write_stream("/tmp/a", b"x"), TypeError),
    (lambda s: s.file.write_stream("/tmp/a", 5), TypeError),
    (lambda s: s.file.read("/tmp/a", max_size=-1), ValueError),
    (lambda s: s.file.read_batch(["/tmp/a"], max_size="1"), TypeError),
    (lambda s: s.file.download("/tmp/a", "a", max_size=-1), ValueError),
    (lambda s: s.file.download_dir("/tmp/a", "a", max_size=1.5), TypeError),
    (lambda s: s.file.edit("/tmp/a", [{"old": "x"}]), ValueError),
    (lambda s: s.file.edit("/tmp/a", "x"), TypeError),
    (lambda s: s.file.search("/tmp", ""), ValueError),
    (lambda s: s.file.search("/tmp", "*", "x"), TypeError),
    (lambda s: s.file.read_batch("/tmp/a"), TypeError),
    (lambda s: s.file.glob(""), ValueError),
    (lambda s: s.file.mkdir(None), TypeError),
    (lambda s: s.file.remove("", recursive=True), ValueError),
    (lambda s: s.file.move("/a", ""), ValueError),
]


def test_unknown_mode_is_a_result_as_in_0_12() -> None:
    session = AGB("k", Config("http://127.0.0.1:9", 1000)).attach("s-1")
    result = session.file.write("/tmp/a", "x", "create")
    assert not result.success
    assert result.error_message == "Invalid write mode: create. Must be 'overwrite' or 'append'."


@pytest.mark.parametrize(("act", "error"), ARGUMENTS)
def test_wrong_arguments(act: Callable[[Any], Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        act(nowhere())


def test_wrong_arguments_of_streams() -> None:
    file = nowhere().file
    for size in (0, -1):
        with pytest.raises(ValueError):
            file.read_stream("/tmp/a", size)
    with pytest.raises(TypeError):
        file.read_stream("/tmp/a", 1.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError):
        file.watch("/tmp", interval=0)


# --- other services ----------------------------------------------------------------------------------------------


def tools(answers: dict[str, Any]) -> Callable[[Conversation], None]:
    """Answer tool calls on the API's route: the text or error of each tool, or its function of the arguments."""

    def act(talk: Conversation) -> None:
        body = json.loads(talk.request.body)
        reply = answers[body["name"]]
        if callable(reply):
            reply = reply(json.loads(body["args"]))
        is_error = isinstance(reply, Exception)
        value({"content": [{"type": "text", "text": str(reply)}], "isError": is_error})(talk)

    return act


@contextmanager
def attached(server: Scripted) -> Iterator[Session]:
    with AGB("k", Config(server.endpoint, 5000)) as agb:
        yield agb.attach("s-1")


def served(data: bytes, most: int = 1 << 30) -> Callable[[dict[str, Any]], str]:
    """Return a `read_file` that returns at most ``most`` bytes per call."""

    def read(args: dict[str, Any]) -> str:
        start = args["offset"]
        return base64.b64encode(data[start : start + min(args["length"], most)]).decode()

    return read


@pytest.mark.parametrize(
    ("size", "most"),
    [(size, most) for most in (1 << 30, 700) for size in (0, 5, 1000, 3000, 9000) if size != 5 or most > 700],
)
def test_any_size_is_read_to_its_end(size: int, most: int) -> None:
    """With any size that a service reports, and any number of bytes that it returns per call."""
    data = os.urandom(3000)
    answers = {"get_file_info": f"size: {size}\nisDirectory: false", "read_file": served(data, most)}
    with scripted(tools(answers)) as server:
        with attached(server) as session, session.file.read_stream("/f", 1000) as stream:
            assert stream.read() == data


def test_file_that_vanishes_between_two_chunks() -> None:
    def read(args: dict[str, Any]) -> Any:
        return base64.b64encode(bytes(1000)).decode() if args["offset"] < 2000 else OSError("File not found: /f")

    answers = {"get_file_info": "size: 5000\nisDirectory: false", "read_file": read}
    with scripted(tools(answers)) as server:
        with attached(server) as session, session.file.read_stream("/f", 1000) as stream:
            got = [stream.receive(), stream.receive()]
            with pytest.raises(FileError, match="File not found") as caught:
                stream.receive()
        assert got == [bytes(1000)] * 2
        assert caught.value.extra["offset"] == 2000
        assert caught.value.kind is ErrorKind.NOT_FOUND


def test_info_without_a_word() -> None:
    with scripted(tools({"get_file_info": ""})) as server:
        with attached(server) as session:
            result = session.file.read("/f")
    assert result.error_message == "Could not read '/f': it does not exist, or has no properties"


def test_service_that_takes_base64() -> None:
    written = bytearray()

    def write(args: dict[str, Any]) -> str:
        assert (args["path"], args["mode"], args["format"]) == ("/t/.n", "append", "binary")
        written.extend(base64.b64decode(args["content"]))
        return "ok"

    schema: dict[str, Any] = {"properties": {"path": {}, "content": {}, "mode": {}, "format": {}}}
    shell = json.dumps({"stdout": "L3QvLm4=\nL3QvZg==", "stderr": "", "exit_code": 0})
    data = os.urandom(2_500_000)
    with scripted(tools({"write_file": write, "shell": shell})) as server:
        with attached(server) as session:
            session.tool_list = [McpTool("write_file", input_schema=schema)]
            assert session.file.write("/t/f", data).success
        named = [json.loads(request.body)["name"] for request in server.requests]
    assert bytes(written) == data
    assert named == ["shell", *["write_file"] * 3, "shell"]


def test_refused_and_failed_calls_are_results() -> None:
    with scripted(refuse("InvalidSession.NotFound", "Resource [Session] is not found")) as server:
        with attached(server) as session:
            result = session.file.info("/f")
        assert isinstance(result.error, FileError)
        assert result.error.kind is ErrorKind.NOT_FOUND
    result = nowhere().file.info("/f")
    assert isinstance(result.error, FileError)
    assert result.error.kind is ErrorKind.UNREACHABLE


def test_time_for_everything_runs_out() -> None:
    data = bytes(100_000)
    answers = {"get_file_info": "size: 100000\nisDirectory: false", "read_file": served(data)}
    with scripted(tools(answers)) as server:
        with attached(server) as session, session.file.read_stream("/f", 1, timeout=0.2) as stream:
            with pytest.raises(FileError) as caught:
                stream.read()
        assert caught.value.kind is ErrorKind.TIMED_OUT


def test_gather_waits_for_all_and_raises_the_first() -> None:
    done: list[int] = []

    def fail() -> int:
        raise KeyError("first")

    def work() -> int:
        done.append(1)
        return 1

    with pytest.raises(KeyError, match="first"):
        gather([fail, work, fail])
    assert done == [1]
    assert gather([work, work]) == [1, 1]
    assert gather([]) == []
