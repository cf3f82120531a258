"""The pytest plugin of `agb.testing`, used as a user does: test modules in a directory of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import agb
from agb.local import LocalServer
from agb.testing import Cassette, UnknownRequest
from agb.testing.observed import ReceivedAnswer, SentRequest
from tools.guides import BLOCK, DOCS

pytest_plugins = "pytester"

SRC = Path(agb.__file__).parent.parent
IS_INSTALLED = any(point.name == "agb" for point in entry_points(group="pytest11"))
PLUGIN = [] if IS_INSTALLED else ["-p", "agb.testing.plugin"]
"""How the plugin is loaded: the environment of development may have been made before there was one."""

OTHERS = [part for name in ("hypothesispytest", "pytest_httpx", "respx") for part in ("-p", f"no:{name}")]
"""Plugins that are left out, since they take half of the time in which pytest starts."""

Run = Callable[..., pytest.RunResult]


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run pytest in the directory of the test, with warnings as errors, and with the package that is tested."""
    monkeypatch.setenv("PYTHONPATH", str(SRC))

    def run(*arguments: str) -> pytest.RunResult:
        loop_scope = "" if "no:asyncio" in arguments else "asyncio_default_fixture_loop_scope = function\n"
        pytester.makeini(f"[pytest]\nfilterwarnings = error\n{loop_scope}")
        return pytester.runpytest_subprocess(*PLUGIN, *OTHERS, "-p", "no:cacheprovider", *arguments, timeout=120)

    return run


