"""Python functions in a session: the set-up of its interpreter, and the answer of a call.

The other end is `executor/_remote_call.py`, which runs in the session and documents the format of an answer.
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

# Run by any Python that a session may have, so it avoids newer syntax.
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
    """Return the command that sets a session up, and its environment.

    Args:
        version: the implementation and version that is wanted, such as ``"CPython 3.11"``.
        pythons: names of interpreters, separated by spaces; the first that exists is used.
        files: a zip archive in base64.
    """
    return _SETUP, {"AGB_PYTHONS": pythons, VERSION: version, FILES: files}


@frozen
class Interpreter:
    """The Python of a session: version as above, path, and directory of the files, ``""`` if not unpacked."""

    version: str
    executable: str
    directory: str


def read_setup(text: str) -> Interpreter | None:
    """Parse the output of `setup`; None if there is no interpreter. Raise ``ValueError`` for any other text."""
    match = re.search(r"^agb-executor (\{.*\})$", text, re.MULTILINE)
    if match is None:
        raise ValueError(text)
    found = json.loads(match[1])
    if not found:
        return None
    return Interpreter(found["version"], found["executable"], found.get("directory", ""))


@frozen
class Answer:
    """The answer of a call: its result if ``name`` is empty, otherwise an exception of that name."""

    name: str
    value: str
    traceback: str
    is_pickled: bool
    content: bytes
    """The result; or the exception, if that could be pickled."""


def read_answer(answer: bytes) -> Answer:
    """Parse an answer; raise ``ValueError`` if it is none."""
    head, _, content = answer.partition(b"\n")
    fields: dict[str, Any] = json.loads(head)
    if not isinstance(fields, dict) or "name" not in fields:
        raise ValueError(head)
    name, value, traceback = (str(fields.get(key, "")) for key in ("name", "value", "traceback"))
    return Answer(name, value, traceback, fields.get("pickled") is True, content)


def split_output(output: bytes, mark: str) -> tuple[bytes, bytes | None]:
    """Split the output of a process into that of the function and the answer, None if the output has no answer."""
    parts = output.rsplit(mark.encode(), 2)
    if len(parts) != 3:
        return output, None
    return parts[0], b64decode(parts[1], validate=True)
