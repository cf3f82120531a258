"""JavaScript, Java and R: exits, and for Java and R state, values, errors, interrupts, and kernels that end.

The tests share a session, as a Java takes longer to start than most of them; each makes the variables that it uses.
"""

from __future__ import annotations

import asyncio
import base64
import shutil
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from agb.local.limits import Limits
from agb.local.sessions.runtime import Runtime
from agb.local.sessions.session import LocalSession

from .runtimes import IMAGE, call, output, run, stopped

pytestmark = pytest.mark.asyncio(loop_scope="module")

needs_java = pytest.mark.skipif(shutil.which("jshell") is None, reason="jshell is not installed")
needs_r = pytest.mark.skipif(shutil.which("Rscript") is None, reason="Rscript is not installed")
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_runtime() -> AsyncIterator[Runtime]:
    """A runtime with so little memory that a Java soon fills what it has of it."""
    async with Runtime(allow_none=True, network="isolated", limits=Limits(memory=1 << 30)) as runtime:
        yield runtime


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(shared_runtime: Runtime) -> LocalSession:
    return await shared_runtime.create(IMAGE)


@pytest_asyncio.fixture(loop_scope="module")
async def box(shared_runtime: Runtime) -> LocalSession:
    return await shared_runtime.create(IMAGE)


class Repl:
    """One language of one session."""

    def __init__(self, runtime: Runtime, session: LocalSession, language: str) -> None:
        self._where = runtime, session
        self._language = language

    async def __call__(self, code: str, **args: Any) -> dict[str, Any]:
        return await run(*self._where, code, self._language, **args)

    async def value(self, code: str) -> str | None:
        result = await self(code)
        assert result["executionError"] is None, result
        main = [item["text/plain"] for item in result["result"] if item["isMainResult"]]
        return main[0] if main else None

    async def said(self, code: str) -> tuple[str, str]:
        result = await self(code)
        assert result["executionError"] is None, result
        return "".join(result["stdout"]), "".join(result["stderr"])

    async def error(self, code: str, **args: Any) -> dict[str, str]:
        result = await self(code, **args)
        assert result["executionError"], result
        return dict(result["error"])


@needs_java
async def test_java(shared_runtime: Runtime, shared: LocalSession) -> None:
    assert shared_runtime.report.languages["java"].startswith("java ")
    java = Repl(shared_runtime, shared, "Java")
    assert await java.value("int x = 40; x + 2") == "42"
    assert await java.value("x = 41;") is None
    assert await java.value("x") == "41"
    assert await java.value('String x = "a\\"☃";\nx') == '"a\\"☃"'  # declared again, as something else
    for nothing in ("  \n", "// a comment", "int y = 1;", "void f() {}", "f()", "import java.time.*;"):
        assert await java.value(nothing) is None
    assert await java.value("List.of(3, 1).stream().sorted().collect(Collectors.toList())") == "[1, 3]"
    assert await java.value("int sq(int a) { return a * a; }\nsq(5)") == "25"
    assert await java.value('class P { public String toString() { return "P"; } }\nnew P()') == "P"
    assert await java.value("record R(int a) {}\nnew R(1)") == "R[a=1]"
    assert await java.value("new int[] {1, 2}") == "int[2] { 1, 2 }"
    loop = 'for (int i = 0; i < 2; i++) {\n  System.out.println(i);\n}\nSystem.err.print("é☃");'
    assert await java.said(loop) == ("0\n1\n", "é☃")
    assert await java.said("System.out.print(System.in.read())") == ("-1", "")
    assert await java.value('try { throw new Exception("caught"); } catch (Exception e) { y = 7; }\ny') == "7"
    assert len(await java.value('"x".repeat(1_000_000)') or "") == 1_000_002
    cut = await java('"x".repeat(10_000_000)')
    assert (len(cut["result"][0]["text/plain"]), cut["discarded"]) == (4_000_000, {"results": 6_000_002})

    thrown = await java.error("sq(1 / 0)")
    assert thrown["name"] == "java.lang.ArithmeticException"
    assert thrown["value"] == "/ by zero"
    assert (
        "Caused by: java.io.IOException: inner"
        in (await java.error('throw new RuntimeException("outer", new IOException("inner"));'))["traceback"]
    )
    assert "incompatible types" in (await java.error("String s = 3;"))["value"]
    assert "variable nowhere" in (await java.error("nowhere"))["value"]
    assert (await java.error("sq("))["name"] == "SyntaxError"
    assert (await java.error("int = ;"))["name"] == "CompileError"
    assert "nowhere" in (await java.error("void g() { nowhere(); }\ng();"))["value"]
    assert (await java("System.out.println(1);\nnowhere;\nSystem.out.println(2);"))["stdout"] == ["1\n"]

    await java('Files.writeString(Path.of("from_java.txt"), "j");')
    assert await output(shared_runtime, shared, "cat from_java.txt") == "j"
    assert await java.value("sq(3)") == "9"


