"""Results about contexts, the files stored in them, and extensions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from attrs import Attribute, define, field, frozen
from attrs.validators import instance_of, optional

from ..exceptions import AGBError
from .base import OperationResult, Result, Shown, entries, error_field, message_field, optional_message_field

if TYPE_CHECKING:
    from .narrowed import ContextFailure, ContextSuccess


def _page_size(_: object, attribute: Attribute[Any], value: object) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{attribute.name} must be a whole number, not {value!r}")
    if value < 1:
        raise ValueError(f"{attribute.name} must be at least 1, not {value}")


@define
class Context:
    """A named persistent store.

    It may be renamed by assigning ``name`` and calling ``client.context.update``.

    Attributes:
        id: the service's id, such as ``SdkCtx-...``.
        name: unique for an API key and a region.
        created_at: when it was created, as the service writes it; None if it did not report it.
        last_used_at: when it was last used, likewise.
        state: ``available``, ``clearing`` or ``pre-available``; None if the service did not report it.
    """

    id: str
    name: str
    created_at: str | None = None
    last_used_at: str | None = None
    state: str | None = field(default=None, kw_only=True)


@define
class ContextListParams:
    """The requested page of the contexts; both values are checked, also when they are assigned."""

    max_results: int | None = field(default=None, validator=_page_size)
    next_token: str | None = field(default=None, validator=optional(instance_of(str)))


@frozen(slots=False, repr=False)
class ContextResult(Result):
    """A context, found or created, with its id as ``context_id``."""

    context_id: str = ""
    context: Context | None = None
    error_message: str | None = optional_message_field()
    error: AGBError | None = error_field()

    @classmethod
    def _fields(cls, value: Any) -> dict[str, Any]:
        return {"context_id": value.id, "context": value}

    if TYPE_CHECKING:

        @classmethod
        def of(cls, value: Any, request_id: str) -> ContextSuccess:
            """Return the result of a call that succeeded with ``value``."""
            raise NotImplementedError

        @classmethod
        def failed(cls, error: AGBError) -> ContextFailure:
            """Return the result of a call that ended in ``error``."""
            raise NotImplementedError

        def raise_for_error(self) -> ContextSuccess:
            """Return this result if it is a success, otherwise raise its ``error``."""
            raise NotImplementedError


@frozen(slots=False, repr=False)
class ContextListResult(Result):
    """One page of contexts; ``next_token`` is None on the last page, ``total_count`` counts all pages, if reported."""

    contexts: list[Context] = field(default=None, converter=entries)
    next_token: str | None = None
    max_results: int | None = None
    total_count: int | None = None
    error_message: str | None = optional_message_field()
    error: AGBError | None = error_field()

    @classmethod
    def _fields(cls, value: Any) -> dict[str, Any]:
        return {
            "contexts": value.items,
            "next_token": value.next_token or None,
            "max_results": value.max_results,
            "total_count": value.total_count,
        }


@frozen(slots=False, repr=False)
class ContextFileEntry(Shown):
    """A file stored in a context; ``size`` is in bytes, ``file_path`` is its path inside a session."""

    file_id: str
    file_name: str
    file_path: str
    file_type: str | None = None
    gmt_create: str | None = None
    gmt_modified: str | None = None
    size: int | None = None
    status: str | None = None


@frozen(slots=False, repr=False)
class ContextFileListResult(Result):
    """One page of the files of a context; ``count`` counts all pages, None if it is not reported."""

    entries: list[ContextFileEntry] = field(default=None, converter=entries)
    count: int | None = None
    error_message: str | None = optional_message_field()
    error: AGBError | None = error_field()

    @classmethod
    def _fields(cls, value: Any) -> dict[str, Any]:
        return {"entries": value.items, "count": value.total_count}


@frozen(slots=False, repr=False)
class FileUrlResult(Result):
    """A pre-signed URL. It works for everyone who has it, so ``repr`` does not show it.

    ``expire_time`` is the service's number, whose unit is not documented; the local runtime returns seconds since
    1970.
    """

    url: str = field(default="", repr=False)
    expire_time: int | None = None
    error_message: str | None = optional_message_field()
    error: AGBError | None = error_field()

    @classmethod
    def _fields(cls, value: Any) -> dict[str, Any]:
        return {"url": value["url"], "expire_time": value["expire_time"], "error_message": ""}


@frozen(slots=False, repr=False)
class ClearContextResult(OperationResult):
    """The progress of clearing a context: ``status`` is ``clearing``, ``pre-available`` or ``available``."""

    data: Any = field(default=None, init=False, repr=False)
    error_message: str = message_field()
    status: str | None = None
    context_id: str | None = None
    error: AGBError | None = field(default=None, kw_only=True, eq=False, repr=False)

    @classmethod
    def _fields(cls, value: Any) -> dict[str, Any]:
        del value
        return {}

    if TYPE_CHECKING:

        @classmethod
        def of(cls, value: Any, request_id: str) -> Self:  # type: ignore[override]
            """Return the result of a call that succeeded with ``value``."""

        @classmethod
        def failed(cls, error: AGBError) -> Self:  # type: ignore[override]
            """Return the result of a call that ended in ``error``."""

        def raise_for_error(self) -> Self:  # type: ignore[override]
            """Return this result if it is a success, otherwise raise its ``error``."""


@frozen(slots=False, repr=False)
class Extension(Shown):
    """A browser extension stored in a context.

    ``name`` is the name of the file it was created from if that is known, otherwise the same as ``id``.
    """

    id: str
    name: str
    created_at: str | None = None
