"""The programs of `examples/`: each is run as its user would run it, and a page of the cookbook shows it."""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from PIL import Image

from agb import AGB
from agb.local import LocalServer
from tests.browsers import needs_browser
from tools.guides import BLOCK, DOCS, ROOT

EXAMPLES = ROOT / "examples"
SECONDS = 120
"""For each wait: what it waits for takes a second at most on a machine that does nothing else."""


TWINS = sorted(path for path in EXAMPLES.glob("*_async.py") if path.name != "stream_service_async.py")
"""Programs that the site makes from the synchronous ones."""


@pytest.fixture(autouse=True)
def _configured(runtime: LocalServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AGB_API_KEY", runtime.api_key)
    monkeypatch.setenv("AGB_ENDPOINT", runtime.endpoint)
    monkeypatch.chdir(tmp_path)


def run(name: str) -> str:
    """Run an example to its end, and return what it has printed."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name)], capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout


# --- pages -------------------------------------------------------------------------------------------------------


SHOWN = sorted({*EXAMPLES.glob("*.py")} - {*TWINS})


@pytest.mark.parametrize("path", SHOWN, ids=lambda path: path.name)
def test_a_page_of_the_cookbook_shows_the_example(path: Path) -> None:
    """Both have the same text: change both."""
    shown = [block for page in sorted((DOCS / "cookbook").glob("*.md")) for block, _ in BLOCK.findall(page.read_text())]
    assert path.read_text("utf-8") in shown


def test_the_list_of_examples_is_complete() -> None:
    text = (EXAMPLES / "README.md").read_text("utf-8")
    assert [path.name for path in sorted(EXAMPLES.glob("*.py")) if f"[{path.name}]({path.name})" not in text] == []
    for target in re.findall(r"\]\(([^)]+)\)", text):
        assert (EXAMPLES / target).exists(), target


@pytest.mark.parametrize("page", sorted((DOCS / "cookbook").glob("*.md")), ids=lambda page: page.name)
def test_a_page_begins_with_a_complete_program(page: Path) -> None:
    first = BLOCK.search(page.read_text("utf-8"))
    assert first is not None
    assert first[1] in [path.read_text("utf-8") for path in EXAMPLES.glob("*.py")]


# --- services ----------------------------------------------------------------------------------------------------


def application(name: str, framework: str) -> Any:
    """Return the application of an example, or for FastAPI one that is made as its page says."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if framework == "starlette":
        return module.app
    app = pytest.importorskip("fastapi").FastAPI(lifespan=module.lifespan)
    app.post("/run")(module.run)
    return app


@contextlib.contextmanager
def served(name: str, framework: str = "starlette") -> Iterator[str]:
    """Serve the application of an example with uvicorn, as its command does, and yield its address."""
    app = application(name, framework)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started or not thread.is_alive())
        assert server.started
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(SECONDS)
        assert not thread.is_alive()


