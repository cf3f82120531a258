"""The session's page: what its resource_url opens, one self-contained document that shows the session as it is now.

Everything on it is rendered and escaped here. A small script asks for the same content again every few seconds and
puts it in place; without scripts the browser reloads the page.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from html import escape
from string import Template
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from ..errors import Refused
from ..sessions.metrics import ProcessInfo
from ..sessions.runtime import Runtime
from ..sessions.session import LocalSession
from .links import Links

_MOST_SYNCS = 30


def page_url(session: LocalSession, base: str) -> str:
    """Return a URL of a session's page with a fresh auth code; ``base`` is scheme and host of this server."""
    query = urlencode({"resourceId": session.resource_id, "authcode": session.new_ticket()})
    return f"{base}/sessions/{session.id}/page?{query}"


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
            return _response(_DOCUMENT.substitute(title="No session to show", state="ended", content=_CLOSED), 403)
        content = await self._content(session)
        if request.query_params.get("part") == "content":
            return _response(content)
        return _response(_DOCUMENT.substitute(title=f"Session {escape(session.id)}", state="live", content=content))

    async def _content(self, session: LocalSession) -> str:
        links = self._links.given(session)
        processes = await session.processes()
        now = datetime.now(UTC)
        parts = [
            _header(session),
            _facts(session, now),
            _section("Labels", _labels(session)),
            _section("Links", _table(("port", "", "address"), _link_rows(links))),
            _section("Contexts", _table(("", "when", "what", "directory", "context", ""), _sync_rows(session, now))),
            _section("Processes", _table(("pid", "name", "CPU", "memory", "command"), map(_process_row, processes))),
            _section("Recent calls", _table(("", "when", "tool", "took", "what"), _call_rows(session, now))),
        ]
        return "".join(parts)


def _header(session: LocalSession) -> str:
    return (
        f"<header><h1>{escape(session.image_id)}</h1><p class=state>{escape(session.state)}</p>"
        f"<p class=id>{escape(session.id)}</p></header>"
    )


def _facts(session: LocalSession, now: datetime) -> str:
    facts = {
        "created": f"{session.created_at:%Y-%m-%d %H:%M:%S} UTC",
        "age": _duration((now - session.created_at).total_seconds()),
        "idle": f"{_duration(session.idle_for)} of {_duration(session.idle_timeout)}",
    }
    return "<dl>" + "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts.items()) + "</dl>"


def _labels(session: LocalSession) -> str:
    return "".join(
        f"<span class=label><i>{escape(key)}</i>{escape(value)}</span>" for key, value in session.labels.items()
    )


def _link_rows(links: Mapping[tuple[str, int], str]) -> Iterable[tuple[str, ...]]:
    for (scheme, port), url in links.items():
        shown = escape(url)
        yield (
            str(port),
            scheme,
            f'<a href="{shown}" target=_blank rel=noopener>{shown}</a>' if scheme == "http" else shown,
        )


def _sync_rows(session: LocalSession, now: datetime) -> Iterable[tuple[str, ...]]:
    """Return the syncs, the latest first; a mount that was never synchronised has a row without one."""
    rows = session.mounts.rows()[-_MOST_SYNCS:]
    for row in reversed(rows):
        mark = {"Success": "<b class=ok>✓</b>", "Failed": "<b class=failed>✗</b>"}.get(row["status"], "…")
        at = datetime.fromtimestamp(row["finishTime"] or row["startTime"] or now.timestamp(), UTC)
        ago = f"{_duration((now - at).total_seconds())} ago"
        yield mark, ago, row["taskType"], escape(row["path"]), escape(row["contextId"]), escape(row["errorMessage"])
    synced = {(row["contextId"], row["path"]) for row in rows}
    for mount in session.mounts.mounts:
        if (mount.context_id, mount.path) not in synced:
            yield "", "", "", escape(mount.path), escape(mount.context_id), ""


def _process_row(process: ProcessInfo) -> tuple[str, ...]:
    command = process.cmdline if isinstance(process.cmdline, str) else " ".join(process.cmdline)
    return (
        str(process.pid),
        escape(process.name),
        f"{process.cpu_seconds:.2f} s",
        f"{process.memory_bytes / 2**20:.1f} MiB",
        f"<code>{escape(command)}</code>",
    )


def _call_rows(session: LocalSession, now: datetime) -> Iterable[tuple[str, ...]]:
    for call in reversed(session.recent_calls):
        yield (
            "<b class=ok>✓</b>" if call.ok else "<b class=failed>✗</b>",
            f"{_duration((now - call.at).total_seconds())} ago",
            f"{escape(call.tool)} <small>by {escape(call.route)}</small>",
            _took(call.seconds),
            f"<code>{escape(call.summary)}</code>",
        )


