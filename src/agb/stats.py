"""Stats: what a client is doing at one moment, and what its callers wait for."""

from __future__ import annotations

from attrs import frozen

from .limits import PoolStats


@frozen
class CreationStats:
    """The creations of a client's sessions, at one moment.

    Attributes:
        waiting: how many are waiting to begin.
        under_way: how many have been sent and not answered.
        done: how many sessions were created so far.
        failed: how many creations have failed so far.
        refused: how often the service asked to slow down so far.
        rate: how many may begin per second now, None if there is no limit.
        paused_for: seconds during which none begins, because the service asked for it.
        sessions: how many sessions created by this client are alive, as far as it knows: the end of a session that ends
            by itself is noticed when its status is requested.
        held_up_by: what the waiting creations wait for, as text; ``""`` if none waits.
    """

    waiting: int
    under_way: int
    done: int
    failed: int
    refused: int
    rate: float | None
    paused_for: float
    sessions: int
    held_up_by: str


@frozen
class ClientStats:
    """What a client is doing at one moment; returned by ``client.stats()``.

    Attributes:
        connections: its connections, those of all event loops together.
        creations: the creations of its sessions.
    """

    connections: PoolStats
    creations: CreationStats

    @property
    def held_up_by(self) -> str:
        """What its callers wait for, as text; ``""`` if nothing holds them up."""
        return "; ".join(why for why in (self.creations.held_up_by, self._busy()) if why)

    def _busy(self) -> str:
        if not self.connections.waiting:
            return ""
        return f"{self.connections.waiting:,} calls wait for one of {self.connections.in_use:,} connections in use"


@frozen
class SessionPoolStats:
    """A pool of warm sessions at one moment; returned by ``pool.stats()``.

    Attributes:
        idle: sessions that are ready to be borrowed.
        in_use: sessions that are borrowed.
        making: sessions that are being created.
        waiting: how many callers wait for a session.
        made: how many sessions were created so far.
        discarded: how many sessions were deleted so far.
        failed: how many sessions could not be created or prepared.
        uses: how often a session was given back.
        last_error: the last failure of a creation, a hook or a deletion, if any.
    """

    idle: int
    in_use: int
    making: int
    waiting: int
    made: int
    discarded: int
    failed: int
    uses: int
    last_error: Exception | None
