"""A service without a runtime: a transport that answers every operation, for unit tests that execute nothing."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote

import httpx
from attrs import field, frozen

from .._ops import browser, contexts, dashboard, sessions
from .._wire.call import Call
from .._wire.reply import NO_SUCH_OPERATION, TOOL_SESSION_NOT_FOUND, envelope
from .._wire.shape import Shape, ShapeError
from .._wire.toolcall import BY_API
from ..session_params import CreateSessionParams
from .fake_contexts import FILES_HOST, Beside, FakeContext, Refusal
from .fake_files import FakeFiles, ToolFailure
from .fake_state import FakeSession, FakeState
from .fake_tools import CodeAnswer, CommandAnswer, default_text

_CALLS: tuple[Call[Any], ...] = (
    sessions.create_session(CreateSessionParams()),
    *(
        make("")
        for make in (
            *(sessions.get_session, sessions.get_session_info, sessions.release_session_async),
            *(sessions.release_session, sessions.refresh_session_idle_time, sessions.get_label),
            *(sessions.get_link, sessions.get_link_mcp, sessions.get_mcp_resource, sessions.list_tools),
            *(contexts.delete_context, contexts.clear_context, contexts.sync_context, contexts.get_context_info),
            *(contexts.describe_context_files, contexts.get_and_load_internal_context, contexts.get_context),
            *(browser.init_browser, browser.get_cdp_link),
        )
    ),
    sessions.list_sessions(),
    sessions.set_label("", {}),
    contexts.list_contexts(),
    *(
        make("", "")
        for make in (
            *(contexts.modify_context, contexts.delete_context_file),
            *(contexts.get_context_file_download_url, contexts.get_context_file_upload_url),
        )
    ),
    dashboard.dashboard_address(),
)
_SHAPES: Mapping[tuple[str, str], Shape | None] = {(call.method, call.path): call.shape for call in _CALLS}
"""The operations, and what a successful answer of each has beside the envelope."""
_TOOL_CALLS = ("/mcp", "/callTool")
_TOOLS = ("run_code", "shell", *FakeFiles().tools)
_ADDITIONS = {"write_file": ["format"], "edit_file": ["report"], "shell": ["argv"]}
"""Arguments by which a service says that it takes bytes, edits exactly, and runs programs byte for byte."""
TOOL_LIST = [
    {
        "name": name,
        "server": "fake",
        "inputSchema": {"type": "object", "properties": {argument: {} for argument in _ADDITIONS.get(name, ())}},
    }
    for name in _TOOLS
]


@frozen
class FakeCall:
    """A call that a fake service has received.

    Attributes:
        operation: the last part of its path, such as ``createSession``; of the call of a tool, ``callTool``.
        method: the HTTP method of the request.
        path: the path of the request.
        params: what was sent, in the query and in the body; JSON in texts as it is.
        tool: the tool that is called, if it is such a call.
        args: its arguments.
        headers: of the request, without the API key and the session's token.
    """

    operation: str
    method: str
    path: str
    params: Mapping[str, Any]
    tool: str = ""
    args: Mapping[str, Any] = field(factory=dict)
    headers: Mapping[str, str] = field(factory=dict, repr=False)

    @property
    def session_id(self) -> str:
        """The session that it is for, ``""`` if it is for none; one at a session's own address has it in the path."""
        if self.path.endswith("/callTool"):
            return self.path.split("/")[-2]
        return str(self.params.get("sessionId", ""))


