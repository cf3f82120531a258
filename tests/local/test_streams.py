"""The WebSocket of a session, as it is on the wire: frames in, frames out, and what becomes of the code behind it."""

from __future__ import annotations

import itertools
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

import agb.local
from agb.local.api import streams

from .conftest import Api
from .runtimes import needs_node

_numbers = itertools.count(1)
SECONDS = 120.0
ENDLESS = """
import time
try:
    open('begun', 'w').close()
    time.sleep(1000)
finally:
    open('stopped', 'w').close()
"""
"""Code that reports in its home when it runs, through a pipe, and when it was stopped, by a file.

It opens the pipe within the ``try``, so an interrupt that follows cannot miss the ``finally``. The file is no pipe: the
kernel of code that does not stop for some seconds is ended, and a pipe would wait for the test's next call.
"""


class Client:
    """A client of the protocol, which keeps the frames of all its streams apart."""

    def __init__(self, connection: ClientConnection) -> None:
        self.socket = connection
        self.frames: dict[str, list[dict[str, Any]]] = {}

    def send(self, frame: dict[str, Any], *, binary: bool = False) -> None:
        text = json.dumps(frame)
        self.socket.send(text.encode() if binary else text)

    def begin(self, code: str, language: str = "python", *, binary: bool = False, **params: Any) -> str:
        number = f"{next(_numbers):032x}"
        data = {"method": "run_code", "mode": "stream", "params": {"code": code, "language": language, **params}}
        frame = {"invocationId": number, "source": "SDK", "target": "wuying_codespace", "data": data, "extra": [1]}
        self.send(frame, binary=binary)
        return number

    def cancel(self, number: str) -> None:
        self.send({"invocationId": number, "source": "SDK", "data": {"method": "cancel"}})

    def next(self) -> dict[str, Any]:
        frame = json.loads(self.socket.recv(SECONDS))
        assert frame["target"] == "SDK"
        self.frames.setdefault(frame["invocationId"], []).append(frame["data"])
        return dict(frame)

    def until_end(self, number: str) -> list[dict[str, Any]]:
        """Return the data of all frames of a stream, from its first to its end."""
        while not (found := self.frames.get(number)) or not is_end(found[-1]):
            self.next()
        return self.frames.pop(number)

    def run(self, code: str, language: str = "python", **params: Any) -> list[dict[str, Any]]:
        return self.until_end(self.begin(code, language, **params))


def is_end(data: dict[str, Any]) -> bool:
    return data.get("phase") == "end" or isinstance(data.get("error"), str)


def text_of(events: list[dict[str, Any]], name: str = "stdout") -> str:
    return "".join(event["chunk"] for event in events if event.get("eventType") == name)


@contextmanager
def connected(api: Api, session_id: str, **headers: str) -> Iterator[Client]:
    data = api.post("/mcp/getSession", sessionId=session_id)
    headers = headers or {"X-Access-Token": data["token"]}
    with connect(data["wsUrl"], additional_headers=headers, max_size=None, ping_interval=None) as connection:
        yield Client(connection)


@pytest.fixture
def client(api: Api, session: str) -> Iterator[Client]:
    with connected(api, session) as client:
        yield client


@pytest.fixture
def shared_client(api: Api, shared_session: str) -> Iterator[Client]:
    with connected(api, shared_session) as client:
        yield client


def test_events_as_they_happen(client: Client) -> None:
    code = (
        "import sys, os\nos.mkfifo('go')\nprint('first', flush=True)\nopen('go').close()\n"
        "print('second', flush=True)\nprint('wrong', file=sys.stderr, flush=True)\n"
        "from IPython.display import HTML, display\ndisplay(HTML('<b>'))\n42"
    )
    number = client.begin(code)
    first = client.next()
    assert first == {
        "invocationId": number,
        "source": "wuying_codespace",
        "target": "SDK",
        "data": {
            "method": "run_code",
            "mode": "stream",
            "phase": "event",
            "seq": 1,
            "eventType": "stdout",
            "chunk": "first\n",
        },
    }
    # The code waits for something else than us: only then it says more.
    go = client.begin("require('fs').closeSync(require('fs').openSync('go', 'w')); 0", "javascript")
    client.until_end(go)
    events = client.until_end(number)
    assert [event["seq"] for event in events] == [1, 2, 3, 4, 5, 6]
    assert [event.get("eventType") for event in events] == ["stdout", "stdout", "stderr", "result", "result", None]
    assert events[3]["result"]["isMainResult"] is False
    assert events[3]["result"]["mime"]["text/html"] == "<b>"
    assert events[4]["result"] == {"isMainResult": True, "mime": {"text/plain": "42"}}
    end = events[-1]
    assert end["status"] == "finished"
    assert end["executionCount"] == 1
    assert end["executionTime"] > 0
    assert "executionError" not in end


