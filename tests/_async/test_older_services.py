"""Services that refuse what the client sends otherwise than 0.12 does: files are read and written in older forms."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

from agb import AsyncAGB, AsyncSession, Config, ErrorKind, McpTool
from tests.servers import Conversation, refuse, scripted, value

pytestmark = [pytest.mark.anyio, pytest.mark.one_event_loop, pytest.mark.one_flavour]

OLD = 50 * 1024
"""Bytes and characters of one piece of 0.12."""
TEXT = "größe ☃ 𝄞\n" * 20_000
BYTES = bytes(range(256)) * 1_000
BOTH = McpTool("write_file", input_schema={"properties": {"path": {}, "content": {}, "mode": {}, "format": {}}})
TEXT_ONLY = McpTool("write_file", input_schema={"properties": {"path": {}, "content": {}, "mode": {}}})


@define(eq=False, slots=False)
class Service:
    """A service with files, which refuses what it does not know; with a tool's error, or with that of the API."""

    top: Path
    longest: int = 1 << 30
    """Bytes that one call may read, and characters that it may write."""
    has_bytes: bool = True
    has_shell: bool = True
    is_api_error: bool = False
    calls: list[tuple[str, dict[str, Any]]] = field(factory=list)

    def __call__(self, talk: Conversation) -> None:
        body = json.loads(talk.request.body)
        args = json.loads(body["args"])
        self.calls.append((body["name"], args))
        text = getattr(self, body["name"])(args)
        if text is None and self.is_api_error:
            refuse("InvalidParameter", "an argument is not supported")(talk)
            return
        shown = "invalid argument" if text is None else text
        value({"content": [{"type": "text", "text": shown}], "isError": text is None})(talk)

    def get_file_info(self, args: dict[str, Any]) -> str:
        return f"size: {Path(args['path']).stat().st_size}\nisDirectory: false"

    def read_file(self, args: dict[str, Any]) -> str | None:
        if args["length"] > self.longest or ("format" in args and not self.has_bytes):
            return None
        data = Path(args["path"]).read_bytes()
        start, end = args["offset"], args["offset"] + args["length"]
        if "format" in args:
            return base64.b64encode(data[start:end]).decode()
        while start < len(data) and data[start] & 0xC0 == 0x80:  # the characters that begin in the range
            start += 1
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end += 1
        return data[start:end].decode("utf-8", "replace")

    def write_file(self, args: dict[str, Any]) -> str | None:
        if len(args["content"]) > self.longest or ("format" in args and not self.has_bytes):
            return None
        content = base64.b64decode(args["content"]) if "format" in args else args["content"].encode()
        with Path(args["path"]).open("ab" if args["mode"] == "append" else "wb") as file:
            file.write(content)
        return "ok"

    def shell(self, args: dict[str, Any]) -> str | None:
        if not self.has_shell or len(args["command"]) > self.longest + 1_000:
            return None
        done = subprocess.run(["sh", "-c", args["command"]], capture_output=True, text=True, check=False)
        return json.dumps({"stdout": done.stdout, "stderr": done.stderr, "exit_code": done.returncode})


@asynccontextmanager
async def attached(service: Service, tool: McpTool = BOTH) -> AsyncIterator[AsyncSession]:
    with scripted(service) as server:
        async with AsyncAGB("k", Config(server.endpoint, 30_000)) as agb:
            session = agb.attach("s-1")
            session.tool_list = [tool]
            yield session


SERVICES: list[dict[str, Any]] = [
    {},
    {"longest": OLD},
    {"longest": OLD, "is_api_error": True},
    {"has_bytes": False},
    {"longest": OLD, "has_bytes": False},
    {"longest": OLD, "has_bytes": False, "has_shell": False},
    {"has_bytes": False, "has_shell": False, "is_api_error": True},
    {"has_shell": False},
]