@needs_java
@pytest.mark.long
async def test_java_stopped(shared_runtime: Runtime, shared: LocalSession) -> None:
    java = Repl(shared_runtime, shared, "java")
    await java("int kept = 1;")
    for endless in ("while (true) {}", "Thread.sleep(1_000_000);"):
        result = await stopped(java, f'System.out.println("so far");\n{endless}\nkept = 2;')
        assert result["executionError"].startswith("Execution timeout")
        assert "could not be interrupted" not in result["executionError"]
        assert result["stdout"] == ["so far\n"]
    assert await java.value("kept") == "1"
    ended = await java('System.out.print("last words"); System.out.flush(); Runtime.getRuntime().halt(3);')
    assert "exit status 3" in ended["executionError"]
    assert ended["stdout"] == ["last words"]
    assert "cannot find symbol" in (await java.error("kept"))["value"]
    greedy = await java.error(
        "var l = new ArrayList<long[]>(); while (true) l.add(new long[10_000_000]);", timeout_s=600
    )
    assert "OutOfMemoryError" in greedy["name"] or greedy["name"] == "KernelDied"
    assert await java.value("1 + 1") == "2"


@needs_r
async def test_r(shared_runtime: Runtime, shared: LocalSession) -> None:
    assert shared_runtime.report.languages["r"].startswith("R ")
    r = Repl(shared_runtime, shared, " R ")
    assert await r.value("x <- c(1, 2, 3)\nmean(x)") == "[1] 2"
    assert await r.value("sd(x)") == "[1] 1"
    for nothing in ("# a comment", "y <- 1", "invisible(3)", "NULL -> z"):
        assert await r.value(nothing) is None
    several = await r("1\n2\n3")
    assert [(item["text/plain"], item["isMainResult"]) for item in several["result"]] == [
        ("[1] 1", False), ("[1] 2", False), ("[1] 3", True)
    ]  # fmt: skip
    assert "wt" in (await r.value("lm(mpg ~ wt, mtcars)$coefficients") or "")
    assert await r.value("data.frame(a = 1:2, b = c('x', '☃\\t\"'))") == '  a    b\n1 1    x\n2 2 ☃\\t"'
    assert await r.value("'\\u00e9☃'") == '[1] "é☃"'
    out, err = await r.said("cat('hi\\n'); print(x); message('noted'); warning('careful')")
    assert out == "hi\n[1] 1 2 3\n"
    assert err == "noted\nWarning: careful\n"
    assert await r.said("system('cat')") == ("", "")  # takes no requests away

    plotted = (await r("plot(1:3); lines(1:3)\nhist(x)\n"))["result"]
    pictures = [base64.b64decode(item["image/png"]) for item in plotted if "image/png" in item]
    assert [picture[:4] for picture in pictures] == [b"\x89PNG"] * 2
    assert all(picture.endswith(b"IEND\xaeB`\x82") for picture in pictures)
    assert [item for item in (await r("1"))["result"] if "image/png" in item] == []

    failed = await r.error("f <- function(a) stop('bad ', a)\nf(1)")
    traceback = 'Error in f(1): bad 1\nf(1)\nstop("bad ", a)'
    assert failed == {"name": "Error", "value": "bad 1", "traceback": traceback, "reason": "exception"}
    assert "not found" in (await r.error("nowhere"))["value"]
    assert (await r.error("1 +* 2"))["name"] == "SyntaxError"
    assert "no package called" in (await r.error("library(nowhere)"))["value"]
    await r("sink('swallowed')")
    assert await r.said("cat('heard')") == ("heard", "")
    await r("writeLines('r', 'from_r.txt')")
    assert await output(shared_runtime, shared, "cat from_r.txt") == "r"
    assert await r.value("rm(list = ls()); exists('x')") == "[1] FALSE"


