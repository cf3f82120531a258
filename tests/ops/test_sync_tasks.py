"""Sync tasks: a watch finds the tasks just started, however a service reports them, and believes no old one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agb import (
    AGBError,
    ContextStatusData,
    ContextSync,
    DownloadPolicy,
    ErrorKind,
    SyncPolicy,
)
from agb._ops import contexts
from agb._ops.sync_tasks import (
    LOST_AFTER,
    QUIET_AFTER,
    REPORTED_WITHIN,
    MountWatch,
    SyncWatch,
    Verdict,
    has_ended,
    has_failed,
    sync_failure,
    sync_timeout,
)
from agb._wire.reply import Reply

WAIT, DONE, AGAIN = Verdict.WAIT, Verdict.DONE, Verdict.START_AGAIN


class Clock:
    """A clock that the test advances."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def row(
    status: str = "Success", start: int = 100, path: str = "/p", task_type: str = "upload", **more: Any
) -> ContextStatusData:
    finish = start if status in ("Success", "Failed") else 0
    return ContextStatusData(more.pop("context", "c"), path, "", status, start, finish, task_type, **more)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def watched(clock: Clock, *before: ContextStatusData, mode: str = "", context_id: str = "") -> SyncWatch:
    watch = SyncWatch(before, mode, context_id, clock=clock)
    watch.started(None)
    return watch


# --- tasks with names --------------------------------------------------------------------------------------------


def test_named_tasks_are_those_of_that_name(clock: Clock) -> None:
    watch = SyncWatch([row(task_id="old")], clock=clock)
    watch.started(["new-1", "new-2"])
    old = row(task_id="old")
    assert watch.look([old]) is WAIT
    assert watch.look([old, row("Pending", task_id="new-1")]) is WAIT
    assert watch.look([old, row(task_id="new-1")]) is WAIT
    clock.now = 100  # a task that has come up is waited for as long as it takes
    assert watch.look([old, row(task_id="new-1")]) is WAIT
    assert watch.look([old, row(task_id="new-1"), row("Failed", task_id="new-2")]) is DONE
    assert [task.task_id for task in watch.tasks] == ["new-1", "new-2"]


def test_no_names_are_no_tasks(clock: Clock) -> None:
    watch = SyncWatch([row("Pending")], clock=clock)
    watch.started([])
    assert watch.look([row("Pending")]) is DONE
    assert watch.tasks == []


# --- tasks without names -----------------------------------------------------------------------------------------


def test_new_row_beside_the_old_one(clock: Clock) -> None:
    watch = watched(clock, row())
    assert watch.look([row()]) is WAIT
    assert watch.look([row(), row("Pending", 0)]) is WAIT
    assert watch.look([row(), row("Running", 160)]) is WAIT
    assert watch.look([row(), row("Success", 160)]) is DONE
    assert watch.tasks == [row("Success", 160)]


def test_new_row_in_place_of_the_old_one(clock: Clock) -> None:
    watch = watched(clock, row())
    assert watch.look([row("Running", 160)]) is WAIT
    assert watch.look([row("Failed", 160)]) is DONE
    assert has_failed(watch.tasks[0])


def test_new_row_of_the_same_second_beside_its_equal(clock: Clock) -> None:
    watch = watched(clock, row())
    assert watch.look([row(), row()]) is DONE
    assert watch.tasks == [row()]


def test_new_row_of_the_same_second_in_place_of_its_equal(clock: Clock) -> None:
    """It cannot be distinguished from the old one, so the sync is started again, in another second."""
    watch = watched(clock, row())
    assert watch.look([row()]) is WAIT
    clock.now = QUIET_AFTER
    assert watch.look([row()]) is AGAIN
    watch.started(None)
    assert watch.look([row("Success", 103)]) is DONE


def test_it_is_started_again_once(clock: Clock) -> None:
    watch = watched(clock, row())
    clock.now = QUIET_AFTER
    assert watch.look([row()]) is AGAIN
    watch.started(None)
    for clock.now in (5.0, 31.0):
        assert watch.look([row()]) is WAIT
    clock.now = QUIET_AFTER + LOST_AFTER
    assert watch.look([row()]) is Verdict.LOST


def test_task_of_a_name_that_never_comes_up_is_lost(clock: Clock) -> None:
    watch = SyncWatch([row(task_id="old")], clock=clock)
    watch.started(["new"])
    clock.now = LOST_AFTER - 1
    assert watch.look([row(task_id="old")]) is WAIT
    clock.now = LOST_AFTER
    assert watch.look([row(task_id="old")]) is Verdict.LOST
    assert watch.look([row("Running", task_id="old")]) is WAIT  # it may have to wait for its turn


def test_nothing_old_to_be_taken_for_it_is_no_reason_to_start_again(clock: Clock) -> None:
    watch = watched(clock, row(task_type="download"), mode="upload")
    clock.now = LOST_AFTER - 1
    assert watch.look([row(task_type="download")]) is WAIT
    assert watch.look([row(task_type="download"), row()]) is DONE


