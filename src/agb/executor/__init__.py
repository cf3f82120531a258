"""Sessions as a `concurrent.futures.Executor`: programs that take an executor run their functions in sandboxes.

Needs the extra ``agb[executor]`` (cloudpickle).
"""

from .errors import BrokenSandbox
from .executor import SandboxExecutor
from .sandbox import SandboxFuture

__all__ = ["BrokenSandbox", "SandboxExecutor", "SandboxFuture"]

for _public in (BrokenSandbox, SandboxExecutor, SandboxFuture):
    _public.__module__ = __name__  # where it is imported from, in pickles and tracebacks too
