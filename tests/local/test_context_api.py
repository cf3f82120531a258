"""Contexts on the wire: the operations of the API, pre-signed URLs, and what becomes of bad requests."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import http.client
import json
import os
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agb.local import serve
from agb.local.api.app import build_app
from agb.local.api.context_files import PIECE
from agb.local.api.file_urls import VALID, FileUrls, Grant
from agb.local.child import STOP_TIMEOUT
from agb.local.contexts.service import RECYCLE_EVERY
from agb.local.contexts.signing import signing_key
from agb.local.errors import Refused
from agb.local.limits import Limits
from agb.local.sessions.runtime import Runtime
from tests.waiting import apause, pause

from .conftest import Api
from .runtimes import Clock

ODD_NAMES = [
    "a b",
    "größe 名前 🙂",
    "100%",
    "%2e%2e",
    "a+b",
    "what?",
    "#1",
    "line\nbreak",
    "..hidden",
    "a&b=c;d",
    "'\"\\",
]


@pytest.fixture
def context(api: Api) -> str:
    """The id of a new context."""
    return make(api)


def make(api: Api, name: str = "") -> str:
    return str(api.get("/sdk/GetContext", name=name or f"test-{uuid4()}", allowCreate="true")["id"])


def ask(api: Api, operation: str, **query: str) -> dict[str, Any]:
    """Return the envelope of a POST with everything in its query, as clients send it."""
    return api.ask("POST", f"/sdk/{operation}", query, json={})


def refused(answer: dict[str, Any], code: str, status: int) -> str:
    """Check that an answer says no, and return why."""
    assert (answer["success"], answer["code"], answer["httpStatusCode"]) == (False, code, status), answer
    return str(answer["message"])


def url(api: Api, context: str, path: str, kind: str = "Upload") -> str:
    return str(api.post(f"/sdk/GetContextFile{kind}Url", {"contextId": context, "filePath": path})["url"])


def upload(api: Api, context: str, path: str, content: bytes = b"content") -> httpx.Response:
    answer = httpx.put(url(api, context, path), content=content)
    assert answer.status_code == 200, answer.text
    return answer


def download(api: Api, context: str, path: str, **headers: str) -> httpx.Response:
    return httpx.get(url(api, context, path, "Download"), headers=headers)


def files(api: Api, context: str, **query: str) -> list[dict[str, Any]]:
    return list(api.post("/sdk/DescribeContextFiles", {"contextId": context, "pageNumber": "1", **query}))


# --- contexts ----------------------------------------------------------------------------------------------------


def test_life_of_a_context(api: Api) -> None:
    name = f"life of {uuid4()}"
    made = api.get("/sdk/GetContext", name=name, allowCreate="true", loginRegionId="")
    assert made["id"].startswith("SdkCtx-")
    assert (made["name"], made["state"]) == (name, "available")
    assert made["createTime"] == made["lastUsedTime"]
    assert time.strptime(made["createTime"], "%Y-%m-%dT%H:%M:%SZ")

    assert api.get("/sdk/GetContext", name=name, allowCreate="true") == made
    assert api.get("/sdk/GetContext", id=made["id"], allowCreate="false") == made
    assert api.get("/sdk/GetContext", id=made["id"], name=name, allowCreate="false") == made

    assert api.post("/sdk/ModifyContext", {"id": made["id"], "name": name + "!"}) is None
    assert api.get("/sdk/GetContext", id=made["id"])["name"] == name + "!"
    assert api.post("/sdk/DeleteContext", {"id": made["id"]}) is None
    refused(api.ask("GET", "/sdk/GetContext", {"id": made["id"]}), "InvalidContext.NotFound", 400)
    assert make(api, name) != made["id"]


def test_contexts_are_listed_page_by_page(api: Api) -> None:
    made = [make(api) for _ in range(5)]
    shown, token, pages = [], "", 0
    while True:
        page = api.ask("GET", "/sdk/ListContexts", {"maxResults": "2", "nextToken": token})
        assert (page["maxResults"], page["totalCount"]) == (2, page["count"])
        shown += [context["id"] for context in page["data"]]
        pages += 1
        token = page["nextToken"]
        if not token:
            break
    assert shown[-5:] == made
    assert len(shown) == len(set(shown)) == page["count"]
    assert pages == (len(shown) + 1) // 2
    assert set(page["data"][0]) == {"id", "name", "createTime", "lastUsedTime"}


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ({}, "id or name is missing"),
        ({"name": " ", "allowCreate": "true"}, "must not be blank"),
        ({"name": "x" * 256, "allowCreate": "true"}, "longer than 255"),
        ({"name": "a\0b", "allowCreate": "true"}, "NUL"),
        ({"id": "SdkCtx-1", "allowCreate": "true"}, "allowCreate"),
    ],
)
def test_context_asked_for_in_a_wrong_way(api: Api, query: dict[str, str], why: str) -> None:
    assert why in refused(api.ask("GET", "/sdk/GetContext", query), "InvalidRequest", 400)


def test_id_and_name_must_be_of_one_context(api: Api, context: str) -> None:
    answer = api.ask("GET", "/sdk/GetContext", {"id": context, "name": "another", "allowCreate": "false"})
    assert "another name" in refused(answer, "InvalidContext.NotFound", 400)


@pytest.mark.parametrize("query", [{"maxResults": "0"}, {"maxResults": "x"}, {"nextToken": "x"}])
def test_page_of_contexts_that_is_none(api: Api, query: dict[str, str]) -> None:
    assert next(iter(query)) in refused(api.ask("GET", "/sdk/ListContexts", query), "InvalidRequest", 400)


@pytest.mark.parametrize(
    ("operation", "query"),
    [
        ("ModifyContext", {"name": "x"}),
        ("DeleteContext", {}),
        ("ClearContext", {}),
        ("GetContextFileDownloadUrl", {"filePath": "/x"}),
        ("GetContextFileUploadUrl", {"filePath": "/x"}),
        ("DeleteContextFile", {"filePath": "/x"}),
        ("DescribeContextFiles", {}),
    ],
)
def test_context_that_is_not_there(api: Api, operation: str, query: dict[str, str]) -> None:
    """Unknown, deleted, or not named at all."""
    name = "contextId" if "File" in operation else "id"
    deleted = make(api)
    api.post("/sdk/DeleteContext", {"id": deleted})
    for context in ("SdkCtx-unknown", deleted, "'; DROP TABLE contexts; --"):
        answer = ask(api, operation, **{name: context}, **query)
        why = refused(answer, "InvalidContext.NotFound", 400)
        assert "Invalid context ID" in why
        assert "not found" in why
    assert name in refused(ask(api, operation, **query), "InvalidRequest", 400)


def test_name_that_is_taken(api: Api, context: str) -> None:
    taken = f"taken {uuid4()}"
    make(api, taken)
    why = refused(ask(api, "ModifyContext", id=context, name=taken), "InvalidContext.NameTaken", 409)
    assert taken in why
    assert api.post("/sdk/ModifyContext", {"id": make(api, taken), "name": taken}) is None  # its own


# --- files -------------------------------------------------------------------------------------------------------


def test_stored_file_is_listed_and_read(api: Api, context: str) -> None:
    given = upload(api, context, "/tmp/integration test.TXT", b"21 bytes of something")
    assert given.headers["etag"] == f'"{hashlib.sha256(b"21 bytes of something").hexdigest()}"'
    assert given.content == b""
    (file,) = files(api, context, parentFolderPath="/tmp")
    assert {key: file[key] for key in ("fileName", "filePath", "fileType", "size", "status")} == {
        "fileName": "integration test.TXT",
        "filePath": "/tmp/integration test.TXT",
        "fileType": "txt",
        "size": 21,
        "status": "ready",
    }
    assert file["gmtCreate"] == file["gmtModified"]
    got = download(api, context, "/tmp/integration test.TXT")
    assert got.content == b"21 bytes of something"
    assert got.headers["etag"] == given.headers["etag"]
    assert got.headers["accept-ranges"] == "bytes"
    assert got.headers["content-length"] == "21"


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names(api: Api, context: str, name: str) -> None:
    path = f"/home/{name}/{name}"
    upload(api, context, path, name.encode())
    (file,) = files(api, context, parentFolderPath=f"/home/{name}")
    assert (file["filePath"], file["fileName"]) == (path, name)
    assert download(api, context, path).content == name.encode()
    assert api.post("/sdk/DeleteContextFile", {"contextId": context, "filePath": path}) is None
    assert files(api, context) == []


def test_empty_file(api: Api, context: str) -> None:
    upload(api, context, "/empty", b"")
    assert [file["size"] for file in files(api, context)] == [0]
    got = download(api, context, "/empty")
    assert (got.status_code, got.content, got.headers["content-length"]) == (200, b"", "0")
    assert download(api, context, "/empty", range="bytes=0-").status_code == 416


def test_overwritten_file_is_the_same_file_with_another_content(api: Api, context: str) -> None:
    upload(api, context, "/x", b"old")
    (old,) = files(api, context)
    upload(api, context, "/x", b"newer")
    (new,) = files(api, context)
    assert (new["fileId"], new["gmtCreate"], new["size"]) == (old["fileId"], old["gmtCreate"], 5)
    assert download(api, context, "/x").content == b"newer"


def test_large_file_in_many_pieces(api: Api, context: str) -> None:
    content = os.urandom(3 * PIECE + 17)
    given = upload(api, context, "/large", content)
    assert given.headers["etag"] == f'"{hashlib.sha256(content).hexdigest()}"'
    assert download(api, context, "/large").content == content

    def pieces() -> Any:
        for at in range(0, len(content), 100_000):
            yield content[at : at + 100_000]

    assert httpx.put(url(api, context, "/chunked"), content=pieces()).status_code == 200
    assert download(api, context, "/chunked").content == content


def test_pages_of_files(api: Api, context: str) -> None:
    for number in range(5):
        upload(api, context, f"/data/{number}.bin", b"x" * number)
    upload(api, context, "/data/below/5.bin")
    upload(api, context, "/other/6.bin")
    answer = ask(
        api, "DescribeContextFiles", contextId=context, parentFolderPath="/data/", pageNumber="2", pageSize="2"
    )
    assert [file["fileName"] for file in answer["data"]] == ["2.bin", "3.bin"]
    assert answer["count"] == 5
    whole = ask(api, "DescribeContextFiles", contextId=context, pageNumber="1", pageSize="50")
    assert whole["count"] == len(whole["data"]) == 7  # without a folder: everything
    assert files(api, context, parentFolderPath="/data", pageNumber="4") == []
    for bad in ({"pageNumber": "0"}, {"pageSize": "0"}, {"pageSize": "x"}, {"parentFolderPath": "data"}):
        refused(ask(api, "DescribeContextFiles", contextId=context, **bad), "InvalidRequest", 400)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("../etc/passwd", "not absolute"),
        ("x.txt", "not absolute"),
        ("/tmp/../etc/passwd", "'..'"),
        ("/..", "'..'"),
        ("/tmp/", "names a directory"),
        ("/", "names a directory"),
        ("/a\0b", "NUL"),
        ("/" + "x" * 256, "255 bytes"),
        ("/x" * 2048, "4,095 bytes"),
    ],
)
@pytest.mark.parametrize("operation", ["GetContextFileUploadUrl", "GetContextFileDownloadUrl", "DeleteContextFile"])
def test_path_that_cannot_be_one(api: Api, context: str, operation: str, path: str, why: str) -> None:
    assert why in refused(ask(api, operation, contextId=context, filePath=path), "InvalidRequest", 400)


@pytest.mark.parametrize("operation", ["GetContextFileDownloadUrl", "DeleteContextFile"])
def test_file_that_is_not_there(api: Api, context: str, operation: str) -> None:
    upload(api, context, "/tmp/x")
    for path in ("/tmp/y", "/tmp"):
        why = refused(ask(api, operation, contextId=context, filePath=path), "InvalidFile.NotFound", 404)
        assert "File not found" in why


def test_url_of_a_file_that_was_deleted_meanwhile(api: Api, context: str) -> None:
    upload(api, context, "/x")
    kept = url(api, context, "/x", "Download")
    api.post("/sdk/DeleteContextFile", {"contextId": context, "filePath": "/x"})
    refused(httpx.get(kept).json(), "InvalidFile.NotFound", 404)
    put = url(api, context, "/x")
    api.post("/sdk/DeleteContext", {"id": context})
    refused(httpx.put(put, content=b"x").json(), "InvalidContext.NotFound", 400)
    refused(httpx.get(kept).json(), "InvalidContext.NotFound", 400)


def test_a_file_is_no_directory(api: Api, context: str) -> None:
    """What is stored can always be one tree, as a session that mounts it needs it."""
    upload(api, context, "/a/b/file")
    for path in ("/a/b/file/below", "/a/b", "/a"):
        answer = httpx.put(url(api, context, path), content=b"x")
        refused(answer.json(), "InvalidFile.Conflict", 409)
    assert [file["filePath"] for file in files(api, context)] == ["/a/b/file"]


# --- ranges and conditions ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("range_", "part", "content_range"),
    [
        ("bytes=0-0", b"0", "bytes 0-0/10"),
        ("bytes=2-4", b"234", "bytes 2-4/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=7-99", b"789", "bytes 7-9/10"),
        ("bytes=-3", b"789", "bytes 7-9/10"),
        ("bytes=-99", b"0123456789", "bytes 0-9/10"),
    ],
)
def test_part_of_a_file(api: Api, context: str, range_: str, part: bytes, content_range: str) -> None:
    upload(api, context, "/x", b"0123456789")
    got = download(api, context, "/x", range=range_)
    assert (got.status_code, got.content, got.headers["content-range"]) == (206, part, content_range)


@pytest.mark.parametrize("range_", ["bytes=10-", "bytes=10-20", "bytes=-0"])
def test_part_that_is_beyond_the_end(api: Api, context: str, range_: str) -> None:
    upload(api, context, "/x", b"0123456789")
    got = download(api, context, "/x", range=range_)
    assert (got.status_code, got.headers["content-range"]) == (416, "bytes */10")
    refused(got.json(), "InvalidRange", 416)


@pytest.mark.parametrize("range_", ["bytes=0-1,3-4", "lines=1-2", "bytes=4-2", "bytes=-", "bytes=a-b", "bytes=٣-"])
def test_range_that_is_none_gives_the_whole(api: Api, context: str, range_: str) -> None:
    upload(api, context, "/x", b"0123456789")
    got = httpx.get(url(api, context, "/x", "Download"), headers={b"range": range_.encode()})
    assert (got.status_code, got.content) == (200, b"0123456789")


def test_conditions(api: Api, context: str) -> None:
    old = upload(api, context, "/x", b"0123456789").headers["etag"]
    assert download(api, context, "/x", **{"range": "bytes=2-4", "if-range": old}).content == b"234"
    same = download(api, context, "/x", **{"if-none-match": f'"other", W/{old}'})
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", old)
    assert download(api, context, "/x", **{"if-none-match": "*"}).status_code == 304
    upload(api, context, "/x", b"something else")
    changed = download(api, context, "/x", **{"range": "bytes=2-4", "if-range": old})
    assert (changed.status_code, changed.content) == (200, b"something else")
    assert download(api, context, "/x", **{"if-none-match": old}).status_code == 200


def test_head(api: Api, context: str) -> None:
    upload(api, context, "/x", b"0123456789")
    kept = url(api, context, "/x", "Download")
    got = httpx.head(kept)
    assert (got.status_code, got.content, got.headers["content-length"]) == (200, b"", "10")
    assert httpx.head(kept, headers={"range": "bytes=2-4"}).headers["content-length"] == "10"


# --- URLs --------------------------------------------------------------------------------------------------------


def altered(link: str, **changes: Any) -> str:
    """Return a URL whose grant says something else, under the signature that it had."""
    base, _, token = link.rpartition("/")
    signed, _, signature = token.partition(".")
    grant = dict(zip(("method", "context", "path", "expires"), json.loads(_decoded(signed)), strict=True))
    changed = base64.urlsafe_b64encode(json.dumps(list({**grant, **changes}.values())).encode()).rstrip(b"=").decode()
    return f"{base}/{changed}.{changes.get('signature', signature)}"


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "PUT"},
        {"context": "SdkCtx-other"},
        {"path": "/secret"},
        {"expires": 2**40},
    ],
)
def test_altered_url(api: Api, context: str, changes: dict[str, Any]) -> None:
    upload(api, context, "/x")
    upload(api, context, "/secret")
    for answer in (httpx.get, httpx.put):
        got = answer(altered(url(api, context, "/x", "Download"), **changes))
        why = refused(got.json(), "InvalidUrl", 403)
        assert "altered" in why


def test_altered_signature(api: Api, context: str) -> None:
    upload(api, context, "/x")
    link = url(api, context, "/x", "Download")
    signed, _, signature = link.rpartition(".")
    other = chr(ord(signature[-1]) ^ 1)
    for wrong in (
        f"{signed}.{signature[:-1]}{other}",
        f"{signed}.",
        signed,
        f"{signed}.{signature}A",
        f"{link}.",
        link[:-1],
    ):
        got = httpx.get(wrong)
        why = refused(got.json(), "InvalidUrl", 403)
        assert signature not in got.text
        assert "altered" in why
    right = hmac.digest(b"\0" * 32, signed.rpartition("/")[2].encode(), "sha256")
    forged = base64.urlsafe_b64encode(right).rstrip(b"=").decode()
    refused(httpx.get(f"{signed}.{forged}").json(), "InvalidUrl", 403)


def test_url_is_for_one_method(api: Api, context: str) -> None:
    upload(api, context, "/x")
    assert "for GET, not for PUT" in refused(
        httpx.put(url(api, context, "/x", "Download"), content=b"other").json(), "InvalidUrl", 403
    )
    assert "for PUT, not for GET" in refused(httpx.get(url(api, context, "/x")).json(), "InvalidUrl", 403)
    assert httpx.head(url(api, context, "/x")).status_code == 403
    assert httpx.delete(url(api, context, "/x")).status_code == 405
    assert download(api, context, "/x").content == b"content"


def test_url_needs_no_key_and_shows_none(api: Api, context: str) -> None:
    link = url(api, context, "/x")
    assert api.server.api_key not in link
    assert urlsplit(link).query == ""


KEY = bytes(range(32))
METHODS = st.sampled_from(["GET", "PUT"])


@given(METHODS, st.text(), st.text(), st.integers(min_value=1, max_value=2**60))
@example("GET", "\ud800", "\udfff/\0", 1)
def test_token_carries_a_grant_whatever_it_holds(method: Any, context_id: str, path: str, expires: int) -> None:
    urls = FileUrls(KEY, lambda: expires - 1)
    grant = Grant(method, context_id, path, expires)
    token = urls.token(grant)
    assert token.replace("_", "").replace("-", "").replace(".", "").isalnum()
    assert urls.read(token, method) == grant
    with pytest.raises(Refused, match="expired"):
        FileUrls(KEY, lambda: expires).read(token, method)


@given(st.text() | st.text(alphabet="ABCabc019-_.="))
@example("é.é")
@example("\ud800.\ud800")
@example(".")
@example("")
def test_token_that_is_none_is_refused(token: str) -> None:
    with pytest.raises(Refused, match="altered"):
        FileUrls(KEY, time.time).read(token, "GET")


@given(st.data())
def test_not_one_character_of_a_token_can_be_another(data: st.DataObject) -> None:
    urls = FileUrls(KEY, lambda: 0.0)
    token = urls.token(Grant("GET", "SdkCtx-1", "/tmp/x.txt", 3600))
    at = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters().filter(lambda character: character != token[at]))
    with pytest.raises(Refused):
        urls.read(token[:at] + other + token[at + 1 :], "GET")


def test_signed_by_another_version(tmp_path: Path) -> None:
    urls = FileUrls(KEY, time.time)
    for signed in (b"[]", b"{}", b"1", b'["GET"]', b"\xff", b"nonsense"):
        text = base64.urlsafe_b64encode(signed).rstrip(b"=").decode()
        signature = base64.urlsafe_b64encode(hmac.digest(KEY, text.encode(), "sha256")).rstrip(b"=").decode()
        with pytest.raises(Refused, match="not one of this version"):
            urls.read(f"{text}.{signature}", "GET")


def test_key_is_private_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "key"
    key = signing_key(path)
    assert (len(key), path.stat().st_mode & 0o777) == (32, 0o600)
    assert signing_key(path) == key
    path.write_bytes(b"broken")
    assert signing_key(path) not in (key, b"broken")
    assert len(path.read_bytes()) == 32


# --- uploads that fail --------------------------------------------------------------------------------


@contextmanager
def begun(link: str, *headers: str, content: bytes = b"") -> Iterator[socket.socket]:
    """A PUT whose headers and some of whose body were sent."""
    parts = urlsplit(link)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=120) as sock:
        head = [f"PUT {parts.path} HTTP/1.1", f"Host: {parts.netloc}", *headers, "", ""]
        sock.sendall("\r\n".join(head).encode() + content)
        yield sock


def answer_on(sock: socket.socket) -> tuple[int, str | None, dict[str, Any]]:
    """Return status, the header `Connection` and the JSON of an answer."""
    answer = http.client.HTTPResponse(sock)
    answer.begin()
    return answer.status, answer.getheader("connection"), json.loads(answer.read())


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Api, Path]]:
    """A runtime of its own, and the directory where it keeps its contexts."""
    directory = tmp_path_factory.mktemp("kept")
    with serve(allow_none=True, data_dir=directory) as server:
        api = Api(server)
        with api.http:
            yield api, directory / "contexts"


@pytest.mark.parametrize("headers", [("Content-Length: 9000000",), ("Transfer-Encoding: chunked",)])
@pytest.mark.parametrize("size", [10, 2 * PIECE + 100])
def test_upload_cut_in_the_middle_changes_nothing(kept: tuple[Api, Path], headers: tuple[str], size: int) -> None:
    api, directory = kept
    context = make(api)
    upload(api, context, "/x", b"old")
    chunked = "chunked" in headers[0]
    content = (f"{size:x}\r\n".encode() if chunked else b"") + b"n" * size
    with begun(url(api, context, "/x"), *headers, content=content):
        if size > PIECE:  # it has arrived as far as the disk
            ask_until(api, lambda: any((directory / "incoming").iterdir()))
    ask_until(api, lambda: not any((directory / "incoming").iterdir()))
    assert download(api, context, "/x").content == b"old"
    assert [file["size"] for file in files(api, context)] == [3]


def ask_until(api: Api, done: Callable[[], bool]) -> None:
    """Send requests to the runtime until a condition holds."""
    limit = time.monotonic() + 120
    while not done():
        assert time.monotonic() < limit
        api.get("/sdk/ListContexts")
        pause()


def test_runtime_that_stops_in_the_middle_of_an_upload(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """It does not wait for the rest, and reports nothing."""
    with serve(allow_none=True, data_dir=tmp_path) as server:
        api = Api(server)
        with api.http:
            context = make(api)
            upload(api, context, "/x", b"old")
            link = url(api, context, "/x")
        began = time.monotonic()
        stack = ExitStack()
        stack.enter_context(begun(link, "Content-Length: 9000000", content=b"n" * (2 * PIECE)))
    with stack:
        assert time.monotonic() - began < STOP_TIMEOUT  # else it was killed
    assert capfd.readouterr().err == ""
    with serve(allow_none=True, data_dir=tmp_path) as server:
        api = Api(server)
        with api.http:
            assert download(api, context, "/x").content == b"old"
    assert list((tmp_path / "contexts" / "incoming").iterdir()) == []


def test_file_that_is_too_large_is_refused_before_it_is_sent(api: Api, context: str) -> None:
    length = Limits().stored_file + 1
    with begun(url(api, context, "/x"), f"Content-Length: {length}") as sock:
        status, connection, answer = answer_on(sock)
    assert (status, connection) == (413, "close")
    assert f"{length - 1:,} bytes" in refused(answer, "FileTooLarge", 413)
    assert files(api, context) == []


def test_refusal_is_read_by_a_client_that_sends_everything_first(api: Api, context: str) -> None:
    """Though the runtime knew from the first byte on; a connection that is reset would lose the answer."""
    content = b"x" * (8 * PIECE)
    link = altered(url(api, context, "/x"), path="/y")
    with begun(link, f"Content-Length: {len(content)}") as sock:
        sock.sendall(content)
        status, connection, answer = answer_on(sock)
    assert (status, connection) == (403, "close")
    refused(answer, "InvalidUrl", 403)


def test_refused_at_its_end_the_connection_goes_on(api: Api, context: str) -> None:
    upload(api, context, "/a/b")
    link = url(api, context, "/a")
    with begun(link, "Content-Length: 3", content=b"abc") as sock:
        status, connection, _ = answer_on(sock)
        assert (status, connection) == (409, None)
        sock.sendall(f"PUT {urlsplit(link).path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n".encode())
        assert answer_on(sock)[0] == 409


def test_uploads_of_one_file_at_a_time_leave_one_of_them(api: Api, context: str) -> None:
    contents = [bytes([number]) * (PIECE + number) for number in range(8)]
    links = [url(api, context, "/x") for _ in contents]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda link, content: httpx.put(link, content=content), links, contents))
    assert [answer.status_code for answer in answers] == [200] * 8
    assert download(api, context, "/x").content in contents
    assert len(files(api, context)) == 1


def reader() -> httpx.Client:
    """A client for which the system keeps little of what it has not read yet."""
    return httpx.Client(transport=httpx.HTTPTransport(socket_options=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)]))


def test_download_is_of_one_version(api: Api, context: str) -> None:
    """Even when the file is overwritten and removed while it is read."""
    old, new = os.urandom(32 * PIECE), os.urandom(PIECE)
    upload(api, context, "/x", old)
    with reader() as client, client.stream("GET", url(api, context, "/x", "Download")) as answer:
        pieces = answer.iter_raw(PIECE)
        read = [next(pieces)]
        upload(api, context, "/x", new)
        api.post("/sdk/DeleteContextFile", {"contextId": context, "filePath": "/x"})
        read += pieces
    assert b"".join(read) == old


def test_download_left_in_the_middle(kept: tuple[Api, Path]) -> None:
    """Its file is closed."""
    api, _ = kept
    context = make(api)
    upload(api, context, "/x", os.urandom(32 * PIECE))

    def open_blobs() -> list[str]:
        found = []
        for link in Path(f"/proc/{api.server.pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed since it was listed
                found.append(str(link.readlink()))
        return [target for target in found if "/blobs/" in target]

    with reader() as client, client.stream("GET", url(api, context, "/x", "Download")) as answer:
        pieces = answer.iter_raw(1000)  # kept, since the end of it closes the connection
        assert len(next(pieces)) == 1000
        assert len(open_blobs()) == 1
    ask_until(api, lambda: not open_blobs())


# --- in this process, with clocks and limits that are set --------------------------------------------------------


class Caller:
    """The API of a runtime in this process."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        transport = httpx.ASGITransport(build_app(runtime, "key"), raise_app_exceptions=False)
        self.http = httpx.AsyncClient(
            transport=transport, base_url="http://agb.test", headers={"authorization": "Bearer key"}
        )

    async def ask(self, method: str, operation: str, **query: str) -> dict[str, Any]:
        return dict((await self.http.request(method, f"/sdk/{operation}", params=query)).json())

    async def make(self) -> str:
        made = await self.ask("GET", "GetContext", name=f"test-{uuid4()}", allowCreate="true")
        return str(made["data"]["id"])

    async def url(self, context: str, path: str, kind: str = "Upload") -> dict[str, Any]:
        answer = await self.ask("POST", f"GetContextFile{kind}Url", contextId=context, filePath=path)
        return dict(answer["data"])

    async def upload(self, context: str, path: str, content: Any = b"content") -> httpx.Response:
        return await self.http.put((await self.url(context, path))["url"], content=content)

    async def files(self, context: str) -> list[dict[str, Any]]:
        return list((await self.ask("POST", "DescribeContextFiles", contextId=context))["data"])


