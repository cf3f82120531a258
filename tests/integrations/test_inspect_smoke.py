"""The adapter for Inspect AI in short: it names its extra where the framework is missing; a sandbox runs and reads."""

from __future__ import annotations

import subprocess
import sys

import pytest

from agb.local import LocalServer


def test_missing_framework_is_reported_with_the_extra() -> None:
    program = "import sys; sys.modules['inspect_ai'] = None; import agb.integrations.inspect"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (
        "ImportError: the adapter for Inspect AI needs the extra 'inspect': pip install 'agb[inspect]'" in done.stderr
    )


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_sandbox_runs_programs_and_reads_files(runtime: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("inspect_ai")
    from inspect_ai.util._sandbox.registry import registry_find_sandboxenv

    monkeypatch.setenv("AGB_API_KEY", runtime.api_key)
    monkeypatch.setenv("AGB_ENDPOINT", runtime.endpoint)
    kind = registry_find_sandboxenv("agb")  # by the entry point
    environments = await kind.sample_init("smoke", None, {})
    try:
        done = await environments["default"].exec(["tee", "a/b"], input="hello", cwd="/tmp")
        assert not done.success
        await environments["default"].write_file("a/b", "hello")
        assert await environments["default"].read_file("a/b") == "hello"
    finally:
        await kind.sample_cleanup("smoke", None, environments, False)
