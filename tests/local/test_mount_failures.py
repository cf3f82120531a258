"""Mounts when something is in the way: links that change, full disks, programs that do not play along, sudden ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

import agb.local.sessions.runtime
from agb.local.contexts import helper_client, sync, upload
from agb.local.contexts.binding import SyncFailed
from agb.local.contexts.mounts import mounts
from agb.local.errors import Refused
from agb.local.inside.messages import MessageSocket
from agb.local.limits import Limits
from agb.local.sessions.runtime import Runtime
from agb.local.sessions.session import LocalSession

from .mounted import PLACE, Context, members
from .runtimes import Clock, needs_bubblewrap, output, sandboxed, wait_for_end

ROUNDS = int(os.environ.get("AGB_RACE_ROUNDS", "10"))
"""How often a race with a hostile session is run; ``nox -s long`` runs it more often."""

# --- what is asked for makes no sense ---

BAD = {
    "no array": ({}, "persistenceDataList must be an array, not an object"),
    "no object": (["x"], r"persistenceDataList\[0\] must be an object, not a string"),
    "no context": ([{"path": "/tmp/x"}], r"\[0\].contextId is missing"),
    "blank context": ([{"contextId": " ", "path": "/tmp/x"}], r"\[0\].contextId is missing"),
    "no path": ([{"contextId": "c", "path": ""}], r"\[0\].path is missing"),
    "odd path": ([{"contextId": "c", "path": 7}], r"\[0\].path must be a string, not a number"),
    "relative": ([{"contextId": "c", "path": "tmp/x"}], "is not absolute"),
    "dots": ([{"contextId": "c", "path": "/tmp/../etc"}], "contains '..'"),
    "root": ([{"contextId": "c", "path": "//"}], "nothing can be mounted at '//': give a directory below"),
    "file transfer": ([{"contextId": "c", "path": "/tmp/file_transfer/x"}], "taken by the session's own file transfer"),
    "twice": (
        [{"contextId": "c", "path": "/tmp/x"}, {"contextId": "d", "path": "/tmp/x/"}],
        "'/tmp/x/' and '/tmp/x' are the same directory or one is inside the other",
    ),
    "nested": (
        [{"contextId": "c", "path": "/tmp/x/y"}, {"contextId": "d", "path": "/tmp/x"}],
        "are the same directory or one is inside the other",
    ),
    "same files": (
        [
            {"contextId": "c", "path": "/tmp/x"},
            {"contextId": "c", "path": "/tmp/y", "policy": '{"mappingPolicy": {"path": "/tmp/x/z"}}'},
        ],
        "are to hold the same files",
    ),
}
BAD_POLICIES = {
    "no JSON": ("{", r"persistenceDataList\[0\].policy is not valid JSON"),
    "a list": ("[]", r"policy must be a JSON object, not an array"),
    "unknown part": ('{"uploadPolicys": {}}', "policy has 'uploadPolicys', which this runtime does not know"),
    "unknown field": ('{"uploadPolicy": {"auto": true}}', "policy.uploadPolicy has 'auto', which this runtime"),
    "odd part": ('{"uploadPolicy": 1}', "policy.uploadPolicy must be an object, not a number"),
    "odd flag": ('{"uploadPolicy": {"autoUpload": "yes"}}', "uploadPolicy.autoUpload must be true or false, not a str"),
    "mode": ('{"uploadPolicy": {"uploadMode": "Zip"}}', "uploadPolicy.uploadMode must be one of File, Archive, not 'Z"),
    "strategy": ('{"downloadPolicy": {"downloadStrategy": 3}}', "must be one of DownloadAsync, not a number"),
    "lifecycle": ('{"recyclePolicy": {"lifecycle": "Lifecycle_7Days"}}', "must be one of Lifecycle_1Day, Lifecycle_3"),
    "wildcard": ('{"recyclePolicy": {"paths": ["*.log"]}}', "recyclePolicy.paths: wildcards"),
    "white list": ('{"bwList": {"whiteLists": [{"path": "../x"}]}}', r"whiteLists\[0\].path: the path"),
    "excluded": ('{"bwList": {"whiteLists": [{"excludePaths": "x"}]}}', "excludePaths must be an array, not a string"),
    "mapping": ('{"mappingPolicy": {"path": "x"}}', "mappingPolicy.path: the path 'x' is not absolute"),
}


@pytest.mark.parametrize(("given", "message"), BAD.values(), ids=BAD.keys())
def test_refused_mounts(given: Any, message: str) -> None:
    with pytest.raises(Refused, match=message):
        mounts(given)


@pytest.mark.parametrize(("policy", "message"), BAD_POLICIES.values(), ids=BAD_POLICIES.keys())
def test_refused_policies(policy: str, message: str) -> None:
    with pytest.raises(Refused, match=message):
        mounts([{"contextId": "c", "path": "/tmp/x", "policy": policy}])


def test_policies_as_clients_send_them() -> None:
    given = json.dumps(
        {
            "uploadPolicy": {"autoUpload": True, "uploadStrategy": "UploadBeforeResourceRelease", "uploadMode": "File"},
            "downloadPolicy": {"autoDownload": True, "downloadStrategy": "DownloadAsync"},
            "deletePolicy": {"syncLocalFile": True},
            "extractPolicy": {"extract": True, "deleteSrcFile": True, "extractToCurrentFolder": False},
            "recyclePolicy": {"lifecycle": "Lifecycle_Forever", "paths": [""]},
            "bwList": {"whiteLists": []},
        }
    )
    policy = mounts([{"contextId": "c", "path": "/tmp/x", "policy": given}])
    assert policy == mounts([{"contextId": "c", "path": "/tmp/x", "policy": ""}])
    assert policy == mounts([{"contextId": "c", "path": "/tmp/x", "policy": '{"uploadPolicy": null}'}])


@needs_bubblewrap
@pytest.mark.asyncio
@pytest.mark.parametrize("path", ["/usr/local/x", "/etc", "/proc/1/cwd", "/dev/shm/x", "/run/agb", "/lib"])
async def test_places_of_the_system_are_refused(context: Context, path: str) -> None:
    with pytest.raises(Refused, match=r"is the system's; give a directory below|nothing can be mounted at"):
        await context.started(path)
    assert context.runtime.list({}, max_results=10).sessions == []


@pytest.mark.asyncio
async def test_places_without_isolation() -> None:
    async with Runtime(isolation="none") as runtime:
        context = Context(runtime, runtime.contexts.store.find("test", True).id)
        with pytest.raises(Refused, match="does not isolate sessions, so there are only /home/user and /tmp"):
            await context.started("/data")
        for place in ("/home/user", "/tmp/a/b", "/tmp"):
            context.put(f"{place}/f", place.encode())
            session = await context.session(place)
            where = place.replace("/home/user", "$HOME").replace("/tmp", "$TMPDIR")
            assert await output(runtime, session, f"cat {where}/f; echo new > {where}/new") == place
            await context.release(session)
            assert context.content(f"{place}/new") == b"new\n"


@pytest.mark.asyncio
async def test_unknown_context_is_refused_before_anything_is_started(local_runtime: Runtime) -> None:
    with pytest.raises(Refused, match="not found"):
        await Context(local_runtime, "SdkCtx-none").started()
    assert local_runtime._created == 0


@pytest.mark.asyncio
async def test_syncs_that_make_no_sense_are_refused(context: Context) -> None:
    session = await context.session()
    for given, message in (
        (("SdkCtx-none", "", ""), f"is not mounted in this session; mounted are {context.id} at {PLACE}"),
        (("", "/tmp/other", ""), "is in none of the mounts"),
        (("", f"{PLACE}x", ""), "is in none of the mounts"),
        (("", f"{PLACE}/../x", ""), "is in none of the mounts"),
        (("", "", "both"), "mode must be upload or download, not 'both'"),
    ):
        with pytest.raises(Refused, match=message):
            session.mounts.sync(*given)
    row = await context.sync(session, "upload", f"{PLACE}/none")
    assert row["errorMessage"] == "nothing was stored: 'none': it is not there"


@pytest.mark.asyncio
async def test_mounted_context_is_not_deleted(context: Context) -> None:
    session = await context.session()
    with pytest.raises(Refused, match=f"is mounted in the session {session.id}; release that first"):
        await context.runtime.contexts.delete(context.id)
    await context.release(session)
    await context.runtime.contexts.delete(context.id)


# --- two sessions and one context ---


@pytest.mark.asyncio
async def test_untouched_copy_never_wins(context: Context) -> None:
    for name in ("both", "first", "deleted", "kept"):
        context.put(f"{PLACE}/{name}", b"old")
    first, second = await context.session(), await context.session()
    await context.shell(first, "printf one > both; printf one > first; rm deleted; touch kept; chmod +x first")
    await context.shell(second, "printf two > both; printf two > deleted; rm first")
    await context.uploaded(first)
    await context.uploaded(second)
    await context.uploaded(first)
    contents = {path.rpartition("/")[2]: context.content(path) for path in context.paths()}
    assert contents == {"both": b"two", "first": b"one", "deleted": b"two", "kept": b"old"}
    await context.downloaded(first)
    await context.downloaded(second)
    for session in (first, second):
        assert await context.shell(session, "cat both first deleted kept") == "twoonetwoold"


@pytest.mark.asyncio
async def test_two_sessions_at_once_lose_no_file(context: Context) -> None:
    sessions = [await context.session() for _ in range(3)]
    make = "for i in $(seq 100); do echo {0} > own{0}_$i; echo {0} > both_$i; done"
    for number, session in enumerate(sessions):
        await context.shell(session, make.replace("{0}", str(number)))
    for _ in range(3):
        for session in sessions:
            session.mounts.sync()
        await asyncio.gather(*(context.done(session) for session in sessions))
    stored = {path.rpartition("/")[2]: context.content(path) for path in context.paths()}
    assert len(stored) == 4 * 100
    for name, content in stored.items():
        assert content in ({b"0\n", b"1\n", b"2\n"} if name.startswith("both") else {f"{name[3]}\n".encode()})
    for session in sessions:
        session.mounts.sync(mode="download")
        await context.done(session)
        for name in ("both_1", "both_100", "own0_1", "own2_100"):
            shown = await context.shell(session, f"cat {name}")
            assert shown.encode() + b"\n" == stored[name]


@pytest.mark.asyncio
async def test_sessions_that_store_one_archive_at_once_lose_no_file(context: Context) -> None:
    sessions = [await context.session(uploadPolicy={"uploadMode": "Archive"}) for _ in range(3)]
    for number, session in enumerate(sessions):
        make = f"for i in $(seq 40); do echo {number} > own{number}_$i; echo {number} > both_$i; done"
        await context.shell(session, make)
    for session in sessions:
        session.mounts.sync()
    for session in sessions:
        assert [row["status"] for row in await context.done(session)] == ["Success"] * 2
    stored = members(context.content(f"{PLACE}/.agb-archive.tar.gz"))
    assert len(stored) == 4 * 40
    assert all(content == f"{name[3]}\n".encode() for name, content in stored.items() if name.startswith("own"))
    for session in sessions:
        await context.downloaded(session)
        assert await context.shell(session, "ls | wc -l; cat both_1") == f"160\n{stored['both_1'].decode().strip()}"


# --- links ---


@needs_bubblewrap
@pytest.mark.asyncio
async def test_links_that_lead_out_are_named_and_the_rest_is_stored(context: Context) -> None:
    session = await context.session()
    make = """
        mkdir -p d/e; echo f > f; echo g > d/e/g; ln -s d/e/g in; mkfifo pipe; ln -s pipe to_pipe
        ln -s /etc/passwd out; ln -s ../../../../etc d/out; ln -s ../data/f around; ln -s nowhere dangling
        ln -s loop loop; ln -s . d/self; ln -s ../../d d/e/up; ln -s d/e/../e/g behind; ln -s $PWD/f absolute
    """
    await context.shell(session, make)
    files, failures = await listed(context, session)
    out = "it is a symbolic link that leads out of the mount"
    assert failures == {
        "out": "it is a symbolic link with an absolute target",
        "absolute": "it is a symbolic link with an absolute target",
        "d/out": out,
        "around": out,
        "behind": "it is a symbolic link whose target has '..' behind a name",
    }
    row = await context.sync(session)
    assert row["errorMessage"].startswith("all was stored but for ")
    assert all(f"'{path}' ({why})" in row["errorMessage"] for path, why in failures.items())
    links = ["d/e/up", "d/self", "dangling", "in", "loop", "to_pipe"]
    assert [path[len(PLACE) + 1 :] for path in context.paths()] == sorted(files) == sorted(["d/e/g", "f", *links])
    assert context.content(f"{PLACE}/in") == b"d/e/g"


@pytest.mark.asyncio
@pytest.mark.parametrize("mode", ["File", "Archive"])
async def test_stored_link_that_leads_out_of_a_mount_is_not_made(context: Context, mode: str) -> None:
    """A session can store what it likes: its own programs may write the archive, and a larger mount has more inside."""
    kept = {"d/in": "../f", "in": "f"}
    for path, target in {**kept, "out": "..", "d/out": "../../x", "d/through": "e/../../..", "abs": "/etc"}.items():
        context.put(f"{PLACE}/{path}", target.encode(), kind="link", mode=0o777)
    context.put(f"{PLACE}/f", b"stored")
    session = await context.started(uploadPolicy={"uploadMode": mode})
    (row,) = await context.done(session)
    for path in ("out", "d/out", "abs", "d/through"):
        assert f"'{path}' (it is a symbolic link " in row["errorMessage"]
    assert await context.shell(session, "find . -type l | sort; readlink in d/in") == "./d/in\n./in\nf\n../f"


@pytest.mark.asyncio
async def test_link_of_a_hostile_session_is_not_stored(context: Context) -> None:
    """Its helper may claim any link; only one that stays in the mount is stored."""
    session = await context.session()
    await context.shell(session, "ln -s f link; echo f > f")
    receive = helper_client.HelperClient.receive
    target = b""

    def claimed(self: helper_client.HelperClient) -> tuple[dict[str, Any], bytes]:
        header, blob = receive(self)
        return header, target if header.get("path") == "link" else blob

    for target in (b"../x", b"/etc", b"", b"a\0b", b"d/../..", b"x" * 5000):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(helper_client.HelperClient, "receive", claimed)
            row = await context.sync(session)
        assert row["errorMessage"] == "the program that works on the mount sent an invalid answer", target
        assert f"{PLACE}/link" not in context.paths()
    await context.uploaded(session)
    assert context.content(f"{PLACE}/link") == b"f"


@pytest.mark.asyncio
@pytest.mark.parametrize("mode", ["File", "Archive"])
async def test_nothing_is_written_through_a_link(context: Context, mode: str) -> None:
    """One session makes a link of a directory in which another one stores files."""
    policy: Any = {"uploadPolicy": {"uploadMode": mode}}
    hostile = await context.session(**policy)
    await context.shell(hostile, "mkdir a b; echo a > a/f; echo b > b/f")
    await context.uploaded(hostile)
    other = await context.session(**policy)
    await context.shell(hostile, "rm -r a; ln -s b a")
    await context.shell(other, "echo changed > a/f; echo new > a/new")
    await context.uploaded(other)
    row = await context.sync(hostile, "download")
    assert row["status"] == "Failed"
    assert await context.shell(hostile, "cat b/f; ls b; readlink a") == "b\nf\nb"
    row = await context.sync(hostile, "upload")
    if mode == "File":
        assert "Nothing can be stored as '/home/user/data/a': it is a directory with files in it" in row["errorMessage"]
        assert context.content(f"{PLACE}/a/f") == b"changed\n"
        assert context.content(f"{PLACE}/b/f") == b"b\n"


async def listed(context: Context, session: LocalSession) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the files and failures that a sync lists in a mount."""
    found: list[tuple[dict[str, Any], dict[str, str]]] = []

    class Listing(upload.Upload):
        def run(self, below: str) -> None:
            found.append(self._work.list(below))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sync, "Upload", Listing)
        await context.sync(session)
    return found[0]


