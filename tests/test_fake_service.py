"""`agb.testing.FakeService` answers every operation and every tool of `agb._ops`, also those that are added later."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

import agb._ops
from agb import CreateSessionParams
from agb._ops.tools.page_use import PageIds
from agb._wire.call import Call, json_bytes
from agb._wire.reply import Reply
from agb._wire.toolcall import ToolAccess, ToolCall, over_api, over_link
from agb.browser_agent import ActOptions, ExtractOptions, ObserveOptions
from agb.testing import FakeService

SCRIPTS = {"file_archives", "file_listings", "file_scripts", "process"}
"""Modules whose tools are scripts for a shell, which a fake service refuses, those of `file_scripts` in part."""
SCRIPT_OF_A_TOOL = {"tools.run.as_user"}
"""The same in modules of tools."""
MADE_BY_OTHERS = {"action", "desktop_call", "run_script"}
"""Functions that make the calls of other functions."""
VALUES: dict[str, Any] = {
    "session_id": "s-1",
    "params": CreateSessionParams(image_id="agb-code-space-1"),
    "context_id": "c-2",
    "file_path": "/a.txt",
    "path": "/tmp/a.txt",
    "source": "/tmp/a.txt",
    "destination": "/tmp/b.txt",
    "language": "python",
    "labels": {},
    "args": {},
    "edits": [{"oldText": "a", "newText": "b"}],
    "keys": ["a"],
    "button": "left",
    "direction": "up",
    "name": "activate_window",
    "mime_type": "image/png",
    "clip": None,
    "schema": {"type": "object"},
    "ids": PageIds(),
    "given": ActOptions(action="click"),
    "quality": 80,
    "cwd": None,
    "envs": None,
    "stdin": b"",
}
OTHERS: dict[str, dict[str, Any]] = {
    "contexts.get_context": {"name": "data"},
    "tools.files.create_directory": {"path": "/tmp/new"},
    "tools.files.list_directory": {"path": "/tmp"},
}
BY_TYPE: dict[str, Any] = {"str": "example", "int": 1, "bool": True, "str | bytes": "content", "float | None": 1000.0}
BY_TYPE |= {"ObserveOptions": ObserveOptions(instruction="look"), "str | Sequence[str]": "true"}
BY_TYPE |= {"ExtractOptions[Any]": ExtractOptions(instruction="take", schema={"type": "object"})}


def operations() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield all functions that make a call."""
    for info in pkgutil.walk_packages(agb._ops.__path__, "agb._ops."):
        module = importlib.import_module(info.name)
        for name, function in vars(module).items():
            if not inspect.isfunction(function) or function.__module__ != info.name or name.startswith("_"):
                continue
            returned = str(function.__annotations__.get("return"))
            if returned.startswith(("Call[", "ToolCall[")) and name not in MADE_BY_OTHERS:
                yield f"{info.name.removeprefix('agb._ops.')}.{name}", function


OPERATIONS = dict(operations())
EXECUTED = {
    name: function
    for name, function in OPERATIONS.items()
    if name.split(".")[-2] not in SCRIPTS and name not in SCRIPT_OF_A_TOOL
}


def made(name: str, function: Callable[..., Any]) -> Any:
    """Call a function with an argument for each parameter that needs one."""
    arguments = dict(OTHERS.get(name, {}))
    for parameter in inspect.signature(function).parameters.values():
        if parameter.default is not parameter.empty or parameter.name in arguments:
            continue
        value = VALUES.get(parameter.name, BY_TYPE.get(str(parameter.annotation)))
        assert parameter.name in VALUES or value is not None, f"{name}: a value for {parameter}"
        arguments[parameter.name] = value
    return function(**arguments)


@pytest.fixture
def fake() -> FakeService:
    """A service with a session, a context and a file in each."""
    fake = FakeService()
    with httpx.Client(transport=fake, base_url="https://api.example") as client:
        client.post("/mcp/createSession?imageId=agb-code-space-1", content=b"{}")
        client.get("/sdk/GetContext?name=data&allowCreate=true")
    fake.contexts["c-2"].files["/a.txt"] = b"stored"
    fake.sessions["s-1"].files.contents["/tmp/a.txt"] = b"a"
    return fake


def answered(fake: FakeService, call: Call[Any]) -> Any:
    with httpx.Client(transport=fake) as client:
        url = f"{call.base or 'https://api.example'}{call.path}?{call.query}"
        response = client.request(call.method, url, content=call.body)
    return call.read(Reply(call, response.status_code, response.headers.raw, response.content))


@pytest.mark.parametrize("name", EXECUTED)
def test_answer_of_an_operation(name: str, fake: FakeService) -> None:
    """The reader of the operation takes the answer, so it raises no `AGBError`."""
    call = made(name, EXECUTED[name])
    if isinstance(call, Call):
        answered(fake, call)
        return
    assert isinstance(call, ToolCall)
    by_api = answered(fake, over_api(call, "s-1"))
    assert not by_api.is_error, by_api.text
    result = call.read(by_api)
    assert getattr(result, "success", True), result
    assert getattr(result, "error", None) is None, result


def test_all_operations_were_found() -> None:
    assert len(OPERATIONS) > 70
    assert {"sessions.create_session", "contexts.sync_context", "tools.code.run_code"} <= set(EXECUTED)


def test_scripts_are_refused_with_their_purpose(fake: FakeService) -> None:
    call = OPERATIONS["tools.process.list_processes"](session_id="s-1")
    reply = answered(fake, over_api(call, "s-1"))
    assert reply.is_error
    assert "the SDK uses one to list the processes" in str(reply.text)


def test_tools_at_the_address_of_a_session(fake: FakeService) -> None:
    access = ToolAccess("s-1", "https://link.example/sessions/s-1", "token")
    call = OPERATIONS["tools.files.read_file"]("/tmp/a.txt", 0, 0, session_id="s-1")
    fake.on_tool("read_file", "YQ==")
    assert call.read(answered(fake, over_link(call, access, "fake"))).data == b"a"


def test_unknown_operations_are_refused(fake: FakeService) -> None:
    with httpx.Client(transport=fake) as client:
        response = client.post("https://api.example/mcp/doNothing", content=json_bytes({}))
    assert response.status_code == 404
    assert "no operation POST /mcp/doNothing" in response.json()["message"]
