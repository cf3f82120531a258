"""Fixtures of the interop suite: a running local runtime, and the client that drives it (see README.md)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .harness import API_KEY, Connect, Runtime, Sessions

if TYPE_CHECKING:
    from agb import AGB, Session

SDK = ("agbcloud-sdk", "0.12.0")
RUNTIME_PYTHON = os.environ.get("AGB_RUNTIME_PYTHON", "")
ANY_CLIENT = os.environ.get("AGB_INTEROP_CLIENT") == "any"


def installed(distribution: str) -> str:
    """Return the version of an installed distribution, "" if there is none."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


# A run of the project's own tests passes by here as well, and is to collect nothing.
collect_ignore_glob = [] if RUNTIME_PYTHON and (ANY_CLIENT or installed(SDK[0])) else ["test_*.py"]


def pytest_sessionstart() -> None:
    """Refuse a run that would prove nothing, and silence the SDK, which logs to stderr and to a file beside itself."""
    if not RUNTIME_PYTHON:
        return
    os.environ["NO_PROXY"] = "127.0.0.1"
    if ANY_CLIENT:
        return
    if installed(SDK[0]) != SDK[1] or installed("agb"):
        raise pytest.UsageError(f"needs an environment with {SDK[0]}=={SDK[1]} and without this project's package")
    os.environ["AGB_LOG_LEVEL"] = "CRITICAL"
    import_module("agb.logger")
    import_module("loguru").logger.remove()


def pytest_report_header() -> str:
    """Say who drives whom."""
    client = "whatever is importable as agb" if ANY_CLIENT else f"{SDK[0]} {installed(SDK[0]) or '(not installed)'}"
    return f"client: {client}; runtime: {RUNTIME_PYTHON or '(none)'}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what another client does otherwise on purpose."""
    for item in items:
        if ANY_CLIENT and item.get_closest_marker("only_0_12"):
            item.add_marker(pytest.mark.skip(reason="shows what only 0.12 does"))


@pytest.fixture(scope="session")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """The runtime under test; it must stop cleanly, leave nothing of a session behind, and have had nothing to log."""
    runtime = Runtime(RUNTIME_PYTHON, tmp_path_factory.mktemp("runtime"))
    try:
        yield runtime
        processes = runtime.processes()
        assert runtime.stop() == 0, runtime.log.read_text()
    finally:
        runtime.kill()
    assert not [process for process in processes if Path("/proc", str(process)).exists()]
    assert sorted(path.name for path in runtime.data_dir.iterdir()) == ["contexts", "lock"]
    assert runtime.log.read_text() == ""


@pytest.fixture(scope="session")
def connect(runtime: Runtime) -> Iterator[Connect]:
    """A function that makes a client of the runtime: ``connect(api_key=..., endpoint=...)``."""
    from agb import AGB
    from agb.config import Config

    with ExitStack() as stack:

        def connect(api_key: str = API_KEY, endpoint: str = runtime.endpoint) -> AGB:
            client = AGB(api_key, Config(endpoint, 60_000))
            if hasattr(client, "close"):  # 0.12 has nothing to close: it connects anew for each call
                stack.callback(client.close)
            return client

        yield connect


@pytest.fixture(scope="session")
def agb(connect: Connect) -> AGB:
    """A client with the right key."""
    return connect()


@pytest.fixture(scope="session")
def models() -> Any:
    """The request models of the SDK's low-level client, for what its public methods do not send."""
    return pytest.importorskip("agb.api.models")


@pytest.fixture(scope="session")
def low_level(agb: AGB, models: Any) -> Any:
    """The SDK's low-level client, which another package need not have."""
    return agb.client


@pytest.fixture
def sessions(agb: AGB, runtime: Runtime) -> Iterator[Sessions]:
    """A maker of sessions that last for one test."""
    with Sessions(agb, runtime.endpoint) as sessions:
        yield sessions


@pytest.fixture(scope="module")
def module_sessions(agb: AGB, runtime: Runtime) -> Iterator[Sessions]:
    """A maker of sessions that last for a module."""
    with Sessions(agb, runtime.endpoint) as sessions:
        yield sessions


@pytest.fixture(scope="module")
def session(module_sessions: Sessions) -> Session:
    """A session that the tests of a module share; it calls tools through its link."""
    return module_sessions.create()


@pytest.fixture(scope="module")
def api_session(agb: AGB, session: Session) -> Session:
    """The same session, calling tools through the API: without a tool list the SDK knows no server for any tool."""
    found = agb.get(session.session_id).session
    assert found is not None
    found.tool_list = []
    return found


@pytest.fixture(params=["link", "api"])
def routed(request: pytest.FixtureRequest) -> Session:
    """The module's session, once on each route."""
    session: Session = request.getfixturevalue("session" if request.param == "link" else "api_session")
    return session
