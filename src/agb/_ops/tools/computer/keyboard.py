"""The keyboard: text, and keys that are pressed together, held and released."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from attrs import evolve

from ...._wire.toolcall import ToolCall, ToolReply
from ....results.base import BoolResult
from ...arguments import is_text
from . import action, check_flag

LONGEST_TEXT = 100_000
"""Characters that can be typed by one method call; a longer text is better written to a file."""
PART = 500
"""Characters that are typed by one call of the tool, so that no call takes long and a failure says how far it got."""
_CHARACTER_SECONDS = 0.05
"""How long a character may take."""
_TYPED_CONTROLS = frozenset("\n\t")
_KEYS_FOR_CONTROLS = {"\b": "Backspace", "\x1b": "Escape", "\x7f": "Delete"}
_SHORTEST_MASKED = 3
MASKED = "[the text]"
"""What stands for the text in the words of a service that quotes it."""


def check_typed(text: object) -> str:
    """Return a text as it is typed, with a line feed for each end of a line.

    Raises:
        TypeError, ValueError: it cannot be typed; their texts do not quote it.
    """
    if not isinstance(text, str):
        raise TypeError(f"text is a string, not {type(text).__name__}")
    if len(text) > LONGEST_TEXT:
        raise ValueError(
            f"text has {len(text):,} characters, and at most {LONGEST_TEXT:,} are typed; "
            "session.file.write stores a longer one in a file"
        )
    if not is_text(text):
        raise ValueError("text contains half a surrogate pair, which is no character")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    for place, character in enumerate(text):
        if unicodedata.category(character) == "Cc" and character not in _TYPED_CONTROLS:
            key = _KEYS_FOR_CONTROLS.get(character)
            hint = f"; press the key instead: press([{key!r}])" if key else ""
            raise ValueError(
                f"text contains the control character U+{ord(character):04X} at place {place}, "
                f"and only line feeds and tabs are typed{hint}"
            )
    return text


def input_text(part: str, typed: int, whole: int, *, session_id: str) -> ToolCall[BoolResult]:
    """Return the call that types a part of a text of ``whole`` characters, of which ``typed`` have been typed.

    The text may be a password, so no error quotes it, also if the service does.
    """
    description = f"type {whole:,} characters" + (f", of which {typed:,} were typed before" if typed else "")
    seconds = len(part) * _CHARACTER_SECONDS
    call = action("input_text", {"text": part}, session_id, description, seconds=seconds)

    def read(reply: ToolReply) -> BoolResult:
        said = reply.text or ""
        if len(part) >= _SHORTEST_MASKED and part in said:
            reply = ToolReply(said.replace(part, MASKED), reply.is_error, reply.request_id)
        return call.read(reply)

    return evolve(call, read=read)


def press_keys(keys: Sequence[str], hold: bool, *, session_id: str) -> ToolCall[BoolResult]:
    """Return the call that presses keys together, and releases them unless they are held."""
    names = _check_keys(keys)
    args = {"keys": names, "hold": check_flag("hold", hold)}
    return action("press_keys", args, session_id, f"{'hold' if hold else 'press'} {'+'.join(names)}")


def release_keys(keys: Sequence[str], *, session_id: str) -> ToolCall[BoolResult]:
    """Return the call that releases keys."""
    names = _check_keys(keys)
    return action("release_keys", {"keys": names}, session_id, f"release {'+'.join(names)}", repeatable=True)


def _check_keys(keys: object) -> list[str]:
    if isinstance(keys, str) or not isinstance(keys, Sequence):
        raise TypeError(f"keys is a list of names such as ['Ctrl', 'c'], not {keys!r}")
    if not keys:
        raise ValueError("keys is empty: name at least one key, such as ['Ctrl', 'c']")
    for key in keys:
        if not isinstance(key, str):
            raise TypeError(f"a key is a name such as 'Ctrl' or 'a', not {key!r}")
        if any(unicodedata.category(character) == "Cc" for character in key) or not is_text(key):
            raise ValueError(f"the name of a key contains a control character: {key!r}; an example is 'Enter'")
        if not key.strip() and key != " ":
            raise ValueError(f"the name of a key is empty or blank: {list(keys)!r}; the space bar is 'space'")
    return list(keys)
