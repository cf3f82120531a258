"""Runs one function in a session for `agb.SandboxExecutor`.

This file is copied into the session and started there as a program, with the package cloudpickle beside it; it knows
nothing of agb. Its arguments: a mark, the form of the result (``pickle`` or ``json``), and how many bytes its output
may have with the answer in it. The call comes in the environment variable ``AGB_CALL`` or, if
it is large, in the file ``<mark>.call`` beside this one: a pickle of ``(function, args, kwargs)``.

The answer is a line of JSON, ``{"name", "value", "traceback", "pickled"}`` (``name`` is empty unless the function
raised), and the result or the exception. It stands at the end of the output between two marks, in base64, or else in
``<mark>.answer``. An answer is complete or not there.
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


def main(mark: str, form: str, longest: str) -> None:
    """Run the call and answer."""
    channel = os.dup(1)  # what the function does to its output does not concern the answer
    sys.argv[1:] = []
    sys.path.insert(0, os.getcwd())
    place = os.path.join(HERE, mark)
    answer = _answer(_call(f"{place}.call"), form)
    # In the order of a program that ends. Threads that the function left behind are not waited for.
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and not stream.closed:
            stream.flush()
    _send(answer, channel, mark, f"{place}.answer", int(longest))
    os._exit(0)


def _call(path: str) -> bytes:
    if CALL in os.environ:
        return binascii.a2b_base64(os.environ.pop(CALL))
    with open(path, "rb") as file:
        call = file.read()
    os.unlink(path)
    return call


def _answer(call: bytes, form: str) -> bytes:
    try:
        function, args, kwargs = pickle.loads(call)  # noqa: S301 - made by the program that started this one
        del call  # may be large
        result = function(*args, **kwargs)
    except BaseException as error:  # noqa: BLE001 - told
        return _raised(error, "", with_it=form == "pickle")
    try:
        return _whole({"name": "", "pickled": form == "pickle"}, _packed(result, form))
    except BaseException as error:  # noqa: BLE001 - told
        why = f"the function returned a {type(result).__name__} that cannot travel back as {form}: "
        return _raised(error, why, with_it=False)


def _packed(value: Any, form: str) -> bytes:
    if form == "json":
        return json.dumps(value, allow_nan=False).encode()
    try:
        return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)  # spares the import of cloudpickle, where it will do
    except Exception:  # noqa: BLE001 - cloudpickle says why, if it cannot either
        import cloudpickle

        packed: bytes = cloudpickle.dumps(value)
        return packed


def _raised(error: BaseException, why: str, *, with_it: bool) -> bytes:
    """Return the answer that tells an exception, with the exception itself where it is wanted and can be pickled."""
    import traceback

    try:
        value = str(error)
    except Exception as another:  # noqa: BLE001 - told in its place
        value = f"(its text cannot be had: {type(another).__name__})"
    told = {
        "name": type(error).__name__,
        "value": why + value,
        "traceback": "".join(traceback.format_exception(type(error), error, error.__traceback__)),
    }
    packed = b""
    if with_it and isinstance(error, Exception):  # a SystemExit would end the program that gets it
        try:
            packed = _packed(error, "pickle")
        except Exception:  # noqa: BLE001 - then its text has to do
            packed = b""
    return _whole({**told, "pickled": bool(packed)}, packed)


def _whole(told: dict[str, Any], packed: bytes) -> bytes:
    return json.dumps(told).encode() + b"\n" + packed


def _send(answer: bytes, channel: int, mark: str, path: str, longest: int) -> None:
    marked = mark.encode()
    if os.fstat(channel).st_size + 2 * len(marked) + len(answer) * 4 // 3 + 4 <= longest:
        left = marked + binascii.b2a_base64(answer, newline=False) + marked
        while left:
            left = left[os.write(channel, left) :]
        return
    with open(f"{path}.new", "wb") as file:
        file.write(answer)
    os.replace(f"{path}.new", path)


if __name__ == "__main__":
    main(*sys.argv[1:])
