"""A batch that goes on where it was interrupted: after Ctrl-C, a crash or a reboot, start it again."""

import asyncio
from pathlib import Path

from agb import AsyncAGB, AsyncSession, CreateSessionParams

PARAMS = CreateSessionParams(image_id="agb-code-space-1")
JOURNAL = Path("words.jsonl")
TEXTS = ["to be", "or not to be", "that is the question"]


async def count_words(session: AsyncSession, text: str) -> int:
    """Count the words of a text in a session."""
    (await session.file.write("text", text)).raise_for_error()
    return int((await session.command.execute("wc -w < text", check=True)).stdout)


async def main() -> None:
    async with AsyncAGB() as client:
        async with client.map(
            count_words,
            TEXTS,
            params=PARAMS,
            pool=True,  # a session is used for one text after the other
            concurrency=2,
            attempts=3,
            ordered=True,
            journal=JOURNAL,
        ) as outcomes:
            async for outcome in outcomes:
                print(
                    outcome.unwrap(),
                    "from the journal" if outcome.resumed else "done now",
                    flush=True,
                )


asyncio.run(main())
