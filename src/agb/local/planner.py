"""Planners: how a model, or any other program, decides what a browser agent does on a page.

A planner is an asynchronous function. It is called with the page as it is, and returns the next actions or the answer::

    async def plan(view: PageView) -> Plan | None:
        if view.task == "extract":
            return Plan(answer={"title": view.title})
        return None  # the runtime's own engine decides

``agb serve --planner module:function`` and ``agb.local.serve(planner=function)`` use it.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, cast

from attrs import field, frozen

from .errors import CannotStart

Task = Literal["act", "observe", "extract"]


@frozen
class PageView:
    """A page, and what is to be done on it.

    Attributes:
        task: ``"act"``, ``"observe"`` or ``"extract"``.
        instruction: what the caller wrote. Variables stand in it as ``%name%``.
        url, title: of the page.
        outline: the accessibility tree as text, a line for each element: ``- button 'Sign in' [e7]``. ``e7`` is the
            reference by which an `Action` names the element.
        schema: the JSON Schema of the answer, for ``"extract"``.
        variables: the names of the variables; their values are put in when an action is done, and shown to no planner.
        done: what was done so far, a sentence for each action; one that failed says why.
        screenshot: the visible part of the page as PNG, if the caller asked for vision.
    """

    task: Task
    instruction: str
    url: str
    title: str
    outline: str
    schema: Mapping[str, Any] | None = None
    variables: tuple[str, ...] = ()
    done: tuple[str, ...] = ()
    screenshot: bytes | None = field(default=None, repr=False)


@frozen
class Action:
    """An action on an element, or on the page.

    Attributes:
        method: ``click``, ``double_click``, ``right_click``, ``hover``, ``focus``, ``fill``, ``type``, ``clear``,
            ``select``, ``check``, ``uncheck``, ``press``, ``scroll_to``; without an element also ``navigate``,
            ``back``, ``forward``, ``reload``, ``scroll``, ``wait_load``, ``submit``.
        element: the reference of the element in the outline, ``""`` for an action on the page.
        value: the text, option, key, URL or direction.
        description: what the element is, for the results of ``"observe"``.
    """

    method: str
    element: str = ""
    value: str = ""
    description: str = ""


@frozen
class Plan:
    """What a planner decides.

    Attributes:
        actions: what is done next; for ``"observe"`` the elements that were asked for, with what can be done.
        is_done: whether nothing is left to do after these actions; else the planner is called again, with the page as
            it is then.
        success: whether the instruction was carried out, when it is done.
        message: the reason if it was not.
        answer: the extracted value, for ``"extract"``.
    """

    actions: Sequence[Action] = ()
    is_done: bool = False
    success: bool = True
    message: str = ""
    answer: Any = None


class Planner(Protocol):
    """Decides what is done on a page."""

    async def __call__(self, view: PageView, /) -> Plan | None:
        """Return what is done next, or None to leave this instruction to the runtime's own engine."""
        ...


def load(name: str, path: Sequence[str] = ()) -> Planner:
    """Return the planner ``module:function``; ``path`` is searched for the module besides ``sys.path``.

    A class is called without arguments, and the object is the planner. Raises `CannotStart`.
    """
    module_name, colon, attribute = name.partition(":")
    if not (module_name and colon and attribute):
        raise CannotStart(f"planner must be 'module:function', not {name!r}")
    # At the end: a program beside the planner does not replace a module of the runtime.
    sys.path.extend(one for one in path if one not in sys.path)
    try:
        found: Any = importlib.import_module(module_name)
        for part in attribute.split("."):
            found = getattr(found, part)
        planner = found() if inspect.isclass(found) else found
    except Exception as error:
        raise CannotStart(f"the planner {name!r} cannot be loaded: {type(error).__name__}: {error}") from error
    if not inspect.iscoroutinefunction(planner) and not inspect.iscoroutinefunction(getattr(planner, "__call__", None)):  # noqa: B004
        raise CannotStart(f"the planner {name!r} must be an asynchronous function, and {planner!r} is none")
    return cast("Planner", planner)
