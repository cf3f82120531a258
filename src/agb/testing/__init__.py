"""Testing programs that use sandboxes: a pytest plugin, and a service without a runtime for unit tests.

The plugin (`agb.testing.plugin`) is loaded by pytest. The names below are loaded when they are first used.
"""

from __future__ import annotations

TYPE_CHECKING = bool(0)
if TYPE_CHECKING:
    from .cassette import Cassette as Cassette
    from .cassette import UnknownRequest as UnknownRequest
    from .clients import Service as Service
    from .fake_files import ToolFailure as ToolFailure
    from .fake_service import FakeCall as FakeCall
    from .fake_service import FakeService as FakeService
    from .fake_tools import CodeAnswer as CodeAnswer
    from .fake_tools import CommandAnswer as CommandAnswer
    from .faults import Faults as Faults

_MODULES = {
    "Cassette": "cassette",
    "CodeAnswer": "fake_tools",
    "CommandAnswer": "fake_tools",
    "FakeCall": "fake_service",
    "FakeService": "fake_service",
    "Faults": "faults",
    "Service": "clients",
    "ToolFailure": "fake_files",
    "UnknownRequest": "cassette",
}
__all__ = [
    "Cassette",
    "CodeAnswer",
    "CommandAnswer",
    "FakeCall",
    "FakeService",
    "Faults",
    "Service",
    "ToolFailure",
    "UnknownRequest",
]


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".{_MODULES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
