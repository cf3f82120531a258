"""What only the synchronous flavour has: interruption of a script, threads, and no loop to close connections in."""

from __future__ import annotations

import asyncio
import gc
import json
import pickle
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from agb import (
    AGB,
    AsyncAGB,
    Config,
    ContextSync,
    ContextSyncResult,
    CreateSessionParams,
    DeleteResult,
    ExtensionsService,
    FileChangeEvent,
    Session,
)
from agb.local import LocalServer
from tests.bucket import CONTEXT, bucket
from tests.servers import Conversation, Gate, Scripted, Sessions, answer, refuse, scripted, silent, value
from tests.websocket_server import until_cancelled, websocket_service

IMAGE = CreateSessionParams(image_id="agb-code-space-1")
CREATED = value({"sessionId": "s-1"})
DONE = value(None)
GONE = value({"status": "FINISH"})
LINK = value({"url": "http://x"})


def client(server: Scripted, **more: Any) -> AGB:
    return AGB("k", Config(server.endpoint, 5000), **more)


def interrupted(talk: Conversation) -> None:
    """Interrupt the main thread, as Ctrl-C does, and answer."""
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    CREATED(talk)


def test_interrupted_download_leaves_nothing_half_written(tmp_path: Path) -> None:
    content = bytes(1 << 20) * 6
    with bucket({f"/tmp/x/{number}": content for number in range(50)}) as store:

        def interrupt(talk: Conversation) -> None:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            answer(content)(talk)

        store.instead.extend([answer(content)] * 5 + [interrupt])
        with client(store.server) as agb, pytest.raises(KeyboardInterrupt):
            agb.context.download(CONTEXT, "/tmp/x", tmp_path, concurrency=3)
        assert len(store.transfers) < 20
    assert all(path.read_bytes() == content for path in tmp_path.iterdir())
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".part")]


def test_interrupted_create_deletes_what_it_made() -> None:
    with scripted(interrupted, DONE, GONE) as server, client(server) as agb:
        with pytest.raises(KeyboardInterrupt):
            agb.create(IMAGE)
        assert [request.path for request in server.requests] == [
            "/mcp/createSession",
            "/mcp/releaseSessionAsync",
            "/mcp/getSessionInfo",
        ]


def test_interrupted_block_deletes_its_session() -> None:
    def use(agb: AGB) -> None:
        with agb.session(IMAGE):
            signal.raise_signal(signal.SIGINT)

    with scripted(CREATED, DONE, GONE) as server, client(server) as agb:
        with pytest.raises(KeyboardInterrupt):
            use(agb)
        assert "/mcp/releaseSessionAsync" in [request.path for request in server.requests]


def test_interrupted_wait_for_data_deletes_the_session() -> None:
    """In a script, Ctrl-C while the data of a context is on its way."""

    def interrupt(talk: Conversation) -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        value({})(talk)

    service = Sessions(instead={"/sdk/GetContextInfo": interrupt})
    params = CreateSessionParams(image_id="agb-code-space-1", context_syncs=[ContextSync("c", "/p")])
    with scripted(service) as server, client(server) as agb:
        with pytest.raises(KeyboardInterrupt):
            agb.create(params)
        assert (service.made, service.alive) == (1, set())


def test_many_threads_share_one_client() -> None:
    def use(number: int) -> int:
        session = agb.attach(f"s-{number}")
        return sum(session.get_link().success for _ in range(25))

    with scripted(LINK) as server, client(server) as agb, ThreadPoolExecutor(10) as threads:
        assert sum(threads.map(use, range(10))) == 250
        assert server.connections <= 10


def test_client_closed_by_another_thread_in_the_middle_of_a_call() -> None:
    asked = threading.Event()
    closed = threading.Event()

    def slowly(talk: Conversation) -> None:
        asked.set()
        closed.wait(60)
        LINK(talk)

    with scripted(slowly) as server, client(server) as agb:
        with ThreadPoolExecutor(1) as threads:
            link = threads.submit(agb.attach("s-1").get_link)
            assert asked.wait(60)
            agb.close()
            closed.set()
            assert link.result(5).success
        gc.collect()


def test_script_that_closes_nothing_ends_without_a_warning() -> None:
    with scripted(LINK) as server:
        script = f"import agb; print(agb.AGB('k', agb.Config({server.endpoint!r})).attach('s-1').get_link().success)"
        done = subprocess.run(
            [sys.executable, "-X", "dev", "-W", "error", "-c", script], capture_output=True, text=True, check=False
        )
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_dropped_client_closes_its_connections() -> None:
    with scripted(LINK, silent) as server:
        agb = client(server)
        assert agb.attach("s-1").get_link().success
        del agb
        gc.collect()  # warnings are errors: an unclosed socket would be one


@pytest.mark.parametrize(
    ("flavour", "wrong"), [(AGB, httpx.AsyncClient), (AsyncAGB, httpx.Client), (AGB, object), (AsyncAGB, object)]
)
def test_http_client_of_the_wrong_kind_is_refused(flavour: Any, wrong: Any) -> None:
    mine = wrong()
    with pytest.raises(TypeError, match="http_client is an httpx"):
        flavour("k", http_client=mine)


