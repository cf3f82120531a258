"""Names are completed in editors and shells, which use jedi, although the package loads them lazily."""

from __future__ import annotations

import jedi
import pytest

BLOCK = """\
from agb import AGB, CreateSessionParams
with AGB() as client, client.session(CreateSessionParams()) as session:
    """


@pytest.mark.parametrize(
    ("program", "names"),
    [
        ("import agb\nagb.", {"AGB", "AsyncAGB", "CreateSessionParams", "SessionError"}),
        ("from agb import ", {"AGB", "OperationResult"}),
        ("from agb import AGB\nAGB().", {"create", "session", "map", "close"}),
        ("from agb import AsyncAGB\nAsyncAGB().", {"create", "session", "map", "aclose"}),
        ("from agb.agb import AGB\nAGB().", {"create"}),
        ("import agb\nagb.results.", {"OperationResult"}),
        (f"{BLOCK}session.", {"code", "command", "file", "context", "get_link"}),
        (f"{BLOCK}session.command.execute('true').", {"stdout", "exit_code", "raise_for_error"}),
    ],
)
def test_names_are_completed(program: str, names: set[str]) -> None:
    assert names <= {found.name for found in jedi.Script(program).complete()}
