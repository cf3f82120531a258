"""The file tools: what they do to real files, what they say, and what they refuse."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agb.local.errors import Refused
from agb.local.inside.file_helper import search
from agb.local.inside.file_helper.entries import delete_file
from agb.local.inside.file_helper.job import Job, ToolError, one_line
from agb.local.inside.file_helper.reading import _rest_of_character, read_file
from agb.local.inside.file_helper.writing import write_file
from agb.local.limits import Limits
from agb.local.sessions.runtime import Runtime
from agb.local.sessions.session import LocalSession
from agb.local.sessions.tools import ToolReply

from .runtimes import IMAGE, call, needs_bubblewrap, output, sandboxed


async def done(runtime: Runtime, session: LocalSession, name: str, **args: Any) -> str:
    """Return the text of a call that succeeds."""
    reply = await call(runtime, session, name, **args)
    assert not reply.is_error, reply.text
    return reply.text


async def refused(runtime: Runtime, session: LocalSession, name: str, **args: Any) -> str:
    """Return the text of a call that fails: one line that begins with the tool's name."""
    reply = await call(runtime, session, name, **args)
    assert reply.is_error, reply.text
    assert reply.text.startswith(f"{name}: ")
    assert "\n" not in reply.text
    return reply.text


# --- reading and writing ---


@pytest.mark.asyncio
async def test_written_is_read(local_runtime: Runtime, box: LocalSession) -> None:
    text = "one\ntwo\r\n\n☃ 🐍 \0 end\n"
    await done(local_runtime, box, "write_file", path="f", content=text)
    assert await done(local_runtime, box, "read_file", path=f"{box.sandbox.home}/f") == text
    assert await done(local_runtime, box, "read_file", path="f", offset=4, length=5) == "two\r\n"
    assert await done(local_runtime, box, "read_file", path="f", offset=1000) == ""
    binary = await done(local_runtime, box, "read_file", path="f", format="binary")
    assert base64.b64decode(binary, validate=True) == text.encode()
    assert await output(local_runtime, box, "stat -c %a f; ls -A | wc -l") == "644\n1"


@pytest.mark.asyncio
async def test_modes_of_writing(local_runtime: Runtime, box: LocalSession) -> None:
    await done(local_runtime, box, "write_file", path="f", content="one\n", mode="append")
    await done(local_runtime, box, "write_file", path="f", content="two\n", mode="append")
    assert await done(local_runtime, box, "read_file", path="f") == "one\ntwo\n"
    said = await refused(local_runtime, box, "write_file", path="f", content="", mode="create_new")
    assert said == "write_file: cannot write 'f': it already exists"
    await done(local_runtime, box, "write_file", path="f", content="")
    assert await done(local_runtime, box, "read_file", path="f") == ""
    await done(local_runtime, box, "write_file", path="new", content="☃", mode="create_new")
    assert await done(local_runtime, box, "read_file", path="new") == "☃"
    said = await refused(local_runtime, box, "write_file", path="f", content="", mode="insert")
    assert said == "write_file: invalid arguments: Invalid enum value 'insert' - at `$.mode`"


@pytest.mark.asyncio
async def test_binary_writing(local_runtime: Runtime, box: LocalSession) -> None:
    data = secrets.token_bytes(100_000)
    content = base64.b64encode(data).decode()
    await done(local_runtime, box, "write_file", path="f", content=content, format="binary")
    assert base64.b64decode(await done(local_runtime, box, "read_file", path="f", format="binary")) == data
    said = await refused(local_runtime, box, "write_file", path="f", content="no base64!", format="binary")
    assert "argument 'content': not base64" in said


