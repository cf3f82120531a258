"""The options of a browser, as a request has them: ``browserOption``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any, Final, Literal

import msgspec
from attrs import field, frozen
from msgspec import Meta, Struct

from ..validation import refuse, shown
from . import switches
from .fields import Header, Language, Line, Text, check_area, described, whole_numbers
from .fingerprint import decode, read_fingerprint
from .generator import Criteria
from .launch import BLANK
from .proxies import ProxyServer, read_proxy

WHAT: Final = "browserOption"
_Pixels = Annotated[int, Meta(ge=1, le=16384)]
_URL = re.compile(r"(?:about|chrome|chrome-extension|data|file|https?|view-source):[^\x00-\x1f\x7f]*", re.IGNORECASE)
_LONGEST_URL: Final = 2 << 20
"""Characters; Chromium navigates to no longer one."""


class _Size(Struct):
    width: _Pixels = 1920
    height: _Pixels = 1080


class _Criteria(Struct, rename="camel"):
    devices: list[Literal["desktop", "mobile"]] | None = None
    operating_systems: list[Literal["windows", "macos", "linux", "android", "ios"]] | None = None
    locales: list[Language] | None = None


class _Proxy(Struct):
    type: Literal["custom", "built-in", "managed"]
    server: Text | None = None
    username: Line | None = None
    password: Line | None = None


class _Option(Struct, rename="camel"):
    use_stealth: bool | None = None
    user_agent: Header | None = None
    viewport: _Size | None = None
    screen: _Size | None = None
    fingerprint: _Criteria | None = None
    fingerprint_raw_data: str | None = None
    fingerprint_persist_path: Text | None = None
    solve_captchas: bool | None = None
    proxies: list[_Proxy] | None = None
    extension_path: Text | None = None
    cmd_args: list[Text] | None = None
    default_navigate_url: Text | None = None
    browser_type: Literal["chrome", "chromium"] | None = None


@frozen(kw_only=True)
class BrowserOptions:
    """What a caller asks of a browser."""

    use_stealth: bool = False
    user_agent: str = ""
    viewport: tuple[int, int] | None = None
    screen: tuple[int, int] | None = None
    criteria: Criteria | None = None
    fingerprint: Mapping[str, Any] | None = None
    """A fingerprint in the protocol's form."""
    fingerprint_path: str = ""
    """Where the fingerprint is kept, seen from inside."""
    proxy: ProxyServer | None = None
    extension_path: str = ""
    extensions: tuple[str, ...] = ()
    """Directories of further extensions."""
    arguments: tuple[str, ...] = ()
    start_url: str = BLANK
    browser_type: str = ""
    warnings: tuple[str, ...] = field(default=(), eq=False)
    """Sentences about options that have no effect here."""


def read(option: Mapping[str, Any]) -> BrowserOptions:
    """Return what the JSON object ``browserOption`` asks for.

    Raises ``Refused`` for a value that makes no sense, and for one whose omission the caller would not want: pages
    loaded through another proxy, or a browser without its sandbox. The message names the field. What only means less
    comfort is among the warnings.
    """
    given = {name: value for name, value in option.items() if value is not None}
    try:
        found = msgspec.convert(whole_numbers(given), _Option)
    except msgspec.ValidationError as error:
        refuse(described(error, WHAT))
    proxy = _proxy(found.proxies or ())
    arguments, extensions = _split_extensions(found.cmd_args or ())
    switches.check(arguments, has_proxy=proxy is not None)
    extension_path = _path(found.extension_path, "extensionPath")
    for path in extensions:
        if not extension_path or not PurePosixPath(path).is_relative_to(extension_path):
            refuse(
                f"{WHAT}.cmdArgs: --load-extension={shown(path)} is not below {WHAT}.extensionPath, "
                "where extensions are loaded from"
            )
    return BrowserOptions(
        use_stealth=found.use_stealth or False,
        user_agent=found.user_agent or "",
        viewport=_size(found.viewport, "viewport"),
        screen=_size(found.screen, "screen"),
        criteria=_criteria(found.fingerprint),
        fingerprint=_fingerprint(found.fingerprint_raw_data),
        fingerprint_path=_path(found.fingerprint_persist_path, "fingerprintPersistPath"),
        proxy=proxy,
        extension_path=extension_path,
        extensions=extensions,
        arguments=arguments,
        start_url=_start_url(found.default_navigate_url),
        browser_type=found.browser_type or "",
        warnings=tuple(_warnings(found, given)),
    )


def _warnings(found: _Option, given: Mapping[str, Any]) -> list[str]:
    warnings = []
    if found.solve_captchas:
        warnings.append("solveCaptchas has no effect: a local runtime has no service that solves them")
    known = {one.encode_name for one in msgspec.structs.fields(_Option)}
    warnings += [f"{shown(name)} has no effect: this runtime has no such option" for name in given if name not in known]
    return warnings


def _size(size: _Size | None, name: str) -> tuple[int, int] | None:
    if size is None:
        return None
    check_area(size.width, size.height, f"{WHAT}.{name}")
    return size.width, size.height


def _criteria(found: _Criteria | None) -> Criteria | None:
    if found is None:
        return None
    return Criteria(tuple(found.devices or ()), tuple(found.operating_systems or ()), tuple(found.locales or ()))


def _fingerprint(text: str | None) -> Mapping[str, Any] | None:
    if not text:
        return None
    what = f"{WHAT}.fingerprintRawData"
    raw = decode(text, what=what)
    read_fingerprint(raw, what=what)
    return raw


def _proxy(given: list[_Proxy] | tuple[()]) -> ProxyServer | None:
    if not given:
        return None
    if len(given) > 1:
        refuse(f"{WHAT}.proxies has {len(given)} proxies; a browser has one")
    proxy, what = given[0], f"{WHAT}.proxies[0]"
    if proxy.type != "custom":
        refuse(
            f"{what}: there are no {proxy.type} proxies in a local runtime, they belong to the cloud service; pages "
            "would be loaded from another address than asked for. Give a custom proxy"
        )
    if not proxy.server:
        refuse(f"{what}.server is missing; a custom proxy needs it")
    return read_proxy(proxy.server, proxy.username or "", proxy.password or "", what=what)


def _split_extensions(arguments: list[str] | tuple[()]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return arguments without those that load extensions, and the directories that these name."""
    others = tuple(one for one in arguments if switches.name_of(one) != "load-extension")
    paths = [one.partition("=")[2] for one in arguments if one not in others]
    return others, tuple(path.rstrip("/") for one in paths for path in one.split(",") if path.rstrip("/"))


def _path(text: str | None, name: str) -> str:
    if not text:
        return ""
    path = PurePosixPath(text)
    if not path.is_absolute() or ".." in path.parts:
        refuse(f"{WHAT}.{name} must be an absolute path without '..', not {shown(text)}")
    return str(path)


def _start_url(text: str | None) -> str:
    if not text:
        return BLANK
    if not _URL.fullmatch(text.strip()) or len(text) > _LONGEST_URL:
        refuse(f"{WHAT}.defaultNavigateUrl is no address of a page: https://... was expected, not {shown(text)}")
    return text.strip()
