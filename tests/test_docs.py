"""Documentation: every example of README, guides and docstrings is executed, in both flavours."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import doctest
import importlib
import inspect
import io
import os
import pkgutil
import re
import subprocess
import sys
import types
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import pytest

import agb
from agb.local import LocalServer
from tests.browsers import BROWSING, needs_browser
from tests.desktops import empty_desktop, needs_desktop, shared_desktop
from tools.guides import BLOCK, DOCS, LONG, anchors_of, is_marked, missing_for, name_of, pages, pictures_of

RUNS_LONG = os.environ.get("AGB_LONG") == "all"
"""Whether to run examples that are marked `LONG`, which start browsers or a cluster; `nox -s examples` sets it."""
PAGES = pages()

MADE_BY_THE_BUILD = "messages.md"


@pytest.fixture
def _configured(runtime: LocalServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AGB_API_KEY", runtime.api_key)
    monkeypatch.setenv("AGB_ENDPOINT", runtime.endpoint)
    monkeypatch.chdir(tmp_path)


# --- pages -------------------------------------------------------------------------------------------------------


def marks_of(text: str) -> list[pytest.MarkDecorator]:
    """Return the marks by which examples are skipped where what they need is missing."""
    needs = {"agb-browser-use": needs_browser, "agb-computer-use": needs_desktop}
    return [mark for image, mark in needs.items() if image in text]


def marks_of_example(name: str, text: str) -> list[pytest.MarkDecorator]:
    """Return those of a docstring; those of the generated flavour repeat their source, and guides use this flavour."""
    marks = marks_of(text)
    return [*marks, pytest.mark.long] if "._sync." in name else marks


@pytest.mark.usefixtures("_configured")
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=name_of(page), marks=marks_of(str(BLOCK.findall(page.read_text("utf-8")))))
        for page in PAGES
    ],
)
def test_examples_of_a_page(page: Path) -> None:
    """Run the blocks of a page in order, in one namespace; a text block behind one is its expected output.

    The pictures of a page are those that its examples save (`tools/guide_pictures.py`).
    """
    if missing := missing_for(page):
        pytest.skip(f"its examples need {missing}")
    text = page.read_text(encoding="utf-8")
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for match in BLOCK.finditer(text):
        if not RUNS_LONG and is_marked(LONG, text, match.start()):
            continue
        line = text[: match.start()].count("\n") + 2
        code = compile("\n" * (line - 1) + match[1], str(page), "exec", dont_inherit=True)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, namespace)
        assert printed.getvalue() == (match[2] or ""), f"{page.name}:{line}"
    for name in pictures_of(text):
        assert Path(name).stat().st_size > 1000, name
    for client in namespace.values():
        if isinstance(client, agb.AGB):
            client.close()


@pytest.fixture(scope="session")
def twins() -> dict[Path, list[str | None]]:
    from tools.flavours import asynchronous  # imports mypy, and takes a while

    installed = [page for page in PAGES if page.is_relative_to(DOCS) and not missing_for(page)]
    return asynchronous({page: page.read_text("utf-8") for page in installed})


@pytest.mark.long
@pytest.mark.usefixtures("_configured")
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=name_of(page), marks=marks_of(str(BLOCK.findall(page.read_text("utf-8")))))
        for page in PAGES
        if page.is_relative_to(DOCS) and not missing_for(page)
    ],
)
def test_asynchronous_examples_of_a_page(page: Path, twins: dict[Path, list[str | None]]) -> None:
    """Run what the site shows in the tabs "async": it prints what the synchronous examples print.

    The parts of programs run in one event loop, in which they may use each other's objects; complete programs and
    blocks without a twin run as they are.
    """
    text = page.read_text(encoding="utf-8")
    namespace: dict[str, Any] = {"__name__": "__main__"}
    with asyncio.Runner() as runner:
        for match, twin in zip(BLOCK.finditer(text), twins.get(page, []), strict=True):
            where = f"{page.name}:{text[: match.start()].count(chr(10)) + 2}"
            code = compile(twin or match[1], where, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                if code.co_flags & inspect.CO_COROUTINE:
                    runner.run(types.FunctionType(code, namespace)())
                else:
                    exec(code, namespace)
            assert printed.getvalue() == (match[2] or ""), where
        for value in namespace.values():
            if isinstance(value, agb.AsyncAGB):
                runner.run(value.aclose())
            elif isinstance(value, agb.AGB) or inspect.iscoroutine(value):
                value.close()  # the coroutine is of a block for synchronous objects only, which awaits nothing


@pytest.mark.usefixtures("_configured")
def test_tests_of_the_mocking_guide(tmp_path: Path) -> None:
    """Run the examples together as a test module, so that their fixtures and tests are executed as well."""
    blocks = BLOCK.findall((DOCS / "guides" / "mocking.md").read_text("utf-8"))
    (tmp_path / "test_guide.py").write_text("\n".join(code for code, _ in blocks), "utf-8")
    run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "test_guide.py"]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert "4 passed" in done.stdout, done.stdout + done.stderr


def test_pages_have_examples() -> None:
    assert sum(len(BLOCK.findall(page.read_text("utf-8"))) for page in PAGES) >= 10


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_of_a_page_exist(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target, anchor in re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", text):
        if "://" in target or target.endswith(MADE_BY_THE_BUILD):
            continue
        linked = page.parent / target if target else page
        assert linked.exists(), target
        if anchor:
            assert anchor in anchors_of(linked.read_text("utf-8")), f"{target}#{anchor}"


# --- docstrings --------------------------------------------------------------------------------------------------


def documented() -> Iterator[tuple[str, str]]:
    """Yield every docstring of the package that shows an example."""
    for info in pkgutil.walk_packages(agb.__path__, "agb."):
        if info.name.endswith("__main__"):
            continue
        try:
            module = importlib.import_module(info.name)
        except ImportError:  # the framework of an adapter is not installed
            if not info.name.startswith("agb.integrations."):
                raise
            continue
        for name, value in {"": module, **vars(module)}.items():
            if name and getattr(value, "__module__", None) != module.__name__:
                continue
            if isinstance(value, (TypeVar, ParamSpec)):
                continue  # their docstrings are those of the language
            owners = {name: value}
            if inspect.isclass(value):
                owners |= {f"{name}.{member}": inner for member, inner in vars(value).items()}
            for where, owner in owners.items():
                text = owner.__doc__ if where == "" else getattr(owner, "__doc__", None)
                if isinstance(text, str) and ">>>" in text:
                    yield f"{info.name}:{where}", text
    yield "agb:", agb.__doc__ or ""


EXAMPLES = dict(documented())


def test_docstrings_have_examples() -> None:
    assert {"agb._async.client:AsyncAGB.session", "agb._sync.client:AGB.session"} <= set(EXAMPLES)
    assert len(EXAMPLES) >= 20


@pytest.mark.usefixtures("_configured")
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=marks_of_example(name, text)) for name, text in EXAMPLES.items()]
)
def test_example_of_a_docstring(name: str, request: pytest.FixtureRequest) -> None:
    """Run an example as the interactive interpreter does, with ``await`` allowed at the top level.

    That of the synchronous flavour runs without an event loop, as it would there.
    """
    marks = marks_of(EXAMPLES[name])
    shared = "desktop" if needs_desktop in marks else "browser_id" if needs_browser in marks else ""
    session_id = request.getfixturevalue(shared) if shared else ""
    if "._async." in name or "await " in EXAMPLES[name] or "async with " in EXAMPLES[name]:
        asyncio.run(run_asynchronous_examples(name, session_id))
        return
    with agb.AGB() as client:
        lend(session_id, client)
        with pytest.raises(StopIteration):
            run_examples(name, EXAMPLES[name], client).send(None)


async def run_asynchronous_examples(name: str, session_id: str) -> None:
    async with agb.AsyncAGB() as client:
        lend(session_id, client)
        await run_examples(name, EXAMPLES[name], client)


@pytest.fixture(scope="module")
def desktop_id(runtime: LocalServer) -> Iterator[str]:
    with shared_desktop(runtime) as session_id:
        yield session_id


@pytest.fixture
def desktop(desktop_id: str, runtime: LocalServer) -> Iterator[str]:
    """The id of a session whose desktop is empty, for all examples: a desktop of its own for each takes too long."""
    with empty_desktop(runtime, desktop_id) as session_id:
        yield session_id


@pytest.fixture(scope="module")
def browser_id(runtime: LocalServer) -> Iterator[str]:
    """The id of a session whose browser runs; each example opens a page of its own."""
    with agb.AGB(runtime.api_key, agb.Config(runtime.endpoint, 60_000)) as client, client.session(BROWSING) as session:
        session.browser.start()
        yield session.session_id


def lend(session_id: str, client: Any) -> None:
    """Let ``client.session(...)`` return a session that there is, and not delete it; not if there is no id."""

    @contextlib.contextmanager
    def session(params: object) -> Iterator[agb.Session]:
        yield client.get(session_id).session

    @contextlib.asynccontextmanager
    async def async_session(params: object) -> AsyncIterator[agb.AsyncSession]:
        yield (await client.get(session_id)).session

    if session_id:
        setattr(client, "session", session if isinstance(client, agb.AGB) else async_session)  # noqa: B010 - of another type


async def run_examples(name: str, text: str, client: Any) -> None:
    namespace: dict[str, Any] = {**{n: getattr(agb, n) for n in agb.__all__}, "client": client, "__name__": "__main__"}
    checker = doctest.OutputChecker()
    parsed = doctest.DocTestParser().get_examples(text, name)
    assert parsed
    for example in parsed:
        flags = doctest.ELLIPSIS | sum(flag for flag, on in example.options.items() if on)
        got = await run_one(example.source, namespace)
        wanted = f"{name}: {example.source}wanted {example.want!r}, got {got!r}"
        assert checker.check_output(example.want, got, flags), wanted


async def run_one(source: str, namespace: dict[str, Any]) -> str:
    """Return the output of a statement, or the text that the interpreter shows for its value."""
    code = compile(source, "<example>", "single", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        result = types.FunctionType(code, namespace)()
        if inspect.isawaitable(result):
            await result
    return printed.getvalue()


# --- commands ----------------------------------------------------------------------------------------------------


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "agb", *arguments], capture_output=True, text=True, timeout=120, check=False
    )


def test_quickstart() -> None:
    done = command("quickstart")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all 13 steps succeeded" in done.stdout
    assert done.stdout.count("  ok  ") == 13
    assert done.stderr == ""


def test_quickstart_fails_when_a_step_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGB_API_KEY", "ako-wrong")
    monkeypatch.setenv("AGB_ENDPOINT", "http://127.0.0.1:9")
    done = command("quickstart", "--cloud")
    assert done.returncode == 1
    assert "FAILED  create a session: Could not create a session" in done.stdout
    assert "ako-wrong" not in done.stdout + done.stderr


@pytest.mark.usefixtures("_configured")
def test_quickstart_with_a_configured_endpoint() -> None:
    done = command("quickstart", "--cloud")
    assert done.returncode == 0, done.stdout + done.stderr


def test_quickstart_without_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = command("quickstart", "--cloud")
    assert done.returncode == 2
    assert "there is no API key" in done.stderr


def test_version_and_help() -> None:
    assert command("--version").stdout.strip() == f"agb {agb.__version__}"
    for words in ("gc", "quickstart", "serve"):
        assert words in command("--help").stdout
    assert command("nonsense").returncode == 2
