"""Display: results as HTML for a notebook, and the picture of a result that is saved to a file."""

from __future__ import annotations

import base64
import binascii
import json
from html import escape
from pathlib import PurePath
from typing import Any

_PICTURES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".svg": "image/svg+xml",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".pdf": "application/pdf",
}
"""What can be saved, by the suffix of the file."""
_SHOWN_IN_IMG = ("image/png", "image/jpeg", "image/webp", "image/gif")


def html_of(item: Any) -> str:
    """Return one result as HTML: the richest of its formats that HTML can show."""
    data = item.data
    for mime in ("text/html", "image/svg+xml"):
        if mime in data:
            return str(data[mime])
    for mime in _SHOWN_IN_IMG:
        if mime in data:
            alt = escape(item.text or mime.removeprefix("image/"))
            return f'<img src="data:{mime};base64,{escape(str(data[mime]))}" alt="{alt}">'
    for mime in ("text/markdown", "text/latex", "text/plain"):
        if mime in data:
            return f"<pre>{escape(str(data[mime]))}</pre>"
    for value in data.values():
        text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
        return f"<pre>{escape(text)}</pre>"
    return ""


def html_of_run(run: Any) -> str:
    """Return a whole run as HTML: its output, every result, and the error."""
    parts = []
    if printed := "".join(run.logs.stdout):
        parts.append(f"<pre>{escape(printed)}</pre>")
    if printed := "".join(run.logs.stderr):
        parts.append(f'<pre style="color:#a00">{escape(printed)}</pre>')
    parts += [html_of(item) for item in run.results]
    if not run.success:
        text = (run.error.traceback or str(run.error)) if run.error is not None else run.error_message
        parts.append(f'<pre style="color:#a00">{escape(text)}</pre>')
    return "\n".join(parts)


def picture_bytes(item: Any, path: PurePath) -> bytes:
    """Return the picture for a file of that name, by its suffix; raise `ValueError` if there is none."""
    there = [mime for mime in dict.fromkeys(_PICTURES.values()) if mime in item.data]
    wanted = _PICTURES.get(path.suffix.lower())
    if wanted is None and path.suffix:
        *suffixes, last = (suffix for suffix in _PICTURES if suffix != ".jpeg")
        raise ValueError(
            f"{path.name}: a picture is saved as {', '.join(suffixes)} or {last}; this result has {_list(there)}"
        )
    if wanted is None and len(there) != 1:
        raise ValueError(f"{path.name}: its suffix says which picture to save; this result has {_list(there)}")
    mime = wanted or there[0]
    if mime not in there:
        raise ValueError(f"{path.name}: this result has {_list(there)}, no {_name(mime)}")
    value = str(item.data[mime])
    if mime == "image/svg+xml":
        return value.encode("utf-8")
    try:
        return base64.b64decode(value, validate=False)
    except binascii.Error as error:
        raise ValueError(f"{path.name}: the {_name(mime)} of this result is damaged: {error}") from error


def _list(mimes: list[str]) -> str:
    return " and ".join(map(_name, mimes)) or "no picture"


def _name(mime: str) -> str:
    return mime.partition("/")[2].partition("+")[0]