@pytest.mark.asyncio
async def test_overwriting_keeps_mode_and_links_and_leaves_nothing(local_runtime: Runtime, box: LocalSession) -> None:
    await output(local_runtime, box, "mkdir d; echo old > d/f; chmod 751 d/f; ln -s d/f link; ln -s new dangling")
    await done(local_runtime, box, "write_file", path="link", content="new")
    await done(local_runtime, box, "write_file", path="dangling", content="made")
    assert await output(local_runtime, box, "readlink link; cat d/f new; stat -c ' %a' d/f; ls -A . d") == (
        "d/f\nnewmade 751\n.:\nd\ndangling\nlink\nnew\n\nd:\nf"
    )


@pytest.mark.asyncio
async def test_readers_see_the_old_or_the_new(local_runtime: Runtime, box: LocalSession) -> None:
    texts = ["a" * 300_000, "b" * 200_000]
    await done(local_runtime, box, "write_file", path="f", content=texts[0])

    async def write() -> None:
        for number in range(20):
            await done(local_runtime, box, "write_file", path="f", content=texts[number % 2])

    async def read() -> None:
        for _ in range(40):
            assert await done(local_runtime, box, "read_file", path="f") in texts

    await asyncio.gather(write(), read(), read())


@pytest.mark.asyncio
async def test_file_in_a_directory_that_is_not_writable_is_written_in_place(
    local_runtime: Runtime, box: LocalSession
) -> None:
    await output(local_runtime, box, "mkdir d; echo old > d/f; chmod 555 d")
    await done(local_runtime, box, "write_file", path="d/f", content="new")
    assert await output(local_runtime, box, "cat d/f; chmod 755 d; ls -A d") == "newf"


@pytest.mark.asyncio
async def test_files_whose_size_is_reported_as_0(local_runtime: Runtime, box: LocalSession) -> None:
    info = await done(local_runtime, box, "get_file_info", path="/proc/self/status")
    assert "size: 0\n" in info
    assert "Name:" in await done(local_runtime, box, "read_file", path="/proc/self/status")
    assert await done(local_runtime, box, "read_file", path="/dev/null") == ""
    zeros = await done(local_runtime, box, "read_file", path="/dev/zero", length=1_000_000)
    assert zeros == "\0" * 1_000_000
    assert "more than 32 MiB; use offset and length" in await refused(local_runtime, box, "read_file", path="/dev/zero")


@pytest.mark.asyncio
async def test_several_files(local_runtime: Runtime, box: LocalSession) -> None:
    await output(local_runtime, box, "echo one > a; printf 'two\\nlines' > b; mkdir d")
    text = await done(local_runtime, box, "read_multiple_files", paths=["a", "b", "missing", "d"])
    assert text == (
        "a:\none\n\n\n---\nb:\ntwo\nlines\n\n---\nmissing: Error - 'missing': not found\n\n"
        "---\nd: Error - cannot read 'd': it is a directory\n"
    ).replace("'missing'", f"'{box.sandbox.home}/missing'").replace("'d'", f"'{box.sandbox.home}/d'")
    assert await done(local_runtime, box, "read_multiple_files", paths=[]) == ""
    assert "not found" in await refused(local_runtime, box, "read_multiple_files", paths=["missing"])


# --- names and directories ---


@pytest.mark.asyncio
async def test_directories(local_runtime: Runtime, box: LocalSession) -> None:
    for _ in range(2):
        await done(local_runtime, box, "create_directory", path="a/b/c")
    await done(local_runtime, box, "write_file", path="a/f", content="")
    await output(local_runtime, box, "ln -s b a/link; ln -s a/loop a/loop")
    assert await done(local_runtime, box, "list_directory", path="a") == ("[DIR] b\n[FILE] f\n[DIR] link\n[FILE] loop")
    assert await done(local_runtime, box, "list_directory", path="a/b/c") == ""
    assert await refused(local_runtime, box, "list_directory", path="a/f") == (
        "list_directory: cannot list 'a/f': not a directory, or something on the way to it is none"
    )
    assert await refused(local_runtime, box, "create_directory", path="a/f") == (
        "create_directory: cannot create 'a/f': it already exists"
    )


