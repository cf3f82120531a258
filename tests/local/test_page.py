"""The session's page: what it shows, to whom, and that nothing on it can do harm."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator

import httpx
import pytest

from .conftest import Api

HOSTILE = "<script>alert('1')</script>&\"'"


@pytest.fixture(scope="module")
def page(api: Api) -> Iterator[str]:
    """The address of a page that has everything to show."""
    context = api.get("/sdk/GetContext", name="for the page", allowCreate="true")["id"]
    data = [{"contextId": context, "path": "/tmp/<b>mount", "policy": ""}]
    labels = json.dumps({"project": "dämo", HOSTILE: HOSTILE, "agb.sdk/owner": "pool:of-the-sdk"})
    session = api.create(labels=labels, persistenceDataList=data)["sessionId"]
    api.tool(session, "shell", command=f"echo {HOSTILE!r}; exec -a '<b>sleeper</b>' sleep 600 > /dev/null 2>&1 &")
    api.tool(session, "shell", command="exit 3")
    api.link(session, 30123)
    yield str(api.post("/mcp/getMcpResource", sessionId=session)["resourceUrl"])
    api.release(session)


def test_page_shows_the_session(page: str) -> None:
    answer = httpx.get(page)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    for shown in (
        "agb-code-space-1",
        "RUNNING",
        "dämo",
        "30123",
        "shell",
        "sleep 600",
        "exit 3",
        "✗",
        "/tmp/&lt;b&gt;mount",
    ):
        assert shown in answer.text, shown


def test_labels_of_the_sdk_are_not_shown(page: str) -> None:
    assert "pool:of-the-sdk" not in httpx.get(page).text


def test_nothing_of_others_is_taken_for_html(page: str) -> None:
    text = httpx.get(page).text
    assert text.count("<script>") == 1  # our own
    assert "<b>sleeper" not in text
    assert "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;&#34;&#39;" in text


def test_page_allows_itself_only_what_it_brings(page: str) -> None:
    answer = httpx.get(page)
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    elsewhere = (
        r"(?:src|href)=[\"']?(?:https?:)?//(?!127\.0\.0\.1|[0-9a-z-]+\.localhost:)"  # a link may have a host name
    )
    assert not re.findall(elsewhere, answer.text)
    assert not re.findall(r" on\w+=", answer.text)


def test_policy_allows_the_style_and_the_script_of_the_document(page: str) -> None:
    answer = httpx.get(page)
    for kind in ("style", "script"):
        [text] = re.findall(f"<{kind}>(.*)</{kind}>", answer.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in answer.headers["content-security-policy"]


def test_page_renews_its_content(page: str) -> None:
    content = httpx.get(page, params=dict(httpx.URL(page).params) | {"part": "content"})
    assert content.status_code == 200
    assert content.text.startswith("<header>")
    assert "<script" not in content.text


@pytest.mark.parametrize("code", ["", "wrong", "é", "\U0001f600"])
def test_without_its_code_there_is_no_page(page: str, code: str) -> None:
    answer = httpx.get(str(httpx.URL(page).copy_set_param("authcode", code)))
    assert answer.status_code == 403
    assert "has expired" in answer.text
    assert "agb-code-space-1" not in answer.text


def test_code_is_good_for_its_own_session_only(api: Api, page: str, session: str) -> None:
    assert httpx.get(re.sub(r"/sessions/[^/]+/", f"/sessions/{session}/", page)).status_code == 403
    assert httpx.get(re.sub(r"/sessions/[^/]+/", "/sessions/s-unknown/", page)).status_code == 403


def test_page_ends_with_its_session(api: Api) -> None:
    created = api.create()
    api.release(created["sessionId"])
    assert httpx.get(created["resourceUrl"]).status_code == 403
