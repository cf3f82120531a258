"""Tests of a function that works in a session; run them with `pytest test_report.py`."""

import pytest

from agb import AGB, AsyncSession, CommandError, CreateSessionParams, ErrorKind, Session
from agb.testing import CommandAnswer, FakeService, Faults


def total(session: Session, prices: str) -> int:
    """Add the second column of a table, in a session: the function that is tested."""
    session.file.write("prices.csv", prices).raise_for_error()
    command = "awk -F, '{ sum += $2 } END { print sum }' prices.csv"
    return int(session.command.execute(command, check=True).stdout)


def test_total(agb_session: Session) -> None:
    assert total(agb_session, "apple,3\npear,4\n") == 7


@pytest.mark.asyncio
async def test_asynchronous_session(async_agb_session: AsyncSession) -> None:
    run = await async_agb_session.code.run("6 * 7", "python")
    assert run.result == "42"


def test_lost_answer(agb_faults: Faults, agb_session: Session) -> None:
    agb_faults.drop("shell", at="answer")
    with pytest.raises(CommandError) as caught:
        total(agb_session, "apple,3\n")
    assert caught.value.kind is ErrorKind.UNREACHABLE


def test_command_that_fails() -> None:
    fake = FakeService()
    fake.on_command(CommandAnswer(stderr="awk: not found", exit_code=127))
    with AGB("any-key", transport=fake) as client:
        with client.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            with pytest.raises(CommandError, match="awk: not found"):
                total(session, "apple,3\n")