def test_errors_and_limits(api: Api, session: str, client: Client) -> None:
    *_, error, end = client.run("print('x')\n1/0")
    assert error["error"]["code"] == "ZeroDivisionError"
    assert error["error"]["message"] == "division by zero"
    assert "1/0" in error["error"]["traceback"]
    assert end["status"] == "failed"
    assert end["executionError"] == "ZeroDivisionError: division by zero"

    events = client.run("import time\nprint('so far')\ntime.sleep(1000)", timeoutS=3)
    assert text_of(events) == "so far\n"
    assert events[-2]["error"]["code"] == "TimeoutError"
    assert events[-1]["status"] == "failed"
    assert events[-1]["executionError"].startswith("Execution timeout: the code ran longer than 3 s")

    died = client.run("import os; os._exit(3)")
    assert "ended with exit status 3" in died[-1]["executionError"]
    assert "this is a new one" in text_of(client.run("1"), "stderr") or "next call gets a new one" in str(died)

    # The tool has the same interpreter.
    client.run("shared = 'from the stream'")
    result = json.loads(api.tool(session, "run_code", code="shared", language="python")["content"][0]["text"])
    assert result["result"][0]["text/plain"] == "'from the stream'"
    assert [event.get("eventType") for event in client.run("")] == [None]


@needs_node
def test_two_streams_at_once(client: Client) -> None:
    python = client.begin("import os; os.mkfifo('a'); print('py', flush=True); print(open('a').read())")
    while not client.frames.get(python):
        client.next()
    node = client.begin("console.log('js'); require('fs').writeFileSync('a', 'from node')", "node")
    assert text_of(client.until_end(node)) == "js\n"
    assert text_of(client.until_end(python)) == "py\nfrom node\n"

    # On one interpreter one after another, in the order asked.
    numbers = [client.begin(f"seen = globals().get('seen', []) + [{n}]; print(seen)") for n in range(3)]
    assert [text_of(client.until_end(number)) for number in numbers] == ["[0]\n", "[0, 1]\n", "[0, 1, 2]\n"]


def prepare(api: Api, session_id: str) -> None:
    api.shell(session_id, "mkfifo begun")


def wait_until_stopped(api: Api, session_id: str) -> None:
    api.shell(session_id, "until [ -e stopped ]; do read -t 0.01 <> <(:) || true; done")


def test_cancel(api: Api, session: str, client: Client) -> None:
    prepare(api, session)
    number = client.begin(f"kept = 1\nprint('so far', flush=True)\n{ENDLESS}")
    waiting = client.begin("print('never')")
    api.shell(session, "cat begun")
    client.cancel(waiting)
    end = client.until_end(waiting)[-1]
    assert end["status"] == "failed"
    assert end["executionError"].startswith("Execution cancelled")
    client.cancel(number)
    client.cancel(number)
    wait_until_stopped(api, session)
    events = client.until_end(number)
    assert text_of(events) == "so far\n"
    assert events[-2]["error"]["code"] == "Cancelled"
    assert events[-1]["executionError"].startswith("Execution cancelled")
    client.cancel(number)
    client.cancel("unknown")
    assert client.run("kept")[0]["result"]["mime"]["text/plain"] == "1"


