"""Metrics: real figures of a session, and of it alone."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from agb.local.sessions.metrics import disk_used
from agb.local.sessions.runtime import Runtime
from agb.local.sessions.session import LocalSession

from .runtimes import IMAGE, call, output

pytestmark = pytest.mark.asyncio


async def measure(runtime: Runtime, session: LocalSession) -> dict[str, Any]:
    reply = await call(runtime, session, "get_metrics")
    assert not reply.is_error
    metrics = json.loads(reply.text)
    assert isinstance(metrics, dict)
    return metrics


async def test_figures(local_runtime: Runtime, box: LocalSession) -> None:
    other = await local_runtime.create(IMAGE)
    first = await measure(local_runtime, box)
    assert set(first) == {
        "cpu_count", "cpu_used_pct", "mem_total", "mem_used", "disk_total", "disk_used",
        "rx_rate_kbyte_per_s", "tx_rate_kbyte_per_s", "rx_used_kbyte", "tx_used_kbyte", "timestamp",
    }  # fmt: skip
    assert first["cpu_count"] == os.cpu_count()
    assert datetime.fromisoformat(first["timestamp"]).utcoffset() is not None

    busy = 'mkfifo up; python3 -c \'x = bytearray(50 << 20); open("up", "w").close()\nwhile True: pass\' > log 2>&1 & '
    await output(local_runtime, box, busy + "head -c 10M /dev/zero > file; cat up; for i in {1..20000}; do :; done")
    then, elsewhere = await measure(local_runtime, box), await measure(local_runtime, other)
    assert then["mem_used"] - first["mem_used"] > 50 << 20
    assert then["disk_used"] - first["disk_used"] >= 10 << 20
    assert 0 < then["cpu_used_pct"] <= 100
    assert elsewhere["mem_used"] < first["mem_used"] + (10 << 20)
    assert elsewhere["disk_used"] == first["disk_used"]
    if local_runtime.report.network == "isolated":
        assert then["rx_used_kbyte"] == then["tx_used_kbyte"] == 0


async def test_processes(local_runtime: Runtime, box: LocalSession) -> None:
    assert await box.processes() == []
    pid = int(
        await output(
            local_runtime, box, "sleep 1000 > log 2>&1 & until grep -qs sleep /proc/$!/comm; do :; done; echo $!"
        )
    )
    [process] = await box.processes()
    assert (process.pid, process.name, process.cmdline) == (pid, "sleep", "sleep 1000")
    assert process.memory_bytes > 0
    assert process.cpu_seconds >= 0


@pytest.mark.parametrize("replaced", ["a", "a/b"])
async def test_disk_used_follows_no_link_that_replaces_a_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replaced: str
) -> None:
    counted, outside = tmp_path / "counted", tmp_path / "outside"
    (counted / "a" / "b").mkdir(parents=True)
    (outside / "b").mkdir(parents=True)
    (outside / "b" / "large").write_bytes(bytes(1 << 20))
    real = os.open

    def exchange(path: str, flags: int) -> int:
        if path.endswith(f"/{replaced}") and not (counted / "a").is_symlink():
            (counted / "a").rename(tmp_path / "moved")
            (counted / "a").symlink_to(outside)
        return real(path, flags)

    monkeypatch.setattr(os, "open", exchange)
    assert disk_used(counted) < 1 << 16
    assert (counted / "a").is_symlink()


async def test_disk_used_follows_no_links(tmp_path: Path) -> None:
    (tmp_path / "counted").mkdir()
    (tmp_path / "counted" / "loop").symlink_to(tmp_path)
    (tmp_path / "outside").write_bytes(bytes(1 << 20))
    (tmp_path / "counted" / "link").symlink_to(tmp_path / "outside")
    assert disk_used(tmp_path / "counted") < 1 << 16
