"""The adapter for Deep Agents: a command and two files, where the framework is installed; without it, its error."""

from __future__ import annotations

import importlib
from importlib.util import find_spec

import pytest

from agb import AGB, Config, CreateSessionParams
from agb.local import LocalServer


@pytest.mark.skipif(find_spec("deepagents") is None, reason="the framework is not installed")
def test_sandbox_of_an_agent(runtime: LocalServer) -> None:
    from agb.integrations.deepagents import AGBSandbox

    params = CreateSessionParams(image_id="agb-code-space-1")
    with AGB(runtime.api_key, Config(runtime.endpoint, 30_000)) as agb, agb.session(params) as session:
        sandbox = AGBSandbox(session)
        uploaded = sandbox.upload_files([("/tmp/a/b", b"\xff"), ("c", b"")])
        assert [one.error for one in uploaded] == [None, "invalid_path"]
        assert sandbox.download_files(["/tmp/a/b"])[0].content == b"\xff"
        response = sandbox.execute("echo out; echo err >&2; exit 3")
        assert (response.output, response.exit_code) == ("out\nerr\n", 3)


@pytest.mark.skipif(find_spec("deepagents") is not None, reason="the framework is installed")
def test_missing_framework() -> None:
    with pytest.raises(ImportError, match=r"pip install 'agb\[deepagents\]'"):
        importlib.import_module("agb.integrations.deepagents")
