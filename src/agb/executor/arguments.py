"""The arguments of an executor of sandboxes, checked."""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType
from typing import Any, Literal, get_args

from .._sync.client import AGB
from ..session_params import CreateSessionParams

Results = Literal["pickle", "json"]


def check_arguments(
    params: object, max_workers: object, client: object, prepare: object, python: object, results: object
) -> None:
    """Raise `TypeError` or `ValueError` for an argument that cannot be used."""
    if not isinstance(params, CreateSessionParams):
        raise TypeError(f"params is a CreateSessionParams, not {type(params).__name__} ({params!r})")
    if isinstance(max_workers, bool) or not isinstance(max_workers, int):
        raise TypeError(f"max_workers is a number of sessions, not {max_workers!r}")
    if max_workers < 1:
        raise ValueError(f"max_workers is a number of sessions, at least 1, not {max_workers}")
    if client is not None and not isinstance(client, AGB):
        raise TypeError(
            f"client is an AGB, the synchronous one, since it is used by threads; not {type(client).__name__}"
        )
    if prepare is not None and not callable(prepare):
        raise TypeError(f"prepare is a function of a session, not {prepare!r}")
    if python is not None and not (isinstance(python, str) and python.split() == [python]):
        raise ValueError(f"python is the name or the path of an interpreter, without spaces, not {python!r}")
    if results not in get_args(Results):
        raise ValueError(f"results is 'pickle' or 'json', not {results!r}")


def check_modules(by_value: object) -> tuple[ModuleType, ...]:
    """Return the modules; raise `TypeError` unless they are some."""
    modules: tuple[Any, ...] = (
        (by_value,) if isinstance(by_value, str) or not isinstance(by_value, Iterable) else tuple(by_value)
    )
    for module in modules:
        if not isinstance(module, ModuleType):
            raise TypeError(f"by_value is a list of modules, such as [mymodule], not of {type(module).__name__}")
    return modules