@asynccontextmanager
async def caller(**options: Any) -> AsyncIterator[Caller]:
    async with Runtime(allow_none=True, **options) as runtime:
        caller = Caller(runtime)
        async with caller.http:
            yield caller


async def pieces(content: bytes, size: int = 100_000) -> AsyncIterator[bytes]:
    for at in range(0, len(content), size):
        yield content[at : at + size]


@pytest.mark.asyncio
async def test_contexts_and_urls_outlive_the_runtime(tmp_path: Path) -> None:
    clock = Clock()
    async with caller(data_dir=tmp_path, wall_clock=clock) as first:
        context = await first.make()
        await first.upload(context, "/x", b"kept")
        get = await first.url(context, "/x", "Download")
        put = await first.url(context, "/y")
    assert get["expireTime"] == put["expireTime"] == clock.now + VALID
    clock.now += VALID - 1
    async with caller(data_dir=tmp_path, wall_clock=clock) as second:
        assert (await second.http.get(get["url"])).content == b"kept"
        assert (await second.http.put(put["url"], content=b"also")).status_code == 200
        clock.now += 1
        for method, link in (("GET", get["url"]), ("HEAD", get["url"]), ("PUT", put["url"])):
            answer = await second.http.request(method, link)
            assert answer.status_code == 403
            if method != "HEAD":
                assert "expired" in refused(answer.json(), "ExpiredUrl", 403)
        late = (await second.http.get(altered(get["url"], expires=2**40))).json()
        refused(late, "InvalidUrl", 403)
        assert [file["size"] for file in await second.files(context)] == [4, 4]
        assert [file["gmtModified"] for file in await second.files(context)] == [
            "1970-01-01T00:16:40Z",
            "1970-01-01T01:16:39Z",
        ]


