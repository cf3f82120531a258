"""Runs inside a session: lists, reads and writes what is below one mount, as the session's user, for one sync.

It is run as ``python -I -S mount_helper.py`` and needs nothing but the standard library. It never leaves the mount:
directories are entered one by one by their descriptors, and no symbolic link is followed on the way. What a link
leads to is read only if that is in the mount as well.

Messages go over descriptor 3: each a header (JSON) and a blob behind their two lengths. The runtime asks and reads the
whole answer before it asks for something else, so neither end waits for the other to read.

    open     {top, below, make}                        {}, or {failed}
    list     {lists, below}                            {}, blob: rows, as often as it takes; then {end}
    send     blob: paths                               {path, mode, mtime} with the first part of a file, {} with
                                                       further ones, {done, unsure} with the last; or {path, failed,
                                                       gone}; then {end}
    put      {path, mode, mtime, last}, {last}         nothing; what became of the files is asked by
    results                                            {}, blob: rows [path, signature or null, failure]; then {end}
    note     blob: rows for what comes next            nothing
    extract  {path, into, delete, most, lists}         {}, blob: rows [path, signature]; then {end, left} or {failed};
                                                       noted: [path] of what is to stay as it is
    pack     {merge, deletes, discard}                 {} with each part of the archive, {done} with the last or
                                                       {failed, path}; then rows [path, signature, unsure, digest];
                                                       then {end, foreign};
                                                       noted: [path, what to do, size, mtime, digest]
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import socket
import stat
import struct
import sys
import time

TYPE_CHECKING = False  # typing is slow to import
if TYPE_CHECKING:
    import tarfile
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import IO, Any

if TYPE_CHECKING or __package__:
    from .file_watch import TEMPORARY
else:
    sys.path.append(os.path.dirname(os.path.abspath(__file__)))  # isolated mode leaves it out
    from file_watch import TEMPORARY

CHANNEL_FD = 3
CHUNK = 1 << 20
"""Bytes of content in one message."""
EMPTY_DIRECTORY = ".agb-directory"
"""Stands in lists for a directory with nothing in it."""
ARCHIVE = ".agb-archive.tar.gz"
"""Name of the archive of a whole mount."""
MOST_FILES = 300_000
"""Files of one mount; links to directories can make more of few."""
MOST_MEMBERS = 200_000
"""Files in one archive that is unpacked."""

_FRAME = struct.Struct(">II")
_BATCH = 1 << 16
"""Characters of paths in one message."""
_NOT_DATA = re.compile(r"\.agb-([0-9a-f]{16}-(new|old)\.tmp|directory|archive\.tar\.gz)")
"""Names that are ours."""
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Not to wait for whoever may write to a pipe.
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_TICK = 50_000_000
"""Nanoseconds within which two changes of a file may get the same time from the kernel, generously."""

_REASONS = {
    errno.ENOENT: "it is not there",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EISDIR: "a directory is there",
    errno.ENOTDIR: "something on the way to it is a file or a symbolic link",
    errno.ELOOP: "a symbolic link is there",
    errno.ENOSPC: "no space left on the device",
    errno.EDQUOT: "no space left in the quota",
    errno.EFBIG: "it is larger than a file of this session may be",
    errno.EROFS: "the file system there is read-only",
    errno.ENAMETOOLONG: "the name is too long",
}


class Problem(Exception):  # noqa: N818 - says what happened
    """Something cannot be done; the message is for the caller."""


def why(error: OSError | Problem) -> str:
    """Return what went wrong, in words."""
    if isinstance(error, Problem):
        return str(error)
    return _REASONS.get(error.errno or 0, error.strerror or str(error))


class Line:
    """Either end of the line between the runtime and a helper."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._incoming = channel.makefile("rb", buffering=1 << 18)

    def send(self, header: dict[str, Any], blob: bytes | memoryview = b"") -> None:
        """Send a message."""
        data = json.dumps(header).encode()
        data = _FRAME.pack(len(data), len(blob)) + data
        if len(blob) < 1 << 16:
            self._channel.sendall(data + blob)
        else:
            self._channel.sendall(data)
            self._channel.sendall(blob)

    def receive(self) -> tuple[dict[str, Any], bytes]:
        """Return the next message. Raises ``EOFError`` at the end and ``ValueError`` for what is none."""
        header_size, blob_size = _FRAME.unpack(self._read(_FRAME.size))
        if header_size > CHUNK or blob_size > 4 * CHUNK:
            raise ValueError("a message is too large")
        header = json.loads(self._read(header_size))
        if not isinstance(header, dict):
            raise ValueError("a header is no object")
        return header, self._read(blob_size)

    def _read(self, size: int) -> bytes:
        data: bytes = self._incoming.read(size)
        if len(data) < size:
            raise EOFError("the line ended")
        return data

    def close(self) -> None:
        """Hang up."""
        self._incoming.close()
        self._channel.close()


