"""Owned sessions: those of a pool, a batch or another owner, which are found by their hidden labels and reaped."""

from __future__ import annotations

from hashlib import blake2s
from typing import Any, Self

from attrs import field, frozen

from ._wire.labels import OWNER, PART
from .exceptions import AGBError

LONGEST = 128
"""The most characters of a name."""


def check_name(name: object, what: str) -> str:
    """Return a name by which something can be found; raise `TypeError` or `ValueError` if it cannot be one."""
    if not isinstance(name, str):
        raise TypeError(f"{what} is a string, not {type(name).__name__}")
    if not name.strip() or not name.isprintable() or len(name) > LONGEST:
        raise ValueError(f"{what} is one line of 1 to {LONGEST} characters, not {name!r}")
    return name


def _is_word(owner: Owner, attribute: Any, value: str) -> None:
    del owner
    if attribute.name != "part" or value != "":
        check_name(value, f"the {attribute.name} of an owner")


@frozen
class Owner:
    """What sessions belong to: a pool, a batch, a run of an evaluation.

    A session that is created with an owner carries its name in a hidden label, so that it is found again when the
    program that created it is gone: ``agb gc --owner KIND:ID`` and `AsyncAGB.reap` delete such sessions.

    Args:
        kind: what kind of owner it is, such as ``"pool"``, ``"map"`` or the name of a framework.
        id: the name of the owner, such as the id of a run.
        part: which part of it, such as ``"task/sample"``, for an owner whose sessions are also found part by part.

    Raises:
        TypeError, ValueError: one of them is not one line of 1 to 128 characters; ``part`` may be empty.

    Example:
        >>> from agb import Owner
        >>> Owner("nightly", "2026-11-30", "sample-7").label
        'nightly:2026-11-30'
    """

    kind: str = field(validator=_is_word)
    id: str = field(validator=_is_word)
    part: str = field(default="", validator=_is_word)

    @classmethod
    def from_ids(cls, kind: str, id: object, *parts: object) -> Self:
        """Return the owner for identifiers of another program, which may have any length and any characters.

        A character that cannot be in a name is replaced. A name that is too long is cut, and ends with a digest of
        the whole, so that different identifiers keep different names.

        Args:
            kind: the name of the program.
            id: the identifier of its run.
            parts: further identifiers, such as those of a task and a sample, which are joined with ``/``.

        Example:
            >>> from agb import Owner
            >>> Owner.from_ids("bench", "run-1", "task", 7).part
            'task/7'
        """
        return cls(kind, _as_name(str(id)) or "-", _as_name("/".join(map(str, parts))))

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


def _as_name(text: str) -> str:
    """Return a text as a name: printable, and not too long."""
    name = "".join(one if one.isprintable() else "-" for one in text).strip()
    if len(name) <= LONGEST and name == text:
        return name
    digest = blake2s(text.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
    return f"{name[: LONGEST - len(digest) - 1]}~{digest}"


@frozen
class OwnedSession:
    """A session that belongs to a pool, a batch or another owner.

    Attributes:
        session_id: its id.
        owner: the owner, such as ``"pool:nightly"``; ``""`` if there is none.
        create: the nonce of its creation.
        made_at: when it was created, in seconds since 1970; 0 if that is not known.
        maker: the process that created it: host, id and start; ``""`` if that is not known.
        has_maker: whether that process still runs; None if that cannot be known on this machine.
        part: the part of the owner, such as ``"task/sample"``; ``""`` if there is none.
    """

    session_id: str
    owner: str
    create: str
    made_at: float
    maker: str
    has_maker: bool | None
    part: str = ""


@frozen
class Reaped:
    """The outcome of reaping the sessions of an owner.

    Attributes:
        deleted: those that were deleted.
        kept: those that were not, because the process that created them still runs.
        failed: those that could not be deleted, with the reasons.
    """

    deleted: list[OwnedSession]
    kept: list[OwnedSession]
    failed: list[tuple[OwnedSession, AGBError]]
