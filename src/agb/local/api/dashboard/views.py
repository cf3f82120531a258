"""What the dashboard shows, as HTML: each part by its id, so that only those that changed are sent again."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from ...._version import __version__
from ...._wire import labels
from ...contexts.stored import StoredContext
from ...sessions.runtime import Runtime
from ...sessions.session import CallRecord, LocalSession, RunningCall
from ..links import Links
from ..rendering import environment
from ..session_page import sync_rows
from .usage import Usage, polyline

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATES = Path(__file__).parent / "templates"
_MIB = 2**20
_MOST_CONTEXTS = 200
_MOST_OUTPUT = 2000


@frozen
class Part:
    """A part of a page that changes: its id, and its HTML."""

    id: str
    html: str


@frozen
class Rows:
    """The rows of a table: the id of its body, and the HTML of each row by its key, in order."""

    id: str
    rows: Mapping[str, str]


@frozen
class Views:
    """Makes the pages of the dashboard of a runtime, and their parts."""

    runtime: Runtime
    links: Links
    usage: Usage

    def page(self, template: str, **values: Any) -> str:
        """Return a whole page."""
        made = _environment().get_template(template)
        return made.render(version=__version__, report=self.runtime.report, **values).lstrip()

    # --- the overview ---

    def overview(self) -> tuple[list[Part], list[Rows]]:
        """Return the parts of the overview but for the contexts, which are read from disk."""
        sessions = self.runtime.sessions()
        rows = {session.id: self._render("session_row.html", **self._session(session)) for session in sessions}
        totals = [self.usage.points(session)[-1] for session in sessions if self.usage.points(session)]
        summary = self._render(
            "summary.html",
            count=len(sessions),
            cpu=sum(point.cpu for point in totals),
            memory=sum(point.memory for point in totals),
            disk=sum(point.disk for point in totals),
        )
        return [Part("summary", summary)], [Rows("sessions", rows)]

    async def contexts(self) -> Rows:
        """Return the rows of the contexts."""
        return Rows("contexts", await self.runtime.contexts.run(self._context_rows))

    def _context_rows(self) -> dict[str, str]:
        store = self.runtime.contexts.store
        rows = {}
        for context in store.list(_MOST_CONTEXTS).contexts:
            files = [file for file in store.files(context.id) if file.kind == "file"]
            rows[context.id] = self._render(
                "context_row.html", **_context(context, len(files), sum(f.size for f in files))
            )
        return rows

    # --- a session ---

    async def session(self, session: LocalSession) -> tuple[list[Part], list[Rows]]:
        """Return the parts of a session's page."""
        now = datetime.now(UTC)
        processes = await session.processes()
        calls = [_running(call, now) for call in session.running_calls]
        calls += [_ended(call) for call in reversed(session.recent_calls)]
        parts = [
            Part("facts", self._render("facts.html", **self._session(session))),
            Part(
                "tables",
                self._render(
                    "session_tables.html",
                    links=self.links.created(session),
                    syncs=list(sync_rows(session, now)),
                    processes=processes,
                    since=lambda at: (now - at).total_seconds(),
                ),
            ),
        ]
        rows = {call["key"]: self._render("call_row.html", call=call) for call in calls}
        return parts, [Rows("calls", rows)]

    def _session(self, session: LocalSession) -> dict[str, Any]:
        points = self.usage.points(session)
        last = points[-1] if points else None
        return {
            "session": session,
            "labels": labels.shown(session.labels),
            "age": (datetime.now(UTC) - session.created_at).total_seconds(),
            "last": last,
            "cpu_line": polyline([point.cpu for point in points], top=10.0),
            "memory_line": polyline([point.memory / _MIB for point in points], top=64.0),
            "disk_line": polyline([point.disk / _MIB for point in points], top=1.0),
        }

    def files(self, session: LocalSession, path: str, text: str) -> str:
        """Return the page of a directory of a session; ``text`` is the reply of the tool that lists it."""
        entries = []
        for line in text.split("\n") if text else ():  # a name may hold any other character that ends a line
            kind, _, name = line.partition(" ")
            below = f"{path.rstrip('/')}/{name}"
            entries.append({"name": name, "path": below, "is_directory": kind == "[DIR]"})
        parent = path.rstrip("/").rpartition("/")[0] or "/"
        values = {"session": session, "path": path, "parent": parent, "entries": entries}
        return self.page("files.html", **values, title=f"{path} of {session.id}")

    def _render(self, template: str, **values: Any) -> str:
        return _environment().get_template(template).render(values).strip()


def _context(context: StoredContext, files: int, size: int) -> dict[str, Any]:
    return {"context": context, "files": files, "size": size, "last_used": time.time() - context.last_used}


def _running(call: RunningCall, now: datetime) -> dict[str, Any]:
    return _call(call, "running", (now - call.at).total_seconds())


def _ended(call: CallRecord) -> dict[str, Any]:
    return _call(call, "ok" if call.ok else "failed", call.seconds, output_of(call.tool, call.reply))


def _call(call: RunningCall | CallRecord, state: str, seconds: float, output: str = "") -> dict[str, Any]:
    """Return what is shown of a call; its key stays the same when it ends, so its row does."""
    return {
        "key": f"call-{call.number}",
        "state": state,
        "tool": call.tool,
        "route": call.route,
        "summary": call.summary,
        "seconds": seconds,
        "at": call.at,
        "output": output,
    }


def output_of(tool: str, reply: str) -> str:
    """Return what a person wants to see of the text of a reply: the output of commands and code, otherwise the text."""
    try:
        value = json.loads(reply)
    except ValueError:
        return reply[:_MOST_OUTPUT]
    if tool not in ("shell", "run_code") or not isinstance(value, dict):
        return reply[:_MOST_OUTPUT]
    pieces: list[str] = []
    for name in ("stdout", "stderr"):
        piece = value.get(name)
        pieces += piece if isinstance(piece, list) else [piece or ""]
    pieces += [str(item.get("text/plain", "")) for item in value.get("result") or [] if isinstance(item, dict)]
    pieces.append(value.get("executionError") or "")
    return "\n".join(piece.rstrip("\n") for piece in pieces if piece)[:_MOST_OUTPUT]


# --- updates ----------------------------------------------------------------------------------------------------------


class Changes:
    """What a viewer has seen, so that an update has only what changed since."""

    def __init__(self) -> None:
        self._seen: dict[str, str] = {}
        self._keys: dict[str, list[str]] = {}

    def update(self, parts: Sequence[Part], tables: Sequence[Rows]) -> dict[str, Any]:
        """Return the update from what was seen to these, empty if nothing changed."""
        changed = {part.id: part.html for part in parts if self._seen.get(part.id) != part.html}
        self._seen |= changed
        rows: dict[str, Any] = {}
        for table in tables:
            keys = list(table.rows)
            new = {key: html for key, html in table.rows.items() if self._seen.get(f"{table.id}/{key}") != html}
            if new or keys != self._keys.get(table.id):
                for gone in set(self._keys.get(table.id, ())) - set(keys):
                    self._seen.pop(f"{table.id}/{gone}", None)
                self._seen |= {f"{table.id}/{key}": html for key, html in new.items()}
                self._keys[table.id] = keys
                rows[table.id] = {"keys": keys, "rows": new}
        return {"parts": changed, "rows": rows} if changed or rows else {}


# --- templates --------------------------------------------------------------------------------------------------------


@functools.cache
def _environment() -> Environment:
    return environment(_TEMPLATES)


def asset(name: str) -> str:
    """Return the text of a file that the pages load."""
    return (_TEMPLATES / name).read_text("utf-8")
