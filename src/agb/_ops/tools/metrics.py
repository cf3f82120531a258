"""The tool `get_metrics`: the resources that a session uses."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from attrs import evolve

from ..._wire.shape import Object, Scalar, Shape, ShapeError, maybe
from ..._wire.toolcall import ToolCall, ToolReply
from ...exceptions import ErrorKind, Sent, SessionError
from ...results.metrics import SessionMetrics, SessionMetricsResult
from . import tool_failure

if TYPE_CHECKING:
    from ...results.narrowed import SessionMetricsFailure, SessionMetricsSuccess


class _Number(Shape):
    """A finite number, which may be a string."""

    def read(self, value: Any, place: str) -> float:
        """Return the number."""
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            try:
                number = float(value)
            except (ValueError, OverflowError):
                number = math.inf
            if math.isfinite(number):
                return number
        raise ShapeError(f"{place} is not a number")


_NUMBER = _Number()
METRICS = Object(
    {
        **dict.fromkeys(
            ("cpu_count", "cpu_used_pct", "disk_total", "disk_used", "mem_total", "mem_used"), maybe(_NUMBER)
        ),
        **{f"{way}_rate_kbyte_per_s": maybe(_NUMBER, f"{way}_rate_kbps", f"{way}_rate_KBps") for way in ("rx", "tx")},
        **{f"{way}_used_kbyte": maybe(_NUMBER, f"{way}_used_kb", f"{way}_used_KB") for way in ("rx", "tx")},
        "timestamp": maybe(Scalar("a time", (str, int, float))),
    }
)
_WHOLE = ("cpu_count", "disk_total", "disk_used", "mem_total", "mem_used")


def get_metrics(session_id: str) -> ToolCall[SessionMetricsSuccess | SessionMetricsFailure]:
    """Return the call that reads the metrics."""
    return ToolCall(
        "get_metrics",
        {},
        lambda reply: _read(reply, session_id),
        repeatable=True,
        description="get the metrics",
        shape=METRICS,
    )


def _read(reply: ToolReply, session_id: str) -> SessionMetricsSuccess | SessionMetricsFailure:
    if reply.is_error:
        return SessionMetricsResult.failed(
            tool_failure("get_metrics", reply, session_id, description="get the metrics")
        )
    try:
        raw = json.loads(reply.text or "")
        fields = METRICS.read(raw, "the text")
        if not fields:
            raise ShapeError("it contains no metrics")
    except (ValueError, RecursionError) as error:
        return SessionMetricsResult.failed(
            SessionError(
                f"Failed to parse get_metrics response of session {session_id}: {error}",
                kind=ErrorKind.INVALID_ANSWER,
                request_id=reply.request_id,
                session_id=session_id,
                sent=Sent.YES,
            )
        )
    fields |= {name: int(fields[name]) for name in _WHOLE if name in fields}
    fields |= {"timestamp": str(fields.get("timestamp", ""))}
    return evolve(SessionMetricsResult.of(SessionMetrics(**fields), reply.request_id), raw=raw)
