"""Mounts: what comes into a session and what is stored of it, who wins, and what is refused."""

from __future__ import annotations

import tarfile
from typing import Any

import pytest

from agb.local.errors import Refused
from agb.local.limits import Limits
from agb.local.sessions.runtime import Runtime

from .mounted import PLACE, Context, members, special, tarred, zipped
from .runtimes import IMAGE, needs_bubblewrap, output

# --- there and back ---


@pytest.mark.asyncio
async def test_data_comes_and_is_stored(context: Context) -> None:
    context.put(f"{PLACE}/a/b.txt", b"hello", mode=0o600, mtime=1_700_000_000.5)
    session = await context.session()
    (row,) = context.runtime.rows(session.id, "", "", "")
    assert {key: row[key] for key in ("contextId", "path", "taskType", "status", "errorMessage")} == {
        "contextId": context.id,
        "path": PLACE,
        "taskType": "download",
        "status": "Success",
        "errorMessage": "",
    }
    assert 0 < row["startTime"] <= row["finishTime"]
    assert await context.shell(session, "cat a/b.txt; stat -c ' %a %Y' a/b.txt") == "hello 600 1700000000"
    await context.shell(session, "echo new > new; chmod 755 new; rm -r a")
    await context.uploaded(session)
    assert context.paths() == [f"{PLACE}/new"]
    assert context.content(f"{PLACE}/new") == b"new\n"
    assert context.store.files(context.id)[0].mode == 0o755


@pytest.mark.asyncio
async def test_any_tree_there_and_back(context: Context) -> None:
    make = """
        mkdir -p empty deep/er/est 'sp ace'; chmod 700 empty
        for name in 'sp ace/%41+?#&=;' '-rf' $'line\\nbreak' 'ünï ☃' '*' '~' '\\'; do echo "$name" > "$name"; done
        : > nothing; head -c 3000000 /dev/urandom > large; truncate -s 20M sparse; echo end >> sparse
        echo x > deep/er/est/run; chmod 751 deep/er/est/run; ln -s large 'to large'; ln -s deep/er 'to er'
    """
    look = "find -L . -type f -printf '%P %m %s %Ts\\n' | sort; find -L . -type f -print0 | sort -z | xargs -0 sum"
    first = await context.session()
    await context.shell(first, make)
    before = await context.shell(first, look)
    await context.uploaded(first)
    second = await context.session()
    assert await context.shell(second, "stat -c '%F %a' empty; find empty -type f") == "directory 700"
    assert (
        await context.shell(second, "cmp large 'to large' && cmp deep/er/est/run 'to er/est/run' && ls -d -- *") != ""
    )
    assert await context.shell(second, "tail -c 4 sparse; stat -c %s sparse nothing") == "end\n20971524\n0"
    names = (await context.shell(second, "ls -1b")).split("\n")
    assert {"-rf", "line\\nbreak", "ünï\\ ☃", "*", "~"} <= set(names)
    assert await context.shell(second, look) == before


TREE = r"find . -printf '%p %y %m %l\n' | sort"
"""A command that lists a mount with the top directory: types, modes and links."""
MAKE_TREE = """
    mkdir -p venv/bin venv/lib node_modules/.bin node_modules/x data/base read/only empty
    ln -s python3 venv/bin/python; ln -s ./lib/ venv/lib64; ln -s ../x/cli.js node_modules/.bin/x; ln -s . self
    echo js > node_modules/x/cli.js; echo pg > data/base/1; echo r > read/only/f; echo p > venv/bin/python3
    chmod 755 node_modules/x/cli.js venv/bin/python3
    chmod 700 data . empty; chmod 750 data/base; chmod 555 read/only; chmod 511 read
"""