@pytest.mark.asyncio
async def test_info(local_runtime: Runtime, box: LocalSession) -> None:
    await output(local_runtime, box, "printf 12345 > 'f ☃'; ln -s 'f ☃' link; touch -d @1700000000.5 'f ☃'")
    text = await done(local_runtime, box, "get_file_info", path=f"{box.sandbox.home}/link")
    info = dict(line.split(": ", 1) for line in text.splitlines())
    assert info["name"] == "link"
    assert info["path"] == f"{box.sandbox.home}/link"
    assert (info["size"], info["type"], info["isDirectory"], info["isFile"]) == ("5", "file", "false", "true")
    assert (info["isSymlink"], info["modified"], info["permissions"]) == ("true", "1700000000.500000", "644")
    assert (info["mode"], info["readable"], info["writable"]) == ("-rw-r--r--", "true", "true")
    assert "isDirectory: true" in await done(local_runtime, box, "get_file_info", path=".")


@pytest.mark.asyncio
async def test_moving(local_runtime: Runtime, box: LocalSession) -> None:
    await output(local_runtime, box, "echo 1 > f; echo 2 > taken; mkdir -p d/e; echo 3 > d/e/g; chmod 750 d/e")
    await done(local_runtime, box, "move_file", source="f", destination="d/f")
    await done(local_runtime, box, "move_file", source="d", destination="moved")
    assert await output(local_runtime, box, "ls; cat moved/f moved/e/g") == "moved\ntaken\n1\n3"
    said = await refused(local_runtime, box, "move_file", source="moved/f", destination="taken")
    assert "already exists; delete it first" in said
    said = await refused(local_runtime, box, "move_file", source="moved", destination="moved/e/x")
    assert "into itself" in said
    said = await refused(local_runtime, box, "move_file", source="missing", destination="x")
    assert said == "move_file: cannot move 'missing': not found"
    said = await refused(local_runtime, box, "move_file", source="taken", destination="no/such")
    assert "the directory of 'no/such' was not found" in said
    # To another file system.
    tmp = box.sandbox.environment["TMPDIR"]
    shm = f"/dev/shm/agb-{secrets.token_hex(8)}"
    for place in (f"{tmp}/moved", shm, f"{tmp}/back"):
        source = await output(local_runtime, box, f"ls -d moved {tmp}/moved {shm} 2>/dev/null || true")
        await done(local_runtime, box, "move_file", source=source, destination=place)
    assert await output(
        local_runtime, box, f"ls; cd {tmp}; ls -Ad .agb* moved back 2>/dev/null; cat back/f back/e/g; stat -c %a back/e"
    ) == ("taken\nback\n1\n3\n750")


@pytest.mark.asyncio
async def test_deleting(local_runtime: Runtime, box: LocalSession) -> None:
    await output(local_runtime, box, "mkdir -p d/e; touch f d/e/g; ln -s d link")
    await done(local_runtime, box, "delete_file", path="f")
    await done(local_runtime, box, "delete_file", path="link")
    assert "not found" in await refused(local_runtime, box, "delete_file", path="f")
    said = await refused(local_runtime, box, "delete_file", path="d")
    assert "it is a directory; give recursive true" in said
    assert await output(local_runtime, box, "find d -type f") == "d/e/g"
    await done(local_runtime, box, "delete_file", path="d", recursive=True)
    assert await output(local_runtime, box, "ls -A") == ""


NAMES = ["a b", "-rf", "☃ 🐍", "line\nbreak", "'\"$(x)`;&", "*?[", "...", "a:b", "é" * 127, " lead", "tail "]


