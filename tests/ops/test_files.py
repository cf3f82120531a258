"""The file tools: the arguments that are sent, and how every answer is read; the scripts run in a real shell."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agb import ErrorKind, FileError, McpTool
from agb._ops.tools import file_archives as archives
from agb._ops.tools import file_listings as listings
from agb._ops.tools import file_scripts as scripts
from agb._ops.tools import files as ops
from agb._ops.tools.file_names import exact_matches, is_odd, shown_forms
from agb._wire.toolcall import ToolCall, ToolReply

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=40).filter(
    lambda name: name not in (".", "..") and len(name.encode()) < 200
)


def reply_of(text: str | None, *, is_error: bool = False) -> ToolReply:
    return ToolReply(text, is_error, "R-1")


# --- texts of the tools ------------------------------------------------------------------------------------------


def test_info_keeps_names_as_they_are() -> None:
    info = ops.parse_info("name: 123\nsize: 1024\nisDirectory: false\nmodified: 1.5\nmode: 0644\npath: /tmp/a: b \n")
    assert info == {
        "name": "123",
        "size": 1024,
        "isDirectory": False,
        "modified": 1.5,
        "mode": "0644",
        "path": "/tmp/a: b ",
    }


def test_info_believes_the_first_of_two() -> None:
    assert ops.parse_info("size: 5\nname: x\nsize: 0")["size"] == 5


def test_entries_keep_their_names() -> None:
    text = "[DIR] a [FILE] b\n[FILE]  leading\n[FILE] trailing \n[FILE]bare\nnoise\n\n"
    assert ops.parse_entries(text) == [
        {"name": "a [FILE] b", "isDirectory": True},
        {"name": " leading", "isDirectory": False},
        {"name": "trailing ", "isDirectory": False},
        {"name": "bare", "isDirectory": False},
    ]


@given(st.lists(st.tuples(NAMES.filter(lambda name: "\n" not in name), st.booleans())))
def test_entries_of_any_name(entries: list[tuple[str, bool]]) -> None:
    text = "\n".join(f"{'[DIR]' if is_directory else '[FILE]'} {name}" for name, is_directory in entries)
    assert [(entry["name"], entry["isDirectory"]) for entry in ops.parse_entries(text)] == entries


def test_matches() -> None:
    assert ops.parse_matches("No matches found") == []
    assert ops.parse_matches(" \n") == []
    assert ops.parse_matches("/a/b\r\n/a/ c \n") == ["/a/b", "/a/ c "]


@pytest.mark.parametrize(
    "text", ["{}", "null", "[", "7", "[" * 100_000, "[5]", '[{"path": "/a"}]', '[{"eventType": 5}]']
)
def test_changes_of_another_shape(text: str) -> None:
    with pytest.raises(FileError) as caught:
        ops.get_file_change("/tmp", session_id="s").read(reply_of(text))
    assert caught.value.kind is ErrorKind.INVALID_ANSWER


def test_changes() -> None:
    text = json.dumps([{"eventType": "create", "path": "/a", "pathType": "file"}, {"EventType": "DESTROY"}])
    result = ops.get_file_change("/tmp", session_id="s").read(reply_of(text))
    assert [event.event_type for event in result.events] == ["create", "DESTROY"]
    assert result.events[1].is_deletion
    assert result.get_created_files() == ["/a"]
    assert result.events[0].from_dict({**result.events[0].to_dict()}) == result.events[0]
    assert result.has_changes()


@given(TEXT)
def test_parsers_take_any_text(text: str) -> None:
    ops.parse_info(text)
    ops.parse_entries(text)
    ops.parse_matches(text)


@given(st.binary())
def test_chunks_are_bytes(data: bytes) -> None:
    call = ops.read_file("/a", 5, 10, session_id="s")
    assert call.args == {"path": "/a", "offset": 5, "length": 10, "format": "binary"}
    assert call.read(reply_of(base64.b64encode(data).decode())).data == data


@pytest.mark.parametrize("text", ["ö", "abc", "YWJj\n", "!!!!"])
def test_chunk_that_is_no_base64(text: str) -> None:
    with pytest.raises(FileError, match="not base64") as caught:
        ops.read_file("/a", 0, 1, session_id="s").read(reply_of(text))
    assert caught.value.kind is ErrorKind.INVALID_ANSWER


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("File not found", ErrorKind.NOT_FOUND),
        ("ENOENT: no such file or directory", ErrorKind.NOT_FOUND),
        ("Permission denied", ErrorKind.PERMISSION_DENIED),
        ("rm: cannot remove 'not found': Is a directory", ErrorKind.IS_A_DIRECTORY),
        ("Not a directory", ErrorKind.NOT_A_DIRECTORY),
        ("Directory already exists", ErrorKind.EXISTS),
        ("cannot use 'permission denied' or \"is a directory\"", ErrorKind.REFUSED),
        ("", ErrorKind.REFUSED),
    ],
)
def test_failures_name_what_is_missing(text: str, kind: ErrorKind) -> None:
    with pytest.raises(FileError) as caught:
        ops.delete_file("/a", session_id="s").read(reply_of(text, is_error=True))
    assert caught.value.kind is kind
    assert not ops.is_session_gone(caught.value)


def test_end_of_a_session_is_distinguished_from_a_missing_file() -> None:
    assert ops.is_session_gone(FileError("gone", kind=ErrorKind.NOT_FOUND, code="InvalidSession.NotFound"))
    assert ops.is_session_gone(FileError("the session is expired", tool="get_file_change"))
    assert not ops.is_session_gone(FileError("no connection", kind=ErrorKind.UNREACHABLE))


def test_text_that_is_none() -> None:
    with pytest.raises(FileError, match=r"0xff at offset 2 .*format=.bytes") as caught:
        ops.decoded(b"ab\xff", "/a", "s")
    assert caught.value.extra["offset"] == 2


def test_whether_write_file_takes_bytes() -> None:
    def takes(*names: str) -> bool | None:
        schema: dict[str, Any] = {"properties": {name: {} for name in names}}
        return ops.takes_bytes([McpTool("shell"), McpTool("write_file", input_schema=schema)])

    assert takes("path") is False
    assert takes("path", "format") is True
    assert ops.takes_bytes([McpTool("write_file")]) is None
    assert ops.write_file("/a", b"\xff", "append", session_id="s").args == {
        "path": "/a",
        "content": "/w==",
        "mode": "append",
        "format": "binary",
    }


# --- scripts, in a real shell --------------------------------------------------------------------------------------


def run(call: ToolCall[Any]) -> Any:
    """Run a script in this machine's shell as a service does, and read the answer."""
    done = subprocess.run(["bash", "-c", call.args["command"]], capture_output=True, check=False)
    fields = {"stdout": done.stdout.decode(), "stderr": done.stderr.decode(), "exit_code": done.returncode}
    return call.read(reply_of(json.dumps(fields), is_error=done.returncode != 0))


