"""Fixtures for all tests: the local runtime and the settings of clients."""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import os
import signal
import ssl
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import httpx
import hypothesis
import pytest

import agb.local
from agb import AGB, Config, CreateSessionParams
from agb._ops import ownership

from .browsers import browsing_session, running  # noqa: F401

# Tests start hundreds of interpreters that import the package; each would compile it anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# The same examples in each run, and no deadline for one: its duration depends on the machine.
EXAMPLES = int(os.environ.get("AGB_EXAMPLES", "25"))
hypothesis.settings.register_profile("steady", deadline=None, derandomize=True, max_examples=EXAMPLES)
hypothesis.settings.load_profile("steady")

ELSEWHERE = ("integrations", "interop")
"""Directories of tests that run in other environments."""


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> Iterator[None]:
    """Handle SIGINT as in a terminal, for tests of Ctrl-C: the background job of a shell inherits an ignored one."""
    before = signal.getsignal(signal.SIGINT)
    if before == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    if before == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


@pytest.fixture(scope="session", autouse=True)
def _certificates_are_read_once() -> Iterator[None]:
    """Let httpx clients of the tests themselves share a TLS context: reading its certificates takes 30 ms each time."""
    make = httpx.create_ssl_context

    @functools.cache
    def made(*environment: str | None) -> ssl.SSLContext:
        del environment
        return make()

    def context(*, trust_env: bool = True, **given: Any) -> ssl.SSLContext:
        if trust_env and {name: value for name, value in given.items() if value is not None} == {"verify": True}:
            return made(*map(os.environ.get, ("SSL_CERT_FILE", "SSL_CERT_DIR")))
        return make(trust_env=trust_env, **given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("httpx._transports.default.create_ssl_context", context)
        yield


@pytest.fixture(scope="session", autouse=True)
def _clean_environment() -> Iterator[None]:
    """Remove settings of the environment: a test sets what it uses, for itself."""
    proxies = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AGB_API_KEY", "AGB_ENDPOINT", "AGB_TIMEOUT_MS", *proxies, *map(str.upper, proxies)):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session", autouse=True)
def _short_pauses_of_clean_ups() -> Iterator[None]:
    """Let clean-ups repeat a failed deletion at once: many tests have a service that deletes nothing."""
    with pytest.MonkeyPatch.context() as patch:
        for flavour in ("_async", "_sync"):
            patch.setattr(f"agb.{flavour}.lifecycle.deletion.PAUSES", (0.01, 0.02, 0.03))
        yield


@pytest.fixture
def short_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a creation whose answer is lost look for its session with short pauses, where the service makes none."""
    for name in ("LOOKS", "LATER_LOOKS"):
        pauses: tuple[float, ...] = getattr(ownership, name)
        monkeypatch.setattr(ownership, name, tuple(pause / 20 for pause in pauses))


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Run asynchronous tests on both event loops."""
    return str(request.param)


def pytest_xdist_auto_num_workers() -> int:
    """Run five workers on two processors: half of a test's time passes while it waits for another process.

    More than sixteen are of no use: each imports all tests, which takes 3 s.
    """
    return min((5 * (os.cpu_count() or 1) + 1) // 2, 16)


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None]:
    """Let the workers share the compilation of the tests, and leave what was collected out of garbage collections.

    The modules and the items are some 300,000 objects that live to the end: without them a ``gc.collect()``, by which
    many tests find what was not closed, takes a hundredth of the time.
    """
    gc.disable()
    try:
        if session.config.args_source is pytest.Config.ArgsSource.TESTPATHS:
            _import_from_another_start(getattr(session.config, "workerinput", {"workerid": "gw0", "workercount": 1}))
        return (yield)
    finally:
        gc.enable()
        _leave_out_of_collections()


