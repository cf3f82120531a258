"""The commands about sessions: ``agb session ...``, ``agb ls``, ``agb rm``, ``agb open``, ``agb browser``."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .._ops import ownership
from .._ops import sessions as ops
from .._ops.dashboard import dashboard_address
from .._sync._compat.concurrency import gather
from .._wire.labels import OWNER, shown
from ..exceptions import AGBError, ErrorKind
from .errors import exit_code
from .output import FAILED, NOT_FOUND, USAGE, CommandFailed, Output, clean, confirm
from .parser import DURATION, Shared, command, label_option
from .settings import client

if TYPE_CHECKING:
    from .. import AGB, Session

F = TypeVar("F", bound=Callable[..., Any])

AT_A_TIME = 16
"""Sessions that are asked, or deleted, at the same time."""
_MIB = 2**20


def session_argument() -> Callable[[F], F]:
    """Return the decorator of the argument SESSION, which shells can complete."""
    return click.argument("session_id", metavar="SESSION", shell_complete=_complete)


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the ids of sessions that begin with what was typed; none if the service cannot be asked."""
    del param
    try:
        with client(ctx.find_root().ensure_object(Shared)) as agb:
            return [one for one in agb.list(limit=100, timeout=2).session_ids if one.startswith(incomplete)]
    except (CommandFailed, AGBError):  # nothing may be printed while a line is typed
        return []


def properties(agb: AGB, session_id: str) -> dict[str, Any] | None:
    """Return what the service knows about a session, as it is printed; None if the session is gone."""
    try:
        labels, _ = agb.client.call(ops.get_label(session_id))
        found = agb.get_session(session_id).raise_for_error().data
    except AGBError as error:
        if error.kind is ErrorKind.NOT_FOUND:
            return None
        raise
    made_at, _ = ownership.making_of(labels)
    return {
        "id": session_id,
        "image": found.image_id,
        "state": found.status or "RUNNING",
        "created_at": made_at or None,
        "age": age(time.time() - made_at) if made_at else "",
        "owner": labels.get(OWNER, ""),
        "labels": shown(labels),
    }


def age(seconds: float) -> str:
    """Return a time in its largest whole unit: 5s, 12m, 3h, 2d."""
    units = ((86400, "d"), (3600, "h"), (60, "m"))
    size, unit = next(((size, unit) for size, unit in units if seconds >= size), (1, "s"))
    return f"{max(0, int(seconds)) // size}{unit}"


def each(items: Sequence[Any], function: Any) -> list[Any]:
    """Return the results of a function for each item; several run at the same time."""
    results: list[Any] = []
    for begin in range(0, len(items), AT_A_TIME):
        results += gather([partial(function, item) for item in items[begin : begin + AT_A_TIME]])
    return results


def ids_with(agb: AGB, labels: Sequence[tuple[str, str]]) -> list[str]:
    """Return the ids of all sessions with these labels."""
    return [session.session_id for session in agb.iterate(dict(labels))]


# --- looking ----------------------------------------------------------------------------------------------------------


@command("agb ls", "agb ls --label project=demo --state RUNNING", "agb ls -q | xargs agb rm --yes", "agb ls --json")
@label_option("Only sessions with this label; more than one may be given.")
@click.option("--state", metavar="STATE", help="Only sessions in this state, such as RUNNING.")
@click.option("--image", metavar="IMAGE", help="Only sessions of this image.")
@click.pass_obj
def ls(shared: Shared, labels: tuple[tuple[str, str], ...], state: str | None, image: str | None) -> None:
    """List sessions, with image, state, age and labels.

    The age is known of sessions that this SDK created.
    """
    out = Output(shared)
    with client(shared) as agb:
        ids = ids_with(agb, labels)
        if shared.quiet and state is None and image is None:
            found = [{"id": session_id} for session_id in ids]
        else:
            found = [one for one in each(ids, lambda session_id: properties(agb, session_id)) if one is not None]
    if state is not None:
        found = [one for one in found if one["state"].upper() == state.upper()]
    if image is not None:
        found = [one for one in found if one["image"] == image]
    out.values(found, ("id", "image", "state", "age", "owner", "labels"), "no sessions found")


@command("agb session info SESSION", "agb session info SESSION --json")
@session_argument()
@click.pass_obj
def info(shared: Shared, session_id: str) -> None:
    """Show a session: image, state, age, labels, and the address of its page.

    The address carries an auth code that is valid for a short time, so do not publish it.
    """
    with client(shared) as agb:
        found = properties(agb, session_id)
        if found is None:
            raise CommandFailed(f"there is no session {session_id!r}", NOT_FOUND)
        page = agb.attach(session_id).info().raise_for_error().data["resource_url"]
    Output(shared).record({**found, "page": page}, "id")