class FakeService(httpx.MockTransport):
    """A transport that answers as the service does, executes nothing, and remembers each call.

    It has sessions, labels, contexts and files, in memory. Code and commands answer nothing and succeed, unless
    `on_code` and `on_command` set their answers; `on_tool` sets those of any other tool, `on` those of any operation,
    and `refuse` lets an operation fail. It has no live output, and runs no scripts: those of the SDK that look for
    files or start processes are refused with an error that names them.

    Safe in several threads.

    Attributes:
        calls: the calls received so far.

    Example:
        >>> from agb import AGB, CreateSessionParams
        >>> from agb.testing import FakeService
        >>> fake = FakeService()
        >>> fake.on_code("42")
        >>> with AGB("any-key", transport=fake) as client:
        ...     with client.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
        ...         print(session.code.run("6 * 7", "python").result)
        42
        >>> [call.operation for call in fake.calls]
        ['createSession', 'callTool', 'releaseSessionAsync', 'getSessionInfo']
        >>> fake.called("run_code")[0].args["code"]
        '6 * 7'
    """

    def __init__(self) -> None:
        super().__init__(self._respond)
        self.calls: list[FakeCall] = []
        self._state = FakeState(TOOL_LIST)
        self._answers: dict[str, Callable[[FakeCall], Any]] = {}
        self._tools: dict[str, Callable[[FakeCall], str]] = {}
        self._refusals: dict[str, list[Refusal]] = {}
        self._lock = threading.RLock()

    @property
    def sessions(self) -> Mapping[str, FakeSession]:
        """The sessions by their ids, those that were deleted included."""
        return self._state.sessions

    @property
    def contexts(self) -> Mapping[str, FakeContext]:
        """The contexts by their ids."""
        return self._state.contexts

    def called(self, name: str) -> list[FakeCall]:
        """Return the calls of an operation, or of a tool."""
        return [call for call in self.calls if name in (call.operation, call.tool)]

    # --- answers that are set ------------------------------------------------------------------------------------

    def on_code(self, answer: str | CodeAnswer | Callable[[str, str], str | CodeAnswer]) -> None:
        """Set what code answers: its value as text, a `CodeAnswer`, or a function of the code and its language."""

        def text(call: FakeCall) -> str:
            found = answer(call.args["code"], call.args["language"]) if callable(answer) else answer
            return (CodeAnswer(found) if isinstance(found, str) else found).text()

        self._tools["run_code"] = text

    def on_command(self, answer: str | CommandAnswer | Callable[[str], str | CommandAnswer]) -> None:
        """Set what commands answer: their standard output, a `CommandAnswer`, or a function of the command."""

        def text(call: FakeCall) -> str:
            found = answer(call.args["command"]) if callable(answer) else answer
            answered = CommandAnswer(found) if isinstance(found, str) else found
            return answered.text(is_binary=call.args.get("format") == "binary")

        self._tools["shell"] = text

    def on_tool(self, name: str, answer: Any) -> None:
        """Set what a tool answers: a text, a value that is sent as JSON, or a function of the arguments.

        A function may raise `agb.testing.ToolFailure`: then the tool has failed with that text.
        """

        def text(call: FakeCall) -> str:
            found = answer(call.args) if callable(answer) else answer
            return found if isinstance(found, str) else json.dumps(found)

        self._tools[name] = text

    def on(self, operation: str, data: Any) -> None:
        """Set the ``data`` of an operation's answers: a value of JSON, or a function of the `FakeCall`.

        Raises:
            ValueError: there is no such operation, or the value is not what it promises.
        """
        self._check_operation(operation)
        if not callable(data):
            for (_, path), shape in _SHAPES.items():
                if _name_of(path) == operation:
                    _check(operation, shape, {"data": data})
        self._answers[operation] = data if callable(data) else lambda _: data

    def refuse(
        self,
        operation: str,
        *,
        code: str = "Refused",
        message: str = "refused by the test",
        status: int = 200,
        times: int = 1,
        retry_after: int | None = None,
    ) -> None:
        """Let the next calls of an operation, or of a tool, be refused.

        Args:
            operation: its name; of all tools ``callTool``.
            code: the code of the refusal.
            message: its text.
            status: the status of HTTP.
            times: how many calls are refused.
            retry_after: seconds in the header ``Retry-After``, for the statuses 429 and 503.
        """
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        self._refusals.setdefault(operation, []).extend([Refusal(code, message, status, headers)] * times)

    def _check_operation(self, operation: str) -> None:
        known = sorted({_name_of(path) for _, path in _SHAPES})
        if operation not in known:
            raise ValueError(f"there is no operation {operation!r}; there are {', '.join(known)}")

    # --- answering -----------------------------------------------------------------------------------------------

    def _respond(self, request: httpx.Request) -> httpx.Response:
        if request.url.host == FILES_HOST:
            return self._transfer(request)
        call = _call_of(request)
        request_id = f"fake-{len(self.calls) + 1}"
        with self._lock:
            self.calls.append(call)
            try:
                answer = self._answer(call)
            except Refusal as refusal:
                body = envelope(
                    request_id=request_id,
                    success=False,
                    code=refusal.code,
                    message=refusal.message,
                    http_status=refusal.status,
                )
                return httpx.Response(refusal.status, json=body, headers=refusal.headers)
        beside = answer if isinstance(answer, Beside) else Beside(answer, {})
        _check(call.operation, _shape_of(call), {"data": beside.data, **beside.fields})
        return httpx.Response(200, json=envelope(beside.data, request_id=request_id, **beside.fields))

    def _answer(self, call: FakeCall) -> Any:
        for name in (call.tool, call.operation):
            if waiting := self._refusals.get(name):
                raise waiting.pop(0)
        if call.operation == "callTool":
            result = self._tool_result(call)
            return {"result": result} if call.path.endswith("/callTool") else result
        if (call.method, call.path) not in _SHAPES:
            raise Refusal(NO_SUCH_OPERATION, f"There is no operation {call.method} {call.path}")
        if call.operation in self._answers:
            return self._answers[call.operation](call)
        return self._state.operations[call.operation](call.params)

    def _tool_result(self, call: FakeCall) -> dict[str, Any]:
        try:
            session = self._state.session({"sessionId": call.session_id})
        except Refusal as refusal:
            raise Refusal(TOOL_SESSION_NOT_FOUND, refusal.message, 200) from refusal
        try:
            set_by_test = self._tools.get(call.tool)
            text = set_by_test(call) if set_by_test else default_text(call.tool, call.args, session.files)
            is_error = False
        except ToolFailure as failure:
            text, is_error = str(failure), True
        return {"isError": is_error, "content": [{"type": "text", "text": text}]}

    def _transfer(self, request: httpx.Request) -> httpx.Response:
        """Answer the store of files at its pre-signed URLs."""
        context_id, _, path = request.url.raw_path.decode().partition("?")[0].lstrip("/").partition("/")
        content = request.content if request.method == "PUT" else None
        with self._lock:
            try:
                stored = self._state.stored(context_id, unquote(path), content)
            except Refusal:
                stored = None
        if stored is None:
            return httpx.Response(404)
        return httpx.Response(200, content=b"" if request.method == "PUT" else stored)


