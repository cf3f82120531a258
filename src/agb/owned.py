"""Owned sessions: those that belong to a pool, a map or another owner, found by their hidden labels, and reaped."""

from __future__ import annotations

from attrs import frozen

from .exceptions import AGBError


@frozen
class OwnedSession:
    """A session that is not only its creator's.

    Attributes:
        session_id: its id.
        owner: what it belongs to, such as ``"pool:nightly"``; ``""`` if to nothing.
        create: the nonce of its creation.
        made_at: when it was made, in seconds since 1970; 0 if that is not known.
        maker: the process that made it: host, id and start; ``""`` if that is not known.
        has_maker: whether that process still runs; None if that cannot be told on this machine.
    """

    session_id: str
    owner: str
    create: str
    made_at: float
    maker: str
    has_maker: bool | None


@frozen
class Reaped:
    """What became of the sessions of an owner.

    Attributes:
        deleted: those that were deleted.
        kept: those that were not, because the process that made them still runs.
        failed: those that could not be deleted, with the reasons.
    """

    deleted: list[OwnedSession]
    kept: list[OwnedSession]
    failed: list[tuple[OwnedSession, AGBError]]
