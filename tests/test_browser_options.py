"""The options of a browser and its fingerprint: defaults, validation, and JSON forms that can be read again."""

from __future__ import annotations

import copy
import json
import pickle
from base64 import b64decode
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agb import (
    BrowserFingerprint,
    BrowserOption,
    BrowserProxy,
    BrowserScreen,
    BrowserViewport,
    FingerprintFormat,
)
from agb.fingerprint import Brand, NavigatorFingerprint, ScreenFingerprint, VideoCard

SCREEN = {name: number for number, name in enumerate(attrs.fields_dict(ScreenFingerprint))}


def fingerprint(**parts: Any) -> FingerprintFormat:
    return FingerprintFormat.load({"fingerprint": {"screen": SCREEN, **parts}, "headers": {"accept": "*/*"}})


MANAGED = {"proxy_type": "managed", "user_id": "u-1"}


# --- JSON forms --------------------------------------------------------------------------------------------------


def test_default_option() -> None:
    assert BrowserOption().to_map() == {
        "useStealth": False,
        "solveCaptchas": False,
        "extensionPath": "/tmp/extensions/",
    }
    assert BrowserOption.from_map() == BrowserOption.from_map({}) == BrowserOption()


def test_option_with_every_value() -> None:
    option = BrowserOption(
        use_stealth=True,
        user_agent="Demo/1",
        viewport=BrowserViewport(1280, 720),
        screen=BrowserScreen(),
        fingerprint=BrowserFingerprint(["desktop"], ["linux"], ["en-US"]),
        fingerprint_format=fingerprint(),
        fingerprint_persistent=True,
        solve_captchas=True,
        proxies=[BrowserProxy("custom", "10.0.0.1:8080", "me", "secret")],
        extension_path="/home/extensions",
        cmd_args=["--lang=de"],
        default_navigate_url="chrome://version/",
        browser_type="chrome",
    )
    found = option.to_map()
    raw = json.loads(b64decode(found.pop("fingerprintRawData")))
    assert raw["fingerprint"]["screen"] == SCREEN
    assert found == {
        "useStealth": True,
        "userAgent": "Demo/1",
        "viewport": {"width": 1280, "height": 720},
        "screen": {"width": 1920, "height": 1080},
        "fingerprint": {"devices": ["desktop"], "operatingSystems": ["linux"], "locales": ["en-US"]},
        "fingerprintPersistPath": "/tmp/agb_browser_fingerprint/fingerprint.json",
        "solveCaptchas": True,
        "proxies": [{"type": "custom", "server": "10.0.0.1:8080", "username": "me", "password": "secret"}],
        "extensionPath": "/home/extensions",
        "cmdArgs": ["--lang=de"],
        "defaultNavigateUrl": "chrome://version/",
        "browserType": "chrome",
    }
    assert BrowserOption.from_map(option.to_map()) == option


TEXTS = st.text(min_size=1, max_size=8).filter(str.strip)
SIZES = st.integers(1, 8000)
OPTIONS = st.builds(
    BrowserOption,
    use_stealth=st.booleans(),
    user_agent=st.none() | st.text(max_size=8),
    viewport=st.none() | st.builds(BrowserViewport, SIZES, SIZES),
    screen=st.none() | st.builds(BrowserScreen, SIZES, SIZES),
    fingerprint=st.none()
    | st.builds(
        BrowserFingerprint,
        st.none() | st.lists(st.sampled_from(["desktop", "mobile"])),
        st.none() | st.lists(st.sampled_from(["windows", "macos", "linux", "android", "ios"])),
        st.none() | st.lists(TEXTS),
    ),
    fingerprint_format=st.none() | st.builds(fingerprint, fonts=st.lists(TEXTS)),
    fingerprint_persistent=st.booleans(),
    solve_captchas=st.booleans(),
    proxies=st.none()
    | st.builds(
        lambda *proxy: list(proxy),
        st.builds(BrowserProxy, st.just("custom"), TEXTS, st.none() | TEXTS, st.none() | TEXTS)
        | st.builds(BrowserProxy, st.just("built-in"), strategy=st.just("polling"), pollsize=SIZES)
        | st.builds(BrowserProxy, st.just("built-in"), strategy=st.just("restricted"))
        | st.builds(
            BrowserProxy,
            st.just("managed"),
            strategy=st.sampled_from(["polling", "sticky", "rotating", "matched"]),
            user_id=TEXTS,
            city=st.none() | TEXTS,
        ),
    ),
    extension_path=st.none() | TEXTS,
    cmd_args=st.none() | st.lists(TEXTS),
    default_navigate_url=st.none() | TEXTS,
    browser_type=st.none() | st.sampled_from(["chrome", "chromium"]),
)


@given(OPTIONS)
def test_option_is_read_from_its_own_form(option: BrowserOption) -> None:
    """Also the path of the extensions, which 0.12 lost, and after a transport as JSON."""
    assert BrowserOption.from_map(json.loads(json.dumps(option.to_map()))) == option