@settings(max_examples=25, deadline=None)  # each starts a dozen programs
@given(name=NAMES, data=st.binary(max_size=200))
def test_any_bytes_under_any_name(tmp_path_factory: pytest.TempPathFactory, name: str, data: bytes) -> None:
    path = tmp_path_factory.mktemp("names") / name
    run(scripts.write_at_once(str(path), data, "t", session_id="s"))
    assert path.read_bytes() == data
    run(scripts.append(str(path), data, session_id="s"))
    assert path.read_bytes() == data * 2
    place = run(scripts.begin(str(path), "u", session_id="s"))
    assert place.target == str(path)
    run(scripts.put_piece(place, 0, data, session_id="s"))
    run(scripts.finish(place, len(data), session_id="s"))
    assert path.read_bytes() == data
    assert run(scripts.exists(str(path), session_id="s")).data
    assert [found.name for found in path.parent.iterdir()] == [name]
    run(scripts.remove_tree(str(path), session_id="s"))
    assert not run(scripts.exists(str(path), session_id="s")).data


def test_pieces_in_any_order(tmp_path: Path) -> None:
    pieces = [os.urandom(scripts.PIECE) for _ in range(3)] + [b"end"]
    place = run(scripts.begin(str(tmp_path / "f"), "t", session_id="s"))
    for number in (2, 0, 3, 1, 2):
        run(scripts.put_piece(place, number, pieces[number], session_id="s"))
    run(scripts.finish(place, 3 * scripts.PIECE + 3, session_id="s"))
    assert (tmp_path / "f").read_bytes() == b"".join(pieces)


