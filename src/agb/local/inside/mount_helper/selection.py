"""Which paths of a mount are synchronised, and operations on such paths."""

from __future__ import annotations

TYPE_CHECKING = False  # typing is slow to import
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


class Selection:
    """The paths of a mount that are synchronised: those in any of the lists, everything if there are no lists.

    Each list is a path relative to the mount and its excluded paths, which may be relative to that path or to the
    mount.
    """

    def __init__(self, lists: Iterable[tuple[str, Sequence[str]]]) -> None:
        self._lists = [(path, [*(joined(path, part) for part in out), *out]) for path, out in lists]

    def wants(self, path: str) -> bool:
        """Return whether a file (or an empty directory) is selected."""
        if not self._lists:
            return True
        return any(is_within(path, top) and not _is_any(path, out) for top, out in self._lists)

    def leads_to(self, directory: str) -> bool:
        """Return whether something below a directory may be selected."""
        if not self._lists or not directory:
            return True
        return any(
            (is_within(directory, top) or is_within(top, directory)) and not _is_any(directory, out)
            for top, out in self._lists
        )


def joined(path: str, name: str) -> str:
    """Return the path of a name in a directory; "" is the top."""
    return f"{path}/{name}" if path else name


def is_within(path: str, top: str) -> bool:
    """Return whether a path is a directory or below it."""
    return not top or path == top or path.startswith(f"{top}/")


def above(path: str) -> Iterator[str]:
    """Yield the directories that a path is below, innermost first, without the top."""
    while path := path.rpartition("/")[0]:
        yield path


def _is_any(path: str, tops: Iterable[str]) -> bool:
    return any(top and is_within(path, top) for top in tops)
