"""Checks of arguments, before anything is sent: each raises, or returns the argument as it is used.

`ValueError` is raised for what agbcloud-sdk 0.12 returns as a result without success; the methods that keep this
contract catch it and return such a result. `TypeError` is raised for other arguments of the wrong type.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

from .._wire.call import json_text
from ..owned import Owner
from . import ownership

if TYPE_CHECKING:
    from ..browser_options import BrowserOption
    from ..results.contexts import Context
    from ..session_params import CreateSessionParams

# --- numbers and text --------------------------------------------------------------------------------------------


def check_count(name: str, value: object, least: int = 1) -> None:
    """Raise unless ``value`` is a whole number that is large enough."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} is a whole number, not {value!r}")
    if value < least:
        raise ValueError(f"{name} is a number >= {least}, not {value}")


def check_owner(owner: object) -> None:
    """Raise `TypeError` unless this is an owner, or None."""
    if owner is not None and not isinstance(owner, Owner):
        raise TypeError(f"owner is an Owner, not {type(owner).__name__}")


def check_age(seconds: object) -> float:
    """Return an age of sessions in seconds; 0 is allowed."""
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(f"older_than is a number of seconds, not {seconds!r}")
    if not 0 <= seconds < float("inf"):
        raise ValueError(f"older_than is a number of seconds, 0 or more, not {seconds!r}")
    return float(seconds)


def check_interval(seconds: object) -> None:
    """Raise unless ``seconds`` is a time between two polls; 0 is allowed."""
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(f"poll_interval is a number of seconds, not {seconds!r}")
    if not 0 <= seconds < float("inf"):
        raise ValueError(f"poll_interval is a number of seconds, 0 or more, not {seconds!r}")


def stripped(name: str, value: object) -> str:
    """Return a string without the white space around it; ``""`` for None."""
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{name} is a string, not {type(value).__name__}")
    return value.strip() if value else ""


