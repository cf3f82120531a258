"""The tool run_code: kernels that keep their state, give every kind of result, and can be stopped."""

from __future__ import annotations

import asyncio
import importlib.util
import json
from typing import Any

import pytest

from agb.local.errors import Refused
from agb.local.kernels import base, interpreters
from agb.local.kernels.base import Collected, Execution, Kernel
from agb.local.limits import Limits
from agb.local.sessions.runtime import Runtime
from agb.local.sessions.session import LocalSession

from .runtimes import IMAGE, call, needs_node, output, run, stopped

pytestmark = pytest.mark.asyncio


async def test_python(local_runtime: Runtime, box: LocalSession) -> None:
    """One kernel, many calls: starting one takes most of the time of a test."""

    async def python(code: str, **args: Any) -> dict[str, Any]:
        return await run(local_runtime, box, code, **args)

    first = await python("x = 40\nx + 2")
    assert first["result"] == [{"text/plain": "42", "isMainResult": True}]
    assert first["stdout"] == first["stderr"] == []
    assert first["executionError"] is None
    assert "error" not in first
    assert first["execution_count"] == 1
    assert first["execution_time"] >= 0

    # State, and nothing from what has no value.
    assert (await python("print(x)"))["stdout"] == ["40\n"]
    for nothing in ("# a comment", "None", "y = 1", "x;"):
        assert (await python(nothing))["result"] == []
    assert (await python("_"))["executionError"] is None

    # Displays in their order, then the value.
    shown = await python(
        "from IPython.display import HTML, Markdown, SVG, Latex, JSON, display\n"
        "display(HTML('<b>1</b>')); display(Markdown('*2*'))\n"
        "display(SVG('<svg xmlns=\"http://www.w3.org/2000/svg\"/>'))\n"
        "display(Latex('$3$')); display(JSON({'a': [1]}))\n'value'"
    )
    kinds = ["text/html", "text/markdown", "image/svg+xml", "text/latex", "application/json", "text/plain"]
    assert [kind in item for kind, item in zip(kinds, shown["result"], strict=True)] == [True] * 6
    assert [item["isMainResult"] for item in shown["result"]] == [False] * 5 + [True]
    assert shown["result"][4]["application/json"] == {"a": [1]}
    assert shown["result"][5]["text/plain"] == "'value'"

    # Every format of one value, objects staying objects; updates of a display.
    chart = await python(
        "class Chart:\n"
        "    def _repr_mimebundle_(self, **_):\n"
        "        chart = {'application/vnd.vegalite.v5+json': {'mark': 'bar'}}\n"
        "        return {**chart, 'text/html': '<i>', 'image/png': 'iVBORw0K'}\n"
        "Chart()"
    )
    assert chart["result"][0]["application/vnd.vegalite.v5+json"] == {"mark": "bar"}
    assert chart["result"][0]["image/png"] == "iVBORw0K"
    updated = await python("h = display('old', display_id=True); h.update('new')")
    assert [item["text/plain"] for item in updated["result"]] == ["'new'"]

    # Output of the code, of the modules beneath it, and of programs.
    said = await python(
        "import os, sys\nprint('a', flush=True)\nprint('b', file=sys.stderr)\nos.system('echo c; echo d >&2')"
    )
    assert "".join(said["stdout"]) == "a\nc\n"
    assert "".join(said["stderr"]) == "b\nd\n"

    # Errors, with the kernel as it was.
    failed = await python("1/0")
    assert failed["executionError"] == "ZeroDivisionError: division by zero"
    assert failed["error"]["name"] == "ZeroDivisionError"
    assert failed["error"]["value"] == "division by zero"
    assert "1/0" in failed["error"]["traceback"]
    assert "\x1b" not in failed["error"]["traceback"]
    assert (await python("a b"))["error"]["name"] == "SyntaxError"
    for question in ("input('name? ')", "import getpass; getpass.getpass()"):
        asked = await python(question)
        assert asked["error"]["name"] == "EOFError"
        assert "command.start(..., stdin=True)" in asked["error"]["value"]
    assert (await python("raise ValueError('\\ud800')"))["error"]["name"] in ("ValueError", "UnicodeEncodeError")
    assert (await python("x"))["result"][0]["text/plain"] == "40"

    # Files and directory are the shell's, and top-level await works.
    assert (await python("import asyncio\nawait asyncio.sleep(0, 'awaited')"))["result"][0]["text/plain"] == "'awaited'"
    await python("open('from_code.txt', 'w').write('1')")
    assert await output(local_runtime, box, "cat from_code.txt; echo 3 > from_shell.txt") == "1"
    assert (await python("print(open('from_shell.txt').read(), os.getcwd())"))["stdout"] == [
        f"3\n {box.sandbox.home}\n"
    ]
    assert [path.name for path in box.sandbox.directories.home.iterdir() if path.name.startswith(".")] == []

    # Code and shell beside one another, calls on one kernel after one another.
    results = await asyncio.gather(
        *(python(f"numbers = globals().get('numbers', []) + [{n}]; numbers") for n in range(5))
    )
    assert results[-1]["result"][0]["text/plain"] == "[0, 1, 2, 3, 4]"
    counts = [result["execution_count"] for result in results]
    assert counts == sorted(counts)


