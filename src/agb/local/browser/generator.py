"""Generating fingerprints from criteria.

A page can test the version of a browser by its features, so a fingerprint has the version of the Chromium that runs;
collections of real fingerprints (browserforge, for one) have those of the month in which they were made. A small table
of machines whose parts fit together passes more tests than a large one with another version.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from attrs import frozen

from .fingerprint import client_hints
from .machines import MACHINES, Machine

_TOOLBARS = 87
"""Height of the tab strip and the address bar of a desktop Chrome."""
_PHONE_SYSTEMS = ("android", "ios")


class NoSuchMachine(Exception):
    """No machine meets the criteria; the message is the reason."""


@frozen
class Criteria:
    """What a fingerprint shall have. Without criteria it is that of a desktop with Windows, or a phone with Android."""

    devices: Sequence[str] = ()
    operating_systems: Sequence[str] = ()
    locales: Sequence[str] = ()


def generate(criteria: Criteria, version: str, choice: random.Random) -> dict[str, Any]:
    """Return a fingerprint in the protocol's form for a Chromium of a version, such as ``156.0.8078.114``.

    The same choices result in the same fingerprint. Raises ``NoSuchMachine``.
    """
    devices = criteria.devices or (("desktop", "mobile") if criteria.operating_systems else ("desktop",))
    systems = criteria.operating_systems or ("windows", "android")
    pairs = [pair for pair in MACHINES if pair[0] in devices and pair[1] in systems]
    if not pairs:
        raise NoSuchMachine(f"there is no {' or '.join(devices)} device with {' or '.join(systems)}")
    device, system = choice.choice(pairs)
    machine = choice.choice(MACHINES[device, system])
    languages = _languages(criteria.locales)
    navigator = _navigator(system, machine, version, languages)
    headers = {"user-agent": navigator["userAgent"], "accept-language": _accept_language(languages)}
    return {
        "fingerprint": {
            "screen": _screen(machine, is_phone=device == "mobile"),
            "navigator": navigator,
            "videoCodecs": {},
            "audioCodecs": {},
            "pluginsData": {},
            "battery": None,
            "videoCard": {"vendor": machine.graphics[0], "renderer": machine.graphics[1]},
            "multimediaDevices": [],
            "fonts": [],
            "mockWebRTC": False,
            "slim": None,
        },
        "headers": headers,
    }


def _navigator(system: str, machine: Machine, version: str, languages: list[str]) -> dict[str, Any]:
    major = version.partition(".")[0]
    is_phone = system in _PHONE_SYSTEMS
    mozilla, platform, name = _SYSTEMS[system]
    if system == "ios":
        # Chrome on iOS is Apple's engine, so it has neither client hints nor the properties that only Chromium has.
        tail = f"AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/{version} Mobile/15E148 Safari/604.1"
        hints = None
    else:
        tail = (
            f"AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{major}.0.0.0 {'Mobile ' if is_phone else ''}Safari/537.36"
        )
        more = {"architecture": "arm"} if system == "macos" else {}
        more |= {"platformVersion": machine.version, "model": machine.model}
        hints = client_hints(version, "Google Chrome", name, is_mobile=is_phone, **more)
        hints["uaFullVersion"] = version
        del hints["wow64"], hints["formFactors"]
    user_agent = f"Mozilla/5.0 ({mozilla.format(version=machine.version)}) {tail}"
    return {
        "userAgent": user_agent,
        "userAgentData": hints,
        "doNotTrack": None,
        "appCodeName": "Mozilla",
        "appName": "Netscape",
        "appVersion": user_agent.removeprefix("Mozilla/"),
        "oscpu": None,
        "webdriver": False,
        "language": languages[0],
        "languages": languages,
        "platform": platform,
        "deviceMemory": machine.memory if hints else None,
        "hardwareConcurrency": machine.cores,
        "product": "Gecko",
        "productSub": "20030107",
        "vendor": "Google Inc." if hints else "Apple Computer, Inc.",
        "vendorSub": "",
        "maxTouchPoints": 5 if is_phone else 0,
        "extraProperties": {
            "vendorFlavors": ["chrome"] if hints else ["safari"],
            "isBluetoothSupported": False,
            "globalPrivacyControl": None,
            "pdfViewerEnabled": not is_phone,
            "installedApps": [],
        },
    }


_SYSTEMS = {
    "windows": ("Windows NT 10.0; Win64; x64", "Win32", "Windows"),
    "macos": ("Macintosh; Intel Mac OS X 10_15_7", "MacIntel", "macOS"),
    "linux": ("X11; Linux x86_64", "Linux x86_64", "Linux"),
    # Chrome says the same of every Android device; the real one is among the client hints.
    "android": ("Linux; Android 10; K", "Linux armv81", "Android"),
    "ios": ("iPhone; CPU iPhone OS {version} like Mac OS X", "iPhone", "iOS"),
}
"""Operating system -> its part of the user agent, ``navigator.platform``, and its name in client hints."""


def _screen(machine: Machine, *, is_phone: bool) -> dict[str, Any]:
    width, height = machine.screen
    left, top, right, bottom = machine.insets
    available = (width - left - right, height - top - bottom)
    inner = (width, machine.page_height) if is_phone else (available[0], available[1] - _TOOLBARS)
    return {
        "availHeight": available[1],
        "availWidth": available[0],
        "availTop": top,
        "availLeft": left,
        "colorDepth": machine.color_depth,
        "height": height,
        "pixelDepth": machine.color_depth,
        "width": width,
        "devicePixelRatio": machine.ratio,
        "pageXOffset": 0,
        "pageYOffset": 0,
        "innerHeight": inner[1],
        "outerHeight": inner[1] if is_phone else available[1],
        "outerWidth": inner[0] if is_phone else available[0],
        "innerWidth": inner[0],
        "screenX": left,
        "clientWidth": inner[0],
        "clientHeight": inner[1],
        "hasHDR": False,
    }


def _languages(locales: Sequence[str]) -> list[str]:
    """Return the languages of a browser set up for some locales, as Chrome lists them: each followed by its base."""
    found: list[str] = []
    for locale in locales or ("en-US",):
        found += [locale, locale.partition("-")[0]]
    return list(dict.fromkeys(found))


def _accept_language(languages: Sequence[str]) -> str:
    weighted = [f"{name};q={max(1 - place / 10, 0.1):.1f}" for place, name in enumerate(languages)]
    return ",".join([languages[0], *weighted[1:]])