@pytest.mark.asyncio
async def test_clearing(tmp_path: Path) -> None:
    async with caller(data_dir=tmp_path) as api:
        context = await api.make()
        for number in range(20):
            await api.upload(context, f"/x/{number}")
        link = (await api.url(context, "/late"))["url"]
        api.runtime.contexts.store.begin_clear(context)  # as a runtime that was killed leaves it
        assert (await api.ask("GET", "GetContext", id=context))["data"]["state"] == "clearing"
        refused((await api.http.put(link, content=b"x")).json(), "InvalidContext.Clearing", 409)
        for _ in range(2):  # again and again is allowed
            assert (await api.ask("POST", "ClearContext", id=context))["success"] is True
        async with asyncio.timeout(120):
            while (await api.ask("GET", "GetContext", id=context))["data"]["state"] != "available":
                await apause()
        assert await api.files(context) == []
        assert (await api.http.put(link, content=b"x")).status_code == 200


@pytest.mark.asyncio
async def test_link_of_a_mount_is_no_file(tmp_path: Path) -> None:
    """Clients know files only; a real service has no links."""
    async with caller(data_dir=tmp_path) as api:
        context = await api.make()
        await api.upload(context, "/a/file")
        kept = (await api.url(context, "/a/file", "Download"))["url"]
        for path in ("/a/file", "/a/other"):
            with api.runtime.contexts.store.writing(context, path, kind="link") as writing:
                writing.write(b"target")
                writing.commit()
        assert await api.files(context) == []
        refused((await api.http.get(kept)).json(), "InvalidFile.NotFound", 404)
        for operation in ("GetContextFileDownloadUrl", "DeleteContextFile"):
            answer = await api.ask("POST", operation, contextId=context, filePath="/a/other")
            refused(answer, "InvalidFile.NotFound", 404)
        await api.upload(context, "/a/other")
        assert [file["filePath"] for file in await api.files(context)] == ["/a/other"]