@pytest.mark.parametrize("how", ["cut", "closed"])
def test_client_that_leaves(api: Api, session: str, how: str) -> None:
    prepare(api, session)
    with connected(api, session) as client:
        client.begin(f"kept = 1\n{ENDLESS}")
        client.begin("left = 1")
        api.shell(session, "cat begun")
        if how == "cut":
            client.socket.socket.shutdown(socket.SHUT_RDWR)
    wait_until_stopped(api, session)
    with connected(api, session) as client:
        result = client.run("kept, 'left' in globals()")[0]["result"]
        assert result["mime"]["text/plain"] == "(1, False)"


def test_session_that_ends(api: Api) -> None:
    data = api.create()
    session_id = data["sessionId"]
    prepare(api, session_id)
    with connected(api, session_id) as client, connected(api, session_id) as idle:
        number = client.begin(f"print('so far', flush=True)\n{ENDLESS}")
        api.shell(session_id, "cat begun")
        api.release(session_id)
        events = client.until_end(number)
        assert events[0]["chunk"] == "so far\n"
        assert "not found" in events[-1]["error"]
        assert events[-1]["code"] == "InvalidSession.NotFound"
        for left in (client, idle):
            with pytest.raises(ConnectionClosed) as closed:
                left.next()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1001
    address = data["wsUrl"], {"X-Access-Token": data["token"]}
    with pytest.raises(InvalidStatus, match="404"), connect(address[0], additional_headers=address[1]):
        pass


@pytest.mark.parametrize("headers", [{"X-Access-Token": "wrong"}, {"X-Access-Token": "ä"}, {"X-Other": ""}])
def test_handshake_without_the_token(api: Api, shared_session: str, headers: dict[str, str]) -> None:
    with pytest.raises(InvalidStatus) as refused, connected(api, shared_session, **headers):
        pass
    assert refused.value.response.status_code == 403
    assert b"X-Access-Token" in (refused.value.response.body or b"")


def test_bad_frames(shared_client: Client) -> None:
    for ignored in (
        '{"type":"ping"}',
        "no json",
        "[]",
        "1",
        '{"invocationId":5,"data":{}}',
        b"\xff\xfe",
        "",
        "[" * 5000,
    ):
        shared_client.socket.send(ignored)
    for number, (data, why) in enumerate(
        [
            (None, "data of a frame"),
            ("no json", "not JSON"),
            ({"method": "run_code", "params": []}, "params"),
            ({"method": "other"}, "'other'"),
            ({"method": "run_code", "mode": "batch", "params": {}}, "'batch'"),
            ({"method": "run_code", "mode": "stream"}, "missing required field `code`"),
            ({"method": "run_code", "params": {"code": "1", "language": "cobol"}}, "unsupported language 'cobol'"),
            ({"method": "run_code", "params": {"code": 1, "language": "r"}}, "Expected `str`, got `int` - at `$.code`"),
            ({"method": "run_code", "params": {"code": "\ud800", "language": "python"}}, "surrogate"),
            ({"method": "run_code", "params": {"code": "1", "language": "python", "timeoutS": 0}}, "timeout"),
        ]
    ):
        shared_client.send({"invocationId": f"bad-{number}", "source": "SDK", "data": data})
        frame = shared_client.next()
        assert frame["invocationId"] == f"bad-{number}"
        assert why in frame["data"]["error"], frame
    # Data may come as text, frames as bytes.
    text = json.dumps({"method": "run_code", "mode": "stream", "params": {"code": "print(1)", "language": "python"}})
    shared_client.send({"requestId": "as-text", "data": text})
    assert text_of(shared_client.until_end("as-text")) == "1\n"
    assert text_of(shared_client.until_end(shared_client.begin("print('b')", binary=True))) == "b\n"


def test_many_pending(client: Client) -> None:
    first = client.begin("import os; os.mkfifo('go'); print('up', flush=True); open('go').close()")
    while not client.frames.get(first):
        client.next()
    client.send({"invocationId": first, "data": {"method": "run_code", "params": {"code": "", "language": "python"}}})
    assert "pending already" in client.next()["data"]["error"]
    client.frames[first].pop()
    numbers = [client.begin(f"print({n})") for n in range(streams.MOST_STREAMS)]
    refused = client.next()
    assert refused["invocationId"] == numbers[-1]
    assert "wait for one to end" in refused["data"]["error"]
    for number in numbers[1:]:
        client.cancel(number)
    client.cancel(first)
    assert client.until_end(first)[-1]["status"] == "failed"
    assert text_of(client.until_end(numbers[0])) == "0\n"