@pytest.mark.parametrize(
    ("form", "proxy"),
    [
        ({"type": "built-in", "strategy": "restricted"}, BrowserProxy("built-in", strategy="restricted")),
        ({"type": "built-in", "strategy": "polling"}, BrowserProxy("built-in", strategy="polling")),
        (
            {"type": "managed", "strategy": "sticky", "user_id": "u-1"},
            BrowserProxy("managed", strategy="sticky", user_id="u-1"),
        ),
        (
            {"type": "managed", "strategy": "matched", "userId": "u-1", "country": "US"},
            BrowserProxy("managed", strategy="matched", user_id="u-1", country="US"),
        ),
        ({}, None),
        (None, None),
    ],
)
def test_proxy_from_a_form(form: dict[str, Any] | None, proxy: BrowserProxy | None) -> None:
    assert BrowserProxy.from_map(form) == proxy


def test_values_of_a_wrong_type_are_left_out_of_a_form() -> None:
    form = {
        "useStealth": "yes",
        "userAgent": 5,
        "viewport": 3,
        "screen": {"width": "1", "height": True},
        "fingerprintRawData": 5,
        "proxies": "x",
        "cmdArgs": [1],
        "browserType": "firefox",
        "extensionPath": "/tmp/extensions/",
    }
    assert BrowserOption.from_map(form) == BrowserOption(screen=BrowserScreen())


def test_another_path_of_the_fingerprint_is_kept() -> None:
    option = BrowserOption.from_map({"fingerprintPersistPath": "/tmp/browser_fingerprint/fingerprint.json"})
    assert option.fingerprint_persistent
    assert option.to_map()["fingerprintPersistPath"] == "/tmp/browser_fingerprint/fingerprint.json"


# --- validation --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"proxy_type": "free"}, "proxy_type must be custom, built-in, or managed"),
        ({"proxy_type": "custom"}, "server is required for custom proxy type"),
        ({"proxy_type": "built-in"}, "strategy is required for built-in proxy type"),
        (
            {"proxy_type": "built-in", "strategy": "sticky"},
            "strategy must be restricted or polling for built-in proxy type",
        ),
        (
            {"proxy_type": "built-in", "strategy": "polling", "pollsize": 0},
            "pollsize must be greater than 0 for polling strategy",
        ),
        (MANAGED, "strategy is required for managed proxy type"),
        (
            {**MANAGED, "strategy": "restricted"},
            "strategy must be polling, sticky, rotating, or matched for managed proxy type",
        ),
        ({"proxy_type": "managed", "strategy": "sticky"}, "user_id is required for managed proxy type"),
    ],
)
def test_proxy_with_invalid_values(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError) as raised:
        BrowserProxy(**arguments)
    assert str(raised.value) == text


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ({"server": "x"}, "type is required in proxy configuration"),
        ({"type": "x"}, "Unsupported proxy type: x"),
    ],
)
def test_form_of_an_invalid_proxy(form: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        BrowserProxy.from_map(form)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"devices": ("desktop",)}, "devices must be a list"),
        ({"devices": ["tablet"]}, "device must be desktop or mobile"),
        ({"operating_systems": "linux"}, "operating_systems must be a list"),
        ({"operating_systems": ["beos"]}, "operating_system must be windows, macos, linux, android or ios"),
        ({"locales": "en-US"}, "locales must be a list"),
    ],
)
def test_fingerprint_with_invalid_values(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError) as raised:
        BrowserFingerprint(**arguments)
    assert str(raised.value) == text


PROXY = BrowserProxy("custom", "10.0.0.1:8080")


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"proxies": (PROXY,)}, ValueError, "proxies must be a list"),
        ({"proxies": [PROXY, PROXY]}, ValueError, "proxies list length must be limited to 1"),
        ({"proxies": ["10.0.0.1:8080"]}, TypeError, "proxies must be a list of BrowserProxy, not of str"),
        ({"extension_path": 3}, ValueError, "extension_path must be a string"),
        ({"extension_path": " "}, ValueError, "extension_path cannot be empty"),
        ({"cmd_args": "--lang=de"}, ValueError, "cmd_args must be a list"),
        ({"cmd_args": [1]}, TypeError, "cmd_args must be a list of strings"),
        ({"browser_type": "firefox"}, ValueError, "browser_type must be 'chrome' or 'chromium'"),
    ],
)
def test_option_with_invalid_values(arguments: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error) as raised:
        BrowserOption(**arguments)
    assert str(raised.value) == text


