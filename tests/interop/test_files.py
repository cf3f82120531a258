"""Files, on both routes, and watching, as 0.12 does it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from agb import Session
    from agb.modules.file_system import FileChangeEvent

WAIT = 20.0


@pytest.fixture
def place(routed: Session) -> Iterator[str]:
    """A new directory, on both routes."""
    path = f"/tmp/files {uuid4().hex}"
    made = routed.file.mkdir(path)
    assert made.success, made.error_message
    yield path
    routed.command.execute(f"rm -rf '{path}'")


@pytest.mark.parametrize("text", ["", "one line", "größe ☃\n🙂\n" * 20_000, '{"a": [1]}', "a\r\nb\x00c"])
def test_text_comes_back(routed: Session, place: str, text: str) -> None:
    written = routed.file.write(f"{place}/text.txt", text)

    assert written.success, written.error_message
    read = routed.file.read(f"{place}/text.txt")
    assert read.success, read.error_message
    if text:
        assert read.content.replace("\r\n", "\n") == text.replace("\r\n", "\n")


def test_append(routed: Session, place: str) -> None:
    assert routed.file.write(f"{place}/log", "one\n").success

    assert routed.file.write(f"{place}/log", "two\n", mode="append").success

    assert routed.file.read(f"{place}/log").content == "one\ntwo\n"
    assert not routed.file.write(f"{place}/log", "x", mode="no such mode").success


def test_bytes(routed: Session, place: str) -> None:
    assert routed.command.execute("head -c 200000 /dev/urandom > data; sha256sum data", cwd=place).success

    read = routed.file.read(f"{place}/data", format="bytes")

    assert read.success, read.error_message
    assert isinstance(read.content, bytes)
    assert len(read.content) == 200_000
    again = routed.command.execute("od -An -tx1 -v data | tr -d ' \\n' | head -c 64", cwd=place)
    assert read.content[:32].hex() == again.stdout


def test_directories(routed: Session, place: str) -> None:
    assert routed.file.mkdir(f"{place}/inner").success
    assert routed.file.write(f"{place}/a.txt", "a").success

    listed = routed.file.list(place)

    assert listed.success, listed.error_message
    assert sorted((entry["name"], entry["isDirectory"]) for entry in listed.entries) == [
        ("a.txt", False),
        ("inner", True),
    ]
    info = routed.file.info(f"{place}/a.txt")
    assert info.success, info.error_message
    assert info.file_info["size"] == 1
    assert not info.file_info["isDirectory"]
    assert routed.file.info(place).file_info["isDirectory"]


def test_edit_move_remove(routed: Session, place: str) -> None:
    assert routed.file.write(f"{place}/a", "debug = no").success
    change = [{"oldText": "no", "newText": "yes"}]

    assert routed.file.edit(f"{place}/a", change, dry_run=True).success
    assert routed.file.read(f"{place}/a").content == "debug = no"
    assert routed.file.edit(f"{place}/a", change).success
    assert routed.file.read(f"{place}/a").content == "debug = yes"

    assert routed.file.move(f"{place}/a", f"{place}/b").success
    assert not routed.file.info(f"{place}/a").success
    removed = routed.file.remove(f"{place}/b")
    assert removed.success, removed.error_message
    assert not routed.file.info(f"{place}/b").success


def test_many_files_at_once(routed: Session, place: str) -> None:
    texts = {f"{place}/{name}": text for name, text in {"a": "alpha\n", "b": "größe\nzwei", "c": "third"}.items()}
    for path, text in texts.items():
        assert routed.file.write(path, text).success

    read = routed.file.read_batch(list(texts))

    assert read.success, read.error_message
    assert {path: text.strip() for path, text in read.contents.items()} == {
        path: text.strip() for path, text in texts.items()
    }


def test_search(routed: Session, place: str) -> None:
    assert routed.command.execute("mkdir sub; touch a.py sub/b.py sub/c.txt", cwd=place).success

    found = routed.file.search(place, "*.py")

    assert found.success, found.error_message
    assert sorted(path.removeprefix(place).lstrip("/") for path in found.matches) == ["a.py", "sub/b.py"]
    fewer = routed.file.search(place, "*.py", exclude_patterns=["sub"])
    assert fewer.success, fewer.error_message


def test_what_is_not_there(routed: Session, place: str) -> None:
    missing = f"{place}/missing"
    for result in (
        routed.file.read(missing),
        routed.file.info(missing),
        routed.file.list(missing),
        routed.file.remove(missing),
        routed.file.move(missing, f"{place}/x"),
        routed.file.edit(missing, [{"oldText": "a", "newText": "b"}]),
        routed.file.read(place),
    ):
        assert not result.success
        assert result.error_message


def test_watch(session: Session) -> None:
    place = f"/tmp/watched-{uuid4().hex}"
    assert session.file.mkdir(place).success
    seen: dict[str, str] = {}
    all_seen, stop = threading.Event(), threading.Event()

    def note(events: list[FileChangeEvent]) -> None:
        for event in events:
            seen[event.path.rpartition("/")[2]] = event.event_type
        if "made.txt" in seen:
            all_seen.set()

    watcher = session.file.watch_dir(place, note, interval=0.1, stop_event=stop)
    watcher.start()
    try:
        assert watcher.ready_event.wait(WAIT)
        assert session.file.write(f"{place}/made.txt", "made").success
        assert all_seen.wait(WAIT), seen
    finally:
        stop.set()
        watcher.join(WAIT)
    assert not watcher.is_alive()
    assert seen["made.txt"] in {"create", "modify"}
