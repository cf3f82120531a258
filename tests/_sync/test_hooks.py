# Generated from tests/_async/test_hooks.py by tools/unasync.py. Do not edit.
"""Hooks of a client: what they see of requests, what they may add, and what becomes of their errors."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

from agb import AGB, Config, CreateSessionParams, RequestEvent, ResponseEvent, RetryEvent
from agb.local import LocalServer
from tests.servers import refuse, scripted, value

PARAMS = CreateSessionParams(image_id="agb-code-space-1")


class Seen:
    """Hooks that remember their events."""

    def __init__(self) -> None:
        self.requests: list[RequestEvent] = []
        self.responses: list[ResponseEvent] = []
        self.retries: list[RetryEvent] = []

    def client(self, endpoint: str, key: str = "ako-secret", **more: Any) -> AGB:
        return AGB(
            key,
            Config(endpoint, 30_000),
            on_request=self.requests.append,
            on_response=self.responses.append,
            on_retry=self.retries.append,
            **more,
        )


def test_calls_transfers_and_streams_are_seen(runtime: LocalServer, tmp_path: Path) -> None:
    seen = Seen()
    source = tmp_path / "data.bin"
    source.write_bytes(bytes(1000))
    with seen.client(runtime.endpoint, runtime.api_key) as agb:
        context = agb.context.create(f"hooks-{tmp_path.name}").raise_for_error().context
        try:
            agb.context.upload(context.id, source, "/tmp/data.bin").raise_for_error()
            with agb.session(PARAMS) as session, session.code.stream("1 + 1", "python") as events:
                assert events.collect().success
        finally:
            agb.context.delete(context).raise_for_error()
    assert len(seen.requests) == len(seen.responses)
    assert {event.kind for event in seen.requests} == {"api", "transfer", "stream"}
    created = next(event for event in seen.responses if event.request.path == "/mcp/createSession")
    assert created.status == 200
    assert created.request_id
    assert created.bytes_received > 100
    assert created.error is None
    uploaded = next(event for event in seen.responses if event.request.kind == "transfer")
    assert (uploaded.request.path, uploaded.bytes_sent, uploaded.status) == ("", 1000, 200)
    stream = next(event for event in seen.responses if event.request.kind == "stream")
    assert (stream.status, stream.request.session_id) == (101, session.session_id)
    assert runtime.api_key not in repr([seen.requests, seen.responses])


def test_attempts_and_the_pauses_between_them() -> None:
    seen = Seen()
    script = [refuse("Busy", "slow down", 503, {"Retry-After": "0"}), value({"labels": "{}"})]
    with scripted(*script) as server:
        with seen.client(server.endpoint) as agb:
            assert agb.attach("s-1").get_labels().success
    assert [event.attempt for event in seen.requests] == [1, 2]
    assert [event.status for event in seen.responses] == [503, 200]
    (retry,) = seen.retries
    assert retry.error is seen.responses[0].error
    assert retry.error.http_status == 503
    assert retry.delay >= 0


def test_a_request_without_an_answer() -> None:
    seen = Seen()
    with seen.client("http://127.0.0.1:9") as agb:
        assert not agb.attach("s-1").delete(timeout=0.5).success
    assert seen.responses[-1].status is None
    assert seen.responses[-1].error is not None
    assert seen.responses[-1].error.kind.is_failure


def test_headers_that_a_hook_adds() -> None:
    def add(event: RequestEvent) -> None:
        event.headers["X-Team"] = "blue"

    with scripted(value({})) as server:
        with AGB("ako-secret", Config(server.endpoint), on_request=add) as agb:
            agb.attach("s-1").keep_alive()
    assert server.requests[0].headers["x-team"] == "blue"


@pytest.mark.parametrize("name", ["Authorization", "x-access-token", "Host", "a b", "", "X-Team"])
def test_headers_that_it_cannot_add(name: str) -> None:
    def add(event: RequestEvent) -> None:
        event.headers[name] = "blue\r\nHost: other"

    with scripted(value({})) as server:
        with AGB("ako-secret", Config(server.endpoint), on_request=add) as agb:
            with pytest.raises(ValueError, match="on_request adds"):
                agb.attach("s-1").keep_alive()
    assert not server.requests


def test_error_before_a_request_ends_the_call() -> None:
    def forbid(event: RequestEvent) -> None:
        raise PermissionError("not today")

    with scripted(value({})) as server:
        with AGB("ako-secret", Config(server.endpoint), on_request=forbid) as agb:
            with pytest.raises(PermissionError, match="not today"):
                agb.create(PARAMS)
    assert not server.requests


@pytest.mark.parametrize("are_errors", [False, True])
def test_error_after_a_request_loses_no_session(runtime: LocalServer, are_errors: bool) -> None:
    def fail(event: ResponseEvent) -> None:
        raise LookupError("no such metric")

    with AGB(runtime.api_key, Config(runtime.endpoint), on_response=fail) as agb:
        with warnings.catch_warnings(record=not are_errors) as caught:
            warnings.simplefilter("error" if are_errors else "always", RuntimeWarning)
            created = agb.create(PARAMS)
            session = created.raise_for_error().session
            assert session is not None
            assert session.delete().success
    if caught is not None:
        assert "the hook on_response has raised LookupError: no such metric" in {str(one.message) for one in caught}


@pytest.mark.parametrize("name", ["on_request", "on_response", "on_retry"])
def test_what_cannot_be_a_hook(name: str) -> None:
    with pytest.raises(TypeError, match=f"{name} is a function of one argument, not int"):
        AGB("ako-secret", **{name: 1})  # type: ignore[arg-type]