@pytest.mark.asyncio
@pytest.mark.parametrize("mode", ["File", "Archive"])
async def test_links_and_modes_of_directories_there_and_back(context: Context, mode: str) -> None:
    policy: Any = {"uploadPolicy": {"uploadMode": mode}}
    first = await context.session(**policy)
    await context.shell(first, MAKE_TREE)
    expected = await context.shell(first, TREE)
    assert ". d 700 " in expected.split("\n")
    assert "./venv/lib64 l 777 ./lib/" in expected.split("\n")
    await context.uploaded(first)
    stored = {file.path: file.version for file in context.store.files(context.id)}
    await context.uploaded(first)
    second = await context.session(**policy)
    assert await context.shell(second, TREE) == expected
    assert await context.shell(second, "cat data/base/1 node_modules/.bin/x venv/bin/python") == "pg\njs\np"
    await context.uploaded(second)
    assert {file.path: file.version for file in context.store.files(context.id)} == stored
    # Files come into a directory that its owner cannot write to, and modes change, once more and back.
    await context.shell(second, "chmod 755 read/only data; chmod 711 empty; echo n > read/only/n; chmod 555 read/only")
    expected = await context.shell(second, TREE)
    await context.uploaded(second)
    third = await context.session(**policy)
    assert await context.shell(third, TREE) == expected
    await context.downloaded(first)
    assert await context.shell(first, "cat read/only/n; stat -c %a read read/only empty") == "n\n511\n555\n711"
    await context.shell(third, "chmod 755 . empty; rm self venv/lib64")
    expected = await context.shell(third, TREE)
    await context.uploaded(third)
    assert await context.shell(await context.session(**policy), TREE) == expected


@pytest.mark.asyncio
@pytest.mark.parametrize("mode", ["File", "Archive"])
async def test_link_takes_the_place_of_a_file_or_directory_and_the_other_way_round(context: Context, mode: str) -> None:
    policy: Any = {"uploadPolicy": {"uploadMode": mode}}
    session = await context.session(**policy)
    steps = (
        "mkdir -m 700 d; echo 1 > d/f; echo d/f > text; ln -s d/f link; ln -s text other",
        "rm -r d; mkdir e; echo 2 > e/f; ln -s e d; ln -sfn e/f link; rm text; ln -s d/f text",
        "rm d link other; mkdir -m 700 d; echo 3 > d/f; printf e/f > link; chmod 777 link",
        "rm -r d link text; ln -s e text; mkdir link",
    )
    for step in steps:
        await context.shell(session, step)
        await context.uploaded(session)
        again = await context.session(**policy)
        look = f"{TREE}; cat d/f link || :"
        assert await context.shell(again, look) == await context.shell(session, look)


@pytest.mark.asyncio
@pytest.mark.parametrize("mode", ["File", "Archive"])
async def test_two_sessions_change_links(context: Context, mode: str) -> None:
    policy: Any = {"uploadPolicy": {"uploadMode": mode}}
    first = await context.session(**policy)
    await context.shell(first, "mkdir -m 700 d; for name in both first second gone; do ln -s old $name; done")
    await context.uploaded(first)
    second = await context.session(**policy)
    await context.shell(first, "ln -sfn one both; ln -sfn one first; rm gone; ln -s one d/1")
    await context.shell(second, "ln -sfn two both; ln -sfn two second; chmod 711 d; ln -s two d/2")
    await context.uploaded(first)
    await context.uploaded(second)
    await context.downloaded(first)
    third = await context.session(**policy)
    for session in (first, third):
        assert await context.shell(session, "readlink both first second d/1 d/2; ls -A; stat -c %a d") == (
            "two\none\ntwo\none\ntwo\nboth\nd\nfirst\nsecond\n711"
        )


@pytest.mark.asyncio
async def test_link_is_copied_as_its_file_by_a_transfer(local_runtime: Runtime) -> None:
    """With the session's own context clients download single files: no link would be one."""
    session = await local_runtime.create(IMAGE)
    own = Context(local_runtime, (await session.mounts.load_internal()).context_id)
    await output(local_runtime, session, "mkdir -m 700 ~/x; cd ~/x; echo f > f; ln -s f link; ln -s $PWD/f absolute")
    session.mounts.sync(own.id, "/home/user/x", "upload")
    await own.done(session)
    assert own.paths() == [f"/home/user/x/{name}" for name in ("absolute", "f", "link")]
    assert own.content("/home/user/x/link") == b"f\n"
    faults = {
        "nothing": "that leads to nothing",
        "self": "to a directory that it is in",
        "loop": "that leads in a circle",
        "out": "that leads out of the mount",
    }
    await output(local_runtime, session, "cd ~/x; ln -s no nothing; ln -s . self; ln -s loop loop; ln -s /etc out")
    (task,) = session.mounts.sync(own.id, "/home/user/x", "upload")
    await own.done(session)
    for name, fault in faults.items():
        assert f"'{name}' (it is a symbolic link {fault})" in task.error_message


