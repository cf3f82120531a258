"""Local files for a session as one archive: faster than one call for each file, and with permissions and links."""

from __future__ import annotations

import asyncio
import secrets
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from .sandbox import Sandbox

_UNPACK: Final = 'mkdir -p -- "$1" && tar -xzf "$0" --no-same-owner -C "$1"; code=$?; rm -f -- "$0"; exit $code'


class CannotMakeDirectory(RuntimeError):
    """A directory cannot be made in a session; the message has the reason."""


async def make_directories(sandbox: Sandbox, paths: Sequence[str]) -> None:
    """Make directories that are missing, with those above them.

    Raises:
        CannotMakeDirectory: the session's user may not, or a file is in the way.
    """
    if paths and (outcome := await sandbox.exec(["mkdir", "-p", "--", *paths])).exit_code:
        raise CannotMakeDirectory(outcome.stderr.decode("utf-8", "replace").strip())


async def send(sandbox: Sandbox, files: Sequence[tuple[Path, str]], directory: str, mode: int | None = None) -> None:
    """Unpack local files below a directory of the session, which is made if it is missing.

    Args:
        sandbox: the session.
        files: pairs of a local path and its name in the directory; a directory named "." stands for its contents.
        directory: where they go.
        mode: their permissions; without it, those that they have.

    Raises:
        FileError: the archive could not be written.
        RuntimeError: it could not be unpacked.
    """
    place = scratch_name()
    with tempfile.TemporaryDirectory() as scratch:
        archive = Path(scratch, "files.tar.gz")
        await asyncio.to_thread(_pack, archive, files, mode)
        (await sandbox.session.file.write_stream(place, archive)).raise_for_error()
    outcome = await sandbox.exec(["sh", "-c", _UNPACK, place, directory])
    if outcome.exit_code:
        raise RuntimeError(f"cannot write to {directory}: {outcome.stderr.decode('utf-8', 'replace').strip()}")


def scratch_name() -> str:
    """Return the path of a new archive in the session."""
    return f"/tmp/.agb-{secrets.token_hex(8)}.tar.gz"


def _pack(archive: Path, files: Sequence[tuple[Path, str]], mode: int | None) -> None:
    def changed(member: tarfile.TarInfo) -> tarfile.TarInfo:
        return member if mode is None or member.issym() else member.replace(mode=mode, deep=False)

    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        for path, name in files:
            if name == ".":
                for child in sorted(path.iterdir()):
                    tar.add(child, child.name, filter=changed)
            else:
                tar.add(path.resolve(), name, filter=changed)