@pytest.fixture
def service(runtime: LocalServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """The option that runs tests on the runtime of this suite, as on any service."""
    monkeypatch.setenv("AGB_API_KEY", runtime.api_key)
    return f"--agb-endpoint={runtime.endpoint}"


def test_one_runtime_for_all_workers(pytester: pytest.Pytester, run: Run) -> None:
    """It is gone when the run has ended; a session that is left behind fails the test that has left it."""
    pytester.makeconftest("""
        import pytest

        @pytest.fixture(scope="session")
        def agb_runtime_options():
            return {"allow_none": True, "network": "isolated", "warm": 0}

        @pytest.fixture(autouse=True)
        def note(request, agb_runtime, worker_id):
            with open("processes", "a") as file:
                file.write(f"{agb_runtime.server.pid} {worker_id}\\n")
    """)
    pytester.makepyfile("""
        import pytest

        def test_client(agb_client, agb_runtime):
            assert agb_client.endpoint == agb_runtime.endpoint
            assert agb_runtime.api_key not in repr(agb_runtime)

        def test_session(agb_session):
            assert agb_session.command.execute("echo hello").stdout == "hello\\n"

        def test_left_behind(agb_client, agb_session_params):
            agb_client.create(agb_session_params).raise_for_error()

        def test_deleted(agb_client, agb_session_params):
            assert agb_client.create(agb_session_params).raise_for_error().session.delete().success

        @pytest.mark.asyncio
        async def test_of_pytest_asyncio(async_agb_session):
            assert (await async_agb_session.command.execute("echo hello")).stdout == "hello\\n"

        @pytest.mark.anyio
        async def test_of_anyio(async_agb_session):
            assert (await async_agb_session.command.execute("echo hello")).stdout == "hello\\n"

        @pytest.mark.asyncio
        async def test_left_behind_by_an_asynchronous_one(async_agb_client, agb_session_params):
            (await async_agb_client.create(agb_session_params)).raise_for_error()
    """)
    result = run("-n2", "--dist=load")
    result.assert_outcomes(passed=8, errors=2)
    left = r"*the test left 1 session of {}agb_client behind: s-* (deleted now)*"
    result.stdout.fnmatch_lines_random([left.format(""), left.format("async_")])
    used = [line.split() for line in Path(pytester.path, "processes").read_text().splitlines()]
    assert {worker for _, worker in used} == {"gw0", "gw1"}
    (pid,) = {pid for pid, _ in used}
    assert not Path("/proc", pid).exists()


def test_guide_faults_and_asyncio_mode_auto(pytester: pytest.Pytester, run: Run) -> None:
    """Run the examples of docs/guides/testing.md together as a test module, and another one beside it."""
    examples = BLOCK.findall((DOCS / "guides" / "testing.md").read_text("utf-8"))
    pytester.makepyfile(
        test_guide="\n".join(code for code, _ in examples),
        test_more="""
            from test_guide import agb_runtime_options

            async def test_dropped(agb_faults, async_agb_client):
                fault = agb_faults.drop("ListSession", times=2)
                assert (await async_agb_client.list()).success
                assert fault.met == 2

            def test_misspelled(agb_faults, agb_client):
                agb_faults.rate_limit("listSesions")
                assert agb_client.list().success

            def test_both(agb_faults, agb_cassette, agb_client):
                pass
        """,
    )
    result = run("--asyncio-mode=auto", "-p", "no:anyio", "--agb-record=once")
    result.assert_outcomes(passed=9, errors=2)
    result.stdout.fnmatch_lines(
        [
            "*no request met these faults: rate limit at 'listSesions'. Operations requested: listsession",
            "*agb_faults and agb_cassette exclude each other*",
        ]
    )


def test_without_a_plugin_for_asynchronous_tests(pytester: pytest.Pytester, run: Run, service: str) -> None:
    pytester.makepyfile("""
        def test_blocking(agb_client):
            assert agb_client.list().success

        def test_asynchronous(async_agb_client):
            pass

        def test_faults(agb_faults):
            pass
    """)
    result = run(service, "-p", "no:asyncio", "-p", "no:anyio")
    result.assert_outcomes(passed=1, errors=1, skipped=1)
    result.stdout.fnmatch_lines(["*async_agb_client is an asynchronous fixture, and no plugin runs*"])


def test_cassettes(
    pytester: pytest.Pytester, run: Run, service: str, runtime: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are recorded once, and replayed without a service; a request that is not recorded fails the test."""
    pytester.makepyfile("""
        import os
        import pytest

        @pytest.mark.parametrize("word", ["one two"])
        def test_blocking(agb_cassette, agb_session, tmp_path, word):
            assert agb_session.command.execute("echo hello").stdout == "hello\\n"
            assert agb_session.file.write_stream("/tmp/data", [bytes(range(256))]).success
            context = agb_session.agb.context
            made = context.create("cassette-test").raise_for_error().context
            for name in ("a", "b"):
                (tmp_path / name).write_text(name)
                assert context.upload(made.id, tmp_path / name, f"/{name}").success
            assert context.download(made.id, "/a", tmp_path / "c").success
            assert (tmp_path / "c").read_text() == "a"
            assert context.delete(made).success

        @pytest.mark.asyncio
        async def test_asynchronous(agb_cassette, async_agb_session):
            assert (await async_agb_session.command.execute("echo hello")).success

        def test_changed(agb_cassette, agb_client):
            assert agb_client.list({"greeting": os.environ.get("GREETING", "hello")}).success
    """)
    run(service, "--agb-record=once").assert_outcomes(passed=3)
    recorded = Path(pytester.path, "cassettes", "test_cassettes")
    names = {"test_blocking-one-two.yaml", "test_asynchronous.yaml", "test_changed.yaml"}
    assert {path.name for path in recorded.iterdir()} == names
    text = (recorded / "test_blocking-one-two.yaml").read_text()
    assert "command: echo hello" in text
    assert "token: '****'" in text
    assert runtime.api_key not in text
    assert "/contexts/files/signed-2" in text
    assert runtime.endpoint.partition("://")[2] not in text

    monkeypatch.delenv("AGB_API_KEY")
    pytester.makeconftest("""
        import pytest

        @pytest.fixture(scope="session")
        def agb_runtime_options():
            raise RuntimeError("a runtime would be started")
    """)
    monkeypatch.setenv("GREETING", "goodbye")
    result = run("--agb-record=once")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*UnknownRequest: GET service.invalid/sdk/ListSession is not recorded in *",
            "*-    greeting: hello",
            "*+    greeting: goodbye",
        ]
    )


def asked(number: int, host: str = "service.invalid", *, upgrade: bool = False) -> SentRequest:
    body = json.dumps({"sessionId": f"s-{number}"}).encode()
    return SentRequest("POST", "http", host, "/mcp/getSession", "application/json", body, upgrade)


def test_modes_of_a_cassette(tmp_path: Path) -> None:
    path = tmp_path / "cassette.yaml"
    answer = ReceivedAnswer(200, [("content-type", "application/json")], b'{"data": "http://127.0.0.1:9/a"}')
    assert not Cassette(path).records
    with pytest.raises(UnknownRequest, match=r"there is no cassette .*--agb-record=once records one"):
        Cassette(path).before(asked(1))
    for mode, number in (("once", 1), ("new", 2)):
        cassette = Cassette(path, mode)
        assert cassette.before(asked(number, "127.0.0.1:9")) is None
        cassette.after(asked(number, "127.0.0.1:9"), answer)
        cassette.save()
    assert not Cassette(path, "once").records
    replayed = Cassette(path)
    for number in (2, 1):
        found = replayed.before(asked(number))
        assert found is not None
        assert json.loads(found.body) == {"data": "http://service.invalid/a"}
    with pytest.raises(UnknownRequest, match=r"is recorded once in .* and was requested once more"):
        replayed.before(asked(1))
    with pytest.raises(pytest.fail.Exception, match="was requested once more"):
        replayed.check_known()
    with pytest.raises(UnknownRequest, match="live output uses a WebSocket"):
        replayed.before(asked(1, upgrade=True))
    renewed = Cassette(path, "all")
    assert renewed.before(asked(1, "127.0.0.1:9")) is None
    renewed.after(asked(1, "127.0.0.1:9"), answer)
    renewed.save()
    with pytest.raises(UnknownRequest, match="s-2"):
        Cassette(path).before(asked(2))
    path.write_text("format: 7\n")
    with pytest.raises(ValueError, match="is not a cassette: it has the format 7"):
        Cassette(path)


def test_option_without_a_key(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_inprocess(*PLUGIN, "-p", "no:cacheprovider", "-p", "no:asyncio", "--agb-endpoint=cloud")
    assert result.ret is pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--agb-endpoint needs the API key in the environment variable AGB_API_KEY"])


def test_plugin_loads_next_to_nothing() -> None:
    """Every run of pytest loads it; `import agb` loads neither it nor pytest."""
    program = (
        "import json, sys; import agb; without = sorted(sys.modules); import pytest; before = set(sys.modules); "
        "import agb.testing.plugin; print(json.dumps([without, sorted(set(sys.modules) - before)]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=SRC)
    without, loaded = json.loads(done.stdout)
    assert not {"agb.testing", "pytest"} & set(without)
    assert loaded == ["agb.testing", "agb.testing.async_fixtures", "agb.testing.plugin"]
