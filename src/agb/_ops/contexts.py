"""Context operations: named persistent stores, their files, and their sync with sessions."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from .._wire.call import Call, get, json_text, post
from .._wire.reply import Reply
from ..exceptions import AGBError, ErrorKind
from ..results.contexts import Context, ContextFileEntry
from ..results.syncs import ContextStatusData
from .pages import NumberedListing, Page, TokenListing

T = TypeVar("T")

CLEARING = "clearing"
AVAILABLE = "available"
"""States of a context: ``clearing`` while a clear runs, ``available`` when it has ended."""


def list_contexts(max_results: int = 10, next_token: str = "") -> Call[Page[Context]]:
    """GET /sdk/ListContexts."""
    return get(
        "list contexts",
        "/sdk/ListContexts",
        {"maxResults": max_results, "nextToken": next_token},
        read=lambda reply: _read_page(reply, lambda item: _context(item, "", "")),
        repeatable=True,
        error=AGBError,
    )


def context_listing(max_results: int = 50) -> TokenListing[Context]:
    """Return how all contexts are listed, so many at a time."""
    return TokenListing(lambda token: list_contexts(max_results, token), key=lambda context: context.id)


def get_context(
    name: str = "", context_id: str = "", *, create: bool = False, login_region_id: str = ""
) -> Call[Context]:
    """GET /sdk/GetContext: find by name or id, or create by name; the answer also has the state of a clearing."""
    return get(
        f"{'get or create' if create else 'get'} the context {context_id or name!r}",
        "/sdk/GetContext",
        {"id": context_id, "name": name, "loginRegionId": login_region_id, "allowCreate": create},
        read=lambda reply: _read_context(reply, name, context_id),
        repeatable=True,  # a name is created once
        error=AGBError,
    )


def modify_context(context_id: str, name: str) -> Call[None]:
    """POST /sdk/ModifyContext: rename."""
    return _on_context(f"rename the context {context_id}", "/sdk/ModifyContext", {"id": context_id, "name": name})


def delete_context(context_id: str) -> Call[None]:
    """POST /sdk/DeleteContext."""
    return _on_context(f"delete the context {context_id}", "/sdk/DeleteContext", {"id": context_id})


def clear_context(context_id: str) -> Call[None]:
    """POST /sdk/ClearContext: start clearing; `get_context` returns the state."""
    return _on_context(f"clear the context {context_id}", "/sdk/ClearContext", {"id": context_id}, raises=True)


def _on_context(what: str, path: str, params: dict[str, Any], *, raises: bool = False) -> Call[None]:
    return post(what, path, params, read=_nothing, repeatable=True, raises=raises, error=AGBError)


def sync_context(session_id: str, context_id: str = "", path: str = "", mode: str = "") -> Call[list[str] | None]:
    """POST /sdk/SyncContext: start a sync; ``mode`` is ``upload``, ``download`` or nothing.

    The value is the ids of the tasks started, None if the service does not name them: the cloud does not, the local
    runtime does.
    """
    return post(
        f"sync {'the context ' + context_id if context_id else 'the contexts'} of session {session_id}",
        "/sdk/SyncContext",
        {"sessionId": session_id, "contextId": context_id, "path": path, "mode": mode},
        read=_read_task_ids,
        repeatable=True,
        session_id=session_id,
    )


def get_context_info(
    session_id: str, context_id: str = "", path: str = "", task_type: str = ""
) -> Call[list[ContextStatusData]]:
    """GET /sdk/GetContextInfo: the sync tasks."""
    return get(
        f"get the state of the contexts of session {session_id}",
        "/sdk/GetContextInfo",
        {"sessionId": session_id, "contextId": context_id, "path": path, "taskType": task_type},
        read=_read_status_rows,
        repeatable=True,
        session_id=session_id,
    )


def get_context_file_download_url(context_id: str, file_path: str) -> Call[dict[str, Any]]:
    """POST /sdk/GetContextFileDownloadUrl: a pre-signed GET as ``url`` and ``expire_time``."""
    return _file_url("download", "/sdk/GetContextFileDownloadUrl", context_id, file_path)


def get_context_file_upload_url(context_id: str, file_path: str) -> Call[dict[str, Any]]:
    """POST /sdk/GetContextFileUploadUrl: a pre-signed PUT as ``url`` and ``expire_time``."""
    return _file_url("upload", "/sdk/GetContextFileUploadUrl", context_id, file_path)


def _file_url(verb: str, path: str, context_id: str, file_path: str) -> Call[dict[str, Any]]:
    return post(
        f"get the {verb} URL of {file_path!r} in the context {context_id}",
        path,
        {"contextId": context_id, "filePath": file_path},
        read=_read_file_url,
        repeatable=True,
        error=AGBError,
    )


def delete_context_file(context_id: str, file_path: str) -> Call[None]:
    """POST /sdk/DeleteContextFile."""
    return _on_context(
        f"delete {file_path!r} from the context {context_id}",
        "/sdk/DeleteContextFile",
        {"contextId": context_id, "filePath": file_path},
    )


def describe_context_files(
    context_id: str, parent_folder_path: str = "", page_number: int = 1, page_size: int = 50
) -> Call[Page[ContextFileEntry]]:
    """POST /sdk/DescribeContextFiles."""
    return post(
        f"list the files of the context {context_id}",
        "/sdk/DescribeContextFiles",
        {
            "contextId": context_id,
            "parentFolderPath": parent_folder_path,
            "pageNumber": page_number,
            "pageSize": page_size,
        },
        read=lambda reply: _read_page(reply, _file_entry),
        repeatable=True,
        error=AGBError,
    )


def file_listing(context_id: str, parent: str = "", page_size: int = 100) -> NumberedListing[ContextFileEntry]:
    """Return how all files of a folder of a context are listed, so many at a time."""
    return NumberedListing(
        lambda number: describe_context_files(context_id, parent, number, page_size),
        key=lambda entry: entry.file_path,
        size=page_size,
    )


def get_and_load_internal_context(
    session_id: str, context_types: Sequence[str] = ("file_transfer",)
) -> Call[list[dict[str, Any]]]:
    """POST /sdk/GetAndLoadInternalContext: the session's own contexts, made on first use."""
    return post(
        f"load the internal context of session {session_id}",
        "/sdk/GetAndLoadInternalContext",
        {"sessionId": session_id, "contextTypes": json_text(list(context_types))},
        read=lambda reply: _objects(reply.data()),
        repeatable=True,
        session_id=session_id,
    )


