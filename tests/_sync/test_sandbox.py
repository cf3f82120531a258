# Generated from tests/_async/test_sandbox.py by tools/unasync.py. Do not edit.
"""The facade of a session for adapters: programs and files, byte for byte, with errors that are raised."""

from __future__ import annotations

import pytest

from agb import AGB, AGBError, CommandError, Config, CreateSessionParams, ErrorKind, FileError, FileMatch
from agb._sync.sandbox import Sandbox
from agb.local import LocalServer

PARAMS = CreateSessionParams(image_id="agb-code-space-1")


def client(runtime: LocalServer) -> AGB:
    return AGB(runtime.api_key, Config(runtime.endpoint, 30_000))


def test_programs_in_the_directory_of_the_sandbox(runtime: LocalServer) -> None:
    with client(runtime) as agb, agb.session(PARAMS) as session:
        sandbox = Sandbox(session, cwd="/tmp", output_limit=6)
        sandbox.write("sub/in", b"\xff\n")
        outcome = sandbox.exec("pwd; cat in; echo $A >&2; cat >&2; exit 2", cwd="sub", env={"A": "b"}, stdin="c")
        assert (outcome.exit_code, outcome.stdout, outcome.stderr) == (2, b"/tmp/s", b"b\nc")
        assert (outcome.truncated, outcome.timed_out) == (True, False)
        assert sandbox.exec(["pwd"]).stdout == b"/tmp\n"
        assert sandbox.exec(["cat", "sub/in"], output_limit=1).stdout == b"\xff"
        assert sandbox.exec("sleep 600", timeout=0.2).timed_out
        assert Sandbox(session, user="root").exec(["id", "-u"]).stdout == b"0\n"
        assert sandbox.exec(["id", "-u"], user="root").stdout == b"0\n"
        with pytest.raises(CommandError) as caught:
            sandbox.exec("true", cwd="missing")
        assert caught.value.kind is ErrorKind.NOT_FOUND
        assert session.session_id in repr(sandbox)


def test_files(runtime: LocalServer) -> None:
    data = bytes(range(256)) * 5000
    with client(runtime) as agb, agb.session(PARAMS) as session:
        sandbox = Sandbox(session, cwd="/tmp")
        sandbox.write("f/g/data", data)
        sandbox.write("/tmp/f/text", "one\ntwo two\n")
        assert sandbox.read("f/g/data") == data
        assert sandbox.read("/tmp/f/g/data", offset=300, limit=1_000_000) == data[300:1_000_300]
        with pytest.raises(FileError, match="2 times") as caught:
            sandbox.edit("f/text", "two", "2")
        assert caught.value.extra["occurrences"] == 2
        assert sandbox.edit("f/text", "two", "2", replace_all=True) == 2
        assert sandbox.edit("f/text", "one", "1") == 1
        assert sandbox.read("f/text") == b"1\n2 2\n"
        sandbox.write("f/new\nline", b"")
        entries = sandbox.list("f")
        assert [(entry.name, entry.path, entry.is_dir) for entry in entries] == [
            ("g", "/tmp/f/g", True),
            ("new\nline", "/tmp/f/new\nline", False),
            ("text", "/tmp/f/text", False),
        ]
        assert entries[2].size == 6
        assert entries[2].modified > 1.7e9
        assert sandbox.glob("f/t*") == ["/tmp/f/text"]
        assert sandbox.glob("**/data", "f") == ["/tmp/f/g/data"]
        assert sandbox.grep("2") == [FileMatch("/tmp/f/text", 2, "2 2")]
        assert sandbox.grep("[12]$", "f", glob="t*", regex=True, max_matches=5) == [
            FileMatch("/tmp/f/text", 1, "1"),
            FileMatch("/tmp/f/text", 2, "2 2"),
        ]
        with pytest.raises(FileError) as caught:
            sandbox.list("f/text")
        assert caught.value.kind is ErrorKind.NOT_A_DIRECTORY
        with pytest.raises(FileError) as caught:
            sandbox.list("none")
        assert caught.value.kind is ErrorKind.NOT_FOUND
        with pytest.raises(FileError) as caught:
            sandbox.write("f", "")
        assert caught.value.kind is ErrorKind.IS_A_DIRECTORY


def test_transfers_keep_order_and_report_each_error(runtime: LocalServer) -> None:
    with client(runtime) as agb, agb.session(PARAMS) as session:
        sandbox = Sandbox(session, cwd="/tmp")
        files = [(f"t/{number}", bytes([number])) for number in range(10)]
        errors = sandbox.upload([*files[:5], ("/tmp", b""), *files[5:]])
        assert [error is None for error in errors] == [True] * 5 + [False] + [True] * 5
        assert errors[5] is not None
        assert errors[5].kind is ErrorKind.IS_A_DIRECTORY
        contents = sandbox.download([path for path, _ in files] + ["none"])
        assert contents[:-1] == [data for _, data in files]
        assert isinstance(contents[-1], AGBError)
        assert contents[-1].kind is ErrorKind.NOT_FOUND


@pytest.mark.one_event_loop
def test_bad_sandboxes(runtime: LocalServer) -> None:
    with client(runtime) as agb, agb.session(PARAMS) as session:
        with pytest.raises(TypeError, match="cwd"):
            Sandbox(session, cwd=1)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="output_limit"):
            Sandbox(session, output_limit=-1)
        with pytest.raises(TypeError, match="files"):
            Sandbox(session).upload("ab")  # type: ignore[arg-type]
