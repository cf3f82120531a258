"""Contexts on the wire: the operations of the API, pre-signed URLs, and what becomes of bad requests."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agb.local.context_files import PIECE
from agb.local.errors import Refused
from agb.local.file_urls import FileUrls, Grant, signing_key

from .conftest import Api

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
    ("range_", "part", "said"),
    [
        ("bytes=0-0", b"0", "bytes 0-0/10"),
        ("bytes=2-4", b"234", "bytes 2-4/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=7-99", b"789", "bytes 7-9/10"),
        ("bytes=-3", b"789", "bytes 7-9/10"),
        ("bytes=-99", b"0123456789", "bytes 0-9/10"),
    ],
)
def test_part_of_a_file(api: Api, context: str, range_: str, part: bytes, said: str) -> None:
    upload(api, context, "/x", b"0123456789")
    got = download(api, context, "/x", range=range_)
    assert (got.status_code, got.content, got.headers["content-range"]) == (206, part, said)


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
    said, _, signature = token.partition(".")
    grant = dict(zip(("method", "context", "path", "expires"), json.loads(_decoded(said)), strict=True))
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
    said, _, signature = link.rpartition(".")
    other = chr(ord(signature[-1]) ^ 1)
    for wrong in (f"{said}.{signature[:-1]}{other}", f"{said}.", said, f"{said}.{signature}A", f"{link}.", link[:-1]):
        got = httpx.get(wrong)
        why = refused(got.json(), "InvalidUrl", 403)
        assert signature not in got.text
        assert "altered" in why
    right = hmac.digest(b"\0" * 32, said.rpartition("/")[2].encode(), "sha256")
    forged = base64.urlsafe_b64encode(right).rstrip(b"=").decode()
    refused(httpx.get(f"{said}.{forged}").json(), "InvalidUrl", 403)


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
    for said in (b"[]", b"{}", b"1", b'["GET"]', b"\xff", b"nonsense"):
        text = base64.urlsafe_b64encode(said).rstrip(b"=").decode()
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