@pytest.mark.parametrize(
    "arguments",
    [{"use_stealth": "yes"}, {"user_agent": 4}, {"viewport": {"width": 3}}, {"fingerprint_format": "{}"}],
)
def test_option_with_a_value_of_another_type(arguments: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        BrowserOption(**arguments)


def test_values_are_checked_when_they_are_assigned() -> None:
    option = BrowserOption()
    with pytest.raises(ValueError, match="browser_type must be 'chrome' or 'chromium'"):
        option.browser_type = "firefox"  # type: ignore[assignment]
    option.viewport = BrowserViewport()
    assert "viewport" in option.to_map()


@pytest.mark.parametrize("size", [0, -1])
def test_size_that_is_not_positive(size: int) -> None:
    with pytest.raises(ValueError, match=f"width must be a number of pixels greater than 0, not {size}"):
        BrowserViewport(width=size)


@pytest.mark.parametrize("size", [True, 10.5, "10"])
def test_size_that_is_no_whole_number(size: Any) -> None:
    with pytest.raises(TypeError, match="height must be a whole number of pixels"):
        BrowserScreen(height=size)


def test_raw_data_that_is_damaged() -> None:
    with pytest.raises(ValueError, match="fingerprintRawData is not base64 of a UTF-8 text"):
        BrowserOption.from_map({"fingerprintRawData": "!"})
    with pytest.raises(ValueError):
        BrowserOption.from_map({"fingerprintRawData": "eA=="})  # "x", which is no JSON


def test_passwords_are_not_shown() -> None:
    for server in ("10.0.0.1:8080", "http://me:hidden-1@10.0.0.1:8080"):
        option = BrowserOption(proxies=[BrowserProxy("custom", server, "me", "hidden-2")])
        assert "hidden" not in repr(option)
        assert "10.0.0.1:8080" in repr(option)


# --- fingerprints ------------------------------------------------------------------------------------------------


def test_fingerprint_of_the_least() -> None:
    found = fingerprint()
    assert found.fingerprint.screen == ScreenFingerprint(**SCREEN)  # type: ignore[arg-type]
    assert found.fingerprint.videoCard == VideoCard("Unknown", "Unknown")
    navigator = found.fingerprint.navigator
    assert (navigator.hardwareConcurrency, navigator.extraProperties.pdfViewerEnabled) == (8, True)
    assert (navigator.userAgent, navigator.languages, navigator.deviceMemory) == ("", [], None)
    assert FingerprintFormat.load(found.to_json()) == found
    assert FingerprintFormat.from_map(found.to_map()) == found


def test_fingerprint_keeps_values_of_any_type() -> None:
    """Generators store objects where others have lists."""
    found = fingerprint(
        navigator={
            "webdriver": False,
            "userAgentData": {"brands": [{"brand": "Chromium", "version": "140"}, {"brand": "Demo"}], "mobile": True},
        },
        multimediaDevices={"speakers": [], "micros": [], "webcams": []},
        battery={"charging": True, "level": 0.5},
        pluginsData={"plugins": [], "mimeTypes": []},
    )
    assert found.fingerprint.navigator.userAgentData.brands == [Brand("Chromium", "140"), Brand("Demo", "")]
    assert found.fingerprint.navigator.webdriver is False
    assert found.fingerprint.multimediaDevices == {"speakers": [], "micros": [], "webcams": []}
    assert FingerprintFormat.load(json.loads(found.to_json(indent=None))) == found


def test_fingerprint_of_parts() -> None:
    parts = fingerprint(fonts=["Arial"]).fingerprint
    made = FingerprintFormat.create(
        parts.screen, parts.navigator, parts.videoCard, {"accept": "*/*"}, fonts=["Arial"], mock_webrtc=False
    )
    assert made == fingerprint(fonts=["Arial"])
    assert isinstance(made.fingerprint.navigator, NavigatorFingerprint)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({}, "Invalid data: expected a dictionary"),
        ("[]", "Invalid data: expected a dictionary"),
        ("no JSON", "Expecting value"),
        (3, "Invalid data type: expected dict or str, got <class 'int'>"),
        ({"fingerprint": {"screen": {}, "fonts": []}}, "Failed to create ScreenFingerprint: it has no availHeight"),
        (
            {"fingerprint": {"screen": {**SCREEN, "depth": 1}}},
            "Failed to create ScreenFingerprint: it has an unknown depth",
        ),
        ({"fingerprint": {"screen": SCREEN, "navigator": 3}}, "Invalid data: navigator must be an object, not int"),
        ({"fingerprint": {"screen": SCREEN}, "headers": []}, "Invalid data: headers must be an object, not list"),
    ],
)
def test_fingerprint_that_is_none(data: Any, text: str) -> None:
    with pytest.raises(ValueError) as raised:
        FingerprintFormat.load(data)
    assert str(raised.value).startswith(text)


@pytest.mark.parametrize("value", [BrowserOption(proxies=[PROXY]), fingerprint(), BrowserViewport()], ids=repr)
def test_values_are_copied_and_pickled(value: Any) -> None:
    assert pickle.loads(pickle.dumps(value)) == copy.deepcopy(value) == value