@pytest.mark.parametrize("tool", [BOTH, TEXT_ONLY], ids=["promises bytes", "text only"])
@pytest.mark.parametrize("service", SERVICES, ids=str)
async def test_text_is_written_and_read_by_any_service(tmp_path: Path, service: dict[str, Any], tool: McpTool) -> None:
    async with attached(Service(tmp_path, **service), tool) as session:
        path = f"{tmp_path}/f"
        for text in (TEXT, "short"):
            assert (await session.file.write(path, text)).error_message == ""
            assert (tmp_path / "f").read_text() == text
            read = await session.file.read(path)
            assert (read.error_message, read.content == text) == ("", True)
        assert (await session.file.write(path, TEXT, "append")).error_message == ""
        assert (tmp_path / "f").read_text() == f"short{TEXT}"
        assert (await session.file.write(path, TEXT.encode())).success
        chunks = [TEXT.encode()[start : start + 77_777] for start in range(0, len(TEXT.encode()), 77_777)]
        assert (await session.file.write_stream(f"{tmp_path}/g", chunks)).error_message == ""
        assert (await session.file.write_stream(f"{tmp_path}/empty", [])).success
        assert (await session.file.read(path, format="bytes")).content == TEXT.encode()
    assert (tmp_path / "g").read_text() == TEXT
    assert sorted(found.name for found in tmp_path.iterdir()) == ["empty", "f", "g"]


@pytest.mark.parametrize("service", [one for one in SERVICES if one.get("has_bytes", True)], ids=str)
async def test_bytes_are_written_and_read_by_a_service_that_has_them(tmp_path: Path, service: dict[str, Any]) -> None:
    async with attached(Service(tmp_path, **service)) as session:
        large = BYTES * 5
        for content in (large, BYTES):
            assert (await session.file.write(f"{tmp_path}/f", content)).error_message == ""
            assert (tmp_path / "f").read_bytes() == content
        assert (await session.file.write(f"{tmp_path}/f", BYTES, "append")).error_message == ""
        assert (await session.file.read(f"{tmp_path}/f", format="bytes")).content == BYTES * 2


async def test_form_that_was_refused_is_not_tried_again(tmp_path: Path) -> None:
    service = Service(tmp_path, longest=OLD, has_bytes=False)
    async with attached(service) as session:
        for _ in range(2):
            service.calls.clear()
            (await session.file.write(f"{tmp_path}/f", BYTES)).raise_for_error()
            (await session.file.write(f"{tmp_path}/t", "x" * 10)).raise_for_error()
            (await session.file.read(f"{tmp_path}/t")).raise_for_error()
    assert [args.get("length") for name, args in service.calls if name == "read_file"] == [OLD]
    assert not [args for name, args in service.calls if name == "write_file" and "format" in args]


async def test_bytes_that_only_text_could_carry_are_an_error(tmp_path: Path) -> None:
    service = Service(tmp_path, has_bytes=False, has_shell=False)
    (tmp_path / "f").write_bytes(BYTES)
    async with attached(service) as session:
        read = await session.file.read(f"{tmp_path}/f", format="bytes")
        assert "as text only" in read.error_message
        assert read.error is not None
        assert read.error.kind is ErrorKind.INVALID_ANSWER
        for written in (
            await session.file.write(f"{tmp_path}/f", BYTES),
            await session.file.write(f"{tmp_path}/f", BYTES, "append"),
            await session.file.write_stream(f"{tmp_path}/f", [BYTES]),
        ):
            assert not written.success
            assert "text" in written.error_message
    assert (tmp_path / "f").read_bytes() == BYTES


async def test_refusal_of_a_later_piece_is_final(tmp_path: Path) -> None:
    """What was written before it is not sent again in another form."""
    service = Service(tmp_path)
    written: list[str] = []

    def write(args: dict[str, Any]) -> str | None:
        written.append(args["content"])
        return "ok" if len(written) < 2 else None

    service.write_file = write  # type: ignore[method-assign]
    async with attached(service) as session:
        result = await session.file.write(f"{tmp_path}/f", bytes(3 << 20), "append")
    assert result.error_message == f"Could not append to '{tmp_path}/f': invalid argument"
    assert len(written) == 2
