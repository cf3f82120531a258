"""Runs one function in a session for `agb.SandboxExecutor`.

This file is copied into the session and started there as a program, with the package cloudpickle beside it; it imports
nothing of agb. Its arguments: a mark, the format of the result (``pickle`` or ``json``), and how many bytes its output
may have with the answer in it. The call, a pickle of ``(function, args, kwargs)``, is in the environment variable
``AGB_CALL`` or, if it is large, in the file ``<mark>.call`` beside this one.

The answer is a line of JSON, ``{"name", "value", "traceback", "pickled"}`` (``name`` is empty unless the function
raised), followed by the result or the exception. It is at the end of the output between two marks, in base64, or else
in ``<mark>.answer``. An answer is complete or absent: the file is renamed to its name when it is complete, and output
without its second mark has no answer.
"""

from __future__ import annotations

import atexit
import binascii
import json
import os
import pickle
import sys
from typing import Any

HERE = os.path.dirname(os.path.abspath(__file__))
CALL = "AGB_CALL"


def main(mark: str, format_: str, limit: str) -> None:
    """Run the call and answer."""
    output = os.dup(1)  # the function may close or replace its own
    process = os.getpid()
    sys.argv[1:] = []
    sys.path.insert(0, os.getcwd())
    path = os.path.join(HERE, mark)
    answer, error = _answer(_call(f"{path}.call"), format_)
    if os.getpid() != process:  # a child that the function has forked, and that has left the function as well
        if error is not None:
            raise error
        return
    # In the order of a program that ends, but threads that the function started are not waited for.
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and not stream.closed:
            stream.flush()
    _send(answer, output, mark, f"{path}.answer", int(limit))
    os._exit(0)


def _call(path: str) -> bytes:
    if CALL in os.environ:
        return binascii.a2b_base64(os.environ.pop(CALL))
    with open(path, "rb") as file:
        call = file.read()
    os.unlink(path)
    return call


def _answer(call: bytes, format_: str) -> tuple[bytes, BaseException | None]:
    """Return the answer, and the exception that the function raised."""
    try:
        function, args, kwargs = pickle.loads(call)  # made by the program that started this one
        del call  # may be large
        result = function(*args, **kwargs)
    except BaseException as error:  # sent as the answer
        return _error_answer(error, "", is_pickled=format_ == "pickle"), error
    try:
        return _join({"name": "", "pickled": format_ == "pickle"}, _encode(result, format_)), None
    except BaseException as error:  # sent as the answer
        why = f"the function returned a {type(result).__name__} that cannot travel back as {format_}: "
        return _error_answer(error, why, is_pickled=False), None


def _encode(value: Any, format_: str) -> bytes:
    if format_ == "json":
        return json.dumps(value, allow_nan=False).encode()
    try:
        return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)  # saves the import of cloudpickle
    except Exception:  # if cloudpickle fails too, it raises the reason
        import cloudpickle

        data: bytes = cloudpickle.dumps(value)
        return data


def _error_answer(error: BaseException, why: str, *, is_pickled: bool) -> bytes:
    """Return the answer for an exception, with the pickled exception if that is wanted and possible."""
    import traceback

    try:
        value = str(error)
    except Exception as another:  # its `__str__` raises
        value = f"(its text is not available: {type(another).__name__})"
    fields = {
        "name": type(error).__name__,
        "value": why + value,
        "traceback": "".join(traceback.format_exception(type(error), error, error.__traceback__)),
    }
    data = b""
    if is_pickled and isinstance(error, Exception):  # a SystemExit would end the program that receives it
        try:
            data = _encode(error, "pickle")
        except Exception:  # its name, text and traceback are sent instead
            data = b""
    return _join({**fields, "pickled": bool(data)}, data)


def _join(fields: dict[str, Any], data: bytes) -> bytes:
    return json.dumps(fields).encode() + b"\n" + data


def _send(answer: bytes, output: int, mark: str, path: str, limit: int) -> None:
    delimiter = mark.encode()
    if os.fstat(output).st_size + 2 * len(delimiter) + len(answer) * 4 // 3 + 4 <= limit:
        rest = delimiter + binascii.b2a_base64(answer, newline=False) + delimiter
        while rest:
            rest = rest[os.write(output, rest) :]
        return
    with open(f"{path}.new", "wb") as file:
        file.write(answer)
    os.replace(f"{path}.new", path)


if __name__ == "__main__":
    main(*sys.argv[1:])
