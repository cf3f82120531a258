"""Fixtures for all tests: the local runtime, and clients' settings."""

from __future__ import annotations

from collections.abc import Iterator

import hypothesis
import pytest

import agb.local
from agb import Config

# The same examples in each run; how long one takes says more about the machine than about the code.
hypothesis.settings.register_profile("steady", deadline=None, derandomize=True)
hypothesis.settings.load_profile("steady")


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests say what they use: nothing comes from the environment."""
    for name in ("AGB_API_KEY", "AGB_ENDPOINT", "AGB_TIMEOUT_MS"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Run asynchronous tests on both event loops."""
    return str(request.param)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run tests marked ``one_event_loop`` on asyncio only: their subject does not depend on the event loop."""

    def is_repetition(item: pytest.Item) -> bool:
        on_trio = isinstance(item, pytest.Function) and "trio" in item.name.partition("[")[2]
        return on_trio and item.get_closest_marker("one_event_loop") is not None

    repetitions = [item for item in items if is_repetition(item)]
    if repetitions:
        config.hook.pytest_deselected(items=repetitions)
        items[:] = [item for item in items if not is_repetition(item)]


@pytest.fixture(scope="session")
def runtime() -> Iterator[agb.local.LocalServer]:
    """One local runtime for the whole run; tests tell their sessions apart by labels of their own."""
    with agb.local.serve(allow_none=True) as server:
        yield server


@pytest.fixture
def config(runtime: agb.local.LocalServer) -> Config:
    """The address of the local runtime."""
    return Config(runtime.endpoint, 30_000)