@needs_bubblewrap
@pytest.mark.asyncio
@pytest.mark.parametrize("path", ["/tmp/agb_browser_data", "/tmp/extensions/", "/home/other/x", "/data", "/mnt/a/b"])
async def test_places(context: Context, path: str) -> None:
    context.put(f"{path.rstrip('/')}/f", b"hello")
    session = await context.session(path)
    place = path.rstrip("/")
    assert await output(context.runtime, session, f"cat {place}/f; echo changed > {place}/f") == "hello"
    assert (await context.sync(session))["path"] == path
    assert context.content(f"{place}/f") == b"changed\n"


@pytest.mark.asyncio
async def test_stored_before_release(context: Context) -> None:
    session = await context.session()
    await context.shell(session, "echo last > f")
    context.runtime.release(session.id)
    assert context.runtime.status(session.id) == "DELETING"
    await context.runtime.released(session.id)
    assert context.content(f"{PLACE}/f") == b"last\n"
    assert [row["taskType"] for row in context.runtime.rows(session.id, "", "", "")] == ["download", "upload"]


@pytest.mark.asyncio
async def test_own_context_of_a_session(context: Context) -> None:
    session = await context.runtime.create(IMAGE)
    mount = await session.mounts.load_internal()
    assert mount == await session.mounts.load_internal()
    assert mount.path == "/tmp/file_transfer"
    own = Context(context.runtime, mount.context_id)
    own.put("/tmp/file_transfer/sub/f.zip", b"as it is")
    (task,) = session.mounts.sync(mount.context_id, "/tmp/file_transfer/sub", "download")
    await own.done(session)
    assert (task.status, task.path) == ("Success", "/tmp/file_transfer/sub")
    assert await output(context.runtime, session, "cd $TMPDIR/file_transfer/sub; cat f.zip; echo x > out") == "as it is"
    (task,) = session.mounts.sync(mount.context_id, "/tmp/file_transfer/sub/", "upload")
    await own.done(session)
    assert own.content("/tmp/file_transfer/sub/out") == b"x\n"
    await context.release(session)
    with pytest.raises(Refused, match="not found"):
        own.paths()


# --- policies ---


@pytest.mark.asyncio
async def test_no_automatic_download_or_upload(context: Context) -> None:
    context.put(f"{PLACE}/f", b"stored")
    session = await context.session(downloadPolicy={"autoDownload": False}, uploadPolicy={"autoUpload": False})
    assert context.runtime.rows(session.id, "", "", "") == []
    assert await context.shell(session, "ls -A; echo new > new") == ""
    await context.downloaded(session)
    assert await context.shell(session, "cat f") == "stored"
    await context.release(session)
    assert context.paths() == [f"{PLACE}/f"]


@pytest.mark.asyncio
async def test_deletions_stay_in_the_session_with_that_policy(context: Context) -> None:
    context.put(f"{PLACE}/f", b"stored")
    session = await context.session(deletePolicy={"syncLocalFile": False})
    await context.shell(session, "rm f; echo new > new")
    await context.uploaded(session)
    assert context.paths() == [f"{PLACE}/f", f"{PLACE}/new"]


