"""fsspec: contexts as ``agb://NAME/path`` and sessions as ``agb-session://ID/path`` (extra ``fsspec``).

Both file systems are asynchronous ones of fsspec: their coroutines run in the event loop of fsspec's own thread, unless
``asynchronous=True``. Paths inside are without the protocol: ``NAME/path`` and ``ID/path``; the path in the session is
the part after the first slash, as an absolute one.
"""

from __future__ import annotations

from .contexts import AGBContextFileSystem
from .sessions import AGBSessionFileSystem

__all__ = ["AGBContextFileSystem", "AGBSessionFileSystem"]
