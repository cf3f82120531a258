"""Installed applications: the desktop entries of the machine and of the session."""

from __future__ import annotations

import configparser
import os
import shutil

TYPE_CHECKING = False  # typing is slow to import
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_GROUP = "Desktop Entry"
_TERMINAL = "xterm"
_NO_SYSTEM_APPS = {"TerminalEmulator", "FileManager", "FileTools"}
"""What the standard has below the category System although it is for every day."""


def installed(start_menu: bool, desktop: bool, ignore_system_apps: bool) -> list[dict[str, Any]]:
    """Return the applications of the start menu and of the desktop's icons, by name.

    System applications are those that change settings or administer the machine.
    """
    found: dict[str, dict[str, Any]] = {}
    for path in _files(start_menu=start_menu, desktop=desktop):
        identifier = os.path.basename(path)
        if identifier not in found and (entry := _read(path)) is not None:
            found[identifier] = _application(entry) if _is_shown(entry, ignore_system_apps) else {}
    return sorted((app for app in found.values() if app), key=lambda app: (app["name"].lower(), app["start_cmd"]))


def _files(*, start_menu: bool, desktop: bool) -> Iterator[str]:
    """Return the files of entries; an entry hides one of the same name in a later directory."""
    home = os.path.expanduser("~")
    shared = (os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share").split(":")
    data = [os.environ.get("XDG_DATA_HOME") or f"{home}/.local/share", *shared]
    directories = [f"{home}/Desktop"] if desktop else []
    directories += [f"{directory}/applications" for directory in data] if start_menu else []
    for directory in directories:
        for place, _, names in os.walk(directory):
            yield from (os.path.join(place, name) for name in sorted(names) if name.endswith(".desktop"))


def _read(path: str) -> configparser.SectionProxy | None:
    parser = configparser.ConfigParser(
        delimiters=("=",), comment_prefixes=("#",), interpolation=None, strict=False, default_section=""
    )
    parser.optionxform = str  # type: ignore[method-assign, assignment]  # keys are case-sensitive
    try:
        parser.read(path, encoding="utf-8")
        return parser[_GROUP]
    except (OSError, UnicodeError, configparser.Error, KeyError):
        return None


def _is_shown(entry: configparser.SectionProxy, ignore_system_apps: bool) -> bool:
    if entry.get("Type", "Application") != "Application" or not entry.get("Name") or not entry.get("Exec"):
        return False
    if "true" in (entry.get("NoDisplay"), entry.get("Hidden")) or entry.get("OnlyShowIn"):
        return False
    needed = entry.get("TryExec") or ""
    if (needed and shutil.which(needed) is None) or (_needs_terminal(entry) and shutil.which(_TERMINAL) is None):
        return False
    categories = set(entry.get("Categories", "").split(";"))
    is_system = "Settings" in categories or ("System" in categories and not categories & _NO_SYSTEM_APPS)
    return not (is_system and ignore_system_apps)


def _application(entry: configparser.SectionProxy) -> dict[str, Any]:
    command = entry["Exec"]
    return {
        "name": entry["Name"],
        "start_cmd": f"{_TERMINAL} -e {command}" if _needs_terminal(entry) else command,
        "stop_cmd": None,
        "work_directory": entry.get("Path") or None,
        "icon": entry.get("Icon") or None,
    }


def _needs_terminal(entry: configparser.SectionProxy) -> bool:
    return entry.get("Terminal") == "true"
