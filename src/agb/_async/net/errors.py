"""Errors of the HTTP libraries as errors of the SDK: why a request failed, and whether it was sent."""

from __future__ import annotations

import os
import re
import ssl
from typing import Any

import httpcore

from ..._wire.call import Call
from ..._wire.deadline import Deadline
from ..._wire.reply import error_for
from ..._wire.secrets import shown
from ...exceptions import AGBError, ErrorKind, Sent

_FAILURES = {
    "ConnectTimeout": (ErrorKind.TIMED_OUT, Sent.NO),
    "PoolTimeout": (ErrorKind.TIMED_OUT, Sent.NO),
    "TimeoutException": (ErrorKind.TIMED_OUT, Sent.MAYBE),
    "ConnectError": (ErrorKind.UNREACHABLE, Sent.NO),
    "ProxyError": (ErrorKind.UNREACHABLE, Sent.NO),
    "NetworkError": (ErrorKind.UNREACHABLE, Sent.MAYBE),
    "LocalProtocolError": (ErrorKind.UNREACHABLE, Sent.NO),
    "ProtocolError": (ErrorKind.UNREACHABLE, Sent.MAYBE),
    "DecodingError": (ErrorKind.INVALID_ANSWER, Sent.YES),
    "UnsupportedProtocol": (ErrorKind.UNREACHABLE, Sent.NO),
    "InvalidURL": (ErrorKind.UNREACHABLE, Sent.NO),
}
"""By the name of the error's class or of a base of it: httpx, httpx2, httpcore and httpcore2 use the same names."""

_HTTP_LIBRARIES = frozenset({"httpx", "httpx2", "httpcore", "httpcore2"})
_CAUSES = 20
"""How long a chain of causes may be; it may be a circle."""
_NOT_WRITABLE = {"LocalProtocolError", "InvalidURL"}


class AnswerTooLarge(httpcore.ProtocolError):
    """The answer has more bytes than `Limits.answer_bytes`; it was given up."""

    is_too_large = True


def failure_of(error: BaseException) -> tuple[ErrorKind, Sent] | None:
    """Return why a request failed and whether it was sent; None if the error is not one of an HTTP library."""
    found = next((_FAILURES[name] for name in _names(error) if name in _FAILURES), None)
    if found is None:
        return None
    if _attribute(error, "is_too_large"):
        return ErrorKind.TOO_LARGE, Sent.YES
    if found[1] is Sent.NO and _has_timed_out(error):
        return ErrorKind.TIMED_OUT, Sent.NO
    return found


def _has_timed_out(error: BaseException) -> bool:
    """Return whether a connection was given up because of its time, by the system, by a proxy or by TLS.

    The HTTP libraries have an error for their own time-outs only.
    """
    if "ProxyError" in _names(error) and (_attribute(error, "is_timeout") or str(error).startswith("504 ")):
        return True
    cause = error.__cause__
    causes = cause.exceptions if isinstance(cause, BaseExceptionGroup) else [cause]
    return any(cause is not None and (isinstance(cause, TimeoutError) or _has_timed_out(cause)) for cause in causes)


def _names(error: BaseException) -> list[str]:
    """Return the names of an error's classes that an HTTP library defines, the most specific one first."""
    return [c.__name__ for c in type(error).__mro__ if c.__module__.partition(".")[0] in _HTTP_LIBRARIES]


def call_failure(call: Call[Any], where: str, deadline: Deadline, error: Exception) -> AGBError:
    """Return an HTTP library's error as the error of a call to ``where``, an address without path and query."""
    kind, sent = failure_of(error) or (ErrorKind.UNREACHABLE, Sent.MAYBE)
    permanent = is_permanent(error)
    hide_secrets(error)
    if kind is ErrorKind.TOO_LARGE:
        message = str(error)
    elif "TimeoutException" in _names(error):
        before = "no connection to" if sent is Sent.NO else "no complete answer from"
        message = f"{before} {where} {deadline.description}"
        if sent is Sent.NO and str(error):
            message = f"{message}: {error}"
    elif _NOT_WRITABLE.intersection(_names(error)):  # its text may quote a header, and so the key
        message = f"the request to {where} could not be written as HTTP"
        if "InvalidURL" in _names(error):
            message = f"{message}: {error}"
    elif sent is Sent.NO:
        message = f"no connection to {where}: {_certificate_error(error) or described(error)}"
    else:
        message = f"the connection to {where} broke: {described(error)}"
    more = {"busy": True} if _attribute(error, "is_busy") else {}
    return error_for(call, message, kind, sent=sent, permanent=permanent, **more)


def hide_secrets(error: BaseException | None) -> None:
    """Mask and cut the texts of an HTTP library's error, and of those that it was raised from.

    They quote what was received and what could not be written, line by line, and they stay visible: as causes of the
    errors that are made of them, in tracebacks.
    """
    for _ in range(_CAUSES):
        if error is None:
            return
        if error.args and isinstance(error.args[0], str):
            error.args = (shown(error.args[0]), *error.args[1:])
        error = error.__cause__ or error.__context__


def is_protocol_error(error: BaseException) -> bool:
    """Return whether the other side answered with something that is not HTTP, or not at all."""
    return "RemoteProtocolError" in _names(error)


def is_permanent(error: BaseException) -> bool:
    """Return whether the same request would fail again: it cannot be written, or the other side is not trusted."""
    if _NOT_WRITABLE.intersection(_names(error)) or _certificate_error(error) is not None:
        return True
    return _attribute(error, "permanent") or "WRONG_VERSION_NUMBER" in str(error)  # the server does not speak TLS


def _attribute(error: BaseException | None, name: str) -> bool:
    """Return a flag of an error, or of one that it was raised from: httpx raises the pool's errors as its own."""
    while error is not None:
        if getattr(error, name, False):
            return True
        error = error.__cause__
    return False


def described(error: BaseException) -> str:
    """Return the text of an error, its class if it has none.

    The text for a connection that the system refused is the system's own: asyncio and trio have other words for it, and
    asyncio a list of them if the host has several addresses. The text for a proxy's address has it already.
    """
    cause: BaseException | None = None if _attribute(error, "is_of_proxy") else error
    while cause is not None:
        if isinstance(cause, ConnectionError) and cause.errno:
            return f"[Errno {cause.errno}] {os.strerror(cause.errno)}"
        cause = cause.exceptions[0] if isinstance(cause, BaseExceptionGroup) else cause.__cause__
    text = str(error) or type(error).__name__
    several = re.search(r"Multiple exceptions: \[Errno (\d+)\] Connect call failed", text)
    return f"[Errno {several[1]}] {os.strerror(int(several[1]))}" if several else text


def _certificate_error(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error