@command("agb session stats", "agb session stats SESSION --interval 2s")
@click.argument("session_ids", metavar="[SESSION]...", nargs=-1, shell_complete=_complete)
@click.option("--interval", type=DURATION, metavar="TIME", help="Measure again after this time, until Ctrl-C.")
@click.pass_obj
def stats(shared: Shared, session_ids: tuple[str, ...], interval: float | None) -> None:
    """Show processor, memory and disk use of sessions; of all without arguments."""
    out = Output(shared)
    with client(shared) as agb:
        while True:
            ids = list(session_ids) or ids_with(agb, ())
            rows = [row for row in each(ids, lambda one: _usage(agb, one, required=bool(session_ids))) if row]
            out.values(rows, ("id", "cpu_percent", "memory_mib", "memory_percent", "disk_mib"), "no sessions found")
            if interval is None:
                return
            time.sleep(interval)


def _usage(agb: AGB, session_id: str, *, required: bool) -> dict[str, Any] | None:
    result = agb.attach(session_id).get_metrics()
    if result.error is not None and result.error.kind is ErrorKind.NOT_FOUND and not required:
        return None
    metrics = result.raise_for_error().metrics
    assert metrics is not None  # a success has them
    return {
        "id": session_id,
        "cpu_percent": round(metrics.cpu_used_pct, 1),
        "memory_mib": round(metrics.mem_used / _MIB, 1),
        "memory_percent": round(100 * metrics.mem_used / metrics.mem_total, 1) if metrics.mem_total else 0.0,
        "disk_mib": round(metrics.disk_used / _MIB, 1),
    }


# --- creating and changing --------------------------------------------------------------------------------------------


@command(
    "agb session create",
    "agb session create --image agb-browser-use-1 --label project=demo",
    "agb session create --context data=/home/user/data",
)
@click.option("--image", metavar="IMAGE", default="agb-code-space-1", show_default=True, help="The image.")
@label_option("A label; more than one may be given.")
@click.option("--policy", metavar="ID", help="The id of a policy.")
@click.option("--context", "contexts", multiple=True, metavar="NAME=PATH", help="Mount a context; made if needed.")
@click.pass_obj
def create(
    shared: Shared, image: str, labels: tuple[tuple[str, str], ...], policy: str | None, contexts: tuple[str, ...]
) -> None:
    """Create a session and print its id."""
    out = Output(shared)
    with client(shared) as agb:
        session = create_session(agb, image, labels, policy, contexts)
    out.value({"id": session.session_id, "image": image, "labels": dict(labels)}, "id")


def create_session(
    agb: AGB,
    image: str,
    labels: Sequence[tuple[str, str]] = (),
    policy: str | None = None,
    contexts: Sequence[str] = (),
) -> Session:
    """Return a new session; contexts are ``NAME=PATH``."""
    from .. import ContextSync, CreateSessionParams

    mounts = []
    for given in contexts:
        name, sign, path = given.partition("=")
        if not sign or not path.startswith("/"):
            raise CommandFailed(f"--context {given!r} is not NAME=PATH with an absolute path", USAGE)
        context = agb.context.get(name, create=True).raise_for_error().context
        assert context is not None  # a success has one
        mounts.append(ContextSync.new(context.id, path))
    params = CreateSessionParams(image_id=image, labels=dict(labels), policy_id=policy, context_syncs=mounts)
    session = agb.create(params).raise_for_error().session
    assert session is not None  # a success has one
    return session


@command(
    "agb session labels SESSION",
    "agb session labels SESSION stage=test owner-",
    "agb session labels SESSION --replace stage=test",
)
@session_argument()
@click.argument("changes", metavar="[KEY=VALUE | KEY-]...", nargs=-1)
@click.option("--replace", is_flag=True, help="Remove all labels that are not given.")
@click.pass_obj
def labels(shared: Shared, session_id: str, changes: tuple[str, ...], replace: bool) -> None:
    """Show the labels of a session, or change them: KEY=VALUE sets one, KEY- removes one."""
    out = Output(shared)
    with client(shared) as agb:
        session = agb.attach(session_id)
        now: dict[str, str] = session.get_labels().raise_for_error().data
        if changes or replace:
            now = _changed({} if replace else now, changes)
            session.set_labels(now).raise_for_error()
    if out.is_json:
        out.data(now)
        return
    for key, value in now.items():
        click.echo(clean(f"{key}={value}"))


def _changed(labels: Mapping[str, str], changes: Sequence[str]) -> dict[str, str]:
    new = dict(labels)
    for change in changes:
        key, sign, value = change.partition("=")
        if sign and key:
            new[key] = value
        elif not sign and key.endswith("-") and len(key) > 1:
            new.pop(key[:-1], None)
        else:
            raise CommandFailed(f"{change!r} is neither KEY=VALUE nor KEY-", USAGE)
    return new


@command("agb session link SESSION --port 30100", 'curl "$(agb session link SESSION --port 30100)"')
@session_argument()
@click.option("--port", type=int, metavar="PORT", help="The port in the session, from 30100 to 30199.")
@click.option("--protocol", metavar="NAME", help="https or wss.")
@click.pass_obj
def link(shared: Shared, session_id: str, port: int | None, protocol: str | None) -> None:
    """Print a URL that leads to a port of a session. Who has it reaches the port, so do not publish it."""
    out = Output(shared)
    with client(shared) as agb:
        url = agb.attach(session_id).get_link(protocol, port).raise_for_error().data
    out.value({"id": session_id, "url": url}, "url")


