"""How a browser is started: what its options ask for, and its command line."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from attrs import field, frozen

if TYPE_CHECKING:
    from .process import Browser

PROFILE = "/tmp/agb_browser_data"
"""Where the profile is, seen from inside, unless the request names another place."""
BLANK = "about:blank"

_ARGUMENTS = (
    "--headless",
    # The port is read from what the browser prints; it is on the session's own loopback.
    "--remote-debugging-port=0",
    "--no-first-run",
    "--no-default-browser-check",
    # Nothing is asked of the network but what pages and the caller ask for.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-client-side-phishing-detection",
    "--no-pings",
    "--metrics-recording-only",
    "--disable-breakpad",
    # There is no keyring in a session. Cookies are encrypted with a fixed key, so that the next session can read them.
    "--password-store=basic",
    # Pages that are not shown at the moment work at full speed: a program drives several at a time.
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    # A caller that is slow to answer a dialog, or a page that is busy, is no reason to end the page.
    "--disable-hang-monitor",
    "--mute-audio",
    "--hide-crash-restore-bubble",
)


@frozen(kw_only=True)
class LaunchOptions:
    """What the options of a browser ask for, as its start needs it."""

    arguments: tuple[str, ...] = ()
    """Command-line arguments after the runtime's own; of two equal switches Chromium takes the last."""
    environment: Mapping[str, str] = field(factory=dict)
    """Variables added to the session's environment."""
    start_url: str = BLANK
    """Opened in the first page once ``after_start`` is done."""
    extensions: tuple[str, ...] = ()
    """Directories of unpacked extensions, seen from inside the session."""
    after_start: Callable[[Browser], Awaitable[None]] | None = None
    """Called when the browser runs and before a page is opened; its ``cdp`` stays open as long as the browser."""
    notes: tuple[str, ...] = ()
    """Sentences about options that have no effect here, for the answer of the start."""


def command_line(program: str, profile: str, options: LaunchOptions, *, sandboxed: bool) -> list[str]:
    """Return the command line of a browser; ``sandboxed`` is whether Chromium makes its own sandbox as well."""
    line = [program, *_ARGUMENTS, f"--user-data-dir={profile}"]
    if not sandboxed:
        line.append("--no-sandbox")
    if options.extensions:
        line.append(f"--load-extension={','.join(options.extensions)}")
    return [*line, *options.arguments, BLANK]
