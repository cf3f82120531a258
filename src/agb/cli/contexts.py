"""The commands about contexts: ``agb context ...``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .copy import size, transfer_progress
from .errors import exit_code
from .output import FAILED, NOT_FOUND, CommandFailed, Output, clean, confirm
from .parser import Shared, command
from .sessions import session_argument
from .settings import client

if TYPE_CHECKING:
    from .. import AGB, Context
    from ..results.contexts import ContextFileEntry
    from ..results.transfers import ContextTransferResult


def _context(agb: AGB, name_or_id: str) -> Context:
    """Return the context of that name, or of that id. Raises `CommandFailed` if there is none."""
    for context in agb.context.iterate():
        if name_or_id in (context.id, context.name):
            return context
    raise CommandFailed(f"there is no context {name_or_id!r}: 'agb context ls' lists them", NOT_FOUND)


def _as_row(context: Context) -> dict[str, Any]:
    return {
        "id": context.id,
        "name": context.name,
        "state": context.state,
        "created_at": context.created_at,
        "last_used_at": context.last_used_at,
    }


@command("agb context ls", "agb context ls --json")
@click.pass_obj
def ls(shared: Shared) -> None:
    """List contexts."""
    with client(shared) as agb:
        rows = [_as_row(context) for context in agb.context.iterate()]
    Output(shared).values(rows, ("id", "name", "state", "created_at", "last_used_at"), "no contexts")


@command("agb context create data")
@click.argument("name")
@click.pass_obj
def create(shared: Shared, name: str) -> None:
    """Create a context and print its id; a context of that name that exists is used."""
    with client(shared) as agb:
        context = agb.context.get(name, create=True).raise_for_error().context
    assert context is not None  # a success has one
    Output(shared).value(_as_row(context), "id")


@command("agb context rm data", "agb context rm data other --yes")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.pass_obj
def rm(shared: Shared, names: tuple[str, ...], yes: bool) -> None:
    """Delete contexts, by name or id, with all their data. It asks first."""
    with client(shared) as agb:
        doomed = [_context(agb, name) for name in dict.fromkeys(names)]
        shown = ", ".join(clean(context.name) for context in doomed)
        confirm(f"Delete {shown} with all data?", yes=yes)
        for context in doomed:
            agb.context.delete(context).raise_for_error()
    Output(shared).values([_as_row(context) for context in doomed], ("id", "name"), "")


@command("agb context ls-files data", "agb context ls-files data /tmp/data")
@click.argument("name")
@click.argument("folder", default="")
@click.pass_obj
def ls_files(shared: Shared, name: str, folder: str) -> None:
    """List the files that a context holds, or those below a folder, such as /tmp/data of a session."""
    with client(shared) as agb:
        context = _context(agb, name)
        entries = _below(agb, context.id, folder.rstrip("/"))
    rows = [
        {"path": entry.file_path, "size": entry.size, "modified": entry.gmt_modified}
        for entry in sorted(entries, key=lambda entry: entry.file_path)
    ]
    Output(shared).values(rows, ("path", "size", "modified"), "no files", key="path")


def _below(agb: AGB, context_id: str, folder: str) -> list[ContextFileEntry]:
    # Asked for no folder, a service may list all files, or only those right in the root, as it does for a folder.
    found = [
        entry
        for entry in agb.context.iterate_files(context_id)
        if not folder or entry.file_path == folder or entry.file_path.startswith(f"{folder}/")
    ]
    return found or list(agb.context.iterate_files(context_id, folder or None))


@command("agb context put data local-directory /tmp/data", "agb context put data a.csv /tmp/data/")
@click.argument("name")
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.argument("target")
@click.pass_obj
def put(shared: Shared, name: str, source: Path, target: str) -> int:
    """Store a file, or the content of a directory, in a context, as TARGET of a session. No session is needed."""
    out = Output(shared)
    with client(shared) as agb:
        context = _context(agb, name)
        with transfer_progress(out, f"store {source}") as progress:
            done = agb.context.upload(context.id, source, target, progress=progress.report)
    return _transferred(out, done, "stored")


@command("agb context get data /tmp/data local-directory", "agb context get data /tmp/data/a.csv .")
@click.argument("name")
@click.argument("source")
@click.argument("target", type=click.Path(path_type=Path))
@click.pass_obj
def get(shared: Shared, name: str, source: str, target: Path) -> int:
    """Copy a file, or what is below a folder, from a context to this machine. No session is needed."""
    out = Output(shared)
    with client(shared) as agb:
        context = _context(agb, name)
        with transfer_progress(out, f"fetch {source}") as progress:
            done = agb.context.download(context.id, source, target, progress=progress.report)
    return _transferred(out, done, "fetched")


def _transferred(out: Output, done: ContextTransferResult, verb: str) -> int:
    if done.error is not None and not done.failures:
        raise done.error
    if out.is_json:
        out.data(
            {
                "files": [{"local": one.local_path, "remote": one.remote_path, "size": one.size} for one in done.files],
                "bytes": done.size,
                "failures": [{"path": one.local_path, "error": str(one.error)} for one in done.failures],
            }
        )
    else:
        for failure in done.failures:
            click.echo(f"agb: {clean(failure.error)}", err=True)
        files = f"{len(done.files)} file{'' if len(done.files) == 1 else 's'}"
        out.note(f"{verb} {files}, {size(done.size)}" + (f"; {len(done.failures)} failed" if done.failures else ""))
    if not done.failures:
        return 0
    return FAILED if done.files or done.error is None else exit_code(done.error)


@command("agb context sync SESSION", "agb context sync SESSION --mode download")
@session_argument()
@click.option(
    "--mode",
    type=click.Choice(["upload", "download"]),
    default="upload",
    show_default=True,
    help="upload stores the session's files, download fetches the stored ones.",
)
@click.option("--context", "name", metavar="NAME", help="Only this context; --path says where it is mounted.")
@click.option("--path", metavar="PATH", help="Where the context is mounted.")
@click.pass_obj
def sync(shared: Shared, session_id: str, mode: str, name: str | None, path: str | None) -> None:
    """Copy between a session and its contexts now, and wait until that is done."""
    out = Output(shared)
    with client(shared) as agb:
        context_id = None if name is None else _context(agb, name).id
        result = agb.attach(session_id).context.sync(context_id, path, mode, timeout=shared.timeout)
        result.raise_for_error()
        rows = [
            {"context": one.context_id, "path": one.path, "task": one.task_type, "status": one.status}
            for one in result.context_status_data
        ]
    out.values(rows, ("context", "path", "task", "status"), "the session has no contexts", key="context")
