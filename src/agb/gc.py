"""The command ``agb gc``: lists and deletes sessions that were left behind by their owners."""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Callable, Sequence

from . import AGB, AGBError, OwnedSession
from ._ops import ownership
from ._sync.lifecycle import reaper

DONE, LEFT, FAILED = 0, 1, 2
"""Exit codes: success; a session could not be deleted; the sessions could not be listed."""
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def main(arguments: Sequence[str], prog: str = "agb gc") -> int:
    """Run the command and return the exit code."""
    options = _parser(prog).parse_args(arguments)
    labels = {}
    if options.owner is not None:
        labels[ownership.OWNER] = options.owner
    if options.create is not None:
        labels[ownership.CREATE] = options.create
    try:
        with AGB() as agb:
            return _run(agb, labels, options)
    except (AGBError, ValueError) as error:
        print(f"{prog}: {error}", file=sys.stderr)
        return FAILED


def _run(agb: AGB, labels: dict[str, str], options: argparse.Namespace) -> int:
    found = reaper.owned(agb, labels, options.timeout)
    now = time.time()
    if options.older_than is not None:  # a session without a creation time is not known to be older
        found = [session for session in found if session.made_at and now - session.made_at >= options.older_than]
    if not found:
        print("no sessions found")
        return DONE
    if options.dry_run:
        _show(found, now, lambda one: "would be kept" if one.has_maker and not options.force else "would be deleted")
        return DONE
    reaped = reaper.delete(agb, found, even_if_alive=options.force, timeout=options.timeout)
    fates = {session.session_id: "deleted" for session in reaped.deleted}
    fates |= {session.session_id: "kept" for session in reaped.kept}
    fates |= {session.session_id: f"not deleted: {error}" for session, error in reaped.failed}
    _show(found, now, lambda one: fates[one.session_id])
    if reaped.kept:
        print(f"{len(reaped.kept)} kept: the processes that created them still run; --force deletes them too")
    return LEFT if reaped.failed else DONE


def _show(found: Sequence[OwnedSession], now: float, fate: Callable[[OwnedSession], str]) -> None:
    """Print a line for each session: its id, owner, age, owner process, and what happens to it."""
    lines = [("SESSION", "OWNER", "AGE", "MADE BY", "")]
    lines += [
        (one.session_id, one.owner or "-", _age(now - one.made_at) if one.made_at else "-", _maker(one), fate(one))
        for one in found
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(4)]
    for line in lines:
        print("  ".join([*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line[4]]).rstrip())


def _age(seconds: float) -> str:
    unit = next((unit for unit in "dhm" if seconds >= _UNITS[unit]), "s")
    return f"{max(0, int(seconds)) // _UNITS[unit]}{unit}"


def _maker(session: OwnedSession) -> str:
    if not session.maker:
        return "-"
    host, _, rest = session.maker.partition("/")
    state = {True: "runs", False: "is gone", None: "not of this machine"}[session.has_maker]
    return f"{host} {rest.partition('/')[0]} ({state})"


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog,
        description="List and delete sessions that belong to a pool, a map or another owner and were left behind, "
        "by a program that was killed for example. Those whose owner process still runs on this machine are kept. "
        "The endpoint and the key are the configured ones: AGB_ENDPOINT, AGB_API_KEY.",
        epilog=f"exit codes: {DONE} success; {LEFT} a session could not be deleted; "
        f"{FAILED} the sessions could not be listed",
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--owner", metavar="NAME", help="sessions of this owner, such as pool:nightly")
    which.add_argument("--create", metavar="NONCE", help="the session of the creation whose error names this")
    which.add_argument(
        "--all-owned", action="store_true", help="sessions of every owner (the labels of each session are read)"
    )
    parser.add_argument("--older-than", type=_seconds, metavar="AGE", help="created so long ago: 90s, 15m, 2h, 1d")
    parser.add_argument("--dry-run", action="store_true", help="only print what would be deleted")
    parser.add_argument("--force", action="store_true", help="delete those too whose owner process still runs")
    parser.add_argument("--timeout", type=_seconds, metavar="TIME", help="for each call")
    return parser


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text)
    if not found or not float(found[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is not a time above zero, such as 90s, 15m, 2h or 1d")
    return float(found[1]) * _UNITS[found[2] or "s"]
