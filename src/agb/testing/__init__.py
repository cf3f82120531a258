"""Testing programs that use sandboxes: a pytest plugin, and a service without a runtime for unit tests.

The plugin (`agb.testing.plugin`) is loaded by pytest. The names below are loaded when they are first used.
"""

from __future__ import annotations

TYPE_CHECKING = bool(0)
if TYPE_CHECKING:
    from .cassette import Cassette as Cassette
    from .cassette import UnknownRequest as UnknownRequest
    from .clients import Service as Service
    from .fake_service import FakeService as FakeService
    from .faults import Faults as Faults

_MODULES = {
    "Cassette": "cassette",
    "FakeService": "fake_service",
    "Faults": "faults",
    "Service": "clients",
    "UnknownRequest": "cassette",
}
__all__ = ["Cassette", "FakeService", "Faults", "Service", "UnknownRequest"]


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".{_MODULES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
