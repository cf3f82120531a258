"""Types as users see them: the examples of README and guides pass mypy --strict and pyright, and results narrow."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.guides import BLOCK, ROOT, missing_for, name_of, pages

WRITTEN = {"shapes.py": "def square(side: int) -> int:\n    return side * side\n"}
"""Modules that an example writes before it imports them."""

NARROWING = """
from collections.abc import Coroutine
from typing import Any, assert_type

from playwright import async_api, sync_api

from agb import AGB, AsyncAGB, AsyncSession, Context, Session, SessionMetrics
from agb.exceptions import AGBError


def sync(client: AGB, session: Session) -> None:
    assert_type(client.create().raise_for_error().session, Session)
    assert_type(client.context.get("a").raise_for_error().context, Context)
    assert_type(session.get_link().raise_for_error().data, str)
    assert_type(session.get_labels().raise_for_error().data, dict[str, str])
    assert_type(session.info().raise_for_error().data["resource_url"], str)
    assert_type(session.get_metrics().raise_for_error().metrics, SessionMetrics)
    assert_type(session.file.exists("/tmp").raise_for_error().data, bool)
    assert_type(session.file.info("/tmp").file_info["size"], int)
    assert_type(session.file.list("/tmp").entries[0]["name"], str)
    session.code.run("1", "cobol")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    link = session.get_link()
    if link:
        assert_type(link.data, str)
    else:
        assert_type(link.error, AGBError)
    found = client.get("s-1")
    if not found:
        return
    assert_type(found.session, Session)


def browsers(session: Session, page: sync_api.Page, other: async_api.Page) -> None:
    with session.browser.connect() as browser:
        assert_type(browser, sync_api.Browser)
    with session.browser.page() as first:
        assert_type(first, sync_api.Page)
    assert_type(session.browser.screenshot(page), bytes)
    awaited = assert_type(session.browser.screenshot(other), Coroutine[Any, Any, bytes])
    awaited.close()


async def asynchronous_browsers(session: AsyncSession, page: async_api.Page) -> None:
    async with session.browser.connect() as browser:
        assert_type(browser, async_api.Browser)
    async with session.browser.page() as first:
        assert_type(first, async_api.Page)
    assert_type(await session.browser.screenshot(page), bytes)


async def asynchronous(client: AsyncAGB) -> None:
    made = await client.create()
    if made:
        assert_type(made.session, AsyncSession)
    assert_type((await client.get("s-1")).raise_for_error().session, AsyncSession)
"""


def python_of(text: str) -> str:
    """Return the blocks of a page as one module, each at the line where it stands in the page."""
    lines = [""] * (text.count("\n") + 1)
    for match in BLOCK.finditer(text):
        first = text.count("\n", 0, match.start(1))
        block = match[1].splitlines()
        lines[first : first + len(block)] = block
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with one file for each page that has examples."""
    if not os.environ.get("AGB_CHECK_TYPES"):
        pytest.skip("nox -s types runs it: a type checker reads the whole package first")
    directory = tmp_path_factory.mktemp("examples")
    for page in pages():
        if not missing_for(page) and (code := python_of(page.read_text("utf-8"))).strip():
            (directory / f"{re.sub(r'[^a-z]', '_', name_of(page).lower())}.py").write_text(code, "utf-8")
    for name, text in {**WRITTEN, "narrowing.py": NARROWING}.items():
        (directory / name).write_text(text, "utf-8")
    return directory


def check(*command: str, directory: Path = ROOT) -> None:
    done = subprocess.run([sys.executable, "-m", *command], cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_mypy_accepts_the_examples(examples: Path) -> None:
    check("mypy", "--strict", *map(str, sorted(examples.iterdir())))


@pytest.mark.skipif(not (shutil.which("node") and shutil.which("npm")), reason="pyright needs node and npm")
def test_pyright_accepts_the_examples(examples: Path) -> None:
    check("pyright", "--pythonpath", sys.executable, directory=examples)  # there it finds the modules of WRITTEN