async def test_python_stopped(local_runtime: Runtime, box: LocalSession, monkeypatch: pytest.MonkeyPatch) -> None:
    async def python(code: str, **args: Any) -> dict[str, Any]:
        return await run(local_runtime, box, code, **args)

    await python("kept = 'kept'")
    for endless in ("while True: pass", "import time; time.sleep(1000)", "import os; os.system('sleep 1000')"):
        result = await stopped(python, f"print('so far')\n{endless}")
        assert result["executionError"].startswith("Execution timeout")
        assert "could not be interrupted" not in result["executionError"]
        assert "".join(result["stdout"]).startswith("so far\n")
        assert result["error"]["name"] == "TimeoutError"
    assert (await python("kept"))["result"][0]["text/plain"] == "'kept'"
    assert [process.name for process in await box.processes() if process.name == "sleep"] == []

    # What cannot be interrupted costs the kernel.
    monkeypatch.setattr(interpreters, "_GRACE_SECONDS", 0.3)
    stubborn = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\nprint('so far')\nwhile True: pass"
    result = await stopped(python, stubborn)
    assert "could not be interrupted" in result["executionError"]
    again = await python("'kept' in globals()")
    assert again["result"][0]["text/plain"] == "False"
    assert "this is a new one" in "".join(again["stderr"])
    assert "this is a new one" not in "".join((await python("1"))["stderr"])


class ScriptedKernel(Kernel):
    """A kernel whose code begins and ends when the test says so, and which counts its interrupts."""

    @property
    def is_alive(self) -> bool:
        return True

    def __init__(self, session: LocalSession) -> None:
        super().__init__(session.sandbox)
        self.interrupts = 0
        self.sent = asyncio.Event()
        self.end = asyncio.Event()

    async def start(self) -> None:
        """There is nothing to start."""

    async def evaluate(self, code: str, execution: Execution) -> None:
        self.sent.set()
        await self.end.wait()

    async def send_interrupt(self) -> None:
        self.interrupts += 1

    async def stop(self) -> None:
        """There is nothing to end."""


async def test_interrupt_waits_until_the_code_has_begun(box: LocalSession) -> None:
    kernel = ScriptedKernel(box)
    await kernel.interrupt()
    assert kernel.interrupts == 0  # no code, so the signal would hit an idle process

    running = asyncio.create_task(kernel.execute("1", Collected(100)))
    await kernel.sent.wait()
    interrupting = asyncio.create_task(kernel.interrupt())
    await asyncio.sleep(0)
    assert not interrupting.done()
    assert kernel.interrupts == 0
    kernel.note_begun()
    await interrupting
    assert kernel.interrupts == 1

    kernel.end.set()
    await running
    await kernel.interrupt()
    assert kernel.interrupts == 1