@pytest.mark.asyncio
async def test_interrupted_clearing_goes_on_at_the_next_start(tmp_path: Path) -> None:
    async with caller(data_dir=tmp_path) as api:
        context = await api.make()
        await api.upload(context, "/x")
        api.runtime.contexts.store.begin_clear(context)
    async with caller(data_dir=tmp_path) as api:
        assert (await api.ask("GET", "GetContext", id=context))["data"]["state"] == "available"
        assert await api.files(context) == []


@pytest.mark.parametrize("size", [10, 3 * PIECE])
@pytest.mark.asyncio
async def test_file_that_turns_out_to_be_too_large(tmp_path: Path, size: int) -> None:
    async with caller(data_dir=tmp_path, limits=Limits(stored_file=size)) as api:
        context = await api.make()
        assert (await api.upload(context, "/x", pieces(b"o" * size))).status_code == 200
        for content in (pieces(b"n" * (size + 1)), b"n" * (size + 1)):
            refused((await api.upload(context, "/x", content)).json(), "FileTooLarge", 413)
        assert [file["size"] for file in await api.files(context)] == [size]
        assert list((tmp_path / "contexts" / "incoming").iterdir()) == []


@pytest.mark.asyncio
async def test_full_disk(small_disk: Path) -> None:
    """Told before anything is sent, or when it turns out; what is there stays, and can be removed to make room."""
    async with caller(data_dir=small_disk) as api:
        context = await api.make()
        assert (await api.upload(context, "/kept", os.urandom(5 * PIECE))).status_code == 200
        for content in (os.urandom(16 * PIECE), pieces(os.urandom(16 * PIECE))):
            why = refused((await api.upload(context, "/x", content)).json(), "InsufficientStorage", 507)
            assert "full" in why
        assert [file["filePath"] for file in await api.files(context)] == ["/kept"]
        assert list((small_disk / "contexts" / "incoming").iterdir()) == []
        assert (await api.ask("POST", "DeleteContextFile", contextId=context, filePath="/kept"))["success"] is True
        assert (await api.upload(context, "/x", pieces(os.urandom(7 * PIECE)))).status_code == 200