def test_closed_http_client_is_a_failure_that_says_so() -> None:
    mine = httpx.Client()
    mine.close()
    result = AGB("k", Config("http://x.example"), http_client=mine).create(IMAGE)
    assert "http_client that was passed is closed" in result.error_message


def test_http_clients_own_settings_do_not_change_the_request() -> None:
    with scripted(LINK) as server, httpx.Client(auth=("u", "p"), params={"q": "1"}, cookies={"c": "1"}) as mine:
        assert client(server, http_client=mine).attach("s-1").get_link().success
    (request,) = server.requests
    assert request.target == "/internet/getLink?sessionId=s-1"
    assert request.headers["authorization"] == "Bearer k"
    assert "cookie" not in request.headers


def test_deleting_with_contexts_tells_that_they_were_not_stored() -> None:
    refused = refuse("NotOffered", "no contexts here")
    with scripted(refused, refused, DONE, GONE) as server, client(server) as agb:
        result = agb.attach("s-1").delete(sync_context=True)
    assert isinstance(result, DeleteResult)
    assert result.success
    assert "contexts were not stored" in result.error_message
    assert result.error is not None


def rows(status: str) -> Any:
    task = {"path": "/p", "taskType": "upload", "status": status, "errorMessage": "full"}
    return value({"contextStatus": json.dumps([{"type": "data", "data": json.dumps([task])}])})


@pytest.mark.parametrize(("last", "message"), [("Success", ""), ("Failed", "/p: full")])
def test_deleting_with_contexts_waits_for_them(last: str, message: str) -> None:
    with scripted(value({}), DONE, rows("Pending"), rows(last), DONE, GONE) as server, client(server) as agb:
        result = agb.attach("s-1").delete(sync_context=True)
    assert result.success
    assert message in result.error_message
    assert (result.error is None) == (last == "Success")
    assert [request.path.rpartition("/")[2] for request in server.requests] == [
        "GetContextInfo",
        "SyncContext",
        "GetContextInfo",
        "GetContextInfo",
        "releaseSessionAsync",
        "getSessionInfo",
    ]


def test_deletion_that_never_ends_is_a_failure_in_time() -> None:
    with scripted(DONE, value({"status": "DELETING"})) as server, client(server) as agb:
        result = agb.attach("s-1").delete(timeout=1)
    assert not result.success
    assert "Timeout waiting for session deletion" in result.error_message
    assert "DELETING" in result.error_message


def test_deletion_ends_when_the_status_cannot_be_asked_for() -> None:
    with scripted(DONE, answer(b"<html>", 401)) as server, client(server) as agb:
        result = agb.attach("s-1").delete()
    assert not result.success
    assert "could not get the status" in result.error_message.lower()
    assert len(server.requests) == 2


# --- watching in a thread ----------------------------------------------------------------------------------------


def test_watch_dir(runtime: LocalServer) -> None:
    seen: list[str] = []
    was_called = threading.Event()

    def changed(events: list[FileChangeEvent]) -> None:
        seen.extend(event.path for event in events)
        was_called.set()
        raise RuntimeError("what a callback raises does not end the watching")

    with AGB(runtime.api_key, Config(runtime.endpoint, 30_000)) as agb, agb.session(IMAGE) as session:
        assert session.file.mkdir("/tmp/watched").success
        thread = session.file.watch_dir("/tmp/watched", changed, 0.02)
        assert (thread.daemon, thread.is_alive(), thread.ready_event.is_set()) == (True, False, False)
        thread.start()
        assert thread.ready_event.wait(60)
        for name in ("a", "b"):
            was_called.clear()
            assert session.file.write(f"/tmp/watched/{name}", "x").success
            assert was_called.wait(60)
        thread.stop_event.set()
        thread.join(60)
        assert not thread.is_alive()
    assert {"/tmp/watched/a", "/tmp/watched/b"} <= set(seen)


def test_watch_dir_is_ready_after_a_look_that_succeeded_and_ends_with_its_session() -> None:
    def said(text: str, *, is_error: bool = False) -> Any:
        return value({"content": [{"type": "text", "text": text}], "isError": is_error})

    change = json.dumps([{"eventType": "create", "path": "/w/a", "pathType": "file"}])
    gone = refuse("InvalidSession.NotFound", "Resource [Session] is not found")
    seen: list[list[FileChangeEvent]] = []
    with scripted(said("not yet", is_error=True), said(change), said("[]"), said(change), gone) as server:
        stop = threading.Event()
        thread = client(server).attach("s-1").file.watch_dir("/w", seen.append, 0.01, stop)
        assert thread.stop_event is stop
        thread.start()
        thread.join(60)
        assert not thread.is_alive()
        assert len(server.requests) == 5
    assert thread.ready_event.is_set()
    assert seen == [[FileChangeEvent("create", "/w/a", "file")]]


