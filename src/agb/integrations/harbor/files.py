"""Files of the session for this machine, as Harbor copies them."""

# pyright: reportMissingImports=false
from __future__ import annotations

import asyncio
import tempfile
from functools import partial
from logging import Logger
from pathlib import Path

from harbor.environments.tar_transfer import extract_dir_from_file, tar_pack_succeeded

from ..._async._compat.cancellation import shielded
from ..archives import scratch_name
from ..sandbox import Sandbox


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
    place = scratch_name()
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
