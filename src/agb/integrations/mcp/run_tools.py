"""Tools that run code and commands."""

from __future__ import annotations

import base64
from typing import Annotated, Final, Literal

from mcp_types import CallToolResult
from pydantic import Field
from typing_extensions import TypedDict

from ...exceptions import AGBError, ErrorKind
from ...results.code import EnhancedCodeExecutionResult
from .answers import Pictures, answer, middle_left_out, shares
from .conversations import HeldSession
from .tool import Call, SessionId, tool

OUTPUT_LIMIT: Final = 4 << 20
"""Bytes of each output of a command that are kept; an answer has fewer, and the rest is stored in the session."""
LONGEST_RUN: Final = 3600
OUTPUTS: Final = "/tmp/agb-mcp"
"""The directory of a session in which outputs are stored that are longer than an answer."""

Seconds = Annotated[
    float, Field(gt=0, le=LONGEST_RUN, description="Seconds after which it is ended, with all that it has started.")
]
Cwd = Annotated[str | None, Field(description="The working directory; without it, the home.")]
Env = Annotated[dict[str, str] | None, Field(description="Environment variables to add.")]


class CommandValues(TypedDict):
    """The outcome of a command, as values."""

    exit_code: int
    stdout: str
    stderr: str
    timed_out: bool


class StartedValues(TypedDict):
    """A program that was started, as values."""

    pid: int
    log: str


@tool("Run a command", destroys=True, outside=True)
async def run_command(
    call: Call,
    command: Annotated[str, Field(description="The command line for bash; pipes, && and here-documents work.")],
    cwd: Cwd = None,
    env: Env = None,
    stdin: Annotated[str | None, Field(description="The whole standard input; without it, an empty one.")] = None,
    timeout: Seconds = 60,
    session_id: SessionId = None,
) -> Annotated[CallToolResult, CommandValues]:
    """Run a shell command in the session to its end, and return its output and exit code.

    Each command has a new shell, so cd and variables do not last. A long output is cut in its middle, and all of it is
    stored in a file of the session. Use start_command for a program that goes on, such as a server.
    """
    async with call.session(session_id) as held:
        outcome = await held.sandbox.exec(
            command, cwd=cwd, env=env, stdin=stdin, timeout=timeout, output_limit=OUTPUT_LIMIT
        )
        texts = outcome.stdout.decode("utf-8", "replace"), outcome.stderr.decode("utf-8", "replace")
        limits = shares(len(texts[0]), len(texts[1]), call.options.answer_limit)
        stdout = await _within(held, "stdout", texts[0], limits[0])
        stderr = await _within(held, "stderr", texts[1], limits[1])
    notes = []
    if outcome.truncated:
        notes.append(f"[the output is longer than {OUTPUT_LIMIT} bytes, and its end is lost: write it to a file]")
    if outcome.timed_out:
        notes.append(f"[ended after {timeout:g} seconds, its time limit, with all that it had started]")
    elif outcome.exit_code or not any(texts):
        notes.append(f"[exit code {outcome.exit_code}]")
    return answer(
        _joined(stdout, f"[stderr]\n{stderr}" if stderr else "", *notes),
        values={
            "exit_code": outcome.exit_code,
            "stdout": stdout,
            "stderr": _joined(stderr, *notes),
            "timed_out": outcome.timed_out,
        },
    )


@tool("Start a command", destroys=True, outside=True)
async def start_command(
    call: Call,
    command: Annotated[str, Field(description="The command line for bash.")],
    cwd: Cwd = None,
    env: Env = None,
    session_id: SessionId = None,
) -> Annotated[CallToolResult, StartedValues]:
    """Start a shell command in the background, such as a server, and return its process id and the file of its output.

    It runs until it ends, or the session. To stop it: run_command with "kill -- -PID".
    """
    async with call.session(session_id) as held:
        log = _file(held, "log")
        words = ["bash", "-c", 'mkdir -p "${0%/*}" && exec bash -c "$1" >"$0" 2>&1', log, command]
        process = await held.session.command.start(words, cwd=cwd, envs=env)
    text = f"Started with the process id {process.pid}. Its output goes to {log}; to stop it: kill -- -{process.pid}"
    return answer(text, values={"pid": process.pid, "log": log})


@tool("Run code", destroys=True, outside=True)
async def run_code(
    call: Call,
    code: Annotated[str, Field(description="The code; in Python, the value of the last expression is shown.")],
    language: Annotated[Literal["python", "javascript", "java", "r"], Field(description="The language.")] = "python",
    timeout: Seconds = 60,
    session_id: SessionId = None,
) -> CallToolResult:
    """Run code in the session, and return its output, its value, and the pictures that it shows.

    Variables last from call to call, as in a notebook. Pictures, such as matplotlib's, are returned as images. A long
    output is cut in its middle, and all of it is stored in a file of the session.
    """
    async with call.session(session_id) as held:
        async with held.session.code.stream(code, language, timeout) as events:
            result = await events.collect()
        text, pictures = _of_run(result)
        text = await _within(held, "code", text, call.options.answer_limit)
    return answer(_joined(text, *pictures.notes) or "[no output]", pictures.parts)


def _of_run(result: EnhancedCodeExecutionResult) -> tuple[str, Pictures]:
    """Return all texts of a run, and its pictures.

    Raises:
        ExecutionError: the code was not run; what it raised itself is a text.
    """
    if not result.success and result.error is not None and result.error.kind is not ErrorKind.PROGRAM_FAILED:
        is_limit = result.error.kind is ErrorKind.TIMED_OUT
        if not is_limit:
            raise result.error
    stderr = "".join(result.logs.stderr)
    parts = ["".join(result.logs.stdout), f"[stderr]\n{stderr}" if stderr else ""]
    pictures = Pictures()
    for item in result.results:
        shown = item.png or item.jpeg
        if shown:
            pictures.add(base64.b64decode(shown))
        elif text := item.text or item.markdown or item.html or item.latex:
            parts.append(text)
    if result.error is not None:
        parts.append(result.error.traceback or str(result.error))
    if result.truncated:
        parts.append("[the output is longer than the limit of the service, and a part of it is lost]")
    return _joined(*parts), pictures


def _joined(*parts: str) -> str:
    """Return texts as lines below each other, without empty ones."""
    return "\n".join(part.removesuffix("\n") for part in parts if part)


def _file(held: HeldSession, name: str) -> str:
    held.outputs += 1
    return f"{OUTPUTS}/{held.outputs}-{name}.txt"


async def _within(held: HeldSession, name: str, text: str, limit: int) -> str:
    """Return a text within a limit; one that is longer is stored in the session, and its middle is left out."""
    if len(text) <= limit:
        return text
    path = _file(held, name)
    try:
        await held.sandbox.write(path, text)
        where = f"All of it is in {path}: read_file returns it part by part."
    except AGBError as error:
        where = f"All of it could not be stored: {error}"
    return middle_left_out(text, limit, where)
