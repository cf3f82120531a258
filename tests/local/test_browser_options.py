"""The options of a browser: what they mean, without a browser."""

from __future__ import annotations

import base64
import json
import random
from typing import Any

import pytest

from agb.local.browser import options, switches
from agb.local.browser.fingerprint import Fingerprint, brands, decode, read_fingerprint
from agb.local.browser.generator import Criteria, NoSuchMachine, generate
from agb.local.browser.machines import MACHINES
from agb.local.browser.proxies import read_proxy
from agb.local.browser.window import Window
from agb.local.errors import Refused

VERSION = "156.0.8078.114"


def refusal(**option: Any) -> str:
    with pytest.raises(Refused) as caught:
        options.read(option)
    return caught.value.message


def encoded(value: Any) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


# --- reading ---


def test_what_the_sdk_sends_without_options() -> None:
    found = options.read({"useStealth": False, "solveCaptchas": False, "extensionPath": "/tmp/extensions/"})
    assert found == options.BrowserOptions(extension_path="/tmp/extensions")
    assert found.warnings == ()
    assert options.read({}) == options.BrowserOptions()


def test_all_values() -> None:
    found = options.read(
        {
            "useStealth": True,
            "userAgent": "Example/1",
            "viewport": {"width": 800.0, "height": 600},
            "screen": {},
            "fingerprint": {"devices": ["desktop"], "operatingSystems": ["windows"], "locales": ["de-DE"]},
            "fingerprintPersistPath": "/tmp/f/fingerprint.json",
            "solveCaptchas": None,
            "proxies": [{"type": "custom", "server": "127.0.0.1:8080", "username": "u", "password": "p"}],
            "extensionPath": "/tmp/extensions/",
            "cmdArgs": ["--mute-audio", "--load-extension=/tmp/extensions/a,/tmp/extensions/b/"],
            "defaultNavigateUrl": "chrome://version/",
            "browserType": "chrome",
        }
    )
    assert (found.viewport, found.screen) == ((800, 600), (1920, 1080))
    assert found.criteria == Criteria(("desktop",), ("windows",), ("de-DE",))
    assert found.proxy is not None
    assert found.proxy.address == "http://127.0.0.1:8080"
    assert found.extensions == ("/tmp/extensions/a", "/tmp/extensions/b")
    assert found.arguments == ("--mute-audio",)
    assert (found.start_url, found.browser_type) == ("chrome://version/", "chrome")


def test_start_pages() -> None:
    for url in ("chrome://version/", "data:text/html,<p>two words", "HTTPS://example.com/", "about:blank", ""):
        assert options.read({"defaultNavigateUrl": url}).start_url == (url or "about:blank")


def test_what_has_no_effect_is_reported() -> None:
    captchas, simulate = options.read({"solveCaptchas": True, "behaviorSimulate": True}).warnings
    assert captchas.startswith("solveCaptchas has no effect")
    assert simulate.startswith("'behaviorSimulate' has no effect")


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"useStealth": "yes"}, "browserOption.useStealth: expected bool"),
        ({"userAgent": "a\nb"}, "browserOption.userAgent: expected one line"),
        ({"userAgent": "\u00e9"}, "browserOption.userAgent: expected one line of ASCII"),
        ({"viewport": {"width": "wide"}}, "browserOption.viewport.width: expected int"),
        ({"screen": {"height": 0}}, "browserOption.screen.height: expected int >= 1"),
        ({"viewport": {"width": 16384, "height": 4320}}, "browserOption.viewport has 16384 x 4320 pixels"),
        ({"fingerprint": {"devices": ["tv"]}}, "browserOption.fingerprint.devices[0]"),
        ({"fingerprint": {"locales": ["d e"]}}, "browserOption.fingerprint.locales[0]: expected a language"),
        ({"fingerprintRawData": "***"}, "browserOption.fingerprintRawData is not base64"),
        ({"fingerprintRawData": encoded([])}, "browserOption.fingerprintRawData must be a JSON object"),
        ({"fingerprintRawData": encoded({"fingerprint": {"screen": {}}})}, "fingerprintRawData.fingerprint: "),
        ({"fingerprintPersistPath": "f.json"}, "browserOption.fingerprintPersistPath must be an absolute path"),
        ({"extensionPath": "/tmp/../etc"}, "browserOption.extensionPath must be an absolute path"),
        ({"cmdArgs": "--mute-audio"}, "browserOption.cmdArgs: expected array"),
        ({"cmdArgs": ["--a", "https://example.com"]}, "browserOption.cmdArgs[1] is 'https://example.com'"),
        ({"cmdArgs": ["--"]}, "browserOption.cmdArgs[0] is '--', which is no switch"),
        ({"cmdArgs": ["--load-extension=/opt/x"]}, "--load-extension='/opt/x' is not below"),
        ({"defaultNavigateUrl": "example"}, "browserOption.defaultNavigateUrl is no address"),
        ({"defaultNavigateUrl": "javascript:alert(1)"}, "browserOption.defaultNavigateUrl is no address"),
        ({"browserType": "firefox"}, "browserOption.browserType: "),
        ({"proxies": [{"type": "managed", "strategy": "sticky", "userId": "u"}]}, "there are no managed proxies"),
        ({"proxies": [{"type": "built-in", "strategy": "restricted"}]}, "there are no built-in proxies"),
        ({"proxies": [{"type": "custom"}]}, "browserOption.proxies[0].server is missing"),
        ({"proxies": [{"type": "custom", "server": "h"}] * 2}, "browserOption.proxies has 2 proxies"),
        ({"proxies": [{"type": "http"}]}, "browserOption.proxies[0].type"),
        ({"proxies": "h:1"}, "browserOption.proxies: expected array"),
    ],
)
def test_bad_value_is_refused_by_the_name_of_its_field(option: dict[str, Any], words: str) -> None:
    assert words in refusal(**option)


