"""Journals: the lines that a batch leaves of its items, written and read without any I/O.

A journal is a text file, an object of JSON on each line. The first line is the header: version of the format, name and
parameters of the batch, its id. An item leaves a line when it begins (``{"begun": key}``) and one when it has ended
(``{"done": key, "value": ...}``). A value is written as JSON if JSON gives the very same value back, otherwise as a
pickle in base64; so a journal is to be trusted like a program. Only the last line may be damaged, as a crash leaves it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import pickle
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from attrs import define, field, frozen

from ..exceptions import AGBError
from ..session_params import CreateSessionParams
from .sessions import create_session

VERSION = 1
_DEEPEST = 100
"""Levels of lists and dicts that are written as JSON; its readers have a limit too."""


@frozen
class Header:
    """What a journal is of."""

    name: str
    params: str
    """A digest of what sessions are created from."""
    is_keyed: bool
    """Whether the caller names the items."""
    id: str

    def line(self) -> bytes:
        """Return the first line."""
        told = {"agb.journal": VERSION, "name": self.name, "params": self.params, "keyed": self.is_keyed, "id": self.id}
        return _line(told)

    def differs(self, other: Header) -> str:
        """Return why a batch with this header cannot go on with a journal that has the other, ``""`` if it can."""
        if self.name != other.name:
            return f"it is of a batch named {other.name!r}, and this one is named {self.name!r}"
        if self.params != other.params:
            return "its sessions were created from other params"
        if self.is_keyed != other.is_keyed:
            return "its items were named by key=..." if other.is_keyed else "its items were not named by key=..."
        return ""


@frozen
class Ending:
    """What a journal tells of an item that has ended."""

    value: Any
    error: BaseException | None
    attempts: int
    seconds: float
    session_id: str
    is_repeated: bool = False
    """Whether it had begun in an earlier run than the one in which it ended."""


@define
class Contents:
    """What is in a journal."""

    header: Header | None = None
    done: dict[str, tuple[int, int]] = field(factory=dict)
    """By key: where the line of an item's end is, and how long."""
    begun: dict[str, int] = field(factory=dict)
    """By key: the numbers of items that began and did not end."""
    keys: dict[int, str] = field(factory=dict)
    """By number: keys of items."""
    size: int = 0
    """Bytes up to the end of the last whole line."""


def digest_of_params(params: CreateSessionParams) -> str:
    """Return what tells one kind of sessions from another."""
    call = create_session(params)
    return hashlib.sha256(f"{params.image_id}\n".encode() + (call.body or b"")).hexdigest()[:32]


def key_of(index: int, item: Any) -> str:
    """Return the key of an item that the caller has not named: its number, and a digest of what it is.

    Raises:
        TypeError: the item can be written neither as JSON nor by pickle.
    """
    if _is_json(item):
        data = b"j" + json.dumps(item, sort_keys=True).encode()
    else:
        try:
            data = b"p" + pickle.dumps(item, protocol=4)
        except Exception as error:
            raise TypeError(
                f"item {index}, a {type(item).__name__}, can be written neither as JSON nor by pickle, so that it "
                f"would not be known again: name the items by key=... ({error})"
            ) from error
    return f"{index}:{hashlib.sha256(data).hexdigest()[:24]}"


# --- lines -------------------------------------------------------------------------------------------------------


def _line(told: dict[str, Any]) -> bytes:
    return json.dumps(told, separators=(",", ":")).encode("ascii") + b"\n"


def begun(key: str, index: int) -> bytes:
    """Return the line of an item that begins."""
    return _line({"begun": key, "index": index})


def done(key: str, index: int, ending: Ending) -> bytes:
    """Return the line of an item that has ended.

    Raises:
        TypeError: its value can be written neither as JSON nor by pickle, or not be read again.
    """
    told: dict[str, Any] = {"done": key, "index": index, "attempts": ending.attempts}
    told["seconds"] = round(ending.seconds, 6)
    told["session"] = ending.session_id
    if ending.is_repeated:
        told["repeated"] = True
    if ending.error is not None:
        told["error"] = {"type": type(ending.error).__qualname__, "message": str(ending.error)}
        with suppress(TypeError):  # its text will do
            told["error"]["pickle"] = _pickled(ending.error)
    elif _is_json(ending.value):
        told["value"] = ending.value
    else:
        told["pickle"] = _pickled(ending.value)
    return _line(told)