# --- readers -----------------------------------------------------------------------------------------------------


def _nothing(reply: Reply) -> None:
    reply.data()


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _read_page(reply: Reply, make: Callable[[dict[str, Any]], T]) -> Page[T]:
    """Read a page; its tokens are at the top level, or in ``data`` when that is an object."""
    data = reply.data()
    inner: dict[str, Any] = data if isinstance(data, dict) else {}
    items = data if isinstance(data, list) else next((v for v in inner.values() if isinstance(v, list)), [])
    places = (reply.json(), inner)

    def number(*names: str) -> int | None:
        return next((found for place in places for name in names if (found := _number(place, name)) is not None), None)

    return Page(
        items=[make(item) for item in _objects(items)],
        next_token=next((token for place in places if (token := _text(place, "nextToken"))), ""),
        max_results=number("maxResults"),
        total_count=number("totalCount", "count"),
    )


def _context(data: dict[str, Any], name: str, context_id: str) -> Context:
    return Context(
        id=_text(data, "id") or context_id,
        name=_text(data, "name") or name,
        created_at=_text(data, "createTime") or None,
        last_used_at=_text(data, "lastUsedTime") or None,
        state=_text(data, "state") or None,
    )


def _read_context(reply: Reply, name: str, context_id: str) -> Context:
    """Read a context; a success without data says that there is none."""
    data = reply.data()
    if data is None:
        error = reply.refused("there is no such context")
        error.kind = ErrorKind.NOT_FOUND
        raise error
    context = _context(reply.object(), name, context_id)
    if not context.id:
        raise reply.invalid("it names no context")
    return context


def _file_entry(data: dict[str, Any]) -> ContextFileEntry:
    return ContextFileEntry(
        file_id=_text(data, "fileId"),
        file_name=_text(data, "fileName"),
        file_path=_text(data, "filePath"),
        file_type=_text(data, "fileType") or None,
        gmt_create=_text(data, "gmtCreate") or None,
        gmt_modified=_text(data, "gmtModified") or None,
        size=_number(data, "size"),
        status=_text(data, "status") or None,
    )


def _text(data: dict[str, Any], name: str) -> str:
    value = data.get(name)
    return value if isinstance(value, str) else ""


def _number(data: dict[str, Any], name: str) -> int | None:
    value = data.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _read_file_url(reply: Reply) -> dict[str, Any]:
    data = reply.object()
    if not isinstance(data.get("url"), str) or not data["url"]:
        raise reply.invalid("it holds no URL")
    return {"url": data["url"], "expire_time": data.get("expireTime"), "attributes": data.get("attributes") is True}


def with_attributes(url: str, mode: int, mtime: float) -> str:
    """Return a URL for an upload that stores a file's mode and time, for a store whose URLs have ``attributes``."""
    return f"{url}{'&' if '?' in url else '?'}mode={mode:o}&mtime={mtime:.6f}"


def stored_attributes(reply: Reply) -> tuple[int | None, float | None]:
    """Return the mode and time that a store returns with a file; None for what it does not."""
    mode, mtime = reply.header(b"x-agb-mode"), reply.header(b"x-agb-mtime")
    is_time = re.fullmatch(r"-?[0-9]{1,11}(\.[0-9]{1,9})?", mtime, re.ASCII)
    return int(mode, 8) if re.fullmatch(r"[0-7]{1,3}", mode) else None, float(mtime) if is_time else None


def _read_task_ids(reply: Reply) -> list[str] | None:
    data = reply.data()
    ids = data.get("taskIds") if isinstance(data, dict) else None
    if not isinstance(ids, list) or not all(isinstance(task_id, str) and task_id for task_id in ids):
        return None
    return ids


def _read_status_rows(reply: Reply) -> list[ContextStatusData]:
    """Read the rows, which are JSON inside JSON inside JSON; null and an empty text are no rows."""
    data = reply.data()
    status = data.get("contextStatus") if isinstance(data, dict) else None
    try:
        wrappers = _array(status)
        rows = [
            row
            for wrapper in _objects(wrappers)
            if wrapper.get("type") == "data"
            for row in _array(wrapper.get("data"))
        ]
    except (ValueError, RecursionError) as error:
        raise reply.invalid("its context status is not JSON") from error
    except TypeError as error:
        raise reply.invalid(f"its context status is not {error}") from error
    return [ContextStatusData.from_dict(row) for row in _objects(rows)]


def _array(value: Any) -> list[Any]:
    if isinstance(value, str):
        value = json.loads(value) if value.strip() else None
    if value is None:
        return []
    if not isinstance(value, list):
        raise TypeError("an array")
    return value
