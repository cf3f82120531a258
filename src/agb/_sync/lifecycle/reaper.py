# Generated from src/agb/_async/lifecycle/reaper.py by tools/unasync.py. Do not edit.
"""Reaping: finds sessions by their hidden labels, and deletes those whose owner process is gone."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from ..._ops import ownership
from ..._ops import sessions as ops
from ..._wire.labels import CREATE, OWNER, PART
from ...exceptions import AGBError, ErrorKind
from ...owned import OwnedSession, Reaped
from .._compat.concurrency import gather
from ..pager import Pager
from .owner_process import is_alive
from .protocols import SessionClient, SessionT

if TYPE_CHECKING:
    from ..api import API

AT_A_TIME = 16
"""Sessions that are looked up, or deleted, at the same time."""


def owned(
    agb: SessionClient[SessionT], selection: ownership.Selection, timeout: float | None = None
) -> list[OwnedSession]:
    """Return the sessions of a selection.

    The list of sessions does not contain their labels, so each session is asked for them.

    Raises:
        AGBError: they could not be listed, or asked for their labels.
    """
    listing = ops.session_listing(selection.labels)
    pages: Pager[str] = Pager(agb.client, listing, timeout)
    ids = [session_id for session_id in pages]
    found: list[OwnedSession] = []
    for begin in range(0, len(ids), AT_A_TIME):
        some = ids[begin : begin + AT_A_TIME]
        read = gather([partial(_read, agb.client, session_id, timeout) for session_id in some])
        found += [session for session in read if session is not None]
    return [session for session in found if selection.holds(session.owner)]


def _read(api: API, session_id: str, timeout: float | None) -> OwnedSession | None:
    """Return what the labels of a session say, None if it is gone meanwhile."""
    try:
        labels, _ = api.call(ops.get_label(session_id), timeout=timeout)
    except AGBError as error:
        if error.kind is ErrorKind.NOT_FOUND:
            return None
        raise
    made_at, maker = ownership.making_of(labels)
    create = labels.get(CREATE, "")
    has_maker = is_alive(maker) if maker else None
    owner, part = labels.get(OWNER, ""), labels.get(PART, "")
    return OwnedSession(session_id, owner, create, made_at, maker, has_maker, part)


def older(sessions: list[OwnedSession], age: float | None) -> list[OwnedSession]:
    """Return the sessions that were created so many seconds ago or earlier; all of them if no age is given.

    A session without a creation time is not known to be older.
    """
    if age is None:
        return sessions
    now = time.time()
    return [session for session in sessions if session.made_at and now - session.made_at >= age]


def delete(
    agb: SessionClient[SessionT],
    sessions: list[OwnedSession],
    *,
    even_if_alive: bool = False,
    timeout: float | None = None,
) -> Reaped:
    """Delete sessions, but not those whose owner process still runs, unless ``even_if_alive``."""
    kept = [] if even_if_alive else [session for session in sessions if session.has_maker]
    deleted: list[OwnedSession] = []
    failed: list[tuple[OwnedSession, AGBError]] = []

    def delete_one(session: OwnedSession) -> None:
        error = agb.attach(session.session_id).delete(timeout=timeout).error
        if error is None or error.kind is ErrorKind.NOT_FOUND:
            deleted.append(session)
        else:
            failed.append((session, error))

    doomed = [session for session in sessions if session not in kept]
    for begin in range(0, len(doomed), AT_A_TIME):
        gather([partial(delete_one, session) for session in doomed[begin : begin + AT_A_TIME]])
    return Reaped(deleted, kept, failed)