def _import_from_another_start(worker: dict[str, Any]) -> None:
    """Import the test modules in another order than the other workers, so that each compiles some of them.

    In a new checkout pytest compiles all of them, with its assertions, which takes 15 s in one process. A worker that
    begins at another place finds most modules compiled by the others.
    """
    here = Path(__file__).parent
    modules = [path for path in sorted(here.rglob("test_*.py")) if path.parent.name not in ELSEWHERE]
    first = len(modules) * int(worker["workerid"][2:]) // worker["workercount"]
    for path in modules[first:] + modules[:first]:
        # A module that cannot be imported fails again when it is collected, and is reported then.
        with contextlib.suppress(Exception, pytest.skip.Exception):
            importlib.import_module(".".join(path.relative_to(here.parent).with_suffix("").parts))


@pytest.fixture(scope="module", autouse=True)
def _left_out_of_collections() -> None:
    """Do the same with what the modules before have imported."""
    _leave_out_of_collections()


def _leave_out_of_collections() -> None:
    """Leave all objects that live now out of later garbage collections."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out tests that repeat what others show, unless a variable of the environment asks for them.

    ``AGB_EVENT_LOOPS=all`` runs all on both event loops, ``AGB_FLAVOURS=all`` all in both flavours, and
    ``AGB_LONG=all`` those that are marked ``long``; ``nox -s long`` sets them.
    """
    left_out = [
        is_repetition
        for variable, is_repetition in (
            ("AGB_EVENT_LOOPS", _repeats_on_trio),
            ("AGB_FLAVOURS", _repeats_without_an_event_loop),
            ("AGB_LONG", _is_long),
        )
        if os.environ.get(variable) != "all"
    ]
    repetitions = [item for item in items if any(is_repetition(item) for is_repetition in left_out)]
    if repetitions:
        config.hook.pytest_deselected(items=repetitions)
        left = set(repetitions)
        items[:] = [item for item in items if item not in left]
    _put_together(items, "address_of_a_browser")


def _put_together(items: list[pytest.Item], fixture: str) -> None:
    """Let modules whose tests share something of their process follow one another.

    A process of xdist gets tests that follow one another, until it is idle and takes some of another one.
    """
    modules = {item.path for item in items if fixture in getattr(item, "fixturenames", ())}
    items.sort(key=lambda item: item.path not in modules)


def _repeats_on_trio(item: pytest.Item) -> bool:
    """Return whether a test runs on trio, and its subject does not depend on the event loop.

    Such tests are marked ``one_event_loop``, or use the local runtime: what depends on the event loop (connections,
    streams, cancellation) has tests with scripted servers, which run on both.
    """
    if not isinstance(item, pytest.Function) or "trio" not in item.name.partition("[")[2]:
        return False
    return item.get_closest_marker("one_event_loop") is not None or "runtime" in item.fixturenames


def _repeats_without_an_event_loop(item: pytest.Item) -> bool:
    """Return whether a generated test repeats with real sessions what its source has shown already."""
    return item.get_closest_marker("one_flavour") is not None and "_sync" in item.path.parts


def _is_long(item: pytest.Item) -> bool:
    """Return whether a test takes long for what other tests show in parts."""
    return item.get_closest_marker("long") is not None


@pytest.fixture(scope="session")
def runtime() -> Iterator[agb.local.LocalServer]:
    """One local runtime for all tests of a process; tests separate their sessions by labels.

    Its sessions have no way out, which takes half of the time to make one; the tests of the network have runtimes of
    their own.
    """
    with agb.local.serve(allow_none=True, network="isolated", warm=0) as server:
        yield server


@pytest.fixture
def config(runtime: agb.local.LocalServer) -> Config:
    """The address of the local runtime."""
    return Config(runtime.endpoint, 30_000)


@pytest.fixture(scope="session")
def python_session(runtime: agb.local.LocalServer) -> Iterator[str]:
    """The id of a session whose Python interpreter runs, for tests of code and commands.

    A session of its own costs a test 0.4 s with the interpreter. Tests that share this one do not depend on variables
    and files that others leave, and do not end the interpreter.
    """
    # A worker may run other tests for longer than a session may be idle.
    params = CreateSessionParams(image_id="agb-code-space-1", idle_release_timeout=24 * 3600)
    with AGB(runtime.api_key, Config(runtime.endpoint, 60_000)) as client, client.session(params) as session:
        session.code.run("1", "python").raise_for_error()
        yield session.session_id
