"""Python code as in a script: its streams, its exit, interrupts while it waits, and output between two runs."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from agb.local.kernels.base import Live
from agb.local.kernels.output import KernelOutput
from agb.local.kernels.python import PythonKernel
from agb.local.sessions.runtime import Runtime
from agb.local.sessions.session import LocalSession
from agb.local.sessions.tools import stream_code

from .runtimes import IMAGE, needs_node, output, run, stopped

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def local_runtime() -> AsyncIterator[Runtime]:
    async with Runtime(allow_none=True, network="isolated") as runtime:
        yield runtime


@pytest_asyncio.fixture(loop_scope="module")
async def box(local_runtime: Runtime) -> LocalSession:
    return await local_runtime.create(IMAGE)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(local_runtime: Runtime) -> Any:
    """The Python of a session that tests share which leave nothing behind but variables."""
    box = await local_runtime.create(IMAGE)

    async def python(code: str, **args: Any) -> dict[str, Any]:
        return await run(local_runtime, box, code, **args)

    return python


@pytest.fixture
def python(local_runtime: Runtime, box: LocalSession) -> Any:
    async def python(code: str, **args: Any) -> dict[str, Any]:
        return await run(local_runtime, box, code, **args)

    return python


def said(result: dict[str, Any]) -> str:
    assert result["executionError"] is None, result
    return "".join(result["stdout"])


# --- exit ---


@pytest.mark.parametrize("module", ["", "from_module."])
async def test_exit_stops_the_code(local_runtime: Runtime, box: LocalSession, python: Any, module: str) -> None:
    await output(local_runtime, box, "printf 'def leave(*code):\\n    exit(*code)\\n' > from_module.py")
    await python("import sys, from_module; kept = 1")
    ways = ["from_module.leave"] if module else ["sys.exit", "exit", "quit"]
    for way in ways:
        for code, value in (("1", "1"), ("'words'", "words"), ("True", "True")):
            left = await python(f"print('before')\n{way}({code})\nprint('after')")
            assert left["error"]["name"] == "SystemExit"
            assert left["error"]["value"] == value
            assert way in left["error"]["traceback"]
            assert "python_kernel" not in left["error"]["traceback"]
            assert (left["stdout"], left["stderr"]) == (["before\n"], [])
        for code in ("", "0", "None", "False"):
            left = await python(f"print('before')\n{way}({code})\nprint('after')")
            assert said(left) == "before\n"
            assert left["stderr"] == []
    assert said(await python("print(kept)")) == "1\n"
    # Also where other code could wait for it, and with warnings that are always shown.
    await python("import warnings; warnings.simplefilter('always')")
    left = await python("import asyncio\nawait asyncio.sleep(0)\nexit(3)")
    assert left["executionError"] == "SystemExit: 3"
    assert left["stderr"] == []


# --- start ---


async def test_a_kernel_starts_without_a_debugger(python: Any) -> None:
    """Which would take a third of its start; code can import it."""
    debuggers = "[name for name in sys.modules if name.startswith(('debugpy', '_pydevd', 'pydevd'))]"
    assert said(await python(f"import sys; print({debuggers})")) == "[]\n"
    assert said(await python("import debugpy; print(debugpy.__name__)")) == "debugpy\n"


# --- interrupts ---


@pytest.mark.parametrize(
    "code",
    [
        "await asyncio.sleep(1000)",
        "await asyncio.gather(*(asyncio.sleep(1000) for _ in range(3)))",
        "await asyncio.Event().wait()",
        "await asyncio.to_thread(threading.Event().wait, 5)",
        "await asyncio.sleep(0); time.sleep(1000)",
        "async def busy():\n    while True: pass\nawait asyncio.gather(busy(), asyncio.sleep(1000))",
        "async with asyncio.timeout(1000):\n    async for _ in forever(): pass",
    ],
)
async def test_interrupt_in_top_level_await(shared: Any, code: str) -> None:
    await shared(
        "import asyncio, threading, time; kept = 7\n"
        "async def forever():\n    while True:\n        await asyncio.sleep(0.01)\n        yield 1"
    )
    result = await stopped(shared, f"print('so far')\n{code}")
    assert re.fullmatch(r"Execution timeout: the code ran longer than [\d.]+ s\.", result["executionError"])
    assert result["stdout"] == ["so far\n"]
    assert said(await shared("await asyncio.sleep(0); print(kept)")) == "7\n"


async def test_code_that_stops_the_event_loop(shared: Any) -> None:
    await shared("import asyncio; kept = 7; asyncio.get_running_loop().stop()")
    assert said(await shared("await asyncio.sleep(0); print(kept)")) == "7\n"


# --- streams ---


async def test_streams_are_a_scripts(python: Any) -> None:
    await python("import codecs, contextlib, io, os, shutil, subprocess, sys")
    for code, expected in {
        "print('half \\ud800')": "half ?\n",
        "sys.stdout.buffer.write(b'raw\\n')": "raw\n",
        "print('x', file=io.TextIOWrapper(sys.stdout.buffer, line_buffering=True))": "x\n",
        "sys.stdout.reconfigure(encoding='utf-8', line_buffering=True); print('y')": "y\n",
        "shutil.copyfileobj(io.BytesIO(b'z\\n'), sys.stdout.buffer)": "z\n",
        "os.write(sys.stdout.fileno(), b'direct\\n')": "direct\n",
        "subprocess.run(['echo', 'child'], stdout=sys.stdout)": "child\n",
        "sys.stdout.close(); print('open')": "open\n",
        "print('part', end='')": "part",
        "print(sys.stdout.encoding, sys.stdout.isatty(), sys.stdin.read())": "utf-8 False \n",
        "with contextlib.redirect_stdout(io.StringIO()): print('hidden')": "",
        "print('☃' * 100_000)": "☃" * 100_000 + "\n",
    }.items():
        assert said(await python(f"{code};" if ":" not in code else code)) == expected, code
    await python("sys.stderr.buffer.write(b'e\\n');")
    # What the code puts in their place stays, unless the kernel could not go on.
    assert said(await python("sys.stdout = codecs.getwriter('utf-8')(sys.stdout.detach()); print('1')")) == "1\n"
    assert said(await python("print('2')")) == "2\n"
    await python("sys.stdout = open('closed', 'w'); sys.stdout.close()")
    await python("class Broken: write = flush = None\nsys.stderr = Broken()")
    assert said(await python("print('3', file=sys.stderr)")) == ""


async def test_forked_children_write_whole_lines(shared: Any) -> None:
    code = (
        "import multiprocessing, os\n"
        "def work(n):\n    for _ in range(50): print(str(n) * 60)\n"
        "print('begun ', end='')\n"
        "with multiprocessing.get_context('fork').Pool(4) as pool: pool.map(work, range(4))\n"
        "if (child := os.fork()) == 0:\n    print('forked'); os._exit(0)\n"
        "os.waitpid(child, 0); print('end')"
    )
    lines = said(await shared(code)).removeprefix("begun ").splitlines()
    assert sorted(lines) == sorted([str(n) * 60 for n in range(4) for _ in range(50)] + ["forked", "end"])


class Events:
    """The events of code, in order; each new one sets ``arrived``."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.arrived = asyncio.Event()

    def __call__(self, kind: str, payload: dict[str, Any]) -> None:
        text = payload["chunk"] if kind != "result" else payload["result"]["mime"]["text/plain"]
        self.seen.append(f"{kind} {text}")
        self.arrived.set()


