"""Code that streams, as 0.12 asks for it: `stream_beta` over the session's WebSocket, in all languages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from agb import Session

HELLO = {
    "python": "print('größe ☃'); 6 * 7",
    "javascript": "console.log('größe ☃'); 6 * 7",
    "java": 'System.out.println("größe ☃"); 6 * 7',
    "r": "cat('größe ☃\\n'); 6 * 7",
}
FAILS = {
    "python": "raise ValueError('wrong')",
    "javascript": "throw new TypeError('wrong')",
    "java": 'throw new IllegalStateException("wrong");',
    "r": "stop('wrong')",
}


@pytest.fixture(params=sorted(HELLO))
def language(request: pytest.FixtureRequest, session: Session) -> Any:
    """A language, if the machine has it."""
    probe = session.code.run("1", request.param)
    if "install" in probe.error_message:
        pytest.skip(probe.error_message)
    assert probe.success, probe.error_message
    return str(request.param)


def test_output_is_heard_and_kept(session: Session, language: Any) -> None:
    heard: list[str] = []

    result = session.code.run(HELLO[language], language, stream_beta=True, on_stdout=heard.append)

    assert result.success, result.error_message
    assert "".join(heard) == "größe ☃\n"
    assert "".join(result.logs.stdout) == "größe ☃\n"
    assert "42" in result.result
    assert result.request_id


def test_error_is_heard(session: Session, language: Any) -> None:
    heard: list[Any] = []

    result = session.code.run(FAILS[language], language, stream_beta=True, on_error=heard.append)

    assert not result.success
    assert "wrong" in result.error_message
    assert "wrong" in str(heard)


def test_same_without_a_stream(routed: Session, language: Any) -> None:
    result = routed.code.run(HELLO[language], language)

    assert result.success, result.error_message
    assert "".join(result.logs.stdout) == "größe ☃\n"
    assert "42" in result.result
    failed = routed.code.run(FAILS[language], language)
    assert not failed.success
    assert "wrong" in failed.error_message


def test_both_outputs_in_order(session: Session) -> None:
    heard: list[str] = []
    code = "import sys\nfor i in range(50): print(i, flush=True); print(-i, file=sys.stderr, flush=True)"

    result = session.code.run(
        code,
        "python",
        stream_beta=True,
        on_stdout=lambda text: heard.append("out" + text),
        on_stderr=lambda text: heard.append("err" + text),
    )

    assert result.success, result.error_message
    out = "".join(text[3:] for text in heard if text.startswith("out"))
    assert out == "".join(f"{i}\n" for i in range(50))
    assert "".join(result.logs.stderr) == "".join(f"{-i}\n" for i in range(50))


def test_state_is_shared_with_plain_runs(session: Session) -> None:
    assert session.code.run("streamed = 1", "python", stream_beta=True).success

    assert session.code.run("streamed + 1", "python").result == "2"


def test_time_limit(session: Session) -> None:
    heard: list[str] = []

    result = session.code.run(
        "print('so far', flush=True)\nwhile True: pass", "python", timeout_s=1, stream_beta=True, on_stdout=heard.append
    )

    assert not result.success
    assert heard == ["so far\n"]
    assert session.code.run("1 + 1", "python", stream_beta=True).result == "2"


def test_several_streams_one_after_the_other(session: Session) -> None:
    for number in range(5):
        assert session.code.run(f"{number} * 2", "python", stream_beta=True).result == str(number * 2)
