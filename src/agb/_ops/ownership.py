"""Ownership: the labels by which a session is found again when nobody holds it any more.

Every session gets, beside the labels its user gave, a nonce of its own: it finds the session whose creation was never
answered. A session that belongs to something bigger, a pool or a map, gets the name of that too, and its nonce says
which process made it. Keys that begin with ``agb.sdk/`` are reserved for this: they are never shown among the user's
labels, and setting those keeps them.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from ..exceptions import AGBError, ErrorKind, Sent

PREFIX = "agb.sdk/"
"""What the keys of hidden labels begin with."""
CREATE = f"{PREFIX}create"
"""The key of the nonce of a creation."""
OWNER = f"{PREFIX}owner"
"""The key of the owner's name."""
PART = f"{PREFIX}part"
"""The key of the part of the owner, such as a chunk of a map, that a session belongs to."""
LONGEST = 128
"""Characters that a name may have."""


def _is_word(owner: Owner, attribute: Any, value: str) -> None:
    del owner
    check_name(value, f"the {attribute.name} of an owner")


@frozen
class Owner:
    """What a session belongs to, such as a pool or a map.

    Its sessions can be listed by its label: ``agb.list({ownership.OWNER: owner.label})``.

    Args:
        kind: what it is: ``"pool"``, ``"map"``.
        id: which of them; a name that stays the same from run to run, or one made for the occasion (`nameless`).
        part: which part of it, for what is reaped part by part.
    """

    kind: str = field(validator=_is_word)
    id: str = field(validator=_is_word)
    part: str = ""

    @property
    def labels(self) -> dict[str, str]:
        """What its sessions are found by: those of the part, if it is one."""
        return {OWNER: self.label, PART: self.part} if self.part else {OWNER: self.label}

    @property
    def label(self) -> str:
        """The value of the label, such as ``"pool:nightly"``."""
        return f"{self.kind}:{self.id}"

    def __str__(self) -> str:
        return self.label


def check_name(name: object, what: str) -> str:
    """Return a name that something can be found by; raise `TypeError` or `ValueError` unless it is one."""
    if not isinstance(name, str):
        raise TypeError(f"{what} is a string, not {type(name).__name__}")
    if not name.strip() or not name.isprintable() or len(name) > LONGEST:
        raise ValueError(f"{what} is one line of 1 to {LONGEST} characters, not {name!r}")
    return name


def nameless() -> str:
    """Return an id for an owner without a name."""
    return secrets.token_hex(8)


def labels_of_creation(owner: Owner | None = None, maker: str = "", now: float = 0) -> dict[str, str]:
    """Return the hidden labels of a new session, with a nonce that no other has.

    Args:
        owner: what the session belongs to, if to anything; only then is its maker told.
        maker: the process that makes it, as `makers.this_process` tells.
        now: seconds since 1970.
    """
    nonce = secrets.token_hex(12)
    if owner is None:
        return {CREATE: nonce}
    return {CREATE: f"{nonce}@{int(now)}/{maker}", **owner.labels}


def making_of(labels: Mapping[str, str]) -> tuple[float, str]:
    """Return when a session with these labels was made, and by which process; 0 and ``""`` if they do not tell."""
    when, _, maker = labels.get(CREATE, "").partition("@")[2].partition("/")
    return (float(when), maker) if when.isdecimal() else (0.0, "")


def shown(labels: Mapping[str, str]) -> dict[str, str]:
    """Return the labels that are the user's own."""
    return {key: value for key, value in labels.items() if not key.startswith(PREFIX)}


def hidden(labels: Mapping[str, str]) -> dict[str, str]:
    """Return the labels that are not the user's own."""
    return {key: value for key, value in labels.items() if key.startswith(PREFIX)}


def reserved(labels: Mapping[str, str]) -> str:
    """Return why a user cannot set these labels, ``""`` if they can."""
    taken = next((key for key in labels if key.startswith(PREFIX)), None)
    return "" if taken is None else f"Label keys that begin with {PREFIX!r} are reserved for the SDK: rename {taken!r}"


# --- a creation without an answer --------------------------------------------------------------------------------


def may_have_made(error: AGBError) -> bool:
    """Return whether there may be a session although its creation failed: sent, and no valid answer came."""
    return error.sent is Sent.MAYBE or error.kind is ErrorKind.INVALID_ANSWER or error.http_status in _GATEWAY


_GATEWAY = frozenset({502, 504})
"""Statuses by which a proxy, or the service itself, says that what is behind it has not answered."""


LOOKS = (0.0, 0.1, 0.2, 0.4, 0.8, 1.5, 2.0)
"""Seconds to wait before each look for a session whose creation was not answered; the service may be at it still."""


LOOK_LIMIT = 6.0
"""Seconds that all looks may take together, also when the service does not answer them."""


def how_to_reap(labels: Mapping[str, str]) -> str:
    """Return what to do about a session that may be there."""
    return f"should there be one, `agb gc --create {labels[CREATE]}` deletes it"