# --- switches ---


@pytest.mark.parametrize(
    "argument",
    [
        "--no-sandbox",
        "-no-sandbox",
        "--NO-SANDBOX",
        "--disable-setuid-sandbox",
        "--single-process",
        "--remote-debugging-port=9222",
        "--remote-debugging-pipe",
        "--remote-allow-origins=*",
        "--user-data-dir=/tmp/x",
        "--profile-directory=Other",
        "--renderer-cmd-prefix=sh",
        "--utility-cmd-prefix=sh",
        "--gpu-launcher=sh",
        "--browser-subprocess-path=/bin/sh",
        "--type=renderer",
        "--headless=old",
        "--dump-dom",
        "--wait-for-debugger",
        "--proxy-server=http://u:p@h:1",
    ],
)
def test_switch_that_is_refused_is_named(argument: str) -> None:
    message = refusal(cmdArgs=["--mute-audio", argument])
    assert f"--{switches.name_of(argument)}" in message
    assert "cmdArgs[1]" in message
    assert "u:p" not in message


def test_other_switches_are_the_callers_own_affair() -> None:
    given = ["--disable-web-security", "--ignore-certificate-errors", "--proxy-server=h:1", "--lang=de", "--kiosk"]
    assert options.read({"cmdArgs": given}).arguments == tuple(given)


def test_two_proxies_contradict_each_other() -> None:
    proxies = [{"type": "custom", "server": "h:1"}]
    assert "--proxy-server contradicts" in refusal(proxies=proxies, cmdArgs=["--proxy-server=other:1"])


# --- proxies ---


@pytest.mark.parametrize(
    ("server", "address"),
    [
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("proxy.example", "http://proxy.example:80"),
        ("https://proxy.example/", "https://proxy.example:443"),
        ("socks5://[::1]:1081", "socks5://[::1]:1081"),
        ("socks5h://proxy.example", "socks5://proxy.example:1080"),
    ],
)
def test_address_of_a_proxy(server: str, address: str) -> None:
    assert read_proxy(server, "", "", what="proxy").address == address


def test_credentials_of_a_proxy() -> None:
    proxy = read_proxy("http://me:se%3Acret@h:1", "", "", what="proxy")
    assert (proxy.username, proxy.password, proxy.address) == ("me", "se:cret", "http://h:1")
    assert "cret" not in repr(proxy)
    assert read_proxy("http://me:old@h:1", "you", "new", what="proxy").password == "new"


@pytest.mark.parametrize(
    ("server", "username", "password"),
    [
        ("h:port", "u", "secret"),
        ("", "u", "secret"),
        ("h:1/path", "u", "secret"),
        ("ftp://h:1", "u", "secret"),
        ("a b:1", "u", "secret"),
        ("h:1", "", "secret"),
        ("h:1", "u:x", "secret"),
        ("socks4://h:1", "u", "secret"),
        ("socks5://h:1", "u", "secret" * 50),
        ("http://u:secret@h:port", "", ""),
    ],
)
def test_bad_proxy_is_refused_without_its_password(server: str, username: str, password: str) -> None:
    with pytest.raises(Refused, match=r"^p\b") as caught:
        read_proxy(server, username, password, what="p")
    assert "secret" not in caught.value.message


# --- windows ---


def test_screen_and_window() -> None:
    assert Window.wanted(None, None, None).switches()[:2] == [
        "--screen-info={1920x1080 devicePixelRatio=1 colorDepth=24}",
        "--window-size=1920,1080",
    ]
    # A window is not larger than its screen, unless both were asked for.
    assert Window.wanted(None, (3000, 400), None).screen.width == 3000
    assert Window.wanted((800, 600), (3000, 400), None).screen.width == 800


def test_screen_of_a_fingerprint_is_in_device_pixels() -> None:
    raw = generate(Criteria(operating_systems=("macos",)), VERSION, random.Random(1))
    screen = raw["fingerprint"]["screen"]
    info = Window.wanted(None, None, read_fingerprint(raw, what="f")).switches()[0]
    assert f"{2 * screen['width']}x{2 * screen['height']} devicePixelRatio=2 colorDepth=30" in info
    assert f"workAreaTop={2 * screen['availTop']}" in info


# --- fingerprints ---