async def test_interrupt_of_code_that_ends_meanwhile(box: LocalSession) -> None:
    kernel = ScriptedKernel(box)
    running = asyncio.create_task(kernel.execute("1", Collected(100)))
    await kernel.sent.wait()
    interrupting = asyncio.create_task(kernel.interrupt())
    await asyncio.sleep(0)
    kernel.end.set()
    await running
    await interrupting
    assert kernel.interrupts == 0


async def test_interrupt_of_code_that_never_reports_that_it_runs(
    box: LocalSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "_BEGIN_SECONDS", 0.01)
    kernel = ScriptedKernel(box)
    running = asyncio.create_task(kernel.execute("1", Collected(100)))
    await kernel.sent.wait()
    await kernel.interrupt()
    assert kernel.interrupts == 1
    kernel.end.set()
    await running


async def test_python_kernel_that_dies(local_runtime: Runtime, box: LocalSession) -> None:
    died = await run(
        local_runtime, box, "print('last words', flush=True)\nimport os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    )
    assert "was ended by SIGSEGV" in died["executionError"]
    assert "next call gets a new one" in died["executionError"]
    assert (await run(local_runtime, box, "1 + 1"))["result"][0]["text/plain"] == "2"
    # Between two calls.
    await run(local_runtime, box, "import threading, os; threading.Timer(0, os._exit, [3]).start()")
    for kernel in [process for process in await box.processes() if "python_driver" in process.cmdline]:
        await output(local_runtime, box, f"while kill -0 {kernel.pid} 2>/dev/null; do :; done")
    assert "this is a new one" in "".join((await run(local_runtime, box, "1"))["stderr"])


async def test_caller_that_goes_away_frees_the_kernel(local_runtime: Runtime, box: LocalSession) -> None:
    await run(local_runtime, box, "kept = 1")
    await output(local_runtime, box, "mkfifo begun")
    task = asyncio.create_task(run(local_runtime, box, "open('begun', 'w').close()\nwhile True: pass"))
    await output(local_runtime, box, "cat begun")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await run(local_runtime, box, "kept"))["result"][0]["text/plain"] == "1"


async def test_release_ends_code(local_runtime: Runtime, box: LocalSession) -> None:
    await output(local_runtime, box, "mkfifo begun")
    code = "open('begun', 'w').close()\nwhile True: pass"
    task = asyncio.create_task(call(local_runtime, box, "run_code", code=code, language="python"))
    await output(local_runtime, box, "cat begun")
    local_runtime.release(box.id)
    with pytest.raises(Refused, match="is not found"):
        await task


async def test_much_output_does_no_harm() -> None:
    async with Runtime(allow_none=True, limits=Limits(output=1000)) as runtime:
        session = await runtime.create(IMAGE)
        result = await run(runtime, session, "for _ in range(100): print('x' * 999)\n'y' * 2000")
        huge = await run(runtime, session, "print('z' * 10_000_000); 'y' * 10_000_000")
        assert huge["result"][0] == {"text/plain": ("'" + "y" * 999), "isMainResult": True}
        assert huge["executionError"] is None
        assert huge["discarded"] == {"stdout": 10_000_001 - 1000, "results": 10_000_002 - 1000}
        assert "".join(result["stdout"]) == "x" * 999 + "\n"
        assert result["result"][0]["text/plain"] == "'" + "y" * 999
        assert result["discarded"] == {"stdout": 99_000, "results": 1002}
        assert (await run(runtime, session, "1"))["result"][0]["text/plain"] == "1"


async def test_two_sessions_share_nothing(local_runtime: Runtime, box: LocalSession) -> None:
    other = await local_runtime.create(IMAGE)
    await run(local_runtime, box, "mine = 1")
    assert (await run(local_runtime, other, "mine"))["error"]["name"] == "NameError"