async def test_order_of_text_and_displays(box: LocalSession) -> None:
    events = Events()
    code = "for n in range(20):\n    print(n)\n    display(n)\n    print(n, file=__import__('sys').stderr)\n'end'"
    await stream_code(box, {"code": code, "language": "python"}, Live(1 << 20, events))
    expected = [f"{kind} {n}" for n in range(20) for kind in ("stdout", "result", "stderr")]
    assert [event.strip() for event in events.seen] == [*expected, "result 'end'"]
    # Many displays in a row, of which the receipts wait in the pipe.
    events = Events()
    code = "for n in range(1000):\n    display(n)\nprint('text')"
    await stream_code(box, {"code": code, "language": "python"}, Live(1 << 20, events))
    assert events.seen == [*(f"result {n}" for n in range(1000)), "stdout text\n"]


async def test_part_of_a_line_arrives_while_the_code_runs(local_runtime: Runtime, box: LocalSession) -> None:
    await output(local_runtime, box, "mkfifo go")
    events = Events()
    code = "print('part', end='')\nopen('go').read()\nprint('rest')"
    running = asyncio.create_task(stream_code(box, {"code": code, "language": "python"}, Live(1 << 20, events)))
    await events.arrived.wait()
    assert events.seen == ["stdout part"]
    await output(local_runtime, box, "echo > go")
    await running
    assert "".join(event.removeprefix("stdout ") for event in events.seen) == "partrest\n"


