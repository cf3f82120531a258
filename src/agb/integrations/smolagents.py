"""smolagents: the Python of a `CodeAgent` in a session, and tools of a `ToolCallingAgent`.

It needs the extra ``agb[smolagents]``. The guide ``docs/integrations/smolagents.md`` has an example.
"""

# pyright: reportMissingImports=false
from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from typing import Any, Final

try:
    import PIL.Image
    from smolagents._function_type_hints_utils import get_json_schema
    from smolagents.local_python_executor import CodeOutput
    from smolagents.monitoring import AgentLogger, LogLevel
    from smolagents.remote_executors import RemotePythonExecutor
    from smolagents.tools import Tool
    from smolagents.utils import AgentError
except ImportError as error:
    raise ImportError("agb.integrations.smolagents needs smolagents: pip install 'agb[smolagents]'") from error

from .. import AGB, CreateSessionParams
from .._ops.ownership import nameless
from .._ops.tool_texts import TEXT_LIMIT
from .._sync.lifecycle.deletion import delete_surely
from .._sync.session import Session
from ..exceptions import ExecutionError
from ..owned import Owner
from ..results.code import ExecutionResult
from .sandbox import BlockingSandbox, BlockingSandboxTools

PIP_LIMIT: Final = 600.0
"""Seconds that the installation of packages may take."""
_SHOWN: Final = 2000
_FORMATS: Final = ("json", "html", "latex", "markdown", "svg", "text")
"""The formats of a value that is no picture, the best one first."""


class AGBExecutor(RemotePythonExecutor):
    """Runs the code of a `CodeAgent` in a session of AGB, which keeps the variables from step to step.

    Args:
        params: what the session is created from.
        additional_imports: packages that are installed in the session before the first step.
        agb: the client, which stays the caller's; without it one is made from ``AGB_API_KEY`` and ``AGB_ENDPOINT``.
        owner: the session has the owner ``smolagents:<owner>``, by which ``agb gc`` finds it; default: a random name.
        timeout_s: seconds after which the code of a step is stopped, which is an error of that step.
        allow_pickle: whether values that JSON has no form for are sent as pickles in both directions. A program in the
            session can then run code on this machine.
        logger: where it reports what it does; that of smolagents by default.

    Raises:
        SessionError: the session could not be created.
        AgentError: a package could not be installed.

    Example:
        >>> from agb.integrations.smolagents import AGBExecutor
        >>> executor = AGBExecutor(CreateSessionParams(image_id="agb-code-space-1"))
        >>> executor("x = 6").output
        >>> executor("x * 7").output
        '42'
        >>> executor.cleanup()

    API: POST /mcp/createSession, and the tool ``run_code``.
    """

    def __init__(
        self,
        params: CreateSessionParams,
        *,
        additional_imports: Sequence[str] = (),
        agb: AGB | None = None,
        owner: str | None = None,
        timeout_s: float = 600,
        allow_pickle: bool = False,
        logger: AgentLogger | None = None,
    ) -> None:
        super().__init__(list(additional_imports), logger or AgentLogger(level=LogLevel.ERROR), allow_pickle)
        self.timeout_s = timeout_s
        self._own_client = agb is None
        self._agb = AGB() if agb is None else agb
        self._session: Session | None = None
        try:
            created = self._agb.create(params, owner=Owner("smolagents", nameless() if owner is None else owner))
            self._session = created.raise_for_error().session
            self.installed_packages = self.install_packages(list(additional_imports))
        except BaseException:
            self.cleanup()
            raise

    @property
    def session(self) -> Session:
        """The session.

        Raises:
            RuntimeError: it was cleaned up.
        """
        if self._session is None:
            raise RuntimeError("the executor was cleaned up")
        return self._session

    def run_code_raise_errors(self, code: str) -> CodeOutput:
        """Run code and return its value, its output, and whether it is the final answer.

        Raises:
            AgentError: the code raised, was stopped by its time limit, or could not be run; the message has its output.
        """
        run = self.session.code.run(code, "python", self.timeout_s)
        logs = "".join(run.logs.stdout)
        error = run.error
        if isinstance(error, ExecutionError) and error.name == self.FINAL_ANSWER_EXCEPTION:
            answer = self._deserialize_final_answer(error.value, self.allow_pickle)
            return CodeOutput(output=answer, logs=logs, is_final_answer=True)
        if error is not None:
            details = [error.name, error.value, error.traceback] if isinstance(error, ExecutionError) else [str(error)]
            raise AgentError("\n".join([logs, "Executing code yielded an error:", *details]), self.logger)
        main = [_value(result) for result in run.results if result.is_main_result]
        return CodeOutput(output=main[0] if main else None, logs=logs, is_final_answer=False)

    def install_packages(self, additional_imports: list[str]) -> list[str]:
        """Install packages in the session with pip, and return their names.

        Raises:
            AgentError: a package could not be installed; the message has the end of pip's output.
        """
        if additional_imports:
            command = ["python3", "-m", "pip", "install", "--quiet", "--", *additional_imports]
            outcome = BlockingSandbox(self.session).exec(command, timeout=PIP_LIMIT)
            if outcome.exit_code:
                output = (outcome.stdout + outcome.stderr).decode("utf-8", "replace")
                raise AgentError(
                    f"pip cannot install {', '.join(additional_imports)}:\n{output[-_SHOWN:]}", self.logger
                )
        return additional_imports

    def cleanup(self) -> None:
        """Delete the session, in several attempts; without one, nothing happens. `CodeAgent` has a method for it.

        Raises:
            AGBError: the session may still exist; ``agb gc --owner`` deletes it later.
        """
        session, self._session = self._session, None
        error = None if session is None else delete_surely(session)
        if self._own_client:
            self._agb.close()
        if error is not None:
            raise error


