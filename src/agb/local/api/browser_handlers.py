"""Handlers of browsers: starting one in a session, and the address at which it is driven."""

from __future__ import annotations

from pathlib import PurePosixPath

from ..._wire.reply import NOT_OFFERED
from ..browser import options
from ..browser.launch import PROFILE
from ..browser.process import BrowserUnavailable
from ..browser.session_browser import NotInstalled
from ..errors import Refused, invalid
from ..sessions.images import check_browser
from ..validation import object_or_json, shown
from .handlers import Answer, Api
from .request import ApiRequest

BROWSER_UNAVAILABLE = "BrowserUnavailable"


async def browser_init(api: Api, request: ApiRequest) -> Answer:
    """Start the session's browser, or answer the one that runs; the port is that of its DevTools in the session."""
    session = api.runtime.find(request.from_query("sessionId"))
    check_browser(session.image_id)
    asked = options.read(object_or_json(request.query.get("browserOption") or "{}", options.WHAT))
    profile = _profile(request.query.get("persistentPath") or PROFILE)
    try:
        with session.active():
            await session.mounts.loaded()  # the profile may be one of them
            browser = await session.browser.start(asked, profile=profile)
    except BrowserUnavailable as error:
        raise _refused(error) from error
    warnings = list(browser.warnings)
    if session.browser.options != asked:
        warnings.append("a browser runs already, with other options; stop it first to start one with these")
    return Answer({"port": browser.port, "browserType": browser.kind, "warnings": warnings})


async def get_cdp_link(api: Api, request: ApiRequest) -> Answer:
    """Answer the URLs at which DevTools clients drive the session's browser: of its WebSocket, and by HTTP."""
    session = api.runtime.find(request.from_query("sessionId"))
    check_browser(session.image_id)
    session.touch()
    try:
        browser = session.browser.running()
    except BrowserUnavailable as error:
        raise _refused(error) from error
    url, http_url = api.cdp_links.urls(session, browser, request.base, by_name=request.by_name)
    return Answer({"url": url, "httpUrl": http_url})


def _profile(text: str) -> str:
    path = PurePosixPath(text)
    if not path.is_absolute() or ".." in path.parts or "\0" in text:
        raise invalid(f"persistentPath must be an absolute path, not {shown(text)}")
    return str(path)


def _refused(error: BrowserUnavailable) -> Refused:
    if isinstance(error, NotInstalled):
        return Refused(NOT_OFFERED, f"Browser: {error}", http_status=501)
    return Refused(BROWSER_UNAVAILABLE, f"{str(error)[:1].upper()}{str(error)[1:]}", http_status=409)
