"""Which fingerprint a browser gets: the given one, the stored one, a new one, or none."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from attrs import Factory, define

from ..errors import Refused
from .files import SessionFiles
from .fingerprint import MOST_BYTES, Fingerprint, read_fingerprint
from .generator import NoSuchMachine, generate
from .options import BrowserOptions


async def choose_fingerprint(
    options: BrowserOptions, files: SessionFiles, path: str, version: str
) -> tuple[Fingerprint | None, list[str]]:
    """Return the fingerprint to apply, and a sentence for each option that has no effect.

    ``path`` is where the fingerprint is kept, seen from inside, and empty without such a place; ``version`` is that of
    the Chromium.
    """
    choice = _Choice(options, files, path, version)
    return await choice.made(), choice.warnings


@define
class _Choice:
    options: BrowserOptions
    files: SessionFiles
    path: str
    version: str
    warnings: list[str] = Factory(list)

    async def made(self) -> Fingerprint | None:
        options = self.options
        asked = {
            "fingerprint": options.criteria,
            "fingerprintRawData": options.fingerprint,
            "fingerprintPersistPath": options.fingerprint_path,
        }
        names = [name for name, value in asked.items() if value is not None and value != ""]
        if not options.use_stealth:
            self.warnings += [f"{name} has no effect without useStealth" for name in names]
            return None
        if options.fingerprint is None and options.user_agent:
            self.warnings += [f"{name} has no effect beside userAgent" for name in names]
            return Fingerprint.of_user_agent(options.user_agent)
        raw = await self._raw()
        return None if raw is None else read_fingerprint(raw, what="fingerprint")

    async def _raw(self) -> Mapping[str, Any] | None:
        """Return a given fingerprint, or the stored one, or a new one; those that are not stored yet are stored."""
        options = self.options
        if options.fingerprint is not None:
            ignored = {"userAgent": options.user_agent or None, "fingerprint": options.criteria}
            names = [name for name, value in ignored.items() if value is not None]
            self.warnings += [f"{name} has no effect beside fingerprintRawData" for name in names]
            await self._store(options.fingerprint)
            return options.fingerprint
        if self.path and (stored := await self._stored()) is not None:
            return stored
        if options.criteria is None:
            return None
        try:
            made = generate(options.criteria, self.version, random.SystemRandom())
        except NoSuchMachine as error:
            self.warnings.append(f"fingerprint has no effect: {error}")
            return None
        await self._store(made)
        return made

    async def _stored(self) -> dict[str, Any] | None:
        shown = self.options.fingerprint_path
        if not (await self.files.call("get_file_info", {"path": self.path})).ok:
            if self.options.criteria is None:
                self.warnings.append(f"fingerprintPersistPath has no effect: there is no fingerprint at {shown}")
            return None
        part = {"offset": 0, "length": MOST_BYTES, "format": "text"}
        reply = await self.files.call("read_file", {"path": self.path, **part})
        try:
            raw = json.loads(reply.text) if reply.ok else None
            if isinstance(raw, dict):
                read_fingerprint(raw, what="it")
                return raw
            reason = "it is no JSON object" if reply.ok else reply.text
        except (ValueError, RecursionError, Refused) as error:
            reason = str(error)
        self.warnings.append(f"the fingerprint at {shown} was not used: {reason}")
        return None

    async def _store(self, raw: Mapping[str, Any]) -> None:
        if not self.path:
            return
        await self.files.call("create_directory", {"path": str(PurePosixPath(self.path).parent)})
        content = json.dumps(raw, indent=2).encode()
        place = {"path": self.path, "mode": "overwrite", "format": "text"}
        reply = await self.files.call("write_file", place, content)
        if not reply.ok:
            self.warnings.append(f"the fingerprint was not stored at {self.options.fingerprint_path}: {reply.text}")