def read_ending(line: bytes) -> Ending:
    """Return what the line of an item that has ended tells.

    Raises:
        ValueError: its value cannot be read, since it is of a class that is not there, for example.
    """
    told = json.loads(line)
    value, error = told.get("value"), None
    try:
        if "pickle" in told:
            value = pickle.loads(base64.b64decode(told["pickle"]))  # noqa: S301 - see above
        if "error" in told:
            error = _error(told["error"])
    except Exception as problem:
        raise ValueError(f"the value of {told['done']!r} cannot be read: {problem}") from problem
    return Ending(value, error, told["attempts"], told["seconds"], told["session"], bool(told.get("repeated")))


def _error(told: dict[str, Any]) -> BaseException:
    if "pickle" in told:
        try:
            error = pickle.loads(base64.b64decode(told["pickle"]))  # noqa: S301 - see above
        except Exception:  # noqa: BLE001 - a class that is there no more, say; the text of the error is left
            error = None
        if isinstance(error, BaseException):
            return error
    return AGBError(f"{told['type']}: {told['message']}")


def _pickled(value: Any) -> str:
    try:
        data = pickle.dumps(value)
        pickle.loads(data)  # noqa: S301 - what was just written; many an exception is written and cannot be read
    except Exception as error:
        raise TypeError(f"{type(error).__name__}: {error}") from error
    return base64.b64encode(data).decode("ascii")


def _is_json(value: Any, depth: int = 0) -> bool:
    """Return whether JSON gives the very same value back."""
    kind = type(value)
    if value is None or kind is bool or kind is str:
        return True
    if kind is int:
        return bool(abs(value) < 1 << 1024)  # more digits are not read
    if kind is float:
        return math.isfinite(value)
    if depth < _DEEPEST:
        if kind is list:
            return all(_is_json(item, depth + 1) for item in value)
        if kind is dict:
            return all(type(key) is str and _is_json(item, depth + 1) for key, item in value.items())
    return False


# --- a whole journal ---------------------------------------------------------------------------------------------


def read(lines: Iterable[bytes]) -> Contents:
    """Read a journal line by line; the last line may be damaged, and is left out then.

    Raises:
        ValueError: it is no journal, of a version that is not known, or damaged elsewhere; the text says where.
    """
    contents = Contents()
    problem = ""
    for number, line in enumerate(lines, 1):
        if problem:
            raise ValueError(problem)
        try:
            if not line.endswith(b"\n"):
                raise ValueError("it has no end")
            _take(contents, json.loads(line), len(line))
        except _NotOursError:
            raise
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            problem = f"line {number} is damaged: {error}"
            if number == 1 and not _may_be_torn_header(line):
                raise _NotOursError("it is no journal") from None
        else:
            contents.size += len(line)
    return contents


class _NotOursError(ValueError):
    """Whole, and yet not what can be read."""


def _may_be_torn_header(line: bytes) -> bool:
    begin = b'{"agb.journal":'
    return line.strip(b"\0") == b"" or line[: len(begin)] == begin[: len(line)]


def _take(contents: Contents, told: Any, length: int) -> None:
    if contents.header is None:
        version = told.get("agb.journal") if isinstance(told, dict) else None
        if version is None:
            raise _NotOursError("it is no journal: its first line is no header")
        if version != VERSION:
            raise _NotOursError(f"its format has the version {version!r}, and this package knows {VERSION}")
        names = {"name": str, "params": str, "keyed": bool, "id": str}
        if any(type(told[name]) is not kind for name, kind in names.items()):
            raise ValueError("not a header")
        contents.header = Header(told["name"], told["params"], told["keyed"], told["id"])
        return
    key, index = told["begun"] if "begun" in told else told["done"], told["index"]
    if type(key) is not str or type(index) is not int:
        raise ValueError("no key, or no number")
    contents.keys[index] = key
    if "begun" in told:
        contents.begun[key] = index
        contents.done.pop(key, None)
        return
    if not (type(told["attempts"]) is int and type(told["seconds"]) in (int, float) and type(told["session"]) is str):
        raise ValueError("not the end of an item")
    if len({"value", "pickle", "error"} & set(told)) != 1:
        raise ValueError("neither a value nor an error")
    if "error" in told and not (type(told["error"]["type"]) is type(told["error"]["message"]) is str):
        raise ValueError("not an error")
    contents.begun.pop(key, None)
    if "error" in told and not told["session"]:
        return  # there was no session for it: nothing was done, and the next run may have more luck
    contents.done[key] = (contents.size, length)
