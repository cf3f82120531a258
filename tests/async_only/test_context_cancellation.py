"""Contexts and cancellation: a creation that is cancelled while its data is on its way leaves no session behind."""

from __future__ import annotations

import asyncio
import json

import anyio
import pytest

from agb import AsyncAGB, Config, ContextSync, CreateSessionParams
from tests.servers import Gate, Sessions, scripted, value

PARAMS = CreateSessionParams(image_id="agb-code-space-1", context_syncs=[ContextSync("c", "/p")])
INFO = "/sdk/GetContextInfo"
RUNNING = {"contextId": "c", "path": "/p", "taskType": "download", "status": "Running", "startTime": 1}
ROWS = value({"contextStatus": json.dumps([{"type": "data", "data": json.dumps([RUNNING])}])})
SAVED = {**RUNNING, "taskType": "upload", "status": "Success"}


@pytest.mark.anyio
async def test_cancelled_scope_leaves_no_session() -> None:
    gate = Gate()
    service = Sessions(instead={INFO: ROWS}, gates={INFO: gate})
    with scripted(service) as server:
        async with AsyncAGB("k", Config(server.endpoint, 5000)) as agb, anyio.create_task_group() as tasks:
            tasks.start_soon(agb.create, PARAMS)
            await anyio.to_thread.run_sync(gate.asked.wait, 5)
            assert service.made == 1
            tasks.cancel_scope.cancel()
    assert service.alive == set()


@pytest.mark.asyncio
async def test_cancelled_task_leaves_no_session() -> None:
    gate = Gate()
    service = Sessions(instead={INFO: ROWS}, gates={INFO: gate})
    with scripted(service) as server:
        async with AsyncAGB("k", Config(server.endpoint, 5000)) as agb:
            task = asyncio.create_task(agb.create(PARAMS))
            await asyncio.to_thread(gate.asked.wait, 5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    assert (service.made, service.alive) == (1, set())


@pytest.mark.asyncio
async def test_wait_for_leaves_no_session() -> None:
    service = Sessions(instead={INFO: ROWS})
    with scripted(service) as server:
        async with AsyncAGB("k", Config(server.endpoint, 5000)) as agb:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(agb.create(PARAMS), 0.3)
    assert (service.made, service.alive) == (1, set())


@pytest.mark.anyio
@pytest.mark.parametrize("is_async", [True, False])
async def test_callback_is_called_once_before_sync_returns(is_async: bool) -> None:
    outcomes: list[bool] = []

    async def record(success: bool) -> None:
        await anyio.lowlevel.checkpoint()
        outcomes.append(success)

    saved = value({"contextStatus": json.dumps([{"type": "data", "data": [SAVED]}])})
    script = (value({}), value(None), saved, value({}), value(None), value({"contextStatus": "{"}))
    with scripted(*script) as server:
        async with AsyncAGB("k", Config(server.endpoint, 5000)) as agb:
            context = agb.attach("s-1").context
            for outcome in (True, False):
                result = await context.sync(callback=record if is_async else outcomes.append)
                assert (result.success, outcomes) == (outcome, [outcome])
                outcomes.clear()


@pytest.mark.anyio
async def test_error_of_a_callback_is_its_callers() -> None:
    def fail(success: bool) -> None:
        raise RuntimeError(f"called with {success}")

    saved = value({"contextStatus": json.dumps([{"type": "data", "data": [SAVED]}])})
    with scripted(value({}), value(None), saved) as server:
        async with AsyncAGB("k", Config(server.endpoint, 5000)) as agb:
            with pytest.raises(RuntimeError, match="called with True"):
                await agb.attach("s-1").context.sync(callback=fail)
    assert len(server.requests) == 3
