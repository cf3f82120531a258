"""A web service that runs code and streams its output; start it with `uvicorn stream_service_async:app`."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from agb import AGBError, AsyncAGB, AsyncSessionPool, CreateSessionParams, Error, Finished, Stderr, Stdout

PARAMS = CreateSessionParams(image_id="agb-code-space-1")


class EventStream(StreamingResponse):
    """Server-sent events. Their generator is closed with the request, also when the browser has gone."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[str, None]) -> None:
        super().__init__(events, headers={"Cache-Control": "no-store"})
        self.events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self.events):
            await super().__call__(scope, receive, send)


def event(name: str, value: object) -> str:
    """Return the text of an event. JSON has no line breaks, which would end it."""
    return f"event: {name}\ndata: {json.dumps(value)}\n\n"


async def output_of(pool: AsyncSessionPool, code: str) -> AsyncGenerator[str, None]:
    """Run code in a session of its own. Closing the generator stops the code and deletes the session."""
    try:
        async with pool.session() as session:
            yield event("session", session.session_id)
            async with session.code.stream(code, "python", timeout_s=600) as events:
                async for one in events:
                    match one:
                        case Stdout(text):
                            yield event("stdout", text)
                        case Stderr(text):
                            yield event("stderr", text)
                        case Error(error):
                            yield event("error", f"{error.name}: {error.value}")
                        case Finished(success=success):
                            yield event("finished", success)
    except AGBError as error:  # the status 200 has been sent already
        yield event("failed", str(error))


async def run(request: Request) -> EventStream:
    """Stream the output of the code in the body of a request."""
    code = (await request.body()).decode()
    return EventStream(output_of(request.state.pool, code))


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[dict[str, AsyncSessionPool]]:
    """Open one client and one pool for the whole application; at the end the pool deletes all of its sessions."""
    async with AsyncAGB() as client:
        async with client.pool(PARAMS, min=1, max=20, max_uses=1, drain=5, name="stream-service") as pool:
            yield {"pool": pool}


app = Starlette(routes=[Route("/run", run, methods=["POST"])], lifespan=lifespan)
