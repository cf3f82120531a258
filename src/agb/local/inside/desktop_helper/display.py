"""The connection to the X server: the screen, properties of windows, and events waited for."""

from __future__ import annotations

import select
import time

from Xlib import X
from Xlib.display import Display
from Xlib.error import CatchError, XError

TYPE_CHECKING = False  # typing is slow to import
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

BACKGROUND = 0x2B3D4F
"""The colour of the empty screen, so that a picture of it is not taken for a failure."""
_POLL_SECONDS = 0.05


class Screen:
    """The screen, and what all requests need of the connection to it."""

    def __init__(self, name: str) -> None:
        self.display: Any = Display(name)  # python-xlib has no types
        self.root: Any = self.display.screen().root
        self.width: int = self.display.screen().width_in_pixels
        self.height: int = self.display.screen().height_in_pixels
        self.on_mapping: Callable[[], None] = lambda: None
        """Called when the meaning of keys has changed."""
        self.root.change_attributes(
            background_pixel=BACKGROUND, event_mask=X.PropertyChangeMask | X.SubstructureNotifyMask
        )
        self.root.clear_area()
        self.display.sync()  # requests wait in a buffer until one is made that has a reply

    def size(self) -> dict[str, float]:
        """Return its size in pixels, and the factor by which applications enlarge what they show."""
        return {"width": self.width, "height": self.height, "dpiScalingFactor": 1.0}

    def atom(self, name: str) -> int:
        """Return the number of a name; python-xlib keeps those asked for before."""
        return int(self.display.get_atom(name))

    def sync(self) -> None:
        """Return when the server has processed all requests; take the events that have arrived."""
        self.display.sync()
        self.take_events()

    def take_events(self) -> None:
        """Take the events that have arrived; of interest is only that the meaning of keys has changed."""
        while self.display.pending_events():
            if self.display.next_event().type == X.MappingNotify:
                self.on_mapping()

    def wait(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Return whether a condition becomes true within a time; it is looked at after each event, and now and then."""
        end = time.monotonic() + seconds
        while not condition():
            left = end - time.monotonic()
            if left <= 0:
                return False
            if not self.display.pending_events():
                # Not all that conditions are about comes with an event of the root window.
                select.select([self.display.fileno()], [], [], min(left, _POLL_SECONDS))
            self.take_events()
        return True

    def numbers(self, window: Any, name: str) -> list[int]:
        """Return the numbers in a property of a window; empty if it has no such property or is gone."""
        try:
            found = window.get_full_property(self.atom(name), X.AnyPropertyType)
        except XError:
            return []
        return [int(value) for value in found.value] if found is not None and found.format == 32 else []

    def send_to_manager(self, window: Any, name: str, *values: int) -> None:
        """Send the window manager a message about a window."""
        from Xlib.protocol.event import ClientMessage

        data = (32, [*values, *[0] * (5 - len(values))])
        message = ClientMessage(window=window, client_type=self.atom(name), data=data)
        errors = CatchError()
        self.root.send_event(message, event_mask=X.SubstructureRedirectMask | X.SubstructureNotifyMask, onerror=errors)
        self.sync()
