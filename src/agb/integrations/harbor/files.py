"""Files and directories of the environment: archives that are packed on one side and unpacked on the other."""

# pyright: reportMissingImports=false
from __future__ import annotations

import asyncio
import secrets
import tarfile
import tempfile
from collections.abc import Sequence
from functools import partial
from logging import Logger
from pathlib import Path
from typing import Final

from harbor.environments.tar_transfer import extract_dir_from_file, tar_pack_succeeded

from ..._async._compat.cancellation import shielded
from ..sandbox import Sandbox

_UNPACK: Final = 'mkdir -p -- "$1" && tar -xzf "$0" --no-same-owner -C "$1"; code=$?; rm -f -- "$0"; exit $code'


class CannotMakeDirectory(RuntimeError):
    """A directory cannot be made in a session; the message has the reason."""


async def make_directories(sandbox: Sandbox, paths: Sequence[str]) -> None:
    """Make directories that are missing, with those above them."""
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
    place = _scratch_name()
    with tempfile.TemporaryDirectory() as scratch:
        archive = Path(scratch, "files.tar.gz")
        await asyncio.to_thread(_pack, archive, files, mode)
        (await sandbox.session.file.write_stream(place, archive)).raise_for_error()
    outcome = await sandbox.exec(["sh", "-c", _UNPACK, place, directory])
    if outcome.exit_code:
        raise RuntimeError(f"cannot write to {directory}: {outcome.stderr.decode('utf-8', 'replace').strip()}")


async def fetch(sandbox: Sandbox, path: str, target: Path) -> None:
    """Copy a file of the session to this machine.

    Raises:
        FileError: it could not be read.
    """
    async with sandbox.session.file.read_stream(path) as chunks:
        with target.open("wb") as file:
            async for chunk in chunks:
                file.write(chunk)


async def fetch_directory(sandbox: Sandbox, path: str, target: Path, logger: Logger) -> None:
    """Copy the contents of a directory of the session into one of this machine; links that lead out are left out.

    Raises:
        RuntimeError: the directory could not be packed.
        FileError: the archive could not be read.
    """
    place = _scratch_name()
    try:
        outcome = await sandbox.exec(["tar", "-czf", place, "-C", path, "."])
        stderr = outcome.stderr.decode("utf-8", "replace")
        if not tar_pack_succeeded(outcome.exit_code, stderr=stderr, logger=logger):
            raise RuntimeError(f"cannot read {path}: {stderr.strip()}")
        with tempfile.TemporaryDirectory() as scratch:
            archive = Path(scratch, "files.tar.gz")
            await fetch(sandbox, place, archive)
            await asyncio.to_thread(extract_dir_from_file, archive, target)
    finally:
        await shielded(partial(sandbox.exec, ["rm", "-f", "--", place]))


def _scratch_name() -> str:
    return f"/tmp/.agb-harbor-{secrets.token_hex(8)}.tar.gz"


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
