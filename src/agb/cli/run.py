"""``agb run``: code in a session, with its output as it comes; pictures are saved."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from ..language import Language
from .output import FAILED, NOT_FOUND, USAGE, CommandFailed, Output
from .parser import DURATION, Shared, command
from .sessions import create_session
from .settings import client

if TYPE_CHECKING:
    from .. import AGB, Session
    from ..exceptions import ExecutionError
    from ..results.code import ExecutionResult

_LANGUAGES: Final[dict[str, Language]] = {
    ".py": "python",
    ".js": "javascript",
    ".mjs": "javascript",
    ".java": "java",
    ".r": "r",
}
"""The language of a file, by its suffix."""
_PICTURES: Final = {"png": ".png", "jpeg": ".jpg", "svg": ".svg"}


@command(
    "agb run script.py",
    "agb run -c 'print(6 * 7)'",
    "echo 'console.log(1)' | agb run - --language javascript",
    "agb run plot.py --save-dir pictures",
    "agb run -c 'x = 1' --keep    # prints the session's id to stderr",
)
@click.argument("file", metavar="[FILE | -]", required=False)
@click.option("--code", "-c", metavar="CODE", help="The code, in place of a file.")
@click.option(
    "--language",
    type=click.Choice(["python", "javascript", "java", "r"]),
    help="The language; default: by the suffix of the file, else Python.",
)
@click.option("--image", metavar="IMAGE", default="agb-code-space-1", show_default=True, help="The image.")
@click.option("--session", "session_id", metavar="SESSION", help="Run it in this session, whose variables it sees.")
@click.option("--keep", is_flag=True, help="Keep the new session.")
@click.option("--limit", type=DURATION, default="60s", show_default=True, metavar="TIME", help="End the code then.")
@click.option("--save-dir", type=click.Path(file_okay=False, path_type=Path), help="Save pictures to this directory.")
@click.pass_obj
def run(
    shared: Shared,
    file: str | None,
    code: str | None,
    language: Language | None,
    image: str,
    session_id: str | None,
    keep: bool,
    limit: float,
    save_dir: Path | None,
) -> int:
    """Run code in a session and print its output as it comes.

    A new session is created and deleted afterwards, unless --session or --keep is given. The exit code is 0 if the code
    succeeded, the code of its sys.exit(), or 1.
    """
    if (file is None) == (code is None):
        raise CommandFailed("give a file, '-' for the standard input, or -c CODE: one of the three", USAGE)
    if session_id is not None and keep:
        raise CommandFailed("--session names a session, which is kept anyway; --keep is for a new one", USAGE)
    text = code if code is not None else _read(str(file))
    chosen = language or _LANGUAGES.get(Path(file or "").suffix.lower(), "python")
    out = Output(shared)
    with ExitStack() as stack:
        agb = stack.enter_context(client(shared))
        session = _session(agb, stack, out, image, session_id, keep=keep)
        return _Run(session, out, save_dir).run(text, chosen, limit)


def _read(file: str) -> str:
    try:
        content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        raise CommandFailed(f"cannot read {file!r}: {error.strerror}", NOT_FOUND if missing else USAGE) from error
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        name = "the standard input" if file == "-" else repr(file)
        raise CommandFailed(f"{name} is no text in UTF-8: byte {error.start} is wrong", USAGE) from error


def _session(agb: AGB, stack: ExitStack, out: Output, image: str, session_id: str | None, *, keep: bool) -> Session:
    if session_id is not None:
        return agb.attach(session_id)
    if keep:
        session = create_session(agb, image)
        out.note(session.session_id)
        return session
    from .. import CreateSessionParams

    return stack.enter_context(agb.session(CreateSessionParams(image_id=image)))


class _Run:
    """One run: prints what comes, and collects it for ``--json``."""

    def __init__(self, session: Session, out: Output, save_dir: Path | None) -> None:
        self._session = session
        self._out = out
        self._save_dir = save_dir
        self._texts: dict[str, list[str]] = {"stdout": [], "stderr": []}
        self._results: list[dict[str, Any]] = []
        self._pictures: list[str] = []

    def run(self, code: str, language: Language, limit: float) -> int:
        """Run the code and return the exit code."""
        from ..events import Finished, Result, Stderr, Stdout

        error: ExecutionError | None = None
        with self._session.code.stream(code, language, timeout_s=limit) as events:
            for event in events:
                if isinstance(event, Stdout):
                    self._text("stdout", event.text)
                elif isinstance(event, Stderr):
                    self._text("stderr", event.text)
                elif isinstance(event, Result):
                    self._result(event.result)
                elif isinstance(event, Finished):
                    error = event.error
        code_of_exit = _exit_code(error)
        if self._out.is_json:
            self._out.data(
                {
                    "session": self._session.session_id,
                    "exit_code": code_of_exit,
                    "stdout": "".join(self._texts["stdout"]),
                    "stderr": "".join(self._texts["stderr"]),
                    "results": self._results,
                    "pictures": self._pictures,
                    "error": None if error is None else {"name": error.name, "value": error.value},
                }
            )
        elif error is not None and error.name != "SystemExit":
            click.echo(error.traceback.rstrip() or str(error), err=True)
        return code_of_exit

    def _text(self, stream: str, text: str) -> None:
        if self._out.is_json:
            self._texts[stream].append(text)
        else:
            click.echo(text, nl=False, err=stream == "stderr", color=True)

    def _result(self, result: ExecutionResult) -> None:
        kind = next((kind for kind in _PICTURES if getattr(result, kind)), None)
        if kind is not None and self._save_dir is not None:
            self._save_dir.mkdir(parents=True, exist_ok=True)
            path = self._save_dir / f"picture-{len(self._pictures) + 1}{_PICTURES[kind]}"
            result.save(path)
            self._pictures.append(str(path))
            self._out.note(f"saved {path}")
        elif kind is not None:
            self._out.note("a picture was displayed: --save-dir DIRECTORY saves it")
        if self._out.is_json:
            self._results.append({"text": result.text, "types": sorted(result.data)})
        elif kind is None and result.text:
            click.echo(result.text, color=True)


def _exit_code(error: ExecutionError | None) -> int:
    """Return 0 without an error, the code of an exit of the program, otherwise 1."""
    if error is None:
        return 0
    if error.name == "SystemExit" and error.value.strip().lstrip("-").isdecimal():
        return int(error.value) & 0xFF or FAILED
    return FAILED