def test_piece_fits_into_one_argument(tmp_path: Path) -> None:
    place = scripts.Place(str(tmp_path / ("n" * 200)), "")
    call = scripts.put_piece(place, 10**9, bytes(scripts.PIECE), session_id="s")
    assert len(call.args["command"]) < 128 * 1024 - 1000


def test_incomplete_file_is_not_moved(tmp_path: Path) -> None:
    target = tmp_path / "f"
    target.write_text("old")
    place = run(scripts.begin(str(target), "t", session_id="s"))
    run(scripts.put_piece(place, 0, b"half", session_id="s"))
    with pytest.raises(FileError, match="4 bytes arrived and 5 were sent"):
        run(scripts.finish(place, 5, session_id="s"))
    assert target.read_text() == "old"


def test_links_and_modes_stay(tmp_path: Path) -> None:
    target, link = tmp_path / "f", tmp_path / "link"
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to("f")
    run(scripts.write_at_once(str(link), b"new", "t", session_id="s"))
    assert link.is_symlink()
    assert (target.read_text(), target.stat().st_mode & 0o777) == ("new", 0o640)


def test_what_cannot_be_replaced(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="is a directory"):
        run(scripts.begin(str(tmp_path), "t", session_id="s"))
    with pytest.raises(FileError, match="is not a regular file"):
        run(scripts.begin("/dev/null", "t", session_id="s"))
    with pytest.raises(FileError, match="No such file") as caught:
        run(scripts.begin(str(tmp_path / "no" / "f"), "t", session_id="s"))
    assert caught.value.kind is ErrorKind.NOT_FOUND
    with pytest.raises(FileError):
        run(scripts.write_at_once("/dev/full", b"x", "t", session_id="s"))


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*", ["a.py", "b+c.py", "sub"]),
        ("*.py", ["a.py", "b+c.py"]),
        ("**/*.py", ["a.py", "b+c.py", "sub/d.py", "sub/deep/e.py"]),
        ("sub/**", ["sub/d.py", "sub/deep", "sub/deep/e.py"]),
        ("s*/*.py", ["sub/d.py"]),
        ("[ab]*", ["a.py", "b+c.py"]),
        ("[!a]*.py", ["b+c.py"]),
        ("?.py", ["a.py"]),
        ("b+c.py", ["b+c.py"]),
        (".*", [".hidden.py"]),
        ("no*", []),
        ("none/*", []),
        ("none", []),
    ],
)
def test_glob(tmp_path: Path, pattern: str, found: list[str]) -> None:
    for name in ("a.py", "b+c.py", ".hidden.py", "sub/d.py", "sub/deep/e.py", "sub/.git/f.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert globbed(f"{tmp_path}/{pattern}") == [f"{tmp_path}/{name}" for name in found]


@settings(max_examples=25, deadline=None)
@given(st.lists(NAMES, unique_by=lambda name: name))
def test_glob_gives_any_name(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    directory = tmp_path_factory.mktemp("glob")
    for name in names:
        (directory / name).touch()
    assert globbed(f"{directory}/*") == sorted(f"{directory}/{name}" for name in names if not name.startswith("."))


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("??", [b"a\n", b"a\xff", "aü".encode()]),
        ("*[ü]", ["aü".encode()]),
        ("?[!ü]", [b"a\n", b"a\xff"]),
        ("a[\\]", []),
        ("a[\\]b", [b"a\\b"]),
        ("a\\b", [b"a\\b"]),
        ("a\udcff", [b"a\xff"]),
        ("a*", [b"a\n", b"a\\b", b"a\xff", "aü".encode()]),
        ("*/", [b"d"]),
    ],
)
def test_glob_compares_characters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locale: str, pattern: str, found: list[bytes]
) -> None:
    monkeypatch.setenv("LC_ALL", locale)
    for name in (b"a\n", b"a\xff", "aü".encode(), b"a\\b"):
        (tmp_path / os.fsdecode(name)).touch()
    (tmp_path / "d").mkdir()
    assert globbed(f"{tmp_path}/{pattern}") == sorted(f"{tmp_path}/{os.fsdecode(name)}" for name in found)


def globbed(pattern: str) -> list[str]:
    return listings.matching(listings.names_in(run(listings.find(pattern, session_id="s")).names), pattern)


