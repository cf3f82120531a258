"""The keyboard: pressing keys by name, and typing text of any language.

A key of the X server is a number (keycode), and a table gives each a meaning (keysym) without and with Shift. Text can
have characters on no key. For these the table has free keys: those without a meaning, and the media keys of keyboards,
which no program of a session has. A character gets one of their places, and keeps it until the place is needed for
another one. After each change of the table every program reads all of it again, and the window manager takes 60 ms for
that. So the free keys used are those with successive numbers, which are changed by one request, and all that a text
needs is changed at once.

A program looks a meaning up when it handles the press, which may be long after the server has sent it. So a place whose
character was just typed must not get another one before the program has handled the press. Since nothing reports that,
the place used longest ago is taken, and if its use is too recent, typing pauses.
"""

from __future__ import annotations

import itertools
import time

from Xlib import XK, X
from Xlib.ext import xtest

from . import key_names
from .errors import DesktopError

TYPE_CHECKING = False  # typing is slow to import
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from .display import Screen

_PAUSE = 0.5
"""Seconds a program has to handle a press before its key means something else."""
_AT_ONCE = 200
"""Keys sent at once: python-xlib joins what it has to send request by request, each time copying all before it."""
_VENDOR_KEYS = range(0x1008_0000, 0x1009_0000)
_ALL_MODIFIERS = frozenset(
    XK.string_to_keysym(f"{name}_{side}") for name in ("Control", "Alt", "Super", "Meta", "Hyper") for side in "LR"
)


