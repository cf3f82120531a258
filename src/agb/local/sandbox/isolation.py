"""Choosing how sessions are isolated: by the options, by what the machine has, and by starting a sandbox once."""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Literal, Protocol

from attrs import evolve, frozen

from ..errors import IsolationUnavailable
from ..limits import Limits
from ..report import Report
from . import bubblewrap
from .bubblewrap import Bubblewrap
from .directories import Directories, remove
from .launch import INSIDE, Isolation
from .pasta import NetworkFailed, Pasta
from .python import PREFIX, MachinePython
from .sandbox import Sandbox, StartFailed
from .shown import RUN, Shown, is_system, seen

_FIRST_USER, _USERS = 200_000, 300_000
"""User ids sessions get when the runtime is root's; below those that systemd assigns to containers."""
_SYSTEM_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
_INSTALL = "install it (Debian and Ubuntu: apt install bubblewrap; Fedora: dnf install bubblewrap)"
_WITHOUT = "or go without isolation: --isolation none, for code you trust as your own"
_NO_NETWORK = "no outgoing network"


class Languages(Protocol):
    """What isolation needs of the languages of the machine: names for the report, and files that sessions must see."""

    @property
    def found(self) -> dict[str, str]:
        """Language -> version."""
        ...

    @property
    def missing(self) -> dict[str, str]:
        """Language -> what to install."""
        ...

    @property
    def programs(self) -> dict[str, str]:
        """Language -> the program that runs it."""
        ...

    @property
    def trees(self) -> Mapping[str, Path]:
        """Language -> the directory or file of the machine that its program needs."""
        ...

    @property
    def fixed(self) -> Container[str]:
        """The languages whose tree works at its own place only."""
        ...


@frozen(kw_only=True)
class Wanted:
    """The options; ``allow_none`` lets "auto" go on without a sandbox."""

    isolation: Literal["auto", "bubblewrap", "none"] = "auto"
    network: Literal["auto", "isolated", "host"] = "auto"
    allow_none: bool = False


def new_user(isolation: Isolation, taken: Container[int]) -> int | None:
    """Return a user id for one session, if the runtime may give it one."""
    if os.getuid() != 0 or isolation.bubblewrap is None:
        return None
    while (user := _FIRST_USER + secrets.randbelow(_USERS)) in taken:
        pass
    return user


async def choose(
    wanted: Wanted, languages: Languages, area: Path, shared: Path, limits: Limits, *, others: Iterable[Path] = ()
) -> tuple[Isolation, Report]:
    """Return how sessions are isolated and the report about it; starts sandboxes in ``area`` to try.

    ``shared`` is an empty directory for files that all sandboxes show, ``others`` are further directories that they
    show in their own place. Raises ``IsolationUnavailable``.
    """
    note = "no isolation, as asked for"
    if wanted.isolation != "none":
        try:
            isolation = _with_bubblewrap(languages, others, area, shared, limits)
            return await _sandboxed(wanted, isolation, languages, area, limits)
        except IsolationUnavailable as error:
            if wanted.isolation == "bubblewrap" or not wanted.allow_none:
                raise IsolationUnavailable(f"{error}; {_WITHOUT}") from error
            note = f"no isolation: {error}"
    path = (f"{sys.prefix}/bin", *os.environ.get("PATH", "").split(os.pathsep))
    isolation = Isolation(
        bubblewrap=None, path=tuple(part for part in path if part.startswith("/")), python=MachinePython.find()
    )
    note = f"{note}; sessions can read and change what you can"
    return isolation, Report("none", note, "host", languages.found, languages.missing)


async def _sandboxed(
    wanted: Wanted, isolation: Isolation, languages: Languages, area: Path, limits: Limits
) -> tuple[Isolation, Report]:
    note = "each session in a sandbox of its own"
    if wanted.network == "host":
        isolation = _with_network(isolation, "host")
        await _try(isolation, area, limits)
        return isolation, Report("bubblewrap", note, "host", languages.found, languages.missing)
    pasta = Pasta.find() if wanted.network == "auto" else None
    if pasta is not None:
        try:
            connected = evolve(_with_network(isolation, "pasta"), pasta=pasta)
            await _try(connected, area, limits)
            return connected, Report("bubblewrap", note, "pasta", languages.found, languages.missing)
        except NetworkFailed as error:
            note = f"{note}; {_NO_NETWORK}: {error}"
    elif wanted.network == "auto":
        note = f"{note}; {_NO_NETWORK}: install pasta (Debian and Ubuntu: apt install passt) or use --network host"
    await _try(isolation, area, limits)
    return isolation, Report("bubblewrap", note, "isolated", languages.found, languages.missing)


def _with_bubblewrap(
    languages: Languages, others: Iterable[Path], area: Path, shared: Path, limits: Limits
) -> Isolation:
    program = bubblewrap.find()
    if program is None:
        raise IsolationUnavailable(f"bubblewrap (the program bwrap) is not installed: {_INSTALL}")
    python = MachinePython.find()
    shown = (
        *python.shown(shared / "shown"),
        *_shown_languages(languages),
        *(Shown(path, path) for path in others if not is_system(path)),
    )
    home = Path.home()
    if tree := next((part.source for part in shown if home.is_relative_to(part.source)), None):
        raise IsolationUnavailable(
            f"{tree} must be seen by sessions, for its programs, and contains {home}: install them elsewhere"
        )
    # What is shown may well hold the directory for temporary files, and so the files of sessions.
    places = {seen(place, shown) for place in (area.parent.resolve(), Path(tempfile.gettempdir()).resolve())}
    inside = [place for place in places if any(place.is_relative_to(part.place) for part in shown)]
    hidden = tuple(
        place for place in inside if not any(place.is_relative_to(other) for other in inside if other != place)
    )
    programs = dict.fromkeys(str(seen(Path(program), shown).parent) for program in languages.programs.values())
    environment = shared / "python"
    sandbox = Bubblewrap(
        path=program,
        unshare_user=os.getuid() != 0,
        programs=INSIDE,
        shown=(*shown, Shown(environment, PREFIX)),
        hidden=hidden,
        shared_memory=limits.shared_memory if bubblewrap.can_limit_size(program) else None,
    )
    isolation = Isolation(bubblewrap=sandbox, path=tuple(dict.fromkeys((*_SYSTEM_PATH, *programs))), python=python)
    isolation.write_environment(environment, PREFIX)
    return isolation


def _shown_languages(languages: Languages) -> list[Shown]:
    shown = []
    for language, tree in languages.trees.items():
        if not is_system(tree):
            place = RUN / language / ("" if tree.is_dir() else f"bin/{tree.name}")
            shown.append(Shown(tree, tree if language in languages.fixed else place))
    return shown


def _with_network(isolation: Isolation, network: Literal["pasta", "host"]) -> Isolation:
    if isolation.bubblewrap is None:
        return isolation
    return evolve(isolation, bubblewrap=evolve(isolation.bubblewrap, network=network))


async def _try(isolation: Isolation, area: Path, limits: Limits) -> None:
    """Start a sandbox and end it. Raises ``IsolationUnavailable`` and ``NetworkFailed``."""
    directories = Directories(area / f"probe-{secrets.token_hex(4)}")
    user = new_user(isolation, ())
    probe = Sandbox(isolation, directories, limits, user, lambda: None)
    try:
        isolation.make(directories, user)
        await probe.open()
        await probe.close()
    except StartFailed as error:
        raise IsolationUnavailable(f"bubblewrap is installed but cannot start a sandbox here ({error})") from error
    finally:
        await remove(directories.root)
