# Generated from tests/_async/test_stored_files.py by tools/unasync.py. Do not edit.
"""Stored files of a context that are read and written as bytes, without a session."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from agb import AGB, Config, ErrorKind
from agb.local import LocalServer
from tests.bucket import CONTEXT, bucket

DATA = os.urandom(200_000)


@pytest.fixture
def agb(runtime: LocalServer) -> Iterator[AGB]:
    with AGB(runtime.api_key, Config(runtime.endpoint)) as client:
        yield client


@pytest.fixture
def context_id(agb: AGB) -> Iterator[str]:
    made = agb.context.create(f"stored-{os.urandom(8).hex()}").raise_for_error()
    yield made.context_id
    agb.context.delete(made.context).raise_for_error()


def test_what_is_written_is_read(agb: AGB, context_id: str) -> None:
    for content in (DATA, b"", "größer", DATA[:10]):
        assert agb.context.write_file(context_id, "/tmp/a.bin", content).data is True
        read = agb.context.read_file(context_id, "/tmp/a.bin").raise_for_error()
        assert read.content == (content.encode() if isinstance(content, str) else content)
        assert read.size == len(read.content)
        assert read.request_id


@pytest.mark.parametrize(
    ("offset", "limit"), [(0, 10), (5, None), (5, 10), (199_990, 100), (200_000, None), (300_000, 5), (70_000, 0)]
)
def test_parts(agb: AGB, context_id: str, offset: int, limit: int | None) -> None:
    agb.context.write_file(context_id, "/tmp/a.bin", DATA).raise_for_error()
    read = agb.context.read_file(context_id, "/tmp/a.bin", offset=offset, limit=limit)
    assert read.raise_for_error().content == DATA[offset:][:limit]


def test_part_of_a_store_without_ranges() -> None:
    with bucket() as store:
        store.files["/tmp/a.bin"] = DATA
        with AGB("ako-secret", Config(store.server.endpoint)) as agb:
            read = agb.context.read_file(CONTEXT, "/tmp/a.bin", offset=150_000, limit=10)
    assert read.raise_for_error().content == DATA[150_000:150_010]


def test_failures(agb: AGB, context_id: str) -> None:
    missing = agb.context.read_file(context_id, "/tmp/missing")
    assert missing.error is not None
    assert missing.error.kind is ErrorKind.NOT_FOUND
    agb.context.write_file(context_id, "/tmp/a.bin", DATA).raise_for_error()
    large = agb.context.read_file(context_id, "/tmp/a.bin", max_size=100)
    assert large.error is not None
    assert large.error.kind is ErrorKind.TOO_LARGE
    assert "more than 100 bytes" in large.error_message
    assert not agb.context.read_file(" ", "/tmp/a.bin").success
    assert not agb.context.write_file(context_id, "", b"").success


@pytest.mark.parametrize("part", [{"offset": -1}, {"limit": -1}, {"offset": 1.5}, {"offset": None}, {"limit": "1"}])
def test_what_is_no_part(agb: AGB, part: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError), match="must be a number of bytes"):
        agb.context.read_file("c-1", "/tmp/a.bin", **part)


def test_what_is_no_content(agb: AGB) -> None:
    with pytest.raises(TypeError, match="data must be text or bytes, not int"):
        agb.context.write_file("c-1", "/tmp/a.bin", 5)  # type: ignore[arg-type]