def _call_of(request: httpx.Request) -> FakeCall:
    """Return the call that a request is."""
    params: dict[str, Any] = dict(parse_qsl(request.url.query.decode(), keep_blank_values=True))
    body = json.loads(request.content or b"{}")
    params |= body if isinstance(body, dict) else {}
    hidden = ("authorization", "x-access-token")
    headers = {name: value for name, value in request.headers.items() if name not in hidden}
    path = request.url.path
    if not path.endswith(_TOOL_CALLS):
        return FakeCall(_name_of(path), request.method, path, params, headers=headers)
    args = params.get("args", {})
    tool = str(params.get("tool") or params.get("name") or "")
    args = json.loads(args) if isinstance(args, str) else args
    return FakeCall("callTool", request.method, path, params, tool, args, headers)


def _name_of(path: str) -> str:
    return path.rpartition("/")[2]


def _shape_of(call: FakeCall) -> Shape | None:
    if call.operation == "callTool":
        return None if call.path.endswith("/callTool") else BY_API
    return _SHAPES.get((call.method, call.path))


def _check(operation: str, shape: Shape | None, answer: Mapping[str, Any]) -> None:
    try:
        if shape is not None:
            shape.read(answer, "")
    except ShapeError as error:
        raise ValueError(f"the answer set for {operation} is not what the operation promises: {error}") from error
