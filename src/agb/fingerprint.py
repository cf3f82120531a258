"""The fingerprint of a browser: what pages can find out about it, and the headers that it sends.

A fingerprint is read from a browser (`BrowserFingerprintGenerator`), kept as JSON, and imitated by the browser of a
session (``BrowserOption(fingerprint_format=...)``). The names are those of the browser's own properties. Generators
store values of several types in some fields, so nothing but the names of the screen's properties is checked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Self, TypeVar

from attrs import asdict, define, fields

T = TypeVar("T")


@define
class ScreenFingerprint:
    """The screen and the window, in pixels."""

    availHeight: int
    availWidth: int
    availTop: int
    availLeft: int
    colorDepth: int
    height: int
    pixelDepth: int
    width: int
    devicePixelRatio: float
    pageXOffset: int
    pageYOffset: int
    innerHeight: int
    outerHeight: int
    outerWidth: int
    innerWidth: int
    screenX: int
    clientWidth: int
    clientHeight: int
    hasHDR: bool


@define
class Brand:
    """A brand in the user agent's client hints."""

    brand: str
    version: str


@define
class UserAgentData:
    """The user agent's client hints (``navigator.userAgentData``)."""

    brands: list[Brand]
    mobile: bool
    platform: str
    architecture: str
    bitness: str
    fullVersionList: list[Brand]
    model: str
    platformVersion: str
    uaFullVersion: str


@define
class ExtraProperties:
    """Properties of the navigator that few browsers have."""

    vendorFlavors: list[str]
    isBluetoothSupported: bool
    globalPrivacyControl: Any | None
    pdfViewerEnabled: bool
    installedApps: list[Any]


@define
class NavigatorFingerprint:
    """The properties of ``navigator``."""

    userAgent: str
    userAgentData: UserAgentData
    doNotTrack: str | None
    appCodeName: str
    appName: str
    appVersion: str
    oscpu: str | None
    webdriver: str | bool
    language: str
    languages: list[str]
    platform: str
    deviceMemory: int | None
    hardwareConcurrency: int
    product: str
    productSub: str
    vendor: str
    vendorSub: str
    maxTouchPoints: int | None
    extraProperties: ExtraProperties


@define
class VideoCard:
    """The graphics card, as WebGL names it."""

    renderer: str
    vendor: str


@define
class Fingerprint:
    """What pages can find out about a browser."""

    screen: ScreenFingerprint
    navigator: NavigatorFingerprint
    videoCodecs: dict[str, str]
    audioCodecs: dict[str, str]
    pluginsData: dict[str, Any]
    battery: dict[str, Any] | None
    videoCard: VideoCard
    multimediaDevices: list[Any] | dict[str, Any]
    fonts: list[str]
    mockWebRTC: bool
    slim: bool | None


