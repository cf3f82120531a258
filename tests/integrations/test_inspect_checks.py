"""Inspect's own checks of sandboxes, unmodified."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Iterator

import pytest

pytest.importorskip("inspect_ai")

from inspect_ai.util import SandboxEnvironment
from inspect_ai.util._sandbox.self_check import *  # noqa: F403  # as its docstring says

from agb.integrations.inspect import AGBSandboxEnvironment
from agb.local import LocalServer, serve

pytestmark = pytest.mark.anyio

NEEDS_USERS = "test_exec_as_user"
"""This check adds a user as root. In an isolated session of the runtime there is no root, and no other user."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def without_isolation() -> Iterator[LocalServer]:
    """A runtime whose sessions run as its own user on its own machine."""
    with serve(isolation="none", warm=0) as server:
        yield server


@pytest.fixture
async def sandbox_env(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[SandboxEnvironment]:
    name = "runtime"
    if request.node.originalname == NEEDS_USERS:
        if os.geteuid() != 0 or shutil.which("adduser") is None or shutil.which("setpriv") is None:
            pytest.xfail("sessions have other users only where root runs a runtime without isolation")
        name = "without_isolation"
    server: LocalServer = request.getfixturevalue(name)
    monkeypatch.setenv("AGB_API_KEY", server.api_key)
    monkeypatch.setenv("AGB_ENDPOINT", server.endpoint)
    await AGBSandboxEnvironment.task_init("checks", None)
    environments = await AGBSandboxEnvironment.sample_init("checks", None, {"__sample_id__": NEEDS_USERS})
    try:
        yield environments["default"]
    finally:
        await AGBSandboxEnvironment.sample_cleanup("checks", None, environments, False)
        await AGBSandboxEnvironment.task_cleanup("checks", None, True)
