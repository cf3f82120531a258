"""Logging, by its import path of 0.12: the package's one logger, ``agb``, of the standard library.

Importing this sets up nothing. `AGBLogger.setup` adds handlers to the logger ``agb`` alone; a program that configures
the standard library's logging needs none of this.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

from ._wire.secrets import MASK, masked

_ROOT = logging.getLogger("agb")
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def get_logger(name: str = "agb") -> logging.Logger:
    """Return the logger ``agb``, or one below it."""
    return _ROOT if name in ("", "agb") else logging.getLogger(name if name.startswith("agb.") else f"agb.{name}")


log = logger = get_logger("agb")


class AGBLogger:
    """Sets up the logger ``agb`` for programs that do not configure logging themselves."""

    @classmethod
    def setup(
        cls,
        level: str = "INFO",
        log_file: str | Path | None = None,
        enable_console: bool = True,
        enable_file: bool = True,
        rotation: str | None = None,
        retention: str = "30 days",
        max_file_size: str | None = None,
        colorize: bool | None = None,
        force_reinit: bool = True,
    ) -> None:
        """Log from ``level`` on to stderr, and to ``log_file`` if one is given; no file is made otherwise.

        ``rotation``, ``retention``, ``max_file_size`` and ``colorize`` are accepted and change nothing: for them there
        are the handlers of the standard library.

        Raises:
            ValueError: an unknown level.
        """
        del rotation, retention, max_file_size, colorize
        _ROOT.setLevel(level.upper())
        if force_reinit:
            for handler in [h for h in _ROOT.handlers if not isinstance(h, logging.NullHandler)]:
                _ROOT.removeHandler(handler)
                handler.close()
        handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)] if enable_console else []
        if enable_file and log_file is not None:
            handlers.append(logging.FileHandler(log_file, encoding="utf-8"))
        for handler in handlers:
            handler.setFormatter(logging.Formatter(_FORMAT))
            _ROOT.addHandler(handler)

    @classmethod
    def get_logger(cls, name: str | None = None) -> logging.Logger:
        """Return the logger ``agb``, or one below it."""
        return get_logger(name or "agb")

    @classmethod
    def set_level(cls, level: str) -> None:
        """Log from ``level`` on; nothing else is changed."""
        _ROOT.setLevel(level.upper())


# --- lines that the programs of 0.12 write themselves ------------------------------------------------------------


def log_operation_start(operation: str, details: Any = "") -> None:
    """Log that an operation begins; ``details`` at level DEBUG, without secrets."""
    _log(logging.INFO, f"Starting: {operation}", "Details", details)


def log_operation_success(operation: str, result: Any = "") -> None:
    """Log that an operation succeeded; ``result`` at level DEBUG, without secrets."""
    _log(logging.INFO, f"Completed: {operation}", "Result", result)


def log_operation_error(operation: str, error: Any, exc_info: bool = False) -> None:
    """Log that an operation failed; with ``exc_info`` the traceback of the exception that is being handled."""
    _ROOT.error("Failed: %s: %s", operation, masked(str(error)), exc_info=exc_info)


def log_warning(message: str, details: Any = "") -> None:
    """Log a warning, with ``details`` at the same level."""
    _log(logging.WARNING, message, "Details", details, logging.WARNING)


def log_info_with_color(message: str, color: str = "\x1b[31m") -> None:
    """Log a message; the colour is accepted and ignored, since it is a matter of the handler."""
    del color
    _log(logging.INFO, message)


def log_api_call(api_name: str, request_data: Any = "") -> None:
    """Log an API call; its data at level DEBUG, without secrets."""
    _log(logging.INFO, f"API call: {api_name}", "Request", request_data)


def log_api_response(response_data: Any, success: bool = True) -> None:
    """Log the response to an API call, as an error unless it is a success."""
    level = logging.INFO if success else logging.ERROR
    detail = logging.DEBUG if success else logging.ERROR
    _log(level, "API response received" if success else "API response failed", "Response", response_data, detail)


def log_api_response_with_details(
    api_name: str,
    request_id: str = "",
    success: bool = True,
    key_fields: dict[str, Any] | None = None,
    full_response: Any = "",
) -> None:
    """Log the response to an API call with its request id and some of its fields."""
    level = logging.INFO if success else logging.ERROR
    detail = logging.DEBUG if success else logging.ERROR
    outcome = "API response" if success else "API response failed"
    _log(level, f"{outcome}: {api_name}, request id {request_id or '-'}", "Fields", key_fields or "", detail)
    if full_response:
        _log(detail, f"Response: {masked(full_response)}")


def log_code_execution_output(request_id: str, raw_output: Any) -> None:
    """Log the output of code at level DEBUG."""
    _log(logging.DEBUG, f"Output of code, request id {request_id}", "Output", raw_output)


def _log(level: int, message: str, title: str = "", details: Any = "", detail_level: int = logging.DEBUG) -> None:
    _ROOT.log(level, "%s", masked(message))
    if details:
        _ROOT.log(detail_level, "%s: %s", title, masked(details))


def mask_sensitive_data(data: Any, fields: list[str] | None = None) -> Any:
    """Return a copy of ``data`` without secrets, and without the values of the ``fields`` named besides."""
    hidden = {field.lower() for field in fields or []}
    return _without(masked(data), hidden) if hidden else masked(data)


def _without(data: Any, hidden: set[str]) -> Any:
    if isinstance(data, dict):
        return {key: MASK if str(key).lower() in hidden else _without(value, hidden) for key, value in data.items()}
    return [_without(item, hidden) for item in data] if isinstance(data, list) else data
