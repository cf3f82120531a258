"""Building: carries out the steps of a Dockerfile in a session."""

# pyright: reportMissingImports=false
from __future__ import annotations

import posixpath
from logging import Logger

from attrs import frozen
from harbor.environments.base import SandboxBuildFailedError

from ..archives import CannotMakeDirectory, make_directories, send
from ..sandbox import Sandbox
from .dockerfile import Copy, MakeDirectory, Plan, Run, Step

_SHOWN = 4000
"""Characters at the end of a failed command's output that its error has."""


@frozen
class Build:
    """The steps of a Dockerfile for a session.

    Attributes:
        sandbox: the session.
        image: the AGB image it was made from, for messages.
        own_names: the names of its user, and of root, which that user stands for.
        logger: where steps are reported.
    """

    sandbox: Sandbox
    image: str
    own_names: frozenset[str]
    logger: Logger

    def user(self, name: str | int | None) -> str | None:
        """Return the user that a program must change to; None for the session's own."""
        return None if name is None or str(name) in self.own_names else str(name)

    async def run(self, plan: Plan, *, only_directories: bool) -> None:
        """Carry out the steps; with ``only_directories`` those of ``WORKDIR`` alone.

        Raises:
            SandboxBuildFailedError: a step failed.
        """
        for step in plan.steps:
            if isinstance(step, MakeDirectory) or not only_directories:
                self.logger.debug(f"Dockerfile, line {step.line}: {type(step).__name__}")
                try:
                    await self._carry_out(step)
                except (CannotMakeDirectory, SandboxBuildFailedError) as error:
                    message = f"Dockerfile, line {step.line}, in a session of the image {self.image}: {error}"
                    raise SandboxBuildFailedError(message) from None

    async def _carry_out(self, step: Step) -> None:
        match step:
            case MakeDirectory():
                await make_directories(self.sandbox, [step.path])
            case Copy():
                await self._copy(step)
            case Run():
                await self._run(step)

    async def _copy(self, step: Copy) -> None:
        if step.into or not (await self.sandbox.exec(["test", "-d", step.place])).exit_code:
            await send(self.sandbox, step.files, step.place, step.mode)
        else:
            directory, name = posixpath.split(step.place)
            await send(self.sandbox, [(step.files[0][0], name)], directory, step.mode)

    async def _run(self, step: Run) -> None:
        words = ["sh", "-c", step.command] if isinstance(step.command, str) else step.command
        outcome = await self.sandbox.exec(words, cwd=step.cwd, env=step.env, user=self.user(step.user))
        if outcome.exit_code:
            output = (outcome.stdout + outcome.stderr).decode("utf-8", "replace").strip()
            raise SandboxBuildFailedError(f"RUN failed with exit code {outcome.exit_code}:\n{output[-_SHOWN:]}")
