"""MIME types of the formats of displays."""

from __future__ import annotations

MIME_TYPES = {
    "text": "text/plain",
    "html": "text/html",
    "markdown": "text/markdown",
    "png": "image/png",
    "jpeg": "image/jpeg",
    "svg": "image/svg+xml",
    "json": "application/json",
    "latex": "text/latex",
    "chart": "application/vnd.vegalite.v5+json",
}
"""The MIME types of the formats that have a short name."""
TEXT_FORMATS = frozenset(mime for name, mime in MIME_TYPES.items() if name not in ("json", "chart"))
"""The MIME types whose value is a text; a picture is base64."""