def is_text(value: str) -> bool:
    """Return whether a string can be written as UTF-8; one with half a surrogate pair cannot."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


# --- sessions ----------------------------------------------------------------------------------------------------


def check_create_params(params: CreateSessionParams | None) -> CreateSessionParams:
    """Return the parameters of a new session; the key words of the errors are those of 0.12.

    Raises:
        ValueError: a session cannot be created from them.
        TypeError: they are not `CreateSessionParams`, or hold a context sync that is not a `ContextSync`.
    """
    if params is None:
        raise ValueError("params is required: pass CreateSessionParams(image_id=...)")
    from ..session_params import CreateSessionParams  # loaded already if there are any

    if not isinstance(params, CreateSessionParams):
        raise TypeError(f"params is a CreateSessionParams, not {type(params).__name__}")
    if not isinstance(params.image_id, str) or not params.image_id.strip():
        raise ValueError('image_id is required: pass CreateSessionParams(image_id="agb-code-space-1"), for example')
    if params.labels:
        check_labels(params.labels)
    _check_syncs(params)
    return params


def _check_syncs(params: CreateSessionParams) -> None:
    from ..context_sync import ContextSync  # loaded with the parameters

    for sync in params.all_context_syncs():
        if not isinstance(sync, ContextSync):
            raise TypeError(f"context_syncs is a list of ContextSync, not of {type(sync).__name__}")
        if not isinstance(sync.context_id, str) or not sync.context_id.strip():
            raise ValueError(
                f"a context to be mounted needs its context_id, not {sync.context_id!r}: client.context.get returns it"
            )
        if not isinstance(sync.path, str) or not sync.path.startswith("/"):
            raise ValueError(f"a context is mounted at an absolute path of the session, not at {sync.path!r}")


def check_warm_browser(value: object) -> BrowserOption | None:
    """Return the option that browsers are kept ready with, None if none are; ``True`` is the default option."""
    if value is False or value is None:  # None is what a batch's options have; they are copied for its workers
        return None
    from ..browser_options import BrowserOption  # most programs keep none

    if value is True:
        return BrowserOption()
    if not isinstance(value, BrowserOption):
        raise TypeError(f"warm_browser is True, False or a BrowserOption, not {type(value).__name__}")
    return value


def check_labels(labels: object) -> None:
    """Raise `ValueError` unless a user may set these labels; the key words of the errors are those of 0.12."""
    if labels is None:
        raise ValueError("Labels cannot be null: pass a dict of strings to strings")
    if isinstance(labels, (list, tuple)):
        raise ValueError("Labels cannot be an array: pass a dict of strings to strings")
    if not isinstance(labels, Mapping):
        raise ValueError(f"Labels cannot be null or {type(labels).__name__}: pass a dict of strings to strings")
    if not labels:
        raise ValueError("Labels cannot be empty: setting labels replaces the whole set, and a set needs at least one")
    check_label_texts(labels)
    ownership.check_not_reserved(labels)


def check_label_texts(labels: Mapping[Any, Any]) -> None:
    """Raise `ValueError` unless all keys and values are text that is not blank."""
    for key, value in labels.items():
        if not key or (isinstance(key, str) and not key.strip()):
            raise ValueError(f"Label keys cannot be empty: {key!r}")
        if not isinstance(key, str):
            raise ValueError(f"Label keys are strings, not {type(key).__name__}: {key!r}")
        if value is None or (isinstance(value, str) and not value.strip()):
            raise ValueError(f"Label values cannot be empty: that of {key!r} is {value!r}")
        if not isinstance(value, str):
            raise ValueError(f"Label values are strings, not {type(value).__name__}: that of {key!r} is {value!r}")
        if not (is_text(key) and is_text(value)):
            raise ValueError(f"Labels are text, which half a surrogate pair is not: {key!r}: {value!r}")
    _check_size(labels)


LONGEST_LABELS = 60_000
"""Bytes of labels in a URL, which is where they are sent to be set and to be searched for; more makes no valid URL."""
_LONGEST_CHARACTER = 12
"""Bytes of one character, four in UTF-8, in a URL."""


def _check_size(labels: Mapping[str, str]) -> None:
    characters = sum(len(key) + len(value) + len('"":"",') for key, value in labels.items())
    if characters * _LONGEST_CHARACTER <= LONGEST_LABELS:
        return
    size = len(quote_plus(json_text(dict(labels))))
    if size > LONGEST_LABELS:
        raise ValueError(f"Labels are too long: {size} bytes in a URL, and {LONGEST_LABELS} are the most")


def check_session_list(labels: object, page: int | None, limit: int | None) -> None:
    """Raise unless sessions can be listed by these labels, and in pages of this size."""
    if labels is not None and not isinstance(labels, Mapping):
        raise ValueError(f"labels is a dict of strings to strings, not {type(labels).__name__}")
    for name, value in (("page", page), ("limit", limit)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise TypeError(f"{name} is a whole number, not {value!r}")
    if page is not None and page < 1:
        raise ValueError(f"Cannot reach page {page}: Page number must be >= 1")
    if limit is not None and limit < 1:
        raise ValueError(f"limit is a number >= 1, not {limit}")
    if labels:
        check_label_texts(labels)


def check_session_id(session_id: object) -> None:
    """Raise `ValueError` unless it is a string that is not blank."""
    if not isinstance(session_id, str) or not session_id.strip():
        raise ValueError(f"session_id is required: a string, not {session_id!r}")


# --- contexts ----------------------------------------------------------------------------------------------------


def required(name: str, value: object, what: str) -> str:
    """Return a string without the white space around it; raise `ValueError`, with ``what`` failed, if it is blank."""
    text = stripped(name, value)
    if not text:
        raise ValueError(f"Could not {what}: {name} cannot be empty")
    return text


def check_context_query(name: str | None, context_id: str | None, *, create: bool) -> tuple[str, str]:
    """Return the name and the id by which a context is found, or the name by which it is made."""
    name, context_id = stripped("name", name), stripped("context_id", context_id)
    if not name and not context_id:
        raise ValueError("Could not get a context: Either context_id or name must be provided")
    if create and context_id:
        why = "context_id cannot be provided when create=True: the service chooses the id"
        raise ValueError(f"Could not create the context {name!r}: {why}")
    return name, context_id


def id_of_context(context: Context | None, verb: str) -> str:
    """Return the id of a context on which something is done."""
    if context is None:
        raise ValueError(f"Could not {verb} a context: context is required: the one that create or get returned")
    from ..results.contexts import Context  # loaded with the context

    if not isinstance(context, Context):
        raise TypeError(
            f"context is a Context, not {type(context).__name__}; client.context.get finds one by name or id"
        )
    context_id = stripped("the id of the context", context.id)
    if not context_id:
        raise ValueError(f"Could not {verb} a context: context.id cannot be empty")
    return context_id


def check_file_page(context_id: str, page_number: object, page_size: object) -> None:
    """Raise unless these are the number and the size of a page of files."""
    try:
        check_count("page_number", page_number)
        check_count("page_size", page_size)
    except ValueError as error:
        raise ValueError(f"Could not list the files of the context {context_id}: {error}") from None


def check_transfer(context_id: object, remote: object, concurrency: object) -> tuple[str, str]:
    """Return the id of a context and a path in it, between which and this machine files are transferred."""
    for name, value in (("context_id", context_id), ("remote", remote)):
        if not isinstance(value, str):
            raise TypeError(f"{name} is a string, not {type(value).__name__}")
    assert isinstance(context_id, str)
    assert isinstance(remote, str)
    context_id = context_id.strip()
    if not context_id:
        raise ValueError("context_id is the id of a context, such as client.context.create() returns, and is empty")
    if not remote.startswith("/"):
        raise ValueError(
            f"remote is the absolute path that a file has in a session, such as /tmp/a.txt, not {remote!r}"
        )
    if any(part == ".." for part in remote.split("/")) or "\0" in remote:
        raise ValueError(f"remote contains no '..' and no NUL, and {remote!r} does")
    if isinstance(concurrency, bool) or not isinstance(concurrency, int):
        raise TypeError(f"concurrency is a number of files transferred at the same time, not {concurrency!r}")
    if concurrency < 1:
        raise ValueError(f"concurrency is a number of files >= 1, not {concurrency}")
    return context_id, remote


def check_part(offset: object, limit: object) -> None:
    """Raise ``TypeError`` or ``ValueError`` unless they are the first byte of a part and its size, None to the end."""
    check_size(0 if offset is None else offset, "offset")
    check_size(limit, "limit")
    if offset is None:
        raise TypeError("offset must be a number of bytes, not None")


def as_bytes(name: str, value: object) -> bytes:
    """Return bytes, or a text as UTF-8; raise ``TypeError`` for anything else."""
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    raise TypeError(f"{name} must be text or bytes, not {type(value).__name__}")


def check_size(size: object, name: str = "max_size") -> None:
    """Raise ``TypeError`` or ``ValueError`` unless it is a number of bytes, or None for no limit."""
    if size is None:
        return
    if isinstance(size, bool) or not isinstance(size, int):
        raise TypeError(f"{name} must be a number of bytes, not {size!r}")
    if size < 0:
        raise ValueError(f"{name} must be a number of bytes, not {size}")
