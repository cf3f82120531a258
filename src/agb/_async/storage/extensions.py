"""Browser extensions: archives in a context, which is mounted in sessions with a browser."""

from __future__ import annotations

import builtins
import secrets
import time
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Protocol
from uuid import uuid4

from ...exceptions import AGBError, ErrorKind
from ...results.contexts import Context, Extension
from ...session_params import EXTENSIONS_BASE_PATH, ExtensionOption
from .._compat.loop import eager_start, in_thread

if TYPE_CHECKING:
    from .contexts import AsyncContextService


class AsyncContextClient(Protocol):
    """What this service needs of the client."""

    @property
    def context(self) -> AsyncContextService:
        """The service of contexts."""
        ...


class AsyncExtensionsService:
    """The browser extensions in one context.

    The context is found, or made, by the first method that is called, or by `open`; making this object sends nothing.
    An existing context is used as it is, and never deleted by this object. A context made here is deleted by `cleanup`.

    Args:
        agb: the client.
        context_id: the **name** of the context, as in 0.12 in spite of the parameter's own name; the id of an existing
            context is accepted as well. Blank makes a new context, with a generated name.

    Attributes:
        agb: the client.
        context_service: its service of contexts.
        context_name: the name or id that was passed, or the generated name.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from agb.extension import AsyncExtensionsService
        >>> extensions = AsyncExtensionsService(client)
        >>> with TemporaryDirectory() as here:
        ...     archive = Path(here, "reader.zip")
        ...     size = archive.write_bytes(b"a zip archive")
        ...     made = await extensions.create(archive)
        >>> made.name
        'reader.zip'
        >>> option = await extensions.create_extension_option([made.id])
        >>> browser = BrowserContext("SdkCtx-profile", extension_option=option)
        >>> await extensions.cleanup()
        True
    """

    def __init__(self, agb: AsyncContextClient, context_id: str = "") -> None:
        if not isinstance(context_id, str):
            raise TypeError(f"context_id is the name of a context, not {type(context_id).__name__}")
        self.agb = agb
        self.context_service = agb.context
        self.context_name = context_id.strip()
        self._is_new = not self.context_name
        if self._is_new:  # two programs that start in the same second must not share a context
            self.context_name = f"extensions-{int(time.time())}-{secrets.token_hex(4)}"
        self._context: Context | None = None
        self._auto_created = False
        self._names: dict[str, str] = {}
        """The extensions that were uploaded by this object, and the names of their files."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} in {self.context_name!r}>"

    # --- the context ---------------------------------------------------------------------------------------------

    async def open(self) -> Context:
        """Return the context; the first call looks it up, or makes it.

        Raises:
            AGBError: it can be neither found nor made.
        """
        if self._context is None:
            found, is_absent = (None, True) if self._is_new else await self._find()
            if found is None:
                made = await self.context_service.create(self.context_name)
                found = made.raise_for_error().context
                self._auto_created = self._auto_created or is_absent
            self._context = found
        assert self._context is not None  # a success has one
        return self._context

    async def _find(self) -> tuple[Context | None, bool]:
        """Return the context of that name or id, if any, and whether the service says that the name is not in use.

        A refusal for another reason does not say that: a context made then may have existed before.
        """
        by_name = await self.context_service.get(self.context_name)
        if by_name.success:
            return by_name.context, False
        by_id = await self.context_service.get(context_id=self.context_name)
        if by_id.success:
            return by_id.context, False
        for error in (by_name.error, by_id.error):
            if error is not None and (error.kind in _UNRELATED or not error.kind.is_refusal):
                raise error
        return None, by_name.error is not None and by_name.error.kind is ErrorKind.NOT_FOUND

    @property
    def extension_context(self) -> Context:
        """The context; asynchronous programs call `open` before.

        Raises:
            AGBError: it was not opened, or can be neither found nor made.
        """
        eager_start(self.open)
        if self._context is None:
            raise AGBError(f"the context {self.context_name!r} is not known yet: call open() first")
        return self._context

    @property
    def context_id(self) -> str:
        """The id of the context, like `extension_context`."""
        return self.extension_context.id

    @property
    def auto_created(self) -> bool:
        """Whether the context was made by this object, so that `cleanup` deletes it; like `extension_context`."""
        return bool(self.extension_context) and self._auto_created

    # --- extensions ----------------------------------------------------------------------------------------------

    async def list(self) -> builtins.list[Extension]:
        """Return all extensions of the context.

        The service stores the id only; those uploaded by this object have the names of their files.

        Raises:
            AGBError: they cannot be listed.

        API: POST /sdk/DescribeContextFiles.
        """
        context = await self.open()
        return [
            Extension(entry.file_name, self._names.get(entry.file_name, entry.file_name), entry.gmt_create)
            async for entry in self.context_service.iterate_files(context.id, EXTENSIONS_BASE_PATH)
        ]

    async def create(self, local_path: str | PathLike[str]) -> Extension:
        """Upload an extension, and return it with its new id.

        Args:
            local_path: a .zip archive of this machine.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: its name does not end in .zip.
            AGBError: it cannot be uploaded.

        API: POST /sdk/GetContextFileUploadUrl.
        """
        archive = await _archive(local_path)
        return await self._upload(f"ext_{uuid4().hex}.zip", archive)

    async def update(self, extension_id: str, new_local_path: str | PathLike[str]) -> Extension:
        """Replace the archive of an extension, which keeps its id.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: its name does not end in .zip, or there is no extension of that id.
            AGBError: it cannot be uploaded, or the extensions cannot be listed.
        """
        _check_id(extension_id)
        archive = await _archive(new_local_path)
        if extension_id not in [extension.id for extension in await self.list()]:
            raise ValueError(
                f"there is no extension {extension_id!r} in the context {self.context_name!r}: list() returns them"
            )
        return await self._upload(extension_id, archive)

    async def _upload(self, extension_id: str, archive: Path) -> Extension:
        context = await self.open()
        self._names[extension_id] = archive.name  # before the upload, whose answer may be lost
        sent = await self.context_service.upload(context.id, archive, _stored_at(extension_id))
        sent.raise_for_error()
        return Extension(extension_id, archive.name)

    async def delete(self, extension_id: str) -> bool:
        """Delete an extension; return whether it existed and is deleted. Never raises for a failed call.

        API: POST /sdk/DeleteContextFile.
        """
        _check_id(extension_id)
        try:
            context = await self.open()
        except AGBError:
            return False
        deleted = await self.context_service.delete_file(context.id, _stored_at(extension_id))
        if deleted.success:
            self._names.pop(extension_id, None)
        return deleted.success

    async def create_extension_option(self, extension_ids: builtins.list[str]) -> ExtensionOption:
        """Return the option of a `BrowserContext` that installs these extensions in a session.

        Raises:
            ValueError: there are no ids.
            AGBError: the context can be neither found nor made.
        """
        context = await self.open()
        return ExtensionOption(context.id, extension_ids)

    # --- the end -------------------------------------------------------------------------------------------------

    async def cleanup(self) -> bool:
        """Delete what this object has made, and nothing else: its extensions, and the context if it made that too.

        A context that existed before stays, with all its other files. One that was made here stays as well if it
        contains a file that this object has not uploaded.

        Returns:
            Whether all of that is deleted. Never raises for a failed call.
        """
        if self._context is None:
            return True
        try:
            if self._auto_created and not await self._holds_more(self._context.id):
                result = await self.context_service.delete(self._context)
                if result.success:
                    self._context, self._auto_created, self._names = None, False, {}
                return result.success
        except AGBError:
            return False
        deleted = [await self._is_deleted(extension_id) for extension_id in list(self._names)]
        return all(deleted) and not self._auto_created

    async def _holds_more(self, context_id: str) -> bool:
        """Return whether a context contains files that this object has not uploaded; raise if that cannot be known."""
        ours = {_stored_at(extension_id) for extension_id in self._names}
        above = {
            EXTENSIONS_BASE_PATH,
            *map(str, PurePosixPath(EXTENSIONS_BASE_PATH).parents),
        }  # a service may list them
        for folder in (EXTENSIONS_BASE_PATH, None):
            async for entry in self.context_service.iterate_files(context_id, folder):
                if entry.file_path not in ours | above:
                    return True
        return False

    async def _is_deleted(self, extension_id: str) -> bool:
        """Delete an extension; one that does not exist counts as deleted."""
        assert self._context is not None  # it was opened
        result = await self.context_service.delete_file(self._context.id, _stored_at(extension_id))
        is_deleted = result.success or (result.error is not None and result.error.kind is ErrorKind.NOT_FOUND)
        if is_deleted:
            self._names.pop(extension_id, None)
        return is_deleted


_UNRELATED = frozenset({ErrorKind.BAD_CREDENTIALS, ErrorKind.RATE_LIMITED})
"""Refusals that say nothing about the context."""


def _stored_at(extension_id: str) -> str:
    return f"{EXTENSIONS_BASE_PATH}/{extension_id}"


def _check_id(extension_id: str) -> None:
    if not isinstance(extension_id, str):
        raise TypeError(f"extension_id is a string, not {type(extension_id).__name__}")
    if not extension_id.strip() or "/" in extension_id or extension_id in (".", ".."):
        raise ValueError(
            f"extension_id is the id of an extension, such as create and list return it, not {extension_id!r}"
        )


async def _archive(local_path: str | PathLike[str]) -> Path:
    """Return the path of an archive that can be uploaded."""
    path = Path(local_path)
    if not await in_thread(path.is_file):
        raise FileNotFoundError(f"there is no extension to upload at {str(path)!r}")
    if path.suffix.lower() != ".zip":
        raise ValueError(f"an extension is a .zip archive, not {path.name!r}")
    return path
