"""Python functions in a session: how its interpreter is made ready, and how the answer of a call is read.

The other end is `_remote_call.py`, which runs in the session and says what an answer looks like.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from typing import Any

from attrs import frozen

VERSION = "AGB_PYTHON_VERSION"
FILES = "AGB_FILES"
CALL = "AGB_CALL"

# Run by whichever Python a session has, so it is written for every Python there is.
_UNPACK = """\
import base64, io, json, os, platform, sys, tempfile, zipfile
version = "%s %d.%d" % ((platform.python_implementation(),) + tuple(sys.version_info[:2]))
answer = {"version": version, "executable": sys.executable}
wanted = os.environ.pop("AGB_PYTHON_VERSION")
files = os.environ.pop("AGB_FILES")
if version == wanted:
    answer["directory"] = tempfile.mkdtemp(prefix="agb-executor-")
    zipfile.ZipFile(io.BytesIO(base64.b64decode(files))).extractall(answer["directory"])
sys.stdout.write("\\nagb-executor " + json.dumps(answer) + "\\n")
"""

_SETUP = f"""\
for python in $AGB_PYTHONS; do
  if command -v "$python" >/dev/null; then exec "$python" -c '{_UNPACK}'; fi
done
echo agb-executor '{{}}'
"""


def setup(version: str, pythons: str, files: str) -> tuple[str, dict[str, str]]:
    """Return the command that makes a session ready, and its environment.

    Args:
        version: the implementation and version that is wanted, such as ``"CPython 3.11"``.
        pythons: names of interpreters, separated by spaces; the first that is there is taken.
        files: a zip archive in base64.
    """
    return _SETUP, {"AGB_PYTHONS": pythons, VERSION: version, FILES: files}


@frozen
class Interpreter:
    """The Python of a session: its version as above, its path, and where the files are, ``""`` if it was not wanted."""

    version: str
    executable: str
    directory: str


def read_setup(text: str) -> Interpreter | None:
    """Return what `setup` has found, None if there is no interpreter; raise ``ValueError`` for any other text."""
    match = re.search(r"^agb-executor (\{.*\})$", text, re.MULTILINE)
    if match is None:
        raise ValueError(text)
    found = json.loads(match[1])
    if not found:
        return None
    return Interpreter(found["version"], found["executable"], found.get("directory", ""))


@frozen
class Answer:
    """What a call gave: its result if ``name`` is empty, otherwise an exception of that name."""

    name: str
    value: str
    traceback: str
    is_pickled: bool
    content: bytes
    """The result; or the exception, if that could be pickled."""


def read_answer(answer: bytes) -> Answer:
    """Return an answer; raise ``ValueError`` if it is none."""
    head, _, content = answer.partition(b"\n")
    told: dict[str, Any] = json.loads(head)
    if not isinstance(told, dict) or "name" not in told:
        raise ValueError(head)
    name, value, traceback = (str(told.get(key, "")) for key in ("name", "value", "traceback"))
    return Answer(name, value, traceback, told.get("pickled") is True, content)


def parted(output: bytes, mark: str) -> tuple[bytes, bytes | None]:
    """Return what a function has printed, and the answer behind it, None if there is none in this output."""
    parts = output.rsplit(mark.encode(), 2)
    if len(parts) != 3:
        return output, None
    return parts[0], b64decode(parts[1], validate=True)
