"""A batch that goes on where it was interrupted: after Ctrl-C, a crash or a reboot, start it again."""

from pathlib import Path

from agb import AGB, CreateSessionParams, Session

PARAMS = CreateSessionParams(image_id="agb-code-space-1")
JOURNAL = Path("words.jsonl")
TEXTS = ["to be", "or not to be", "that is the question"]


def count_words(session: Session, text: str) -> int:
    """Count the words of a text in a session."""
    session.file.write("text", text).raise_for_error()
    return int(session.command.execute("wc -w < text", check=True).stdout)


with AGB() as client:
    with client.map(
        count_words,
        TEXTS,
        params=PARAMS,
        pool=True,  # a session is used for one text after the other
        concurrency=2,
        attempts=3,
        ordered=True,
        journal=JOURNAL,
    ) as outcomes:
        for outcome in outcomes:
            print(outcome.unwrap(), "from the journal" if outcome.resumed else "done now", flush=True)
