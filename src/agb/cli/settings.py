"""The client of a command: its endpoint, key and time-out, and where each comes from.

The order is: option, environment, ``.env`` in the current directory, profile, default.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, TypeVar

import click

from ..config import DEFAULT_ENDPOINT, DEFAULT_TIMEOUT_MS, Config, Setting, found_outside
from . import profiles
from .output import USAGE, CommandFailed
from .parser import Shared

if TYPE_CHECKING:
    from .. import AGB, AsyncAGB

C = TypeVar("C")
_VARIABLES = {"endpoint": "AGB_ENDPOINT", "api_key": "AGB_API_KEY", "timeout_ms": "AGB_TIMEOUT_MS"}


def setting(shared: Shared, name: str) -> Setting[str] | None:
    """Return one of the settings and its source; None if it is set nowhere.

    Raises:
        CommandFailed: the profile that was asked for does not exist.
    """
    given = {"endpoint": shared.endpoint, "api_key": shared.api_key}.get(name)
    if given is not None:
        return Setting(given, f"option --{name.replace('_', '-')}")
    if (found := found_outside(_VARIABLES[name])) is not None:
        return found
    value = profiles.profile(shared.profile).get(name)
    return None if value is None else Setting(value, f"profile {profiles.name(shared.profile)}")


def connection(shared: Shared) -> tuple[str, Config]:
    """Return the key, and the endpoint and time-out.

    Raises:
        CommandFailed: there is no key, or a setting cannot be used.
    """
    key = setting(shared, "api_key")
    if key is None or not key.value.strip():
        raise CommandFailed(
            "there is no API key: give --api-key, set AGB_API_KEY, or store one with 'agb config set'; "
            "to work without an account, run 'agb serve'",
            USAGE,
        )
    endpoint = setting(shared, "endpoint")
    milliseconds = setting(shared, "timeout_ms")
    if shared.timeout is not None:
        timeout_ms = max(1, round(shared.timeout * 1000))
    else:
        timeout_ms = DEFAULT_TIMEOUT_MS if milliseconds is None else _whole(milliseconds)
    try:
        return key.value, Config(DEFAULT_ENDPOINT if endpoint is None else endpoint.value, timeout_ms)
    except ValueError as error:
        source = "" if endpoint is None else f" (from {endpoint.source})"
        raise CommandFailed(f"{error}{source}", USAGE) from error


def _whole(milliseconds: Setting[str]) -> int:
    if not milliseconds.value.isdecimal() or not int(milliseconds.value):
        raise CommandFailed(
            f"the time-out {milliseconds.value!r} ({milliseconds.source}) is not a whole number of milliseconds", USAGE
        )
    return int(milliseconds.value)


def client(shared: Shared) -> AGB:
    """Return a new client; the caller closes it.

    Raises:
        CommandFailed: there is no key, or a setting cannot be used.
    """
    from .. import AGB

    return _made(AGB, shared)


def async_client(shared: Shared) -> AsyncAGB:
    """Return a new asynchronous client, likewise."""
    from .. import AsyncAGB

    return _made(AsyncAGB, shared)


def _made(kind: Callable[[str, Config], C], shared: Shared) -> C:
    _set_up_log(shared)
    key, config = connection(shared)
    _import_httpx()
    try:
        return kind(key, config)
    except ValueError as error:
        raise CommandFailed(str(error), USAGE) from error


def _import_httpx() -> None:
    """Import httpx without its command line.

    Where click and rich are installed, ``import httpx`` imports them and pygments for its own program, which is a
    quarter of the time of ``agb ls``. None in `sys.modules` makes an import fail, and httpx goes on without its program
    then, as it does where click is missing. The entry is removed at once.
    """
    if "httpx" in sys.modules or "httpx._main" in sys.modules:
        return
    sys.modules["httpx._main"] = None  # type: ignore[assignment]
    try:
        import_module("httpx")
    finally:
        del sys.modules["httpx._main"]


def _set_up_log(shared: Shared) -> None:
    if shared.verbose:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s"))
        log = logging.getLogger("agb")
        log.addHandler(handler)
        log.setLevel(logging.DEBUG)
        if (ctx := click.get_current_context(silent=True)) is not None:
            ctx.call_on_close(lambda: log.removeHandler(handler))
