"""An agent: a model writes code, a session runs it, and the model reads the result, until it has an answer."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from agb import AGB, CreateSessionParams, Session

PARAMS = CreateSessionParams(image_id="agb-code-space-1", labels={"app": "agent"})
MAX_STEPS = 10
MAX_CHARACTERS = 10_000


@dataclass
class Reply:
    """The reply of a model: a text, or code to run."""

    text: str = ""
    code: str = ""


def run_code(session: Session, code: str) -> str:
    """Run code and return its output, value and error as JSON, each of limited length."""
    run = session.code.run(code, "python", timeout_s=60)
    seen = {
        "stdout": "".join(run.logs.stdout)[:MAX_CHARACTERS],
        "stderr": "".join(run.logs.stderr)[:MAX_CHARACTERS],
        "result": (run.result or "")[:MAX_CHARACTERS],
        "error": run.error_message[-MAX_CHARACTERS:],
    }
    return json.dumps({name: value for name, value in seen.items() if value})


def solve(session: Session, model: Callable[[list[dict[str, str]]], Reply], task: str) -> str:
    """Let a model work on a task, and return its answer."""
    messages = [{"role": "user", "content": task}]
    for _ in range(MAX_STEPS):
        reply = model(messages)
        if not reply.code:
            return reply.text
        seen = run_code(session, reply.code)
        messages.append({"role": "assistant", "content": reply.code})
        messages.append({"role": "tool", "content": seen})
    raise RuntimeError(f"no answer after {MAX_STEPS} steps")


def scripted_model(messages: list[dict[str, str]]) -> Reply:
    """Stand in for a call of your provider: it makes a mistake, reads the error, and mends it."""
    last = json.loads(messages[-1]["content"]) if messages[-1]["role"] == "tool" else None
    if last is None:
        return Reply(code="numbers = [3, 4, 5]\nsum(n ** 2 for n in number)")
    if "error" in last:
        return Reply(code="sum(n ** 2 for n in numbers)")
    return Reply(text=f"The sum of the squares is {last['result']}.")


with AGB() as client, client.session(PARAMS) as session:
    print(solve(session, scripted_model, "Add the squares of 3, 4 and 5."))