@needs_node
async def test_javascript(local_runtime: Runtime, box: LocalSession) -> None:
    async def node(code: str, **args: Any) -> dict[str, Any]:
        return await run(local_runtime, box, code, language="JS", **args)

    async def value(code: str) -> str | None:
        result = await node(code)
        assert result["executionError"] is None, result
        assert [item["isMainResult"] for item in result["result"]] in ([], [True])
        return result["result"][0]["text/plain"] if result["result"] else None

    assert await value("const a = 20; let b = 1; var c = 1; a + b") == "21"
    assert await value("const a = 40; a + b + c") == "42"  # declared again
    assert await value("const d = await Promise.resolve(5); d * 2") == "10"
    assert await value("{ x: 1, y: [2] }") == "{ x: 1, y: [ 2 ] }"
    assert await value("{ let z = 1; }") is None
    assert await value("function f() { return 'f' } f()") == "'f'"
    assert await value("class K { m() { return 1n } }; new K().m()") == "1n"
    assert [await value(code) for code in ("undefined", "null", "-0", "NaN", "Symbol('s')", "''")] == [
        None, "null", "-0", "NaN", "Symbol(s)", "''"
    ]  # fmt: skip
    assert await value("require('node:path').join('a', 'b')") == "'a/b'"
    assert await value("await new Promise(resolve => setTimeout(resolve, 1, 'later'))") == "'later'"

    # A promise that is the value is awaited, and what it prints, returns or throws belongs to the run.
    soon = "new Promise(resolve => setTimeout(resolve, 5))"
    later = await node(f"async function main() {{ await {soon}; console.log('done'); return {{a: 1}} }}\nmain()")
    assert (later["stdout"], later["result"][0]["text/plain"]) == (["done\n"], "{ a: 1 }")
    assert await value(f"{soon}.then(() => 7)") == "7"
    assert await value(soon) is None
    assert await value("Promise.prototype.then = 5; const p = Promise.resolve('own'); p") == "'own'"
    for failing in (
        f"(async () => {{ await {soon}; throw new Error('boom') }})()",
        "Promise.reject(new Error('boom'))",
    ):
        failed = await node(failing)
        assert failed["executionError"] == "Error: boom"
        assert failed["stderr"] == []
    result = await stopped(node, "console.log('so far'); new Promise(() => 1)")
    assert result["error"]["name"] == "TimeoutError"
    assert result["stdout"] == ["so far\n"]

    said = await node("console.log('out', {a: 1}); console.error('err'); process.stdout.write('☃'.repeat(50000)); 1")
    assert "".join(said["stdout"]) == "out { a: 1 }\n" + "☃" * 50_000
    assert said["stderr"] == ["err\n"]
    assert said["execution_count"] > 1

    assert await value("'x'.repeat(1000000)") == repr("x" * 1_000_000)
    assert len(await value("Array(1000).fill('x'.repeat(900000))") or "") < 2_000_000
    cut = await node("'x'.repeat(10000000)")
    assert (len(cut["result"][0]["text/plain"]), cut["discarded"]) == (4_000_000, {"results": 6_000_002})

    failed = await node("null.x")
    assert failed["executionError"].startswith("TypeError: Cannot read properties of null")
    assert "node_driver" not in failed["error"]["traceback"]
    assert (await node("let = ;"))["error"]["name"] == "SyntaxError"
    assert "oops" in (await node("throw 'oops'"))["executionError"]
    assert "rejected" in (await node("await Promise.reject(new Error('rejected'))"))["executionError"]
    assert "require()" in (await node("import fs from 'fs'"))["executionError"]

    for endless in ("while (true) {}", "await new Promise(() => setInterval(() => 1, 1000))"):
        result = await stopped(node, f"console.log('so far'); {endless}")
        assert result["executionError"].startswith("Execution timeout")
        assert result["stdout"] == ["so far\n"]
    assert await value("a") == "40"

    tricked = await node("require('fs').writeSync(3, '{\"id\": 0, \"text\": \"false\"}\\n'); 'true'")
    assert tricked["result"][0]["text/plain"] == "'true'"

    # Files are the shell's; an error in a callback does not end it; the end of its process is reported.
    await node("require('fs').writeFileSync('from_node.txt', 'n')")
    assert await output(local_runtime, box, "cat from_node.txt") == "n"
    loose = await node("setTimeout(() => { throw new Error('loose') }); await new Promise(r => setTimeout(r, 5)); 7")
    assert loose["result"][0]["text/plain"] == "7"
    assert "loose" in "".join(loose["stderr"])
    left = await node("console.log('last words'); process.reallyExit(3)")
    assert "exit status 3" in left["executionError"]
    assert left["stdout"] == ["last words\n"]
    assert await value("typeof a") == "'undefined'"


