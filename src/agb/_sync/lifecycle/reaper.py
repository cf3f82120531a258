# Generated from src/agb/_async/lifecycle/reaper.py by tools/unasync.py. Do not edit.
"""Reaping: finding the sessions whose owners are gone, and deleting them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from ..._ops import ownership
from ...exceptions import AGBError, ErrorKind
from ...owned import OwnedSession, Reaped
from .._compat.concurrency import gather
from .owner_process import is_alive

if TYPE_CHECKING:
    from ..client import AGB
    from ..session import Session

AT_A_TIME = 16
"""Sessions that are looked at, or deleted, at the same time."""


def owned(agb: AGB, labels: Mapping[str, str], timeout: float | None = None) -> list[OwnedSession]:
    """Return the sessions with these labels that have an owner; those found by their nonce need none.

    Each is asked for its labels, which the list does not tell.

    Raises:
        AGBError: they could not be found out.
    """
    ids: list[str] = []
    for session in agb.iterate(labels, timeout=timeout):
        ids.append(session.session_id)  # noqa: PERF401 - one that waits has no twin
    found: list[OwnedSession] = []
    for begin in range(0, len(ids), AT_A_TIME):
        batch = ids[begin : begin + AT_A_TIME]
        looked_at = gather([partial(_look, agb.attach(session_id), timeout) for session_id in batch])
        found += [look for look in looked_at if look is not None]
    return [session for session in found if session.owner or ownership.CREATE in labels]


def _look(session: Session, timeout: float | None) -> OwnedSession | None:
    """Return what a session's labels tell, None if it is gone meanwhile."""
    result = session.get_labels(timeout=timeout)
    if result.error is not None and result.error.kind is ErrorKind.NOT_FOUND:
        return None
    result.raise_for_error()
    hidden = session._hidden_labels or {}
    made_at, maker = ownership.making_of(hidden)
    create = hidden.get(ownership.CREATE, "")
    has_maker = is_alive(maker) if maker else None
    return OwnedSession(session.session_id, hidden.get(ownership.OWNER, ""), create, made_at, maker, has_maker)


def delete(
    agb: AGB, sessions: list[OwnedSession], *, even_if_alive: bool = False, timeout: float | None = None
) -> Reaped:
    """Delete sessions, but not those whose makers still run, unless ``even_if_alive``."""
    kept = [] if even_if_alive else [session for session in sessions if session.has_maker]
    deleted: list[OwnedSession] = []
    failed: list[tuple[OwnedSession, AGBError]] = []

    def one(session: OwnedSession) -> None:
        error = agb.attach(session.session_id).delete(timeout=timeout).error
        if error is None or error.kind is ErrorKind.NOT_FOUND:
            deleted.append(session)
        else:
            failed.append((session, error))

    todo = [session for session in sessions if session not in kept]
    for begin in range(0, len(todo), AT_A_TIME):
        gather([partial(one, session) for session in todo[begin : begin + AT_A_TIME]])
    return Reaped(deleted, kept, failed)
