"""A web service that runs code and streams its output, without await; start it with `uvicorn stream_service:app`."""

import json
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager
from queue import Empty, SimpleQueue
from threading import Thread

from anyio import CancelScope
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from agb import AGB, AGBError, CreateSessionParams, Error, Finished, Session, SessionPool, Stderr, Stdout

PARAMS = CreateSessionParams(image_id="agb-code-space-1")
QUIET_SECONDS = 1.0


class EventStream(StreamingResponse):
    """Server-sent events. Their generator is closed with the request, also when the browser has gone."""

    media_type = "text/event-stream"

    def __init__(self, events: Generator[str, None, None]) -> None:
        super().__init__(events, headers={"Cache-Control": "no-store"})
        self.events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            with CancelScope(shield=True):
                await run_in_threadpool(self.events.close)


def event(name: str, value: object) -> str:
    """Return the text of an event. JSON has no line breaks, which would end it."""
    return f"event: {name}\ndata: {json.dumps(value)}\n\n"


def read(session: Session, code: str, output: SimpleQueue[str | None]) -> None:
    """Run code and put its events into a queue, and None after the last one. Deleting the session ends this, too."""
    try:
        with session.code.stream(code, "python", timeout_s=600) as events:
            for one in events:
                match one:
                    case Stdout(text):
                        output.put(event("stdout", text))
                    case Stderr(text):
                        output.put(event("stderr", text))
                    case Error(error):
                        output.put(event("error", f"{error.name}: {error.value}"))
                    case Finished(success=success):
                        output.put(event("finished", success))
    except AGBError as error:
        output.put(event("failed", str(error)))
    finally:
        output.put(None)


def output_of(pool: SessionPool, code: str) -> Generator[str, None, None]:
    """Run code in a session of its own. Closing the generator stops the code and deletes the session.

    Code may be silent for minutes. The comment after each quiet second returns from the thread that waits here, so that
    the server can close the generator when the browser has gone.
    """
    output: SimpleQueue[str | None] = SimpleQueue()
    try:
        with pool.session() as session:
            yield event("session", session.session_id)
            Thread(target=read, args=(session, code, output)).start()
            while True:
                try:
                    text = output.get(timeout=QUIET_SECONDS)
                except Empty:
                    text = ": quiet\n\n"
                if text is None:
                    break
                yield text
    except AGBError as error:  # the status 200 has been sent already
        yield event("failed", str(error))


async def run(request: Request) -> EventStream:
    """Stream the output of the code in the body of a request."""
    code = (await request.body()).decode()
    return EventStream(output_of(request.state.pool, code))


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[dict[str, SessionPool]]:
    """Open one client and one pool for the whole application; at the end the pool deletes all of its sessions.

    It need not wait for streams that are still open (`drain`): they are served by the thread that would wait.
    """
    with AGB() as client, client.pool(PARAMS, min=1, max=20, max_uses=1, drain=0.1, name="stream-service") as pool:
        yield {"pool": pool}


app = Starlette(routes=[Route("/run", run, methods=["POST"])], lifespan=lifespan)