@pytest.mark.asyncio
async def test_any_name(local_runtime: Runtime, box: LocalSession) -> None:
    await done(local_runtime, box, "create_directory", path="-d d\n")
    for name in NAMES:
        await done(local_runtime, box, "write_file", path=f"-d d\n/{name}", content=name)
        assert await done(local_runtime, box, "read_file", path=f"-d d\n/{name}") == name
    listed = await done(local_runtime, box, "list_directory", path="-d d\n")
    # A line break would forge an entry.
    assert set(listed.split("\n")) == {f"[FILE] {name}".replace("\n", "\\n") for name in NAMES}
    for name in NAMES:
        await done(local_runtime, box, "move_file", source=f"-d d\n/{name}", destination="x")
        await done(local_runtime, box, "delete_file", path="x")
    await output(local_runtime, box, "touch -- $'-d d\\n/\\xff'")  # not UTF-8: a client sees that it is odd
    assert await done(local_runtime, box, "list_directory", path="-d d\n") == "[FILE] \ufffd"


# --- editing ---


@pytest.mark.asyncio
async def test_editing(local_runtime: Runtime, box: LocalSession) -> None:
    await done(local_runtime, box, "write_file", path="f", content="one\ntwo\ntwo\nend")
    edits = [{"oldText": "two", "newText": "☃"}, {"oldText": "one\n", "newText": ""}]
    diff = await done(local_runtime, box, "edit_file", path="f", edits=edits, dryRun=True)
    assert "-one\n-two\n-two\n+☃\n+☃\n end" in diff
    assert await done(local_runtime, box, "read_file", path="f") == "one\ntwo\ntwo\nend"
    assert await done(local_runtime, box, "edit_file", path="f", edits=edits) == diff
    assert await done(local_runtime, box, "read_file", path="f") == "☃\n☃\nend"
    bad = [{"oldText": "end", "newText": "END"}, {"oldText": "missing", "newText": ""}]
    said = await refused(local_runtime, box, "edit_file", path="f", edits=bad)
    assert "the oldText of edit 2 was not found; nothing was changed" in said
    assert await done(local_runtime, box, "read_file", path="f") == "☃\n☃\nend"
    said = await refused(local_runtime, box, "edit_file", path="f", edits=[{"oldText": "", "newText": "x"}])
    assert "the oldText of edit 1 is empty" in said
    said = await refused(local_runtime, box, "edit_file", path="f", edits=[{"newText": "x"}])
    assert said == "edit_file: invalid arguments: Object missing required field `oldText` - at `$.edits[0]`"
    assert "Expected `array`, got `str` - at `$.edits`" in await refused(
        local_runtime, box, "edit_file", path="f", edits="x"
    )
    assert "Expected `object`, got `str` - at `$.edits[0]`" in await refused(
        local_runtime, box, "edit_file", path="f", edits=["x"]
    )


@pytest.mark.asyncio
async def test_edits_at_once_are_all_made(local_runtime: Runtime, box: LocalSession) -> None:
    await done(local_runtime, box, "write_file", path="f", content="".join(f"<{n}>" for n in range(20)))
    await asyncio.gather(
        *(
            done(local_runtime, box, "edit_file", path="f", edits=[{"oldText": f"<{n}>", "newText": f"{n},"}])
            for n in range(20)
        )
    )
    assert await done(local_runtime, box, "read_file", path="f") == "".join(f"{n}," for n in range(20))


# --- searching ---


