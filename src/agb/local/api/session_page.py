"""The session's page: what its resource_url opens, one self-contained document that shows the session as it is now.

The page is rendered here from templates that escape every value. A small script fetches the same content again every
few seconds and puts it in place; without scripts the browser reloads the page. On the page of a session with a desktop
a second script shows the screen and takes mouse and keyboard: noVNC, as the machine has it installed.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from attrs import frozen
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from ..._wire import labels
from ..desktop.programs import INSTALL_VIEWER
from ..errors import Refused
from ..sessions.images import has_browser
from ..sessions.runtime import Runtime
from ..sessions.session import LocalSession
from .dashboard.access import dashboard_origin
from .desktop import LONGEST_TYPED, VIEWER
from .links import Links
from .rendering import environment
from .request import base_url

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATES = Path(__file__).parent / "templates"
_MOST_SYNCS = 30


def screen_url(session: LocalSession, base: str, code: str) -> str:
    """Return the WebSocket URL at which a VNC viewer reaches a session's screen with an auth code."""
    return f"ws{base.removeprefix('http')}/sessions/{session.id}/screen?{urlencode({'authcode': code})}"


def page_url(session: LocalSession, base: str, *, only_live: bool = False) -> str:
    """Return a URL of a session's page with a fresh auth code; ``base`` is scheme and host of this server.

    ``only_live`` leaves out all but the live view of its screen or browser.
    """
    query = {"resourceId": session.resource_id, "authcode": session.new_ticket()} | (
        {"only": "live"} if only_live else {}
    )
    return f"{base}/sessions/{session.id}/page?{urlencode(query)}"


class SessionPage:
    """The pages of a runtime's sessions; looking at one does not count as activity of the session."""

    def __init__(self, runtime: Runtime, links: Links) -> None:
        self._runtime = runtime
        self._links = links

    async def show(self, request: Request) -> Response:
        """Return the page, or (with ``part=content``) what changes on it; 403 if the auth code does not hold."""
        try:
            session = self._runtime.find(request.path_params["session_id"])
        except Refused:
            session = None
        if session is None or not session.check_ticket(request.query_params.get("authcode", "")):
            return _page("session_page.html", 403, title="No session to show", session=None, only_live=False)
        is_part = request.query_params.get("part") == "content"
        now = datetime.now(UTC)
        return _page(
            "session_content.html" if is_part else "session_page.html",
            view=self._view(session, request),
            only_live=request.query_params.get("only") == "live",
            title=f"Session {session.id}",
            session=session,
            labels=labels.shown(session.labels),
            links=self._links.created(session),
            syncs=list(sync_rows(session, now)),
            processes=await session.processes(),
            since=lambda at: (now - at).total_seconds(),
        )

    def _view(self, session: LocalSession, request: Request) -> _View:
        """Return what of the session is shown live. The URL of a screen has the page's own auth code, and its end."""
        base = base_url(request)
        if not session.has_desktop:
            return _View(browses=has_browser(session.image_id), base=base)
        programs = self._runtime.desktop_programs
        if programs.missing or programs.viewer is None:
            why_not = f"No screen can be shown here: {programs.missing or INSTALL_VIEWER}."
            return _View(browses=True, base=base, why_no_screen=why_not)
        return _View(base=base, screen_url=screen_url(session, base, request.query_params["authcode"]))


@frozen(kw_only=True)
class _View:
    """What a page shows live: the screen of a desktop, by its URL, or why it cannot; else the pages of a browser."""

    base: str = ""
    """Scheme and host of this server."""
    browses: bool = False
    screen_url: str = ""
    why_no_screen: str = ""


@frozen
class _Sync:
    """A row about a sync; one of a mount that was never synchronised has no status."""

    path: str
    context_id: str
    at: datetime
    status: str = ""
    task_type: str = ""
    error: str = ""


def sync_rows(session: LocalSession, now: datetime) -> Iterable[_Sync]:
    """Return the syncs, the latest first, then the mounts without one."""
    rows = session.mounts.rows()[-_MOST_SYNCS:]
    for row in reversed(rows):
        at = datetime.fromtimestamp(row["finishTime"] or row["startTime"] or now.timestamp(), UTC)
        yield _Sync(row["path"], row["contextId"], at, row["status"], row["taskType"], row["errorMessage"])
    synced = {(row["contextId"], row["path"]) for row in rows}
    for mount in session.mounts.mounts:
        if (mount.context_id, mount.path) not in synced:
            yield _Sync(mount.path, mount.context_id, now)


# --- templates ---------------------------------------------------------------------------------------------------


@functools.cache
def _environment() -> Environment:
    """Return the environment of the page's templates."""
    from markupsafe import Markup

    made = environment(_TEMPLATES)
    # Our own files, put into the document as they are: the content security policy allows exactly these texts.
    made.globals.update(
        longest_text=LONGEST_TYPED,
        style=Markup(_file("session_page.css")),  # noqa: S704
        screen_script=Markup(_file("session_screen.js")),  # noqa: S704
        script={browses: Markup(_script(browses=browses)) for browses in (False, True)},  # noqa: S704
    )
    return made


def _file(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _script(*, browses: bool) -> str:
    """Return the script of the page, with that of the live view if the session has a browser."""
    return _file("session_page.js") + (_file("live_view.js") if browses else "")


def _headers(view: _View) -> dict[str, str]:
    """Return the headers of a page: it may load what it brings, and the viewer of a screen that it shows."""
    style, script = _source(_file("session_page.css")), _source(_script(browses=view.browses))
    connections = "'self'"
    framing = dashboard_origin(view.base) if view.base else "'none'"
    if view.screen_url:
        script += f" {_source(_file('session_screen.js'))} {view.base}{VIEWER}/"
        connections += f" ws{view.base.removeprefix('http')}"
    return {
        "content-security-policy": (
            f"default-src 'none'; style-src {style}; script-src {script}; connect-src {connections}; "
            "img-src data:; base-uri 'none'; form-action 'none'; "
            f"frame-ancestors {framing}"
        ),
        "cache-control": "no-store",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }


def _source(text: str) -> str:
    """Return the source expression by which a content security policy allows exactly this inline text."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _page(template: str, status: int = 200, view: _View | None = None, **values: Any) -> Response:
    view = view or _View()
    text = _environment().get_template(template).render(values, view=view).lstrip()
    return HTMLResponse(text, status, _headers(view))
