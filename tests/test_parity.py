"""Parity: every public asynchronous method has a synchronous twin with the same signature, and both are executed."""

from __future__ import annotations

import asyncio
import inspect
import re
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import agb
from agb import AGB, Config, ContextSync, CreateSessionParams, ExtensionsService, Session
from agb.local import LocalServer
from tests.ops.test_desktop import described, png
from tests.scripted_desktop import ANSWERS, OLD_NAMES, Desktop, serving


def classes() -> list[tuple[type, type]]:
    """Return every class of the asynchronous flavour, except those of the connections, with its twin."""
    root = Path(agb.__file__).parent / "_async"
    names = {".".join(path.relative_to(root).with_suffix("").parts) for path in sorted(root.rglob("*.py"))}
    pairs = []
    for module_name in sorted(name for name in names if not name.startswith(("_compat", "net.", "__init__"))):
        module, twin = (import_module(f"agb.{flavour}.{module_name}") for flavour in ("_async", "_sync"))
        for name, value in vars(module).items():
            if inspect.isclass(value) and name.startswith("Async") and value.__module__ == module.__name__:
                pairs.append((value, getattr(twin, name.removeprefix("Async"))))
    return pairs


SYNC_ONLY = {"watch_dir"}
"""It returns a thread, which asynchronous code does not need; `watch` exists in both flavours."""
AGENT_COROUTINES = {f"{name}_async" for name in ("act", "close", "extract", "navigate", "observe", "screenshot")}
COROUTINES = AGENT_COROUTINES | {
    "initialize_async",
    "screenshot",
    "generate_fingerprint",
    "generate_fingerprint_to_file",
}
"""Coroutine functions of 0.12, which are coroutine functions in both flavours; `test_browser_coroutines` runs them."""


def methods(cls: type) -> dict[str, Any]:
    """Return the public methods of a class and of its bases in this package."""
    return {
        name: inspect.unwrap(value)
        for base in reversed(cls.__mro__)
        if base.__module__.startswith("agb.")
        for name, value in vars(base).items()
        if inspect.isfunction(value) and not name.startswith("_")
    }


def signature(function: Any) -> str:
    text = str(inspect.signature(function))
    text = re.sub(r"\b(Abstract)?Async(?=[A-Z])", r"\1", text)
    return re.sub(r"Awaitable\[([^\]]*)\]", r"\1", text)


@pytest.mark.parametrize("pair", classes(), ids=lambda pair: pair[1].__name__)
def test_same_methods_with_same_signatures(pair: tuple[type, type]) -> None:
    theirs = {name.replace("aclose", "close"): value for name, value in methods(pair[0]).items()}
    ours = methods(pair[1])
    assert theirs.keys() == ours.keys() - SYNC_ONLY
    for name, value in theirs.items():
        if name not in COROUTINES:
            assert signature(value) == signature(ours[name]), name
            assert not ours[name].__code__.co_flags & inspect.CO_COROUTINE, name


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
    assert note(client, "stats").creations.done == 1
    assert note(client, "reap", "pool:parity").deleted == []
    with note(client, "pool", params, min=1) as pool:
        with note(pool, "session") as lent:
            assert lent.session_id
        note(pool, "release", note(pool, "acquire"))
        assert note(pool, "stats").uses == 2
        note(pool, "close")
    with note(client, "session", params) as other:
        assert note(other, "delete").success
    with note(client, "map", lambda session, item: item, [1], params=params) as batch:
        assert note(batch, "results")[0].value == 1
        assert note(batch, "stats").succeeded == 1
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
    assert note(session.command, "run", "true").exit_code == 0
    process = note(session.command, "start", "cat", stdin=True)
    assert note(process, "write", "x").success
    with note(process, "stream") as output:
        for event in output:
            assert event.text == "x"
            break
    assert note(process, "poll") is None
    assert note(process, "signal", "CONT").success
    assert note(process, "close_stdin").success
    assert note(process, "wait", keep=True).stdout == "x"
    assert note(process, "terminate").success
    assert note(process, "kill").success
    assert note(session.command, "attach", process.process_id).pid == process.pid
    assert [one.pid for one in note(session.command, "processes")] == [process.pid]
    assert note(process, "cleanup").success
    assert note(session.code, "run", "1", "python").success
    with note(session.code, "stream", "1", "python") as events:
        assert note(events, "result").request_id
        assert note(events, "collect").success
        note(events, "close")
    use_files(session, note)
    use_contexts(client, note)
    use_extensions(client, note)
    use_desktop(note)
    assert note(client, "delete", session).success
    note(client, "close")
    return done


def use_files(session: Session, note: Any) -> None:
    """Execute every method of the files of a session."""
    file = session.file
    assert note(file, "mkdir", "/tmp/parity/sub").success
    assert note(file, "write", "/tmp/parity/a", "one").success
    assert note(file, "edit", "/tmp/parity/a", [{"oldText": "one", "newText": "two"}]).success
    assert note(file, "read", "/tmp/parity/a").content == "two"
    assert note(file, "read_batch", ["/tmp/parity/a"]).success
    assert note(file, "grep", "two", "/tmp/parity").matches[0].line == 1
    assert note(file, "write_batch", [("/tmp/parity/sub/e", "x")]).success
    assert note(file, "info", "/tmp/parity/a").success
    assert note(file, "list", "/tmp/parity").success
    assert note(file, "move", "/tmp/parity/a", "/tmp/parity/b").success
    assert note(file, "exists", "/tmp/parity/b").data
    assert note(file, "search", "/tmp/parity", "b").success
    assert note(file, "glob", "/tmp/parity/*").success
    assert note(file, "write_stream", "/tmp/parity/c", [b"abc"]).success
    with note(file, "read_stream", "/tmp/parity/c", 2) as stream:
        assert note(stream, "receive") == b"ab"
        assert note(stream, "read") == b"c"
    with note(file, "watch", "/tmp/parity", interval=0.01) as changes:
        assert note(changes, "poll") == []
        assert file.write("/tmp/parity/d", "x").success
        assert note(changes, "receive")
    assert not note(file, "watch_dir", "/tmp/parity", print).is_alive()
    with tempfile.TemporaryDirectory() as directory:
        assert note(file, "download_dir", "/tmp/parity", directory).success
        assert note(file, "upload_dir", directory, "/tmp/parity/again").success
        place = note(file, "transfer_path")
        assert note(file, "upload", f"{directory}/d", f"{place}/d").success
        assert note(file, "download", f"{place}/d", f"{directory}/e").success
    assert note(file, "remove", "/tmp/parity/b").success


