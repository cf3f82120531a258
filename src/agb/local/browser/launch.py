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
    # The port is read from what the browser prints; it is on the session's own loopback.
    "--remote-debugging-port=0",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-search-engine-choice-screen",
    # Nothing is asked of the network but what pages and the caller ask for.
    "--disable-background-networking",
    "--disable-component-update",
    # Components that are asked for on demand, and the accounts of Google's sign-in, have no switch that ends them.
    "--component-updater=url-source=http://127.0.0.1:9/",
    "--gaia-url=http://127.0.0.1:9/",
    "--disable-sync",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-client-side-phishing-detection",
    "--disable-component-extensions-with-background-pages",
    "--disable-field-trial-config",
    "--no-pings",
    "--metrics-recording-only",
    "--disable-features=Translate,MediaRouter,DialMediaRouteProvider,OptimizationHints,NetworkTimeServiceQuerying",
    "--disable-breakpad",
    # There is no keyring in a session. Cookies are encrypted with a fixed key, so that the next session can read them.
    "--password-store=basic",
    # Shared memory is files in the session's /tmp: /dev/shm is small, and a browser that fills it crashes.
    "--disable-dev-shm-usage",
    # Pages that are not shown at the moment work at full speed: a program drives several at a time.
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--disable-ipc-flooding-protection",
    # A page that is busy for long is no reason to end it, and no question is asked that only a person would answer.
    "--disable-hang-monitor",
    "--disable-prompt-on-repost",
    "--hide-crash-restore-bubble",
    "--force-color-profile=srgb",
    "--mute-audio",
)
_SHOWN = (
    # No bar across the first page that calls switches of the list above unsafe; ChromeDriver starts Chromium so, too.
    "--test-type",
)
_LISTS = ("--disable-features", "--enable-features", "--disable-blink-features", "--enable-blink-features")
"""Switches with a list as their value."""


@frozen(kw_only=True)
class LaunchOptions:
    """What the options of a browser ask for, as its start needs it."""

    arguments: tuple[str, ...] = ()
    """Command-line arguments beside the runtime's own.

    Of two equal switches Chromium takes the last, so these count; lists of features are joined with the runtime's.
    """
    environment: Mapping[str, str] = field(factory=dict)
    """Variables added to the session's environment."""
    start_url: str = BLANK
    """Opened in the first page once ``after_start`` is done."""
    extensions: tuple[str, ...] = ()
    """Directories of unpacked extensions, seen from inside the session."""
    after_start: Callable[[Browser], Awaitable[None]] | None = None
    """Called when the browser runs and before a page is opened; its ``cdp`` stays open as long as the browser."""
    warnings: list[str] = field(factory=list)
    """Sentences about options that have no effect here, for the answer of the start; ``after_start`` may add some."""


def command_line(program: str, profile: str, options: LaunchOptions, *, sandboxed: bool, shown: bool) -> list[str]:
    """Return the command line of a browser, ``shown`` on a desktop or without a window.

    ``sandboxed`` is whether Chromium makes its own sandbox as well.
    """
    own = [*(_SHOWN if shown else ["--headless"]), *_ARGUMENTS, f"--user-data-dir={profile}"]
    if not sandboxed:
        own.append("--no-sandbox")
    # Without extensions a start is a fifth faster; the PDF viewer is none that this switch concerns.
    extensions = ",".join(options.extensions)
    own.append(f"--load-extension={extensions}" if extensions else "--disable-extensions")
    return [program, *_joined([*own, *options.arguments]), BLANK]


def _joined(arguments: list[str]) -> list[str]:
    """Return arguments with one list of features of each kind, the values of the last arguments first."""
    lists: dict[str, str] = {}
    others = []
    for argument in arguments:
        name, _, value = argument.partition("=")
        if name in _LISTS:
            lists[name] = f"{value},{lists[name]}" if name in lists else value
        else:
            others.append(argument)
    return [*others, *(f"{name}={value}" for name, value in lists.items())]