@pytest.mark.asyncio
async def test_white_lists_hold_in_both_directions(context: Context) -> None:
    stored = ["src/a.py", "src/node_modules/x.js", "src/tmp/t", "srcs/no", "docs/d", "Local State", "other"]
    for path in stored:
        context.put(f"{PLACE}/{path}", b"stored")
    lists = [
        {"path": "/src", "excludePaths": ["/node_modules", "src/tmp/"]},
        {"path": "Local State", "excludePaths": []},
    ]
    session = await context.session(bwList={"whiteLists": lists})
    assert await context.shell(session, "find . -type f | sort") == "./Local State\n./src/a.py"
    make = "rm src/a.py; mkdir -p src/node_modules src/tmp src/empty docs; touch"
    await context.shell(session, f"{make} src/new src/node_modules/new src/tmp/new docs/new new")
    await context.uploaded(session)
    left = sorted([*stored, "src/new", "src/empty"])
    left.remove("src/a.py")
    assert context.paths() == [f"{PLACE}/{path}" for path in left]


@pytest.mark.asyncio
async def test_mapped_data_is_found_at_another_place(context: Context) -> None:
    context.put("/home/old/place/a/f", b"stored")
    context.put(f"{PLACE}/g", b"not this")
    session = await context.session(mappingPolicy={"path": "/home/old/place/"})
    assert await context.shell(session, "find . -type f; echo new > new; rm a/f") == "./a/f"
    await context.uploaded(session)
    assert context.paths() == ["/home/old/place/a", "/home/old/place/new", f"{PLACE}/g"]


@pytest.mark.asyncio
async def test_how_long_files_are_kept(context: Context) -> None:
    await context.session(recyclePolicy={"lifecycle": "Lifecycle_3Days", "paths": ["/logs"]})
    with context.store._database.reading() as db:
        rules = db.execute("SELECT mount, key, days FROM recycling").fetchall()
    assert rules == [(PLACE, f"{PLACE}/logs", 3)]
    await context.session()
    with context.store._database.reading() as db:
        assert db.execute("SELECT count(*) FROM recycling").fetchone() == (0,)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("policy", "found"),
    [
        ({}, ["./sub/one/a/f", "./sub/one/g", "./two/h"]),
        ({"extract": False}, ["./sub/one.zip", "./two.tar.gz"]),
        ({"deleteSrcFile": False}, ["./sub/one.zip", "./sub/one/a/f", "./sub/one/g", "./two.tar.gz", "./two/h"]),
        ({"extractToCurrentFolder": True}, ["./h", "./sub/a/f", "./sub/g"]),
    ],
)
async def test_archives_that_come_are_unpacked(context: Context, policy: dict[str, bool], found: list[str]) -> None:
    context.put(f"{PLACE}/sub/one.zip", zipped({"a/f": b"f", "g": b"g"}))
    context.put(f"{PLACE}/two.tar.gz", tarred({"./h": b"h"}))
    session = await context.session(extractPolicy=policy)
    assert (await context.shell(session, "find . -type f | sort")).split() == found
    before = context.paths()
    await context.uploaded(session)
    assert context.paths() == before  # files from an archive are stored in the archive


@pytest.mark.asyncio
async def test_what_came_out_of_an_archive_and_was_changed_is_stored(context: Context) -> None:
    context.put(f"{PLACE}/one.zip", zipped({"f": b"old", "g": b"old"}))
    first = await context.session()
    await context.shell(first, "echo new > one/f")
    await context.release(first)
    assert context.paths() == [f"{PLACE}/one.zip", f"{PLACE}/one/f"]
    second = await context.session()
    assert await context.shell(second, "cat one/f one/g; ls") == "new\noldone"


@pytest.mark.asyncio
async def test_unpacking_again_keeps_what_the_session_has_changed(context: Context) -> None:
    context.put(f"{PLACE}/one.zip", zipped({"f": b"old", "g": b"old", "h": b"old"}))
    session = await context.session()
    await context.shell(session, "printf mine > one/f; rm one/h")
    context.put(f"{PLACE}/one.zip", zipped({"f": b"newer", "g": b"newer", "h": b"newer"}))
    await context.downloaded(session)
    assert await context.shell(session, "cat one/f one/g; ls one") == "minenewerf\ng"