def use_contexts(client: AGB, note: Any) -> None:
    """Execute every method of the contexts of an account and of a session."""
    service = client.context
    context = note(service, "create", f"parity-{uuid4().hex}").context
    assert note(service, "get", context.name).context_id == context.id
    context.name += "-again"
    assert note(service, "update", context).success
    assert context.id in [item.id for item in note(service, "iterate")]
    assert note(service, "list").success
    assert note(service, "get_file_upload_url", context.id, "/tmp/a.txt").url
    assert note(service, "write_file", context.id, "/tmp/b.txt", b"b").success
    assert note(service, "read_file", context.id, "/tmp/b.txt").content == b"b"
    assert service.delete_file(context.id, "/tmp/b.txt").success
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "a.txt").write_text("x", "utf-8")
        assert note(service, "upload", context.id, directory, "/tmp/parity").success
        assert note(service, "download", context.id, "/tmp/parity/a.txt", Path(directory, "b.txt")).success
    assert note(service, "get_file_download_url", context.id, "/tmp/parity/a.txt").url
    assert [item.file_name for item in note(service, "iterate_files", context.id)] == ["a.txt"]
    assert note(service, "list_files", context.id, "/tmp/parity").count == 1
    params = CreateSessionParams(image_id="agb-code-space-1", context_syncs=[ContextSync(context.id, "/tmp/parity")])
    with client.session(params) as session:
        assert session.file.write("/tmp/parity/b.txt", "y").success
        assert note(session.context, "sync").success
        assert note(session.context, "info").context_status_data
    assert note(service, "delete_file", context.id, "/tmp/parity/b.txt").success
    assert note(service, "clear_async", context.id).success
    assert note(service, "get_clear_status", context.id).success
    assert note(service, "clear", context.id, poll_interval=0.05).status == "available"
    assert note(service, "delete", context).success


def use_extensions(client: AGB, note: Any) -> None:
    """Execute every method of the extensions."""
    extensions = ExtensionsService(client)
    with tempfile.TemporaryDirectory() as directory:
        archive = Path(directory, "a.zip")
        archive.write_bytes(b"x")
        assert note(extensions, "open").id == extensions.context_id
        made = note(extensions, "create", archive)
        assert note(extensions, "update", made.id, archive).id == made.id
    assert [item.id for item in note(extensions, "list")] == [made.id]
    assert note(extensions, "create_extension_option", [made.id]).extension_ids == [made.id]
    assert note(extensions, "delete", made.id)
    assert note(extensions, "cleanup")


def use_desktop(note: Any) -> None:
    """Execute every method of a desktop, which a scripted service has: a real one takes a second to start."""
    window, started = '[{"window_id": 7, "title": "a", "pid": 70}]', '[{"pname": "a", "pid": 70}]'
    pictures = [described(), described(png(shade=8))]
    more = {"list_root_windows": ["[]", window], "start_app": started, "screenshot": pictures}
    with serving(Desktop(**{**ANSWERS, **more})) as server, AGB("ako-key", Config(server.endpoint, 30_000)) as client:
        session = client.attach("s-1")
        computer = session.computer
        assert note(computer.app, "launch", "a").window.window_id == 7
        assert note(computer.window, "wait", "a").pid == 70
        for old, (args, new, _, _) in OLD_NAMES.items():
            part, _, name = new.partition(".")
            assert note(getattr(computer, part), name, *args).success, name
            with pytest.deprecated_call():
                assert note(computer, old, *args).success, old
        session.link_url = f"{server.endpoint}/link"
        before = note(computer.screen, "screenshot")
        assert not note(computer.screen, "wait_for_change", before).shows_same_as(before)
        assert note(computer.screen, "beta_take_screenshot").success


def expected() -> set[str]:
    from agb._sync.batch.map import Batch
    from agb._sync.lifecycle.session_pool import SessionPool
    from agb._sync.modules.code import Code, CodeEvents
    from agb._sync.modules.command import Command
    from agb._sync.modules.context_manager import ContextManager
    from agb._sync.modules.file_stream import FileStream
    from agb._sync.modules.file_watch import FileChanges
    from agb._sync.modules.files import FileSystem
    from agb._sync.modules.process import Process
    from agb._sync.storage.contexts import ContextService
    from agb.modules.computer import (
        ApplicationManager,
        Computer,
        KeyboardController,
        MouseController,
        ScreenController,
        WindowManager,
    )

    return {
        f"{cls.__name__}.{name}"
        for cls in (
            *(AGB, Batch, Session, Code, CodeEvents, Command, FileChanges, FileStream, FileSystem, Process),
            *(ContextService, ContextManager, ExtensionsService, SessionPool),
            *(ApplicationManager, Computer, KeyboardController, MouseController, ScreenController, WindowManager),
        )
        for name in methods(cls)
    }


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