@needs_r
async def test_r_stopped(shared_runtime: Runtime, shared: LocalSession) -> None:
    r = Repl(shared_runtime, shared, "r")
    await r("kept <- 1")
    for endless in ("while (TRUE) {}", "Sys.sleep(1000)", "system('sleep 1000')"):
        result = await stopped(r, f"cat('so far\\n')\n{endless}")
        assert result["executionError"].startswith("Execution timeout")
        assert "could not be interrupted" not in result["executionError"]
        assert result["stdout"] == ["so far\n"]
    assert await r.value("kept") == "[1] 1"
    ended = await r("cat('last words')\n.Internal(quit('no', 3L, FALSE))")
    assert "exit status 3" in ended["executionError"]
    assert ended["stdout"] == ["last words"]
    again = await r("exists('kept')")
    assert again["result"][0]["text/plain"] == "[1] FALSE"
    assert "this is a new one" in "".join(again["stderr"])


JS_NEVER = "await new Promise(() => 0)"


@pytest.mark.parametrize(
    ("language", "keep", "kept", "exits"),
    [
        pytest.param(
            "javascript",
            "var kept = 1; process.on('exit', () => console.log('ended'))",
            "kept",
            [
                "process.exit(STATUS); console.log('after')",
                "try { process.exit(STATUS) } catch { console.log('after') } finally { console.log('after') }",
                "await 1; try { process.exit(STATUS) } catch { console.log('after') }",
                "[1].forEach(() => require('node:process').exit(STATUS))",
                "Promise.reject(1).catch(() => process.exit(STATUS))",
                f"setTimeout(() => {{ process.exit(STATUS); console.log('after') }}, 1); {JS_NEVER}",
                f"process.nextTick(() => process.exit(STATUS)); {JS_NEVER}",
                f"queueMicrotask(() => process.exit(STATUS)); {JS_NEVER}",
                f"require('fs').stat('/', () => process.exit(STATUS)); {JS_NEVER}",
                "new (require('async_hooks').AsyncLocalStorage)().run(0, () => process.exit(STATUS))",
                "process.exitCode = STATUS; process.exit()",
            ],
            id="javascript",
            marks=needs_node,
        ),
        pytest.param(
            "java",
            "int kept = 1; void leave(int status) { System.exit(status); }",
            "kept",
            [
                'System.exit(STATUS);\nSystem.out.print("after");',
                'try { System.exit(STATUS); } catch (Throwable thrown) {}\nSystem.out.print("after");',
                "List.of(1).forEach(number -> leave(STATUS));",
                "IntConsumer leave = System::exit; leave.accept(STATUS);",
                'new Thread(() -> System.exit(STATUS)).start(); Thread.sleep(1_000_000); System.out.print("after");',
            ],
            id="java",
            marks=needs_java,
        ),
        pytest.param(
            "r",
            "kept <- 1",
            "cat(kept)",
            [
                "quit(status = STATUS); cat('after')",
                "tryCatch(q('no', STATUS), error = function(e) cat('after')); cat('after')",
                "f <- function(x) base::quit(status = STATUS)\nsapply(1:3, f)",
                "sink('nowhere'); suppressWarnings(quit(status = STATUS))",
            ],
            id="r",
            marks=needs_r,
        ),
    ],
)
async def test_exit_stops_the_code(
    shared_runtime: Runtime, shared: LocalSession, language: str, keep: str, kept: str, exits: list[str]
) -> None:
    repl = Repl(shared_runtime, shared, language)
    assert (await repl(keep))["executionError"] is None
    for code in exits:
        left = await repl(code.replace("STATUS", "5"))
        assert left["executionError"] == "SystemExit: 5", code
        assert "driver" not in left["error"]["traceback"].lower()
        assert (left["stdout"], left["stderr"], left["result"]) == ([], [], [])
        left = await repl(code.replace("STATUS", "0"))
        assert left["executionError"] is None, code
        assert (left["stdout"], left["stderr"], left["result"]) == ([], [], [])
        after = await repl(kept)
        assert "1" in "".join(after["stdout"]) + str(after["result"]), code
        assert after["stderr"] == []