@needs_bubblewrap
@pytest.mark.asyncio
async def test_mount_that_became_a_link_is_not_followed(context: Context) -> None:
    context.put(f"{PLACE}/f", b"stored")
    session = await context.session()
    await output(context.runtime, session, "cd; mv data moved; ln -s /etc data")
    for mode in ("upload", "download"):
        row = await context.sync(session, mode)
        assert row["errorMessage"].startswith(f"the directory '{PLACE}' cannot be used: ")
    await output(context.runtime, session, "cd; rm data")
    row = await context.sync(session)
    assert row["errorMessage"] == f"the directory '{PLACE}' cannot be used: it is not there"
    assert context.paths() == [f"{PLACE}/f"]


@needs_bubblewrap
@pytest.mark.asyncio
async def test_link_that_changes_its_target_leads_nowhere_else(context: Context, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("the machine's")
    tmp_path.chmod(0o777)
    session = await context.session()
    swap = f"""mkdir d dd; echo mine > d/outside; echo mine > dd/outside
        while :; do mv -T d e; ln -s {tmp_path} d; rm d; ln -s /etc d; rm d; mv -T e d; done"""
    await output(context.runtime, session, f"cd data; ({swap}) >/dev/null 2>&1 & until [ -e dd/outside ]; do :; done")
    for number in range(ROUNDS):
        context.put(f"{PLACE}/d/outside", f"stored {number}".encode())
        context.put(f"{PLACE}/d/passwd", f"stored {number}".encode())
        await context.sync(session, "download")
        await context.sync(session, "upload")
        for path in context.paths():
            content = context.content(path)
            assert content == b"mine\n" or content == b"" or content.startswith(b"stored"), (path, content)
    assert outside.read_text() == "the machine's"
    assert [path.name for path in tmp_path.iterdir()] == ["outside"]


# --- what does not fit ---


@pytest.mark.asyncio
async def test_files_that_cannot_be_stored_or_brought_are_named(context: Context) -> None:
    for path in ("dir/f", "file", "good"):
        context.put(f"{PLACE}/{path}", b"stored")
    session = await context.session(downloadPolicy={"autoDownload": False})
    await context.shell(session, "echo x > dir; mkdir -p file/x; echo x > file/x/y")
    row = await context.sync(session, "download")
    assert "'dir/f' (something on the way to it is a file or a symbolic link)" in row["errorMessage"]
    assert "'file' (a directory is there)" in row["errorMessage"]
    assert await context.shell(session, "cat good; ls -A") == "storeddir\nfile\ngood"
    row = await context.sync(session, "upload")
    assert row["errorMessage"].startswith("all was stored but for 'dir' (")
    assert "it is a directory with files in it" in row["errorMessage"]
    await context.shell(session, "rm -r dir file; printf 'b\\xffd' > name; touch \"$(cat name)\"; rm name")
    row = await context.sync(session, "upload")
    assert row["errorMessage"] == "all was stored but for 'b\\udcffd' (its name is not UTF-8, or too long)"


@pytest.mark.asyncio
async def test_file_takes_the_place_of_a_directory_and_the_other_way_round(context: Context) -> None:
    session = await context.session()
    await context.shell(session, "mkdir a; echo 1 > a/f; echo 2 > b")
    await context.uploaded(session)
    await context.shell(session, "rm -r a b; echo 3 > a; mkdir b; echo 4 > b/f")
    await context.uploaded(session)
    assert context.paths() == [f"{PLACE}/a", f"{PLACE}/b/f"]


@needs_bubblewrap
@pytest.mark.asyncio
async def test_file_larger_than_the_session_takes() -> None:
    async with sandboxed(file_size=1 << 20) as runtime:
        context = Context(runtime, runtime.contexts.store.find("test", True).id)
        context.put(f"{PLACE}/large", bytes(2 << 20))
        context.put(f"{PLACE}/small", b"small")
        session = await context.session()
        (row,) = runtime.rows(session.id, "", "", "")
        assert row["errorMessage"] == (
            "all was brought into the session but for 'large' (it is larger than a file of this session may be)"
        )
        assert await context.shell(session, "cat small; ls -A") == "smallsmall"
        await context.release(session)
        assert context.paths() == [f"{PLACE}/large", f"{PLACE}/small"]


@pytest.mark.asyncio
async def test_file_larger_than_the_store_takes() -> None:
    limits = Limits(stored_file=1 << 20)
    async with Runtime(allow_none=True, network="isolated", limits=limits) as runtime:
        context = Context(runtime, runtime.contexts.store.find("test", True).id)
        session = await context.session()
        await context.shell(session, "truncate -s 5M large; echo small > small")
        row = await context.sync(session)
        assert row["errorMessage"] == (
            "all was stored but for 'large' (The file is larger than 1,048,576 bytes, the most this runtime stores)"
        )
        assert context.paths() == [f"{PLACE}/small"]


@needs_bubblewrap
@pytest.mark.asyncio
async def test_directory_that_cannot_be_read_loses_nothing(context: Context) -> None:
    for path in ("d/f", "g"):
        context.put(f"{PLACE}/{path}", b"stored")
    session = await context.session()
    await context.shell(session, "chmod 0 d g")
    row = await context.sync(session)
    assert "'d' (permission denied)" in row["errorMessage"]
    assert "'g' (permission denied)" in row["errorMessage"]
    assert context.paths() == [f"{PLACE}/d/f", f"{PLACE}/g"]


# --- what does not end ---


@pytest.mark.asyncio
async def test_file_that_grows_is_stored_as_it_is_now(context: Context) -> None:
    session = await context.session()
    await context.shell(session, "(while :; do printf 0123456789; done > log) & until [ -s log ]; do :; done")
    await context.uploaded(session)
    first = context.content(f"{PLACE}/log")
    assert first == (b"0123456789" * len(first))[: len(first)] != b""
    await context.shell(session, f"until [ $(stat -c %s log) -gt {len(first)} ]; do :; done")
    await context.uploaded(session)
    assert len(context.content(f"{PLACE}/log")) > len(first)


@needs_bubblewrap
@pytest.mark.asyncio
async def test_helper_that_is_stopped_or_ended_by_the_session(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    context.put(f"{PLACE}/f", b"stored")
    session = await context.session()
    await context.shell(session, "truncate -s 1G large")
    find = "grep -l mount_helpe[r] /proc/[0-9]*/cmdline 2>/dev/null | cut -d/ -f3"
    for signal, quiet, failure in (
        ("STOP", 3.0, "no data has arrived from the session for 3 seconds"),
        ("KILL", 60.0, "the program that works on the mount ended"),
    ):
        monkeypatch.setattr(helper_client, "QUIET_SECONDS", quiet)
        hunt = f"(until kill -{signal} $({find}); do :; done) >/dev/null 2>&1 &"
        await context.shell(session, hunt)
        row = await context.sync(session)
        assert (row["status"], row["errorMessage"][: len(failure)]) == ("Failed", failure)
    assert context.paths() == [f"{PLACE}/f"]
    monkeypatch.undo()
    await context.shell(session, "truncate -s 1K large")
    await context.uploaded(session)


@pytest.mark.asyncio
async def test_sync_that_takes_too_long() -> None:
    limits = Limits(sync=0.2)
    async with Runtime(allow_none=True, network="isolated", limits=limits) as runtime:
        context = Context(runtime, runtime.contexts.store.find("test", True).id)
        session = await context.session(uploadPolicy={"autoUpload": False})
        await context.shell(session, "truncate -s 2000M large")
        row = await context.sync(session)
        assert row["errorMessage"] == "it was not done within 0 seconds"
        assert context.paths() == []


# --- the end of a session ---


@pytest.mark.asyncio
async def test_session_released_in_the_middle_of_syncs(context: Context) -> None:
    context.put(f"{PLACE}/large", bytes(100 << 20))
    context.put(f"{PLACE}/small", b"stored")
    session = await context.started()
    context.runtime.release(session.id)
    await context.runtime.released(session.id)
    rows = context.runtime.rows(session.id, "", "", "")
    assert [(row["taskType"], row["status"]) for row in rows] == [("download", "Failed"), ("upload", "Success")]
    assert rows[0]["errorMessage"] == "the session was released before it was done"
    assert context.paths() == [f"{PLACE}/large", f"{PLACE}/small"]
    session = await context.session()
    await context.shell(session, "printf new > small; truncate -s 150M large")
    session.mounts.sync()
    context.runtime.release(session.id)
    await context.runtime.released(session.id)
    assert context.content(f"{PLACE}/small") == b"new"
    assert context.store.stat(context.id, f"{PLACE}/large").size == 150 << 20  # type: ignore[union-attr]


def test_list_of_a_replaced_helper_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helper_client, "MOST_BYTES", 1 << 20)
    ours, theirs = socket.socketpair()
    helper, client = MessageSocket(theirs), helper_client.HelperClient(ours, 60)
    rows = json.dumps([["x" * 60_000, None, ""]]).encode()

    def send() -> None:
        with contextlib.suppress(OSError):
            while True:
                helper.send({}, rows)

    sender = threading.Thread(target=send)
    sender.start()
    with pytest.raises(SyncFailed, match="too large"):
        list(client.rows())
    client.abort("the end")
    sender.join()
    helper.close()
    client.close()


def test_reasons_of_a_replaced_helper_can_be_logged() -> None:
    """The session could forge lines of the log, fill it, or control the terminal that shows it."""
    ours, theirs = socket.socketpair()
    helper, client = MessageSocket(theirs), helper_client.HelperClient(ours, 60)
    for failed, reason in (("a\nforged \x1b[2J☃", r"a\nforged \x1b[2J☃"), ("x" * 100_000, "x" * 2000), ([1], "[1]")):
        helper.send({"failed": failed, "end": True})
        with pytest.raises(SyncFailed) as caught:
            list(client.rows())
        assert str(caught.value) == reason
    helper.close()
    client.close()


@pytest.mark.asyncio
async def test_last_upload_has_its_time(caplog: pytest.LogCaptureFixture) -> None:
    limits = Limits(last_sync=0.3)
    async with Runtime(allow_none=True, network="isolated", limits=limits) as runtime:
        context = Context(runtime, runtime.contexts.store.find("test", True).id)
        session = await context.session()
        await context.shell(session, "truncate -s 2000M large")
        await context.release(session)
        row = runtime.rows(session.id, "", "", "")[-1]
        assert row["errorMessage"] == "it was not done within the 0 seconds a session has for it at its end"
        assert context.paths() == []
    assert f"Session {session.id}: not everything at {PLACE} was stored in context {context.id}" in caplog.text


@pytest.mark.asyncio
async def test_stopping_has_its_time(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agb.local.sessions.runtime, "STOP_SYNCS", 0.3)
    async with Runtime(allow_none=True, network="isolated") as runtime:
        context = Context(runtime, runtime.contexts.store.find("test", True).id)
        session = await context.session()
        await context.shell(session, "truncate -s 2000M large")
        runtime.release(session.id)
    assert "it was not done within 0 seconds, and the runtime stops" in caplog.text


@pytest.mark.asyncio
async def test_idle_session_stores_its_data() -> None:
    clock = Clock()
    async with Runtime(allow_none=True, network="isolated", clock=clock) as runtime:
        context = Context(runtime, runtime.contexts.store.find("test", True).id)
        session = await context.session()
        await context.shell(session, "echo last > f")
        clock.now += 301
        runtime.sweep()
        await runtime.released(session.id)
        assert context.content(f"{PLACE}/f") == b"last\n"


@pytest.mark.asyncio
async def test_sync_is_activity() -> None:
    clock = Clock()
    async with Runtime(allow_none=True, network="isolated", clock=clock) as runtime:
        context = Context(runtime, runtime.contexts.store.find("test", True).id)
        session = await context.session()
        session.mounts.sync()
        clock.now += 301
        runtime.sweep()
        assert session.state == "RUNNING"
        await context.done(session)
        runtime.sweep()
        assert session.state == "RUNNING"


@needs_bubblewrap
@pytest.mark.asyncio
async def test_session_that_ended_by_itself_stores_its_data(context: Context) -> None:
    session = await context.session()
    await context.shell(session, "echo last > f")
    agent = session.sandbox.pid
    os.kill(agent, 9)
    assert wait_for_end(agent)
    await session.sandbox.ended.wait()
    await context.runtime.released(session.id)
    assert context.content(f"{PLACE}/f") == b"last\n"
    assert list(context.runtime._sandboxes._area.iterdir()) == []


@pytest.mark.asyncio
async def test_rows_are_bounded_and_a_failure_is_listed_until_a_success(context: Context) -> None:
    session = await context.session()
    await context.shell(session, "ln -s / out")
    await context.sync(session)
    assert [row["status"] for row in await context.done(session)] == ["Success", "Failed"]
    await context.shell(session, "rm out")
    await context.uploaded(session)
    assert [row["status"] for row in await context.done(session)] == ["Success", "Success"]
    session.mounts._tasks *= 300
    await context.uploaded(session)
    assert len(await context.done(session)) <= 500
    rows = context.runtime.rows
    assert rows(session.id, "", f"{PLACE}/", "download") == rows(session.id, context.id, PLACE, "download") != []
    assert rows(session.id, "SdkCtx-none", "", "") == rows(session.id, "", "/tmp/other", "") == []
