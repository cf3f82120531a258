"""Types as users see them: the examples of README and guides pass mypy --strict and pyright, and results narrow."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tools.flavours import asynchronous
from tools.guides import BLOCK, DOCS, ROOT, WRITTEN, missing_for, module_name, pages, python_of

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


def asynchronous_python_of(text: str, twins: list[str | None]) -> str:
    """Return the asynchronous flavour of a page's blocks as one coroutine function, in which ``await`` may stand."""
    # Each twin may be a program of its own, with a function main. Examples without a twin are checked with the others.
    blocks = [
        match[1] if twin is None else re.sub(r"\bmain\b", f"main_{number}", twin)
        for number, (match, twin) in enumerate(zip(BLOCK.finditer(text), twins, strict=True))
    ]
    return "async def page() -> None:\n" + textwrap.indent("\n".join(blocks), "    ")


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with one file for each page that has examples."""
    if not os.environ.get("AGB_CHECK_TYPES"):
        pytest.skip("nox -s types runs it: a type checker reads the whole package first")
    directory = tmp_path_factory.mktemp("examples")
    texts = {page: page.read_text("utf-8") for page in pages() if not missing_for(page)}
    texts = {page: text for page, text in texts.items() if BLOCK.search(text)}
    for page, text in texts.items():
        (directory / f"{module_name(page)}.py").write_text(python_of(text), "utf-8")
    for page, twins in asynchronous({page: text for page, text in texts.items() if page.is_relative_to(DOCS)}).items():
        (directory / f"async_{module_name(page)}.py").write_text(asynchronous_python_of(texts[page], twins), "utf-8")
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
