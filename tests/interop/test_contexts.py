"""Contexts, as 0.12's context service makes, finds, lists and clears them, and their files behind URLs."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from uuid import uuid4

import pytest

from .harness import Connect

if TYPE_CHECKING:
    from agb import AGB
    from agb.context import Context

NAMES = ["report.txt", "größe 名前 🙂.txt", "a b+c%20?#&=.txt", "line\nbreak", "no type"]


@pytest.fixture
def context(agb: AGB) -> Iterator[Context]:
    """A new context."""
    found = made(agb, f"interop {uuid4().hex}")
    yield found
    agb.context.delete(found)  # unless the test has done so


def made(agb: AGB, name: str) -> Context:
    result = agb.context.create(name)
    assert result.success, result.error_message
    assert result.context is not None
    assert result.context_id == result.context.id
    return result.context


def send(method: str, url: str, content: bytes | None = None, **headers: str) -> tuple[int, bytes, Any]:
    """Return status, body and headers of an answer, whatever its status; nothing is sent that was not asked for."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, content, headers, method=method), timeout=20) as answer:
            return answer.status, answer.read(), answer.headers
    except HTTPError as error:
        with error:
            return error.code, error.read(), error.headers


def put(agb: AGB, context: Context, path: str, content: bytes) -> None:
    result = agb.context.get_file_upload_url(context.id, path)
    assert result.success, result.error_message
    assert result.request_id
    assert isinstance(result.expire_time, int)
    status, _, headers = send("PUT", result.url, content)
    assert status == 200
    assert headers["ETag"]


def get(agb: AGB, context: Context, path: str) -> bytes:
    result = agb.context.get_file_download_url(context.id, path)
    assert result.success, result.error_message
    status, content, _ = send("GET", result.url)
    assert status == 200
    return content


# --- contexts ----------------------------------------------------------------------------------------------------


def test_created_once_for_a_name(agb: AGB, context: Context) -> None:
    assert context.id.startswith("SdkCtx-")
    assert context.created_at
    assert context.last_used_at

    again = agb.context.create(f" {context.name} ")
    by_name = agb.context.get(context.name)
    by_id = agb.context.get(context_id=context.id)
    by_both = agb.context.get(context.name, context_id=context.id)

    for result in (again, by_name, by_id, by_both):
        assert result.success, result.error_message
        assert result.context is not None
        assert (result.context_id, result.context.name) == (context.id, context.name)
        assert result.request_id


def test_list(agb: AGB, context: Context) -> None:
    from agb.context import ContextListParams

    others = [made(agb, f"interop {uuid4().hex}") for _ in range(3)]

    result = agb.context.list(ContextListParams(max_results=1000))

    assert result.success, result.error_message
    assert result.request_id
    listed = {found.id: found for found in result.contexts}
    assert listed[context.id].name == context.name
    assert {other.id for other in others} <= set(listed)
    assert listed[context.id].created_at
    few = agb.context.list(ContextListParams(max_results=2))
    assert len(few.contexts) == 2
    assert agb.context.list().success
    for other in others:
        assert agb.context.delete(other).success


def test_update_renames(agb: AGB, context: Context) -> None:
    old, context.name = context.name, f"renamed {uuid4().hex}"

    result = agb.context.update(context)

    assert result.success, result.error_message
    assert agb.context.get(context.name).context_id == context.id
    assert not agb.context.get(old).success


def test_name_that_is_taken(agb: AGB, context: Context) -> None:
    other = made(agb, f"interop {uuid4().hex}")
    other.name = context.name

    result = agb.context.update(other)

    assert not result.success
    assert "taken" in result.error_message
    assert agb.context.get(context.name).context_id == context.id
    assert agb.context.delete(other).success


def test_delete(agb: AGB, context: Context) -> None:
    put(agb, context, "/tmp/x", b"x")

    assert agb.context.delete(context).success

    again = agb.context.delete(context)
    assert not again.success
    assert "not found" in again.error_message
    assert not agb.context.get(context_id=context.id).success
    assert not agb.context.get(context.name).success


def test_unknown_context(agb: AGB) -> None:
    from agb.context import Context

    unknown = Context("SdkCtx-unknown", "unknown")
    results: list[Any] = [
        agb.context.get("no such name"),
        agb.context.get(context_id="SdkCtx-unknown"),
        agb.context.update(unknown),
        agb.context.delete(unknown),
        agb.context.get_file_download_url("SdkCtx-unknown", "/tmp/x"),
        agb.context.get_file_upload_url("SdkCtx-unknown", "/tmp/x"),
        agb.context.delete_file("SdkCtx-unknown", "/tmp/x"),
        agb.context.list_files("SdkCtx-unknown"),
        agb.context.get_clear_status("SdkCtx-unknown"),
        agb.context.clear_async("SdkCtx-unknown"),
        agb.context.clear("SdkCtx-unknown"),
    ]

    for result in results:
        assert not result.success
        assert "not found" in result.error_message


