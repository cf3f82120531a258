"""Bubblewrap: whether it works here, and the command line that makes a root of its own for a session."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

from attrs import frozen

from .directories import HOME, TMP, VAR_TMP, CannotMount, Directories, is_own
from .pasta import resolv_conf
from .shown import RUN, SYSTEM, Shown

PROGRAMS = RUN / "inside"
"""The programs that run inside sessions, seen from inside."""
SOCKETS = RUN / "sockets"
HOSTNAME = "agb"

_KERNEL = ("/proc", "/dev", "/sys")
_ETC = (
    "alternatives",
    "chromium.d",
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
"""What programs need of /etc and every user may read; users, keys and the machine's names are not among it."""
_CACHES = (Path("/var/cache/fontconfig"),)
"""Caches of the system that programs would make anew in every session, which takes the start of a browser longer."""


@frozen(kw_only=True)
class Bubblewrap:
    """Builds command lines for sessions.

    ``unshare_user`` is for an ordinary user, who may make namespaces only inside one of users. ``programs`` is the
    directory shown as :data:`PROGRAMS`; ``shown`` is what else of the machine is shown, beside the system's
    directories; ``hidden`` are places in it that are shown empty.
    """

    path: str
    unshare_user: bool
    programs: Path
    shown: tuple[Shown, ...] = ()
    hidden: tuple[Path, ...] = ()
    network: Literal["pasta", "isolated", "host"] = "isolated"
    shared_memory: int | None = None
    """Bytes of /dev/shm; None where bubblewrap cannot limit it."""

    def command(self, directories: Directories, *, user: int, program: Sequence[str]) -> list[str]:
        """Return the command line that runs ``program`` as process 1 of a sandbox on these directories."""
        self._write_etc(directories.etc, user)
        mounts = directories.elsewhere
        above = [place for place in mounts if HOME.is_relative_to(place)]  # bound first, or it would hide the home
        return [
            self.path,
            *self._namespaces(),
            *self._system,
            *self._etc,
            *(option for path in sorted(directories.etc.iterdir()) for option in _show(path, Path("/etc", path.name))),
            *_own(directories.tmp, TMP),
            *_own(directories.var_tmp, VAR_TMP),
            *(option for place in above for option in _own(mounts[place], place)),
            *_own(directories.home, HOME),
            *_own(directories.sockets, SOCKETS),
            *(option for place in mounts if place not in above for option in _own(mounts[place], place)),
            *self._shown,
            *(option for path in self.hidden for option in ("--perms", "0755", "--tmpfs", str(path))),
            *("--remount-ro", "/"),
            *("--chdir", "/", "--clearenv", "--"),
            *program,
        ]

    def check_mount(self, place: Path) -> None:
        """Raise ``CannotMount`` unless a context can be mounted at a place inside."""
        if is_own(place):
            return
        taken = (*map(Path, (*SYSTEM, *_KERNEL, "/etc", "/run")), *(part.place for part in self.shown))
        for path in taken:
            if place.is_relative_to(path) or path.is_relative_to(place):
                raise CannotMount(f"{path} is the system's; give a directory below /home or /tmp")

    def _namespaces(self) -> list[str]:
        options = ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", "--as-pid-1"]
        options += ["--die-with-parent", "--hostname", HOSTNAME]
        if self.unshare_user:
            options.append("--unshare-user")
        else:
            # The agent needs them to change its user, and loses them with that.
            options += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
        if self.network != "host":
            options.append("--unshare-net")
        return options

    @cached_property
    def _system(self) -> list[str]:
        options = []
        for name in SYSTEM:
            path = Path(name)
            if path.is_symlink():
                options += ["--symlink", str(path.readlink()), name]
            elif path.is_dir():
                options += ["--ro-bind", name, name]
        options += ["--proc", "/proc", "--dev", "/dev"]
        size = ["--size", str(self.shared_memory)] if self.shared_memory is not None else []
        options += ["--perms", "1777", *size, "--tmpfs", "/dev/shm", "--remount-ro", "/dev"]
        for name in ("/run", "/var", "/etc"):
            options += ["--perms", "0755", "--dir", name]
        return options

    @cached_property
    def _etc(self) -> list[str]:
        found = sorted(path for pattern in _ETC for path in Path("/etc").glob(pattern))
        if self.network == "host":
            found.append(Path("/etc/resolv.conf"))
        return [option for path in (*found, *_CACHES) if path.exists() for option in _show(path.resolve(), path)]

    @cached_property
    def _shown(self) -> list[str]:
        parts = (*self.shown, Shown(self.programs, PROGRAMS))
        return [option for part in parts for option in _show(part.source, part.place)]

    def _write_etc(self, etc: Path, user: int) -> None:
        files = {
            "passwd": f"root:x:0:0:root:/root:/usr/sbin/nologin\nuser:x:{user}:{user}:user:{HOME}:/bin/bash\n",
            "group": f"root:x:0:\nuser:x:{user}:\n",
            "hosts": f"127.0.0.1 localhost {HOSTNAME}\n::1 localhost\n",
            "hostname": f"{HOSTNAME}\n",
            "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
        }
        if self.network == "pasta":
            files["resolv.conf"] = resolv_conf()
        for name, text in files.items():
            path = etc / name
            path.write_text(text)
            path.chmod(0o644)


def _show(source: Path, place: Path) -> list[str]:
    return [*_parents(place), "--ro-bind", str(source), str(place)]


def _own(source: Path, place: Path) -> list[str]:
    return [*_parents(place), "--bind", str(source), str(place)]


def _parents(place: Path) -> list[str]:
    """Make the directories above a place readable; bubblewrap alone makes them for root only."""
    return [option for path in reversed(place.parents[:-1]) for option in ("--perms", "0755", "--dir", str(path))]


def find() -> str | None:
    """Return the path of bubblewrap, None if it is not installed."""
    return shutil.which("bwrap")


def can_limit_size(path: str) -> bool:
    """Return whether this bubblewrap can limit the size of a tmpfs, as versions since 0.7 can. Starts it."""
    try:
        done = subprocess.run([path, "--help"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return "--size" in done.stdout + done.stderr
