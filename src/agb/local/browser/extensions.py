"""The extensions of a browser: found in a directory of the session, and checked once the browser has loaded them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from attrs import frozen

from ..validation import shown
from .cdp import Cdp, CdpError
from .files import SessionFiles

_MOST_BYTES = 1 << 20
_LOAD_SECONDS = 5.0
_PAUSE = 0.05
_OLDEST_MANIFEST = 3


@frozen
class Found:
    """What a directory of extensions holds."""

    directories: tuple[str, ...] = ()
    """Directories with a manifest, seen from inside."""
    warnings: tuple[str, ...] = ()


async def find_extensions(files: SessionFiles, path: str, *, shown_as: str) -> Found:
    """Return the extensions below a directory, one sub-directory each; there are none if it does not exist.

    A directory that is an extension itself is one. In a sub-directory, the extension may be one level deeper, as in
    archives that hold a single directory.
    """
    if await _has_manifest(files, path):
        return Found((path,))
    directories, warnings = [], []
    for name in await _sub_directories(files, path):
        directory = f"{path}/{name}"
        if not await _has_manifest(files, directory):
            inner = [f"{directory}/{one}" for one in await _sub_directories(files, directory)]
            inner = [one for one in inner if await _has_manifest(files, one)]
            if len(inner) != 1:
                warnings.append(f"extension {shown(name)} was not loaded: {shown_as}/{name} has no manifest.json")
                continue
            directory = inner[0]
        if "," in directory:
            warnings.append(f"extension {shown(name)} was not loaded: Chromium takes no comma in its path")
            continue
        directories.append(directory)
    return Found(tuple(directories), tuple(warnings))


async def not_loaded(cdp: Cdp, files: SessionFiles, directories: Sequence[str]) -> list[str]:
    """Return a sentence for each extension that the browser refused to load.

    The browser decides: a manifest may have comments, for one. What is found here gives the reason.
    """
    problems = {directory: await _problem(files, directory) for directory in directories}
    missing = await _missing(cdp, problems)
    return [
        f"extension {shown(PurePosixPath(directory).name)} was not loaded: "
        f"{problems[directory] or 'Chromium refused to load it'}"
        for directory in missing
    ]


async def _missing(cdp: Cdp, problems: Mapping[str, str | None]) -> list[str]:
    """Return those that the browser has not loaded. It loads them while its first page opens, and sends no event."""
    loop = asyncio.get_running_loop()
    end = loop.time() + _LOAD_SECONDS
    while True:
        try:
            loaded = {one["path"] for one in (await cdp.call("Extensions.getExtensions"))["extensions"]}
        except CdpError:  # an older Chromium, which has no such command
            return [directory for directory, problem in problems.items() if problem]
        missing = [directory for directory in problems if directory not in loaded]
        if all(problems[directory] for directory in missing) or loop.time() > end:
            return missing
        await asyncio.sleep(_PAUSE)


async def _problem(files: SessionFiles, directory: str) -> str | None:
    """Return what is wrong with a manifest, None if nothing is found: Chromium checks more."""
    place = {"path": f"{directory}/manifest.json", "offset": 0, "length": _MOST_BYTES, "format": "text"}
    reply = await files.call("read_file", place)
    if not reply.ok:
        return "its manifest.json cannot be read"
    try:
        manifest = json.loads(reply.text)
    except ValueError as error:
        return f"its manifest.json is not valid JSON: {error}"
    if not isinstance(manifest, dict):
        return "its manifest.json is no JSON object"
    version = manifest.get("manifest_version")
    if type(version) is not int or version < _OLDEST_MANIFEST:
        return f"its manifest_version is {json.dumps(version)[:40]}, and Chromium loads version {_OLDEST_MANIFEST}"
    for name in ("name", "version"):
        if not isinstance(manifest.get(name), str) or not manifest[name]:
            return f"its manifest.json has no {name}"
    return None


async def _has_manifest(files: SessionFiles, directory: str) -> bool:
    return (await files.call("get_file_info", {"path": f"{directory}/manifest.json"})).ok


async def _sub_directories(files: SessionFiles, path: str) -> list[str]:
    reply = await files.call("list_directory", {"path": path})
    lines = reply.text.splitlines() if reply.ok else []
    return [line.removeprefix("[DIR] ") for line in lines if line.startswith("[DIR] ")]