async def test_a_message_without_end_does_not_fill_the_memory(local_runtime: Runtime, box: LocalSession) -> None:
    """Code can reach the sockets of its kernel, and send there what it likes."""
    send = "get_ipython().kernel.iopub_thread.socket.send_multipart([bytes(30 << 20)] * 100, copy=False)"
    ended = await run(local_runtime, box, f"print('before', flush=True)\n{send}")
    assert "sent an invalid message" in ended["executionError"]
    assert ended["stdout"] == ["before\n"]
    again = await run(local_runtime, box, "1")
    assert again["executionError"] is None
    assert "this is a new one" in "".join(again["stderr"])


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"code": "1", "language": "cobol"}, "unsupported language 'cobol'; supported are java, javascript, python, r"),
        ({"code": "", "language": "python"}, "run_code: the code is empty"),
        ({"code": "", "language": "js"}, "run_code: the code is empty"),
        ({"code": "1", "language": "python", "timeout_s": 86_401}, "Expected `int` <= 86400"),
        ({"code": "1", "language": "python", "timeout_s": 0.0}, "Expected `int` >= 1"),
        ({"code": "1"}, "missing required field `language`"),
        ({"code": 1, "language": "python"}, "Expected `str`, got `int` - at `$.code`"),
        ({"code": "1", "language": "python", "timeout_s": -1}, "Expected `int` >= 1 - at `$.timeout_s`"),
        ({"code": "'\ud800'", "language": "python"}, "half of a surrogate pair"),
    ],
)
async def test_bad_arguments(
    shared_runtime: Runtime, shared_box: LocalSession, args: dict[str, object], said: str
) -> None:
    reply = await call(shared_runtime, shared_box, "run_code", **args)
    assert reply.is_error
    assert said in reply.text


async def test_language_that_is_missing(local_runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agb.local.kernels.interpreters.shutil.which", lambda *_, **__: None)
    languages = interpreters.find_languages()
    assert "javascript" not in languages.found
    assert "Node.js" in languages.missing["javascript"]
    assert "jshell" in languages.missing["java"]
    assert "Rscript" in languages.missing["r"]


@pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="matplotlib is not installed")
async def test_matplotlib(local_runtime: Runtime, box: LocalSession) -> None:
    code = "import matplotlib.pyplot as plt\nfor n in (1, 2):\n    plt.figure(); plt.plot([1, n]); plt.show()\n3"
    result = await run(local_runtime, box, code, timeout_s=600)
    assert ["image/png" in item for item in result["result"]] == [True, True, False], json.dumps(result)[:500]


@pytest.mark.parametrize("language", ["python", pytest.param("javascript", marks=needs_node)])
async def test_release_while_a_kernel_starts(local_runtime: Runtime, language: str) -> None:
    for turns in (1, 3, 10, 50):
        session = await local_runtime.create(IMAGE)
        task = asyncio.create_task(call(local_runtime, session, "run_code", code="1", language=language))
        for _ in range(turns):
            await asyncio.sleep(0)
        local_runtime.release(session.id)
        with pytest.raises(Refused, match="is not found"):
            await task
        await local_runtime.released(session.id)
