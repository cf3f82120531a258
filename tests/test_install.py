"""A bare install is small: the requirements of `agb` and of everything it requires, from installed metadata."""

from __future__ import annotations

from importlib.metadata import distribution, requires

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def requirements_of(name: str, extras: frozenset[str] = frozenset()) -> set[str]:
    """Return the names of a distribution and of everything it requires, without extras unless they are given."""
    found: set[str] = set()
    waiting = [(name, extras)]
    while waiting:
        current, wanted = waiting.pop()
        found.add(canonicalize_name(current))
        for text in requires(current) or []:
            requirement = Requirement(text)
            asked = [""] if not wanted else sorted(wanted)
            marker = requirement.marker
            applies = marker is None or any(marker.evaluate({"extra": extra}) for extra in asked)
            if applies and canonicalize_name(requirement.name) not in found:
                waiting.append((requirement.name, frozenset(requirement.extras)))
    return found


def test_bare_install_is_small() -> None:
    names = requirements_of("agb")
    assert len(names) <= 12, sorted(names)
    assert not names & {"playwright", "pydantic", "loguru", "requests", "aiohttp", "starlette", "uvicorn"}


def test_required_are_five() -> None:
    required = {Requirement(text).name for text in requires("agb") or [] if "extra ==" not in text}
    assert required == {"httpx", "anyio", "attrs", "websockets", "python-dotenv"}


def test_h11_comes_with_httpx() -> None:
    """It is imported but not listed as a requirement; if httpx stops requiring it, it must be listed."""
    assert "h11" in requirements_of("httpx")
    assert distribution("h11").version
