"""Completes ``sys.path`` of a session's Python; its environment runs this from a ``.pth`` file at each start.

The order decides which version of a package is imported: packages installed in the session (``pip install`` puts them
into the user's directory, since the environment itself is read-only) come before those of the machine. Python alone
would put the user's directory last.
"""

from __future__ import annotations

import os
import site
import sys

TYPE_CHECKING = False  # typing is slow to import, and every Python of a session starts with this
if TYPE_CHECKING:
    from collections.abc import Sequence


_is_done = False


def add(known: set[str] | None, places: Sequence[str]) -> None:
    """Add the user's directory, also if it is made only later, then the machine's directories (or archives).

    ``known`` is the set of directories that the module ``site`` has added so far; it keeps it from adding them again.
    ``site`` reads the ``.pth`` files of an environment twice; the second call does nothing.
    """
    global _is_done
    if _is_done:
        return
    _is_done = True
    if not sys.flags.no_user_site:
        own = site.getusersitepackages()
        if os.path.isdir(own):
            site.addsitedir(own, known)
        else:
            sys.path.append(own)
    for place in places:
        if os.path.isdir(place):
            site.addsitedir(place, known)
        else:
            sys.path.append(place)
