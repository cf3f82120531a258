"""The pytest plugin: fixtures for tests of programs that use sandboxes.

pytest loads it in every run in an environment where this package is installed. So nothing but pytest is imported here:
each fixture loads what it needs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pytest

from .async_fixtures import asynchronous_fixtures

if TYPE_CHECKING:
    from .. import AGB, AsyncAGB, AsyncSession, CreateSessionParams, Session
    from .cassette import Cassette
    from .clients import Connection, Service
    from .faults import Faults

RECORD_MODES = ("none", "once", "new", "all")
CLOUD = "cloud"
"""In place of a URL: the SDK's default endpoint."""

_SHARED = pytest.StashKey[Any]()
"""The local runtime of the run, once it was used."""
_KEY = pytest.StashKey[str]()
"""The API key for ``--agb-endpoint``."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("agb", "sandboxes (agb)")
    group.addoption(
        "--agb-endpoint",
        metavar="URL",
        help=f"run the tests on this service, with the key in AGB_API_KEY, and not on a local runtime; "
        f"'{CLOUD}' is the cloud",
    )
    group.addoption(
        "--agb-record",
        choices=RECORD_MODES,
        default="none",
        help="when the cassettes of agb_cassette are recorded: never (none, the default), if there is no file yet "
        "(once), for requests that are not recorded yet (new), or always (all)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Check the options, and add the fixtures for pytest-asyncio, if that is there."""
    if config.getoption("--agb-endpoint"):
        # Now: a test may remove the variable.
        config.stash[_KEY] = os.environ.get("AGB_API_KEY", "")
        if not config.stash[_KEY]:
            raise pytest.UsageError("--agb-endpoint needs the API key in the environment variable AGB_API_KEY")
    if config.pluginmanager.hasplugin("asyncio"):
        from . import asyncio_fixtures

        config.pluginmanager.register(asyncio_fixtures, "agb-asyncio")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Wait for the end of a runtime that this process has started and others were still using."""
    if (shared := session.config.stash.get(_SHARED, None)) is not None:
        shared.wait()


# --- the service -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def agb_runtime_options() -> dict[str, Any]:
    """Return the options of the local runtime, those of `agb.local.serve`; override it in ``conftest.py``."""
    return {}


@pytest.fixture(scope="session")
def agb_runtime(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, agb_runtime_options: Mapping[str, Any]
) -> Iterator[Service]:
    """Yield the service that tests run on: one local runtime per run, or that of ``--agb-endpoint``."""
    from .clients import Service

    config = request.config
    if endpoint := config.getoption("--agb-endpoint"):
        from ..config import DEFAULT_ENDPOINT

        yield Service(DEFAULT_ENDPOINT if endpoint == CLOUD else endpoint, config.stash[_KEY])
        return
    import hashlib
    import json

    from ..local import CannotStart
    from .shared_runtime import SharedRuntime

    base = tmp_path_factory.getbasetemp()
    is_worker = hasattr(config, "workerinput")  # of pytest-xdist, whose workers have directories below that of the run
    name = hashlib.sha256(json.dumps(dict(agb_runtime_options), sort_keys=True, default=str).encode()).hexdigest()[:16]
    try:
        shared = SharedRuntime((base.parent if is_worker else base) / f"agb-runtime-{name}", agb_runtime_options)
        server = shared.acquire()
    except CannotStart as error:
        pytest.fail(f"agb_runtime: {error}", pytrace=False)
    config.stash[_SHARED] = shared
    try:
        yield Service(server.endpoint, server.api_key, server)
    finally:
        shared.release()


@pytest.fixture
def _agb_connection(request: pytest.FixtureRequest) -> Connection:
    """Return what the clients of the test connect to: the runtime, the faults before it, or a cassette."""
    from .clients import Connection, Service

    has_faults, has_cassette = (name in request.fixturenames for name in ("agb_faults", "agb_cassette"))
    if has_faults and has_cassette:
        pytest.fail("agb_faults and agb_cassette exclude each other: a cassette replays answers as they are", False)
    if not has_cassette:
        service: Service = request.getfixturevalue("agb_runtime")
        if has_faults:
            faults: Faults = request.getfixturevalue("agb_faults")
            return Connection(service, faults.endpoint)
        return Connection(service, service.endpoint)
    from .cassette import ENDPOINT

    cassette: Cassette = request.getfixturevalue("agb_cassette")
    if not cassette.records:
        return Connection(Service(ENDPOINT, "replayed"), ENDPOINT, [cassette], creates_sessions=False)
    service = request.getfixturevalue("agb_runtime")
    return Connection(service, service.endpoint, [cassette])


# --- clients and sessions ----------------------------------------------------------------------------------------


@pytest.fixture
def agb_client(_agb_connection: Connection) -> Iterator[AGB]:
    """Yield a client of the service; a test that leaves sessions of it behind fails."""
    with _agb_connection.client() as client:
        yield client
        _agb_connection.check_left_behind("agb_client")


@pytest.fixture(scope="session")
def agb_session_params() -> CreateSessionParams:
    """Return what `agb_session` and `async_agb_session` are created from; override it for another image."""
    from ..session_params import CreateSessionParams

    return CreateSessionParams(image_id="agb-code-space-1")


@pytest.fixture
def agb_session(agb_client: AGB, agb_session_params: CreateSessionParams) -> Iterator[Session]:
    """Yield a new session, which is deleted after the test."""
    with agb_client.session(agb_session_params) as session:
        yield session


@pytest.fixture
def async_agb_client(request: pytest.FixtureRequest, _agb_connection: Connection) -> Iterator[AsyncAGB]:
    """Yield an asynchronous client of the service; a test that leaves sessions of it behind fails."""
    yield _asynchronous(request, "async_agb_client")
    _agb_connection.check_left_behind("async_agb_client")


@pytest.fixture
def async_agb_session(request: pytest.FixtureRequest, async_agb_client: AsyncAGB) -> AsyncSession:
    """Return a new session of `async_agb_client`, which is deleted after the test."""
    del async_agb_client  # requested first, so that its test for sessions left behind comes last
    session: AsyncSession = _asynchronous(request, "async_agb_session")
    return session


def _asynchronous(request: pytest.FixtureRequest, name: str) -> Any:
    """Return the value of an asynchronous fixture by the plugin that runs the test.

    A fixture belongs to one plugin: anyio's takes those of tests that use its fixture ``anyio_backend``, and
    pytest-asyncio in its strict mode takes those that are marked as its own. So there are two of each.
    """
    if "anyio_backend" in request.fixturenames:
        return request.getfixturevalue(f"_{name}_of_anyio")
    if request.config.pluginmanager.hasplugin("agb-asyncio"):
        return request.getfixturevalue(f"_{name}_of_asyncio")
    pytest.fail(
        f"{name} is an asynchronous fixture, and no plugin runs asynchronous tests here: install pytest-asyncio, or "
        "mark the test with pytest.mark.anyio",
        pytrace=False,
    )


_client_of_anyio, _session_of_anyio = asynchronous_fixtures(pytest.fixture, "anyio")


# --- faults and cassettes ----------------------------------------------------------------------------------------


@pytest.fixture
def agb_faults(request: pytest.FixtureRequest) -> Iterator[Faults]:
    """Yield the faults between the test's clients and the local runtime; one that no request meets fails the test."""
    if request.config.getoption("--agb-endpoint"):
        pytest.skip("agb_faults stands before a local runtime, and --agb-endpoint names another service")
    from .faults import Faults

    service: Service = request.getfixturevalue("agb_runtime")
    with Faults.before(service.endpoint) as faults:
        yield faults
    faults.check_met()


@pytest.fixture
def agb_cassette(request: pytest.FixtureRequest) -> Iterator[Cassette]:
    """Yield the cassette of the test's clients, ``cassettes/<module>/<test>.yaml`` beside the test's module."""
    from .cassette import Cassette, path_for

    failed_before = request.session.testsfailed
    cassette = Cassette(path_for(request.node), str(request.config.getoption("--agb-record")))
    yield cassette
    if request.session.testsfailed == failed_before:  # a test that has failed may have made a part of its requests only
        cassette.save()
        cassette.check_known()
