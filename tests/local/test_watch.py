"""Watching: the changes of real files that the tool get_file_change reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agb.local.inside import file_watch
from agb.local.inside.file_watch import Watcher
from agb.local.sessions.runtime import Runtime
from agb.local.sessions.session import LocalSession

from .runtimes import call, output

Event = tuple[str, str, str]


def reported(events: list[dict[str, str]], top: str) -> list[Event]:
    """Return events shortly, with paths from the top on."""
    return [(event["eventType"], event["path"].removeprefix(f"{top}/"), event["pathType"]) for event in events]


# --- as a tool ---


async def changes(runtime: Runtime, session: LocalSession, path: str = "w") -> list[Event]:
    reply = await call(runtime, session, "get_file_change", path=path)
    assert not reply.is_error, reply.text
    return reported(json.loads(reply.text), f"{session.sandbox.home}/w")


@pytest.mark.asyncio
async def test_what_tools_and_programs_do(local_runtime: Runtime, box: LocalSession) -> None:
    await output(local_runtime, box, "mkdir w; echo before > w/before")
    assert await changes(local_runtime, box) == []
    await call(local_runtime, box, "write_file", path="w/f", content="x")
    assert await changes(local_runtime, box) == [("create", "f", "file"), ("modify", "f", "file")]
    assert await changes(local_runtime, box) == []
    for content in ("y", "z"):
        await call(local_runtime, box, "write_file", path="w/f", content=content)
    await call(local_runtime, box, "write_file", path="w/before", content="z", mode="append")
    assert await changes(local_runtime, box) == [("modify", "f", "file"), ("modify", "before", "file")]
    await output(local_runtime, box, "touch w/empty; rm w/empty; mv w/f w/g; echo more >> w/g; mkdir w/d; rmdir w/d")
    assert await changes(local_runtime, box) == [
        ("create", "empty", "file"),
        ("delete", "empty", "file"),
        ("delete", "f", "file"),
        ("create", "g", "file"),
        ("modify", "g", "file"),
        ("create", "d", "directory"),
        ("delete", "d", "directory"),
    ]
    await call(local_runtime, box, "edit_file", path="w/g", edits=[{"oldText": "more", "newText": "less"}])
    await call(local_runtime, box, "move_file", source="w/g", destination="w/h")
    await call(local_runtime, box, "delete_file", path="w/h")
    assert await changes(local_runtime, box) == [
        ("modify", "g", "file"),
        ("delete", "g", "file"),
        ("create", "h", "file"),
        ("delete", "h", "file"),
    ]


@pytest.mark.asyncio
async def test_helper_that_was_killed_has_lost_changes(local_runtime: Runtime, box: LocalSession) -> None:
    await output(local_runtime, box, "mkdir w")
    assert await changes(local_runtime, box) == []
    await output(local_runtime, box, "kill -9 $(grep -l file_helpe[r] /proc/[0-9]*/cmdline | cut -d/ -f3 | head -1)")
    lost = await changes(local_runtime, box)
    assert lost == [("overflow", f"{box.sandbox.home}/w", "directory")]
    await output(local_runtime, box, "touch w/f")
    assert await changes(local_runtime, box) == [("create", "f", "file")]


# --- the watcher itself ---


class Watch:
    """A directory that is watched."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.watcher = Watcher()
        assert self.events() == []

    def events(self, path: Path | None = None) -> list[Event]:
        return reported(self.watcher.changes(str(path or self.top), expected=False), str(self.top))


@pytest.fixture
def watch(tmp_path: Path) -> Any:
    watch = Watch(tmp_path)
    yield watch
    watch.watcher.close()


def test_new_directories_are_watched_with_all_in_them(watch: Watch) -> None:
    (watch.top / "a/b/c").mkdir(parents=True)
    (watch.top / "a/b/c/f").write_text("x")
    found = watch.events()
    assert sorted(set(found)) == sorted(found)  # nothing twice
    assert found == [
        ("create", "a", "directory"),
        ("create", "a/b", "directory"),
        ("create", "a/b/c", "directory"),
        ("create", "a/b/c/f", "file"),
        ("modify", "a/b/c/f", "file"),
    ]
    (watch.top / "a/b/c/f").write_text("y")
    (watch.top / "a/b/c/g").touch()
    assert watch.events() == [("modify", "a/b/c/f", "file"), ("create", "a/b/c/g", "file")]


def test_many_directories_at_once(watch: Watch) -> None:
    expected = set()
    for number in range(300):
        place = watch.top / f"{number % 7}" / f"{number}"
        place.mkdir(parents=True)
        (place / "f").write_text("x")
        expected |= {f"{number % 7}", f"{number % 7}/{number}", f"{number % 7}/{number}/f"}
    found = watch.events()
    created = [path for kind, path, _ in found if kind == "create"]
    assert len(created) == len(set(created))
    assert set(created) == expected


