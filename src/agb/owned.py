"""Owned sessions: those of a pool or a batch, which are found by their hidden labels and reaped."""

from __future__ import annotations

from attrs import frozen

from .exceptions import AGBError


@frozen
class OwnedSession:
    """A session that belongs to a pool, a batch or another owner.

    Attributes:
        session_id: its id.
        owner: the owner, such as ``"pool:nightly"``; ``""`` if there is none.
        create: the nonce of its creation.
        made_at: when it was created, in seconds since 1970; 0 if that is not known.
        maker: the process that created it: host, id and start; ``""`` if that is not known.
        has_maker: whether that process still runs; None if that cannot be known on this machine.
    """

    session_id: str
    owner: str
    create: str
    made_at: float
    maker: str
    has_maker: bool | None


@frozen
class Reaped:
    """The outcome of reaping the sessions of an owner.

    Attributes:
        deleted: those that were deleted.
        kept: those that were not, because the process that created them still runs.
        failed: those that could not be deleted, with the reasons.
    """

    deleted: list[OwnedSession]
    kept: list[OwnedSession]
    failed: list[tuple[OwnedSession, AGBError]]
