"""The environment of Harbor in short: a Dockerfile is carried out, a command runs, and the session is deleted."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("harbor", exc_type=ImportError)

from agb import AGB, Config
from agb.local import LocalServer

from .harbor_tasks import environment

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_session_is_an_environment(
    runtime: LocalServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AGB_API_KEY", runtime.api_key)
    monkeypatch.setenv("AGB_ENDPOINT", runtime.endpoint)
    one = environment(tmp_path, {"Dockerfile": "FROM debian:12\nENV NAME=world\nWORKDIR /app\nRUN echo $NAME > name\n"})
    await one.start(force_build=False)
    try:
        result = await one.exec('echo "hello $(cat name)"; pwd; exit 3')
        assert (result.stdout, result.return_code) == ("hello world\n/app\n", 3)
    finally:
        await one.stop(delete=True)
    with AGB(runtime.api_key, Config(runtime.endpoint)) as agb:
        assert agb.list({"harbor-session": one.session_id}).session_ids == []
