"""Stats: what a client is doing at one moment, and what holds it up."""

from __future__ import annotations

from attrs import frozen

from .limits import PoolStats


@frozen
class CreationStats:
    """The creations of a client's sessions, at one moment.

    Attributes:
        waiting: how many wait for their turn.
        under_way: how many are with the service.
        done: how many sessions were made so far.
        failed: how many creations have failed so far.
        refused: how often the service asked to slow down so far.
        rate: how many may begin per second now, None if there is no limit.
        paused_for: seconds during which none begins, because the service asked for it.
        sessions: how many sessions made by this client are alive, as far as it knows: it does not know of those that
            end by themselves before it asks for their status.
        held_up_by: what those who wait are waiting for, in words; ``""`` if nobody waits.
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
    """What a client is doing at one moment; ``agb.stats()`` gives it.

    Attributes:
        connections: its connections, those of all event loops together.
        creations: the creations of its sessions.
    """

    connections: PoolStats
    creations: CreationStats

    @property
    def held_up_by(self) -> str:
        """What its callers are waiting for, in words; ``""`` if nothing holds them up."""
        return "; ".join(why for why in (self.creations.held_up_by, self._busy()) if why)

    def _busy(self) -> str:
        if not self.connections.waiting:
            return ""
        return f"{self.connections.waiting:,} calls wait for one of {self.connections.in_use:,} connections in use"


@frozen
class SessionPoolStats:
    """A pool of warm sessions at one moment; ``pool.stats()`` gives it.

    Attributes:
        idle: sessions that are ready to be borrowed.
        in_use: those that are borrowed.
        making: those that are being made.
        waiting: how many wait for one.
        made: how many were made so far.
        discarded: how many of them were deleted.
        failed: how many could not be made or prepared.
        uses: how often one was given back.
        last_error: the last thing that went wrong, if any.
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
