# Generated from tests/_async/test_file_texts.py by tools/unasync.py. Do not edit.
"""Parts of files, edits, searches in files, and several files at once: on the local runtime and on older services."""

from __future__ import annotations

from typing import Any

import pytest

from agb import AGB, Config, CreateSessionParams, ErrorKind, FileMatch, McpTool, Session
from agb.local import LocalServer

pytestmark = [pytest.mark.one_flavour]

PARAMS = CreateSessionParams(image_id="agb-code-space-1")
LIMIT_MS = 60_000
"""Milliseconds for a command of a test; the default of 1,000 is too short on a loaded machine."""


def client(runtime: LocalServer) -> AGB:
    return AGB(runtime.api_key, Config(runtime.endpoint, 30_000))


def routes(agb: AGB, session: Session) -> list[Session]:
    """Return the session by its link, by the API, and as one whose tools have the arguments of the protocol alone."""
    plain = agb.attach(session.ref)
    plain.tool_list = [
        McpTool("write_file", input_schema={"properties": {"path": {}, "content": {}, "mode": {}}}),
        McpTool("edit_file", input_schema={"properties": {"path": {}, "edits": {}, "dryRun": {}}}),
    ]
    return [session, agb.attach(session.ref), plain]


def nowhere() -> Session:
    return AGB("k", Config("http://127.0.0.1:9", 1000)).attach("s-1")


# --- parts of files ----------------------------------------------------------------------------------------------


def test_range_of_bytes(runtime: LocalServer) -> None:
    data = bytes(range(256)) * 20_000  # several chunks
    with client(runtime) as agb, agb.session(PARAMS) as session:
        session.file.write("/tmp/data", data)
        for offset, limit in (
            (0, 0),
            (0, 1),
            (3, 4),
            (1_000_000, 3_000_001),
            (5_119_999, 9),
            (5_120_000, 1),
            (9**9, 5),
        ):
            result = session.file.read("/tmp/data", format="bytes", offset=offset, limit=limit)
            assert (result.success, result.content) == (True, data[offset : offset + limit])
        result = session.file.read("/tmp/data", format="bytes", offset=5_000_000)
        assert (result.content, result.size) == (data[5_000_000:], 120_000)
        result = session.file.read("/proc/self/status", format="bytes", offset=1, limit=4)
        assert result.content == b"ame:"
        result = session.file.read("/tmp/data", format="bytes", offset=7, limit=10, max_size=10)
        assert result.success
        assert not session.file.read("/tmp/data", format="bytes", offset=7, limit=11, max_size=10).success


def test_range_of_lines(runtime: LocalServer) -> None:
    lines = [f"größe {number}\n" for number in range(150_000)]  # more than one chunk
    lines.append("no line break")
    with client(runtime) as agb, agb.session(PARAMS) as session:
        session.file.write("/tmp/text", "".join(lines))
        for offset, limit in ((0, 1), (2, 3), (70_000, 50_000), (149_999, 5), (150_001, 3), (4, 0)):
            result = session.file.read("/tmp/text", offset=offset, limit=limit)
            assert (result.success, result.content) == (True, "".join(lines[offset : offset + limit]))
        assert session.file.read("/tmp/text", offset=149_999).content == "".join(lines[149_999:])
        session.file.write("/tmp/text", b"one\ntwo\n\xff\n")
        assert session.file.read("/tmp/text", limit=2).content == "one\ntwo\n"
        result = session.file.read("/tmp/text", offset=1)
        assert result.error is not None
        assert result.error.extra["offset"] == 8