@pytest.mark.parametrize("before", [row("Running", 100), row("Pending", 0)], ids=["running", "pending"])
def test_older_task_that_goes_on_meanwhile(clock: Clock, before: ContextStatusData) -> None:
    watch = watched(clock, before)
    assert watch.look([before]) is WAIT
    clock.now = 100
    assert watch.look([row("Running", 100)]) is WAIT  # and is waited for, not replaced
    assert watch.look([row("Success", 100)]) is AGAIN  # what was asked for has joined it, as far as can be seen
    watch.started(None)
    assert watch.look([row("Success", 100), row("Success", 102)]) is DONE
    assert watch.tasks == [row("Success", 102)]


def test_every_mount_is_waited_for(clock: Clock) -> None:
    before = [row(path="/a", task_type="download"), row(path="/b", task_type="download")]
    watch = watched(clock, *before)
    assert watch.look([*before, row("Success", 160, "/a")]) is WAIT
    assert watch.look([*before, row("Success", 160, "/a"), row("Pending", 0, "/b")]) is WAIT
    assert watch.look([*before, row("Success", 160, "/a"), row("Success", 160, "/b")]) is DONE


def test_mount_that_takes_no_part_is_not_waited_for(clock: Clock) -> None:
    before = [row(path="/a", task_type="download"), row(path="/b", task_type="download")]
    watch = watched(clock, *before)
    rows = [*before, row("Success", 160, "/a")]
    assert watch.look(rows) is WAIT
    clock.now = QUIET_AFTER
    assert watch.look(rows) is DONE


def test_session_without_contexts(clock: Clock) -> None:
    watch = watched(clock)
    assert watch.look([]) is WAIT
    clock.now = QUIET_AFTER
    assert watch.look([]) is DONE
    assert watch.tasks == []


def test_context_that_was_named_has_a_task(clock: Clock) -> None:
    watch = watched(clock, context_id="c")
    clock.now = LOST_AFTER - 1
    assert watch.look([row(context="another")]) is WAIT
    assert watch.look([row(context="another"), row()]) is DONE
    assert watch.tasks == [row()]


def test_other_direction_is_none_of_it(clock: Clock) -> None:
    watch = watched(clock, mode="download", context_id="c")
    assert watch.look([row()]) is WAIT
    assert watch.look([row(), row(task_type="Download")]) is DONE
    other = watched(clock, mode="something new", context_id="c")
    assert other.look([row(task_type="index")]) is WAIT
    assert other.look([row(task_type="index"), row()]) is DONE


def rows_of(first_start: int) -> st.SearchStrategy[list[ContextStatusData]]:
    states = st.sampled_from(["Success", "Failed", "Pending", "Running"])
    paths, types = st.sampled_from(["/a", "/b"]), st.sampled_from(["upload", "download"])
    return st.lists(st.builds(row, states, st.integers(first_start, 3), paths, types), max_size=6)


@given(rows=rows_of(0), mode=st.sampled_from(["", "upload", "download"]))
def test_rows_that_do_not_change_are_never_taken_for_new(rows: list[ContextStatusData], mode: str) -> None:
    clock = Clock()
    watch = watched(clock, *rows, mode=mode)
    for clock.now in (0.0, 1.0, 10.0, 100.0):
        watch.look(rows)
        assert watch.tasks == []


@given(before=rows_of(1), data=st.data())
def test_new_row_is_found_in_any_order(before: list[ContextStatusData], data: Any) -> None:
    new = row("Success", 9, "/a", "upload")
    watch = watched(Clock(), *before, mode="upload")
    watch.look(data.draw(st.permutations([*before, new])))
    assert watch.tasks == [new]


# --- how they ended ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "ended", "failed"),
    [
        *((word, True, False) for word in ("Success", "completed", "OK", "done")),
        *((word, True, True) for word in ("Failed", "failed", "Error")),
        *((word, False, False) for word in ("", "Pending", "in_progress", "Running", "something new")),
    ],
)
def test_states(status: str, ended: bool, failed: bool) -> None:
    assert (has_ended(row(status)), has_failed(row(status))) == (ended, failed)


def test_failed_tasks_give_their_reasons() -> None:
    full = ContextStatusData("c", "/a", "no space left", "Failed", task_type="upload")
    silent = ContextStatusData("c", "/b", "", "Failed", task_type="upload")
    error = sync_failure([full, row(), silent], "sync it", "s-1")
    assert error is not None
    assert str(error) == "Could not sync it: upload of /a: no space left; upload of /b: no reason given"
    assert (error.kind, error.session_id) == (ErrorKind.REFUSED, "s-1")
    assert sync_failure([row()], "sync it", "s-1") is None


def test_tasks_that_did_not_end_in_time_are_named() -> None:
    error = sync_timeout([row("Running"), row()], "sync it", "s-1", 5.0, "R-1")
    assert str(error) == "Could not sync it: it did not end within 5 s; upload of /p is Running"
    assert (error.kind, error.request_id, error.retryable) == (ErrorKind.TIMED_OUT, "R-1", True)
    assert "no task of it was reported" in str(sync_timeout([], "sync it", "s-1", 5.0, "R-1"))


