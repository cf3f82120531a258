"""Whole processes: what an import costs, and what the first call costs with all that comes before it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from .caller import API_KEY, HEADERS, PARAMS, PORT, SESSION_ID, TIMEOUT_MS
from .environments import Environment
from .processes import whole_process
from .table import Row, compared

_OUR_CALL = f"""
import asyncio, sys
from agb import AsyncAGB, Config
async def main():
    async with AsyncAGB({API_KEY!r}, Config(sys.argv[1], {TIMEOUT_MS})) as agb:
        assert (await agb.attach({SESSION_ID!r}).get_link(port={PORT})).data
asyncio.run(main())
"""
_HTTPX_CALL = f"""
import asyncio, sys, httpx
async def main():
    async with httpx.AsyncClient(headers={HEADERS!r}VERIFY) as client:
        assert (await client.get(sys.argv[1] + "/internet/getLink", params={PARAMS!r})).json()["data"]["url"]
asyncio.run(main())
"""
_PROGRAMS = {
    "bare": "pass",
    "import": "import agb",
    "import httpx": "import httpx",
    "call": _OUR_CALL,
    "httpx call": _HTTPX_CALL.replace("VERIFY", ""),
    "httpx call, no CAs": _HTTPX_CALL.replace("VERIFY", ", verify=False"),
}
_PAIRS = [
    ("import agb", "import", "bare", "bare interpreter", 2.0),
    ("import agb", "import", "import httpx", "import httpx", None),
    ("import, client, first call", "call", "httpx call", "httpx.AsyncClient", 1.05),
    # an httpx.AsyncClient loads the CA certificates whatever it is used for, this package for https only
    ("import, client, first call", "call", "httpx call, no CAs", "the same, no CAs", None),
]


def compare(environment: Environment, directory: Path, url: str, rounds: int) -> Iterator[Row]:
    """Yield the CPU time and the duration of whole processes, all by the interpreter of that environment."""
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in _PROGRAMS}
    for number in range(rounds + 1):
        for name, program in _PROGRAMS.items():
            figure = whole_process([environment.python, "-c", program, url], directory)
            if number:  # the first round compiles
                figures[name].append(figure)
    for position, kind in enumerate(("CPU", "duration")):
        of = {name: [values[position] for values in each] for name, each in figures.items()}
        for what, ours, theirs, against, goal in _PAIRS:
            yield compared(f"{what}: {kind}", "ms", of[ours], against, of[theirs], goal)
