"""The tool `get_metrics`: the resources that a session uses."""

from __future__ import annotations

import json
from typing import Any

from attrs import evolve

from ..._wire.toolcall import ToolCall, ToolReply
from ...exceptions import ErrorKind, Sent, SessionError
from ...results.metrics import SessionMetrics, SessionMetricsResult
from . import tool_failure


def get_metrics(session_id: str) -> ToolCall[SessionMetricsResult]:
    """Return the call that reads the metrics."""
    return ToolCall(
        "get_metrics", {}, lambda reply: _read(reply, session_id), repeatable=True, description="get the metrics"
    )


def _read(reply: ToolReply, session_id: str) -> SessionMetricsResult:
    if reply.is_error:
        return SessionMetricsResult.failed(
            tool_failure("get_metrics", reply, session_id, description="get the metrics")
        )
    try:
        raw = json.loads(reply.text or "")
        if not isinstance(raw, dict):
            raise TypeError("get_metrics returned non-object JSON")
        metrics = _metrics(raw)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        return SessionMetricsResult.failed(
            SessionError(
                f"Failed to parse get_metrics response of session {session_id}: {error}",
                kind=ErrorKind.INVALID_ANSWER,
                request_id=reply.request_id,
                session_id=session_id,
                sent=Sent.YES,
            )
        )
    return evolve(SessionMetricsResult(reply.request_id, True, metrics), raw=raw)


def _metrics(raw: dict[str, Any]) -> SessionMetrics:
    def first(*names: str) -> Any:
        return next((raw[name] for name in names if raw.get(name) is not None), 0)

    def rate(way: str) -> float:
        return float(first(f"{way}_rate_kbyte_per_s", f"{way}_rate_kbps", f"{way}_rate_KBps"))

    def used(way: str) -> float:
        return float(first(f"{way}_used_kbyte", f"{way}_used_kb", f"{way}_used_KB"))

    return SessionMetrics(
        cpu_count=int(first("cpu_count")),
        cpu_used_pct=float(first("cpu_used_pct")),
        disk_total=int(first("disk_total")),
        disk_used=int(first("disk_used")),
        mem_total=int(first("mem_total")),
        mem_used=int(first("mem_used")),
        rx_rate_kbyte_per_s=rate("rx"),
        tx_rate_kbyte_per_s=rate("tx"),
        rx_used_kbyte=used("rx"),
        tx_used_kbyte=used("tx"),
        timestamp=str(raw.get("timestamp") or ""),
    )
