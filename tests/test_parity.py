"""Parity: every public asynchronous method has a synchronous twin with the same signature, and both are executed."""

from __future__ import annotations

import asyncio
import inspect
import re
from typing import Any

import pytest

import agb
from agb import AGB, Config, CreateSessionParams, Session
from agb.local import LocalServer


def classes() -> list[tuple[type, type]]:
    """Return every pair of public classes, those of the modules of a session included."""
    from agb._async import client, code, command, contexts, session, transport

    pairs = []
    for module in (client, code, command, contexts, session, transport):
        twin = __import__(module.__name__.replace("_async", "_sync"), fromlist=["x"])
        for name, value in vars(module).items():
            if inspect.isclass(value) and name.startswith("Async") and value.__module__ == module.__name__:
                pairs.append((value, getattr(twin, name.removeprefix("Async"))))
    return pairs


def methods(cls: type) -> dict[str, Any]:
    return {
        name: inspect.unwrap(value)
        for name, value in vars(cls).items()
        if inspect.isfunction(value) and not name.startswith("_")
    }


def signature(function: Any) -> str:
    text = str(inspect.signature(function))
    text = re.sub(r"\bAsync(?=[A-Z])", "", text)
    return re.sub(r"Awaitable\[([^\]]*)\]", r"\1", text)


@pytest.mark.parametrize("pair", classes(), ids=lambda pair: pair[1].__name__)
def test_same_methods_with_same_signatures(pair: tuple[type, type]) -> None:
    theirs = {name.replace("aclose", "close"): value for name, value in methods(pair[0]).items()}
    ours = methods(pair[1])
    assert theirs.keys() == ours.keys()
    for name, value in theirs.items():
        assert signature(value) == signature(ours[name]), name
        assert not inspect.iscoroutinefunction(ours[name])


def test_there_are_pairs() -> None:
    names = {pair[0].__name__ for pair in classes()}
    assert {"AsyncAGB", "AsyncSession", "AsyncCode", "AsyncCommand", "AsyncContextService"} <= names


def every_method_once(runtime: LocalServer) -> set[str]:
    """Execute every public synchronous method of client and session; return the names of those executed."""
    done = set()

    def note(owner: object, name: str, *args: Any, **kwargs: Any) -> Any:
        done.add(f"{type(owner).__name__}.{name}")
        return getattr(owner, name)(*args, **kwargs)

    client = AGB(runtime.api_key, Config(runtime.endpoint, 30_000))
    params = CreateSessionParams({"parity": "1"}, "agb-code-space-1")
    session = note(client, "create", params).raise_for_error().session
    assert note(client, "get", session.session_id).success
    assert note(client, "get_session", session.session_id).success
    assert note(client, "attach", session.ref).session_id == session.session_id
    assert note(client, "list", {"parity": "1"}).success
    assert list(note(client, "iterate", {"parity": "1"}))
    with note(client, "session", params) as other:
        assert note(other, "delete").success
    assert note(session, "set_labels", {"parity": "1"}).success
    assert note(session, "get_labels").success
    assert note(session, "info").success
    assert note(session, "get_link").success
    assert note(session, "get_status").success
    assert note(session, "keep_alive").success
    assert note(session, "get_metrics").success
    assert note(session, "call_mcp_tool", "shell", {"command": "true"}).success
    assert note(session, "list_mcp_tools").success
    for name in ("get_session_id", "get_api_key", "get_client", "get_link_url", "get_token"):
        assert note(session, name)
    assert note(session.command, "execute", "true").success
    assert note(session.code, "run", "1", "python").success
    assert note(client, "delete", session).success
    note(client, "close")
    return done


def expected() -> set[str]:
    from agb._sync.code import Code
    from agb._sync.command import Command

    return {f"{cls.__name__}.{name}" for cls in (AGB, Session, Code, Command) for name in methods(cls)}


def test_every_sync_method_without_an_event_loop(runtime: LocalServer) -> None:
    assert every_method_once(runtime) == expected()


def test_every_sync_method_inside_a_running_event_loop(runtime: LocalServer) -> None:
    async def main() -> set[str]:
        return every_method_once(runtime)

    assert asyncio.run(main()) == expected()


def test_async_names_are_the_same_with_a_prefix() -> None:
    for name in agb.__all__:
        if name.startswith("Async"):
            assert name.removeprefix("Async") in agb.__all__
