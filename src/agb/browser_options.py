"""How a session's browser is started: its options, and their JSON form (API: POST /browser/init, ``browserOption``)."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any, Literal, Self, TypeVar

from attrs import Attribute, define, field, fields_dict
from attrs.validators import instance_of, optional

from ._wire.secrets import MASK, masked
from .config import BROWSER_FINGERPRINT_PERSIST_PATH
from .fingerprint import FingerprintFormat

ProxyType = Literal["custom", "built-in", "managed"]
ProxyStrategy = Literal["restricted", "polling", "sticky", "rotating", "matched"]
Device = Literal["desktop", "mobile"]
OperatingSystem = Literal["windows", "macos", "linux", "android", "ios"]
BrowserType = Literal["chrome", "chromium"]

EXTENSIONS_PATH = "/tmp/extensions/"  # a path inside a session
"""Where a session's browser looks for unpacked extensions."""
FINGERPRINT_FILE = f"{BROWSER_FINGERPRINT_PERSIST_PATH}/fingerprint.json"  # inside a session, so never a backslash
"""Where a session keeps a fingerprint that is to be used again."""

_DEVICES = ("desktop", "mobile")
_SYSTEMS = ("windows", "macos", "linux", "android", "ios")
_BROWSERS = ("chrome", "chromium")
_STRATEGIES = {"built-in": ("restricted", "polling"), "managed": ("polling", "sticky", "rotating", "matched")}

T = TypeVar("T")


