"""Profiles: endpoint and key by name, in the user's config directory, in a file that only the user can read."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from platformdirs import user_config_path

from .output import USAGE, CommandFailed

DEFAULT = "default"
SETTINGS = ("endpoint", "api_key", "timeout_ms")
"""What a profile holds."""


def path() -> Path:
    """Return the file of all profiles."""
    return user_config_path("agb", appauthor=False) / "profiles.json"


def name(given: str | None) -> str:
    """Return the profile to use: the given one, else AGB_PROFILE, else ``default``."""
    return given or os.environ.get("AGB_PROFILE") or DEFAULT


def load() -> dict[str, dict[str, str]]:
    """Return all profiles.

    Raises:
        CommandFailed: the file is not readable, or not one that this program wrote.
    """
    try:
        found: Any = json.loads(path().read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise CommandFailed(f"the profiles in {path()} cannot be read: {error.strerror}", USAGE) from error
    except ValueError as error:
        raise CommandFailed(f"the profiles in {path()} are no JSON ({error}); move the file away", USAGE) from error
    is_known = isinstance(found, dict) and all(
        isinstance(profile, dict) and all(isinstance(value, str) for value in profile.values())
        for profile in found.values()
    )
    if not is_known:
        raise CommandFailed(f"the profiles in {path()} are not what 'agb config' writes; move the file away", USAGE)
    return dict(found)


def profile(given: str | None) -> dict[str, str]:
    """Return a profile's settings; one that is not there is empty, unless it was asked for by name.

    Raises:
        CommandFailed: there is no profile of the given name.
    """
    profiles = load()
    wanted = name(given)
    if wanted not in profiles and wanted != DEFAULT:
        there = ", ".join(sorted(profiles)) or "none"
        raise CommandFailed(f"there is no profile {wanted!r} in {path()}; there are: {there}", USAGE)
    return profiles.get(wanted, {})


def save(profiles: dict[str, dict[str, str]]) -> None:
    """Write all profiles: the new file replaces the old one when it is complete, and its mode is 600 from the start.

    Raises:
        CommandFailed: the directory cannot be written.
    """
    target = path()
    try:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=".profiles-")  # its mode is 600
    except OSError as error:
        raise CommandFailed(
            f"profiles cannot be stored in {target.parent}: {error.strerror}; XDG_CONFIG_HOME names another directory, "
            "and AGB_ENDPOINT and AGB_API_KEY need none"
        ) from error
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(profiles, file, indent=2, sort_keys=True)
            file.write("\n")
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
