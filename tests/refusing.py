"""A service that refuses some requests: a proxy before a local runtime."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from agb.local import LocalServer
from tests.servers import Action, Conversation, Request, Scripted, answer, scripted


@contextmanager
def refusing(runtime: LocalServer, refusal: Callable[[Request], Action | None]) -> Iterator[Scripted]:
    """Run a proxy for the time of a block; ``refusal`` returns the answer to a request that is not passed on."""

    def act(talk: Conversation) -> None:
        (refusal(talk.request) or _passed_on)(talk)

    def _passed_on(talk: Conversation) -> None:
        request = talk.request
        connection = http.client.HTTPConnection("127.0.0.1", int(runtime.endpoint.rpartition(":")[2]), timeout=60)
        connection.request(request.method, request.target, request.body, {**request.headers, "accept-encoding": ""})
        response = connection.getresponse()
        body = response.read()
        connection.close()
        with suppress(OSError):  # the client has gone
            answer(body, response.status)(talk)

    with scripted(act) as server:
        yield server