@pytest.mark.asyncio
async def test_recycling_is_looked_for_when_it_is_time(tmp_path: Path) -> None:
    clock, wall_clock = Clock(), Clock()
    async with caller(data_dir=tmp_path, clock=clock, wall_clock=wall_clock) as api:
        context = await api.make()
        await api.upload(context, "/data/x")
        await api.upload(context, "/kept")
        api.runtime.contexts.store.recycling.set_rule(context, "/data", 1)
        wall_clock.now += 86_401
        api.runtime.sweep()
        assert len(await api.files(context)) == 2
        clock.now += RECYCLE_EVERY
        assert api.runtime.sweep() == clock.now + RECYCLE_EVERY
        async with asyncio.timeout(120):
            while len(await api.files(context)) == 2:
                await apause()
        assert [file["filePath"] for file in await api.files(context)] == ["/kept"]


@pytest.mark.asyncio
async def test_tokens_are_not_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    async with caller(data_dir=tmp_path) as api:
        context = await api.make()
        await api.upload(context, "/x")
        links = [(await api.url(context, "/x", kind))["url"] for kind in ("Upload", "Download")]
        caplog.clear()
        api.runtime.contexts.store.open(context, "/x")[0].close()
        blob = next(path for path in (tmp_path / "contexts" / "blobs").rglob("*") if path.is_file())
        blob.unlink()  # a mistake that is logged
        for link in links:
            request = api.http.build_request("GET", link)
            answer = await api.http.send(request)
            assert answer.status_code in (403, 500)
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    assert any("GET /contexts/files/..." in message for message in ours)
    assert not [link for link in links if link.rpartition("/")[2][:40] in "".join(ours)]


def test_context_in_a_session_is_not_deleted(api: Api, context: str) -> None:
    mounts = [{"contextId": context, "path": "/home/data", "policy": "{}"}]
    session = api.create(persistenceDataList=mounts)["sessionId"]
    why = refused(ask(api, "DeleteContext", id=context), "InvalidContext.InUse", 409)
    assert session in why
    api.release(session)
    assert api.post("/sdk/DeleteContext", {"id": context}) is None
