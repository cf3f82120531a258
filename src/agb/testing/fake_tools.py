"""The tools of fake sessions: what each answers unless a test has set something else."""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen

from .._ops.tools import file_scripts, metrics, page_use
from .._ops.tools.code import RUN
from .._ops.tools.computer import apps, mouse, screen, windows
from .._wire.picture import PNG
from .._wire.toolcall import SHOWN
from .examples import example_of
from .fake_files import FakeFiles, ToolFailure

PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)
"""A PNG of one pixel."""
_SHAPES = {
    tool.name: tool.shape
    for tool in (
        apps.start_app("x", "", "", session_id=""),
        apps.list_visible_apps(session_id=""),
        apps.get_installed_apps(True, True, True, session_id=""),
        mouse.get_cursor_position(session_id=""),
        screen.get_screen_size(session_id=""),
        windows.list_root_windows(1000, session_id=""),
        windows.get_active_window(session_id=""),
    )
    if tool.shape is not None
}
_TEXTS: dict[str, Callable[[], Any]] = {
    "get_metrics": lambda: {name: 1 for name in metrics.METRICS.fields if name != "timestamp"},
    "page_use_act_async": lambda: example_of(page_use.TASK),
    "page_use_extract_async": lambda: example_of(page_use.TASK),
    "page_use_get_act_result": lambda: {**example_of(page_use.ACTED), "is_done": True, "success": True},
    "page_use_get_extract_result": dict,
    "page_use_observe": lambda: example_of(page_use.OBSERVED),
    "page_use_screenshot": lambda: f"data:{PNG};base64,{base64.b64encode(PICTURE).decode()}",
    "system_screenshot": lambda: f"data:{PNG};base64,{base64.b64encode(PICTURE).decode()}",
    "screenshot": lambda: {
        "type": "image",
        "mime_type": PNG,
        "width": 1,
        "height": 1,
        "data": base64.b64encode(PICTURE).decode(),
    },
}


@frozen
class CodeAnswer:
    """What code answers: its value, what it has printed, and its exception, if it has raised one.

    Attributes:
        result: the text of its value; None if it has none.
        stdout: what it has printed.
        stderr: its error output.
        error: its exception as ``"ValueError: no such item"``; empty if it has succeeded.
    """

    result: str | None = None
    stdout: str = ""
    stderr: str = ""
    error: str = ""

    def text(self) -> str:
        """Return the text of the tool `run_code`."""
        answer: dict[str, Any] = {
            **example_of(RUN),
            "result": [] if self.result is None else [{"text/plain": self.result, "isMainResult": True}],
            "stdout": [self.stdout] if self.stdout else [],
            "stderr": [self.stderr] if self.stderr else [],
        }
        if self.error:
            name, _, value = self.error.partition(": ")
            answer |= {"executionError": self.error, "error": {"name": name, "value": value, "traceback": []}}
        RUN.read(answer, "")
        return json.dumps(answer)


@frozen
class CommandAnswer:
    """What a command answers."""

    stdout: str = ""
    stderr: str = ""
    exit_code: int = 0

    def text(self, *, is_binary: bool = False) -> str:
        """Return the text of the tool `shell`, its outputs in base64 if asked; of a failed command it is a failure."""
        outputs = {"stdout": self.stdout, "stderr": self.stderr}
        if is_binary:
            outputs = {name: base64.b64encode(text.encode()).decode() for name, text in outputs.items()}
        more = {"format": "binary"} if is_binary else {}
        text = json.dumps({**outputs, "exit_code": self.exit_code, "traceId": "", **more})
        if self.exit_code:
            raise ToolFailure(text)
        return text


def default_text(name: str, args: Mapping[str, Any], files: FakeFiles) -> str:
    """Return the text that a tool answers.

    Raises:
        ToolFailure: it has failed.
    """
    if name in files.tools:
        return files.tools[name](args)
    if name == "run_code":
        return CodeAnswer().text()
    if name == "shell":
        return _shell(args, files)
    if name in _SHAPES:
        return json.dumps(example_of(_SHAPES[name]))
    if name in _TEXTS:
        value = _TEXTS[name]()
        return value if isinstance(value, str) else json.dumps(value)
    return "true"


def _shell(args: Mapping[str, Any], files: FakeFiles) -> str:
    """Answer a command: one of a program succeeds without output, one of the SDK's own scripts must be known."""
    if SHOWN not in (args.get("envs") or {}):
        return CommandAnswer().text(is_binary=args.get("format") == "binary")
    for make, run in _SCRIPTS.items():
        for path in _words(args["command"]):
            if make(path, session_id="").args["command"] == args["command"]:
                try:
                    return CommandAnswer(run(files, path)).text()
                except ToolFailure as failure:
                    return CommandAnswer(stderr=str(failure), exit_code=1).text()
    raise ToolFailure(
        f"FakeService runs no scripts, and the SDK uses one to {args['envs'][SHOWN]}: set the answer by "
        "on_command(), or use the local runtime for this test (agb_runtime)"
    )


def _exists(files: FakeFiles, path: str) -> str:
    return "yes\n" if files.exists(path) else "no\n"


def _remove_tree(files: FakeFiles, path: str) -> str:
    files.remove(path)
    return ""


def _remove_quietly(files: FakeFiles, path: str) -> str:
    files.contents.pop(path, None)
    return ""


_SCRIPTS: Mapping[Callable[..., Any], Callable[[FakeFiles, str], str]] = {
    file_scripts.exists: _exists,
    file_scripts.remove_tree: _remove_tree,
    file_scripts.remove_quietly: _remove_quietly,
}
"""The scripts that are known: each is compared with the one that the SDK makes for a path."""


def _words(command: str) -> list[str]:
    """Return what may be a path in a script."""
    try:
        words = shlex.split(command)
    except ValueError:  # a part of a script that is no command
        return []
    return [word.removeprefix("p=").removesuffix(";") for word in words]
