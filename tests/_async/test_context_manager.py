"""The contexts of a session: syncs, the wait of a creation, deletion with the data first; for any answer."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

import pytest

from agb import (
    AGBError,
    AsyncAGB,
    Config,
    ContextInfoResult,
    ContextStatusData,
    ContextSync,
    ContextSyncResult,
    CreateSessionParams,
    ErrorKind,
    SessionError,
)
from tests.servers import RELEASE, Action, Conversation, Sessions, answer, refuse, scripted, silent, value

pytestmark = pytest.mark.anyio

SYNC = "/sdk/SyncContext"
INFO = "/sdk/GetContextInfo"
STARTED = value(None)
OLD = {"contextId": "c", "path": "/p", "taskType": "upload", "status": "Success", "startTime": 100, "finishTime": 101}
NEW = {**OLD, "startTime": 200, "finishTime": 201}
RUNNING = {**NEW, "status": "Running", "finishTime": 0}
FAILED = {**NEW, "status": "Failed", "errorMessage": "no space left"}
DOWN = {**NEW, "taskType": "download"}


def rows(*tasks: dict[str, Any]) -> Action:
    return value({"contextStatus": json.dumps([{"type": "data", "data": json.dumps(list(tasks))}])})


class Syncing:
    """A service with sessions; their tasks are shown by a script, one answer for each look, the last for all more."""

    def __init__(self, *looks: Action, start: Action = STARTED) -> None:
        self.looks = list(looks)
        self.start = start
        self.sessions = Sessions()
        self.queries: list[tuple[str, dict[str, str]]] = []

    def __call__(self, talk: Conversation) -> None:
        path, _, query = talk.request.target.partition("?")
        self.queries.append((path, {name: values[0] for name, values in parse_qs(query).items()}))
        if path == SYNC:
            self.start(talk)
        elif path == INFO:
            (self.looks.pop(0) if len(self.looks) > 1 else self.looks[0])(talk)
        else:
            self.sessions(talk)

    def count(self, path: str) -> int:
        return sum(asked == path for asked, _ in self.queries)


def client(endpoint: str) -> AsyncAGB:
    return AsyncAGB("k", Config(endpoint, 5000))


# --- status ------------------------------------------------------------------------------------------------------


async def test_info_gives_the_tasks() -> None:
    service = Syncing(rows(OLD, FAILED))
    with scripted(service) as server:
        async with client(server.endpoint) as agb:
            result = await agb.attach("s-1").context.info("c", "/p", "upload")
            assert (await agb.attach("s-1").context.info()).success
    assert isinstance(result, ContextInfoResult)
    assert (result.success, result.request_id, result.error_message) == (True, "R-1", None)
    assert [task.status for task in result.context_status_data] == ["Success", "Failed"]
    assert result.context_status_data[1].error_message == "no space left"
    assert service.queries == [
        (INFO, {"sessionId": "s-1", "contextId": "c", "path": "/p", "taskType": "upload"}),
        (INFO, {"sessionId": "s-1"}),
    ]


@pytest.mark.parametrize("status", ["{", 5, {"type": "data"}])
async def test_broken_status_is_a_failure(status: Any) -> None:
    with scripted(value({"contextStatus": status})) as server:
        async with client(server.endpoint) as agb:
            result = await agb.attach("s-1").context.info()
    assert not result.success
    assert "data.contextStatus is" in str(result.error_message)


# --- sync --------------------------------------------------------------------------------------------------------


async def test_sync_waits_for_the_task_just_started_and_no_older_one() -> None:
    service = Syncing(rows(OLD), rows(OLD), rows(OLD, RUNNING), rows(OLD, NEW))
    with scripted(service) as server:
        async with client(server.endpoint) as agb:
            result = await agb.attach("s-1").context.sync()
    assert isinstance(result, ContextSyncResult)
    assert (result.success, result.error_message, result.request_id) == (True, "", "R-1")
    assert [task.start_time for task in result.context_status_data] == [200]
    assert [path for path, _ in service.queries] == [INFO, SYNC, INFO, INFO, INFO]


async def test_sync_waits_for_tasks_by_their_ids() -> None:
    twin = {**OLD, "taskId": "t-1"}
    service = Syncing(
        rows(twin),
        rows(twin, {**RUNNING, "taskId": "t-2"}),
        rows({**OLD, "taskId": "t-2"}),
        start=value({"taskIds": ["t-2"]}),
    )
    with scripted(service) as server:
        async with client(server.endpoint) as agb:
            result = await agb.attach("s-1").context.sync("c", "/p", "upload")
    assert result.success
    assert [task.task_id for task in result.context_status_data] == ["t-2"]
    where = {"sessionId": "s-1", "contextId": "c", "path": "/p"}
    assert service.queries[:3] == [(INFO, where), (SYNC, {**where, "mode": "upload"}), (INFO, where)]


async def test_old_failure_is_none_of_this_sync() -> None:
    old = {**FAILED, "startTime": 100}
    with scripted(Syncing(rows(old), rows(old, NEW))) as server:
        async with client(server.endpoint) as agb:
            assert (await agb.attach("s-1").context.sync()).success


async def test_failed_task_has_its_reason() -> None:
    with scripted(Syncing(rows(OLD), rows(OLD, FAILED))) as server:
        async with client(server.endpoint) as agb:
            result = await agb.attach("s-1").context.sync()
    assert not result.success
    assert result.error_message == "Could not sync the contexts of session s-1: upload of /p: no space left"
    assert isinstance(result.error, SessionError)
    assert result.context_status_data[0].status == "Failed"


@pytest.mark.one_event_loop
@pytest.mark.parametrize("limit", [{"timeout": 2}, {"max_retries": 200, "retry_interval": 10}])
async def test_sync_that_never_ends_is_told_in_time(limit: dict[str, Any]) -> None:
    with scripted(Syncing(rows(), rows(RUNNING))) as server:
        async with client(server.endpoint) as agb:
            result = await agb.attach("s-1").context.sync(**limit)
    assert not result.success
    assert "it did not end within 2 s; upload of /p is Running" in result.error_message
    assert result.error is not None
    assert result.error.kind is ErrorKind.TIMED_OUT


async def test_status_that_is_never_answered_is_a_timeout() -> None:
    with scripted(Syncing(rows(), rows(RUNNING), silent)) as server:
        async with client(server.endpoint) as agb:
            result = await agb.attach("s-1").context.sync(timeout=1)
    assert not result.success
    assert "upload of /p is Running" in result.error_message


@pytest.mark.parametrize(
    "look", [refuse("Denied", "not yours", 403), answer(b"<html>", 200)], ids=["refused", "broken"]
)
async def test_status_that_cannot_be_asked_for_is_no_success(look: Action) -> None:
    with scripted(Syncing(rows(OLD), look)) as server:
        async with client(server.endpoint) as agb:
            result = await agb.attach("s-1").context.sync()
    assert not result.success
    assert "get the state of the contexts of session s-1" in result.error_message


async def test_status_that_is_away_for_a_moment_is_asked_for_again() -> None:
    with scripted(Syncing(rows(OLD), refuse(status=503), rows(OLD, NEW))) as server:
        async with client(server.endpoint) as agb:
            assert (await agb.attach("s-1").context.sync()).success


async def test_sync_that_cannot_be_started_says_so_and_calls_nobody() -> None:
    calls: list[bool] = []
    service = Syncing(rows(), start=refuse("Context.NotFound", "no such context", 404))
    with scripted(service) as server:
        async with client(server.endpoint) as agb:
            result = await agb.attach("s-1").context.sync("c", "/p", callback=calls.append)
    assert not result.success
    assert "no such context" in result.error_message
    assert calls == []


async def test_half_of_what_names_a_mount_is_refused_before_it_is_sent() -> None:
    with scripted(value(None)) as server:
        async with client(server.endpoint) as agb:
            context = agb.attach("s-1").context
            for half in (("c", None), (None, "/p"), ("c", " ")):
                result = await context.sync(*half)
                assert not result.success
                assert "context_id and path must be provided together" in result.error_message
                assert result.request_id == ""
            wrongs: list[tuple[dict[str, Any], type[Exception]]] = [
                ({"max_retries": 0}, ValueError),
                ({"retry_interval": -1}, ValueError),
                ({"retry_interval": "1"}, TypeError),
                ({"timeout": 0}, ValueError),
                ({"callback": "x"}, TypeError),
            ]
            for wrong, error in wrongs:
                with pytest.raises(error):
                    await context.sync(**wrong)
    assert server.requests == []


# --- creation ----------------------------------------------------------------------------------------------------

PARAMS = CreateSessionParams(image_id="agb-code-space-1", context_syncs=[ContextSync("c", "/p")])


async def test_creation_waits_for_the_data() -> None:
    service = Syncing(rows(), rows({**DOWN, "status": "Running"}), rows(DOWN))
    with scripted(service) as server:
        async with client(server.endpoint) as agb:
            result = await agb.create(PARAMS)
    assert (result.success, result.error_message, result.error) == (True, "", None)
    assert [task.status for task in result.context_status] == ["Success"]
    assert isinstance(result.context_status[0], ContextStatusData)
    assert service.count(INFO) == 3


async def test_creation_need_not_wait() -> None:
    service = Syncing(rows({**DOWN, "status": "Running"}))
    with scripted(service) as server:
        async with client(server.endpoint) as agb:
            assert (await agb.create(PARAMS, wait_for_contexts=False)).success
            async with agb.session(PARAMS, wait_for_contexts=False) as session:
                assert session.session_id
    assert service.count(INFO) == 0


@pytest.mark.parametrize(
    ("look", "words", "kind"),
    [
        (rows({**DOWN, "status": "Failed", "errorMessage": "broken archive"}), "/p: broken archive", ErrorKind.REFUSED),
        (rows({**DOWN, "status": "Running"}), "/p: still Running, after ", ErrorKind.TIMED_OUT),
        (rows(), "/p: its download was not reported, after ", ErrorKind.TIMED_OUT),
        (refuse("Denied", "not yours", 403), "could not be asked any more: Could not get", ErrorKind.BAD_CREDENTIALS),
        (silent, "/p: its download was not reported, after ", ErrorKind.TIMED_OUT),
    ],
    ids=["failed", "unfinished", "unreported", "refused", "silent"],
)
async def test_missing_data_is_reported(look: Action, words: str, kind: ErrorKind) -> None:
    service = Syncing(look)
    with scripted(service) as server:
        async with client(server.endpoint) as agb:
            result = await agb.create(PARAMS, timeout=1)
            assert result.success  # the session is there
            assert result.session is not None
            assert result.error is not None
            assert words in result.error_message == str(result.error)
            assert (result.error.kind, result.error.session_id) == (kind, result.session.session_id)
            assert result.raise_for_error() is result
            with pytest.raises(SessionError, match="not all of its data is there"):
                async with agb.session(PARAMS, timeout=1):
                    pytest.fail("a block is not entered without its data")
    assert service.sessions.alive == {result.session.session_id}  # that of the block was deleted


@pytest.mark.parametrize(
    ("sync", "words"),
    [
        (ContextSync(" ", "/p"), "needs its context_id"),
        (ContextSync("c", "p"), "absolute path"),
        (ContextSync("c", ""), "''"),
    ],
)
async def test_mount_that_cannot_be_is_refused_before_it_is_sent(sync: ContextSync, words: str) -> None:
    with scripted(value(None)) as server:
        async with client(server.endpoint) as agb:
            result = await agb.create(CreateSessionParams(image_id="i", context_syncs=[sync]))
    assert not result.success
    assert words in result.error_message
    assert server.requests == []


# --- deletion ----------------------------------------------------------------------------------------------------


async def test_deletion_stores_the_data_first() -> None:
    service = Syncing(rows(OLD), rows(OLD, RUNNING), rows(OLD, NEW))
    with scripted(service) as server:
        async with client(server.endpoint) as agb:
            result = await agb.delete(agb.attach("s-1"), sync_context=True)
    assert (result.success, result.error_message, result.error) == (True, "", None)
    paths = [path for path, _ in service.queries]
    assert paths[:5] == [INFO, SYNC, INFO, INFO, RELEASE]
    assert service.queries[1][1] == {"sessionId": "s-1"}


@pytest.mark.parametrize(
    ("looks", "words"),
    [
        ((rows(OLD), rows(OLD, FAILED)), "no space left"),
        ((rows(OLD), rows(OLD, RUNNING)), "did not end within"),
        ((rows(OLD), refuse("Denied", "not yours", 403)), "not yours"),
        ((refuse("Denied", "not yours", 403),), "not yours"),
    ],
    ids=["failed", "unfinished", "unknown", "not started"],
)
async def test_data_that_was_not_stored_is_reported_and_the_caller_decides(
    looks: tuple[Action, ...], words: str
) -> None:
    for decision, released in (("keep", 0), ("delete", 1)):
        service = Syncing(*looks)
        with scripted(service) as server:
            async with client(server.endpoint) as agb:
                result = await agb.attach("s-1").delete(True, on_sync_failure=decision, timeout=1)  # type: ignore[arg-type]
        assert service.count(RELEASE) == released
        assert result.success == bool(released)
        assert "contexts were not stored" in result.error_message
        assert words in result.error_message
        assert isinstance(result.error, AGBError)


async def test_deletion_takes_no_other_decision() -> None:
    with scripted(value(None)) as server:
        async with client(server.endpoint) as agb:
            with pytest.raises(ValueError, match='"delete" or "keep"'):
                await agb.attach("s-1").delete(on_sync_failure="maybe")  # type: ignore[arg-type]
    assert server.requests == []
