"""A fingerprint: what a browser says of itself and its machine, read from the form that it has in the protocol."""

from __future__ import annotations

import base64
import itertools
import re
from collections.abc import Mapping
from typing import Annotated, Any, Self

import msgspec
from attrs import frozen
from msgspec import Meta, Struct

from ..validation import json_object, refuse
from .fields import Header, Language, Line, check_area, described, whole_numbers

MOST_BYTES = 1 << 20
"""The largest fingerprint; those of real browsers have some 20 KB."""

_PRODUCTS = {
    "Edg/": "Microsoft Edge",
    "EdgA/": "Microsoft Edge",
    "OPR/": "Opera",
    "YaBrowser/": "YaBrowser",
    "SamsungBrowser/": "Samsung Internet",
}
"""Marks in user agents of browsers that are made of Chromium -> their brand."""
_Pixels = Annotated[int, Meta(ge=0, le=1 << 14)]


class _Brand(Struct):
    brand: Line = ""
    version: Line = ""


class _UserAgentData(Struct, rename="camel"):
    brands: list[_Brand] = []
    mobile: bool = False
    platform: Line = ""
    architecture: Line = ""
    bitness: Line = ""
    full_version_list: list[_Brand] = []
    model: Line = ""
    platform_version: Line = ""


class _Screen(Struct, rename="camel"):
    width: _Pixels = 0
    height: _Pixels = 0
    avail_width: _Pixels = 0
    avail_height: _Pixels = 0
    avail_top: int = 0
    avail_left: int = 0
    color_depth: Annotated[int, Meta(ge=0, le=48)] = 24
    device_pixel_ratio: Annotated[float, Meta(ge=0, le=8)] = 1.0
    inner_width: _Pixels = 0
    inner_height: _Pixels = 0
    outer_width: _Pixels = 0
    outer_height: _Pixels = 0


class _Extra(Struct, rename="camel"):
    pdf_viewer_enabled: bool | None = None


class _Navigator(Struct, rename="camel"):
    user_agent: Annotated[Header, Meta(min_length=1)]
    user_agent_data: _UserAgentData | None = None
    language: Line | None = None
    languages: list[Language] | None = None
    platform: Line | None = None
    device_memory: Annotated[float, Meta(ge=0, le=1024)] | None = None
    hardware_concurrency: Annotated[int, Meta(ge=0, le=1024)] | None = None
    vendor: Line | None = None
    max_touch_points: Annotated[int, Meta(ge=0, le=16)] | None = None
    extra_properties: _Extra | None = None


class _VideoCard(Struct):
    renderer: Line = ""
    vendor: Line = ""


class _Parts(Struct, rename="camel"):
    screen: _Screen
    navigator: _Navigator
    video_card: _VideoCard | None = None


class _Raw(Struct):
    fingerprint: _Parts
    headers: dict[str, Any] = {}


@frozen(kw_only=True)
class Screen:
    """A screen, in CSS pixels, and the window on it; 0 is a size that is not known."""

    width: int
    height: int
    ratio: float = 1.0
    """Device pixels per CSS pixel."""
    color_depth: int = 24
    insets: tuple[int, int, int, int] = (0, 0, 0, 0)
    """What is not available to windows, at the left, top, right and bottom."""
    inner: tuple[int, int] = (0, 0)
    outer: tuple[int, int] = (0, 0)


@frozen(kw_only=True)
class Fingerprint:
    """What a browser says of itself. None is what it says without a fingerprint, or a size that is not known."""

    user_agent: str
    metadata: Mapping[str, Any] | None
    """``navigator.userAgentData`` and the client hints, in the form of the DevTools; None for browsers without."""
    platform: str | None = None
    vendor: str | None = None
    languages: tuple[str, ...] = ()
    screen: Screen | None = None
    cores: int | None = None
    memory: float | None = None
    """GB; None for browsers that do not say it, unless ``is_complete`` is False."""
    touch_points: int = 0
    graphics: tuple[str, str] | None = None
    """Vendor and renderer as WebGL's debugging extension reports them."""
    is_mobile: bool = False
    has_pdf_viewer: bool = True
    """Whether it has the plugins that show PDF, which are all that browsers still have."""
    is_complete: bool = True
    """Whether it describes the machine as well; else it is made of a user agent alone."""

    @classmethod
    def of_user_agent(cls, user_agent: str) -> Self:
        """Return what follows from a user agent alone: platform, client hints, mobile or not."""
        system, platform = _system(user_agent)
        is_mobile = "Mobile" in user_agent
        chrome = re.search(r"Chrome/([\d.]+)", user_agent)
        product = next((name for mark, name in _PRODUCTS.items() if mark in user_agent), "Google Chrome")
        hints = client_hints(chrome[1], product, system, is_mobile=is_mobile) if chrome else None
        return cls(
            user_agent=user_agent,
            metadata=hints,
            platform=platform or None,
            touch_points=5 if is_mobile else 0,
            is_mobile=is_mobile,
            has_pdf_viewer=not is_mobile,
            is_complete=False,
        )


def decode(text: str, *, what: str) -> dict[str, Any]:
    """Return the fingerprint in a base64 text, in the protocol's form. Raises ``Refused``."""
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        refuse(f"{what} is not base64")
    if len(raw) > MOST_BYTES:
        refuse(f"{what} has {len(raw)} bytes, which is more than {MOST_BYTES}")
    return json_object(raw, what)


