"""The facade of a session for adapters: programs and files, byte for byte, with errors that are raised."""

from __future__ import annotations

import pytest

from agb import AGBError, AsyncAGB, CommandError, Config, CreateSessionParams, ErrorKind, FileError, FileMatch
from agb._async.sandbox import AsyncSandbox
from agb.local import LocalServer

pytestmark = pytest.mark.anyio

PARAMS = CreateSessionParams(image_id="agb-code-space-1")


def client(runtime: LocalServer) -> AsyncAGB:
    return AsyncAGB(runtime.api_key, Config(runtime.endpoint, 30_000))


async def test_programs_in_the_directory_of_the_sandbox(runtime: LocalServer) -> None:
    async with client(runtime) as agb, agb.session(PARAMS) as session:
        sandbox = AsyncSandbox(session, cwd="/tmp", output_limit=6)
        await sandbox.write("sub/in", b"\xff\n")
        outcome = await sandbox.exec("pwd; cat in; echo $A >&2; cat >&2; exit 2", cwd="sub", env={"A": "b"}, stdin="c")
        assert (outcome.exit_code, outcome.stdout, outcome.stderr) == (2, b"/tmp/s", b"b\nc")
        assert (outcome.truncated, outcome.timed_out) == (True, False)
        assert (await sandbox.exec(["pwd"])).stdout == b"/tmp\n"
        assert (await sandbox.exec(["cat", "sub/in"], output_limit=1)).stdout == b"\xff"
        assert (await sandbox.exec("sleep 600", timeout=0.2)).timed_out
        assert (await AsyncSandbox(session, user="root").exec(["id", "-u"])).stdout == b"0\n"
        assert (await sandbox.exec(["id", "-u"], user="root")).stdout == b"0\n"
        with pytest.raises(CommandError) as caught:
            await sandbox.exec("true", cwd="missing")
        assert caught.value.kind is ErrorKind.NOT_FOUND
        assert session.session_id in repr(sandbox)


async def test_files(runtime: LocalServer) -> None:
    data = bytes(range(256)) * 5000
    async with client(runtime) as agb, agb.session(PARAMS) as session:
        sandbox = AsyncSandbox(session, cwd="/tmp")
        await sandbox.write("f/g/data", data)
        await sandbox.write("/tmp/f/text", "one\ntwo two\n")
        assert await sandbox.read("f/g/data") == data
        assert await sandbox.read("/tmp/f/g/data", offset=300, limit=1_000_000) == data[300:1_000_300]
        with pytest.raises(FileError, match="2 times") as caught:
            await sandbox.edit("f/text", "two", "2")
        assert caught.value.extra["occurrences"] == 2
        assert await sandbox.edit("f/text", "two", "2", replace_all=True) == 2
        assert await sandbox.edit("f/text", "one", "1") == 1
        assert await sandbox.read("f/text") == b"1\n2 2\n"
        await sandbox.write("f/new\nline", b"")
        entries = await sandbox.list("f")
        assert [(entry.name, entry.path, entry.is_dir) for entry in entries] == [
            ("g", "/tmp/f/g", True),
            ("new\nline", "/tmp/f/new\nline", False),
            ("text", "/tmp/f/text", False),
        ]
        assert entries[2].size == 6
        assert entries[2].modified > 1.7e9
        assert await sandbox.glob("f/t*") == ["/tmp/f/text"]
        assert await sandbox.glob("**/data", "f") == ["/tmp/f/g/data"]
        assert await sandbox.grep("2") == [FileMatch("/tmp/f/text", 2, "2 2")]
        assert await sandbox.grep("[12]$", "f", glob="t*", regex=True, max_matches=5) == [
            FileMatch("/tmp/f/text", 1, "1"),
            FileMatch("/tmp/f/text", 2, "2 2"),
        ]
        with pytest.raises(FileError) as caught:
            await sandbox.list("f/text")
        assert caught.value.kind is ErrorKind.NOT_A_DIRECTORY
        with pytest.raises(FileError) as caught:
            await sandbox.list("none")
        assert caught.value.kind is ErrorKind.NOT_FOUND
        with pytest.raises(FileError) as caught:
            await sandbox.write("f", "")
        assert caught.value.kind is ErrorKind.IS_A_DIRECTORY


async def test_transfers_keep_order_and_report_each_error(runtime: LocalServer) -> None:
    async with client(runtime) as agb, agb.session(PARAMS) as session:
        sandbox = AsyncSandbox(session, cwd="/tmp")
        files = [(f"t/{number}", bytes([number])) for number in range(10)]
        errors = await sandbox.upload([*files[:5], ("/tmp", b""), *files[5:]])
        assert [error is None for error in errors] == [True] * 5 + [False] + [True] * 5
        assert errors[5] is not None
        assert errors[5].kind is ErrorKind.IS_A_DIRECTORY
        contents = await sandbox.download([path for path, _ in files] + ["none"])
        assert contents[:-1] == [data for _, data in files]
        assert isinstance(contents[-1], AGBError)
        assert contents[-1].kind is ErrorKind.NOT_FOUND


@pytest.mark.one_event_loop
async def test_bad_sandboxes(runtime: LocalServer) -> None:
    async with client(runtime) as agb, agb.session(PARAMS) as session:
        with pytest.raises(TypeError, match="cwd"):
            AsyncSandbox(session, cwd=1)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="output_limit"):
            AsyncSandbox(session, output_limit=-1)
        with pytest.raises(TypeError, match="files"):
            await AsyncSandbox(session).upload("ab")  # type: ignore[arg-type]