@pytest.mark.asyncio
async def test_searching(local_runtime: Runtime, box: LocalSession) -> None:
    await output(local_runtime, box, "mkdir -p s/sub/deep s/skip; touch s/{a.txt,B.TXT,match_abc.py,sub/b.txt}")
    await output(local_runtime, box, "touch s/sub/deep/c.txt s/skip/d.txt; ln -s .. s/sub/up")

    async def search(pattern: str, *excluded: str) -> list[str]:
        text = await done(
            local_runtime, box, "search_files", path="s", pattern=pattern, excludePatterns=list(excluded) or None
        )
        return [line.removeprefix(f"{box.sandbox.home}/s/") for line in text.split("\n")]

    assert await search("*.txt") == ["a.txt", "skip/d.txt", "sub/b.txt", "sub/deep/c.txt"]
    assert await search("*.txt", "skip", "sub/deep") == ["a.txt", "sub/b.txt"]
    assert await search("*.txt", "s*") == ["a.txt"]
    assert await search("a.txt") == ["a.txt"]
    assert await search("MATCH") == ["match_abc.py"]
    assert await search("b.txt") == ["B.TXT", "sub/b.txt"]
    assert await search("sub/*.txt") == ["sub/b.txt"]
    assert await search("**/deep/**/*.txt") == await search("s*/**/[!b].txt", "skip") == ["sub/deep/c.txt"]
    assert await search("**/*.txt") == ["a.txt", "skip/d.txt", "sub/b.txt", "sub/deep/c.txt"]
    assert await search("sub/**") == ["sub/b.txt", "sub/deep", "sub/up", "sub/deep/c.txt"]
    assert await search("[ab].*") == ["a.txt", "sub/b.txt"]
    assert await search("nothing") == ["No matches found"]
    assert "not found" in await refused(local_runtime, box, "search_files", path="missing", pattern="*")
    assert "'pattern' is empty" in await refused(local_runtime, box, "search_files", path="s", pattern="")


@needs_bubblewrap  # for a /dev/shm of its own, where files are made and go fast
@pytest.mark.asyncio
async def test_many_matches(local_runtime: Runtime, box: LocalSession) -> None:
    make = "import os\nfor i in range(30_000): os.close(os.open(f'{i % 100}/{i}.txt', os.O_CREAT))"
    await output(local_runtime, box, f'mkdir {{0..99}}; python3 -c "{make}"', cwd="/dev/shm")
    text, other = await asyncio.gather(
        done(local_runtime, box, "search_files", path="/dev/shm", pattern="*.txt"),
        done(local_runtime, box, "read_file", path="/dev/null"),  # not held up by it
    )
    assert text.count("\n") == 29_999
    assert other == ""


# --- errors ---


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("tool", "args", "said"),
    [
        ("read_file", {"path": "/no/such"}, "read_file: cannot read '/no/such': not found"),
        ("read_file", {"path": "/"}, "read_file: cannot read '/': it is a directory"),
        ("read_file", {"path": "/etc/passwd/x"}, "cannot read '/etc/passwd/x': not a directory"),
        ("read_file", {"path": "pipe"}, "it is a pipe, not a file"),
        ("read_file", {"path": "loop"}, "cannot read 'loop': symbolic links lead in a circle"),
        ("read_file", {"path": "secret"}, "read_file: cannot read 'secret': permission denied"),
        ("read_file", {"path": "x" * 300}, "the name is too long"),
        ("read_file", {"path": ""}, "argument 'path' is empty"),
        ("read_file", {"path": "a\0b"}, "matching regex"),
        ("read_file", {}, "missing required field `path`"),
        ("read_file", {"path": "f", "offset": -1}, "Expected `int` >= 0 - at `$.offset`"),
        ("read_file", {"path": "f", "format": "hex"}, "Invalid enum value 'hex' - at `$.format`"),
        ("write_file", {"path": "no/such", "content": ""}, "the directory it would be in does not exist"),
        ("write_file", {"path": "/dev/full", "content": "x"}, "cannot write '/dev/full': no space left on the device"),
        ("write_file", {"path": "pipe", "content": "x"}, "it is a pipe"),
        ("write_file", {"path": "d", "content": "x"}, "write_file: cannot write 'd': it is a directory"),
        ("write_file", {"path": "readonly", "content": "x"}, "cannot write 'readonly': permission denied"),
        ("write_file", {"path": "f", "content": "\ud800"}, "half of a surrogate pair"),
        ("get_file_info", {"path": "missing"}, "get_file_info: cannot find 'missing': not found"),
        ("edit_file", {"path": "missing", "edits": []}, "edit_file: cannot edit 'missing': not found"),
        ("read_multiple_files", {"paths": "f"}, "Expected `array`, got `str` - at `$.paths`"),
        ("read_multiple_files", {"paths": [1]}, "Expected `str`, got `int` - at `$.paths[0]`"),
        ("get_file_change", {"path": "missing"}, "get_file_change: cannot watch 'missing': not found"),
    ],
)
@needs_bubblewrap  # root may read everything
async def test_refused(
    shared_runtime: Runtime, shared_box: LocalSession, tool: str, args: dict[str, Any], said: str
) -> None:
    await output(
        shared_runtime,
        shared_box,
        "test -e d || { mkfifo pipe; ln -s loop loop; touch secret readonly f; chmod 0 secret; chmod 444 readonly;"
        " mkdir d; }",
    )
    assert said in await refused(shared_runtime, shared_box, tool, **args)