@pytest.mark.asyncio
async def test_extensions(context: Context) -> None:
    for name in ("ext_1.zip", "ext_2.zip", "ext_3.zip"):
        context.put(f"/tmp/extensions/{name}", zipped({"manifest.json": name.encode()}))
    lists = [{"path": "ext_1.zip", "excludePaths": []}, {"path": "ext_3.zip", "excludePaths": []}]
    session = await context.session(
        "/tmp/extensions/",
        uploadPolicy={"autoUpload": False},
        deletePolicy={"syncLocalFile": False},
        extractPolicy={"extract": True, "deleteSrcFile": True},
        bwList={"whiteLists": lists},
    )
    look = "cd $TMPDIR/extensions; ls; cat */manifest.json"
    assert await output(context.runtime, session, look) == "ext_1\next_3\next_1.zipext_3.zip"
    await context.uploaded(session)
    await context.release(session)
    assert len(context.paths()) == 3


BROKEN = {
    "dots": tarred({"ok": b"", "../out": b"x"}),
    "absolute": tarred({"/tmp/out": b"x"}),
    "link out": tarred({"link": special("link", tarfile.SYMTYPE, "../../..")}),
    "absolute link": tarred({"link": special("link", tarfile.SYMTYPE, "/etc")}),
    "through a link": tarred({"link": special("link", tarfile.SYMTYPE, "."), "link/f": b"x"}),
    "device": tarred({"device": special("device", tarfile.CHRTYPE)}),
    "pipe": tarred({"pipe": special("pipe", tarfile.FIFOTYPE)}),
    "hard link out": tarred({"hard": special("hard", tarfile.LNKTYPE, "/etc/passwd")}),
    "not one": b"not an archive",
    "cut": tarred({"f": bytes(100_000)})[:-20],
}


@pytest.mark.asyncio
@pytest.mark.parametrize("kinds", [list(BROKEN)[:5], list(BROKEN)[5:]], ids=["leads out", "no file"])
async def test_archive_that_is_not_sound_stays_as_it_is(context: Context, kinds: list[str]) -> None:
    """Five at a time: more are counted, not named."""
    archives = {f"{number}.tgz": BROKEN[kind] for number, kind in enumerate(kinds)}
    for name, content in archives.items():
        context.put(f"{PLACE}/{name}", content)
    context.put(f"{PLACE}/z", b"stored")
    session = await context.session()
    (row,) = context.runtime.rows(session.id, "", "", "")
    assert row["status"] == "Failed"
    assert row["errorMessage"].startswith("all was brought into the session but for '0.tgz' (it cannot be unpacked: ")
    for name, kind in zip(archives, kinds, strict=True):
        assert f"'{name}' (it cannot be unpacked: " in row["errorMessage"], kind
    assert (await context.shell(session, "ls -A; ls -A ..")).split("\n") == [*archives, "z", "data"]
    assert [context.content(f"{PLACE}/{name}") for name in archives] == list(archives.values())


@pytest.mark.asyncio
async def test_archive_bomb() -> None:
    async with Runtime(allow_none=True, network="isolated", limits=Limits(unpacked=1 << 20)) as runtime:
        context = Context(runtime, runtime.contexts.store.find("test", True).id)
        for name, content in (("a.tgz", tarred({"f": bytes(2 << 20)})), ("b.zip", zipped({"f": bytes(2 << 20)}))):
            context.put(f"{PLACE}/{name}", content)
        session = await context.session()
        (row,) = runtime.rows(session.id, "", "", "")
        assert row["errorMessage"].count("it unpacks to more than 1,048,576 bytes") == 2
        assert await context.shell(session, "ls -A") == "a.tgz\nb.zip"


# --- one archive for a mount ---

ARCHIVE = {"uploadMode": "Archive"}
STORED = f"{PLACE}/.agb-archive.tar.gz"


@pytest.mark.asyncio
async def test_archive_without_a_change_is_not_stored_again(context: Context) -> None:
    """A file whose time has not passed yet is read in each sync, since a change may leave its time as it is."""
    session = await context.session(uploadPolicy=ARCHIVE)
    await context.shell(session, "mkdir a; echo 1 > a/f; echo 2 > g; touch -d '1 hour' a/f g")
    await context.uploaded(session)
    await context.uploaded(session)
    (stored,) = context.store.files(context.id)
    assert stored.version == 1
    await context.shell(session, "echo 3 > g; touch -d '1 hour' g")
    await context.uploaded(session)
    assert context.store.files(context.id)[0].version == 2


