"""A scripted service with a desktop, for what the local runtime does not answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from agb import MouseButton
from tests.servers import Action, Conversation, Scripted, answer, scripted, value


class Desktop:
    """A service whose tools answer one text after the other, the last one again and again.

    An exception in place of a text is a refusal of the tool, an `Action` is done; other paths than those of the API are
    answered by ``files``.
    """

    def __init__(self, **answers: Any) -> None:
        self.answers = {name: [*texts] if isinstance(texts, list) else [texts] for name, texts in answers.items()}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.files: list[Action] = []
        self.endpoint = ""

    def __call__(self, talk: Conversation) -> None:
        if talk.request.method == "GET":
            (self.files.pop(0) if len(self.files) > 1 else self.files[0])(talk)
            return
        body = json.loads(talk.request.body)
        is_link = "tool" in body
        name, args = (body["tool"], body["args"]) if is_link else (body["name"], json.loads(body["args"]))
        self.calls.append((name, args))
        texts = self.answers[name]
        text = texts.pop(0) if len(texts) > 1 else texts[0]
        if callable(text):
            text(talk)
            return
        text = text.replace("ENDPOINT", self.endpoint) if isinstance(text, str) else text
        is_error = isinstance(text, Exception)
        data = {"isError": is_error, "content": [{"type": "text", "text": str(text)}]}
        (answer({"data": {"result": data}}) if is_link else value(data))(talk)

    def names(self) -> list[str]:
        return [name for name, _ in self.calls]


@contextmanager
def serving(desktop: Desktop) -> Iterator[Scripted]:
    with scripted(desktop) as server:
        desktop.endpoint = server.endpoint
        yield server


OLD_NAMES: dict[str, tuple[tuple[Any, ...], str, str, dict[str, Any]]] = {
    "click_mouse": ((1, 2), "mouse.click", "click_mouse", {"x": 1, "y": 2, "button": "left"}),
    "move_mouse": ((1, 2), "mouse.move", "move_mouse", {"x": 1, "y": 2}),
    "drag_mouse": (
        (1, 2, 3, 4, MouseButton.RIGHT),
        "mouse.drag",
        "drag_mouse",
        {"from_x": 1, "from_y": 2, "to_x": 3, "to_y": 4, "button": "right"},
    ),
    "scroll": ((1, 2), "mouse.scroll", "scroll", {"x": 1, "y": 2, "direction": "up", "amount": 1}),
    "get_cursor_position": ((), "mouse.get_position", "get_cursor_position", {}),
    "input_text": (("a",), "keyboard.type", "input_text", {"text": "a"}),
    "press_keys": ((["a"], True), "keyboard.press", "press_keys", {"keys": ["a"], "hold": True}),
    "release_keys": ((["a"],), "keyboard.release", "release_keys", {"keys": ["a"]}),
    "list_root_windows": ((), "window.list_root_windows", "list_root_windows", {"timeout_ms": 3000}),
    "get_active_window": ((), "window.get_active_window", "get_active_window", {}),
    **{
        f"{verb}_window": ((5,), f"window.{verb}", f"{verb}_window", {"window_id": 5})
        for verb in ("activate", "close", "maximize", "minimize", "restore", "fullscreen")
    },
    "resize_window": ((5, 6, 7), "window.resize", "resize_window", {"window_id": 5, "width": 6, "height": 7}),
    "focus_mode": ((True,), "window.focus_mode", "focus_mode", {"on": True}),
    "get_installed_apps": (
        (),
        "app.list_installed",
        "get_installed_apps",
        {"start_menu": True, "desktop": False, "ignore_system_apps": True},
    ),
    "list_visible_apps": ((), "app.get_visible", "list_visible_apps", {}),
    "start_app": (("x",), "app.start", "start_app", {"start_cmd": "x"}),
    "stop_app_by_pname": (("x",), "app.stop_by_pname", "stop_app_by_pname", {"pname": "x"}),
    "stop_app_by_pid": ((5,), "app.stop_by_pid", "stop_app_by_pid", {"pid": 5}),
    "stop_app_by_cmd": (("x",), "app.stop_by_cmd", "stop_app_by_cmd", {"stop_cmd": "x"}),
    "get_screen_size": ((), "screen.get_size", "get_screen_size", {}),
    "screenshot": ((), "screen.capture", "system_screenshot", {}),
}
"""Deprecated method of a desktop -> arguments, the method to use, its tool, what is sent."""

ANSWERS: dict[str, Any] = {
    **dict.fromkeys((tool for _, _, tool, _ in OLD_NAMES.values()), "true"),
    **dict.fromkeys(("list_root_windows", "get_installed_apps", "list_visible_apps", "start_app"), "[]"),
    "get_active_window": "",
    "get_cursor_position": '{"x": 1, "y": 2}',
    "get_screen_size": '{"width": 3, "height": 2, "dpiScalingFactor": 1.0}',
}
"""A valid answer of each tool that these methods use."""