def read_fingerprint(raw: Mapping[str, Any], *, what: str) -> Fingerprint:
    """Return the fingerprint of the protocol's form. Raises ``Refused`` that names a part which makes no sense."""
    try:
        found = msgspec.convert(whole_numbers(raw), _Raw)
    except msgspec.ValidationError as error:
        refuse(described(error, what))
    navigator = found.fingerprint.navigator
    hints = _metadata(navigator.user_agent_data, navigator.user_agent)
    is_mobile = bool(hints and hints["mobile"]) or "Mobile" in navigator.user_agent
    extra = navigator.extra_properties
    languages = navigator.languages or ([navigator.language] if navigator.language else [])
    card = found.fingerprint.video_card
    is_known_card = card is not None and card.vendor not in ("", "Unknown") and card.renderer not in ("", "Unknown")
    return Fingerprint(
        user_agent=navigator.user_agent,
        metadata=hints,
        platform=navigator.platform or _system(navigator.user_agent)[1] or None,
        vendor=navigator.vendor or None,
        languages=tuple(languages) or _accepted(found.headers),
        screen=_screen(found.fingerprint.screen, f"{what}.fingerprint.screen"),
        cores=navigator.hardware_concurrency or None,
        memory=navigator.device_memory or None,
        touch_points=navigator.max_touch_points or 0,
        graphics=(card.vendor, card.renderer) if card is not None and is_known_card else None,
        is_mobile=is_mobile,
        has_pdf_viewer=not is_mobile and (extra is None or extra.pdf_viewer_enabled is not False),
    )


def client_hints(version: str, product: str, system: str, *, is_mobile: bool, **more: str) -> dict[str, Any]:
    """Return the client hints of a browser in the form of the DevTools; ``more`` replaces some of them."""
    found = brands(version, product)
    return {
        "brands": [{"brand": name, "version": full.partition(".")[0]} for name, full in found],
        "fullVersionList": [{"brand": name, "version": full} for name, full in found],
        "platform": system,
        "platformVersion": "",
        "architecture": "" if is_mobile else "x86",
        "bitness": "" if is_mobile else "64",
        "model": "",
        "mobile": is_mobile,
        **_unsaid(is_mobile=is_mobile),
        **more,
    }


def brands(version: str, product: str) -> list[tuple[str, str]]:
    """Return the brands of a Chromium with their versions, in its order; ``product`` is empty for Chromium itself.

    Chromium adds an invented brand, so that servers do not rely on the list. Its name, its version and the order
    follow from the major version.
    """
    seed = int(version.partition(".")[0] or 0)
    marks, versions = " (:-./);=?_", ("8", "99", "24")
    invented = f"Not{marks[seed % len(marks)]}A{marks[(seed + 1) % len(marks)]}Brand"
    found = [(invented, f"{versions[seed % 3]}.0.0.0"), ("Chromium", version)]
    if product:
        found.append((product, version))
    orders = list(itertools.permutations(range(len(found))))
    places = orders[seed % len(orders)]
    return [found[places.index(place)] for place in range(len(found))]


def _metadata(data: _UserAgentData | None, user_agent: str) -> dict[str, Any] | None:
    if data is None or not data.brands:
        return None
    full = data.full_version_list or data.brands
    return {
        "brands": [msgspec.to_builtins(brand) for brand in data.brands],
        "fullVersionList": [msgspec.to_builtins(brand) for brand in full],
        "platform": data.platform or _system(user_agent)[0],
        "platformVersion": data.platform_version,
        "architecture": data.architecture,
        "bitness": data.bitness,
        "model": data.model,
        "mobile": data.mobile,
        **_unsaid(is_mobile=data.mobile),
    }


def _unsaid(*, is_mobile: bool) -> dict[str, Any]:
    """Return the client hints that the protocol's form does not have."""
    return {"wow64": False, "formFactors": ["Mobile" if is_mobile else "Desktop"]}


def _screen(raw: _Screen, what: str) -> Screen | None:
    if not raw.width or not raw.height:
        return None
    check_area(raw.width * (raw.device_pixel_ratio or 1), raw.height * (raw.device_pixel_ratio or 1), what)
    left, top = max(raw.avail_left, 0), max(raw.avail_top, 0)
    right = raw.width - left - (raw.avail_width or raw.width)
    bottom = raw.height - top - (raw.avail_height or raw.height)
    return Screen(
        width=raw.width,
        height=raw.height,
        ratio=raw.device_pixel_ratio or 1.0,
        color_depth=raw.color_depth or 24,
        insets=(left, top, max(right, 0), max(bottom, 0)),
        inner=(raw.inner_width, raw.inner_height) if raw.inner_width and raw.inner_height else (0, 0),
        outer=(raw.outer_width, raw.outer_height) if raw.outer_width and raw.outer_height else (0, 0),
    )


def _accepted(headers: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the languages of the header ``accept-language``, without their weights."""
    text = headers.get("accept-language")
    if not isinstance(text, str):
        return ()
    names = (part.partition(";")[0].strip() for part in text.split(","))
    return tuple(name for name in names if re.fullmatch(r"[A-Za-z0-9-]{1,35}", name))


def _system(user_agent: str) -> tuple[str, str]:
    """Return the system of a user agent as client hints name it, and as ``navigator.platform`` does."""
    for mark, system, platform in (
        ("Android", "Android", "Linux armv81"),
        ("iPhone", "iOS", "iPhone"),
        ("iPad", "iOS", "iPad"),
        ("Windows", "Windows", "Win32"),
        ("Macintosh", "macOS", "MacIntel"),
        ("CrOS", "Chrome OS", "Linux x86_64"),
        ("Linux", "Linux", "Linux x86_64"),
    ):
        if mark in user_agent:
            return system, platform
    return "", ""
