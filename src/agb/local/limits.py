"""Limits: how long a session lives and how much it may take."""

from __future__ import annotations

from attrs import field, frozen, validators

_MIB = 1 << 20


@frozen(kw_only=True)
class Limits:
    """The resources a session, or a stored file, may take. Times are seconds, sizes bytes.

    ``processes`` (threads count), ``open_files``, ``file_size`` and ``memory`` are resource limits of the operating
    system's kernel; the first is of the session, the others of each of its processes. ``memory`` counts what a process
    may write to (its data segment and private mappings), not address space that is only reserved: node and java
    reserve gigabytes. ``shared_memory`` bounds ``/dev/shm``. Without a sandbox the number of processes is not limited,
    since the kernel would count all processes of the user. The files of a session together are measured, not limited.
    """

    idle: float = field(default=300.0, validator=validators.gt(0))
    """Release after so long without activity, unless the session asked for another time."""
    life: float = field(default=1800.0, validator=validators.gt(0))
    """Release after so long in any case."""
    sessions: int = field(default=1000, validator=validators.ge(1))
    """Sessions at a time."""
    processes: int = field(default=2048, validator=validators.ge(16))
    memory: int = field(default=4096 * _MIB, validator=validators.ge(64 * _MIB))
    file_size: int = field(default=2048 * _MIB, validator=validators.ge(1))
    open_files: int = field(default=4096, validator=validators.ge(64))
    sync: float = field(default=900.0, validator=validators.gt(0))
    """One sync of a mount with its context."""
    last_sync: float = field(default=120.0, validator=validators.gt(0))
    """All syncs at the end of a session together."""
    unpacked: int = field(default=8192 * _MIB, validator=validators.ge(1))
    """Bytes that one archive may unpack to in a session."""
    shared_memory: int = field(default=256 * _MIB, validator=validators.ge(1))
    output: int = field(default=16 * _MIB, validator=validators.ge(1))
    """Bytes kept of each output stream of a program; the rest is read and discarded."""
    stored_file: int = field(default=16_384 * _MIB, validator=validators.ge(1))
    """Bytes of the largest file that a context takes through a URL."""