# --- output that is late, or the last ---


@pytest.mark.parametrize(
    ("language", "late", "end"),
    [
        ("python", "import threading\ndef f():\n    go(); print('LATE')\nthreading.Thread(target=f).start()", "stdout"),
        (
            "python",
            "import subprocess; child = subprocess.Popen(['sh', '-c', 'read line < go; echo LATE >&2'])",
            "stderr",
        ),
        pytest.param("javascript", "fs.readFile('go', () => console.log('LATE')); 0", "stdout", marks=needs_node),
    ],
)
async def test_output_between_runs(
    local_runtime: Runtime, box: LocalSession, language: str, late: str, end: str
) -> None:
    await output(local_runtime, box, "mkfifo go")
    begin = {"python": "def go(): open('go').read()", "javascript": "const fs = require('fs')"}[language]
    for code in (begin, late):
        first = await run(local_runtime, box, code, language)
        assert (first["stdout"], first["stderr"]) == ([], [])
    kernel = box.interpreter(language)._kernel
    assert kernel is not None
    assert kernel.output is not None
    await output(local_runtime, box, "echo > go")
    while not any(stream.late for stream in kernel.output._streams):
        await asyncio.sleep(0.01)  # waits on purpose: there is no event for output without a run
    code = "print('next')" if language == "python" else "console.log('next')"
    second = await run(local_runtime, box, code, language)
    assert second["stdout"] == ["next\n"]
    assert second["stderr"] == [f"[{end} between the runs]\nLATE\n[end of the output between the runs]\n"]
    third = await run(local_runtime, box, code, language)
    assert (third["stdout"], third["stderr"]) == (["next\n"], [])


async def test_much_output_between_runs(box: LocalSession) -> None:
    collected = KernelOutput(box.sandbox)
    stream = collected._streams[0]
    stream._put(b"x" * (3 << 20))
    texts: list[str] = []

    class Sink:
        def write(self, name: str, text: str) -> None:
            texts.append(text)

        def discard(self, name: str, size: int) -> None:
            texts.append(f"{size} of {name} discarded")

    collected.pass_late(Sink())
    assert texts[0].count("x") == 1 << 20
    assert texts[1:] == [f"{2 << 20} of stderr discarded"]
    collected.close()


async def test_last_words_are_delivered(local_runtime: Runtime, box: LocalSession, python: Any) -> None:
    died = await python("import os\nfor n in range(1000): print(n)\nos._exit(3)")
    assert "ended with exit status 3" in died["executionError"]
    assert "".join(died["stdout"]) == "".join(f"{n}\n" for n in range(1000))
    # Between two runs as well.
    await output(local_runtime, box, "mkfifo go")
    late = "open('go').read(); print('last'); os._exit(3)"
    await python(f"import os, threading\ndef f():\n    {late}\nthreading.Thread(target=f).start()")
    await output(local_runtime, box, "echo > go")
    kernel = box.interpreter("python")._kernel
    assert isinstance(kernel, PythonKernel)
    assert kernel._process is not None
    await kernel._process.wait()
    after = await python("print('new')")
    assert after["stdout"] == ["new\n"]
    assert "last\n" in "".join(after["stderr"])
    assert "".join(after["stderr"]).endswith("this is a new one without its variables]\n")
