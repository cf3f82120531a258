"""Handlers of mounts: the API's operations on the contexts of a session as calls of the runtime.

One function per operation, named after it: ``sync_context`` is API: POST /sdk/SyncContext (`app.OPERATIONS`).
"""

from __future__ import annotations

from ..._wire.call import json_text
from ..errors import invalid
from ..validation import json_value, kind_of, shown
from .handlers import Answer, Api
from .request import ApiRequest

FILE_TRANSFER = "file_transfer"
"""The only type of internal context."""


async def sync_context(api: Api, request: ApiRequest) -> Answer:
    """Begin to sync the mounts of a session and answer at once, with the ids of the tasks."""
    session = api.runtime.find(request.from_query("sessionId"))
    query = request.query
    tasks = session.mounts.sync(query.get("contextId", ""), query.get("path", ""), query.get("mode", ""))
    session.touch()
    return Answer({"taskIds": [task.id for task in tasks]})


async def get_context_info(api: Api, request: ApiRequest) -> Answer:
    """Answer the sync tasks of a session, as JSON in JSON in JSON; does not count as activity."""
    query = request.query
    rows = api.runtime.rows(
        request.from_query("sessionId"), query.get("contextId", ""), query.get("path", ""), query.get("taskType", "")
    )
    return Answer({"contextStatus": json_text([{"type": "data", "data": json_text(rows)}])})


async def get_and_load_internal_context(api: Api, request: ApiRequest) -> Answer:
    """Answer the session's internal context, created by the first request for it."""
    session = api.runtime.find(request.from_query("sessionId"))
    types = json_value(request.from_query("contextTypes"), "contextTypes")
    if not isinstance(types, list):
        raise invalid(f"contextTypes must be a JSON array, not {kind_of(types)}")
    for name in types:
        if name != FILE_TRANSFER:
            given = shown(name) if isinstance(name, str) else kind_of(name)
            raise invalid(f"contextTypes: there is no internal context of the type {given}; there is {FILE_TRANSFER}")
    if not types:
        return Answer([])
    mount = await session.mounts.load_internal()
    session.touch()
    return Answer([{"contextId": mount.context_id, "contextType": FILE_TRANSFER, "contextPath": mount.path}])
