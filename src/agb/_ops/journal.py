"""Journals: the lines that a batch writes about its items; here they are made and parsed without any I/O.

A journal is a text file with a JSON object on each line. The first line is the header: version of the format, name and
parameters of the batch, its id. An item has a line when it begins (``{"begun": key}``) and one when it has ended
(``{"done": key, "value": ...}``). A value is written as JSON if JSON restores exactly the same value, otherwise as a
pickle in base64; so a journal must be trusted like a program. Only the last line may be damaged, as a crash leaves it.
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
_MAX_DEPTH = 100
"""Levels of lists and dicts that are written as JSON; JSON parsers have a limit too."""


@frozen
class Header:
    """The first line of a journal: which batch it belongs to."""

    name: str
    params: str
    """A digest of what sessions are created from."""
    is_keyed: bool
    """Whether the caller names the items (``key=``)."""
    id: str

    def line(self) -> bytes:
        """Return the first line."""
        return _line(
            {"agb.journal": VERSION, "name": self.name, "params": self.params, "keyed": self.is_keyed, "id": self.id}
        )

    def check_resumes(self, other: Header) -> None:
        """Raise `ValueError` unless a batch with this header can continue a journal that has the other header."""
        if self.name != other.name:
            raise ValueError(f"it is of a batch named {other.name!r}, and this one is named {self.name!r}")
        if self.params != other.params:
            raise ValueError("its sessions were created from other params")
        if self.is_keyed != other.is_keyed:
            named = "named" if other.is_keyed else "not named"
            raise ValueError(f"its items were {named} by key=...")


@frozen
class Ending:
    """The entry of a journal for an item that has ended."""

    value: Any
    error: BaseException | None
    attempts: int
    seconds: float
    session_id: str
    is_repeated: bool = False
    """Whether it had begun in an earlier run than the one in which it ended."""


@define
class Contents:
    """The content of a journal."""

    header: Header | None = None
    done: dict[str, tuple[int, int]] = field(factory=dict)
    """By key: the position of the line of an item's end, and its length."""
    begun: dict[str, int] = field(factory=dict)
    """By key: the numbers of items that began and did not end."""
    keys: dict[int, str] = field(factory=dict)
    """By number: keys of items."""
    size: int = 0
    """Bytes up to the end of the last whole line."""


def digest_of_params(params: CreateSessionParams) -> str:
    """Return a digest of what sessions are created from."""
    call = create_session(params)
    return hashlib.sha256(f"{params.image_id}\n".encode() + (call.body or b"")).hexdigest()[:32]