@pytest.mark.asyncio
async def test_archive_there_and_back(context: Context) -> None:
    first = await context.session(uploadPolicy=ARCHIVE)
    await context.shell(first, "mkdir -p a/b empty; echo f > a/b/f; chmod 751 a/b/f; ln -s a/b/f link; touch nothing")
    await context.uploaded(first)
    assert context.paths() == [STORED]
    second = await context.session(uploadPolicy=ARCHIVE)
    assert (
        await context.shell(second, "cat link a/b/f; stat -c %a a/b/f; ls -A") == "f\nf\n751\na\nempty\nlink\nnothing"
    )
    version = context.store.files(context.id)[0].version
    await context.uploaded(second)
    assert context.store.files(context.id)[0].version == version
    await context.shell(second, "rm -r a link; echo new > new")
    await context.uploaded(second)
    assert members(context.content(STORED)) == {"empty": b"", "nothing": b"", "new": b"new\n"}
    third = await context.session()  # which stores files, and unpacks the archive all the same
    assert await context.shell(third, "ls -A; echo third > third; echo changed > new") == "empty\nnew\nnothing"
    await context.uploaded(third)
    assert context.paths() == [STORED, f"{PLACE}/new", f"{PLACE}/third"]


@pytest.mark.asyncio
async def test_two_sessions_with_one_archive(context: Context) -> None:
    start = await context.session(uploadPolicy=ARCHIVE)
    await context.shell(start, "for name in both first second gone kept; do echo old > $name; done")
    await context.uploaded(start)
    first = await context.session(uploadPolicy=ARCHIVE)
    second = await context.session(uploadPolicy=ARCHIVE)
    await context.shell(first, "for name in both first new1; do echo one > $name; done; rm gone")
    await context.shell(second, "for name in both second new2; do echo two > $name; done")
    await context.uploaded(first)
    await context.uploaded(second)
    expected = {"both": "two", "first": "one", "second": "two", "new1": "one", "new2": "two", "kept": "old"}
    assert members(context.content(STORED)) == {name: f"{text}\n".encode() for name, text in expected.items()}
    await context.downloaded(second)
    assert await context.shell(second, "cat first new1 new2") == "one\none\ntwo"
    await context.downloaded(first)
    assert await context.shell(first, "cat both second new1 new2; ls") == (
        "two\ntwo\none\ntwo\nboth\nfirst\nkept\nnew1\nnew2\nsecond"
    )


@pytest.mark.asyncio
async def test_archive_of_which_not_everything_is_wanted_keeps_the_rest(context: Context) -> None:
    first = await context.session(uploadPolicy=ARCHIVE)
    await context.shell(first, "mkdir a b; echo a > a/f; echo b > b/f")
    await context.uploaded(first)
    second = await context.session(uploadPolicy=ARCHIVE, bwList={"whiteLists": [{"path": "a"}]})
    assert await context.shell(second, "find . -type f; echo new > a/f; echo no > c") == "./a/f"
    await context.uploaded(second)
    assert members(context.content(STORED)) == {"a/f": b"new\n", "b/f": b"b\n"}
    third = await context.session(uploadPolicy=ARCHIVE, extractPolicy={"extract": False})
    assert await context.shell(third, "ls -A; echo x > x") == ".agb-archive.tar.gz"
    await context.uploaded(third)
    assert members(context.content(STORED)) == {"a/f": b"new\n", "b/f": b"b\n", "x": b"x\n"}


@pytest.mark.asyncio
async def test_archive_keeps_what_cannot_be_read_and_what_is_deleted_in_the_session_only(context: Context) -> None:
    policy: Any = {"uploadPolicy": ARCHIVE, "deletePolicy": {"syncLocalFile": False}}
    session = await context.session(**policy)
    await context.shell(session, "echo a > a; echo b > b")
    await context.uploaded(session)
    await context.shell(session, "rm a; rm b; ln -s / b; echo c > c")
    row = await context.sync(session)
    assert row["status"] == "Failed"
    assert "'b' (it is a symbolic link with an absolute target)" in row["errorMessage"]
    assert members(context.content(STORED)) == {"a": b"a\n", "b": b"b\n", "c": b"c\n"}