@pytest.mark.asyncio
async def test_no_space_left_changes_nothing() -> None:
    async with Runtime(allow_none=True, limits=Limits(file_size=100_000)) as runtime:
        session = await runtime.create(IMAGE)
        await done(runtime, session, "write_file", path="f", content="old")
        said = await refused(runtime, session, "write_file", path="f", content="x" * 100_001)
        assert said == "write_file: cannot write 'f': the file would be larger than a file of this session may be"
        assert await output(runtime, session, "cat f; echo; ls -A") == "old\nf"


@needs_bubblewrap
@pytest.mark.asyncio
async def test_full_file_system() -> None:
    async with sandboxed(shared_memory=1 << 20) as runtime:
        session = await runtime.create(IMAGE)
        await done(runtime, session, "write_file", path="/dev/shm/f", content="old")
        for mode in ("overwrite", "append"):
            content = "x" * (2 << 20)
            said = await refused(runtime, session, "write_file", path="/dev/shm/f", content=content, mode=mode)
            assert said == "write_file: cannot write '/dev/shm/f': no space left on the device"
            if mode == "overwrite":
                assert await done(runtime, session, "read_file", path="/dev/shm/f") == "old"


# --- whose files ---


@needs_bubblewrap
@pytest.mark.asyncio
async def test_sessions_do_not_see_each_other(local_runtime: Runtime, box: LocalSession, tmp_path: Path) -> None:
    other = await local_runtime.create(IMAGE)
    for place in (box.sandbox.home, "/tmp"):
        await done(local_runtime, box, "write_file", path=f"{place}/f", content="secret")
        assert "not found" in await refused(local_runtime, other, "read_file", path=f"{place}/f")
    outside = tmp_path / "outside"
    outside.write_text("the machine's")
    for path in (str(outside), f"{box.sandbox.directories.home}/f", f"../../../..{outside}"):
        assert "not found" in await refused(local_runtime, other, "read_file", path=path)
        assert "not found" in await refused(local_runtime, other, "get_file_change", path=path)
    assert "read-only" in await refused(local_runtime, other, "write_file", path="/usr/f", content="")
    assert "read-only" in await refused(local_runtime, other, "create_directory", path="/new")