# --- the contexts of a new session -------------------------------------------------------------------------------


def down(status: str = "Success", path: str = "/a", context: str = "c", message: str = "") -> ContextStatusData:
    return ContextStatusData(context, path, message, status, task_type="download")


def test_data_is_there_when_every_mount_says_so(clock: Clock) -> None:
    watch = MountWatch([ContextSync("c", "/a"), ContextSync("c", "/b/")], clock=clock)
    assert watch.look([]) is WAIT
    assert watch.look([down()]) is WAIT
    assert watch.look([down(), down("Pending", "/b")]) is WAIT
    assert watch.look([down(), down("Success", "/b")]) is DONE
    assert watch.failure("s-1", 1.0) is None


def test_mount_without_a_download_is_not_waited_for(clock: Clock) -> None:
    policy = SyncPolicy(download_policy=DownloadPolicy(auto_download=False))
    watch = MountWatch([ContextSync("c", "/a", policy)], clock=clock)
    assert watch.look([]) is DONE
    assert watch.failure("s-1", 1.0) is None


def test_what_is_missing_is_told(clock: Clock) -> None:
    syncs = [ContextSync("c", path) for path in ("/a", "/b", "/c", "/d")]
    watch = MountWatch(syncs, clock=clock)
    rows = [down(), down("Failed", "/b", message="broken archive"), down("Pending", "/c")]
    assert watch.look(rows) is WAIT
    clock.now = REPORTED_WITHIN
    assert watch.look(rows) is WAIT
    error = watch.failure("s-1", 300.0)
    assert error is not None
    assert str(error) == (
        "session s-1 was created, but not all of its data is there: /b: broken archive; "
        "/c: still Pending, after 300 s; /d: its download was not reported, after 300 s"
    )
    assert error.kind is ErrorKind.REFUSED
    assert watch.look(rows[:2]) is DONE  # what is not reported is not waited for any longer
    late = MountWatch(syncs[:1], clock=clock)
    assert "could not be asked any more: gone" in str(late.failure("s-1", 1.0, AGBError("gone")))


# --- the status on the wire --------------------------------------------------------------------------------------


def read(status: Any, **more: Any) -> Any:
    call = contexts.get_context_info("s-1")
    body = {"success": True, "requestId": "R-1", "data": {"contextStatus": status, **more}}
    return call.read(Reply(call, 200, [], json.dumps(body).encode()))


def wrapped(*rows: Any, kind: str = "data") -> str:
    return json.dumps([{"type": kind, "data": json.dumps(list(rows))}])


def test_status_is_json_in_json_in_json() -> None:
    given_row = {
        "contextId": "SdkCtx-1",
        "path": "/home/x",
        "taskType": "download",
        "status": "Success",
        "errorMessage": "",
        "startTime": 1640995200,
        "finishTime": 1640995260,
        "taskId": "t-1",
    }
    task = ContextStatusData("SdkCtx-1", "/home/x", "", "Success", 1640995200, 1640995260, "download", task_id="t-1")
    assert read(wrapped(given_row)) == [task]
    assert read([{"type": "data", "data": [given_row]}]) == [task]  # not packed into strings
    assert ContextStatusData.from_dict(given_row) == task


@pytest.mark.parametrize(
    "status", [None, "", " ", "[]", [], "null", wrapped(), wrapped({}, kind="meta"), '[{"type": "data"}]']
)
def test_no_rows(status: Any) -> None:
    assert read(status) == []


def test_rows_of_null_are_rows() -> None:
    assert read(wrapped({"contextId": None, "startTime": None, "status": None})) == [ContextStatusData()]


@pytest.mark.parametrize("row", [{"startTime": "soon"}, {"finishTime": True}, {"status": 5}, "no row", None])
def test_rows_of_another_shape_are_no_success(row: Any) -> None:
    with pytest.raises(AGBError, match=r"the rows of data\.contextStatus") as caught:
        read(wrapped(row))
    assert caught.value.kind is ErrorKind.INVALID_ANSWER


@pytest.mark.parametrize(
    "status", ["{", "5", 5, True, {}, '{"type": "data"}', '[{"type": "data", "data": "{"}]', wrapped()[:-1], "[" * 9999]
)
def test_broken_status_is_no_success(status: Any) -> None:
    with pytest.raises(AGBError, match=r"contextStatus.* is ") as caught:
        read(status)
    assert caught.value.kind is ErrorKind.INVALID_ANSWER


@pytest.mark.parametrize(
    ("data", "ids"),
    [
        (None, None),
        ({}, None),
        ([], None),
        ({"taskIds": None}, None),
        ({"taskIds": "t"}, None),
        ({"taskIds": [1]}, None),
        ({"taskIds": []}, []),
        ({"taskIds": ["t-1", "t-2"]}, ["t-1", "t-2"]),
    ],
)
def test_ids_of_started_tasks(data: Any, ids: list[str] | None) -> None:
    call = contexts.sync_context("s-1")
    assert call.read(Reply(call, 200, [], json.dumps({"success": True, "data": data}).encode())) == ids
