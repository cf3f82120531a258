"""Command-line switches of a caller: those that are refused, and why."""

from __future__ import annotations

from collections.abc import Sequence

from ..validation import refuse, shown

_SANDBOX = "it would open the sandbox of the browser's processes"
_PROGRAM = "it would start a program in place of one of the browser's processes"
_DEBUGGING = "the runtime itself connects to the browser by it"
_PROFILE = "the runtime chooses the profile, so that it can be stored"
_ENDS = "the browser would do one thing and end"
_WAITS = "the browser would wait for a debugger"

REFUSED: dict[str, str] = {
    "allow-sandbox-debugging": _SANDBOX,
    "disable-gpu-sandbox": _SANDBOX,
    "disable-landlock-sandbox": _SANDBOX,
    "disable-namespace-sandbox": _SANDBOX,
    "disable-seccomp-filter-sandbox": _SANDBOX,
    "disable-setuid-sandbox": _SANDBOX,
    "disable-webnn-compiler-sandbox": _SANDBOX,
    "in-process-gpu": _SANDBOX,
    "no-sandbox": _SANDBOX,
    "no-unsandboxed-zygote": _SANDBOX,
    "no-zygote": _SANDBOX,
    "no-zygote-sandbox": _SANDBOX,
    "single-process": _SANDBOX,
    "browser-subprocess-path": _PROGRAM,
    "gpu-launcher": _PROGRAM,
    "ppapi-plugin-launcher": _PROGRAM,
    "renderer-cmd-prefix": _PROGRAM,
    "type": _PROGRAM,
    "utility-cmd-prefix": _PROGRAM,
    "zygote-cmd-prefix": _PROGRAM,
    "headless": "the runtime decides whether the browser has a display",
    "remote-allow-origins": "web pages could connect to the browser's DevTools",
    "remote-debugging-address": _DEBUGGING,
    "remote-debugging-io-pipes": _DEBUGGING,
    "remote-debugging-pipe": _DEBUGGING,
    "remote-debugging-port": _DEBUGGING,
    "remote-debugging-targets": _DEBUGGING,
    "no-startup-window": "the browser would have no page",
    "profile-directory": _PROFILE,
    "temp-profile": _PROFILE,
    "user-data-dir": _PROFILE,
    "dump-dom": _ENDS,
    "help": _ENDS,
    "pack-extension": _ENDS,
    "print-to-pdf": _ENDS,
    "product-version": _ENDS,
    "screenshot": _ENDS,
    "uninstall": _ENDS,
    "version": _ENDS,
    "browser-startup-dialog": _WAITS,
    "gpu-startup-dialog": _WAITS,
    "renderer-startup-dialog": _WAITS,
    "utility-startup-dialog": _WAITS,
    "wait-for-debugger": _WAITS,
    "wait-for-debugger-children": _WAITS,
    "wait-for-debugger-on-navigation": _WAITS,
}
"""Switches that are refused, and why.

What weakens the protection of web pages from each other only (``--disable-web-security``,
``--ignore-certificate-errors``) is the caller's own affair: it opens nothing that the session's programs cannot reach.
"""
_PROXY = ("proxy-auto-detect", "proxy-pac-url", "proxy-server", "no-proxy-server")
_LONGEST = 1 << 16
"""Bytes of one argument; Linux refuses to start a program with one of twice this length."""


def name_of(argument: str) -> str:
    """Return the name of the switch that an argument sets, such as ``disable-features``."""
    return argument.lstrip("-").partition("=")[0].lower()


def check(arguments: Sequence[str], *, has_proxy: bool) -> None:
    """Raise ``Refused`` unless a caller may give these arguments; the message names the switch."""
    for number, argument in enumerate(arguments):
        what = f"browserOption.cmdArgs[{number}]"
        if "\0" in argument or len(argument.encode("utf-8", "replace")) > _LONGEST:
            refuse(f"{what} has a null character or is longer than {_LONGEST} bytes")
        if not argument.startswith("-") or not (name := name_of(argument)):
            refuse(f"{what} is {shown(argument)}, which is no switch: a switch begins with --")
        if reason := REFUSED.get(name):
            refuse(f"{what}: the switch --{name} is refused: {reason}")
        if name in _PROXY and has_proxy:
            refuse(f"{what}: the switch --{name} contradicts the proxy in browserOption.proxies; give one of the two")
        if name == "proxy-server" and "@" in argument:
            refuse(
                f"{what}: Chromium takes no user name and password in --proxy-server, and every program of the session "
                "would see them; give the proxy in browserOption.proxies"
            )
