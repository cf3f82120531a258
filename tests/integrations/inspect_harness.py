"""An evaluation with a scripted model, for the tests; also a program, ``python -m tests.integrations.inspect_harness``.

Each sample has a file with two numbers in its sandbox. The model asks for a command that multiplies them, and answers
with what the command has printed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
from inspect_ai import Task
from inspect_ai import eval as evaluate
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.log import EvalLog
from inspect_ai.model import ChatMessage, ChatMessageTool, ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import match
from inspect_ai.solver import generate, use_tools
from inspect_ai.tool import bash
from inspect_ai.util import SandboxEnvironmentSpec

from agb.integrations.inspect import AGBSandboxConfig

MULTIPLY = 'read -r a b < numbers.txt; echo "$((a * b))"'
Script = Callable[[list[ChatMessage], Any, Any, Any], ModelOutput | Awaitable[ModelOutput]]


def task(samples: int, config: AGBSandboxConfig | str | None = None, **options: Any) -> Task:
    """Return a task whose samples have a file each, and a script that is run before."""
    dataset = [
        Sample(
            input=f"Multiply the numbers of numbers.txt ({number}).",
            target=str(number * 7),
            id=f"sample {number}",
            files={"numbers.txt": f"{number} 7\n"},
            setup="mkdir prepared",
        )
        for number in range(1, samples + 1)
    ]
    sandbox = SandboxEnvironmentSpec("agb", config)
    return Task(
        dataset=MemoryDataset(dataset),
        solver=[use_tools(bash(timeout=60)), generate()],
        scorer=match(),
        sandbox=sandbox,
        name="multiply",
        **options,
    )


def multiply(messages: list[ChatMessage], *_: Any) -> ModelOutput:
    """Ask for the command, then answer with its output."""
    last = messages[-1]
    if isinstance(last, ChatMessageTool):
        return counted(ModelOutput.from_content("mockllm", last.text.strip()))
    return counted(ModelOutput.for_tool_call("mockllm", "bash", {"command": MULTIPLY}))


def counted(output: ModelOutput) -> ModelOutput:
    """Add numbers of tokens, which the scripted model would count with a table from the network."""
    output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
    return output


async def wait_in_the_model(*_: Any) -> ModelOutput:
    """Never answer."""
    print("waiting", flush=True)
    await anyio.sleep_forever()
    raise AssertionError("unreachable")


def wait_in_a_tool(*_: Any) -> ModelOutput:
    """Ask for a command that does not end."""
    print("waiting", flush=True)
    return counted(ModelOutput.for_tool_call("mockllm", "bash", {"command": "sleep 1000"}))


SCRIPTS: dict[str, Script] = {"multiply": multiply, "model": wait_in_the_model, "tool": wait_in_a_tool}


def run(one: Task | str, script: Script, *, at_once: int, log_dir: Path, **options: Any) -> EvalLog:
    """Run a task and return its log; raise ``KeyboardInterrupt`` if it was interrupted."""
    model = get_model("mockllm/model", custom_outputs=script, memoize=False)
    logs = evaluate(
        one,
        model=model,
        max_samples=at_once,
        max_connections=at_once,
        log_dir=str(log_dir),
        display="none",
        **options,
    )
    if not logs:
        raise KeyboardInterrupt
    return logs[0]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("script", choices=SCRIPTS)
    parser.add_argument("--samples", type=int, default=50)
    parser.add_argument("--at-once", type=int, default=25)
    parser.add_argument("--log-dir", type=Path, required=True)
    options = parser.parse_args()
    start = time.monotonic()
    try:
        log = run(task(options.samples), SCRIPTS[options.script], at_once=options.at_once, log_dir=options.log_dir)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
        return
    print(f"{log.status} after {time.monotonic() - start:.1f} s", flush=True)
    if log.error:
        print(log.error.message, file=sys.stderr)


if __name__ == "__main__":
    main()