@pytest.mark.one_event_loop
@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"offset": -1}, ValueError),
        ({"limit": -1}, ValueError),
        ({"offset": 1.0}, TypeError),
        ({"offset": None}, TypeError),
        ({"limit": True}, TypeError),
    ],
)
def test_bad_ranges(arguments: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        nowhere().file.read("/a", **arguments)


# --- writing -----------------------------------------------------------------------------------------------------


@pytest.mark.one_event_loop
def test_directories_above_a_file_are_made(runtime: LocalServer) -> None:
    with client(runtime) as agb, agb.session(PARAMS) as session:
        for number, one in enumerate(routes(agb, session)):
            result = one.file.write(f"/tmp/w{number}/b/c.txt", "text")
            assert result.error is not None
            assert result.error.kind is ErrorKind.NOT_FOUND
            for name, content in (("c.txt", "text"), ("d/e.bin", b"\xff" * 3_000_000)):
                assert one.file.write(f"/tmp/w{number}/b/{name}", content, parents=True).success
            assert one.file.write(f"/tmp/w{number}/x/y", "a", "append", parents=True).success
            assert one.file.write_stream(f"/tmp/w{number}/s/t", [b"1", b"2"], parents=True).success
            assert one.file.read(f"/tmp/w{number}/s/t").content == "12"
            assert one.file.write("in the home.txt", "a", parents=True).success


def test_several_files_and_the_error_of_each(runtime: LocalServer) -> None:
    files: list[tuple[str, str | bytes]] = [
        ("/tmp/n/1", "one"),
        ("/proc/2", b"two"),
        ("/tmp", b"3"),
        ("/tmp/n/4", b"\xff"),
        ("/usr/5", "5"),
    ]
    files += [(f"/tmp/n/more/{number}", str(number)) for number in range(8)]
    with client(runtime) as agb, agb.session(PARAMS) as session:
        result = session.file.write_batch(files, parents=True)
        assert not result.success
        assert [error is None for error in result.errors] == [True, False, False, True, False, *[True] * 8]
        assert result.errors[2] is not None
        assert result.errors[2].kind is ErrorKind.IS_A_DIRECTORY
        assert "3 of 13 files could not be written; /proc/2: " in result.error_message
        assert session.file.read("/tmp/n/4", format="bytes").content == b"\xff"
        assert session.file.read("/tmp/n/more/7").content == "7"
        assert session.file.write_batch([]).success
        result = session.file.write_batch([("/tmp/t", "1"), ("/tmp/t", "2")])
        assert (result.success, result.errors) == (True, [None, None])
        assert session.file.read("/tmp/t").content == "2"
    for bad, error in ((["ab"], TypeError), ("ab", TypeError), ([("", "")], ValueError), ([("/a", 1)], TypeError)):
        with pytest.raises(error):
            nowhere().file.write_batch(bad)  # type: ignore[arg-type]


# --- kinds -------------------------------------------------------------------------------------------------------


def test_kinds_of_failures(runtime: LocalServer) -> None:
    prepare = "mkdir -p /tmp/d/locked; echo a >/tmp/d/file; touch /tmp/d/secret; chmod 0 /tmp/d/locked /tmp/d/secret"
    with client(runtime) as agb, agb.session(PARAMS) as session:
        session.command.execute(prepare, LIMIT_MS, check=True)
        file = session.file
        failures: dict[ErrorKind, list[Any]] = {
            ErrorKind.NOT_FOUND: [file.read("/tmp/permission denied"), file.list("/tmp/is a directory")],
            ErrorKind.PERMISSION_DENIED: [
                file.read("/tmp/d/secret"),
                file.write("/tmp/d/locked/not found", "a"),
                file.write("/tmp/d/secret", b"\xff" * 3_000_000),
                file.list("/tmp/d/locked"),
            ],
            ErrorKind.IS_A_DIRECTORY: [
                file.read("/tmp/d"),
                file.write("/tmp/d", "a"),
                file.write("/tmp/d", b"\xff" * 3_000_000),
                file.edit("/tmp/d", [{"oldText": "a", "newText": "b"}]),
                file.remove("/tmp/d"),
            ],
            ErrorKind.NOT_A_DIRECTORY: [
                file.list("/tmp/d/file"),
                file.read("/tmp/d/file/a"),
                file.mkdir("/tmp/d/file/a"),
            ],
            ErrorKind.EXISTS: [file.mkdir("/tmp/d/file"), file.move("/tmp/d/secret", "/tmp/d/file")],
        }
        for kind, results in failures.items():
            for result in results:
                assert result.error is not None
                assert (result.error.kind, kind.is_refusal) == (kind, True), result.error


# --- edits -------------------------------------------------------------------------------------------------------


def test_edit_of_exactly_one_occurrence(runtime: LocalServer) -> None:
    with client(runtime) as agb, agb.session(PARAMS) as session:
        for one in routes(agb, session):
            one.file.write("/tmp/e", "größe one two two")
            edits = [{"oldText": "größe", "newText": "größer"}, {"oldText": "two", "newText": "2"}]
            result = one.file.edit("/tmp/e", edits, replace_all=False)
            assert result.error is not None
            assert result.error.extra["occurrences"] == 2
            assert "edits[1] is in the file 2 times" in result.error_message
            assert one.file.read("/tmp/e").content == "größe one two two"
            result = one.file.edit("/tmp/e", edits, True, replace_all=True)
            assert (result.success, result.replacements) == (True, [1, 2])
            assert one.file.read("/tmp/e").content == "größe one two two"
            result = one.file.edit("/tmp/e", edits, replace_all=True)
            assert (result.success, result.data, result.replacements) == (True, True, [1, 2])
            assert one.file.read("/tmp/e").content == "größer one 2 2"
            result = one.file.edit("/tmp/e", edits[1:], replace_all=False)
            assert result.error is not None
            assert result.error.extra["occurrences"] == 0
            assert one.file.edit("/tmp/e", [{"oldText": "one", "newText": ""}], replace_all=False).success
            missing = one.file.edit("/tmp/none", edits, replace_all=True)
            assert missing.error is not None
            assert missing.error.kind is ErrorKind.NOT_FOUND
    with pytest.raises(ValueError, match="is empty"):
        nowhere().file.edit("/a", [{"oldText": "", "newText": "b"}], replace_all=True)
    with pytest.raises(TypeError, match="replace_all"):
        nowhere().file.edit("/a", [], replace_all=1)  # type: ignore[arg-type]


# --- searching ---------------------------------------------------------------------------------------------------


def test_grep(runtime: LocalServer) -> None:
    files: dict[str, str | bytes] = {
        "/tmp/g/a.py": "x = 1\ny = 'größe'\n",
        "/tmp/g/sub/b.py": "X = 2",
        "/tmp/g/sub/new\nline.txt": "x = 3\n\n$x (.*)\n",
        "/tmp/g/binary": b"x = \0\xff",
    }
    with client(runtime) as agb, agb.session(PARAMS) as session:
        assert session.file.write_batch([*files.items()], parents=True).success
        found = session.file.grep("x = ", "/tmp/g")
        odd = "/tmp/g/sub/new\nline.txt"
        assert found.matches == [FileMatch("/tmp/g/a.py", 1, "x = 1"), FileMatch(odd, 1, "x = 3")]
        assert not found.truncated

        def texts(pattern: str, path: str = "/tmp/g", **options: Any) -> list[str]:
            found = session.file.grep(pattern, path, **options)
            return [match.text for match in found.raise_for_error().matches]

        assert texts("$x (.*)") == ["$x (.*)"]
        assert texts("^[xX] = [12]$", regex=True) == ["x = 1", "X = 2"]
        assert texts("GRÖSSE") == []
        assert texts("GRÖßE", ignore_case=True) == ["y = 'größe'"]
        assert texts("=", glob="*.py") == ["x = 1", "y = 'größe'", "X = 2"]
        assert texts("=", glob="sub/*.py") == ["X = 2"]
        assert texts("=", glob="**/*.py") == ["x = 1", "y = 'größe'", "X = 2"]
        assert texts("=", glob="sub/[a-b].py") == ["X = 2"]
        assert texts("=", "/tmp/g/a.py") == ["x = 1", "y = 'größe'"]
        assert texts("-v", "/tmp/g") == []
        found = session.file.grep("=", "/tmp/g", max_matches=2)
        assert found.truncated
        assert len(found.matches) <= 2
        found = session.file.grep("=", "/tmp/g", glob="*.py", max_matches=3)
        assert (len(found.matches), found.truncated) == (3, False)


@pytest.mark.one_event_loop
def test_grep_of_many_lines(runtime: LocalServer) -> None:
    with client(runtime) as agb, agb.session(PARAMS) as session:
        session.command.execute("seq 30000 >numbers", LIMIT_MS, check=True)
        found = session.file.grep("1", "numbers", max_matches=None)
        assert found.matches[-1] == FileMatch("numbers", 30_000 - 9, "29991")
        assert len(session.file.grep("", max_matches=None).matches) == 30_000
        assert len(session.file.grep("", ".").matches) == 10_000


def test_grep_that_fails(runtime: LocalServer) -> None:
    with client(runtime) as agb, agb.session(PARAMS) as session:
        missing = session.file.grep("a", "/tmp/none")
        assert missing.error is not None
        assert missing.error.kind is ErrorKind.NOT_FOUND
        assert "grep: " in session.file.grep("(", "/tmp", regex=True).error_message
    wrong: list[dict[str, Any]] = [
        {"pattern": "a\nb"},
        {"pattern": "a", "glob": ""},
        {"pattern": "a", "max_matches": -1},
    ]
    for arguments in wrong:
        with pytest.raises(ValueError, match=r"."):
            nowhere().file.grep(**arguments)