def test_watch_dir_refuses_what_is_no_function() -> None:
    with pytest.raises(TypeError, match="callback must be a function"):
        AGB("k", Config("http://127.0.0.1:9")).attach("s-1").file.watch_dir("/w", "callback")  # type: ignore[arg-type]


def test_progress_bar_without_rich(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich", None)
    monkeypatch.setitem(sys.modules, "rich.console", None)
    with pytest.raises(ImportError, match=r"pip install 'agb\[progress\]'"):
        AGB("k", Config("http://127.0.0.1:9")).attach("s-1").file.read("/a", progress=True)


def test_progress_bar(runtime: LocalServer, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rich")
    with AGB(runtime.api_key, Config(runtime.endpoint, 30_000)) as agb, agb.session(IMAGE) as session:
        assert session.file.write("/tmp/a", bytes(200_000), progress=True).success
        assert session.file.read("/tmp/a", format="bytes", progress=True).size == 200_000
    out, err = capsys.readouterr()
    assert out == ""
    assert "read /tmp/a" in err


def test_closing_the_client_wakes_a_thread_that_reads_a_stream() -> None:
    with websocket_service(until_cancelled) as service, ThreadPoolExecutor(1) as threads:
        agb = AGB("k", Config("http://127.0.0.1:9", 30_000))
        session = Session(agb, "s-1")
        session.ws_url, session.token = service.url, "tok"
        running = threading.Event()

        def hear(text: str) -> None:
            assert text == "running\n"
            running.set()

        call = threads.submit(session.code.run, "x", "python", stream_beta=True, on_stdout=hear)
        assert running.wait(60)
        agb.close()
        result = call.result(5)
    assert "closed by this program" in result.error_message
    assert result.logs.stdout == ["running\n"]


# --- syncs, as programs for 0.12 write them ------------------------------------------------------------------------


def test_sync_may_be_awaited_or_not() -> None:
    """In 0.12 it was a coroutine function."""
    with scripted(value({}), DONE, rows("Success")) as server, client(server) as agb:
        context = agb.attach("s-1").context
        result = context.sync()
        assert result.success  # usable without more ado

        async def main() -> None:
            assert await result is result
            assert await result is result
            assert list(await asyncio.gather(result, asyncio.create_task(result))) == [result, result]
            assert await asyncio.wait_for(result, 60) is result

        assert asyncio.run(result) is result
        assert asyncio.run(result, debug=True) is result
        asyncio.run(main())
        with pytest.raises(KeyError):
            result.throw(KeyError("thrown in"))
        result.close()
        failed = context.sync("only a context")
        assert asyncio.run(failed) is failed
        assert not failed.success
        for value_ in (result, failed):
            assert isinstance(value_, ContextSyncResult)
            assert pickle.loads(pickle.dumps(value_)) == value_


@pytest.mark.parametrize("last", ["Success", "Failed"])
def test_callback_of_a_sync_is_called_once_in_a_thread_of_its_own(last: str) -> None:
    outcomes: list[tuple[bool, str]] = []
    over = threading.Event()

    def record(success: bool) -> None:
        outcomes.append((success, threading.current_thread().name))
        over.set()
        raise RuntimeError("what a callback raises calls it no second time")

    gate = Gate()
    with (
        scripted(value({}), DONE, gate.before(rows(last))) as server,
        client(server) as agb,
        pytest.MonkeyPatch.context() as patch,
    ):
        raised: list[str] = []
        heard = threading.Event()

        def hear(args: threading.ExceptHookArgs) -> None:
            raised.append(str(args.exc_value))
            heard.set()

        patch.setattr(threading, "excepthook", hear)
        result = agb.attach("s-1").context.sync(callback=record)
        assert (result.success, outcomes) == (True, [])  # at once, as in 0.12
        assert asyncio.run(result) is result
        gate.open()
        assert over.wait(60)
        assert heard.wait(60)
    assert outcomes == [(last == "Success", "agb-callback")]
    assert raised == ["what a callback raises calls it no second time"]


def test_attributes_of_an_extension_service_are_there_as_in_0_12() -> None:
    """There the constructor asked for the context; here the first attribute does."""
    found = value({"id": "SdkCtx-1", "name": "n"})
    with scripted(found) as server, client(server) as agb:
        extensions = ExtensionsService(agb, "n")
        assert server.requests == []
        assert extensions.context_id == "SdkCtx-1"
        assert extensions.extension_context.name == "n"
        assert extensions.auto_created is False
        assert len(server.requests) == 1


def test_interrupted_code_ends_in_the_session(runtime: LocalServer) -> None:
    with AGB(runtime.api_key, Config(runtime.endpoint, 30_000)) as agb, agb.session(IMAGE) as session:

        def interrupt() -> None:
            session.command.execute("until [ -e /tmp/begun ]; do sleep 0.01; done", 60_000)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

        with ThreadPoolExecutor(1) as threads:
            threads.submit(interrupt)
            with pytest.raises(KeyboardInterrupt):
                session.code.run("open('/tmp/begun', 'w').close()\nwhile True: pass", "python", timeout_s=600)
        assert session.code.run("'free'", "python", timeout_s=60).result == "'free'"
