"""Names of files that a line of text cannot hold: with line breaks, or with bytes that are not UTF-8.

The tools of a service list names as lines of text. A service has to show such a name otherwise than it is, and then
it looks like the name of another file. The functions here find the names that may be shown so, and assign the true
names, which a script lists, to those that are shown.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_LINE_BREAKS = re.compile("[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_ODD = re.compile("[\\\\\ufffd\n\r\v\f\x1c-\x1e\x85\u2028\u2029\ud800-\udfff]")


def is_odd(name: str, *, lines: bool = False) -> bool:
    """Return whether a name may be shown otherwise than it is, by a service that sends names as lines of text."""
    return any(found[0] != "\n" or not lines for found in _ODD.finditer(name))


def shown_forms(name: str) -> set[str]:
    """Return how services show a name in a line of text.

    A line break is an escape sequence of Python, and a byte that is not UTF-8 is U+FFFD; some decoders use one U+FFFD
    for several bytes.
    """
    line = _LINE_BREAKS.sub(lambda found: ascii(found[0])[1:-1], name)
    decoded = line.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return {re.sub("[\ud800-\udfff]", "\ufffd", line), decoded}


def exact_matches(matches: Sequence[str], path: str, names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the paths of matches that a service shows in lines of text, and those that cannot be found out.

    Args:
        matches: as the service shows them.
        path: the directory that was searched.
        names: all names below it that may be shown otherwise than they are, relative to it.
    """
    by_form: dict[str, list[str]] = {}
    for name in sorted(names):
        for form in shown_forms(name):
            by_form.setdefault(form, []).append(name)
    found: list[str] = []
    unknown: list[str] = []
    for match in matches:
        top = next((form for form in shown_forms(path.rstrip("/") + "/") if form in match), None)
        if not is_odd(match) or top is None:
            (unknown if is_odd(match) else found).append(match)
            continue
        end = match.index(top) + len(top)
        above = f"{path.rstrip('/')}/" if path.startswith("/") else match[:end]
        alike = by_form.get(match[end:], [])
        if alike:
            found.append(above + (alike.pop(0) if len(alike) > 1 else alike[0]))
        else:
            (unknown if is_odd(match[end:]) else found).append(above + match[end:])
    return found, unknown