def _pixels(_: object, attribute: Attribute[Any], value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{attribute.name} must be a whole number of pixels, not {value!r}")
    if value <= 0:
        raise ValueError(f"{attribute.name} must be a number of pixels greater than 0, not {value}")


@define
class _Size:
    """A width and a height in pixels."""

    width: int = field(default=1920, validator=_pixels)
    height: int = field(default=1080, validator=_pixels)

    def to_map(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"width": self.width, "height": self.height}

    @classmethod
    def from_map(cls, m: Mapping[Any, Any] | None = None) -> Self:
        """Return the size in a JSON form; a value that is missing or no whole number is the default."""
        given = {name: _typed(m, name, int) for name in ("width", "height")}
        return cls(**{name: value for name, value in given.items() if value is not None})


@define
class BrowserViewport(_Size):
    """The size of a page inside the browser's window, in pixels.

    Raises:
        TypeError, ValueError: a size is no whole number, or not greater than 0.

    Example:
        >>> from agb import BrowserViewport
        >>> BrowserViewport(1280, 720).to_map()
        {'width': 1280, 'height': 720}
    """


@define
class BrowserScreen(_Size):
    """The size of the screen that pages see, in pixels; at least as large as the viewport.

    Raises:
        TypeError, ValueError: a size is no whole number, or not greater than 0.
    """


@define
class BrowserProxy:
    """The proxy that the browser sends its requests through.

    Args:
        proxy_type: ``"custom"``: your own, at ``server``; ``"built-in"`` and ``"managed"``: those of the service, which
            the local runtime does not have.
        server: host and port, or a URL such as ``"socks5://10.0.0.1:1080"``.
        username: for a custom proxy.
        password: for a custom proxy.
        strategy: ``"restricted"`` or ``"polling"`` for a built-in proxy; ``"polling"``, ``"sticky"``, ``"rotating"`` or
            ``"matched"`` for managed ones.
        pollsize: how many addresses a built-in proxy takes in turn.
        user_id: whose managed proxies.
        isp: what a managed proxy has to match.
        country: what a managed proxy has to match.
        province: what a managed proxy has to match.
        city: what a managed proxy has to match.

    Raises:
        ValueError: these values do not go together.

    Example:
        >>> from agb import BrowserProxy
        >>> BrowserProxy("custom", "10.0.0.1:8080", username="me", password="secret")
        BrowserProxy(proxy_type='custom', server='10.0.0.1:8080', username='me', password=****)
    """

    proxy_type: ProxyType
    server: str | None = None
    username: str | None = None
    password: str | None = None
    strategy: ProxyStrategy | None = None
    pollsize: int = 10
    user_id: str | None = None
    isp: str | None = None
    country: str | None = None
    province: str | None = None
    city: str | None = None

    def __attrs_post_init__(self) -> None:
        if self.proxy_type not in ("custom", *_STRATEGIES):
            raise ValueError("proxy_type must be custom, built-in, or managed")
        if self.proxy_type == "custom":
            if not self.server:
                raise ValueError("server is required for custom proxy type")
            return
        if not self.strategy:
            raise ValueError(f"strategy is required for {self.proxy_type} proxy type")
        if self.strategy not in _STRATEGIES[self.proxy_type]:
            allowed = (
                "restricted or polling" if self.proxy_type == "built-in" else "polling, sticky, rotating, or matched"
            )
            raise ValueError(f"strategy must be {allowed} for {self.proxy_type} proxy type")
        if self.proxy_type == "managed" and not self.user_id:
            raise ValueError("user_id is required for managed proxy type")
        if self.proxy_type == "built-in" and self.strategy == "polling" and self.pollsize <= 0:
            raise ValueError("pollsize must be greater than 0 for polling strategy")

    def __repr__(self) -> str:
        values = {name: getattr(self, name) for name in fields_dict(type(self))}
        given = {name: value for name, value in values.items() if value is not None and name != "pollsize"}
        if self.strategy == "polling" and self.proxy_type == "built-in":
            given["pollsize"] = self.pollsize
        parts = [f"{name}={MASK if name == 'password' else repr(masked(value))}" for name, value in given.items()]
        return f"{type(self).__name__}({', '.join(parts)})"

    def to_map(self) -> dict[str, Any]:
        """Return the JSON form."""
        if self.proxy_type == "custom":
            more = {"username": self.username, "password": self.password}
            return {"type": "custom", "server": self.server} | _filled(more)
        found: dict[str, Any] = {"type": self.proxy_type, "strategy": self.strategy}
        if self.proxy_type == "built-in":
            return found | ({"pollsize": self.pollsize} if self.strategy == "polling" else {})
        places = {name: getattr(self, name) for name in ("isp", "country", "province", "city")}
        return found | {"userId": self.user_id} | _filled(places)

    @classmethod
    def from_map(cls, m: Mapping[Any, Any] | None = None) -> Self | None:
        """Return the proxy in a JSON form; None if that is empty.

        Raises:
            ValueError: the type is missing or unknown, or the values do not go together.
        """
        if not m:
            return None
        if not (kind := m.get("type")):
            raise ValueError("type is required in proxy configuration")
        if kind not in ("custom", *_STRATEGIES):
            raise ValueError(f"Unsupported proxy type: {kind}")
        names = ("server", "username", "password", "strategy", "isp", "country", "province", "city")
        user = m.get("userId") or m.get("user_id")
        return cls(kind, pollsize=m.get("pollsize", 10), user_id=user, **{name: m.get(name) for name in names})


def _members(_: object, attribute: Attribute[Any], value: object) -> None:
    if value is None:
        return
    if not isinstance(value, list):
        raise ValueError(f"{attribute.name} must be a list")
    if attribute.name == "devices" and not all(item in _DEVICES for item in value):
        raise ValueError("device must be desktop or mobile")
    if attribute.name == "operating_systems" and not all(item in _SYSTEMS for item in value):
        raise ValueError("operating_system must be windows, macos, linux, android or ios")


@define
class BrowserFingerprint:
    """What a generated fingerprint has to be like; it needs ``use_stealth=True`` in the option.

    Args:
        devices: ``"desktop"``, ``"mobile"``.
        operating_systems: ``"windows"``, ``"macos"``, ``"linux"``, ``"android"``, ``"ios"``.
        locales: such as ``"en-US"``.

    Raises:
        ValueError: a value is no list, or has an unknown member.

    Example:
        >>> from agb import BrowserFingerprint
        >>> BrowserFingerprint(["desktop"], ["linux"], ["en-US"]).to_map()
        {'devices': ['desktop'], 'operatingSystems': ['linux'], 'locales': ['en-US']}
    """

    devices: list[Device] | None = field(default=None, validator=_members)
    operating_systems: list[OperatingSystem] | None = field(default=None, validator=_members)
    locales: list[str] | None = field(default=None, validator=_members)

    def to_map(self) -> dict[str, Any]:
        """Return the JSON form."""
        found = {"devices": self.devices, "operatingSystems": self.operating_systems, "locales": self.locales}
        return {name: list(value) for name, value in found.items() if value is not None}

    @classmethod
    def from_map(cls, m: Mapping[Any, Any] | None = None) -> Self:
        """Return the criteria in a JSON form; a value that is no list is left out.

        Raises:
            ValueError: a list has an unknown member.
        """
        return cls(*(_typed(m, name, list) for name in ("devices", "operatingSystems", "locales")))


def _proxies(_: object, __: Attribute[Any], value: object) -> None:
    if value is None:
        return
    if not isinstance(value, list):
        raise ValueError("proxies must be a list")
    if len(value) > 1:
        raise ValueError("proxies list length must be limited to 1")
    if not all(isinstance(item, BrowserProxy) for item in value):
        raise TypeError(f"proxies must be a list of BrowserProxy, not of {type(value[0]).__name__}")


def _extension_path(_: object, __: Attribute[Any], value: object) -> None:
    if value is None:
        return
    if not isinstance(value, str):
        raise ValueError("extension_path must be a string")
    if not value.strip():
        raise ValueError("extension_path cannot be empty")


def _cmd_args(_: object, __: Attribute[Any], value: object) -> None:
    if value is None:
        return
    if not isinstance(value, list):
        raise ValueError("cmd_args must be a list")
    if not all(isinstance(item, str) for item in value):
        raise TypeError("cmd_args must be a list of strings")


def _browser_type(_: object, __: Attribute[Any], value: object) -> None:
    if value is not None and value not in _BROWSERS:
        raise ValueError("browser_type must be 'chrome' or 'chromium'")


def _flag(_: object, attribute: Attribute[Any], value: object) -> None:
    if value is not None and not isinstance(value, bool):
        raise TypeError(f"{attribute.name} must be True or False, not {value!r}")


def _text(_: object, attribute: Attribute[Any], value: object) -> None:
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{attribute.name} must be a string, not {value!r}")


@define
class BrowserOption:
    """How a session's browser is started.

    Only the browser's default context (``browser.contexts[0]`` in Playwright) has these properties; a context that a
    program makes has its own.

    Args:
        use_stealth: hide that the browser is driven by a program.
        user_agent: the ``User-Agent``; it takes precedence over ``fingerprint``.
        viewport: the size of pages.
        screen: the size of the screen that pages see.
        fingerprint: what a generated fingerprint is to be like; needs ``use_stealth``.
        fingerprint_format: a fingerprint that is used as it is; it takes precedence over ``fingerprint``.
        fingerprint_persistent: keep the fingerprint in the session, where a
            `BrowserContext` with a fingerprint context stores it, and use it again.
        solve_captchas: let the service solve captchas; the local runtime does not.
        proxies: at most one proxy.
        extension_path: the directory in the session with unpacked extensions; None for no extensions.
        cmd_args: command-line switches of the browser.
        default_navigate_url: the first page, best an internal one such as ``"chrome://version/"``: a slow page delays
            the start.
        browser_type: ``"chrome"`` or ``"chromium"``, where an image has both.
        fingerprint_persist_path: the file of a persistent fingerprint in the session, if it is not the usual one.

    Raises:
        ValueError, TypeError: a value is invalid.

    Example:
        >>> from agb import BrowserOption, BrowserViewport
        >>> BrowserOption(viewport=BrowserViewport(1280, 720), extension_path=None).to_map()
        {'useStealth': False, 'viewport': {'width': 1280, 'height': 720}, 'solveCaptchas': False}
    """

    use_stealth: bool = field(default=False, validator=_flag)
    user_agent: str | None = field(default=None, validator=_text)
    viewport: BrowserViewport | None = field(default=None, validator=optional(instance_of(BrowserViewport)))
    screen: BrowserScreen | None = field(default=None, validator=optional(instance_of(BrowserScreen)))
    fingerprint: BrowserFingerprint | None = field(default=None, validator=optional(instance_of(BrowserFingerprint)))
    fingerprint_format: FingerprintFormat | None = field(
        default=None, validator=optional(instance_of(FingerprintFormat)), repr=False
    )
    fingerprint_persistent: bool = field(default=False, validator=_flag)
    solve_captchas: bool = field(default=False, validator=_flag)
    proxies: list[BrowserProxy] | None = field(default=None, validator=_proxies)
    extension_path: str | None = field(default=EXTENSIONS_PATH, validator=_extension_path)
    cmd_args: list[str] | None = field(default=None, validator=_cmd_args)
    default_navigate_url: str | None = field(default=None, validator=_text)
    browser_type: BrowserType | None = field(default=None, validator=_browser_type)
    fingerprint_persist_path: str | None = field(default=None, validator=_text, kw_only=True)

    def __attrs_post_init__(self) -> None:
        if self.fingerprint_persistent and self.fingerprint_persist_path is None:
            self.fingerprint_persist_path = FINGERPRINT_FILE
        self.fingerprint_persistent = self.fingerprint_persist_path is not None

    def to_map(self) -> dict[str, Any]:
        """Return the JSON form; values that are None are left out."""
        raw = self.fingerprint_format
        found = {
            "useStealth": self.use_stealth,
            "userAgent": self.user_agent,
            "viewport": self.viewport and self.viewport.to_map(),
            "screen": self.screen and self.screen.to_map(),
            "fingerprint": None if self.fingerprint is None else self.fingerprint.to_map(),
            "fingerprintRawData": raw and b64encode(raw.to_json(indent=None).encode()).decode(),
            "fingerprintPersistPath": self.fingerprint_persist_path,
            "solveCaptchas": self.solve_captchas,
            "proxies": None if self.proxies is None else [proxy.to_map() for proxy in self.proxies],
            "extensionPath": self.extension_path,
            "cmdArgs": None if self.cmd_args is None else list(self.cmd_args),
            "defaultNavigateUrl": self.default_navigate_url,
            "browserType": self.browser_type,
        }
        return {name: value for name, value in found.items() if value is not None}

    @classmethod
    def from_map(cls, m: Mapping[Any, Any] | None = None) -> Self:
        """Return the option in a JSON form; a value of a wrong type is left out.

        As for the service, a form without ``extensionPath`` means no extensions; an empty one is the default option.

        Raises:
            ValueError: a proxy, a fingerprint or the path of the extensions is invalid.
        """
        proxies = [BrowserProxy.from_map(item) for item in _typed(m, "proxies", list) or ()]
        args = _typed(m, "cmdArgs", list)
        kind = _typed(m, "browserType", str)
        raw = _typed(m, "fingerprintRawData", str)
        parts = {name: _typed(m, name, dict) for name in ("viewport", "screen", "fingerprint")}
        return cls(
            use_stealth=_typed(m, "useStealth", bool) or False,
            user_agent=_typed(m, "userAgent", str),
            viewport=None if parts["viewport"] is None else BrowserViewport.from_map(parts["viewport"]),
            screen=None if parts["screen"] is None else BrowserScreen.from_map(parts["screen"]),
            fingerprint=None if parts["fingerprint"] is None else BrowserFingerprint.from_map(parts["fingerprint"]),
            fingerprint_format=None if raw is None else _from_raw_data(raw),
            fingerprint_persist_path=_typed(m, "fingerprintPersistPath", str) or None,
            solve_captchas=_typed(m, "solveCaptchas", bool) or False,
            proxies=[proxy for proxy in proxies if proxy is not None] or None,
            extension_path=_typed(m, "extensionPath", str) if m else EXTENSIONS_PATH,
            cmd_args=args if args is None or all(isinstance(item, str) for item in args) else None,
            default_navigate_url=_typed(m, "defaultNavigateUrl", str),
            browser_type="chrome" if kind == "chrome" else "chromium" if kind == "chromium" else None,
        )


def _from_raw_data(text: str) -> FingerprintFormat:
    try:
        json_text = b64decode(text, validate=True).decode()
    except ValueError as error:
        raise ValueError("fingerprintRawData is not base64 of a UTF-8 text") from error
    return FingerprintFormat.from_json(json_text)


def _typed(m: Mapping[Any, Any] | None, name: str, kind: type[T]) -> T | None:
    """Return the value of that name if it has that type; a boolean is no number."""
    value = m.get(name) if m else None
    return value if isinstance(value, kind) and (kind is bool or not isinstance(value, bool)) else None


def _filled(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}
