"""A planner as one with a model would be, but for the model: it looks for words of the instruction in the outline."""

from __future__ import annotations

import re

from agb.local.planner import Action, PageView, Plan

no_planner = "a text"


async def plan(view: PageView) -> Plan | None:
    """Decide by the first word of the instruction."""
    verb, _, rest = view.instruction.partition(" ")
    match verb:
        case "login":
            return _login(view)
        case "press":
            if view.done:
                return Plan(is_done=True, success=view.done[-1].startswith("clicked"), message=" | ".join(view.done))
            return Plan([Action("click", _element(view, rest))])
        case "buttons":
            return Plan([Action("click", found, description=name) for name, found in _buttons(view)])
        case "summary":
            return Plan(answer={"title": view.title, "wanted": sorted((view.schema or {}).get("properties", {}))})
        case "picture":
            return Plan(answer={"begins": repr((view.screenshot or b"")[:4])})
        case "fail":
            raise ValueError("the model is away")
        case "nothing":
            return Plan()
        case "nonsense":
            return Plan([Action("click", "e9999")])
    return None


def _login(view: PageView) -> Plan:
    """Do one thing at a time, as a model does: after each the page is looked at again."""
    match len(view.done):
        case 0:
            assert view.variables == ("password",)
            return Plan([Action("fill", _element(view, "Password"), "%password%")])
        case 1:
            assert "hunter2" not in view.outline
            return Plan([Action("click", _element(view, "Send"))])
        case _:
            return Plan(is_done=True)


def _element(view: PageView, name: str) -> str:
    found = re.search(rf"'{re.escape(name)}'.*\[(e\d+)\]", view.outline)
    return found[1] if found else ""


def _buttons(view: PageView) -> list[tuple[str, str]]:
    return re.findall(r"- button '([^']*)'.* \[(e\d+)\]", view.outline)