def test_wrong_key(connect: Connect) -> None:
    result = connect(api_key="ako-wrong").context.list()

    assert not result.success
    assert "key" in (result.error_message or "")


# --- clearing ----------------------------------------------------------------------------------------------------


def test_clear_waits_until_it_is_empty(agb: AGB, context: Context) -> None:
    for number in range(5):
        put(agb, context, f"/tmp/{number}", b"x")

    result = agb.context.clear(context.id, poll_interval=0.1)

    assert result.success, result.error_message
    assert (result.status, result.context_id) == ("available", context.id)
    assert agb.context.list_files(context.id).entries == []
    put(agb, context, "/tmp/new", b"x")


def test_clear_begins_and_reports_its_state(agb: AGB, context: Context) -> None:
    put(agb, context, "/tmp/x", b"x")

    begun = agb.context.clear_async(context.id)
    again = agb.context.clear_async(context.id)

    assert begun.success, begun.error_message
    assert again.success, again.error_message
    assert begun.status == "clearing"
    states = [agb.context.get_clear_status(context.id).status]
    while states[-1] != "available" and len(states) < 1000:
        states.append(agb.context.get_clear_status(context.id).status)
    assert states[-1] == "available"
    assert set(states) <= {"clearing", "available"}
    assert agb.context.list_files(context.id).count == 0


# --- files -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_file_goes_up_and_comes_down(agb: AGB, context: Context, name: str) -> None:
    path, content = f"/tmp/interop/{name}", f"content of {name}\0".encode()

    put(agb, context, path, content)

    assert get(agb, context, path) == content
    listed = agb.context.list_files(context.id, "/tmp/interop")
    assert listed.success, listed.error_message
    assert listed.count == 1
    (entry,) = listed.entries
    assert (entry.file_path, entry.file_name, entry.size) == (path, name, len(content))
    assert entry.file_id
    assert entry.gmt_create == entry.gmt_modified != ""
    assert entry.status == "ready"
    assert (entry.file_type or "") == ("txt" if name.endswith(".txt") else "")


def test_file_is_overwritten_and_deleted(agb: AGB, context: Context) -> None:
    put(agb, context, "/tmp/x.txt", b"old")
    put(agb, context, "/tmp/x.txt", b"")
    assert get(agb, context, "/tmp/x.txt") == b""

    result = agb.context.delete_file(context.id, "/tmp/x.txt")

    assert result.success, result.error_message
    assert result.data is True
    assert agb.context.list_files(context.id, "/tmp").entries == []
    for gone in (
        agb.context.delete_file(context.id, "/tmp/x.txt"),
        agb.context.get_file_download_url(context.id, "/tmp/x.txt"),
    ):
        assert not gone.success
        assert "File not found" in (gone.error_message or "")


def test_files_page_by_page(agb: AGB, context: Context) -> None:
    for number in range(5):
        put(agb, context, f"/data/{number}", b"x" * number)
    put(agb, context, "/data/below/5", b"x")

    pages = [agb.context.list_files(context.id, "/data", page_number=number, page_size=2) for number in (1, 2, 3, 4)]

    assert [[entry.size for entry in page.entries] for page in pages] == [[0, 1], [2, 3], [4], []]
    assert [page.count for page in pages] == [5] * 4
    assert agb.context.list_files(context.id).count == 6


@pytest.mark.parametrize(
    ("path", "word"), [("relative.txt", "absolute"), ("/tmp/../etc/passwd", "'..'"), ("/tmp/", "directory")]
)
def test_path_that_is_refused(agb: AGB, context: Context, path: str, word: str) -> None:
    results: list[Any] = [
        agb.context.get_file_upload_url(context.id, path),
        agb.context.get_file_download_url(context.id, path),
        agb.context.delete_file(context.id, path),
    ]

    for result in results:
        assert not result.success
        assert word in result.error_message


def test_url_that_is_altered(agb: AGB, context: Context) -> None:
    put(agb, context, "/tmp/x", b"x")
    url = agb.context.get_file_download_url(context.id, "/tmp/x").url

    front, _, signature = url.rpartition(".")

    for method, altered in (("GET", url[:-2]), ("GET", f"{front}A.{signature}"), ("GET", f"{url}x"), ("PUT", url)):
        status, body, _ = send(method, altered, b"other" if method == "PUT" else None)
        assert status == 403
        assert json.loads(body)["code"] == "InvalidUrl"
    assert get(agb, context, "/tmp/x") == b"x"


def test_part_of_a_file(agb: AGB, context: Context) -> None:
    put(agb, context, "/tmp/x", b"0123456789")
    url = agb.context.get_file_download_url(context.id, "/tmp/x").url

    status, content, headers = send("GET", url, Range="bytes=2-4")

    assert (status, content, headers["Content-Range"]) == (206, b"234", "bytes 2-4/10")
    assert send("HEAD", url)[2]["Content-Length"] == "10"
