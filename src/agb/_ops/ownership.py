"""Ownership: the hidden labels by which a session is found again when its creator is gone.

Every session gets, beside the labels of its user, a nonce of its own: by it a session is found whose creation was not
answered. A session of a pool or a batch also gets the name of its owner, and its nonce names the process that created
it. Keys that begin with ``agb.sdk/`` are reserved for this: they are never returned among the user's labels, and
setting the user's labels keeps them.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from .._wire.labels import HIDDEN
from ..exceptions import AGBError, ErrorKind, Sent

CREATE = f"{HIDDEN}create"
"""The key of the nonce of a creation."""
OWNER = f"{HIDDEN}owner"
"""The key of the owner's name."""
PART = f"{HIDDEN}part"
"""The key of the part of the owner, such as a chunk of a batch, that a session belongs to."""
LONGEST = 128
"""The most characters of a name."""


def _is_word(owner: Owner, attribute: Any, value: str) -> None:
    del owner
    check_name(value, f"the {attribute.name} of an owner")


@frozen
class Owner:
    """What a session belongs to, such as a pool or a map.

    Its sessions can be listed by its label: ``client.list({ownership.OWNER: owner.label})``.

    Args:
        kind: ``"pool"`` or ``"map"``.
        id: its name: one that stays the same from run to run, or a random one (`nameless`).
        part: which part of it, for an owner whose sessions are reaped part by part.
    """

    kind: str = field(validator=_is_word)
    id: str = field(validator=_is_word)
    part: str = ""

    @property
    def labels(self) -> dict[str, str]:
        """The labels by which its sessions, or those of its part, are found."""
        return {OWNER: self.label, PART: self.part} if self.part else {OWNER: self.label}

    @property
    def label(self) -> str:
        """The value of the label, such as ``"pool:nightly"``."""
        return f"{self.kind}:{self.id}"

    def __str__(self) -> str:
        return self.label


def check_name(name: object, what: str) -> str:
    """Return a name by which something can be found; raise `TypeError` or `ValueError` if it cannot be one."""
    if not isinstance(name, str):
        raise TypeError(f"{what} is a string, not {type(name).__name__}")
    if not name.strip() or not name.isprintable() or len(name) > LONGEST:
        raise ValueError(f"{what} is one line of 1 to {LONGEST} characters, not {name!r}")
    return name


def nameless() -> str:
    """Return an id for an owner without a name."""
    return secrets.token_hex(8)


def labels_of_creation(owner: Owner | None = None, maker: str = "", now: float = 0) -> dict[str, str]:
    """Return the hidden labels of a new session, with a unique nonce.

    Args:
        owner: what the session belongs to, if to anything.
        maker: the process that creates it, as `owner_process.this_process` names it; not stored without an owner.
        now: seconds since 1970.
    """
    created = f"{secrets.token_hex(12)}@{int(now)}"
    return {CREATE: created} if owner is None else {CREATE: f"{created}/{maker}", **owner.labels}


def making_of(labels: Mapping[str, str]) -> tuple[float, str]:
    """Return when a session with these labels was created, and by which process; 0 and ``""`` if that is not known."""
    when, _, maker = labels.get(CREATE, "").partition("@")[2].partition("/")
    return (float(when), maker) if when.isdecimal() else (0.0, "")


def hidden(labels: Mapping[str, str]) -> dict[str, str]:
    """Return the hidden labels."""
    return {key: value for key, value in labels.items() if key.startswith(HIDDEN)}


def check_not_reserved(labels: Mapping[str, str]) -> None:
    """Raise `ValueError` if a key begins with the prefix of hidden labels."""
    reserved = next((key for key in labels if key.startswith(HIDDEN)), None)
    if reserved is not None:
        raise ValueError(f"Label keys that begin with {HIDDEN!r} are reserved for the SDK: rename {reserved!r}")


# --- a creation without an answer --------------------------------------------------------------------------------


def may_have_made(error: AGBError) -> bool:
    """Return whether a failed creation may have made a session: it was sent, and there was no valid answer."""
    return error.sent is Sent.MAYBE or error.kind in _NO_ANSWER or error.http_status in _GATEWAY


_NO_ANSWER = frozenset({ErrorKind.INVALID_ANSWER, ErrorKind.TOO_LARGE, ErrorKind.UNAVAILABLE})
_GATEWAY = frozenset({502, 504})
"""Statuses by which a proxy, or the service itself, reports that the server behind it has not answered."""


LOOKS = (0.0, 0.1, 0.2, 0.4, 0.8, 1.5, 2.0)
"""Seconds before each lookup of a session whose creation was not answered: the service may still be creating it."""
LATER_LOOKS = (2.0, 3.0, 4.0)
"""Seconds before each further lookup, as long as the service does not answer them."""
LOOK_LIMIT = 15.0
"""Seconds that all lookups may take together."""


def how_to_reap(nonce: str, *, is_certain: bool = False) -> str:
    """Return the advice about a session that exists, or may exist."""
    return f"{'' if is_certain else 'if there is one, '}`agb gc --create {nonce}` deletes it"


def is_label_refused(error: AGBError, description: str) -> bool:
    """Return whether a call was refused because of a label, as far as the code and the text of the refusal say so.

    The description of the call, which the text contains, does not count: it has the user's names in it.
    """
    text = f"{error.code} {error.message.replace(description, '')}"
    return error.kind is ErrorKind.REFUSED and _LABEL.search(text) is not None


_LABEL = re.compile(rf"(?i:label)|\b(?i:tags?)\b|Tags?(?![a-z])|{re.escape(HIDDEN)}")
"""Also a part of a code, such as ``InvalidTag.Malformed``."""