class Selection:
    """What of a mount is wanted: paths relative to it, each with what is left out; none at all means everything.

    What is left out may be said relative to its path or to the mount.
    """

    def __init__(self, lists: Iterable[tuple[str, Sequence[str]]]) -> None:
        self._lists = [(path, [*(_join(path, part) for part in out), *out]) for path, out in lists]

    def wants(self, path: str) -> bool:
        """Return whether a file (or an empty directory) is wanted."""
        if not self._lists:
            return True
        return any(_is_within(path, top) and not _is_any(path, out) for top, out in self._lists)

    def leads_to(self, directory: str) -> bool:
        """Return whether something below a directory may be wanted."""
        if not self._lists or not directory:
            return True
        return any(
            (_is_within(directory, top) or _is_within(top, directory)) and not _is_any(directory, out)
            for top, out in self._lists
        )


def _join(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name


def _is_within(path: str, top: str) -> bool:
    return not top or path == top or path.startswith(f"{top}/")


def _is_any(path: str, tops: Iterable[str]) -> bool:
    return any(top and _is_within(path, top) for top in tops)


def _signature(found: os.stat_result) -> list[int]:
    """Return what tells a file from a changed one."""
    return [found.st_size, found.st_mtime_ns, found.st_ino, found.st_ctime_ns, stat.S_IMODE(found.st_mode) & 0o777]


def _is_settled(before: os.stat_result, after: os.stat_result, begun: int) -> bool:
    """Return whether a file that was read can be told from a later state by its signature.

    One changed a moment before may be changed again without a trace in its times.
    """
    return _signature(after) == _signature(before) and max(after.st_mtime_ns, after.st_ctime_ns) < begun - _TICK


def _temporary() -> str:
    return TEMPORARY.format(os.urandom(8).hex(), "new")


class Tree:
    """A directory and what is below it, reached by descriptors only."""

    def __init__(self, top: str, below: Sequence[str] = (), *, make: bool = False, parent: int | None = None) -> None:
        self._chain: list[tuple[str, int]] = []
        self.root = os.open(top, _DIRECTORY, dir_fd=parent) if parent is not None else os.open(top, _DIRECTORY)
        for name in below:
            inner = _enter(self.root, name, make=make)
            os.close(self.root)
            self.root = inner

    def close(self) -> None:
        """Let go of it."""
        self._leave(0)
        os.close(self.root)

    def _leave(self, depth: int) -> None:
        while len(self._chain) > depth:
            os.close(self._chain.pop()[1])

    def directory(self, path: str, *, make: bool = False) -> int:
        """Return the descriptor of a directory, good until the next call; the way to the last one is remembered."""
        parts = path.split("/") if path else []
        depth = 0
        while depth < min(len(parts), len(self._chain)) and self._chain[depth][0] == parts[depth]:
            depth += 1
        self._leave(depth)
        for name in parts[depth:]:
            self._chain.append((name, _enter(self._chain[-1][1] if self._chain else self.root, name, make=make)))
        return self._chain[-1][1] if self._chain else self.root

    def place_of(self, path: str) -> str | None:
        """Return the path below here that a path with links in it leads to; None if it leads out."""
        here = os.readlink(f"/proc/self/fd/{self.root}")
        found = os.path.realpath(f"{here}/{path}", strict=True)
        if found == here:
            return ""
        return found[len(here.rstrip("/")) + 1 :] if found.startswith(here.rstrip("/") + "/") else None

    def open(self, path: str) -> int:
        """Return a descriptor to read a file; a link is followed if it leads to a file below here."""
        directory, _, name = path.rpartition("/")
        try:
            file = os.open(name, _READ, dir_fd=self.directory(directory))
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                raise
            place = self.place_of(path)
            if place is None:
                raise Problem("it is a symbolic link that leads out of the mount") from error
            directory, _, name = place.rpartition("/")
            file = os.open(name, _READ, dir_fd=self.directory(directory))
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise Problem("it is not a file")
        return file


def _enter(parent: int, name: str, *, make: bool) -> int:
    try:
        return os.open(name, _DIRECTORY, dir_fd=parent)
    except FileNotFoundError:
        if not make:
            raise
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, dir_fd=parent)
        return os.open(name, _DIRECTORY, dir_fd=parent)


