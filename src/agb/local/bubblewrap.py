"""Bubblewrap: whether it works here, and the command line that shows a session its own root."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

from attrs import frozen

HOME = Path("/home/user")
RUN = Path("/run/agb")
"""Where a sandboxed session finds the runtime's own programs."""
SOCKETS = RUN / "sockets"
HOSTNAME = "agb"

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_ETC = (
    "alternatives",
    "crypto-policies",
    "fonts",
    "java*",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "mime.types",
    "os-release",
    "pki/tls/certs",
    "pki/ca-trust",
    "pki/java",
    "protocols",
    "R",
    "services",
    "ssl/certs",
    "ssl/openssl.cnf",
    "timezone",
)
"""What programs need of /etc and anybody may read; users, keys and the machine's names are not among it."""


@frozen
class Directories:
    """The directories of one session on the machine."""

    root: Path

    @property
    def home(self) -> Path:
        """The session's home."""
        return self.root / "home"

    @property
    def tmp(self) -> Path:
        """The session's /tmp."""
        return self.root / "tmp"

    @property
    def sockets(self) -> Path:
        """Where kernels put their sockets."""
        return self.root / "sockets"

    @property
    def etc(self) -> Path:
        """Files of /etc made for this session."""
        return self.root / "etc"

    def make(self, owner: int | None) -> None:
        """Make them, given to the session's user."""
        self.root.mkdir(mode=0o700)
        self.etc.mkdir(mode=0o755)
        for path in (self.home, self.tmp, self.sockets):
            path.mkdir(mode=0o700)
            if owner is not None:
                os.chown(path, owner, owner)
        self.tmp.chmod(0o1777)


@frozen(kw_only=True)
class Bubblewrap:
    """Builds command lines for sessions.

    ``unshare_user`` is for an ordinary user, who may make namespaces only inside one of users. ``programs`` are files
    shown in :data:`RUN`; ``trees`` are directories or files of the machine shown read-only in their own place (the
    interpreter's and node's, wherever they are installed).
    """

    path: str
    unshare_user: bool
    programs: tuple[Path, ...] = ()
    trees: tuple[Path, ...] = ()
    share_network: bool = False
    shared_memory: int = 256 << 20

    def command(self, directories: Directories, *, user: int, program: Sequence[str]) -> list[str]:
        """Return the command line that runs ``program`` as process 1 of a sandbox on these directories."""
        self._write_etc(directories.etc, user)
        return [
            self.path,
            *self._namespaces(),
            *self._system,
            *self._etc,
            *("--perms", "0755", "--dir", "/etc"),
            *(option for path in sorted(directories.etc.iterdir()) for option in _show(path, Path("/etc", path.name))),
            *_own(directories.tmp, Path("/tmp")),  # noqa: S108 - the session's own
            *_own(directories.home, HOME),
            *_own(directories.sockets, SOCKETS),
            *self._trees,
            *("--remount-ro", "/"),
            *("--chdir", "/", "--clearenv", "--"),
            *program,
        ]

    def _namespaces(self) -> list[str]:
        options = ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", "--as-pid-1"]
        options += ["--die-with-parent", "--hostname", HOSTNAME]
        if self.unshare_user:
            options.append("--unshare-user")
        else:
            # What the agent needs to become another user; it has none of it afterwards.
            options += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
        if not self.share_network:
            options.append("--unshare-net")
        return options

    @cached_property
    def _system(self) -> list[str]:
        options = []
        for name in _SYSTEM:
            path = Path(name)
            if path.is_symlink():
                options += ["--symlink", str(path.readlink()), name]
            elif path.is_dir():
                options += ["--ro-bind", name, name]
        options += ["--proc", "/proc", "--dev", "/dev"]
        options += ["--perms", "1777", "--size", str(self.shared_memory), "--tmpfs", "/dev/shm"]  # noqa: S108
        return [
            *options,
            "--remount-ro",
            "/dev",
            "--perms",
            "0755",
            "--dir",
            "/run",
            "--perms",
            "0755",
            "--dir",
            "/var",
        ]

    @cached_property
    def _etc(self) -> list[str]:
        found = sorted(path for pattern in _ETC for path in Path("/etc").glob(pattern))
        if self.share_network:
            found.append(Path("/etc/resolv.conf"))
        return [option for path in found if path.exists() for option in _show(path.resolve(), path)]

    @cached_property
    def _trees(self) -> list[str]:
        options = [option for path in self.trees if not _is_system(path) for option in _show(path, path)]
        return options + [option for path in self.programs for option in _show(path, RUN / path.name)]

    def _write_etc(self, etc: Path, user: int) -> None:
        files = {
            "passwd": f"root:x:0:0:root:/root:/usr/sbin/nologin\nuser:x:{user}:{user}:user:{HOME}:/bin/bash\n",
            "group": f"root:x:0:\nuser:x:{user}:\n",
            "hosts": f"127.0.0.1 localhost {HOSTNAME}\n::1 localhost\n",
            "hostname": f"{HOSTNAME}\n",
            "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
        }
        for name, text in files.items():
            path = etc / name
            path.write_text(text)
            path.chmod(0o644)


def _show(source: Path, place: Path) -> list[str]:
    return [*_parents(place), "--ro-bind", str(source), str(place)]


def _own(source: Path, place: Path) -> list[str]:
    return [*_parents(place), "--bind", str(source), str(place)]


def _parents(place: Path) -> list[str]:
    """Make the directories above a place readable; left to itself bubblewrap makes them for root only."""
    return [option for path in reversed(place.parents[:-1]) for option in ("--perms", "0755", "--dir", str(path))]


def _is_system(path: Path) -> bool:
    return any(path == Path(name) or path.is_relative_to(name) for name in _SYSTEM)


def interpreter_trees() -> tuple[Path, ...]:
    """Return the directories of the running interpreter and its packages, outermost first."""
    prefixes = {Path(sys.base_prefix), Path(sys.prefix), Path(sys.base_prefix).resolve(), Path(sys.prefix).resolve()}
    return tuple(sorted(path for path in prefixes if not _is_system(path)))


def find(path: str | None = None) -> str | None:
    """Return where bubblewrap is installed, or None."""
    return path or shutil.which("bwrap")


def probe(command: Iterable[str]) -> str:
    """Run a sandbox's command line once; return what is wrong with it, or nothing."""
    try:
        done = subprocess.run(list(command), stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return ""
    return done.stderr.decode(errors="replace").strip() or f"exit status {done.returncode}"
