"""The generator: each of its rules, the source it refuses, its check, and the committed tree."""

from __future__ import annotations

import ast
from pathlib import Path
from textwrap import dedent, indent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools import unasync
from tools.unasync import GeneratorError, Names, Rules, Tree

SOURCE = Tree("src/agb/_async", "src/agb/_sync", by_hand=frozenset({"_compat"}), strings_are_prose=True)
TESTS = Tree("tests/_async", "tests/_sync")
RULES = Rules(
    names={
        "__aenter__": "__enter__",
        "__aexit__": "__exit__",
        "__aiter__": "__iter__",
        "__anext__": "__next__",
        "StopAsyncIteration": "StopIteration",
        "AbstractAsyncContextManager": "AbstractContextManager",
        "asynccontextmanager": "contextmanager",
        "_async": "_sync",
        "aclose": "close",
        "aserve": "serve",
        "handle_async_request": "handle_request",
        "pytest_asyncio": "pytest",
    },
    wrappers={"Awaitable": 0, "Coroutine": 2},
    marks=frozenset({"anyio", "asyncio"}),
)
NO_RULES = Rules(names={}, wrappers={}, marks=frozenset())


def sync(source: str) -> str:
    """Return the synchronous form of a snippet, before it is formatted."""
    banner, _, code = unasync.convert(dedent(source), "x.py", Names(RULES)).partition("\n")
    assert banner == "# Generated from x.py by tools/unasync.py. Do not edit."
    return code


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty repository with the trees of the real one."""
    for tree in (SOURCE, TESTS):
        (tmp_path / tree.source).mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text("[tool.ruff]\nline-length = 120\n")
    return tmp_path


def put(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(dedent(text))


# --- the rules ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        # the language
        ("async def f(): pass\n", "def f(): pass\n"),
        ("x = await f(1)\n", "x = f(1)\n"),
        ("async def f():\n    return (await g()).data\n", "def f():\n    return g().data\n"),
        ("x = (await (a or b)).data\n", "x = (a or b).data\n"),
        ("x = (\n    await a\n    .b()\n)\n", "x = (\n    a\n    .b()\n)\n"),
        ("x = (await a  # why\n)\n", "x = (a  # why\n)\n"),
        ("x = f'{await g()!r:>{await w()}}'\n", "x = f'{g()!r:>{w()}}'\n"),
        ("async def f():\n    async for x in y: pass\n", "def f():\n    for x in y: pass\n"),
        ("async def f():\n    async with a as b, c: pass\n", "def f():\n    with a as b, c: pass\n"),
        ("x = [y async for y in z if await y]\n", "x = [y for y in z if y]\n"),
        ("x = {k: v async for k, v in z}\n", "x = {k: v for k, v in z}\n"),
        # AsyncX
        ("class AsyncSession(AsyncBase): pass\n", "class Session(Base): pass\n"),
        ("x = agb.AsyncAGB()\n", "x = agb.AGB()\n"),
        ("x: AsyncIterator[AsyncSession]\n", "x: Iterator[Session]\n"),
        ("from a import AsyncX as AsyncY\n", "from a import X as Y\n"),
        ("class _AsyncPool: pass\n", "class _Pool: pass\n"),
        ("__all__ = ['AsyncAGB', \"AsyncSession\"]\n", "__all__ = ['AGB', \"Session\"]\n"),
        ("x: 'AsyncIterator[AsyncSession] | None'\n", "x: 'Iterator[Session] | None'\n"),
        ("x = f'AsyncSession {y} AsyncAGB'\n", "x = f'Session {y} AGB'\n"),
        ("x = 'a\\nAsyncSession'\n", "x = 'a\\nSession'\n"),
        ("x = r'\\bAsyncSession'\n", "x = r'\\bSession'\n"),
        ("x: AsyncGenerator[int, str]\n", "x: Generator[int, str, None]\n"),
        ("x = AsyncExitStack()\n", "x = ExitStack()\n"),
        # what only looks like it
        ("x = 'DeleteAsyncRequest', 'Async', 'asynchronous'\n", "x = 'DeleteAsyncRequest', 'Async', 'asynchronous'\n"),
        ("x = clear_async(DOWNLOAD_ASYNC)\n", "x = clear_async(DOWNLOAD_ASYNC)\n"),
        ("x = 'await f()'\n", "x = 'await f()'\n"),
        # names
        ("async def __aenter__(self): pass\n", "def __enter__(self): pass\n"),
        ("async def __aexit__(self, *args): pass\n", "def __exit__(self, *args): pass\n"),
        ("def __aiter__(self): pass\n", "def __iter__(self): pass\n"),
        (
            "async def __anext__(self):\n    raise StopAsyncIteration\n",
            "def __next__(self):\n    raise StopIteration\n",
        ),
        ("await self.aclose()\n", "self.close()\n"),
        ("x: AbstractAsyncContextManager[int]\n", "x: AbstractContextManager[int]\n"),
        ("@asynccontextmanager\nasync def f(): yield\n", "@contextmanager\ndef f(): yield\n"),
        ("async def handle_async_request(self): pass\n", "def handle_request(self): pass\n"),
        ("from .._async.client import AsyncAGB\n", "from .._sync.client import AGB\n"),
        ("import agb._async.client\n", "import agb._sync.client\n"),
        ("from tests._async import helpers\n", "from tests._sync import helpers\n"),
        ("patch('agb._async.api.sleep')\n", "patch('agb._sync.api.sleep')\n"),
        # types that say "wait for it"
        ("x: Awaitable[int]\n", "x: int\n"),
        ("x: Coroutine[Any, Any, int]\n", "x: int\n"),
        ("x: Callable[..., Awaitable[int]]\n", "x: Callable[..., int]\n"),
        ("x: Callable[[], Awaitable[int] | int]\n", "x: Callable[[], int]\n"),
        ("x: Awaitable[int] | None\n", "x: int | None\n"),
        ("from a import Awaitable\nx = 1\n", "x = 1\n"),
        ("from a import Awaitable, Callable\n", "from a import Callable\n"),
        ("from a import Callable, Awaitable\n", "from a import Callable\n"),
        # comments, which stay where they are
        ("f(\n    await x,  # of AsyncAGB\n    # then\n)  # end\n", "f(\n    x,  # of AGB\n    # then\n)  # end\n"),
        ("# An AsyncSession, an AsyncAGB: await s.info()\n", "# A Session, an AGB: s.info()\n"),
        ("# await the end\n", "# await the end\n"),
        # docstrings
        ('"""Return an `AsyncSession`."""\n', '"""Return a `Session`."""\n'),
        (
            '"""One.\n\n    async with AsyncAGB() as agb:\n        x = await agb.create()\n"""\n',
            '"""One.\n\n    with AGB() as agb:\n        x = agb.create()\n"""\n',
        ),
        (
            'async def f():\n    """async def g(): async for x in await y(): await x.aclose()"""\n',
            'def f():\n    """def g(): for x in y(): x.close()"""\n',
        ),
        ("class A:\n    x = 1\n    '''Of AsyncSession.'''\n", "class A:\n    x = 1\n    '''Of Session.'''\n"),
        # tests
        ("@pytest.mark.anyio\n@slow\nasync def test(): pass\n", "@slow\ndef test(): pass\n"),
        ("@pytest.mark.asyncio(loop_scope='module')\nasync def test(): pass\n", "def test(): pass\n"),
        ("pytestmark = pytest.mark.anyio\nx = 1\n", "x = 1\n"),
        ("pytestmark = [pytest.mark.anyio, pytest.mark.slow]\n", "pytestmark = [pytest.mark.slow]\n"),
        (
            "@pytest_asyncio.fixture(scope='module')\nasync def f(): pass\n",
            "@pytest.fixture(scope='module')\ndef f(): pass\n",
        ),
        ("@pytest.fixture\nasync def f(): yield\n", "@pytest.fixture\ndef f(): yield\n"),
        (
            "async with aserve() as url, httpx.AsyncClient() as c: pass\n",
            "with serve() as url, httpx.Client() as c: pass\n",
        ),
        ("class T(httpx.AsyncBaseTransport): pass\n", "class T(httpx.BaseTransport): pass\n"),
    ],
)
def test_rule(source: str, expected: str) -> None:
    assert sync(source) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("if ASYNC:\n    a\nelse:\n    b\n", "b\n"),
        ("if not ASYNC:\n    a\nelse:\n    b\n", "a\n"),
        ("if ASYNC:\n    a\nx\n", "x\n"),
        ("if not ASYNC:\n    a\n    b\nx\n", "a\nb\nx\n"),
        ("if not ASYNC: a; b\n", "a; b\n"),
        ("# why\nif ASYNC:\n    # this\n    a\nelse:\n    # that\n    b  # so\n", "# why\n# that\nb  # so\n"),
        ("def f():\n    if ASYNC:\n        a\n", "def f():\n    pass\n"),
        ("if ASYNC:\n    a\nelif x:\n    b\nelse:\n    c\n", "if x:\n    b\nelse:\n    c\n"),
        ("if x:\n    if ASYNC:\n        a\n    else:\n        b\nelse:\n    c\n", "if x:\n    b\nelse:\n    c\n"),
        ("class A:\n    if not ASYNC:\n\n        def f(self): pass\n", "class A:\n\n    def f(self): pass\n"),
        ("from ._compat import ASYNC, Lock\n", "from ._compat import Lock\n"),
        ("from ._compat import ASYNC\nx = 1\n", "x = 1\n"),
    ],
)
def test_branches_of_the_other_flavour_are_removed(source: str, expected: str) -> None:
    assert sync(source) == expected


def test_branch_in_a_chain_is_refused() -> None:
    with pytest.raises(GeneratorError, match=r"^x\.py:4: 'elif ASYNC' is not offered: write if and else$"):
        sync("\nif x:\n    a\nelif ASYNC:\n    b\n")


def test_source_that_does_not_parse_is_refused() -> None:
    with pytest.raises(GeneratorError, match=r"^x\.py:2: "):
        sync("x = 1\ny = = 2\n")


# --- generated programs: pairs of both flavours ---------------------------------------------------------------------

_Pair = tuple[str, str]
_ATOMS: st.SearchStrategy[_Pair] = st.sampled_from(
    [("x", "x"), ("AsyncX.y", "X.y"), ("'AsyncX'", "'X'"), ("f'{x} AsyncX'", "f'{x} X'"), ("1", "1")]
)

_EXPRESSION_SHAPES = [
    ("(await ({}))", "({})"),
    ("(await f({}))", "f({})"),
    ("(await f({})).aclose", "f({}).close"),
    ("[await g(a) async for a in h({})]", "[g(a) for a in h({})]"),
    ("{{a: 1 for a in h({})}}", "{{a: 1 for a in h({})}}"),
    ("(lambda a: {})", "(lambda a: {})"),
    ("f(a={})[AsyncX]", "f(a={})[X]"),
]
_STATEMENT_SHAPES = [
    ("async def f(a: AsyncX = {}) -> Awaitable[int]:", "def f(a: X = {}) -> int:"),
    ("async with {} as a:", "with {} as a:"),
    ("async for a in {}:", "for a in {}:"),
    ("while {}:", "while {}:"),
    ("class AsyncA({}):", "class A({}):"),
    ("if not ASYNC and {}:", "if not ASYNC and {}:"),
]


def _wrapped(inner: st.SearchStrategy[_Pair]) -> st.SearchStrategy[_Pair]:
    def wrap(shape: _Pair, value: _Pair) -> _Pair:
        return shape[0].format(value[0]), shape[1].format(value[1])

    return st.builds(wrap, st.sampled_from(_EXPRESSION_SHAPES), inner)


_EXPRESSIONS = st.recursive(_ATOMS, _wrapped, max_leaves=4)


def _block(inner: st.SearchStrategy[_Pair]) -> st.SearchStrategy[_Pair]:
    def nest(shape: _Pair, value: _Pair, bodies: list[_Pair]) -> _Pair:
        heads = shape[0].format(value[0]), shape[1].format(value[1])
        return (
            heads[0] + "\n" + indent("".join(body for body, _ in bodies), "    "),
            heads[1] + "\n" + indent("".join(body for _, body in bodies), "    "),
        )

    def branch(bodies: list[_Pair], others: list[_Pair], *, negated: bool) -> _Pair:
        first, second = "".join(body for body, _ in bodies), "".join(body for body, _ in others)
        head = "if not ASYNC:\n" if negated else "if ASYNC:\n"
        kept = bodies if negated else others
        return head + indent(first, "    ") + "else:\n" + indent(second, "    "), "".join(body for _, body in kept)

    bodies = st.lists(inner, min_size=1, max_size=3)
    return st.builds(nest, st.sampled_from(_STATEMENT_SHAPES), _EXPRESSIONS, bodies) | st.builds(
        branch, bodies, bodies, negated=st.booleans()
    )


_LINES = _EXPRESSIONS.map(lambda pair: (f"{pair[0]}  # AsyncX\n", f"{pair[1]}  # X\n"))
_PROGRAMS = st.recursive(_LINES, _block, max_leaves=6)


@given(_PROGRAMS)
def test_any_program_is_converted_to_its_twin(program: tuple[str, str]) -> None:
    source, expected = program
    result = sync(source)
    assert ast.dump(ast.parse(result)) == ast.dump(ast.parse(expected))
    assert result.count("#") == expected.count("#")
    assert sync(result) == result


# --- refused source -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "finding"),
    [
        ("import anyio\n\nanyio.sleep(1)\n", "1: left over: anyio (take it from _compat, or add a rule)"),
        ("x = 1\n\nasyncio.run(x)\n", "3: left over: asyncio (take it from _compat, or add a rule)"),
        ("f(\n    trio.sleep,\n)\n", "2: left over: trio (take it from _compat, or add a rule)"),
        ("x: Awaitable\n", "1: left over: Awaitable (its arguments are missing, or its rule is)"),
        ("x: list[Coroutine]\n", "1: left over: Coroutine (its arguments are missing, or its rule is)"),
        ("class TestAsyncThing: pass\n", "1: left over: TestAsyncThing (rename it, or add a rule)"),
        ("async_client = 1\n", "1: left over: async_client (rename it, or add a rule)"),
        ("pytest_asyncio.fixture\n", "1: left over: pytest_asyncio (rename it, or add a rule)"),
        ("httpcore.AnyIOBackend()\n", "1: left over: AnyIOBackend (take it from _compat, or add a rule)"),
        ("x = anyio_backend\n", "1: left over: anyio_backend (take it from _compat, or add a rule)"),
        ("def __anext__(self): pass\n", "1: left over: __anext__ (rename it, or add a rule)"),
        ("x.aread()\n", "1: left over: aread (rename it, or add a rule)"),
        ("x = ASYNC\n", "1: left over: ASYNC (it may only be asked by 'if ASYNC:' and 'if not ASYNC:')"),
        ("x = f'{ASYNC}'\n", "1: left over: ASYNC (it may only be asked by 'if ASYNC:' and 'if not ASYNC:')"),
        ('"""One.\n\nThen await it.\n"""\n', "3: left over: await (in text: write it neutrally, or keep"),
        ("x = 'use async with'\n", "1: left over: async with (in text: write it neutrally, or keep"),
        ("x = f'{y} await {y}'\n", "1: left over: await (in text: write it neutrally, or keep"),
    ],
)
def test_leftover_is_refused_with_file_and_line(root: Path, source: str, finding: str) -> None:
    put(root, "src/agb/_async/x.py", source)
    with pytest.raises(GeneratorError) as caught:
        unasync.generate(root, rules=NO_RULES)
    assert caught.value.findings[0].startswith(f"src/agb/_async/x.py:{finding}")
    assert len(caught.value.findings) == len({*source.splitlines()} & {"import anyio"}) + 1


def test_leftover_in_a_removed_branch_is_ignored(root: Path) -> None:
    source = """
    from ._compat import ASYNC

    if ASYNC:
        import anyio

        anyio.sleep(1)
    x = 1
    if not ASYNC:
        anyio.sleep(2)
    """
    put(root, "src/agb/_async/x.py", source)
    with pytest.raises(GeneratorError) as caught:
        unasync.generate(root, rules=NO_RULES)
    assert [finding.split(" (")[0] for finding in caught.value.findings] == ["src/agb/_async/x.py:10: left over: anyio"]


def test_text_may_name_the_libraries(root: Path) -> None:
    source = '"""The asynchronous client: asyncio and anyio are fine in prose."""\n\nx = 1  # trio waits: we await it\n'
    put(root, "src/agb/_async/x.py", source)
    assert unasync.generate(root, rules=NO_RULES)["src/agb/_sync/x.py"].endswith(source)


def test_string_of_a_test_may_be_a_program(root: Path) -> None:
    put(root, "tests/_async/test_x.py", "run('async def f(): await g()')\n")
    assert 'run("async def f(): await g()")' in unasync.generate(root, rules=NO_RULES)["tests/_sync/test_x.py"]


def test_all_findings_are_reported_at_once(root: Path) -> None:
    put(root, "src/agb/_async/a.py", "x = = 1\n")
    put(root, "src/agb/_async/b.py", "anyio\ntrio\n")
    put(root, "tests/_async/test_c.py", "\nasyncio\n")
    with pytest.raises(GeneratorError) as caught:
        unasync.generate(root, rules=NO_RULES)
    assert [finding.split(" ")[0] for finding in caught.value.findings] == [
        "src/agb/_async/a.py:1:",
        "src/agb/_async/b.py:1:",
        "src/agb/_async/b.py:2:",
        "tests/_async/test_c.py:2:",
    ]


@pytest.mark.parametrize(
    ("rules", "unused"),
    [
        (Rules({"aclose": "close", "aread": "read"}, {}, frozenset({"anyio"})), "aread"),
        (Rules({"aclose": "close"}, {"Awaitable": 0, "Coroutine": 2}, frozenset({"anyio"})), "Coroutine"),
        (Rules({"aclose": "close"}, {}, frozenset({"anyio", "asyncio"})), "asyncio"),
    ],
)
def test_unused_rule_is_refused(root: Path, rules: Rules, unused: str) -> None:
    put(root, "src/agb/_async/x.py", "x: Awaitable[int] = y.aclose()\n")
    put(root, "tests/_async/test_x.py", "@pytest.mark.anyio\nasync def test(): pass\n")
    if "Awaitable" not in rules.wrappers:
        put(root, "src/agb/_async/x.py", "x = y.aclose()\n")
    with pytest.raises(GeneratorError) as caught:
        unasync.generate(root, rules=rules)
    assert caught.value.findings == [f"unasync.py: no module needs the rule for {unused!r}: remove it"]


# --- whole trees ----------------------------------------------------------------------------------------------------


def test_result_is_formatted_and_has_no_unused_import(root: Path) -> None:
    source = '''
    """A module."""

    from __future__ import annotations

    from typing import TYPE_CHECKING

    from collections.abc import AsyncIterator, Awaitable, Iterator, Callable
    from contextlib import asynccontextmanager

    from ._compat import ASYNC

    if TYPE_CHECKING:
        from typing import Awaitable
    if ASYNC:
        import anyio

    __all__ = ["AsyncSession", "Code"]

    x: Callable[..., Awaitable[Iterator[AsyncIterator[int]]]] = [
        (await f())
    ]

    @asynccontextmanager
    async def f(): yield
    '''
    expected = '''\
    # Generated from src/agb/_async/x.py by tools/unasync.py. Do not edit.

    """A module."""

    from __future__ import annotations

    from collections.abc import Callable, Iterator
    from contextlib import contextmanager

    __all__ = ["Code", "Session"]

    x: Callable[..., Iterator[Iterator[int]]] = [f()]


    @contextmanager
    def f():
        yield
    '''
    put(root, "src/agb/_async/x.py", source)
    rules = Rules({"asynccontextmanager": "contextmanager"}, {"Awaitable": 0}, frozenset())
    assert unasync.generate(root, rules=rules) == {"src/agb/_sync/x.py": dedent(expected)}


def test_tree_is_written_once(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(root, "src/agb/_async/_compat/loop.py", "import anyio\n")
    put(root, "src/agb/_async/a.py", "async def f(): pass\n")
    put(root, "src/agb/_async/deep/b.py", "x = 1\n")
    put(root, "tests/_async/test_c.py", "async def test(): pass\n")
    put(root, "src/agb/_sync/_compat/loop.py", "import time\n")
    put(root, "src/agb/_sync/gone.py", "# Generated from src/agb/_async/gone.py by hand.\n")
    assert unasync.main([], root, NO_RULES) == 0
    written = ["src/agb/_sync/gone.py", "src/agb/_sync/a.py", "src/agb/_sync/deep/b.py", "tests/_sync/test_c.py"]
    assert capsys.readouterr().out.splitlines() == [f"wrote {path}" for path in written]
    assert (root / "src/agb/_sync/_compat/loop.py").read_text() == "import time\n"
    assert not (root / "src/agb/_sync/gone.py").exists()
    assert (root / "tests/_sync/test_c.py").read_text() == (
        "# Generated from tests/_async/test_c.py by tools/unasync.py. Do not edit.\ndef test():\n    pass\n"
    )
    assert unasync.main([], root, NO_RULES) == 0
    assert unasync.main(["--check"], root, NO_RULES) == 0
    assert capsys.readouterr() == ("", "")


def test_check_names_every_difference_and_writes_nothing(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b", "c"):
        put(root, f"src/agb/_async/{name}.py", "x = 1\ny = 2\n")
    unasync.main([], root, NO_RULES)
    put(root, "src/agb/_sync/a.py", (root / "src/agb/_sync/a.py").read_text().removesuffix("y = 2\n"))  # cut short
    (root / "src/agb/_sync/b.py").unlink()
    (root / "src/agb/_async/c.py").unlink()
    before = {path: path.read_bytes() for path in root.rglob("*.py")}
    capsys.readouterr()
    assert unasync.main(["--check"], root, NO_RULES) == 1
    out, err = capsys.readouterr()
    assert [line for line in out.splitlines() if line.startswith("src")] == [
        "src/agb/_sync/c.py: its source is gone",
        "src/agb/_sync/a.py: differs",
        "src/agb/_sync/b.py: missing",
    ]
    assert "    +y = 2" in out.splitlines()
    assert err.rstrip().endswith("run python tools/unasync.py")
    assert {path: path.read_bytes() for path in root.rglob("*.py")} == before


def test_file_that_was_not_generated_is_left_alone(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(root, "src/agb/_async/a.py", "x = 1\n")
    put(root, "src/agb/_sync/mine.py", "x = 1\n")
    assert unasync.main([], root, NO_RULES) == 1
    assert capsys.readouterr().err == "src/agb/_sync/mine.py:1: not generated, and has no source: move it away\n"
    assert (root / "src/agb/_sync/mine.py").exists()
    assert not (root / "src/agb/_sync/a.py").exists()


def test_finding_is_printed_and_nothing_written(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(root, "src/agb/_async/a.py", "x = 1\n")
    put(root, "src/agb/_async/b.py", "trio\n")
    assert unasync.main([], root, NO_RULES) == 1
    assert capsys.readouterr().err == "src/agb/_async/b.py:1: left over: trio (take it from _compat, or add a rule)\n"
    assert not (root / "src/agb/_sync").exists()