def test_large_frames_and_odd_text(shared_client: Client) -> None:
    code = f"text = {'x' * 3_000_000!r}\nlen(text)"
    assert shared_client.run(code)[0]["result"]["mime"]["text/plain"] == "3000000"
    # One line of 10 MB comes in frames that clients take by default; one value is one frame.
    events = shared_client.run("print('é' * 5_000_000)")
    assert text_of(events) == "é" * 5_000_000 + "\n"
    assert max(len(json.dumps(event)) for event in events) < 1 << 20
    big = shared_client.run("from IPython.display import HTML\nHTML('y' * 2_000_000)")
    assert len(big[0]["result"]["mime"]["text/html"]) == 2_000_000
    odd = shared_client.run("print('a\\x00\\u2028\"\\\\'); print('\\ud800')")
    assert text_of(odd) == 'a\x00\u2028"\\\n?\n'
    half = "import os, sys, time\nfor b in '☃é'.encode(): os.write(1, bytes([b])); sys.stdout.flush()"
    assert text_of(shared_client.run(half)) == "☃é"
    shown = shared_client.run("h = display(1, display_id='d'); h.update(2)")
    assert [event["result"]["displayId"] for event in shown[:2]] == ["d", "d"]
    assert shown[1]["result"]["update"] is True
    nan = shared_client.run("from IPython.display import JSON\nJSON({'a': float('nan')})")
    assert nan[-1]["phase"] == "end"


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("python", "import os\nfor _ in range(64): os.write(1, b'x' * (1 << 20))"),
        ("python", "for _ in range(16): print('x' * (4 << 20))"),
        pytest.param(
            "javascript",
            "for (let i = 0; i < 64; i++) process.stdout.write('x'.repeat(1 << 20)); 0",
            marks=needs_node,
        ),
    ],
)
def test_output_without_end(shared_client: Client, language: str, code: str) -> None:
    events = shared_client.run(code, language, timeoutS=600)
    said = text_of(events)
    assert len(said) <= 16 << 20
    assert set(said) <= {"x", "\n"}
    assert len(said) + events[-1]["discarded"]["stdout"] >= 64 << 20
    assert shared_client.run("1", language)[-1]["status"] == "finished"


def test_reader_that_does_not_read(api: Api, session: str, client: Client) -> None:
    """The code runs to its end, what waits is bounded, text is joined, and new code waits for the reader."""
    prepare(api, session)
    code = "import os\nfor n in range(8_000): print(f'{n:02000d}', flush=True)\nopen('begun', 'w').close()"
    slow = client.begin(code)
    api.shell(session, "cat begun")
    after = client.begin("print('after')")
    events = client.until_end(slow)
    assert text_of(events) == "".join(f"{n:02000d}\n" for n in range(8_000))
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert len(events) < 8_000
    assert text_of(client.until_end(after)) == "after\n"


def test_counts_as_activity(api: Api, session: str, client: Client) -> None:
    client.run("1")
    data = api.post("/mcp/getSession", sessionId=session)
    page = api.http.get(data["resourceUrl"]).text
    assert "stream" in page
    assert data["wsUrl"].startswith("ws://127.0.0.1:")
    assert data["wsUrl"].endswith(f"/sessions/{session}/ws")


def test_output_in_order_from_many_sockets(api: Api, shared_session: str) -> None:
    with connected(api, shared_session) as one, connected(api, shared_session) as two:
        first, second = one.begin("print('one'); shared = 1"), two.begin("print('two')")
        assert text_of(one.until_end(first)) == "one\n"
        assert text_of(two.until_end(second)) == "two\n"


def test_the_runtime_stops_with_open_streams() -> None:
    with agb.local.serve(allow_none=True, network="isolated") as server:
        api = Api(server)
        with api.http:
            session_id = api.create()["sessionId"]
            prepare(api, session_id)
            with connected(api, session_id) as client:
                client.begin(ENDLESS)
                api.shell(session_id, "cat begun")
                server_is_left = client
    with pytest.raises(ConnectionClosed):
        server_is_left.next()