def wait_until(happens: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not happens():
        assert time.monotonic() < end
        time.sleep(0.01)  # waits on purpose: between two looks at a state that neither server announces


def events_of(answer: httpx.Response) -> Iterator[tuple[str, Any]]:
    """Yield the name and the value of each server-sent event."""
    name = ""
    for line in answer.iter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def is_deleted(session_id: str) -> bool:
    with AGB() as client:
        return not client.get(session_id)


SERVICES = ["stream_service", "stream_service_async"]


@pytest.mark.parametrize("name", SERVICES)
def test_service_streams_output(name: str) -> None:
    code = "import sys\nprint('one\\ntwo')\nprint('three', file=sys.stderr)\n1 / 0"
    with served(name) as address, httpx.stream("POST", f"{address}/run", content=code, timeout=SECONDS) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        (first, session_id), *others = events_of(answer)
        assert first == "session"
        wait_until(lambda: is_deleted(session_id))
    assert "".join(value for name, value in others if name == "stdout") == "one\ntwo\n"
    assert "".join(value for name, value in others if name == "stderr") == "three\n"
    assert others[-2:] == [("error", "ZeroDivisionError: division by zero"), ("finished", False)]


@pytest.mark.parametrize(
    ("name", "framework"), [*((name, "starlette") for name in SERVICES), ("stream_service_async", "fastapi")]
)
def test_service_deletes_the_session_of_a_client_that_disconnects(name: str, framework: str) -> None:
    """The code is silent when the client goes, so the service learns of it by the connection, not by writing."""
    code = "import time\nprint('begun', flush=True)\ntime.sleep(3600)"
    with served(name, framework) as address:
        with httpx.stream("POST", f"{address}/run", content=code, timeout=SECONDS) as answer:
            events = events_of(answer)
            _, session_id = next(events)
            assert next(events) == ("stdout", "begun\n")
            assert not is_deleted(session_id)
        wait_until(lambda: is_deleted(session_id))


@pytest.mark.parametrize("name", SERVICES)
def test_service_that_is_stopped_deletes_the_sessions_of_open_streams(name: str) -> None:
    code = "import time\nwhile True: print('tick', flush=True); time.sleep(0.1)"
    with httpx.Client(timeout=SECONDS) as http, contextlib.ExitStack() as serving:
        address = serving.enter_context(served(name))
        with http.stream("POST", f"{address}/run", content=code) as answer:
            events = events_of(answer)
            _, session_id = next(events)
            assert next(events) == ("stdout", "tick\n")
            serving.close()
            assert is_deleted(session_id)


# --- programs ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["resumable_batch.py", pytest.param("resumable_batch_async.py", marks=pytest.mark.long)]
)
def test_batch_goes_on_after_it_was_killed(name: str) -> None:
    with subprocess.Popen([sys.executable, str(EXAMPLES / name)], stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "2 done now\n"
        first.kill()
    lines = run(name).splitlines()
    assert [line.split()[0] for line in lines] == ["2", "4", "4"]
    assert lines[0] == "2 from the journal"


@pytest.mark.parametrize("name", ["agent_loop.py", "agent_loop_async.py"])
def test_agent(name: str) -> None:
    assert run(name) == "The sum of the squares is 50.\n"


@pytest.mark.skipif(importlib.util.find_spec("pandas") is None, reason="needs pandas")
@pytest.mark.parametrize("name", ["figure.py", "figure_async.py"])
@pytest.mark.long
def test_figure(name: str, tmp_path: Path) -> None:
    assert run(name) == "{'apples': 123, 'pears': 36}\nsold.png\n"
    with Image.open(tmp_path / "sold.png") as picture:
        assert picture.width > picture.height > 100


@pytest.mark.long
@needs_browser
@pytest.mark.parametrize("name", ["crawl.py", "crawl_async.py"])
def test_crawl(name: str) -> None:
    assert run(name) == "Home 2\nFruit 2\nPears 0\n"


@pytest.mark.long
def test_dask() -> None:
    assert run("dask_batch.py") == "[1, 4, 9, 16, 25, 36]\n"


def test_tests_of_a_program(tmp_path: Path) -> None:
    """Run the example in a directory of its own, where pytest finds no configuration of this project."""
    shutil.copy(EXAMPLES / "test_report.py", tmp_path)
    options = {"network": "isolated", "warm": 0, "allow_none": True}  # a runtime like that of the other tests
    (tmp_path / "conftest.py").write_text(
        f"import pytest\n\n@pytest.fixture(scope='session')\ndef agb_runtime_options():\n    return {options}\n"
    )
    plugin = (
        [] if any(point.name == "agb" for point in entry_points(group="pytest11")) else ["-p", "agb.testing.plugin"]
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *plugin]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert "4 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.long
def test_asynchronous_programs_are_the_twins_of_the_synchronous_ones() -> None:
    """So that both do the same; the site shows the same text in a tab."""
    from tools.flavours import asynchronous  # imports mypy, and takes a while

    pages = {page: page.read_text("utf-8") for page in (DOCS / "cookbook").glob("*.md")}
    twins = {
        block: twin
        for page, found in asynchronous(pages).items()
        for (block, _), twin in zip(BLOCK.findall(pages[page]), found, strict=True)
    }
    for path in TWINS:
        twin = twins[path.with_name(path.name.replace("_async", "")).read_text("utf-8")]
        assert twin is not None
        assert ast.dump(ast.parse(path.read_text("utf-8"))) == ast.dump(ast.parse(twin)), path.name
