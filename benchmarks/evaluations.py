"""Evaluations with Inspect AI: what a sample costs compared with an item of ``agb.map``, and what the harness holds.

``python -m benchmarks.evaluations [--samples N] [--at-once N] [--curve N]``, in an environment with ``agb[inspect]``.
Both do the same in each session, by turns: write a file, run a command on it, and compare its output. Then one
evaluation of ``--curve`` samples shows the memory of the harness, which is this process; the runtime is another one.
"""

# pyright: reportMissingImports=false
from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable
from statistics import median

import psutil
from inspect_ai import Task
from inspect_ai import eval as evaluate
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessage, ChatMessageTool, ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import match
from inspect_ai.solver import generate, use_tools
from inspect_ai.tool import bash

import agb.local
from agb import AsyncAGB, AsyncSession, CreateSessionParams

COMMAND = 'read -r a b < numbers.txt; echo "$((a * b))"'
PARAMS = CreateSessionParams(image_id="agb-code-space-1")
ROUNDS = 3
POINTS = 10


def answer(messages: list[ChatMessage], *_: object) -> ModelOutput:
    """Ask for the command, then answer with its output."""
    last = messages[-1]
    if isinstance(last, ChatMessageTool):
        output = ModelOutput.from_content("mockllm", last.text.strip())
    else:
        output = ModelOutput.for_tool_call("mockllm", "bash", {"command": COMMAND})
    output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
    return output


def evaluation(samples: int, at_once: int, script: Callable[..., ModelOutput] = answer) -> float:
    """Run an evaluation, and return its seconds."""
    dataset = [
        Sample(input="Multiply.", target=str(number * 7), files={"numbers.txt": f"{number} 7\n"})
        for number in range(1, samples + 1)
    ]
    task = Task(
        dataset=MemoryDataset(dataset),
        solver=[use_tools(bash(timeout=60)), generate()],
        scorer=match(),
        sandbox="agb",
        name="multiply",
    )
    model = get_model("mockllm/model", custom_outputs=script, memoize=False)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as logs:
        [log] = evaluate(task, model=model, max_samples=at_once, max_connections=at_once, log_dir=logs, display="none")
    taken = time.perf_counter() - start
    if log.status != "success" or log.results is None or log.results.scores[0].metrics["accuracy"].value != 1:
        raise RuntimeError(f"the evaluation failed: {log.error}")
    return taken


async def multiply(session: AsyncSession, number: int) -> bool:
    """Do what a sample does."""
    (await session.file.write("/home/user/numbers.txt", f"{number} 7\n")).raise_for_error()
    done = await session.command.execute(COMMAND, cwd="/home/user")
    return done.raise_for_error().stdout.strip() == str(number * 7)


async def batch(items: int, at_once: int) -> float:
    """Run a batch, and return its seconds."""
    start = time.perf_counter()
    numbers = range(1, items + 1)
    async with AsyncAGB() as client, client.map(multiply, numbers, params=PARAMS, concurrency=at_once) as outcomes:
        right = [outcome.value async for outcome in outcomes]
    if not all(right):
        raise RuntimeError("an item failed")
    return time.perf_counter() - start


def compare(samples: int, at_once: int) -> None:
    """Print what a sample takes, and an item."""
    evaluation(2, 2)  # loads what is loaded on demand
    taken: dict[str, list[float]] = {"inspect": [], "map": []}
    for _ in range(ROUNDS):
        taken["inspect"].append(evaluation(samples, at_once))
        taken["map"].append(asyncio.run(batch(samples, at_once)))
    ratio = median(a / b for a, b in zip(taken["inspect"], taken["map"], strict=True))
    for name, seconds in taken.items():
        print(f"{name:8} {median(seconds) / samples * 1000:6.0f} ms per sample, {median(seconds):5.1f} s in all")
    print(f"ratio    {ratio:.2f} with {samples} samples, {at_once} at once")


def curve(samples: int, at_once: int) -> None:
    """Print the memory of this process after each tenth of an evaluation."""
    process = psutil.Process()
    memory: list[float] = [process.memory_info().rss / 2**20]
    answers = 0

    def script(messages: list[ChatMessage], *rest: object) -> ModelOutput:
        nonlocal answers
        if isinstance(messages[-1], ChatMessageTool):
            answers += 1
            if answers % max(1, samples // POINTS) == 0:
                memory.append(process.memory_info().rss / 2**20)
        return answer(messages, *rest)

    seconds = evaluation(samples, at_once, script)
    print(f"curve    {samples} samples, {at_once} at once, {seconds:.1f} s; MiB of the harness after each tenth:")
    print("        ", " ".join(f"{value:.0f}" for value in memory))


def main() -> None:
    parser = argparse.ArgumentParser(description="Evaluations with Inspect AI compared with agb.map.")
    parser.add_argument("--samples", type=int, default=50)
    parser.add_argument("--at-once", type=int, default=25)
    parser.add_argument(
        "--curve", type=int, default=200, help="samples of the evaluation whose memory is shown; 0: none"
    )
    options = parser.parse_args()
    with agb.local.serve(network="isolated") as server:
        os.environ.update(AGB_API_KEY=server.api_key, AGB_ENDPOINT=server.endpoint)
        compare(options.samples, options.at_once)
        if options.curve:
            curve(options.curve, 2 * options.at_once)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
