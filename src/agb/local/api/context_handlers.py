"""Handlers of contexts: the API's operations on contexts and their files as calls of the store.

One function per operation, named after it: ``list_contexts`` is API: GET /sdk/ListContexts (`app.OPERATIONS`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ..._wire.reply import CONTEXT_NOT_FOUND
from ..contexts.keys import file_key
from ..contexts.stored import StoredContext, StoredFile
from ..errors import Refused, file_not_found, invalid
from ..validation import shown
from .file_urls import PREFIX, FileUrls, Method
from .handlers import MOST_RESULTS, Answer, Api
from .request import ApiRequest

# --- contexts ----------------------------------------------------------------------------------------------------


async def list_contexts(api: Api, request: ApiRequest) -> Answer:
    """Answer one page of the contexts."""
    contexts = api.runtime.contexts
    most = request.number_from_query("maxResults", default=10, lowest=1, highest=MOST_RESULTS)
    page = await contexts.run(contexts.store.list, most, request.query.get("nextToken") or None)
    return Answer(
        [_context(context) for context in page.contexts],
        {"nextToken": page.next_token, "maxResults": most, "totalCount": page.count, "count": page.count},
    )


async def get_context(api: Api, request: ApiRequest) -> Answer:
    """Answer a context found by its id or name (both must match if both are given), or created by its name.

    This machine is one region: loginRegionId is ignored.
    """
    store, run = api.runtime.contexts.store, api.runtime.contexts.run
    context_id, name = request.query.get("id", ""), request.query.get("name", "")
    create = request.query.get("allowCreate", "").lower() == "true"
    if not context_id:
        if not name:
            raise invalid("id or name is missing: send one of them as a query parameter")
        return Answer(_with_state(await run(store.find, name, create)))
    if create:
        raise invalid("allowCreate goes with a name only: a new context gets an id of its own")
    found = await run(store.get, context_id)
    if name not in ("", found.name):
        raise Refused(CONTEXT_NOT_FOUND, f"The context {context_id} has another name than {shown(name)}")
    return Answer(_with_state(found))


def _with_state(context: StoredContext) -> dict[str, Any]:
    return {**_context(context), "state": context.state}


def _context(context: StoredContext) -> dict[str, Any]:
    return {
        "id": context.id,
        "name": context.name,
        "createTime": _time(context.created),
        "lastUsedTime": _time(context.last_used),
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def modify_context(api: Api, request: ApiRequest) -> Answer:
    """Rename a context."""
    contexts = api.runtime.contexts
    await contexts.run(contexts.store.rename, request.from_query("id"), request.from_query("name"))
    return Answer()


async def delete_context(api: Api, request: ApiRequest) -> Answer:
    """Delete a context with all its files; refused while it is mounted in a session."""
    await api.runtime.contexts.delete(request.from_query("id"))
    return Answer()


async def clear_context(api: Api, request: ApiRequest) -> Answer:
    """Begin to remove all files of a context; its state shows when that is done."""
    await api.runtime.contexts.clear(request.from_query("id"))
    return Answer()


# --- files -------------------------------------------------------------------------------------------------------


async def get_context_file_download_url(api: Api, request: ApiRequest) -> Answer:
    """Answer a URL from which a stored file can be read."""
    found = await _stored(api, request)
    return _url(api, request, "GET", found.path)


async def get_context_file_upload_url(api: Api, request: ApiRequest) -> Answer:
    """Answer a URL to which a file can be written, stored already or not."""
    contexts = api.runtime.contexts
    path = file_key(request.from_query("filePath"))
    await contexts.run(contexts.store.get, request.from_query("contextId"))
    return _url(api, request, "PUT", path)


def _url(api: Api, request: ApiRequest, method: Method, path: str) -> Answer:
    urls = FileUrls.of(api.runtime.contexts)
    grant = urls.grant(method, request.from_query("contextId"), path)
    address = f"{request.base}{PREFIX}{urls.token(grant)}"
    # "attributes": clients may add the parameters mode and mtime to the URL.
    return Answer({"url": address, "expireTime": grant.expires, "attributes": True})


async def delete_context_file(api: Api, request: ApiRequest) -> Answer:
    """Delete a stored file."""
    contexts = api.runtime.contexts
    found = await _stored(api, request)
    if not await contexts.run(contexts.store.remove, request.from_query("contextId"), found.path):
        raise file_not_found(found.path)
    return Answer()


async def _stored(api: Api, request: ApiRequest) -> StoredFile:
    contexts = api.runtime.contexts
    path = file_key(request.from_query("filePath"))
    found = await contexts.run(contexts.store.stat, request.from_query("contextId"), path)
    if found is None or found.kind != "file":
        raise file_not_found(path)
    return found


async def describe_context_files(api: Api, request: ApiRequest) -> Answer:
    """Answer one page of the files right in a folder, or of all files of the context if none is given.

    The page after another one is best requested by that one's ``nextToken``; its number counts files, and so misses
    some when others were deleted meanwhile.
    """
    contexts = api.runtime.contexts
    number = request.number_from_query("pageNumber", default=1, lowest=1, highest=999_999_999)
    size = request.number_from_query("pageSize", default=50, lowest=1, highest=MOST_RESULTS)
    parent = request.query.get("parentFolderPath") or None
    token = request.query.get("nextToken") or None
    page = await contexts.run(contexts.store.page, request.from_query("contextId"), parent, number, size, token)
    beside = {"nextToken": page.next_token, "count": page.count, "pageNumber": number, "pageSize": size}
    return Answer([_file(file) for file in page.files], beside)


def _file(file: StoredFile) -> dict[str, Any]:
    return {
        "fileId": f"fid-{file.number}",
        "fileName": file.name,
        "filePath": file.path,
        "fileType": file.name.rpartition(".")[2].lower() if "." in file.name.lstrip(".") else "",
        "gmtCreate": _time(file.created),
        "gmtModified": _time(file.modified),
        "size": file.size,
        "status": "ready",
    }