@needs_node
async def test_a_status_that_is_none(shared_runtime: Runtime, box: LocalSession) -> None:
    node = Repl(shared_runtime, box, "javascript")
    assert (await node.error("process.exit('words')"))["name"] == "TypeError"
    await node("process.exitCode = 7; process.exit()")
    assert (await node("process.exit()"))["executionError"] is None


@needs_node
async def test_exit_while_no_code_runs(shared_runtime: Runtime, box: LocalSession) -> None:
    node = Repl(shared_runtime, box, "javascript")
    await node(
        "const fs = require('fs')\n"
        "const look = () => {\n"
        "  if (!fs.existsSync('over')) return setTimeout(look, 5)\n"
        "  setTimeout(() => fs.writeFileSync('timer', ''), 1)\n"
        "  process.exit(5)\n"
        "  fs.writeFileSync('after', '')\n"
        "}\nlook(); 0"
    )
    assert await output(shared_runtime, box, "> over; until test -e timer; do sleep 0.02; done; ls") == "over\ntimer"
    late = ""
    async with asyncio.timeout(60):
        while "process.exit(5) was called while no code ran" not in late:  # it comes with the next run, or a later one
            ran = await node("1")
            assert ran["executionError"] is None
            late += "".join(ran["stderr"])


@pytest.mark.parametrize(
    ("language", "code"),
    [
        pytest.param("java", "new String(new char[] {(char) 0xD800})", marks=needs_java),
        pytest.param("r", "cat('\\xff'); rawToChar(as.raw(c(0x61, 0xff)))", marks=needs_r),
    ],
)
async def test_what_is_no_character(shared_runtime: Runtime, shared: LocalSession, language: str, code: str) -> None:
    assert (await run(shared_runtime, shared, code, language))["executionError"] is None
    assert (await run(shared_runtime, shared, "1 + 1", language))["result"][0]["text/plain"].endswith("2")


@pytest.mark.parametrize(
    ("language", "code"),
    [
        pytest.param(
            "java",
            'for (int i = 0; i < 200; i++) System.out.println("x".repeat(99_999));',
            marks=[needs_java, pytest.mark.long],
        ),
        pytest.param("r", "for (i in 1:20) cat(strrep('x', 999999), '\\n')", marks=needs_r),
    ],
)
async def test_much_output(language: str, code: str) -> None:
    async with Runtime(allow_none=True, network="isolated", limits=Limits(output=100_000)) as runtime:
        session = await runtime.create(IMAGE)
        result = await run(runtime, session, code, language)
        said = "".join(result["stdout"])
        assert len(said) == 100_000
        assert len(said) + result["discarded"]["stdout"] >= 200 * 100_000


async def test_language_that_is_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    which = shutil.which
    monkeypatch.setattr(
        "agb.local.kernels.interpreters.shutil.which",
        lambda name, **_: None if name in ("jshell", "Rscript") else which(name),
    )
    async with Runtime(allow_none=True, network="isolated") as runtime:
        session = await runtime.create(IMAGE)
        for language, package in (("java", "openjdk"), ("r", "r-base-core")):
            assert language not in runtime.report.languages
            reply = await call(runtime, session, "run_code", code="1", language=language)
            assert reply.is_error
            assert f"{language} is not available here: install" in reply.text
            assert package in reply.text


@needs_node
@needs_r
async def test_languages_beside_one_another(shared_runtime: Runtime, box: LocalSession) -> None:
    results = await asyncio.gather(
        *(run(shared_runtime, box, "1 + 1", language) for language in ("javascript", "r", "python", "javascript"))
    )
    assert [result["result"][0]["text/plain"] for result in results] == ["2", "[1] 2", "2", "2"]


@needs_r
async def test_r_code_cancelled_as_soon_as_it_is_sent(shared_runtime: Runtime, shared: LocalSession) -> None:
    """The signal waits for the code: an R that is still reading its request would end."""
    r = Repl(shared_runtime, shared, "r")
    await r.value("kept <- 41")
    for turns in (5, 20, 80):
        task = asyncio.create_task(r("Sys.sleep(1000)"))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await r.value("kept + 1") == "[1] 42"