def test_moved_directory_has_its_new_name(watch: Watch) -> None:
    (watch.top / "a/b").mkdir(parents=True)
    (watch.top / "a/b/f").touch()
    watch.events()
    (watch.top / "a").rename(watch.top / "z")
    (watch.top / "z/b/f").write_text("x")
    assert watch.events() == [
        ("delete", "a", "directory"),
        ("create", "z", "directory"),
        ("create", "z/b", "directory"),
        ("create", "z/b/f", "file"),
        ("modify", "z/b/f", "file"),
    ]
    (watch.top / "z/b/f").write_text("y")
    assert watch.events() == [("modify", "z/b/f", "file")]


def test_directory_moved_away_is_no_longer_watched(watch: Watch, tmp_path_factory: pytest.TempPathFactory) -> None:
    (watch.top / "a").mkdir()
    watch.events()
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "a"
    (watch.top / "a").rename(elsewhere)
    (elsewhere / "f").touch()
    assert watch.events() == [("delete", "a", "directory")]


def test_links_are_not_followed(watch: Watch, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (watch.top / "link").symlink_to(elsewhere)
    (elsewhere / "f").touch()
    assert watch.events() == [("create", "link", "file")]


def test_one_file(watch: Watch) -> None:
    path = watch.top / "f"
    path.write_text("x")
    assert watch.events(path) == []
    (watch.top / "other").touch()
    path.write_text("y")
    (watch.top / "new").write_text("z")
    (watch.top / "new").rename(path)  # as many editors save
    assert watch.events(path) == [("modify", "f", "file"), ("create", "f", "file")]
    path.unlink()
    path.touch()
    assert watch.events(path) == [("delete", "f", "file"), ("create", "f", "file")]


def test_paths_within_each_other_have_events_of_their_own(watch: Watch) -> None:
    inner = watch.top / "a"
    inner.mkdir()
    watch.events()
    assert watch.events(inner) == []
    (inner / "f").touch()
    assert watch.events() == [("create", "a/f", "file")]
    assert watch.events(inner) == [("create", "a/f", "file")]
    assert watch.events(inner) == watch.events() == []


def test_what_was_deleted_can_be_watched_again(watch: Watch) -> None:
    inner = watch.top / "a"
    inner.mkdir()
    assert watch.events(inner) == []
    inner.rmdir()
    assert watch.events(inner) == [("delete", str(inner).removeprefix(f"{watch.top}/"), "directory")]
    with pytest.raises(FileNotFoundError):
        watch.events(inner)
    inner.mkdir()
    assert watch.events(inner) == []
    (inner / "f").touch()
    assert watch.events(inner) == [("create", "a/f", "file")]


def test_directory_that_was_deleted_and_made_again_starts_afresh(watch: Watch) -> None:
    inner = watch.top / "a"
    inner.mkdir()
    (inner / "old").touch()
    assert watch.events(inner) == []
    (inner / "old").unlink()
    inner.rmdir()
    inner.mkdir()
    (inner / "new").touch()
    assert watch.events(inner) == [
        ("delete", "a/old", "file"),
        ("delete", str(inner).removeprefix(f"{watch.top}/"), "directory"),
        ("create", str(inner).removeprefix(f"{watch.top}/"), "directory"),
        ("create", "a/new", "file"),
    ]
    (inner / "f").touch()
    assert watch.events(inner) == [("create", "a/f", "file")]


@pytest.mark.asyncio
async def test_directory_that_is_made_again_later_has_lost_no_changes(
    local_runtime: Runtime, box: LocalSession
) -> None:
    """Its deletion was reported, so there is nothing before that a caller does not know."""
    await output(local_runtime, box, "mkdir w")
    assert await changes(local_runtime, box) == []
    await output(local_runtime, box, "rmdir w")
    top = f"{box.sandbox.home}/w"
    assert await changes(local_runtime, box) == [("delete", top, "directory")]
    assert (await call(local_runtime, box, "get_file_change", path="w")).is_error
    await output(local_runtime, box, "mkdir w")
    assert await changes(local_runtime, box) == []
    await output(local_runtime, box, "touch w/f")
    assert await changes(local_runtime, box) == [("create", "f", "file")]


def test_more_events_than_are_kept(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_watch, "_MOST_EVENTS", 10)
    for number in range(20):
        (watch.top / f"{number}").touch()
    found = watch.events()
    assert len(found) == 11
    assert found[-1] == ("overflow", str(watch.top), "directory")
    assert watch.events() == []


def test_full_queue_of_the_kernel_is_reported_and_new_directories_are_found(watch: Watch) -> None:
    with watch.watcher.lock:  # the watcher cannot read
        most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
        one, two = watch.top / "1", watch.top / "2"
        one.touch()
        for _ in range(most // 2 + 1):
            one.rename(two)
            two.rename(one)
        (watch.top / "missed").mkdir()
    found = watch.events()
    assert found[-1] == ("overflow", str(watch.top), "directory")
    (watch.top / "missed/f").touch()
    assert watch.events() == [("create", "missed/f", "file")]


def test_too_many_paths(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_watch, "_MOST_PATHS", 1)
    (watch.top / "a").mkdir()
    with pytest.raises(file_watch.WatchLimit, match="1 paths are watched already"):
        watch.events(watch.top / "a")
