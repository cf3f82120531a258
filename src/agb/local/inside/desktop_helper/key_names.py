"""Names of keys: those of the protocol, common other ones, and those of the X Window System."""

from __future__ import annotations

import difflib

from Xlib import XK

from .errors import DesktopError

XK.load_keysym_group("xf86")

UNICODE = 0x0100_0000
"""Added to the number of a character that has no older keysym."""
SHIFT = XK.XK_Shift_L


def _simple(name: str) -> str:
    """Return a name without case and separators: CapsLock, caps lock and Caps_Lock are one key."""
    return "".join(character for character in name.lower() if character.isalnum())


_COMMON = {
    "alt": "Alt_L",
    "altgr": "ISO_Level3_Shift",
    "altleft": "Alt_L",
    "altright": "Alt_R",
    "apps": "Menu",
    "arrowdown": "Down",
    "arrowleft": "Left",
    "arrowright": "Right",
    "arrowup": "Up",
    "break": "Pause",
    "bksp": "BackSpace",
    "cmd": "Super_L",
    "command": "Super_L",
    "contextmenu": "Menu",
    "control": "Control_L",
    "ctl": "Control_L",
    "ctrl": "Control_L",
    "ctrlleft": "Control_L",
    "ctrlright": "Control_R",
    "del": "Delete",
    "enter": "Return",
    "esc": "Escape",
    "ins": "Insert",
    "meta": "Super_L",
    "option": "Alt_L",
    "pgdn": "Next",
    "pgup": "Prior",
    "printscreen": "Print",
    "prtsc": "Print",
    "shift": "Shift_L",
    "shiftleft": "Shift_L",
    "shiftright": "Shift_R",
    "spacebar": "space",
    "super": "Super_L",
    "win": "Super_L",
    "windows": "Super_L",
}
_OF_X: dict[str, int] = {name[3:]: value for name, value in vars(XK).items() if name.startswith("XK_")}
_SIMPLIFIED: dict[str, int] = {_simple(name): value for name, value in reversed(_OF_X.items())}
_CONTROL_KEYS: dict[str, int] = {"\n": XK.XK_Return, "\t": XK.XK_Tab}


def of_character(character: str) -> int:
    """Return the keysym that types a character. Raises `DesktopError` for a control character."""
    if character in _CONTROL_KEYS:
        return _CONTROL_KEYS[character]
    code = ord(character)
    if code < 0x20 or 0x7F <= code < 0xA0:
        raise DesktopError(
            f"the text contains the control character U+{code:04X}, which no key types: press the key that is meant"
        )
    return code if code <= 0xFF else UNICODE | code


def of_name(name: str) -> int:
    """Return the keysym of a key by its name, or by the character it types. Raises `DesktopError`."""
    if len(name) == 1:
        return of_character(name)
    if name in _OF_X:
        return _OF_X[name]
    simple = _simple(name)
    if simple in _COMMON:
        return _OF_X[_COMMON[simple]]
    if simple in _SIMPLIFIED and "+" not in name:
        return _SIMPLIFIED[simple]
    raise DesktopError(f"there is no key {name[:50]!r}{_hint(name, simple)}")


def _hint(name: str, simple: str) -> str:
    if any(separator in name for separator in "+- "):
        return ": give each key of a combination as an item of the list, such as ['Ctrl', 'c']"
    known = ["Ctrl", "Alt", "Shift", "Super", "Enter", "Escape", "Tab", "Delete", "BackSpace", "space", "PageUp", "F1"]
    near = difflib.get_close_matches(simple, [*_COMMON, *_SIMPLIFIED], 3)
    words = ", ".join(near or known)
    return f"; {'is one of these meant' if near else 'known are single characters and, for example'}: {words}"
