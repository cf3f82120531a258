"""Results about the resources that a session uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from ..exceptions import AGBError
from .base import Result, Shown, error_field, mapping, message_field

if TYPE_CHECKING:
    from .narrowed import SessionMetricsFailure, SessionMetricsSuccess


@frozen(init=False, slots=False, repr=False)
class SessionMetrics(Shown):
    """The resources that a session uses: memory and disk in bytes, rates in kilobytes a second, totals in kilobytes."""

    cpu_count: int
    cpu_used_pct: float
    disk_total: int
    disk_used: int
    mem_total: int
    mem_used: int
    rx_rate_kbyte_per_s: float
    tx_rate_kbyte_per_s: float
    rx_used_kbyte: float
    tx_used_kbyte: float
    timestamp: str

    def __init__(
        self,
        cpu_count: int = 0,
        cpu_used_pct: float = 0.0,
        disk_total: int = 0,
        disk_used: int = 0,
        mem_total: int = 0,
        mem_used: int = 0,
        rx_rate_kbyte_per_s: float = 0.0,
        tx_rate_kbyte_per_s: float = 0.0,
        rx_used_kbyte: float = 0.0,
        tx_used_kbyte: float = 0.0,
        timestamp: str = "",
        rx_rate_kbps: float | None = None,
        tx_rate_kbps: float | None = None,
        rx_used_kb: float | None = None,
        tx_used_kb: float | None = None,
    ) -> None:
        self.__attrs_init__(  # pyright: ignore[reportAttributeAccessIssue] - attrs makes it
            cpu_count,
            cpu_used_pct,
            disk_total,
            disk_used,
            mem_total,
            mem_used,
            rx_rate_kbyte_per_s or rx_rate_kbps or 0.0,
            tx_rate_kbyte_per_s or tx_rate_kbps or 0.0,
            rx_used_kbyte or rx_used_kb or 0.0,
            tx_used_kbyte or tx_used_kb or 0.0,
            timestamp,
        )

    @property
    def rx_rate_kbps(self) -> float:
        """Deprecated name of ``rx_rate_kbyte_per_s``."""
        return self.rx_rate_kbyte_per_s

    @property
    def tx_rate_kbps(self) -> float:
        """Deprecated name of ``tx_rate_kbyte_per_s``."""
        return self.tx_rate_kbyte_per_s

    @property
    def rx_used_kb(self) -> float:
        """Deprecated name of ``rx_used_kbyte``."""
        return self.rx_used_kbyte

    @property
    def tx_used_kb(self) -> float:
        """Deprecated name of ``tx_used_kbyte``."""
        return self.tx_used_kbyte


@frozen(slots=False, repr=False)
class SessionMetricsResult(Result):
    """The metrics of a session, and the object they were read from as ``raw``."""

    metrics: SessionMetrics | None = None
    error_message: str = message_field()
    raw: dict[str, Any] = field(default=None, converter=mapping)
    error: AGBError | None = error_field()

    @classmethod
    def _fields(cls, value: Any) -> dict[str, Any]:
        return {"metrics": value}

    if TYPE_CHECKING:

        @classmethod
        def of(cls, value: Any, request_id: str) -> SessionMetricsSuccess:
            """Return the result of a call that succeeded with ``value``."""
            raise NotImplementedError

        @classmethod
        def failed(cls, error: AGBError) -> SessionMetricsFailure:
            """Return the result of a call that ended in ``error``."""
            raise NotImplementedError

        def raise_for_error(self) -> SessionMetricsSuccess:
            """Return this result if it is a success, otherwise raise its ``error``."""
            raise NotImplementedError
