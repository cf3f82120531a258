# Generated from tests/_async/test_testing_faults.py by tools/unasync.py. Do not edit.
"""The faults of `agb.testing` before the local runtime: what a client sees of each is real."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agb import AGB, Config, CreateSessionParams, ErrorKind, Sent
from agb.local import LocalServer
from agb.testing import Faults

IMAGE = CreateSessionParams(image_id="agb-code-space-1")


@pytest.fixture
def faults(runtime: LocalServer) -> Iterator[Faults]:
    with Faults.before(runtime.endpoint) as faults:
        yield faults
    faults.check_met()


def test_each_fault(runtime: LocalServer, faults: Faults) -> None:
    with AGB(runtime.api_key, Config(faults.endpoint)) as agb, agb.session(IMAGE) as session:
        refused = faults.rate_limit("getSessionInfo")
        assert session.get_status().success
        assert (refused.met, faults.count("GetSessionInfo")) == (1, 2)

        faults.unavailable("shell")
        busy = session.command.execute("true").error
        assert busy is not None
        assert busy.http_status == 503

        faults.drop("shell")
        dropped = session.command.execute("touch /tmp/dropped").error
        assert dropped is not None
        assert (dropped.kind, dropped.sent) == (ErrorKind.UNREACHABLE, Sent.MAYBE)
        faults.drop("shell", at="answer")
        lost = session.command.execute("touch /tmp/lost").error
        assert lost is not None
        assert lost.kind is ErrorKind.UNREACHABLE
        assert session.command.execute("cd /tmp && ls dropped lost || true").stdout == "lost\n"

        faults.slow("shell", 60)
        late = session.command.execute("true", timeout=0.1).error
        assert late is not None
        assert late.kind is ErrorKind.TIMED_OUT

        faults.cut("shell", after=10)
        cut = session.command.execute("true").error
        assert cut is not None
        assert "received 10 bytes" in str(cut)


def test_faults_of_live_output(runtime: LocalServer, faults: Faults) -> None:
    """Also on a WebSocket that was used before: each message of the client may meet a fault."""
    with AGB(runtime.api_key, Config(faults.endpoint)) as agb, agb.session(IMAGE) as session:
        assert session.code.run("print(1)", "python", stream_beta=True).logs.stdout == ["1\n"]
        for fault in (faults.cut("stream", after=40), faults.drop("stream")):
            broken = session.code.run("print(2)", "python", stream_beta=True).error
            assert broken is not None
            assert broken.kind is ErrorKind.UNREACHABLE
            assert fault.met == 1
        faults.slow("stream", 0.01)
        assert session.code.run("print(3)", "python", stream_beta=True).logs.stdout == ["3\n"]


@pytest.mark.one_event_loop
def test_faults_that_make_no_sense(runtime: LocalServer) -> None:
    with Faults.before(runtime.endpoint) as faults:
        with pytest.raises(ValueError, match="'ws', its handshake"):
            faults.rate_limit("stream")
        with pytest.raises(ValueError, match="times of at least 1"):
            faults.cut("shell", times=0)
        with pytest.raises(ValueError, match="at is 'request' or 'answer'"):
            faults.drop("shell", at="once")  # type: ignore[arg-type]
        faults.cut("createSesion")
        with pytest.raises(pytest.fail.Exception, match=r"cut at 'createSesion'. Operations requested: none"):
            faults.check_met()
