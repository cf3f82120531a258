"""``agb config``: the settings in use, and the profiles that hold endpoint and key."""

from __future__ import annotations

import sys
from typing import Any

import click

from ..config import DEFAULT_ENDPOINT, DEFAULT_TIMEOUT_MS, Config, is_header_value
from . import profiles
from .output import NOT_FOUND, USAGE, CommandFailed, Output, confirm
from .parser import Shared, command
from .settings import setting

_DEFAULTS = {"endpoint": DEFAULT_ENDPOINT, "timeout_ms": str(DEFAULT_TIMEOUT_MS)}


def masked_key(key: str) -> str:
    """Return a key of which only the beginning and the length are shown."""
    return f"{key[:4]}… ({len(key)} characters)" if len(key) > 12 else f"… ({len(key)} characters)"


@command("agb config show", "agb config show --profile work --json")
@click.pass_obj
def show(shared: Shared) -> None:
    """Show the settings in use, and where each comes from. The key is never shown whole."""
    rows: list[dict[str, Any]] = []
    for name in profiles.SETTINGS:
        found = setting(shared, name)
        value = _DEFAULTS.get(name, "") if found is None else found.value
        shown = masked_key(value) if name == "api_key" and value else value
        rows.append({"name": name, "value": shown, "source": "default" if found is None else found.source})
    Output(shared).values(rows, ("name", "value", "source"), "", key="value")


@command("agb config ls")
@click.pass_obj
def ls(shared: Shared) -> None:
    """List the profiles."""
    used = profiles.name(shared.profile)
    rows = [
        {
            "name": name,
            "endpoint": profile.get("endpoint", DEFAULT_ENDPOINT),
            "api_key": masked_key(profile["api_key"]) if profile.get("api_key") else "",
            "in_use": name == used,
        }
        for name, profile in sorted(profiles.load().items())
    ]
    Output(shared).values(rows, ("name", "endpoint", "api_key", "in_use"), "no profiles", key="name")


@command(
    "agb config set    # asks for the key",
    'agb config set --profile local --endpoint http://127.0.0.1:8000 --api-key "$KEY"',
    'echo "$KEY" | agb config set --profile work',
)
@click.pass_obj
def set_(shared: Shared) -> None:
    """Store endpoint, key and time-out in a profile, from --endpoint, --api-key and --timeout.

    Without --api-key the key is asked for, or read from the standard input. The file can be read by you only.
    """
    stored = profiles.load()
    name = profiles.name(shared.profile)
    profile = dict(stored.get(name, {}))
    key = shared.api_key or _asked(has_one="api_key" in profile)
    if key:
        if not is_header_value(key):
            raise CommandFailed("the key has characters that a header cannot carry; was it copied whole?", USAGE)
        profile["api_key"] = key
    if shared.endpoint:
        profile["endpoint"] = Config(shared.endpoint).endpoint  # raises ValueError if it is no host name or URL
    if shared.timeout is not None:
        profile["timeout_ms"] = str(max(1, round(shared.timeout * 1000)))
    profiles.save({**stored, name: profile})
    Output(shared).note(f"stored in the profile {name} in {profiles.path()}")
    if shared.json:
        Output(shared).data({"profile": name})


def _asked(*, has_one: bool) -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().strip()
    text = "API key (empty: keep the stored one)" if has_one else "API key"
    return str(click.prompt(text, hide_input=True, default="" if has_one else None, show_default=False, err=True))


@command("agb config rm --profile work")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.pass_obj
def rm(shared: Shared, yes: bool) -> None:
    """Delete a profile."""
    stored = profiles.load()
    name = profiles.name(shared.profile)
    if name not in stored:
        raise CommandFailed(f"there is no profile {name!r}", NOT_FOUND)
    confirm(f"Delete the profile {name}?", yes=yes)
    del stored[name]
    profiles.save(stored)
    Output(shared).value({"profile": name}, "profile")