@pytest.mark.parametrize(
    ("version", "product", "names"),
    [
        ("156.0.1.2", "Google Chrome", ["Not:A-Brand", "Chromium", "Google Chrome"]),
        ("156.0.1.2", "", ["Not:A-Brand", "Chromium"]),
        ("130.0.1.2", "Google Chrome", ["Chromium", "Google Chrome", "Not?A_Brand"]),
        ("124", "Microsoft Edge", ["Chromium", "Microsoft Edge", "Not-A.Brand"]),
        ("120.0.0.0", "Google Chrome", ["Not_A Brand", "Chromium", "Google Chrome"]),
    ],
)
def test_brands_are_those_of_real_browsers(version: str, product: str, names: list[str]) -> None:
    assert [name for name, _ in brands(version, product)] == names
    assert dict(brands(version, product))["Chromium"] == version


@pytest.mark.parametrize(("device", "system"), MACHINES)
def test_generated_fingerprint_is_consistent(device: str, system: str) -> None:
    criteria = Criteria((device,), (system,), ("de-DE", "fr"))
    for seed in range(20):
        raw = generate(criteria, VERSION, random.Random(seed))
        assert raw == generate(criteria, VERSION, random.Random(seed))
        found = read_fingerprint(decode(encoded(raw), what="f"), what="f")
        assert found.languages == ("de-DE", "de", "fr")
        assert raw["headers"]["accept-language"] == "de-DE,de;q=0.9,fr;q=0.8"
        assert found.is_mobile == (device == "mobile") == (not found.has_pdf_viewer)
        assert (found.touch_points > 0) == found.is_mobile
        assert found.platform == Fingerprint.of_user_agent(found.user_agent).platform
        assert found.screen is not None
        assert found.screen.width >= found.screen.inner[0]
        if system == "ios":
            assert (found.metadata, found.memory) == (None, None)
        else:
            assert found.metadata is not None
            assert found.metadata["platform"].lower() == system
            assert "Chrome/156.0.0.0" in found.user_agent


def test_fingerprint_without_criteria_is_a_desktop() -> None:
    raw = generate(Criteria(), VERSION, random.Random(0))
    assert "Windows" in raw["fingerprint"]["navigator"]["userAgent"]
    assert "Android" in generate(Criteria(("mobile",)), VERSION, random.Random(0))["headers"]["user-agent"]
    # One of several that exists is enough.
    mixed = Criteria(("desktop",), ("android", "linux"))
    assert "X11" in generate(mixed, VERSION, random.Random(0))["headers"]["user-agent"]


@pytest.mark.parametrize("system", ["android", "ios"])
def test_no_desktop_runs_a_phones_system(system: str) -> None:
    with pytest.raises(NoSuchMachine, match=f"no desktop device with {system}"):
        generate(Criteria(("desktop",), (system,)), VERSION, random.Random(0))


def test_fingerprint_of_a_real_browser() -> None:
    """Values of other types than documented are those of parts that are not applied."""
    raw = {
        "fingerprint": {
            "screen": {"width": 1440, "height": 900, "availWidth": 1440, "availHeight": 875, "availLeft": -1440},
            "navigator": {
                "userAgent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
                "userAgentData": None,
                "webdriver": False,
                "languages": [],
                "deviceMemory": None,
                "maxTouchPoints": 0.0,
                "extraProperties": {"pdfViewerEnabled": False},
            },
            "videoCard": {"vendor": "Unknown", "renderer": "Unknown"},
            "multimediaDevices": {"speakers": []},
            "battery": {"level": 1},
        },
        "headers": {"accept-language": "fr-FR,fr;q=0.8"},
    }
    found = read_fingerprint(raw, what="f")
    assert (found.metadata, found.graphics, found.platform) == (None, None, "Linux x86_64")
    assert not found.has_pdf_viewer
    assert found.languages == ("fr-FR", "fr")
    assert found.screen is not None
    assert found.screen.insets == (0, 0, 0, 25)


def test_screen_of_a_fingerprint_that_is_too_large() -> None:
    raw = generate(Criteria(), VERSION, random.Random(1))
    raw["fingerprint"]["screen"]["devicePixelRatio"] = 8
    with pytest.raises(Refused, match=r"^f\.fingerprint\.screen has \d+ x \d+ pixels"):
        read_fingerprint(raw, what="f")


@pytest.mark.parametrize(
    ("agent", "platform", "system", "is_mobile"),
    [
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/120.0.0.0 Safari/537.36", "Win32", "Windows", False),
        ("Mozilla/5.0 (Linux; Android 10; K) Chrome/120.0.0.0 Mobile Safari/537.36", "Linux armv81", "Android", True),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:128.0) Firefox/128.0", "MacIntel", None, False),
        (
            "Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0",
            "Linux x86_64",
            "Linux",
            False,
        ),
        ("Chrome/.", None, "", False),
        ("Example/1", None, None, False),
    ],
)
def test_what_follows_from_a_user_agent(agent: str, platform: str | None, system: str | None, is_mobile: bool) -> None:
    found = Fingerprint.of_user_agent(agent)
    assert (found.platform, found.is_mobile) == (platform, is_mobile)
    assert (found.metadata and found.metadata["platform"]) == system
