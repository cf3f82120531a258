"""Which fingerprint a browser gets, and which directories are extensions: without a browser, with files in memory."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Any

import pytest
from attrs import field, frozen

from agb.local.browser import extensions
from agb.local.browser.cdp import Cdp, CdpError
from agb.local.browser.extensions import find_extensions, not_loaded
from agb.local.browser.fingerprint import Fingerprint
from agb.local.browser.fingerprint_choice import choose_fingerprint
from agb.local.browser.generator import Criteria, generate
from agb.local.browser.options import BrowserOptions

pytestmark = pytest.mark.asyncio

PATH = "/tmp/f/fingerprint.json"
VERSION = "156.0.1.2"
GIVEN = generate(Criteria(operating_systems=("macos",)), VERSION, random.Random(1))
OTHER = generate(Criteria(operating_systems=("linux",)), VERSION, random.Random(2))


@frozen
class Reply:
    text: str
    ok: bool = True


@frozen
class Files:
    """The file tools of a session."""

    contents: dict[str, str] = field(factory=dict)
    is_full: bool = False

    async def call(self, tool: str, args: Mapping[str, Any], content: bytes = b"") -> Reply:
        path = args["path"]
        if tool == "write_file":
            if self.is_full:
                return Reply("No space left on device", ok=False)
            self.contents[path] = content.decode()
        elif tool == "list_directory":
            below = {name[len(path) + 1 :] for name in self.contents if name.startswith(f"{path}/")}
            lines = {f"[DIR] {name.partition('/')[0]}" if "/" in name else f"[FILE] {name}" for name in below}
            return Reply("\n".join(sorted(lines)), ok=bool(below))
        elif tool != "create_directory":
            return Reply(self.contents.get(path, "not found"), ok=path in self.contents)
        return Reply("")


def agent(raw: Mapping[str, Any]) -> str:
    return str(raw["fingerprint"]["navigator"]["userAgent"])


async def choose(files: Files, **options: Any) -> tuple[Fingerprint | None, list[str]]:
    given = BrowserOptions(**{"use_stealth": True, "fingerprint_path": PATH, **options})
    return await choose_fingerprint(given, files, given.fingerprint_path, VERSION)


async def test_criteria_use_the_stored_fingerprint_or_store_a_new_one() -> None:
    files = Files()
    first, warnings = await choose(files, criteria=Criteria(("mobile",)))
    assert first is not None
    assert warnings == []
    assert agent(json.loads(files.contents[PATH])) == first.user_agent
    assert await choose(files, criteria=Criteria(("desktop",))) == (first, [])
    assert await choose(files) == (first, [])  # nothing else given
    # Without a place nothing is stored.
    await choose(files := Files(), criteria=Criteria(), fingerprint_path="")
    assert files.contents == {}


async def test_given_fingerprint_replaces_the_stored_one() -> None:
    files = Files({PATH: json.dumps(OTHER)})
    found, warnings = await choose(files, fingerprint=GIVEN, criteria=Criteria(), user_agent="Example/1")
    assert found is not None
    assert found.user_agent == agent(GIVEN)
    assert json.loads(files.contents[PATH]) == GIVEN
    beside = "has no effect beside fingerprintRawData"
    assert warnings == [f"userAgent {beside}", f"fingerprint {beside}"]


async def test_fingerprint_needs_stealth_and_gives_way_to_a_user_agent() -> None:
    files = Files({PATH: json.dumps(OTHER)})
    given: dict[str, Any] = {"fingerprint": GIVEN, "criteria": Criteria()}
    found, warnings = await choose(files, use_stealth=False, **given)
    assert found is None
    names = ("fingerprint", "fingerprintRawData", "fingerprintPersistPath")
    assert warnings == [f"{name} has no effect without useStealth" for name in names]

    found, warnings = await choose(files, criteria=Criteria(), user_agent="Example/1")
    assert found is not None
    assert (found.user_agent, found.is_complete) == ("Example/1", False)
    assert warnings == [f"{name} has no effect beside userAgent" for name in ("fingerprint", "fingerprintPersistPath")]
    assert json.loads(files.contents[PATH]) == OTHER


async def test_no_fingerprint() -> None:
    assert await choose(Files(), fingerprint_path="") == (None, [])
    assert await choose(Files()) == (None, [f"fingerprintPersistPath has no effect: there is no fingerprint at {PATH}"])
    found, warnings = await choose(Files(), criteria=Criteria(("desktop",), ("ios",)))
    assert (found, warnings) == (None, ["fingerprint has no effect: there is no desktop device with ios"])


@pytest.mark.parametrize(
    ("stored", "reason"),
    [
        ("{", "Expecting property name"),
        ("[]", "it is no JSON object"),
        ("{}", "it: object missing required field"),
        ("[" * 100_000, "maximum recursion depth"),
        ('{"fingerprint": {"screen": {"width": "wide"}, "navigator": {"userAgent": "x"}}}', "it.fingerprint.screen"),
    ],
)
async def test_stored_fingerprint_that_makes_no_sense(stored: str, reason: str) -> None:
    files = Files({PATH: stored})
    found, warnings = await choose(files, criteria=Criteria())
    assert warnings[0].startswith(f"the fingerprint at {PATH} was not used: {reason}")
    assert found is not None
    assert agent(json.loads(files.contents[PATH])) == found.user_agent  # a new one replaces it


async def test_fingerprint_that_cannot_be_stored() -> None:
    found, warnings = await choose(Files(is_full=True), fingerprint=GIVEN)
    assert found is not None
    assert warnings == [f"the fingerprint was not stored at {PATH}: No space left on device"]


# --- extensions ---

MANIFEST = '{"manifest_version": 3, "name": "x", "version": "1"}'


async def test_directories_of_extensions() -> None:
    files = Files(
        {
            "/e/a/manifest.json": MANIFEST,
            "/e/deep/inner/manifest.json": MANIFEST,
            "/e/two/one/manifest.json": MANIFEST,
            "/e/two/other/manifest.json": MANIFEST,
            "/e/a,b/manifest.json": MANIFEST,
            "/e/kept.zip": "",
        }
    )
    found = await find_extensions(files, "/e", shown_as="/e")
    assert found.directories == ("/e/a", "/e/deep/inner")
    assert found.warnings == (
        "extension 'a,b' was not loaded: Chromium takes no comma in its path",
        "extension 'two' was not loaded: /e/two has no manifest.json",
    )
    assert (await find_extensions(files, "/e/a", shown_as="/e/a")).directories == ("/e/a",)
    assert (await find_extensions(files, "/none", shown_as="/none")).directories == ()


class Loaded(Cdp):
    """A browser that has loaded some extensions; None: it has no command that lists them."""

    def __init__(self, paths: list[str] | None) -> None:
        self._paths = paths

    async def call(self, method: str, *_: Any, **__: Any) -> dict[str, Any]:
        if self._paths is None:
            raise CdpError(f"{method} wasn't found")
        return {"extensions": [{"path": path} for path in self._paths]}


async def test_why_an_extension_was_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    commented = "// a comment\n" + MANIFEST
    files = Files({"/e/a/manifest.json": commented, "/e/b/manifest.json": "[]", "/e/c/manifest.json": "{"})
    directories = ["/e/a", "/e/b", "/e/c", "/e/d"]
    reasons = ["is no JSON object", "is not valid JSON: Expecting property name", "cannot be read"]
    found = await not_loaded(Loaded(["/e/a"]), files, directories)
    for name, reason, sentence in zip("bcd", reasons, found, strict=True):
        assert sentence.startswith(f"extension '{name}' was not loaded: its manifest.json {reason}")
    assert (await not_loaded(Loaded(None), files, directories))[1:] == found

    monkeypatch.setattr(extensions, "_LOAD_SECONDS", 0)
    files = Files({"/e/a/manifest.json": MANIFEST})
    assert await not_loaded(Loaded([]), files, ["/e/a"]) == [
        "extension 'a' was not loaded: Chromium refused to load it"
    ]