class Keyboard:
    """The keyboard of the screen."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._keys: dict[int, tuple[int, bool]] = {}
        """Keysym -> the key that has it, and whether with Shift."""
        self._places: dict[tuple[int, bool], float] = {}
        """The places of free keys, and when each was used last: the one used longest ago is first."""
        self._rows: dict[int, list[int]] = {}
        """Free key -> its keysyms without and with Shift."""
        self._width = 0
        self._held: set[int] = set()
        """Keys that are held down at the caller's wish."""
        self._is_stale = True
        screen.on_mapping = self._on_mapping

    # --- the operations ---

    def type(self, text: str) -> None:
        """Type a text into the window that has the focus. Raises `DesktopError` for a control character."""
        keysyms = [key_names.of_character(character) for character in text.replace("\r\n", "\n")]
        self._prepare()
        lock = [self._key(XK.XK_Caps_Lock)[0]] if self._is_locked() else []
        self._tap(*lock)
        shift = self._key(key_names.SHIFT)[0]
        is_shifted = was_shifted = shift in self._held
        provided = 0
        for number, keysym in enumerate(keysyms):
            if number % _AT_ONCE == 0:
                self._screen.display.sync()
            if number >= provided:
                provided += self._provide(keysyms[number:])
            key, with_shift = self._key(keysym)
            if with_shift != is_shifted:
                self._send(shift, press=with_shift)
                is_shifted = with_shift
            self._tap(key)
        if is_shifted != was_shifted:
            self._send(shift, press=was_shifted)
        self._tap(*lock)
        self._screen.sync()

    def press(self, keys: list[str], hold: bool) -> None:
        """Press keys together, in their order, and release them unless they are to be held."""
        self._prepare()
        pressed = [key for key in self._chord(keys) if key not in self._held]
        for key in pressed:
            self._send(key, press=True)
        if hold:
            self._held.update(pressed)
        else:
            for key in reversed(pressed):
                self._send(key, press=False)
        self._screen.sync()

    def release(self, keys: list[str]) -> None:
        """Release keys that are held; a key that is not held stays as it is."""
        self._prepare()
        for key in reversed(self._chord(keys)):
            self._send(key, press=False)
            self._held.discard(key)
        self._screen.sync()

    # --- keys ---

    def _chord(self, names: list[str]) -> list[int]:
        """Return the keys of a combination; letters are those without Shift where another modifier is pressed."""
        keysyms = [key_names.of_name(name) for name in names]
        if any(keysym in _ALL_MODIFIERS for keysym in keysyms):
            keysyms = [_lower(keysym) for keysym in keysyms]
        self._provide(keysyms)
        found = [self._key(keysym) for keysym in keysyms]
        keys = [key for key, _ in found]
        if any(with_shift for _, with_shift in found):
            first = next(index for index, (_, with_shift) in enumerate(found) if with_shift)
            keys.insert(first, self._key(key_names.SHIFT)[0])
        return list(dict.fromkeys(keys))

    def _key(self, keysym: int) -> tuple[int, bool]:
        """Return the key that has a keysym, and whether with Shift."""
        found = self._keys[keysym]
        if found in self._places:
            del self._places[found]  # so that it becomes the last one
            self._places[found] = time.monotonic()
        return found

    def _provide(self, keysyms: Sequence[int]) -> int:
        """Give those keysyms places that are on no key; return for how many, from the first one, there are keys now.

        Raises `DesktopError` if there is no key even for the first one.
        """
        missing: dict[int, None] = {}
        kept: set[tuple[int, bool]] = set()
        count = 0
        for keysym in keysyms:
            place = self._keys.get(keysym)
            if place is None:
                missing[keysym] = None
            elif place in self._places:
                kept.add(place)
            if len(missing) + len(kept) > len(self._places):
                missing.pop(keysym, None)
                break
            count += 1
        if not count and keysyms:
            raise DesktopError("no key of the keyboard is free for a character that is on none")
        if missing:
            self._assign(missing, [place for place in self._places if place not in kept][: len(missing)])
        return count

    def _assign(self, keysyms: Iterable[int], places: list[tuple[int, bool]]) -> None:
        left = max(self._places[place] for place in places) + _PAUSE - time.monotonic()
        if left > 0:
            self._screen.sync()
            time.sleep(left)
        for keysym, place in zip(keysyms, places, strict=True):
            key, with_shift = place
            self._keys.pop(self._rows[key][with_shift], None)
            self._rows[key][with_shift] = keysym
            self._keys[keysym] = place
        first, last = min(key for key, _ in places), max(key for key, _ in places)
        # Both groups, as all keys have it, so that a key means the same in either.
        rows = [(self._rows[key] * 4)[: self._width] for key in range(first, last + 1)]
        self._screen.display.change_keyboard_mapping(first, rows)

    def _tap(self, *keys: int) -> None:
        for key in keys:
            self._send(key, press=True)
            self._send(key, press=False)

    def _send(self, key: int, *, press: bool) -> None:
        xtest.fake_input(self._screen.display, X.KeyPress if press else X.KeyRelease, key)

    def _is_locked(self) -> bool:
        return bool(self._screen.root.query_pointer().mask & X.LockMask)

    # --- the table ---

    def _prepare(self) -> None:
        """Read the table if it was changed, here or by another program. Not amid an operation, which uses it."""
        self._screen.take_events()
        if self._is_stale:
            self._is_stale = False
            self._read_table()

    def _read_table(self) -> None:
        info = self._screen.display.display.info
        first = info.min_keycode
        table = dict(
            enumerate(self._screen.display.get_keyboard_mapping(first, info.max_keycode - first + 1), start=first)
        )
        self._width = len(table[first])
        ours = {key: keysyms for key, keysyms in self._rows.items() if set(keysyms) & set(table[key]) - {0}}
        free = _longest_series({key for key, row in table.items() if key in ours or _is_free(row)})
        self._rows = {key: ours.get(key, [0, 0]) for key in free}
        self._keys.clear()
        for with_shift in (False, True):  # a key that needs no Shift is found first
            for key, row in table.items():
                if key not in free and row[with_shift]:
                    self._keys.setdefault(row[with_shift], (key, with_shift))
        used = {place: at for place, at in self._places.items() if place[0] in free}
        self._places = {(key, with_shift): 0.0 for key in free for with_shift in (False, True)}
        for place in used:
            del self._places[place]
        self._places |= used  # in their order, behind those never used
        for key, keysyms in self._rows.items():
            self._keys |= {keysym: (key, bool(shift)) for shift, keysym in enumerate(keysyms) if keysym}

    def _on_mapping(self) -> None:
        self._is_stale = True


def _longest_series(keys: Collection[int]) -> range:
    """Return the longest series of keys with successive numbers."""
    starts = [key for key in keys if key - 1 not in keys]
    series = (range(start, next(key for key in itertools.count(start) if key not in keys)) for start in starts)
    return max(series, key=len, default=range(0))


def _is_free(row: list[int]) -> bool:
    return all(not keysym or keysym in _VENDOR_KEYS for keysym in row)


def _lower(keysym: int) -> int:
    character = _character(keysym)
    return key_names.of_character(character.lower()) if len(character.lower()) == 1 else keysym


def _character(keysym: int) -> str:
    if keysym >= key_names.UNICODE:
        code = keysym - key_names.UNICODE
        return chr(code) if code < 0x11_0000 else ""
    return chr(keysym) if 0x20 <= keysym <= 0xFF else ""