@command("agb session keep-alive SESSION")
@click.argument("session_ids", metavar="SESSION...", nargs=-1, required=True, shell_complete=_complete)
@click.pass_obj
def keep_alive(shared: Shared, session_ids: tuple[str, ...]) -> None:
    """Start the idle time of sessions afresh."""
    out = Output(shared)
    with client(shared) as agb:
        for session_id in session_ids:
            agb.attach(session_id).keep_alive().raise_for_error()
    out.values([{"id": session_id} for session_id in session_ids], ("id",), "")


@command("agb rm SESSION", "agb rm --label project=demo --yes", "agb rm --all --sync")
@click.argument("session_ids", metavar="[SESSION]...", nargs=-1, shell_complete=_complete)
@label_option("Sessions with this label; more than one may be given.")
@click.option("--all", "everything", is_flag=True, help="All sessions of the account.")
@click.option("--sync", is_flag=True, help="Store the data of their contexts first, and wait for that.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.pass_obj
def rm(
    shared: Shared,
    session_ids: tuple[str, ...],
    labels: tuple[tuple[str, str], ...],
    everything: bool,
    sync: bool,
    yes: bool,
) -> int:
    """Delete sessions. It asks first, unless exactly one is named."""
    if bool(session_ids) + bool(labels) + everything != 1:
        raise CommandFailed("name sessions, or give --label, or --all: one of the three", USAGE)
    out = Output(shared)
    with client(shared) as agb:
        ids = list(dict.fromkeys(session_ids)) or ids_with(agb, labels)
        if not ids:
            raise CommandFailed("no session has these labels" if labels else "there are no sessions", NOT_FOUND)
        if not session_ids or len(ids) > 1:
            named = ", ".join(map(clean, ids[:5])) + (f" and {len(ids) - 5} more" if len(ids) > 5 else "")
            confirm(f"Delete {len(ids)} session{'s' if len(ids) > 1 else ''} ({named})?", yes=yes)
        errors = each(ids, lambda session_id: agb.attach(session_id).delete(sync).error)
    rows = [
        {"id": session_id, "deleted": error is None, "error": None if error is None else str(error)}
        for session_id, error in zip(ids, errors, strict=True)
    ]
    if out.is_json:
        out.data(rows)
    else:
        for row, error in zip(rows, errors, strict=True):
            if error is None:
                click.echo(clean(row["id"]))
            else:
                click.echo(f"agb: {clean(error)}", err=True)
    failed = [error for error in errors if error is not None]
    return 0 if not failed else exit_code(failed[0]) if len(failed) == len(ids) else FAILED


# --- what a person looks at -------------------------------------------------------------------------------------------


@command("agb open", "agb open SESSION", "agb open SESSION --print")
@click.argument("session_id", metavar="[SESSION]", required=False, shell_complete=_complete)
@click.option("--print", "only_print", is_flag=True, help="Print the address in place of opening it.")
@click.pass_obj
def open_(shared: Shared, session_id: str | None, only_print: bool) -> None:
    """Open a session's page in the browser: its screen, or what it does. Without a session, open the dashboard.

    Only the local runtime has a dashboard. The address carries a code that lets a browser in, so do not publish it.
    """
    out = Output(shared)
    with client(shared) as agb:
        if session_id is None:
            url, _ = agb.client.call(dashboard_address())
        else:
            url = agb.attach(session_id).info().raise_for_error().data["resource_url"]
    if out.is_json:
        out.data({"id": session_id, "url": url})
        return
    if not only_print:
        import webbrowser

        only_print = not webbrowser.open(url)  # it returns whether there is a browser
    if only_print:
        click.echo(url)


@command("agb browser SESSION", "agb browser SESSION --stealth")
@session_argument()
@click.option("--stealth", is_flag=True, help="Start it so that pages do not see a program.")
@click.option("--user-agent", metavar="TEXT", help="The user agent that pages see.")
@click.option("--open", "start_url", metavar="URL", help="The page to open.")
@click.pass_obj
def browser(shared: Shared, session_id: str, stealth: bool, user_agent: str | None, start_url: str | None) -> None:
    """Start the browser of a session, if it does not run, and print the address of its DevTools protocol.

    Playwright connects to it with connect_over_cdp. Who has the address controls the browser, so do not publish it.
    """
    from .. import BrowserOption

    out = Output(shared)
    with client(shared) as agb:
        session = agb.get(session_id).raise_for_error().session
        # Without an option, a browser that runs already is used with those it has.
        is_set = stealth or user_agent is not None or start_url is not None
        option = BrowserOption(use_stealth=stealth, user_agent=user_agent, default_navigate_url=start_url)
        session.browser.start(option if is_set else None)
        url = session.browser.get_endpoint_url()
    out.value({"id": session_id, "url": url}, "url")