def _section(title: str, content: str) -> str:
    return f"<section><h2>{title}</h2>{content or '<p class=none>none</p>'}</section>"


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a table of cells that are HTML already, ``""`` if there are no rows."""
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    head = "".join(f"<th>{name}</th>" for name in heads)
    return f"<div class=wide><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>" if body else ""


def _duration(seconds: float) -> str:
    """Return a length of time as people say it: ``42 s``, ``5 min 3 s``, ``2 h 10 min``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, left = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min" + (f" {left} s" if left else "")
    return f"{minutes // 60} h" + (f" {minutes % 60} min" if minutes % 60 else "")


def _took(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


# --- the document ------------------------------------------------------------------------------------------------

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #636c76; --line: #d8dee4; --paper: #f6f8fa; --card: #fff;
  --good: #1a7f37; --bad: #cf222e; --link: #0969da; --chip: #ddf4ff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #8d96a0; --line: #30363d; --paper: #0d1117;
  --card: #161b22; --good: #3fb950; --bad: #f85149; --link: #4493f8; --chip: #1c2d41; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 2rem 1rem 3rem; }
header { display: flex; flex-wrap: wrap; align-items: center; gap: .25rem .75rem; }
h1 { font-size: 1.5rem; margin: 0; }
h2 { font-size: .8rem; letter-spacing: .06em; text-transform: uppercase; color: var(--soft); margin: 0 0 .6rem; }
header p { margin: 0; }
.state { color: var(--good); border: 1px solid; border-radius: 2rem; padding: 0 .7rem; font-size: .75rem; }
.state::before { content: "●"; margin-right: .4rem; }
.id { flex-basis: 100%; color: var(--soft); font: .85rem ui-monospace, monospace; overflow-wrap: anywhere; }
section, dl { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: 1rem;
  margin: 1rem 0 0; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .75rem; }
dt, small, .none, th { color: var(--soft); font-size: .8rem; font-weight: normal; }
dd, p.none { margin: 0; }
.label { display: inline-block; background: var(--chip); border-radius: .4rem; padding: .05rem .55rem;
  margin: 0 .4rem .3rem 0; overflow-wrap: anywhere; }
.label i { font-style: normal; color: var(--soft); margin-right: .45rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: .3rem .9rem .3rem 0; white-space: nowrap; }
td { border-top: 1px solid var(--line); }
td:last-child { white-space: normal; overflow-wrap: anywhere; width: 99%; min-width: 14rem; }
code { font: .82rem ui-monospace, monospace; }
a { color: var(--link); }
.ok { color: var(--good); } .failed { color: var(--bad); }
.ended .state { color: var(--soft); }
"""

_SCRIPT = """
const main = document.querySelector("main");
const again = new URL(location.href);
again.searchParams.set("part", "content");
async function refresh() {
  if (document.hidden) return;
  try {
    const answer = await fetch(again, {cache: "no-store"});
    if (answer.ok) { main.innerHTML = await answer.text(); return; }
  } catch { /* the runtime has stopped: the page says so below */ }
  clearInterval(timer);
  document.body.className = "ended";
  const state = document.querySelector(".state");
  if (state) state.textContent = "no longer shown: the session ended, or this address expired";
}
const timer = document.body.className === "live" ? setInterval(refresh, 3000) : 0;
"""

_CLOSED = """<header><h1>No session to show here</h1></header>
<section><p class=none>This address has expired, or its session has ended. An address is good for 30 minutes: ask the
session for a new one with <code>session.info()</code> and open its <code>resource_url</code>.</p></section>"""

_DOCUMENT = Template(
    "<!doctype html><html lang=en><head><meta charset=utf-8><title>$title</title>"
    '<meta name=viewport content="width=device-width, initial-scale=1"><meta name=referrer content=no-referrer>'
    '<link rel=icon href="data:,"><noscript><meta http-equiv=refresh content=5></noscript>'
    f"<style>{_STYLE}</style></head>"
    f"<body class=$state><main>$content</main><script>{_SCRIPT}</script></body></html>"
)


def _source(text: str) -> str:
    """Return the words by which a content security policy allows exactly this inline text."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


_HEADERS = {
    "content-security-policy": (
        f"default-src 'none'; style-src {_source(_STYLE)}; script-src {_source(_SCRIPT)}; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def _response(html: str, status: int = 200) -> Response:
    return HTMLResponse(html, status, _HEADERS)
