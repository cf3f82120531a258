# Generated from tests/_async/test_hints.py by tools/unasync.py. Do not edit.
"""Errors that a wrong endpoint or key causes say what to do about it, in the same words in both flavours."""

from __future__ import annotations

import socket

import pytest

from agb import AGB, AGBError, Config, ErrorKind
from agb.local import LocalServer
from tests.servers import Action, answer, cut, refuse, scripted


def error_of(endpoint: str, key: str = "ako-key") -> AGBError:
    """Return the error of a call to an endpoint."""
    with AGB(key, Config(endpoint, 20_000)) as agb:
        agb.client._random = lambda: 0.0  # back-off at its shortest
        error = agb.list().error
    assert error is not None
    assert error.args == (str(error),)
    return error


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "https://127.0.0.1"])
def test_https_to_a_server_that_speaks_http(runtime: LocalServer, host: str) -> None:
    port = runtime.endpoint.rpartition(":")[2]
    error = error_of(f"{host}:{port}")
    assert str(error).endswith(f"set the endpoint to http://{host.removeprefix('https://')}:{port}")
    assert (error.kind, error.retryable) == (ErrorKind.UNREACHABLE, False)  # a further attempt would end alike


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_no_server(host: str) -> None:
    with socket.socket() as bound:  # nothing listens on it, and nothing else can
        bound.bind(("127.0.0.1", 0))
        error = error_of(f"http://{host}:{bound.getsockname()[1]}")
    assert "Connection refused; is the local runtime (agb serve) running" in str(error)
    assert error.kind is ErrorKind.UNREACHABLE


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        (answer(b"<html>", headers={"Content-Type": "text/html"}), ErrorKind.INVALID_ANSWER),
        (answer(b"", 404), ErrorKind.INVALID_ANSWER),
        (answer({"detail": "Not Found"}, 404), ErrorKind.NOT_FOUND),
        (answer([]), ErrorKind.INVALID_ANSWER),
        (answer({}), ErrorKind.INVALID_ANSWER),
    ],
)
def test_another_server(action: Action, kind: ErrorKind, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(action) as server:
        error = error_of(server.endpoint)
        monkeypatch.setenv("AGB_ENDPOINT", server.endpoint)
        with AGB("ako-key") as agb:
            again = agb.list()
    assert str(error).endswith(f"; is {server.endpoint}, from the argument, the AGB API?")
    assert f"; is {server.endpoint}, from the environment variable AGB_ENDPOINT, the" in again.error_message
    assert error.kind is kind
    assert error.extra.keys() == {"attempts"}


@pytest.mark.parametrize("action", [refuse(), refuse(status=404), answer(b"<html>", 502), answer(b"", 503), cut()])
def test_refusals_and_faults_of_the_api_have_no_hint(action: Action) -> None:
    with scripted(action) as server:
        error = error_of(server.endpoint)
    assert "the AGB API?" not in str(error)
    assert "agb serve" not in str(error)


def test_wrong_key(runtime: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    error = error_of(runtime.endpoint, "ako-wrong")
    assert str(error).endswith("; the API key is from the argument")
    assert error.kind is ErrorKind.BAD_CREDENTIALS
    monkeypatch.setenv("AGB_API_KEY", "ako-wrong")
    error = error_of(runtime.endpoint, "")
    assert str(error).endswith("; the API key is from the environment variable AGB_API_KEY")
    assert "ako-wrong" not in str(error)