class Walk:
    """One walk through a mount: rows ``[path, signature, failure]``, in no particular order."""

    def __init__(self, tree: Tree, selection: Selection) -> None:
        self._tree = tree
        self._selection = selection
        # A path, where it really is if links lead there, and the real directories the links were found in.
        self._waiting: list[tuple[str, str, tuple[str, ...]]] = []

    def rows(self, below: str) -> Iterator[list[Any]]:
        """Yield a row for each file below a path, or for the file there."""
        self._waiting.append((below, below, ()))
        while self._waiting:
            path, place, chain = self._waiting.pop()
            try:
                with os.scandir(self._tree.directory(place)) as found:
                    entries = [entry for entry in found if not _NOT_DATA.fullmatch(entry.name)]
                    # Links last: to look where they lead takes other directories, and closes this one.
                    entries.sort(key=os.DirEntry.is_symlink)
            except OSError as error:
                if path == below and error.errno == errno.ENOTDIR:
                    yield from self._single(path)
                else:
                    yield [path, None, why(error)]
                continue
            if not entries and path and self._selection.wants(path):
                mode = stat.S_IMODE(os.fstat(self._tree.directory(place)).st_mode) & 0o777
                yield [f"{path}/{EMPTY_DIRECTORY}", [0, 0, 0, 0, mode], ""]
            for entry in entries:
                row = self._row(entry, _join(path, entry.name), _join(place, entry.name), (*chain, place))
                if row is not None:
                    yield row

    def _single(self, path: str) -> Iterator[list[Any]]:
        try:
            file = self._tree.open(path)
        except (OSError, Problem) as error:
            yield [path, None, why(error)]
        else:
            yield [path, _signature(os.fstat(file)), ""]
            os.close(file)

    def _row(self, entry: os.DirEntry[str], path: str, place: str, chain: tuple[str, ...]) -> list[Any] | None:
        """Return the row of an entry; a directory is noted instead, and what holds no data has none."""
        try:
            if entry.is_dir(follow_symlinks=False):
                if self._selection.leads_to(path):
                    self._waiting.append((path, place, chain[:-1]))
                return None
            wanted = self._selection.wants(path)
            if entry.is_symlink():
                return self._link(path, place, chain) if wanted or self._selection.leads_to(path) else None
            if not wanted:
                return None
            found = entry.stat(follow_symlinks=False)
            return [path, _signature(found), ""] if stat.S_ISREG(found.st_mode) else None
        except FileNotFoundError:
            return None  # gone meanwhile
        except OSError as error:
            return [path, None, why(error)]

    def _link(self, path: str, place: str, chain: tuple[str, ...]) -> list[Any] | None:
        try:
            real = self._tree.place_of(place)
        except OSError as error:
            reason = "leads in a circle" if error.errno == errno.ELOOP else "leads to nothing"
            return [path, None, f"it is a symbolic link that {reason}"]
        if real is None:
            return [path, None, "it is a symbolic link that leads out of the mount"]
        directory, _, name = real.rpartition("/")
        found = os.stat(name, dir_fd=self._tree.directory(directory), follow_symlinks=False) if real else None
        if found is not None and stat.S_ISREG(found.st_mode):
            return [path, _signature(found), ""] if self._selection.wants(path) else None
        if found is not None and not stat.S_ISDIR(found.st_mode):
            return None
        if any(_is_within(above, real) for above in chain):
            return [path, None, "it is a symbolic link to a directory that it is in"]
        self._waiting.append((path, real, chain))
        return None