def test_relative_and_topmost_patterns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a/b").mkdir(parents=True)
    Path("a/b/c.py").touch()
    Path("-x").touch()
    assert globbed("*") == ["-x", "a"]
    assert globbed("a/*/*.py") == globbed("**/*.py") == ["a/b/c.py"]
    assert globbed("./a/*/*.py") == globbed(".//./**/*.py") == ["a/b/c.py"]
    assert globbed("./*") == ["-x", "a"]
    assert globbed("./-x") == ["-x"]
    assert globbed("-x") == ["-x"]
    assert "/proc" in globbed("/p*")
    assert globbed("/") == ["/"]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=8), unique=True))
def test_odd_names_are_found_again(tmp_path_factory: pytest.TempPathFactory, raw: list[bytes]) -> None:
    directory = tmp_path_factory.mktemp("odd")
    names = [os.fsdecode(name) for name in raw if not {0, 47} & set(name) and name not in (b".", b"..")]
    for name in names:
        (directory / name).touch()
    listed = listings.names_in(run(listings.odd_names(str(directory), session_id="s")).names)
    assert {name for name in names if is_odd(name)} <= set(listed)
    shown = [f"{directory}/{min(shown_forms(name))}" for name in names]
    found, unknown = exact_matches(shown, str(directory), [name for name in listed if is_odd(name)])
    assert sorted(found) == sorted(f"{directory}/{name}" for name in names)
    assert not unknown
    entries = listings.names_in(run(listings.list_names(str(directory), session_id="s")).names)
    assert sorted(entries) == sorted(f"f{name}" for name in names)


def test_match_that_cannot_be_found_out() -> None:
    assert exact_matches(["/d/a", "/d/b\\n"], "/d", []) == (["/d/a"], ["/d/b\\n"])
    assert exact_matches(["/home/d\ufffd/a"], "d\udcff", []) == (["/home/d\ufffd/a"], [])


def test_any_bytes_are_quoted(tmp_path: Path) -> None:
    path = f"{tmp_path}/{os.fsdecode(bytes([*range(1, 47), *range(48, 256)]))}"
    run(scripts.write_at_once(path, b"x", "t", session_id="s"))
    place = run(scripts.begin(path, "u", session_id="s"))
    assert place.target == path
    assert [found.name for found in tmp_path.iterdir() if not found.name.startswith(".agb")] == [path[-254:]]


def test_exceptions_of_tar_are_named(tmp_path: Path) -> None:
    lines = [
        r"tar: ./a\nb\377\\\: Cannot open\: x: Cannot open: Permission denied",
        "tar: ./log: file changed as we read it",
        "tar: ./shrunk: File shrank by 5 bytes; padding with zeros",
        "tar: Exiting with failure status due to previous errors",
        "2",
    ]
    shell = {"stdout": base64.b64encode("\n".join(lines).encode()).decode(), "stderr": "", "exit_code": 0}
    found = archives.pack("/d", "/f", 5, session_id="s").read(reply_of(json.dumps(shell), is_error=False))
    assert found.reasons == {
        "a\nb\udcff\\: Cannot open: x": "Permission denied",
        "shrunk": "File shrank by 5 bytes; padding with zeros",
    }


def test_directory_that_is_too_large(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a").write_bytes(bytes(50_000))
    assert run(archives.pack(f"{tmp_path}/d", f"{tmp_path}/f", 100_000, session_id="s")).reasons == {}
    with pytest.raises(FileError, match="more than 20,000 bytes"):
        run(archives.pack(f"{tmp_path}/d", f"{tmp_path}/f", 20_000, session_id="s"))
    with pytest.raises(FileError, match="No space left"):
        run(archives.pack(f"{tmp_path}/d", "/dev/full", None, session_id="s"))


def test_error_of_a_script_does_not_name_the_shell() -> None:
    with pytest.raises(FileError) as caught:
        run(scripts.remove_tree("/no/such/place", session_id="s"))
    assert not re.match("bash", str(caught.value))
    assert caught.value.kind is ErrorKind.NOT_FOUND


@pytest.mark.parametrize("text", ["", "maybe"])
def test_answer_of_a_script_that_is_none(text: str) -> None:
    reply = reply_of(json.dumps({"stdout": text, "stderr": "", "exit_code": 0}))
    with pytest.raises(FileError) as caught:
        scripts.exists("/a", session_id="s").read(reply)
    assert caught.value.kind is ErrorKind.INVALID_ANSWER
