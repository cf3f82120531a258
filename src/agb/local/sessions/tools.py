"""The tools of sessions: one definition each, from which the list, the schema and the validation are made."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Final

from attrs import frozen
from msgspec import Meta

from ..._wire.toolcall import LONGEST_RUN, SHOWN
from ..errors import session_not_found
from ..kernels.base import Collected, Execution
from ..kernels.interpreters import Interpreter
from ..sandbox.sandbox import SandboxGone
from . import arguments
from .arguments import Arguments, BadArgument, Text
from .session import LocalSession

_ALIASES: Final = {
    "py": "python",
    "python3": "python",
    "js": "javascript",
    "node": "javascript",
    "nodejs": "javascript",
}
_LANGUAGES: Final = ("java", "javascript", "python", "r")
_SUMMARY: Final = 100


@frozen
class ToolReply:
    """The reply to a tool call: text (JSON where the tool says so), and whether it failed."""

    text: str
    is_error: bool = False
    path: str = ""
    """A path of this server; its URL is the text."""
    errno: str = ""
    """The name of the operating system's error by which the tool failed, such as ``EACCES``."""


@frozen
class Tool:
    """One tool."""

    name: str
    server: str
    description: str
    arguments: type[Arguments]
    function: Callable[[LocalSession, Any], Awaitable[ToolReply]]
    summarized: str = ""
    """The argument that sums up a call."""
    ends_with_caller: bool = False
    """Whether it runs a program of the caller, which is ended when the caller hangs up."""

    @property
    def input_schema(self) -> Mapping[str, Any]:
        """The JSON Schema of its arguments."""
        return arguments.schema(self.arguments)

    def definition(self) -> dict[str, Any]:
        """Return its entry in a list of tools."""
        return {
            "name": self.name,
            "description": self.description,
            "inputSchema": self.input_schema,
            "server": self.server,
            "tool": self.name,
        }

    async def call(self, session: LocalSession, given: Mapping[str, Any]) -> ToolReply:
        """Validate the arguments and call it; an error inside the session is in the reply.

        Raises ``Refused`` when the session was released meanwhile.
        """
        try:
            values = arguments.read(self.arguments, given)
        except BadArgument as error:
            return ToolReply(f"{self.name}: {error}", is_error=True)
        try:
            reply: ToolReply = await self.function(session, values)
        except SandboxGone as error:
            raise session_not_found(session.id, tool=True) from error
        if session.state != "RUNNING":
            raise session_not_found(session.id, tool=True)
        return reply

    def summary(self, given: Mapping[str, Any]) -> str:
        """Return one short line about a call."""
        text = str(given.get(self.summarized, "")) if self.summarized else ""
        envs = given.get("envs")
        if self.name == "shell" and isinstance(envs, Mapping) and envs.get(SHOWN):
            text = f"({envs[SHOWN]})"
        line = " ".join(text[: 4 * _SUMMARY].encode("utf-8", "replace").decode().split())
        return line if len(line) <= _SUMMARY else f"{line[: _SUMMARY - 1]}…"


# --- run_code ---


class RunCodeArguments(Arguments, frozen=True):
    """Arguments of ``run_code``."""

    code: Annotated[Text, Meta(description="Code to run; the definitions of earlier calls are there.")]
    language: Annotated[Text, Meta(description=f"One of {', '.join(_LANGUAGES)}.")]
    timeout_s: (
        Annotated[int, Meta(description="Seconds until it is interrupted.", ge=1, le=LONGEST_RUN)]
        | Annotated[float, Meta(gt=0, le=LONGEST_RUN)]
    ) = 60


async def run_code(session: LocalSession, given: RunCodeArguments) -> ToolReply:
    """Run code in the session's interpreter; the text is JSON with results, output and the error, if any."""
    execution = Collected(session.sandbox.limits.output)
    try:
        interpreter = _interpreter(session, given)
    except BadArgument as error:
        return ToolReply(f"run_code: {error}", is_error=True)
    await session.ready_for_programs()
    await interpreter.run(given.code, execution, timeout=given.timeout_s)
    try:
        return ToolReply(to_json(_code_result(execution)))
    except RecursionError:
        return ToolReply("run_code: a result is nested too deep to be sent", is_error=True)


async def stream_code(session: LocalSession, given: Mapping[str, Any], execution: Execution) -> None:
    """Run code like `run_code`, in the same interpreter; ``execution`` takes the output while the code runs.

    Raises ``BadArgument`` and ``SandboxGone``.
    """
    values = arguments.read(RunCodeArguments, given)
    interpreter = _interpreter(session, values)
    await session.ready_for_programs()
    await interpreter.run(values.code, execution, timeout=values.timeout_s)


def _interpreter(session: LocalSession, given: RunCodeArguments) -> Interpreter:
    """Return the interpreter for code, by one of the names of its language. Raises ``BadArgument``."""
    language = given.language.strip().lower()
    language = _ALIASES.get(language, language)
    if language not in _LANGUAGES:
        known = ", ".join(_LANGUAGES)
        raise BadArgument(f"unsupported language {given.language[:100]!r}; supported are {known}")
    if language not in session.languages.found:
        why = session.languages.missing.get(language, "it was not found")
        raise BadArgument(f"{language} is not available here: {why}")
    if not given.code:
        raise BadArgument("the code is empty: there is nothing to run")
    return session.interpreter(language)


def _code_result(execution: Collected) -> dict[str, Any]:
    error = execution.error
    result: dict[str, Any] = {
        "result": execution.items,
        # How the text was cut on its way means nothing.
        "stdout": ["".join(execution.stdout)] if execution.stdout else [],
        "stderr": ["".join(execution.stderr)] if execution.stderr else [],
        "execution_count": execution.count,
        "execution_time": round(execution.seconds, 6),
        "executionError": None if error is None else str(error),
    }
    if error is not None:
        result["error"] = {
            "name": error.name,
            "value": error.value,
            "traceback": error.traceback,
            "reason": error.reason,
        }
    if execution.discarded:
        result["discarded"] = execution.discarded
    return result


# --- get_metrics ---


class NoArguments(Arguments, frozen=True):
    """No arguments."""


async def get_metrics(session: LocalSession, _: NoArguments) -> ToolReply:
    """Measure the resources of the session; the text is JSON."""
    return ToolReply(to_json(await asyncio.to_thread(session.meter.measure)))


def to_json(value: Any) -> str:
    """Return a value as JSON that can be sent; halves of surrogate pairs, which programs can print, are replaced."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text


RUN_CODE: Final = Tool(
    "run_code",
    "wuying_codespace",
    "Run code in an interpreter that keeps its state between calls.",
    RunCodeArguments,
    run_code,
    summarized="code",
    ends_with_caller=True,
)
GET_METRICS: Final = Tool(
    "get_metrics",
    "wuying_system",
    "Return processor, memory, disk and network use of the session.",
    NoArguments,
    get_metrics,
)
