# Generated from tests/_async/test_contexts.py by tools/unasync.py. Do not edit.
"""Contexts: the service that keeps named stores, against answers that no well-behaved server gives."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import pytest

from agb import (
    AGB,
    AGBError,
    ClearanceTimeoutError,
    ClearContextResult,
    Config,
    Context,
    ContextFileListResult,
    ContextListParams,
    ContextListResult,
    ContextResult,
    ErrorKind,
    FileUrlResult,
    OperationResult,
)
from tests.servers import Action, Conversation, Request, Scripted, answer, refuse, scripted, silent, value

NOTHING = value(None)
NOT_FOUND = refuse("Context.NotFound", "there is no such context", 404)


def client(server: Scripted, **more: Any) -> AGB:
    return AGB("k", Config(server.endpoint, 5000), **more)


def asked(request: Request) -> dict[str, str]:
    """Return the query of a request."""
    return {name: values[0] for name, values in parse_qs(request.target.partition("?")[2]).items()}


def context(number: int) -> dict[str, Any]:
    return {"id": f"SdkCtx-{number}", "name": f"n{number}", "createTime": "2024-01-01", "lastUsedTime": "2024-01-02"}


def state(word: str | None) -> Action:
    return value({"id": "SdkCtx-1", "name": "n", **({} if word is None else {"state": word})})


# --- one page, all pages -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["top", "data"])
def test_page_of_contexts_wherever_its_token_stands(place: str) -> None:
    paging = {"nextToken": "t-2", "maxResults": 2, "totalCount": 5}
    items = [context(1), context(2)]
    page = value(items, **paging) if place == "top" else value({"contexts": items, **paging})
    with scripted(page) as server:
        with client(server) as agb:
            result = agb.context.list(ContextListParams(max_results=2, next_token="t-1"))
    assert isinstance(result, ContextListResult)
    assert result.success
    assert [item.id for item in result.contexts] == ["SdkCtx-1", "SdkCtx-2"]
    assert result.contexts[0] == Context("SdkCtx-1", "n1", "2024-01-01", "2024-01-02")
    assert (result.next_token, result.max_results, result.total_count) == ("t-2", 2, 5)
    assert asked(server.requests[0]) == {"maxResults": "2", "nextToken": "t-1"}


def test_last_page_has_no_token() -> None:
    with scripted(value([])) as server:
        with client(server) as agb:
            result = agb.context.list()
    assert (result.success, result.contexts, result.next_token, result.total_count) == (True, [], None, None)
    assert asked(server.requests[0]) == {"maxResults": "10"}


def test_all_contexts_page_by_page() -> None:
    pages = (
        value([context(1), context(2)], nextToken="t-2"),
        value([], nextToken="t-3"),  # an empty page is not the end
        value({"items": [context(2), context(3)], "nextToken": "t-4"}),  # one was made meanwhile, and moved the others
        value([context(4)]),
    )
    with scripted(*pages) as server:
        with client(server) as agb:
            found = []
            for item in agb.context.iterate(2):
                found.append(item.name)
                if len(found) == 2:
                    assert len(server.requests) == 1  # lazily
    assert found == ["n1", "n2", "n3", "n4"]
    assert [asked(request).get("nextToken") for request in server.requests] == [None, "t-2", "t-3", "t-4"]


@pytest.mark.parametrize(
    "pages",
    [
        [value([context(1)], nextToken="t")],
        [value([], nextToken="t")],
        [value([], nextToken="t"), value([], nextToken="u"), value([], nextToken="t")],
    ],
)
def test_same_page_again_and_again_is_an_error(pages: list[Action]) -> None:
    with scripted(*pages) as server:
        with client(server) as agb:
            with pytest.raises(AGBError, match="the same page again and again") as caught:
                [item.id for item in agb.context.iterate()]
    assert caught.value.kind is ErrorKind.INVALID_ANSWER
    assert len(server.requests) <= 4


def test_page_that_cannot_be_had_ends_the_iteration() -> None:
    with scripted(value([context(1)], nextToken="t"), refuse("Throttled", "no more", 400)) as server:
        with client(server) as agb:
            contexts = agb.context.iterate()
            assert contexts.__next__().name == "n1"
            with pytest.raises(AGBError, match="no more"):
                contexts.__next__()


# --- find, make, rename, delete ----------------------------------------------------------------------------------


def test_get_sends_what_it_is_asked_for() -> None:
    with scripted(value({**context(1), "state": "available"})) as server:
        with client(server) as agb:
            result = agb.context.get(" n1 ", login_region_id="eu-central-1")
            assert agb.context.get(context_id=" SdkCtx-1 ").success
            assert agb.context.create(" n1 ").success
    assert isinstance(result, ContextResult)
    assert (result.success, result.context_id, result.error_message) == (True, "SdkCtx-1", None)
    assert result.context == Context("SdkCtx-1", "n1", "2024-01-01", "2024-01-02", state="available")
    assert [asked(request) for request in server.requests] == [
        {"name": "n1", "loginRegionId": "eu-central-1", "allowCreate": "false"},
        {"id": "SdkCtx-1", "allowCreate": "false"},
        {"name": "n1", "allowCreate": "true"},
    ]


def test_what_names_nothing_is_refused_before_it_is_sent() -> None:
    with scripted(NOTHING) as server:
        with client(server) as agb:
            service = agb.context
            for result, words in (
                (service.get(), "Either context_id or name must be provided"),
                (service.get("  ", context_id=" "), "Either context_id or name must be provided"),
                (
                    service.get("n", create=True, context_id="SdkCtx-1"),
                    "context_id cannot be provided when create=True",
                ),
                (service.create(" "), "name cannot be empty"),
                (service.update(None), "context is required"),  # type: ignore[arg-type]
                (service.update(Context(" ", "n")), "id cannot be empty"),
                (service.update(Context("c", " ")), "name cannot be empty"),
                (service.delete(None), "context is required"),  # type: ignore[arg-type]
                (service.delete(Context("", "n")), "id cannot be empty"),
                (service.clear_async(" "), "context_id cannot be empty"),
                (service.clear(""), "context_id cannot be empty"),
                (service.get_clear_status(""), "context_id cannot be empty"),
                (service.get_file_download_url(" ", "/x"), "context_id cannot be empty"),
                (service.get_file_upload_url("c", " "), "file_path cannot be empty"),
                (service.delete_file("c", ""), "file_path cannot be empty"),
                (service.list_files(""), "context_id cannot be empty"),
                (service.list_files("c", page_number=0), "page_number is a number >= 1, not 0"),
                (service.list_files("c", page_size=-1), "page_size is a number >= 1, not -1"),
            ):
                assert not result.success
                assert words in str(result.error_message)
                assert isinstance(result.error, AGBError)
            for attempt in (
                lambda: service.list("x"),  # type: ignore[arg-type]
                lambda: service.get(5),  # type: ignore[arg-type]
                lambda: service.delete("SdkCtx-1"),  # type: ignore[arg-type]
                lambda: service.list_files("c", page_size="5"),  # type: ignore[arg-type]
                lambda: service.clear("c", poll_interval="2"),  # type: ignore[arg-type]
            ):
                with pytest.raises(TypeError, match=" is a "):
                    attempt()
            with pytest.raises(ValueError, match="max_results"):
                service.iterate(0)
            with pytest.raises(ValueError, match="context_id cannot be empty"):
                service.iterate_files(" ")
            for bad in ({"timeout": 0}, {"poll_interval": -1}, {"poll_interval": float("inf")}):
                with pytest.raises(ValueError, match="seconds"):
                    service.clear("c", **bad)
    assert server.requests == []


def test_refusals_are_results_that_say_why() -> None:
    with scripted(NOT_FOUND) as server:
        with client(server) as agb:
            service = agb.context
            for result in (
                service.list(),
                service.get("n"),
                service.update(Context("SdkCtx-1", "n")),
                service.delete(Context("SdkCtx-1", "n")),
                service.clear_async("SdkCtx-1"),
                service.clear("SdkCtx-1"),
                service.get_clear_status("SdkCtx-1"),
                service.get_file_download_url("SdkCtx-1", "/x"),
                service.get_file_upload_url("SdkCtx-1", "/x"),
                service.delete_file("SdkCtx-1", "/x"),
                service.list_files("SdkCtx-1"),
            ):
                assert not result.success
                assert "there is no such context" in str(result.error_message)
                assert result.error is not None
                assert result.error.kind is ErrorKind.NOT_FOUND
                assert result.request_id == "R-1"
            assert service.delete_file("SdkCtx-1", "/x").data is False
            assert service.clear_async("SdkCtx-1").status is None


def test_failures_are_results_too_but_for_the_start_of_a_clearing() -> None:
    with scripted(answer(b"<html>", 200)) as server:
        with client(server) as agb:
            service = agb.context
            for result in (
                service.get("n"),
                service.get_clear_status("SdkCtx-1"),
                service.get_file_download_url("SdkCtx-1", "/x"),
                service.delete_file("SdkCtx-1", "/x"),
                service.list_files("SdkCtx-1"),
            ):
                assert not result.success
                assert result.error is not None
                assert result.error.kind is ErrorKind.INVALID_ANSWER
            for attempt in (service.clear_async, service.clear):
                with pytest.raises(AGBError, match="clear the context SdkCtx-1"):
                    attempt("SdkCtx-1")


@pytest.mark.parametrize(("data", "kind"), [(None, ErrorKind.NOT_FOUND), ({"name": "n"}, ErrorKind.INVALID_ANSWER)])
def test_success_without_a_context_is_no_success(data: Any, kind: ErrorKind) -> None:
    with scripted(value(data)) as server:
        with client(server) as agb:
            result = agb.context.get("n")
    assert (result.success, result.context, result.context_id) == (False, None, "")
    assert result.error is not None
    assert result.error.kind is kind


def test_rename_and_delete_return_the_id() -> None:
    with scripted(NOTHING) as server:
        with client(server) as agb:
            for result in (
                agb.context.update(Context(" SdkCtx-1 ", " new name ")),
                agb.context.delete(Context("SdkCtx-1", "n")),
            ):
                assert isinstance(result, OperationResult)
                assert (result.success, result.data) == (True, {"context_id": "SdkCtx-1"})
    assert asked(server.requests[0]) == {"id": "SdkCtx-1", "name": "new name"}
    assert asked(server.requests[1]) == {"id": "SdkCtx-1"}


# --- clear -------------------------------------------------------------------------------------------------------


def test_clearing_ends_when_it_is_seen_to_end() -> None:
    script = (
        NOTHING,
        state("clearing"),
        state("pre-available"),
        state(None),
        state("something new"),
        state("available"),
    )
    with scripted(*script) as server:
        with client(server) as agb:
            result = agb.context.clear("SdkCtx-1", timeout=30, poll_interval=0)
    assert isinstance(result, ClearContextResult)
    assert (result.success, result.status, result.context_id, result.data) == (True, "available", "SdkCtx-1", None)
    assert len(server.requests) == 6


def test_state_of_before_is_not_taken_for_the_end() -> None:
    """The first look comes at once; what it says is believed when the pause between two looks has passed."""
    with scripted(NOTHING, state("available"), state("clearing"), state("available")) as server:
        with client(server) as agb:
            assert agb.context.clear("SdkCtx-1", poll_interval=5).status == "available"
    assert len(server.requests) == 4


@pytest.mark.parametrize(("interval", "timeout"), [(0, 30), (0.05, 30), (1000, 6)])
def test_clearing_that_was_over_at_once(interval: float, timeout: float) -> None:
    """It is believed after the pause, which takes half of the time at most."""
    with scripted(NOTHING, state("available")) as server:
        with client(server) as agb:
            result = agb.context.clear("SdkCtx-1", timeout=timeout, poll_interval=interval)
    assert result.status == "available"
    assert len(server.requests) >= 2


@pytest.mark.parametrize("polls", [state("clearing"), silent], ids=["never over", "never answered"])
def test_clearing_that_does_not_end_in_time(polls: Action) -> None:
    with scripted(NOTHING, polls) as server:
        with client(server) as agb:
            with pytest.raises(ClearanceTimeoutError, match=r"SdkCtx-1 was asked to clear 1 s ago") as caught:
                agb.context.clear("SdkCtx-1", timeout=1, poll_interval=0.01)
    assert caught.value.kind is ErrorKind.TIMED_OUT
    assert caught.value.request_id == "R-1"


def test_look_that_fails_ends_the_clearing() -> None:
    with scripted(NOTHING, state("clearing"), NOT_FOUND) as server:
        with client(server) as agb:
            result = agb.context.clear("SdkCtx-1", poll_interval=0)
    assert not result.success
    assert result.error is not None
    assert result.error.kind is ErrorKind.NOT_FOUND


# --- stored files ------------------------------------------------------------------------------------------------


def test_urls_of_files_are_secrets() -> None:
    url = "http://127.0.0.1/files/geheim?signature=geheim"
    with scripted(value({"url": url, "expireTime": 3600})) as server:
        with client(server) as agb:
            up = agb.context.get_file_upload_url(" SdkCtx-1 ", " /tmp/a b/ä.txt ")
            down = agb.context.get_file_download_url("SdkCtx-1", "/tmp/x")
    for result in (up, down):
        assert isinstance(result, FileUrlResult)
        assert (result.success, result.url, result.expire_time, result.error_message) == (True, url, 3600, "")
        assert "geheim" not in repr(result)
    assert asked(server.requests[0]) == {"contextId": "SdkCtx-1", "filePath": "/tmp/a b/ä.txt"}


def test_answer_without_a_url_is_no_success() -> None:
    with scripted(value({"url": ""})) as server:
        with client(server) as agb:
            result = agb.context.get_file_upload_url("SdkCtx-1", "/x")
    assert not result.success
    assert "data.url is empty" in str(result.error_message)


def entry(number: int) -> dict[str, Any]:
    return {"fileId": f"f-{number}", "fileName": f"{number}", "filePath": f"/tmp/{number}", "size": number}


class Folder:
    """A service that lists files, with its own idea of how many a page may hold and of how many there are."""

    def __init__(self, files: int, cap: int, **more: Any) -> None:
        self.files, self.cap, self.more = files, cap, more

    def __call__(self, talk: Conversation) -> None:
        query = asked(talk.request)
        size = min(int(query["pageSize"]), self.cap)
        first = (int(query["pageNumber"]) - 1) * size
        value([entry(n) for n in range(first, min(first + size, self.files))], **self.more)(talk)


def test_page_of_files() -> None:
    with scripted(Folder(3, 10, count=3)) as server:
        with client(server) as agb:
            result = agb.context.list_files("SdkCtx-1", "/tmp", 2, 2)
    assert isinstance(result, ContextFileListResult)
    assert (result.success, result.count, len(result.entries)) == (True, 3, 1)
    file = result.entries[0]
    assert (file.file_id, file.file_name, file.file_path, file.size, file.status) == ("f-2", "2", "/tmp/2", 2, None)
    assert asked(server.requests[0]) == {
        "contextId": "SdkCtx-1",
        "parentFolderPath": "/tmp",
        "pageNumber": "2",
        "pageSize": "2",
    }


@pytest.mark.parametrize(
    ("folder", "requests"),
    [
        (Folder(25, 10, count=25), 3),
        (Folder(25, 4, count=25), 7),  # gives less than it is asked for
        (Folder(25, 10), 3),  # does not say how many there are
        (Folder(20, 10), 3),
        (Folder(25, 10, count=99), 4),  # some were deleted since it counted
        (Folder(0, 10, count=0), 1),
    ],
)
def test_all_files_page_by_page(folder: Folder, requests: int) -> None:
    with scripted(folder) as server:
        with client(server) as agb:
            found = [item.file_path for item in agb.context.iterate_files("SdkCtx-1", "/tmp", 10)]
    assert found == [f"/tmp/{number}" for number in range(folder.files)]
    assert len(server.requests) == requests


class Changing(Folder):
    """A folder whose files are stored and deleted between the pages: changes by the number of pages read before."""

    def __init__(self, changes: dict[int, Callable[[list[int]], object]], *, deletes_read: bool = False) -> None:
        super().__init__(100, 10)
        self.numbers = list(range(100, 200))
        self.changes = changes
        self.deletes_read = deletes_read
        self.pages = 0

    def __call__(self, talk: Conversation) -> None:
        query = asked(talk.request)
        size = int(query["pageSize"])
        first = (int(query["pageNumber"]) - 1) * size
        self.page = self.numbers[first : first + size]
        value([entry(number) for number in self.page], count=len(self.numbers))(talk)
        self.pages += 1
        if self.deletes_read:
            self.numbers = [number for number in self.numbers if number not in self.page]
        self.changes.get(self.pages, change_nothing)(self.numbers)


def delete_first(count: int) -> Callable[[list[int]], object]:
    return lambda numbers: numbers.__delitem__(slice(count))


def store_first(count: int) -> Callable[[list[int]], object]:
    return lambda numbers: numbers.__setitem__(slice(0), range(numbers[0] - count, numbers[0]))


def change_nothing(numbers: list[int]) -> object:
    return numbers


@pytest.mark.one_event_loop
@pytest.mark.parametrize(
    "changes",
    [
        {1: delete_first(3)},
        {1: delete_first(10), 4: delete_first(1)},
        {1: store_first(10)},  # the next page is the same one
        {1: store_first(3), 2: delete_first(20), 5: store_first(30)},
        {3: delete_first(20), 4: store_first(20)},
        {10: delete_first(95)},
    ],
)
def test_files_are_stored_and_deleted_while_numbered_pages_are_read(
    changes: dict[int, Callable[[list[int]], object]],
) -> None:
    folder = Changing(changes)
    with scripted(folder) as server:
        with client(server) as agb:
            found = [item.size for item in agb.context.iterate_files("SdkCtx-1", "/tmp", 10)]
    assert len(set(found)) == len(found)
    assert {number for number in folder.numbers if number >= 100} <= set(found)
    assert len(server.requests) <= 40


@pytest.mark.one_event_loop
def test_files_are_deleted_when_their_numbered_page_is_read() -> None:
    with scripted(Changing({}, deletes_read=True)) as server:
        with client(server) as agb:
            found = [item.size for item in agb.context.iterate_files("SdkCtx-1", "/tmp", 10)]
    assert sorted(item for item in found if item) == list(range(100, 200))
    assert len(server.requests) <= 20


@pytest.mark.one_event_loop
def test_numbered_pages_are_read_once_while_nothing_changes() -> None:
    with scripted(Changing({})) as server:
        with client(server) as agb:
            assert len([item for item in agb.context.iterate_files("SdkCtx-1", "/tmp", 10)]) == 100
    assert len(server.requests) == 10


@pytest.mark.one_event_loop
def test_list_that_never_rests_is_an_error() -> None:
    """A service that knows one page only, and counts differently each time."""
    counts = itertools.count(1000)
    with scripted(lambda talk: value([entry(1)], count=next(counts))(talk)) as server:
        with client(server) as agb:
            with pytest.raises(AGBError, match="the same page again and again"):
                [item.size for item in agb.context.iterate_files("SdkCtx-1", page_size=10)]
    assert len(server.requests) < 40


@pytest.mark.one_event_loop
def test_service_that_names_tokens_of_its_pages() -> None:
    pages = (
        value([entry(1), entry(2)], nextToken="t-2", count=5),
        value([entry(4)], nextToken="t-3", count=4),
        value([entry(5)], count=3),
    )
    with scripted(*pages) as server:
        with client(server) as agb:
            found = [item.size for item in agb.context.iterate_files("SdkCtx-1", page_size=2)]
    assert found == [1, 2, 4, 5]
    seen = [(asked(request)["pageNumber"], asked(request).get("nextToken")) for request in server.requests]
    assert seen == [("1", None), ("2", "t-2"), ("3", "t-3")]


def test_service_that_knows_one_page_of_files_only() -> None:
    page = value([entry(number) for number in range(10)])
    with scripted(page) as server:
        with client(server) as agb:
            with pytest.raises(AGBError, match="the same page again and again"):
                [item.size for item in agb.context.iterate_files("SdkCtx-1", page_size=10)]
