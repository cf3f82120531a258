"""``agb cp``: files and directories between this machine and a session, with a progress bar and a summary."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from attrs import define

from .errors import exit_code
from .output import FAILED, NOT_FOUND, USAGE, CommandFailed, Output, clean, console
from .parser import Shared, command
from .settings import client

if TYPE_CHECKING:
    from .. import Session
    from ..exceptions import AGBError
    from ..results.transfers import FailedTransfer

_REMOTE = re.compile(r"(?P<session>[A-Za-z0-9][A-Za-z0-9_-]+):(?P<path>.*)", re.DOTALL)
"""SESSION:PATH. A local name with a colon in it is written with a directory before it, as ``./a:b``."""


@command(
    "agb cp data.csv SESSION:/tmp/data.csv",
    "agb cp project SESSION:/home/user/    # the directory project, below it",
    "agb cp SESSION:/tmp/out.png .",
    "agb cp SESSION:/tmp/results results",
)
@click.argument("source", metavar="SOURCE")
@click.argument("target", metavar="TARGET")
@click.pass_obj
def copy(shared: Shared, source: str, target: str) -> int:
    """Copy a file or a directory into a session, or out of it. One of the two is SESSION:PATH.

    As with cp, a target that is a directory, or ends with a slash, gets the source under its own name. Paths of the
    session that are not absolute begin at its home.
    """
    here, there = _REMOTE.fullmatch(source), _REMOTE.fullmatch(target)
    if (here is None) == (there is None):
        raise CommandFailed("one of SOURCE and TARGET is SESSION:PATH, and the other a path of this machine", USAGE)
    out = Output(shared)
    with client(shared) as agb:
        if there is not None:
            return _put(agb.attach(there["session"]), Path(source), there["path"], out)
        assert here is not None  # exactly one of them is None
        return _get(
            agb.attach(here["session"]), here["path"], Path(target), ends_with_slash=target[-1:] == "/", out=out
        )


# --- into the session -------------------------------------------------------------------------------------------------


def _put(session: Session, source: Path, given: str, out: Output) -> int:
    if not source.exists():
        raise CommandFailed(f"there is no {str(source)!r} here", NOT_FOUND)
    target = _absolute(session, given)
    if given.endswith("/") or not given or _is_directory(session, target):
        target = f"{target.rstrip('/')}/{source.resolve().name}"
    failures: Sequence[FailedTransfer] = ()
    with transfer_progress(out, f"copy {source}") as progress:
        if source.is_dir():
            done = session.file.upload_dir(source, target, progress=progress.report)
            error, failures = done.error, done.failures
        else:
            error = session.file.upload(str(source), target, progress_cb=progress.of(source.stat().st_size)).error
    return _summary(out, progress, str(source), f"{session.session_id}:{target}", error, failures)


def _absolute(session: Session, path: str) -> str:
    if path.startswith("/"):
        return path
    home = session.command.execute('printf %s "$HOME"', timeout_ms=10_000).raise_for_error().stdout
    return f"{home.rstrip('/')}/{path}".rstrip("/") or "/"


def _is_directory(session: Session, path: str) -> bool:
    return bool(_info(session, path).get("isDirectory"))


def _info(session: Session, path: str) -> Mapping[str, Any]:
    """Return what the session knows about a path; nothing if it is not there."""
    found = session.file.info(path)
    return found.file_info or {} if found.success else {}


# --- out of the session -----------------------------------------------------------------------------------------------


def _get(session: Session, given: str, target: Path, *, ends_with_slash: bool, out: Output) -> int:
    source = _absolute(session, given)
    info = _info(session, source)
    if ends_with_slash or target.is_dir():
        target = target / (source.rstrip("/").rpartition("/")[2] or session.session_id)
    failures: Sequence[FailedTransfer] = ()
    with transfer_progress(out, f"copy {given}") as progress:
        if info.get("isDirectory"):
            done = session.file.download_dir(source, target, progress=progress.report)
            error, failures = done.error, done.failures
        else:
            error = session.file.download(source, str(target), progress_cb=progress.of(info.get("size"))).error
    return _summary(out, progress, f"{session.session_id}:{source}", str(target), error, failures)


# --- progress and summary ---------------------------------------------------------------------------------------------


@define
class Progress:
    """Bytes that were moved, and when it began; drawn as a bar where a person looks."""

    bar: Any = None
    task: Any = None
    done: int = 0
    began: float = 0.0

    def report(self, done: int, total: int | None) -> None:
        """Take the bytes that were moved, and all if that is known."""
        self.done = max(self.done, done)
        if self.bar is not None:
            self.bar.update(self.task, completed=self.done, total=total)

    def of(self, total: int | None) -> Callable[[int], None]:
        """Return what takes the bytes that were moved, of a transfer whose size is known before."""
        return lambda done: self.report(done, total)


@contextmanager
def transfer_progress(out: Output, what: str) -> Iterator[Progress]:
    """Yield what a transfer reports to; a bar on stderr if that is a terminal."""
    if out.is_json or out.shared.quiet or not sys.stderr.isatty():
        yield Progress(began=time.monotonic())
        return
    from rich import progress as shown

    columns = (shown.TextColumn("{task.description}"), shown.BarColumn(), shown.DownloadColumn())
    with shown.Progress(*columns, shown.TransferSpeedColumn(), console=console(stderr=True), transient=True) as bar:
        yield Progress(bar, bar.add_task(clean(what), total=None), began=time.monotonic())


def _summary(
    out: Output,
    progress: Progress,
    source: str,
    target: str,
    error: AGBError | None,
    failures: Sequence[FailedTransfer],
) -> int:
    """Print what was copied and what was not, and return the exit code."""
    seconds = time.monotonic() - progress.began
    if out.is_json:
        value = {
            "source": source,
            "target": target,
            "bytes": progress.done,
            "seconds": round(seconds, 3),
            "failures": [{"path": one.local_path, "error": str(one.error)} for one in failures],
        }
        if error is not None and not failures:
            raise error
        out.data(value)
        return FAILED if failures else 0
    for one in failures:
        click.echo(f"agb: {clean(one.error)}", err=True)
    if error is not None and not failures:
        click.echo(f"agb: {clean(error)}", err=True)
        return exit_code(error)
    out.note(f"copied {clean(source)} to {clean(target)}: {size(progress.done)} in {seconds:.1f} s")
    return FAILED if failures else 0


def size(count: float) -> str:
    """Return a number of bytes in its largest unit: 17 B, 1.5 KiB, 20 MiB."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
