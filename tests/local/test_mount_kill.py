"""Mounts when their runtime ends: by a signal, which stores the sessions' data, or by a kill, which loses no sync.

``AGB_KILL_ROUNDS=50`` is the number of kills.
"""

from __future__ import annotations

import json
import os
import random
import signal
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from agb.local import serve
from tests.waiting import pause

from .conftest import Api

ROUNDS = int(os.environ.get("AGB_KILL_ROUNDS", "2"))
FILES = 60
PLACE = "/home/user/data"


def context(api: Api) -> str:
    return str(api.get("/sdk/GetContext", name="mine", allowCreate="true")["id"])


def mounted(api: Api, context_id: str) -> str:
    """Return the id of a session whose data is there."""
    data = [{"contextId": context_id, "path": PLACE, "policy": ""}]
    session = str(api.create(persistenceDataList=data)["sessionId"])
    until_done(api, session)
    return session


def until_done(api: Api, session: str) -> list[dict[str, Any]]:
    """Return the rows of a session's tasks once all have ended."""
    while True:
        status = api.get("/sdk/GetContextInfo", sessionId=session)["contextStatus"]
        (wrapper,) = json.loads(status)
        rows = json.loads(wrapper["data"])
        if all(row["status"] in ("Success", "Failed") for row in rows):
            return list(rows)
        pause()


def content(api: Api, context_id: str, path: str) -> str:
    url = api.post("/sdk/GetContextFileDownloadUrl", {"contextId": context_id, "filePath": path})["url"]
    return httpx.get(url).text


def test_ended_by_a_signal_with_data_in_sessions(tmp_path: Path) -> None:
    with serve(allow_none=True, data_dir=tmp_path) as server:
        api = Api(server)
        with api.http:
            session = mounted(api, context(api))
            api.shell(session, "cd $HOME/data; for i in $(seq 100); do echo $i > $i; done; truncate -s 20M large")
    assert list((tmp_path / "sessions").glob("*")) == []
    with serve(allow_none=True, data_dir=tmp_path) as server:
        api = Api(server)
        with api.http:
            session = mounted(api, context(api))
            assert api.shell(session, "cd $HOME/data; ls | wc -l; stat -c %s large; cat 100") == "101\n20971520\n100\n"


def test_killed_in_the_middle_of_syncs(tmp_path: Path) -> None:
    acknowledged, begun, interrupted = 0, 0, 0
    dice = random.Random()
    for number in range(ROUNDS):
        # The first kill is in the middle of a sync for certain: it follows the answer that the sync has begun.
        delay = dice.uniform(0.0, 0.4) if number else 0.0
        with serve(allow_none=True, data_dir=tmp_path) as server:
            api = Api(server)
            with api.http:
                check(api, acknowledged, begun)
                before, (acknowledged, begun) = begun, work(api, acknowledged, begun, delay)
                interrupted += acknowledged < begun
                assert begun > before
    with serve(allow_none=True, data_dir=tmp_path) as server:
        api = Api(server)
        with api.http:
            check(api, acknowledged, begun)
    assert interrupted


def check(api: Api, acknowledged: int, begun: int) -> None:
    """Each file has the content that was acknowledged last, or a later one."""
    listed = api.ask("POST", "/sdk/DescribeContextFiles", {"contextId": context(api), "pageSize": "1000"})["data"]
    assert len(listed) == (FILES if acknowledged else len(listed))
    for file in listed:
        held = int(content(api, context(api), file["filePath"]).strip())
        assert acknowledged <= held <= begun, file


def work(api: Api, acknowledged: int, number: int, delay: float) -> tuple[int, int]:
    """Change and store all files, again and again, until the runtime is killed, ``delay`` after the first sync began.

    Returns the last change that was acknowledged, and the last one that was begun.
    """
    session = mounted(api, context(api))
    killer: threading.Timer | None = None
    try:
        while True:
            api.shell(session, f"cd $HOME/data; for i in $(seq {FILES}); do echo {number + 1} > file$i; done")
            number += 1
            (task,) = api.post("/sdk/SyncContext", {"sessionId": session, "mode": "upload"})["taskIds"]
            if killer is None:
                killer = threading.Timer(delay, os.kill, (api.server.pid, signal.SIGKILL))
                killer.start()
                if not delay:
                    killer.join()
            (row,) = (row for row in until_done(api, session) if row["taskId"] == task)
            assert row["status"] == "Success", row
            acknowledged = number
    except httpx.TransportError:
        assert killer is not None
        killer.join()
        return acknowledged, number


@pytest.mark.parametrize("path", ["/sdk/SyncContext", "/sdk/GetAndLoadInternalContext"])
def test_operations_want_a_session(api: Api, path: str) -> None:
    query = {"sessionId": "s-none", "contextTypes": '["file_transfer"]'}
    assert api.ask("POST", path, query)["code"] == "InvalidMcpSession.NotFound"
    assert api.ask("GET", "/sdk/GetContextInfo", {"sessionId": "s-none"})["code"] == "InvalidMcpSession.NotFound"


def test_internal_context_over_http(api: Api, session: str) -> None:
    def ask(types: str) -> dict[str, Any]:
        return api.ask("POST", "/sdk/GetAndLoadInternalContext", {"sessionId": session, "contextTypes": types})

    for types, message in (
        ("{}", "must be a JSON array"),
        ("[7]", "of the type a number"),
        ('["x"]', "of the type 'x'"),
    ):
        assert message in ask(types)["message"]
    assert ask("[]")["data"] == []
    (found,) = ask('["file_transfer"]')["data"]
    assert found == {**found, "contextType": "file_transfer", "contextPath": "/tmp/file_transfer"}
    refused = api.ask("POST", "/sdk/DeleteContext", {"id": found["contextId"]})
    assert refused["code"] == "InvalidContext.InUse"
    assert found["contextId"] not in {item["id"] for item in api.get("/sdk/ListContexts", maxResults="1000")}


def test_refused_mount_over_http_starts_nothing(api: Api) -> None:
    before = api.ask("GET", "/sdk/ListSession")["count"]
    for given, code in (
        ([{"contextId": "SdkCtx-none", "path": PLACE}], "InvalidContext.NotFound"),
        ([{"contextId": "SdkCtx-none", "path": PLACE, "policy": "{"}], "InvalidRequest"),
        ("x", "InvalidRequest"),
    ):
        answer = api.ask(
            "POST", "/mcp/createSession", {"imageId": "agb-code-space-1"}, json={"persistenceDataList": given}
        )
        assert answer["code"] == code, answer
    assert api.ask("GET", "/sdk/ListSession")["count"] == before