def key_of(index: int, item: Any) -> str:
    """Return the key of an item that the caller has not named: its number, and a digest of its content.

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
                f"would not be recognized later: name the items by key=... ({error})"
            ) from error
    return f"{index}:{hashlib.sha256(data).hexdigest()[:24]}"


# --- lines -------------------------------------------------------------------------------------------------------


def _line(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode("ascii") + b"\n"


def begun(key: str, index: int) -> bytes:
    """Return the line of an item that begins."""
    return _line({"begun": key, "index": index})


def done(key: str, index: int, ending: Ending) -> bytes:
    """Return the line of an item that has ended.

    Raises:
        TypeError: its value can be written neither as JSON nor by pickle, or not be read again.
    """
    fields: dict[str, Any] = {
        "done": key,
        "index": index,
        "attempts": ending.attempts,
        "seconds": round(ending.seconds, 6),
        "session": ending.session_id,
    }
    if ending.is_repeated:
        fields["repeated"] = True
    if ending.error is not None:
        fields["error"] = {"type": type(ending.error).__qualname__, "message": str(ending.error)}
        with suppress(TypeError):  # type and text are kept in any case
            fields["error"]["pickle"] = _pickled(ending.error)
    elif _is_json(ending.value):
        fields["value"] = ending.value
    else:
        fields["pickle"] = _pickled(ending.value)
    return _line(fields)


def read_ending(line: bytes) -> Ending:
    """Parse the line of an item that has ended.

    Raises:
        ValueError: its value cannot be read, for example because its class does not exist here.
    """
    fields = json.loads(line)
    value, error = fields.get("value"), None
    try:
        if "pickle" in fields:
            value = pickle.loads(base64.b64decode(fields["pickle"]))
        if "error" in fields:
            error = _error(fields["error"])
    except Exception as problem:
        raise ValueError(f"the value of {fields['done']!r} cannot be read: {problem}") from problem
    return Ending(value, error, fields["attempts"], fields["seconds"], fields["session"], bool(fields.get("repeated")))


def _error(fields: dict[str, Any]) -> BaseException:
    if "pickle" in fields:
        try:
            error = pickle.loads(base64.b64decode(fields["pickle"]))
        except Exception:  # its class does not exist any more, for example; the text of the error remains
            error = None
        if isinstance(error, BaseException):
            return error
    return AGBError(f"{fields['type']}: {fields['message']}")


def _pickled(value: Any) -> str:
    try:
        data = pickle.dumps(value)
        pickle.loads(data)  # many exceptions pickle and do not unpickle
    except Exception as error:
        raise TypeError(f"{type(error).__name__}: {error}") from error
    return base64.b64encode(data).decode("ascii")


def _is_json(value: Any, depth: int = 0) -> bool:
    """Return whether JSON restores exactly the same value."""
    kind = type(value)
    if value is None or kind is bool or kind is str:
        return True
    if kind is int:
        return bool(abs(value) < 1 << 1024)  # Python parses no more digits
    if kind is float:
        return math.isfinite(value)
    if depth < _MAX_DEPTH:
        if kind is list:
            return all(_is_json(item, depth + 1) for item in value)
        if kind is dict:
            return all(type(key) is str and _is_json(item, depth + 1) for key, item in value.items())
    return False


# --- a whole journal ---------------------------------------------------------------------------------------------


def read(lines: Iterable[bytes]) -> Contents:
    """Parse a journal line by line; the last line may be damaged, and is ignored then.

    Raises:
        ValueError: it is no journal, of an unknown version, or damaged elsewhere; the text names the line.
    """
    contents = Contents()
    problem = ""
    for number, line in enumerate(lines, 1):
        if problem:
            raise ValueError(problem)
        try:
            if not line.endswith(b"\n"):
                raise ValueError("it is incomplete")
            _apply(contents, json.loads(line), len(line))
        except NotAJournalError:
            raise
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            problem = f"line {number} is damaged: {error}"
            if number == 1 and not _may_be_torn_header(line):
                raise NotAJournalError("it is no journal") from None
        else:
            contents.size += len(line)
    return contents


class NotAJournalError(ValueError):
    """The file is complete, but it is no journal that this version can read."""


def _may_be_torn_header(line: bytes) -> bool:
    """Return whether a crash may have left this of the first line."""
    begin = b'{"agb.journal":'
    return line.strip(b"\0") == b"" or line[: len(begin)] == begin[: len(line)]


def _apply(contents: Contents, fields: Any, length: int) -> None:
    """Add a line to the contents."""
    if contents.header is None:
        contents.header = _header(fields)
        return
    key, index = fields["begun"] if "begun" in fields else fields["done"], fields["index"]
    if type(key) is not str or type(index) is not int:
        raise ValueError("no key, or no number")
    contents.keys[index] = key
    if "begun" in fields:
        contents.begun[key] = index
        contents.done.pop(key, None)
        return
    _check_ending(fields)
    contents.begun.pop(key, None)
    if "error" in fields and not fields["session"]:
        return  # no session could be created for it: the function was not called, and the next run tries again
    contents.done[key] = (contents.size, length)


def _header(fields: Any) -> Header:
    version = fields.get("agb.journal") if isinstance(fields, dict) else None
    if version is None:
        raise NotAJournalError("it is no journal: its first line is no header")
    if version != VERSION:
        raise NotAJournalError(f"its format has the version {version!r}, and this package knows {VERSION}")
    types = {"name": str, "params": str, "keyed": bool, "id": str}
    if any(type(fields[name]) is not type_ for name, type_ in types.items()):
        raise ValueError("not a header")
    return Header(fields["name"], fields["params"], fields["keyed"], fields["id"])


def _check_ending(fields: dict[str, Any]) -> None:
    if not (
        type(fields["attempts"]) is int and type(fields["seconds"]) in (int, float) and type(fields["session"]) is str
    ):
        raise ValueError("not the end of an item")
    if len({"value", "pickle", "error"} & set(fields)) != 1:
        raise ValueError("neither a value nor an error")
    if "error" in fields and not (type(fields["error"]["type"]) is type(fields["error"]["message"]) is str):
        raise ValueError("not an error")