@pytest.mark.asyncio
async def test_file_that_was_stored_by_itself_moves_into_the_archive_when_it_changes(context: Context) -> None:
    context.put(f"{PLACE}/changed", b"old")
    context.put(f"{PLACE}/kept", b"kept")
    session = await context.session(uploadPolicy=ARCHIVE)
    await context.shell(session, "echo new > changed")
    await context.uploaded(session)
    assert context.paths() == [f"{PLACE}/.agb-archive.tar.gz", f"{PLACE}/kept"]
    later = await context.session(uploadPolicy=ARCHIVE)
    assert await context.shell(later, "cat changed kept") == "new\nkept"


@pytest.mark.asyncio
async def test_link_through_another_link_stays_in_the_archive(context: Context) -> None:
    """Its text names a place in the archive, but the kernel would resolve it to the directory above the mount."""
    links = {"a/b/up": "../..", "out": "a/b/up/.."}
    members = {name: special(name, tarfile.SYMTYPE, target) for name, target in links.items()}
    context.put(f"{PLACE}/links.tar.gz", tarred({**members}))
    session = await context.session()
    assert await context.shell(session, "readlink links/out links/a/b/up") == "a/b\n../.."


# --- whole /home and /tmp, and transfers to any directory --------------------------------------------------------


@needs_bubblewrap
@pytest.mark.asyncio
@pytest.mark.parametrize("place", ["/home", "/tmp"])
async def test_mount_at_home_and_tmp(context: Context, place: str) -> None:
    context.put(f"{place}/user/sub/f", b"stored")
    session = await context.session(place)
    assert await output(context.runtime, session, f"cat {place}/user/sub/f") == "stored"
    await session.mounts.load_internal()
    make = "mkdir -p /tmp/agb-processes; touch /tmp/agb-processes/x /tmp/file_transfer/y"
    await output(context.runtime, session, f"{make}; echo new > {place}/user/new; echo top > {place}/top")
    await context.release(session)
    # A home has the mode 700; /home and /tmp themselves are not the session's.
    home = [f"{place}/user"] if place == "/home" else []
    assert context.paths() == [f"{place}/top", *home, f"{place}/user/new", f"{place}/user/sub/f"]
    again = await context.session(place)
    assert await output(context.runtime, again, f"cat {place}/user/new {place}/top") == "new\ntop"
    assert (await output(context.runtime, again, "cd; pwd; touch here; echo $HOME")).split() == ["/home/user"] * 2


@pytest.mark.asyncio
@pytest.mark.parametrize("directory", ["/home/user", "/home/user/a/b", "/tmp", "/tmp/x"])
async def test_transfer_to_and_from_any_directory(local_runtime: Runtime, directory: str) -> None:
    """As agbcloud-sdk 0.12 does it: with the session's own context, and a sync of the file's directory."""
    session = await local_runtime.create(IMAGE)
    mount = await session.mounts.load_internal()
    own = Context(local_runtime, mount.context_id)
    own.put(f"{directory}/up", b"sent")
    (task,) = session.mounts.sync(mount.context_id, f"{directory}/", "download")
    await own.done(session)
    assert (task.status, task.error_message) == ("Success", "")
    assert await output(local_runtime, session, f"cat {directory}/up; echo made > {directory}/down") == "sent"
    (task,) = session.mounts.sync(mount.context_id, directory, "upload")
    await own.done(session)
    assert (task.status, task.error_message) == ("Success", "")
    assert own.content(f"{directory}/down") == b"made\n"
    rows = session.mounts.rows(mount.context_id, directory)
    assert [(row["taskType"], row["status"]) for row in rows] == [("download", "Success"), ("upload", "Success")]
    for wrong in ("/opt/x", "/tmp/../x"):
        with pytest.raises(Refused, match=r"is not a directory of this session|is in none of the mounts"):
            session.mounts.sync(mount.context_id, wrong, "download")
