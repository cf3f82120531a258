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

from attrs import field, frozen

from .._wire.labels import CREATE, HIDDEN, OWNER, PART
from ..exceptions import AGBError, ErrorKind, Sent
from ..owned import Owner, check_name


@frozen
class Selection:
    """Which sessions are meant: by labels that the service compares, and by the beginning of the owner's name.

    Attributes:
        labels: all of these match.
        prefix: the owner's name begins with it.
        is_any: whether sessions without an owner are meant too.
    """

    labels: dict[str, str] = field(factory=dict)
    prefix: str = ""
    is_any: bool = False

    def holds(self, owner: str) -> bool:
        """Return whether the session of this owner, ``""`` for none, is meant."""
        return self.is_any or (bool(owner) and owner.startswith(self.prefix))


def created_as(nonce: str) -> Selection:
    """Return the selection of the session of one creation, which needs no owner."""
    return Selection({CREATE: nonce}, is_any=True)


def owned_by(owner: Owner | str, part: str | None = None) -> Selection:
    """Return the selection of an owner's sessions; raise `TypeError` or `ValueError` for what cannot be an owner.

    Args:
        owner: the owner, with its part if it has one; or its name, where ``*`` at the end stands for anything: the
            service compares whole labels, so the owner of each session is then read.
        part: only this part of the owner.
    """
    if isinstance(owner, Owner):
        labels = owner.labels
    elif not isinstance(owner, str):
        raise TypeError(f"owner is an Owner or a name such as 'pool:nightly', not {type(owner).__name__}")
    elif owner.endswith("*"):
        return Selection({} if part is None else {PART: check_name(part, "part")}, owner[:-1])
    else:
        if not owner.strip():
            raise ValueError("the owner is empty; a name is 'pool:nightly', for example")
        labels = {OWNER: owner}
    return Selection(labels if part is None else {**labels, PART: check_name(part, "part")})


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
