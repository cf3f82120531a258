"""Results of transfers between this machine and a store."""

from __future__ import annotations

from typing import Any, NoReturn, Self

from attrs import field, frozen

from ..exceptions import AGBError, FileError
from .base import Answer, BoolResult, Shown, entries, error_field, message_field, optional_message_field


@frozen(slots=False, repr=False)
class TransferredFile(Shown):
    """A file that was moved between this machine and a context; ``size`` is in bytes, ``etag`` is the store's."""

    local_path: str
    remote_path: str
    size: int
    etag: str = ""


@frozen(slots=False, repr=False)
class FailedTransfer(Shown):
    """A file that was not moved, and the error."""

    local_path: str
    remote_path: str
    error: AGBError = field(eq=False)


@frozen(slots=False, repr=False)
class ContextTransferResult(Answer):
    """The files of one upload or download: a success if all of them were moved."""

    success: bool = False
    files: list[TransferredFile] = field(default=None, converter=entries)
    size: int = 0
    """Bytes that were moved, of all ``files``."""
    failures: list[FailedTransfer] = field(default=None, converter=entries)
    error_message: str = message_field()
    error: AGBError | None = error_field()

    def raise_for_error(self) -> Self:
        """Return this result if it is a success, otherwise raise the error of the first failure.

        Raises:
            AGBError: as in ``error``; ``failures`` has those of the other files.
        """
        return self if self.success else _raise_transfer(self)


@frozen(slots=False, repr=False)
class DirectoryResult(BoolResult):
    """A directory that was copied: a success if all of it was.

    ``failures`` has the entries that were not copied; if it is empty, and this is no success, the copy was not made.
    """

    failures: list[FailedTransfer] = field(default=None, converter=entries, kw_only=True)


@frozen(slots=False, repr=False)
class UploadResult(Answer):
    """An upload into a session; the two request ids are those of getting the URL and of starting the sync."""

    success: bool = False
    request_id_upload_url: str | None = None
    request_id_sync: str | None = None
    http_status: int | None = None
    etag: str | None = None
    bytes_sent: int = 0
    path: str = ""
    error_message: str | None = optional_message_field()
    error: AGBError | None = error_field()

    def raise_for_error(self) -> Self:
        """Return this result if it is a success, otherwise raise its ``error``.

        Raises:
            AGBError: as in ``error``.
        """
        return self if self.success else _raise_transfer(self)


@frozen(slots=False, repr=False)
class DownloadResult(Answer):
    """A download out of a session; the two request ids are those of getting the URL and of starting the sync."""

    success: bool = False
    request_id_download_url: str | None = None
    request_id_sync: str | None = None
    http_status: int | None = None
    bytes_received: int = 0
    path: str = ""
    local_path: str = ""
    error_message: str | None = optional_message_field()
    error: AGBError | None = error_field()

    def raise_for_error(self) -> Self:
        """Return this result if it is a success, otherwise raise its ``error``.

        Raises:
            AGBError: as in ``error``.
        """
        return self if self.success else _raise_transfer(self)


def _raise_transfer(result: Any) -> NoReturn:
    raise result.error or FileError(result.error_message or "the transfer failed")