class Sender:
    """Sends files."""

    def __init__(self, tree: Tree, line: Line) -> None:
        self._tree = tree
        self._line = line

    def send(self, paths: Sequence[str]) -> None:
        """Send files, one after another."""
        for path in paths:
            try:
                file = self._tree.open(path)
            except (OSError, Problem) as error:
                self._line.send({"path": path, "failed": why(error), "gone": isinstance(error, FileNotFoundError)})
                continue
            try:
                self._send(path, file)
            except ConnectionError:
                raise
            except OSError as error:
                self._line.send({"path": path, "failed": why(error)})
            finally:
                os.close(file)

    def _send(self, path: str, file: int) -> None:
        """Send what a file has now: one that goes on growing would never end."""
        begun = time.time_ns()
        before = os.fstat(file)
        header: dict[str, Any] = {"path": path, "mode": _signature(before)[4], "mtime": before.st_mtime_ns}
        left = before.st_size
        while True:
            part = os.read(file, min(CHUNK, left)) if left else b""
            left -= len(part)
            if not left or not part:
                unsure = not _is_settled(before, os.fstat(file), begun)
                self._line.send({**header, "done": _signature(before), "unsure": unsure}, part)
                return
            self._line.send(header, part)
            header = {}


class Receiver:
    """Puts files into their places: a reader sees the old content or the new one, never half."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._results: list[list[Any]] = []
        self._path = ""
        self._temporary = ""
        self._file: int | None = None
        self._wanted: dict[str, Any] = {}

    def put(self, header: dict[str, Any], blob: bytes) -> None:
        """Take the next part of a file; what fails is told by :meth:`results`."""
        try:
            if "path" in header:
                self._begin(header)
            if self._file is not None:
                self._write(blob)
                if header.get("last"):
                    self._finish()
        except (OSError, Problem) as error:
            self._give_up()
            self._results.append([self._path, None, why(error)])

    def drop(self) -> None:
        """Forget the file that was begun: the rest of it will not come."""
        if self._file is not None:
            self._give_up()
            self._results.append([self._path, None, "it could not be read in the store"])

    def results(self) -> list[list[Any]]:
        """Return what became of the files since the last question."""
        results, self._results = self._results, []
        return results

    def _begin(self, header: dict[str, Any]) -> None:
        self._give_up()
        self._path, self._wanted = header["path"], header
        directory, _, name = self._path.rpartition("/")
        if name == EMPTY_DIRECTORY:
            os.fchmod(self._tree.directory(directory, make=True), header["mode"])
            self._results.append([self._path, [0, 0, 0, 0, header["mode"]], ""])
            return
        parent = self._tree.directory(directory, make=True)
        self._temporary = _temporary()
        self._file = os.open(self._temporary, _WRITE, 0o600, dir_fd=parent)

    def _write(self, blob: bytes) -> None:
        rest = memoryview(blob)
        while rest and self._file is not None:
            rest = rest[os.write(self._file, rest) :]

    def _finish(self) -> None:
        directory, _, name = self._path.rpartition("/")
        parent = self._tree.directory(directory)
        if self._file is None:
            return
        os.fchmod(self._file, self._wanted["mode"])
        os.utime(self._file, ns=(self._wanted["mtime"], self._wanted["mtime"]))
        os.rename(self._temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
        self._results.append([self._path, _signature(os.fstat(self._file)), ""])
        os.close(self._file)
        self._file = None

    def _give_up(self) -> None:
        if self._file is None:
            return
        os.close(self._file)
        self._file = None
        with contextlib.suppress(OSError):
            os.unlink(self._temporary, dir_fd=self._tree.directory(self._path.rpartition("/")[0]))


class Member:
    """One file of an archive that is unpacked."""

    def __init__(self, path: str, *, mode: int, mtime: float, target: str = "", is_directory: bool = False) -> None:
        self.path = path
        self.mode = mode & 0o777
        self.mtime = mtime
        self.target = target
        """Where a symbolic link leads."""
        self.is_directory = is_directory


class Unpacking:
    """Unpacks one archive: first into a directory of its own, so that one that is not sound changes nothing."""

    def __init__(self, tree: Tree, most: int, kept: Iterable[str], selection: Selection) -> None:
        self.left = 0
        """How many files were left out, since they are not wanted or are to stay as they are."""
        self._tree = tree
        self._most = most
        self._room = most
        self._kept = set(kept)
        self._selection = selection
        self._members: dict[str, Member] = {}

    def unpack(self, path: str, into: str) -> Iterator[list[Any]]:
        """Unpack an archive into a directory and yield a row for each file. Raises ``Problem`` and ``OSError``."""
        import shutil
        import zlib
        from lzma import LZMAError
        from tarfile import TarError
        from zipfile import BadZipFile

        broken = (
            BadZipFile,
            TarError,
            zlib.error,
            LZMAError,
            EOFError,
            struct.error,
            ValueError,
            RuntimeError,
            KeyError,
        )

        name = _temporary()
        os.mkdir(name, dir_fd=self._tree.root)
        try:
            aside = Tree(name, parent=self._tree.root)
            try:
                with os.fdopen(self._tree.open(path), "rb") as file:
                    for member, content in self._contents(path, file):
                        self._write(aside, member, content)
                yield from self._bring(aside, into)
            finally:
                aside.close()
        except OSError as error:
            if isinstance(error, ConnectionError):
                raise
            raise Problem(f"it cannot be unpacked: {why(error)}") from error
        except broken as error:
            raise Problem(f"it cannot be unpacked: {error}") from error
        finally:
            shutil.rmtree(name, dir_fd=self._tree.root, ignore_errors=True)

    def _contents(self, path: str, file: IO[bytes]) -> Iterator[tuple[Member, IO[bytes] | None]]:
        return _of_zip(file) if path.lower().endswith(".zip") else _of_tar(file)

    def _write(self, aside: Tree, member: Member, content: IO[bytes] | None) -> None:
        if len(self._members) >= MOST_MEMBERS:
            raise Problem(f"it cannot be unpacked: it has more than {MOST_MEMBERS:,} members")
        path = self._checked(member)
        if member.is_directory:
            if path:
                aside.directory(path, make=True)
                self._members[path] = member
            return
        directory, _, name = path.rpartition("/")
        parent = aside.directory(directory, make=True)
        with contextlib.suppress(FileNotFoundError):  # the later one of two members with one name counts
            os.unlink(name, dir_fd=parent)
        if member.target:
            os.symlink(member.target, name, dir_fd=parent)
        else:
            file = os.open(name, _WRITE, 0o600, dir_fd=parent)
            try:
                while content is not None and (part := content.read(CHUNK)):
                    self._room -= len(part)
                    if self._room < 0:
                        raise Problem(f"it cannot be unpacked: it unpacks to more than {self._most:,} bytes")
                    _write_all(file, part)
                os.fchmod(file, member.mode or 0o644)
                with contextlib.suppress(OverflowError, ValueError):
                    os.utime(file, (member.mtime, member.mtime))
            finally:
                os.close(file)
        self._members[path] = member

    def _checked(self, member: Member) -> str:
        """Return the path of a member, without ``.`` and empty parts."""
        parts = [part for part in member.path.split("/") if part not in ("", ".")]
        if member.path.startswith("/") or ".." in parts or "\0" in member.path or not (parts or member.is_directory):
            raise Problem(f"it cannot be unpacked: its member {member.path[:200]!r} does not stay in its directory")
        if member.target:
            beside = os.path.normpath("/".join([*parts[:-1], member.target]))
            if member.target.startswith("/") or beside == ".." or beside.startswith("../"):
                raise Problem(f"it cannot be unpacked: its link {member.path[:200]!r} leads out of its directory")
        return "/".join(parts)

    def _bring(self, aside: Tree, into: str) -> Iterator[list[Any]]:
        """Move everything to where it belongs."""
        filled = {above for path in self._members for above in _above(path)}
        for path, member in self._members.items():
            place = _join(into, path)
            if place in self._kept or not self._selection.wants(place):
                self.left += not member.is_directory
                continue
            if member.is_directory:
                mode = member.mode | 0o700
                os.fchmod(self._tree.directory(place, make=True), mode)
                if path not in filled:
                    yield [f"{place}/{EMPTY_DIRECTORY}", [0, 0, 0, 0, mode]]
                continue
            directory, _, name = path.rpartition("/")
            parent = self._tree.directory(place.rpartition("/")[0], make=True)
            os.rename(name, name, src_dir_fd=aside.directory(directory), dst_dir_fd=parent)
            if not member.target:
                yield [place, _signature(os.stat(name, dir_fd=parent, follow_symlinks=False))]


def _above(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path


def _write_all(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


def _of_zip(file: IO[bytes]) -> Iterator[tuple[Member, IO[bytes] | None]]:
    import calendar
    import zipfile

    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            mode = info.external_attr >> 16
            mtime = calendar.timegm((*info.date_time, 0, 0, 0))
            member = Member(info.filename, mode=mode, mtime=mtime, is_directory=info.is_dir())
            if info.is_dir():
                yield member, None
                continue
            with archive.open(info) as content:
                if stat.S_ISLNK(mode):
                    member.target = content.read(4096).decode("utf-8", "surrogateescape")
                yield member, content


def _of_tar(file: IO[bytes]) -> Iterator[tuple[Member, IO[bytes] | None]]:
    import tarfile

    with tarfile.open(fileobj=file, mode="r:*") as archive:
        for info in archive:
            target = info.linkname if info.issym() else ""
            member = Member(info.name, mode=info.mode, mtime=info.mtime, target=target, is_directory=info.isdir())
            if info.isdir() or info.issym():
                yield member, None
            elif info.isfile() or info.islnk():
                yield member, archive.extractfile(info)  # of a hard link, what it is a link to
            else:
                raise Problem(f"it cannot be unpacked: its member {info.name[:200]!r} is not a file")


class Packing:
    """Packs a mount into one archive, on the way out; what another session has put into the last one is kept.

    What is to be done with each path: ``take`` the session's file, which is new or changed; take the ``same``, unless
    the last archive has another one by now; ``check`` whether it is the same; know that it is ``gone``, and drop it
    unless the last archive has another one. What the last archive has besides stays.
    """

    def __init__(self, tree: Tree, line: Line, noted: Iterable[tuple[str, str, int, int, str]]) -> None:
        self.foreign = 0
        """How many members are there of which the session has no copy, or another one."""
        self._tree = tree
        self._line = line
        self._noted = {
            path: (self._checked(path, digest) if what == "check" else what, size, mtime)
            for path, what, size, mtime, digest in noted
        }
        self._rows: list[list[Any]] = []

    def pack(self, *, merge: bool, deletes: bool) -> list[list[Any]]:
        """Send the archive and return a row for each of the session's files in it. Raises ``Problem``."""
        import gzip
        import tarfile

        taken = dict.fromkeys(path for path, (what, _, _) in self._noted.items() if what in ("take", "same"))
        with (
            _Outgoing(self._line) as outgoing,
            gzip.GzipFile("", "wb", 4, outgoing, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as archive,
        ):
            if merge:
                with os.fdopen(self._tree.open(ARCHIVE), "rb") as file, tarfile.open(fileobj=file, mode="r:*") as last:
                    taken = self._merge(last, archive, taken, deletes=deletes)
            for path in taken:
                self._add(archive, path)
        return self._rows

    def _merge(
        self, last: tarfile.TarFile, archive: tarfile.TarFile, taken: dict[str, None], *, deletes: bool
    ) -> dict[str, None]:
        """Copy from the last archive what is to stay, and return which files of the session are still to be added."""
        present = set()
        for info in last:
            path = info.name.strip("/") + (f"/{EMPTY_DIRECTORY}" if info.isdir() else "")
            what, size, mtime = self._noted.get(path, ("", 0, 0))
            is_known = info.isdir() or (info.size == size and abs(info.mtime - mtime / 1e9) < 0.001)
            present.add(path)
            if what == "take" or (what == "same" and is_known) or (what == "gone" and is_known and deletes):
                continue
            taken.pop(path, None)
            self.foreign += 1
            archive.addfile(info, last.extractfile(info) if info.isfile() else None)
        # What is the same as ever, and not in the last archive, was deleted by somebody else.
        return {path: None for path in taken if path in present or self._noted[path][0] == "take"}

    def _checked(self, path: str, digest: str) -> str:
        try:
            file = self._tree.open(path)
        except (OSError, Problem):
            return "take"  # which will tell why it cannot
        with os.fdopen(file, "rb", buffering=0) as content:
            reading = _Exactly(content, os.fstat(file).st_size)
            while reading.read(CHUNK):
                pass
            return "same" if reading.digest.hexdigest() == digest else "take"

    def _add(self, archive: tarfile.TarFile, path: str) -> None:
        import tarfile

        if path.endswith(f"/{EMPTY_DIRECTORY}"):
            info = tarfile.TarInfo(path[: -len(EMPTY_DIRECTORY) - 1])
            info.type, info.mode = tarfile.DIRTYPE, self._noted[path][1]
            archive.addfile(info)
            self._rows.append([path, [0, 0, 0, 0, info.mode], False, ""])
            return
        try:
            file = self._tree.open(path)
        except (OSError, Problem) as error:
            raise Unreadable(path, why(error)) from error
        with os.fdopen(file, "rb", buffering=0) as content:
            begun = time.time_ns()
            before = os.fstat(file)
            info = tarfile.TarInfo(path)
            info.size, info.mode, info.mtime = before.st_size, _signature(before)[4], before.st_mtime_ns / 1e9
            reading = _Exactly(content, before.st_size)
            archive.addfile(info, reading)  # type: ignore[arg-type]  # it is only read
            unsure = not _is_settled(before, os.fstat(file), begun)
        self._rows.append([path, _signature(before), unsure, reading.digest.hexdigest()])


class Unreadable(Exception):  # noqa: N818 - says what happened
    """A file cannot be read while an archive is made."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(reason)
        self.path = path


class _Exactly:
    """So many bytes of a file, as the head of a member has promised; zeros where it has become shorter."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        import hashlib

        self.digest = hashlib.sha256()
        """The digest of what was read."""
        self._file = file
        self._left = size

    def read(self, size: int) -> bytes:
        size = min(size, self._left)
        data = self._file.read(size) or bytes(size)
        self._left -= len(data)
        self.digest.update(data)
        return data


class _Outgoing:
    """A file whose content goes to the runtime."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._waiting = bytearray()

    def write(self, data: bytes) -> int:
        self._waiting += data
        if len(self._waiting) >= CHUNK:
            self._line.send({}, bytes(self._waiting))
            self._waiting.clear()
        return len(data)

    def flush(self) -> None:
        """Nothing is gained by sending less at once."""

    def __enter__(self) -> _Outgoing:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            self._line.send({"done": True}, bytes(self._waiting))


class Helper:
    """Answers the runtime."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._tree: Tree | None = None
        self._receiver: Receiver | None = None
        self._noted: list[list[Any]] = []

    def serve(self) -> None:
        """Serve until the runtime hangs up."""
        while True:
            header, blob = self._line.receive()
            operation = header["op"]
            if operation == "open":
                self._open(header)
            elif operation == "note":
                self._noted += json.loads(blob)
            elif self._tree is not None and self._receiver is not None:
                self._serve_one(operation, header, blob, self._tree, self._receiver)

    def _open(self, header: dict[str, Any]) -> None:
        try:
            self._tree = Tree(header["top"], header["below"], make=header["make"])
        except OSError as error:
            self._line.send({"failed": why(error)})
            return
        self._receiver = Receiver(self._tree)
        self._line.send({})

    def _serve_one(self, operation: str, header: dict[str, Any], blob: bytes, tree: Tree, receiver: Receiver) -> None:
        match operation:
            case "put":
                receiver.put(header, blob)
            case "drop":
                receiver.drop()
            case "results":
                self._answer(lambda: self._rows(receiver.results()))
            case "list":
                self._answer(lambda: self._rows(_at_most(Walk(tree, Selection(header["lists"])).rows(header["below"]))))
            case "send":
                self._answer(lambda: Sender(tree, self._line).send(json.loads(blob)))
            case "extract":
                self._answer(lambda: self._extract(header, tree))
            case "pack":
                self._answer(lambda: self._pack(header, tree))

    def _extract(self, header: dict[str, Any], tree: Tree) -> dict[str, Any]:
        kept, self._noted = self._noted, []
        unpacking = Unpacking(tree, header["most"], (path for (path,) in kept), Selection(header["lists"]))
        self._rows(unpacking.unpack(header["path"], header["into"]))
        if header["delete"]:
            directory, _, name = header["path"].rpartition("/")
            os.unlink(name, dir_fd=tree.directory(directory))
        return {"left": unpacking.left}

    def _pack(self, header: dict[str, Any], tree: Tree) -> dict[str, Any]:
        noted, self._noted = self._noted, []
        packing = Packing(tree, self._line, (tuple(row) for row in noted))
        try:
            rows = packing.pack(merge=header["merge"], deletes=header["deletes"])
        except Unreadable as error:
            self._line.send({"failed": str(error), "path": error.path})
            return {}
        except (OSError, ValueError, EOFError) as error:
            if isinstance(error, ConnectionError):
                raise
            self._line.send({"failed": f"the archive cannot be made: {error}"})
            return {}
        if header["discard"]:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(ARCHIVE, dir_fd=tree.root)
        self._rows(rows)
        return {"foreign": packing.foreign}

    def _answer(self, work: Callable[[], dict[str, Any] | None]) -> None:
        """Do something and send the end of the answer."""
        try:
            more = work() or {}
        except ConnectionError:
            raise
        except (OSError, Problem) as error:
            self._line.send({"failed": why(error), "end": True})
        except MemoryError:
            self._line.send({"failed": "the session has not enough memory for it", "end": True})
        except Exception as error:  # noqa: BLE001 - a fault of ours must not leave the runtime without an answer
            self._line.send({"failed": f"failed with {type(error).__name__}: {error}", "end": True})
        else:
            self._line.send({"end": True, **more})

    def _rows(self, rows: Iterable[list[Any]]) -> None:
        batch: list[list[Any]] = []
        size = 0
        for row in rows:
            batch.append(row)
            size += len(row[0]) + 64
            if size > _BATCH:
                self._line.send({}, json.dumps(batch).encode())
                batch, size = [], 0
        if batch:
            self._line.send({}, json.dumps(batch).encode())


def _at_most(rows: Iterable[list[Any]]) -> Iterator[list[Any]]:
    for count, row in enumerate(rows):
        if count >= MOST_FILES:
            raise Problem(f"there are more than {MOST_FILES:,} files")
        yield row


def main() -> None:
    """Serve until the runtime goes away."""
    with contextlib.suppress(EOFError, ConnectionError):
        Helper(Line(socket.socket(fileno=CHANNEL_FD))).serve()


if __name__ == "__main__":
    main()
