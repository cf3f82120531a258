"""The store of contexts: what is kept, what is refused, and what a process that dies leaves behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agb.local.context_store import ContextStore, StoredFile
from agb.local.errors import Refused

from .runtimes import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[ContextStore]:
    store = ContextStore(tmp_path / "contexts", clock=clock)
    yield store
    store.close()


@pytest.fixture
def context(store: ContextStore) -> str:
    """The id of an empty context."""
    return store.find("mine", create=True).id


def put(store: ContextStore, context: str, path: str, content: bytes = b"content") -> StoredFile:
    with store.writing(context, path) as writing:
        writing.write(content)
        return writing.commit()


def content(store: ContextStore, context: str, path: str) -> bytes:
    file, stored = store.open(context, path)
    with file:
        read = file.read()
    assert len(read) == stored.size
    return read


def blobs(directory: Path) -> list[Path]:
    """Everything on the disk that is content, in its place or incoming."""
    return [path for part in ("blobs", "incoming") for path in (directory / part).rglob("*") if path.is_file()]


# --- contexts ----------------------------------------------------------------------------------------------------


def test_context_is_made_once_for_a_name_and_found_by_it_and_its_id(store: ContextStore) -> None:
    made = store.find("mine", create=True)
    assert made.id.startswith("SdkCtx-")
    assert made.state == "available"
    assert store.find("mine") == store.find("mine", create=True) == store.get(made.id) == made


def test_what_was_stored_is_there_when_the_store_is_opened_again(
    store: ContextStore, context: str, tmp_path: Path
) -> None:
    stored = put(store, context, "/tmp/x.txt")
    store.make_directory(context, "/tmp/empty", mode=0o700, mtime=5.0)
    store.close()
    again = ContextStore(tmp_path / "contexts")
    assert again.get(context).name == "mine"
    assert again.stat(context, "/tmp/x.txt") == stored
    assert content(again, context, "/tmp/x.txt") == b"content"
    assert [(file.path, file.kind) for file in again.files(context)] == [
        ("/tmp/empty", "directory"),
        ("/tmp/x.txt", "file"),
    ]
    again.close()


def test_unknown_context_is_refused(store: ContextStore) -> None:
    with pytest.raises(Refused, match=r"Invalid context ID: .* not found") as refused:
        store.get("SdkCtx-none")
    assert (refused.value.code, refused.value.http_status) == ("InvalidContext.NotFound", 400)
