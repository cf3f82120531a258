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


log = get_logger("agb")


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


def mask_sensitive_data(data: Any, fields: list[str] | None = None) -> Any:
    """Return a copy of ``data`` without secrets, and without the values of the ``fields`` named besides."""
    hidden = {field.lower() for field in fields or []}
    return _without(masked(data), hidden) if hidden else masked(data)


def _without(data: Any, hidden: set[str]) -> Any:
    if isinstance(data, dict):
        return {key: MASK if str(key).lower() in hidden else _without(value, hidden) for key, value in data.items()}
    return [_without(item, hidden) for item in data] if isinstance(data, list) else data