@needs_bubblewrap
@pytest.mark.asyncio
async def test_link_that_changes_its_target_leads_nowhere_else(
    local_runtime: Runtime, box: LocalSession, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.write_text("the machine's")
    tmp_path.chmod(0o777)
    swap = f"mkdir d; touch d/outside; while :; do ln -sfn {tmp_path} link; ln -sfn d link; done"
    await output(local_runtime, box, f"({swap}) >/dev/null 2>&1 & until [ -h link ]; do :; done")
    for number in range(100):
        for tool, args in (("write_file", {"content": f"{number}"}), ("read_file", {}), ("delete_file", {})):
            reply = await call(local_runtime, box, tool, path="link/outside", **args)
            assert "the machine's" not in reply.text
    assert outside.read_text() == "the machine's"
    assert [path.name for path in tmp_path.iterdir()] == ["outside"]


# --- the helper ---


@pytest.mark.asyncio
async def test_helper_that_was_killed_is_started_again(local_runtime: Runtime, box: LocalSession) -> None:
    await done(local_runtime, box, "write_file", path="f", content="kept")
    for _ in range(3):
        await output(
            local_runtime, box, "kill -9 $(grep -l file_helpe[r] /proc/[0-9]*/cmdline | cut -d/ -f3 | head -1)"
        )
        assert await done(local_runtime, box, "read_file", path="f") == "kept"


@pytest.mark.asyncio
async def test_release_ends_a_call(local_runtime: Runtime, box: LocalSession) -> None:
    await output(local_runtime, box, "mkdir -p $(seq -s/ 1 100)")
    task = asyncio.create_task(call(local_runtime, box, "search_files", path="/", pattern="no such name"))
    await done(local_runtime, box, "get_file_info", path=".")
    local_runtime.release(box.id)
    (reply,) = await asyncio.gather(task, return_exceptions=True)
    if isinstance(reply, Refused):
        assert "is not found" in reply.message
    else:  # it had ended before
        assert isinstance(reply, ToolReply)
        assert reply.text == "No matches found"
    await local_runtime.released(box.id)


@pytest.mark.asyncio
async def test_without_a_sandbox() -> None:
    async with Runtime(isolation="none") as runtime:
        session = await runtime.create(IMAGE)
        await done(runtime, session, "write_file", path="f", content="text")
        assert await done(runtime, session, "read_file", path=f"{session.sandbox.directories.home}/f") == "text"
        assert json.loads(await done(runtime, session, "get_file_change", path=".")) == []


# --- parts, with anything ---


def _job(tool: str, blob: bytes = b"", **args: Any) -> Job:
    return Job(1, tool, args, blob)


@settings(max_examples=60, deadline=None)
@given(
    st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=60).filter(
        lambda name: name not in (".", "..")
    ),
    st.binary(max_size=2000),
    st.integers(1, 700),
)
@example("-\n", b"\xff\0", 1)
def test_any_bytes_under_any_name(tmp_path_factory: pytest.TempPathFactory, name: str, data: bytes, size: int) -> None:
    path = str(tmp_path_factory.getbasetemp() / name)
    encoded = base64.b64encode(data)
    write_file(_job("write_file", encoded, path=path, mode="overwrite", format="binary"))
    parts = [
        read_file(_job("read_file", path=path, offset=offset, length=size, format="binary"))
        for offset in range(0, len(data), size)
    ]
    assert b"".join(map(base64.b64decode, parts)) == data
    assert "\n" not in one_line(name)
    delete_file(_job("delete_file", path=path))


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60), st.integers(1, 9))
@example("☃" * 9, 2)
def test_parts_of_a_text_are_the_text(tmp_path_factory: pytest.TempPathFactory, text: str, size: int) -> None:
    path = str(tmp_path_factory.getbasetemp() / "text")
    data = text.encode()
    write_file(_job("write_file", data, path=path, mode="overwrite", format="text"))
    parts = [
        read_file(_job("read_file", path=path, offset=offset, length=size, format="text"))
        for offset in range(0, len(data), size)
    ]
    assert b"".join(part.encode() if isinstance(part, str) else part for part in parts).decode() == text


@given(st.text(max_size=20) | st.text("*?[]!.-/a", max_size=20), st.text(max_size=20))
@example("**/[.*]/**/**", "a")
def test_any_pattern_is_taken(pattern: str, name: str) -> None:
    try:
        matches = search._matcher(pattern, plain="contains")
    except ToolError:
        assert not pattern
    else:
        assert matches(name, f"above/{name}") in (True, False)


@given(st.binary(max_size=12), st.integers(0, 14))
def test_what_is_no_text_is_cut_somewhere(data: bytes, at: int) -> None:
    assert 0 <= _rest_of_character(data, at) <= 3
