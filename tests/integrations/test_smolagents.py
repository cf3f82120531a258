"""The executor of smolagents: agents with a scripted model, tools, variables, errors, time limits and interruption."""

# pyright: reportMissingImports=false
from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

pytest.importorskip("smolagents", exc_type=ImportError)

import PIL.Image
from smolagents import ActionStep, CodeAgent, FinalAnswerStep, ToolCallingAgent, tool
from smolagents.utils import AgentError

from agb import AGB, AGBError, Config, CreateSessionParams
from agb.integrations.smolagents import AGBExecutor, session_tools
from agb.local import LocalServer

from .smolagents_models import CallingModel, ScriptedModel

PARAMS = CreateSessionParams(image_id="agb-code-space-1")


@pytest.fixture(scope="module")
def client(runtime: LocalServer) -> Iterator[AGB]:
    with AGB(runtime.api_key, Config(runtime.endpoint)) as client:
        yield client


@pytest.fixture
def executor(client: AGB) -> Iterator[AGBExecutor]:
    executor = AGBExecutor(PARAMS, agb=client, timeout_s=60)
    yield executor
    executor.cleanup()


@tool  # type: ignore[untyped-decorator]
def double(number: int) -> int:
    """Double a number.

    Args:
        number: the number.
    """
    return 2 * number


def agent_of(executor: AGBExecutor, *steps: str, **options: Any) -> CodeAgent:
    return CodeAgent(tools=[double], model=ScriptedModel(*steps), executor=executor, verbosity_level=0, **options)


def steps_of(agent: CodeAgent) -> list[ActionStep]:
    return [step for step in agent.memory.steps if isinstance(step, ActionStep)]


def test_agent_uses_tools_variables_and_what_failed_before(executor: AGBExecutor) -> None:
    agent = agent_of(executor, "x = double(given)\nprint('logged', x)", "x / 0", "x + 1", "final_answer({'x': x})")
    assert agent.run("go", additional_args={"given": 21}) == {"x": 42}
    first, second, third, _ = steps_of(agent)
    assert first.observations == "Execution logs:\nlogged 42\nLast output from code snippet:\nNone"
    assert "ZeroDivisionError\ndivision by zero" in str(second.error)
    assert str(third.observations).endswith("\n43")
    assert "ZeroDivisionError" in agent.model.seen[2]  # type: ignore[attr-defined]


def test_steps_are_streamed(executor: AGBExecutor) -> None:
    agent = agent_of(executor, "1 + 1", "final_answer('done')")
    kinds = [type(step) for step in agent.run("go", stream=True)]
    assert kinds.count(ActionStep) == 2
    assert kinds[-1] is FinalAnswerStep


@pytest.mark.parametrize(
    "value",
    [None, "ü" * 100_000, {"a": [1, 2.5, (3,), {4}, b"\x00\xff"], "day": date(2026, 1, 2)}, {1: "key"}],
    ids=["none", "long", "nested", "keys"],
)
def test_values_go_in_and_come_back(executor: AGBExecutor, value: Any) -> None:
    executor.send_variables({"value": value})
    agent = agent_of(executor, "final_answer(value)")
    assert agent.run("go", additional_args={"value": value}) == value


def test_pictures_are_values(executor: AGBExecutor) -> None:
    code = "import matplotlib\nmatplotlib.use('agg')\nfrom PIL import Image\nImage.new('RGB', (3, 2))"
    assert isinstance(executor(code).output, PIL.Image.Image)


def test_pickles_are_refused_unless_allowed(executor: AGBExecutor, client: AGB) -> None:
    with pytest.raises(Exception, match="object of type"):
        executor.send_variables({"value": object()})
    with pytest.raises(Exception, match="Pickle data rejected"):
        executor("class FinalAnswerException(BaseException): pass\nraise FinalAnswerException('pickle:gAROLg==')")
    trusting = AGBExecutor(PARAMS, agb=client, allow_pickle=True)
    assert (
        trusting(
            "class FinalAnswerException(BaseException): pass\nraise FinalAnswerException('pickle:gAROLg==')"
        ).output
        is None
    )
    trusting.cleanup()


def test_code_that_is_out_of_time_is_stopped(client: AGB) -> None:
    executor = AGBExecutor(PARAMS, agb=client, timeout_s=1)
    executor("x = 1")
    with pytest.raises(AgentError, match=r"(?s)begun.*Executing code yielded an error"):
        executor("print('begun', flush=True)\nwhile True: pass")
    assert executor("x").output == "1"
    executor.cleanup()


def test_interrupt_stops_the_code(executor: AGBExecutor) -> None:
    """Ctrl-C ends the code of the step; the variables are kept."""

    def press() -> None:
        executor.session.command.execute("until [ -e /tmp/begun ]; do sleep 0.01; done", 60_000, check=True)
        os.kill(os.getpid(), signal.SIGINT)

    executor("x = 1")
    thread = threading.Thread(target=press)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        executor("open('/tmp/begun', 'w').close()\nwhile True: pass")
    thread.join()
    assert executor("x").output == "1"


def test_packages_that_cannot_be_installed(client: AGB) -> None:
    """The sessions of the tests have no network; the one that could not be prepared is deleted."""
    with pytest.raises(AgentError, match="pip cannot install no-such-package"):
        AGBExecutor(PARAMS, agb=client, owner="packages", additional_imports=["no-such-package"])
    assert client.reap("smolagents:packages", even_if_alive=True).deleted == []


def test_sessions_have_an_owner_and_are_deleted_once(client: AGB) -> None:
    executor = AGBExecutor(PARAMS, agb=client, owner="nightly")
    assert len(client.reap("smolagents:nightly", even_if_alive=True).deleted) == 1
    with pytest.raises(AgentError, match="yielded an error"):
        executor("1")
    executor.cleanup()
    executor.cleanup()
    with pytest.raises(RuntimeError, match="cleaned up"):
        executor("1")
    with pytest.raises(AGBError, match="no-image"):
        AGBExecutor(CreateSessionParams(image_id="no-image"), agb=client)


def test_client_of_the_environment(runtime: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGB_API_KEY", runtime.api_key)
    monkeypatch.setenv("AGB_ENDPOINT", runtime.endpoint)
    executor = AGBExecutor(PARAMS)
    assert executor("6 * 7").output == "42"
    executor.cleanup()


def test_tools_of_a_session(client: AGB) -> None:
    model = CallingModel(
        ("write_file", {"path": "src/a.py", "content": "one = 1\n"}),
        ("search_files", {"pattern": "one", "path": "src", "regex": None}),
        ("run_code", {"code": "6 * 7", "language": None}),
        ("run_command", {"command": "exit 3"}),
        ("read_file", {"path": "/no/such"}),
        ("final_answer", {"answer": "done"}),
    )
    with client.session(PARAMS) as session:
        agent = ToolCallingAgent(tools=session_tools(session), model=model, verbosity_level=0)
        assert agent.run("go") == "done"
    seen = [step.observations for step in agent.memory.steps if isinstance(step, ActionStep)]
    assert seen[0] == "Wrote 8 bytes to src/a.py."
    assert str(seen[1]).endswith("src/a.py:1: one = 1")
    assert seen[2:4] == ["42", "[exit code 3]"]
    errors = [step.error for step in agent.memory.steps if isinstance(step, ActionStep)]
    assert "/no/such" in str(errors[4])