@define
class FingerprintFormat:
    """A fingerprint, and the headers that the browser sends with a page's first request; names are lower case."""

    fingerprint: Fingerprint
    headers: dict[str, str]

    @classmethod
    def load(cls, data: Mapping[str, Any] | str) -> Self:
        """Return the fingerprint in a JSON text, or in the object that such a text contains.

        Raises:
            ValueError: it is no JSON, or an object is something else, or ``screen`` does not have exactly its
                properties. Everything else may be missing.
        """
        if isinstance(data, str):
            return cls.from_json(data)
        if not isinstance(data, Mapping):
            raise ValueError(f"Invalid data type: expected dict or str, got {type(data)}")
        return cls.from_map(data)

    @classmethod
    def create(
        cls,
        screen: ScreenFingerprint,
        navigator: NavigatorFingerprint,
        video_card: VideoCard,
        headers: dict[str, str],
        video_codecs: dict[str, str] | None = None,
        audio_codecs: dict[str, str] | None = None,
        plugins_data: dict[str, Any] | None = None,
        battery: dict[str, Any] | None = None,
        multimedia_devices: list[Any] | dict[str, Any] | None = None,
        fonts: list[str] | None = None,
        mock_webrtc: bool = False,
        slim: bool | None = None,
    ) -> Self:
        """Return a fingerprint of these parts; those that are not given are empty."""
        found = Fingerprint(
            screen=screen,
            navigator=navigator,
            videoCodecs=video_codecs or {},
            audioCodecs=audio_codecs or {},
            pluginsData=plugins_data or {},
            battery=battery,
            videoCard=video_card,
            multimediaDevices=multimedia_devices or [],
            fonts=fonts or [],
            mockWebRTC=mock_webrtc,
            slim=slim,
        )
        return cls(found, headers)

    def to_map(self) -> dict[str, Any]:
        """Return the object that the JSON text contains."""
        return asdict(self)

    def to_json(self, indent: int | None = 2) -> str:
        """Return the JSON text; with ``indent=None`` without spaces and line breaks."""
        return json.dumps(self.to_map(), indent=indent, ensure_ascii=False, separators=None if indent else (",", ":"))

    @classmethod
    def from_map(cls, m: Mapping[str, Any]) -> Self:
        """Return the fingerprint in the object that a JSON text contains.

        Raises:
            ValueError: as for `load`.
        """
        found = _object(m, "fingerprint")
        if not found:
            raise ValueError("Invalid data: expected a dictionary")
        fingerprint = Fingerprint(
            screen=_screen(_object(found, "screen")),
            navigator=_navigator(_object(found, "navigator")),
            videoCodecs=found.get("videoCodecs", {}),
            audioCodecs=found.get("audioCodecs", {}),
            pluginsData=found.get("pluginsData", {}),
            battery=found.get("battery"),
            videoCard=_made(VideoCard, _object(found, "videoCard"), renderer="Unknown", vendor="Unknown"),
            multimediaDevices=found.get("multimediaDevices", []),
            fonts=found.get("fonts", []),
            mockWebRTC=found.get("mockWebRTC", False),
            slim=found.get("slim"),
        )
        return cls(fingerprint, dict(_object(m, "headers")))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the fingerprint in a JSON text.

        Raises:
            ValueError: as for `load`.
        """
        data = json.loads(text)
        if not isinstance(data, dict):
            raise ValueError("Invalid data: expected a dictionary")
        return cls.from_map(data)


def _object(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the object of that name, an empty one if it is missing or null."""
    value = data.get(name)
    if value is not None and not isinstance(value, Mapping):
        raise ValueError(f"Invalid data: {name} must be an object, not {type(value).__name__}")
    return value or {}


def _made(cls: type[T], data: Mapping[str, Any], **defaults: Any) -> T:
    """Return an object of the values that ``data`` has for it, and of the defaults for the others."""
    return cls(**{name: data.get(name, default) for name, default in defaults.items()})


def _screen(data: Mapping[str, Any]) -> ScreenFingerprint:
    names = {field.name for field in fields(ScreenFingerprint)}
    for what, wrong in (("no", names - data.keys()), ("an unknown", data.keys() - names)):
        if wrong:
            raise ValueError(f"Failed to create ScreenFingerprint: it has {what} {', '.join(sorted(map(str, wrong)))}")
    return ScreenFingerprint(**data)


def _brands(data: Mapping[str, Any], name: str) -> list[Brand]:
    found = data.get(name)
    items = found if isinstance(found, Sequence) and not isinstance(found, str) else ()
    return [_made(Brand, item, brand="", version="") for item in items if isinstance(item, Mapping)]


_TEXTS = (
    *("userAgent", "doNotTrack", "appCodeName", "appName", "appVersion", "oscpu", "webdriver", "language"),
    *("platform", "product", "productSub", "vendor", "vendorSub"),
)


def _navigator(data: Mapping[str, Any]) -> NavigatorFingerprint:
    hints = _object(data, "userAgentData")
    brands = {name: _brands(hints, name) for name in ("brands", "fullVersionList")}
    texts = dict.fromkeys(("platform", "architecture", "bitness", "model", "platformVersion", "uaFullVersion"), "")
    more = {"vendorFlavors": [], "isBluetoothSupported": False, "globalPrivacyControl": None, "installedApps": []}
    extra = _made(ExtraProperties, _object(data, "extraProperties"), pdfViewerEnabled=True, **more)
    return _made(
        NavigatorFingerprint,
        {
            **data,
            "userAgentData": _made(UserAgentData, {**hints, **brands}, **brands, mobile=False, **texts),
            "extraProperties": extra,
        },
        **dict.fromkeys(_TEXTS, ""),
        userAgentData=None,
        languages=[],
        deviceMemory=None,
        hardwareConcurrency=8,
        maxTouchPoints=None,
        extraProperties=None,
    )
