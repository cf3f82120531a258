# Generated from tests/_async/test_time_outs.py by tools/unasync.py. Do not edit.
"""Time-outs that are longer than the system can wait, or are no time-outs."""

from __future__ import annotations

from typing import Any

import pytest

from agb import AGB, Config, CreateSessionParams
from agb.local import LocalServer

PARAMS = CreateSessionParams(image_id="agb-code-space-1")
LONG = 1e300


def test_longest_time_outs(runtime: LocalServer) -> None:
    with AGB(runtime.api_key, Config(runtime.endpoint, 10**290), timeout=LONG) as agb:
        with agb.session(PARAMS, timeout=LONG) as session:
            assert session.command.execute("true", timeout_ms=60_000, timeout=LONG).success
            with session.code.stream("print(1)", "python", timeout=LONG) as events:
                assert events.collect().success
            assert session.file.read("/etc/passwd", timeout=LONG).success
            process = session.command.start("true", timeout=LONG)
            assert process.wait(timeout=LONG).success
            assert session.context.sync(timeout=LONG).success
        pool = agb.pool(PARAMS, max=1, timeout=LONG, idle=LONG, max_age=LONG, drain=LONG)
        with pool, pool.session(timeout=LONG) as session:
            assert session.get_status().success


@pytest.mark.one_event_loop
@pytest.mark.parametrize("timeout", [float("inf"), float("nan"), 0, -1, 10**400, True, "5"])
def test_no_time_outs(timeout: Any) -> None:
    agb = AGB("k", Config("http://127.0.0.1:9"))
    with pytest.raises((TypeError, ValueError), match="timeout is a number of seconds"):
        agb.list(timeout=timeout)
    with pytest.raises((TypeError, ValueError), match="timeout is a number of seconds"):
        AGB("k", Config("http://127.0.0.1:9"), timeout=timeout)
