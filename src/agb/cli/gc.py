"""``agb gc``: lists and deletes sessions that were left behind by their owners."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import click

from .._ops import ownership
from .._sync.lifecycle import reaper
from ..owned import OwnedSession
from .output import FAILED, NOT_FOUND, USAGE, CommandFailed, Output
from .parser import DURATION, Shared, command
from .sessions import age
from .settings import client


@command(
    "agb gc --all-owned --dry-run",
    "agb gc --owner pool:nightly",
    "agb gc --owner 'inspect:*'",
    "agb gc --all-owned --older-than 2h",
)
@click.option(
    "--owner", metavar="NAME", help="Sessions of this owner, such as pool:nightly; * at its end stands for anything."
)
@click.option("--part", metavar="PART", help="Only this part of the owner, such as the sample of an evaluation.")
@click.option("--create", "nonce", metavar="NONCE", help="The session of the creation whose error names this.")
@click.option("--all-owned", is_flag=True, help="Sessions of every owner (the labels of each session are read).")
@click.option("--older-than", type=DURATION, metavar="TIME", help="Only those created so long ago: 90s, 15m, 2h, 1d.")
@click.option("--dry-run", is_flag=True, help="Only print what would be deleted.")
@click.option("--force", is_flag=True, help="Delete those too whose owner process still runs.")
@click.pass_obj
def gc(
    shared: Shared,
    owner: str | None,
    part: str | None,
    nonce: str | None,
    all_owned: bool,
    older_than: float | None,
    dry_run: bool,
    force: bool,
) -> int:
    """Delete sessions that belong to a pool, a map, a run of a framework or another owner, and were left behind.

    That is so after their program was killed, for example. Sessions whose owner process still runs on this machine are
    kept. The exit code is 4 if there is no session of the given owner or creation, 1 if one could not be deleted.
    """
    if (owner is not None) + (nonce is not None) + all_owned != 1:
        raise CommandFailed("give --owner, --create or --all-owned: one of the three", USAGE)
    if part is not None and owner is None:
        raise CommandFailed("--part is a part of an owner: give --owner too", USAGE)
    try:
        if nonce is not None:
            selection = ownership.created_as(nonce)
        else:
            selection = ownership.owned_by("*" if owner is None else owner, part)
    except ValueError as error:
        raise CommandFailed(str(error), USAGE) from error
    out = Output(shared)
    with client(shared) as agb:
        found = reaper.owned(agb, selection, shared.timeout)
        if not found and not all_owned:
            raise CommandFailed(
                f"there is no session of {_description(owner, part, nonce)}",
                NOT_FOUND,
            )
        found = reaper.older(found, older_than)
        if dry_run:
            _show(out, found, lambda one: "would be kept" if one.has_maker and not force else "would be deleted")
            return 0
        reaped = reaper.delete(agb, found, even_if_alive=force, timeout=shared.timeout)
    fates = {session.session_id: "deleted" for session in reaped.deleted}
    fates |= {session.session_id: "kept" for session in reaped.kept}
    fates |= {session.session_id: f"not deleted: {error}" for session, error in reaped.failed}
    _show(out, found, lambda one: fates[one.session_id])
    if reaped.kept:
        out.note(f"{len(reaped.kept)} kept: the processes that created them still run; --force deletes them too")
    return FAILED if reaped.failed else 0


def _show(out: Output, found: Sequence[OwnedSession], fate: Callable[[OwnedSession], str]) -> None:
    """Print each session: its id, owner, age, owner process, and what happens to it."""
    now = time.time()
    rows: list[dict[str, Any]] = [
        {
            "id": one.session_id,
            "owner": one.owner,
            "part": one.part,
            "age": age(now - one.made_at) if one.made_at else "",
            "made_by": _maker(one),
            "outcome": fate(one),
        }
        for one in found
    ]
    parts = ("part",) if any(one.part for one in found) else ()
    out.values(rows, ("id", "owner", *parts, "age", "made_by", "outcome"), "no sessions found")


def _description(owner: str | None, part: str | None, nonce: str | None) -> str:
    if owner is None:
        return f"the creation {nonce!r}"
    return f"the owner {owner!r}" if part is None else f"the part {part!r} of the owner {owner!r}"


def _maker(session: OwnedSession) -> str:
    if not session.maker:
        return ""
    host, _, rest = session.maker.partition("/")
    state = {True: "runs", False: "is gone", None: "not of this machine"}[session.has_maker]
    return f"{host} {rest.partition('/')[0]} ({state})"