def session_tools(
    session: Session,
    *,
    cwd: str | None = None,
    user: str | None = None,
    timeout: float = 120.0,
    text_limit: int = TEXT_LIMIT,
) -> list[Tool]:
    """Return tools that run code and commands, and read, write and search files, in a session: for `ToolCallingAgent`.

    Any error of a call is one of its step, which the model sees; pictures that code shows are left out.

    Args:
        session: the session; it stays the caller's.
        cwd: the directory of programs, and the one relative paths start at; without it, that of the session.
        user: the user of programs, where the image has several.
        timeout: seconds of a command or of code, where the model does not choose others.
        text_limit: characters of the result of a tool, and bytes of a file that are read at once.

    Example:
        >>> from agb.integrations.smolagents import session_tools
        >>> with client.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
        ...     run_code = session_tools(session)[0]
        ...     print(run_code(code="6 * 7"))
        42
    """
    sandbox = BlockingSandbox(session, cwd=cwd, user=user)
    tools = BlockingSandboxTools(lambda: sandbox, timeout=timeout, text_limit=text_limit)
    return [_FunctionTool(function) for function in tools.functions]


class _FunctionTool(Tool):
    """A function as a tool, which is not written as a class of its own."""

    skip_forward_signature_validation = True
    output_type = "string"

    def __init__(self, function: Callable[..., Any]) -> None:
        schema = get_json_schema(function)["function"]
        self.name = schema["name"]
        self.description = schema["description"]
        self.inputs = schema["parameters"]["properties"]
        self._function = function
        super().__init__()

    def forward(self, **arguments: Any) -> str:
        # What a model leaves out may be None here: the default of the function is meant.
        return str(self._function(**{name: value for name, value in arguments.items() if value is not None}))


def _value(result: ExecutionResult) -> Any:
    """Return the value of the last expression: a picture as such, anything else in its best format."""
    for picture in (result.png, result.jpeg):
        if picture is not None:
            return PIL.Image.open(io.BytesIO(base64.b64decode(picture)))
    return next((value for name in _FORMATS if (value := getattr(result, name)) is not None), None)
