"""The screen and the window of a browser: the switches that make them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from attrs import evolve, frozen

from .fingerprint import Fingerprint, Screen

if TYPE_CHECKING:
    from .process import Browser

_SCREEN = Screen(width=1920, height=1080)
_PHONE = Screen(width=412, height=915, ratio=2.625, inner=(412, 785))
_TOOLBARS = 87
"""Height of the tab strip and the address bar; a window is as much higher than its pages."""


@frozen
class Window:
    """The screen of a browser, and the size of its pages if it was asked for; else windows fill the screen."""

    screen: Screen
    viewport: tuple[int, int] | None = None

    @classmethod
    def wanted(
        cls, screen: tuple[int, int] | None, viewport: tuple[int, int] | None, fingerprint: Fingerprint | None
    ) -> Self:
        """Return what the options ask for; an explicit size wins over the one of a fingerprint."""
        is_phone = fingerprint is not None and fingerprint.is_mobile
        found = (fingerprint and fingerprint.screen) or (_PHONE if is_phone else _SCREEN)
        if screen is not None:
            size = {"width": screen[0], "height": screen[1]}
            return cls(evolve(found, **size, insets=(0, 0, 0, 0), inner=(0, 0), outer=(0, 0)), viewport)
        if viewport is not None:
            width, height = max(found.width, viewport[0]), max(found.height, viewport[1] + _TOOLBARS)
            found = evolve(found, width=width, height=height)
        return cls(found, viewport)

    def switches(self) -> list[str]:
        """Return the switches of the screen and of the first window."""
        screen = self.screen
        # Chromium takes device pixels for the screen, and CSS pixels for windows.
        width, height = round(screen.width * screen.ratio), round(screen.height * screen.ratio)
        parts = [f"{width}x{height}", f"devicePixelRatio={screen.ratio:g}", f"colorDepth={screen.color_depth}"]
        for side, inset in zip(("Left", "Top", "Right", "Bottom"), screen.insets, strict=True):
            parts += [f"workArea{side}={round(inset * screen.ratio)}"] if inset else []
        left, top, right, bottom = screen.insets
        size = screen.outer if all(screen.outer) else (screen.width - left - right, screen.height - top - bottom)
        if self.viewport is not None:
            size = (self.viewport[0], self.viewport[1] + _TOOLBARS)
        return [
            f"--screen-info={{{' '.join(parts)}}}",
            f"--window-size={size[0]},{size[1]}",
            f"--window-position={left},{top}",
            # Bars about switches would take height from the first page only.
            "--disable-infobars",
        ]

    async def apply(self, browser: Browser) -> None:
        """Give the pages of the first window the size asked for: the height of its bars depends on the Chromium."""
        if self.viewport is None:
            return
        found = await browser.cdp.call("Browser.getWindowForTarget", {"targetId": browser.first_page})
        width, height = self.viewport
        await browser.cdp.call(
            "Browser.setContentsSize", {"windowId": found["windowId"], "width": width, "height": height}
        )
