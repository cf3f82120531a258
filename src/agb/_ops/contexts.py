"""Context operations: named persistent stores, their files, and their sync with sessions."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from .._wire.call import Call, get, json_text, post
from .._wire.reply import Reply
from .._wire.shape import (
    ANYTHING,
    FLAG,
    NAME,
    TEXT,
    WHOLE,
    Array,
    Field,
    JsonText,
    Object,
    Scalar,
    Shape,
    ShapeError,
    kind_of_json,
    maybe,
    needed,
)
from ..exceptions import AGBError, ErrorKind
from ..results.contexts import Context, ContextFileEntry
from ..results.syncs import ContextStatusData
from .pages import NumberedListing, Page, TokenListing

T = TypeVar("T")

CLEARING = "clearing"
AVAILABLE = "available"
"""States of a context: ``clearing`` while a clear runs, ``available`` when it has ended."""

# --- shapes ------------------------------------------------------------------------------------------------------


class _Listed(Shape):
    """The items of a page, and the fields beside them: an array, or an object with an array and those fields.

    Services write an empty list as null.
    """

    def __init__(self, item: Shape) -> None:
        self._items = Array(item)

    def read(self, value: Any, place: str) -> dict[str, Any]:
        """Return the fields of the page, with the items as ``items``."""
        if not isinstance(value, dict):
            return {"items": self._items.read(value, place)}
        found = next((name for name, item in value.items() if isinstance(item, list)), None)
        if found is None:
            raise ShapeError(f"{place} is {kind_of_json(value)} without an array")
        return {"items": self._items.read(value[found], f"{place}.{found}"), **_PAGE.read(value, place)}


_PAGE_FIELDS = {"nextToken": maybe(TEXT), **dict.fromkeys(("maxResults", "totalCount", "count"), maybe(WHOLE))}
_PAGE = Object(_PAGE_FIELDS)


def _page_of(item: dict[str, Field]) -> Object:
    return Object({"data": maybe(_Listed(Object(item))), **_PAGE_FIELDS})


_CONTEXT: dict[str, Field] = dict.fromkeys(("id", "name", "createTime", "lastUsedTime", "state"), maybe(TEXT))
_FILE = {
    **dict.fromkeys(("fileId", "fileName", "fileType", "gmtCreate", "gmtModified", "status"), maybe(TEXT)),
    "filePath": needed(TEXT),
    "size": maybe(WHOLE),
}
CONTEXT_PAGE = _page_of({**_CONTEXT, "id": needed(NAME)})
CONTEXT = Object({"data": maybe(Object(_CONTEXT))})
FILE_PAGE = _page_of(_FILE)
FILE_URL = Object(
    {
        "data": needed(
            Object(
                {
                    "url": needed(NAME),
                    "expireTime": maybe(Scalar("a time", (int, float, str))),
                    "attributes": maybe(FLAG),
                }
            )
        )
    }
)
INTERNAL_CONTEXTS = Object(
    {"data": maybe(Array(Object(dict.fromkeys(("contextId", "contextType", "contextPath"), maybe(TEXT)))))}
)
SYNC_STATUS = Object(
    {
        "data": maybe(
            Object(
                {
                    "contextStatus": maybe(
                        JsonText(Array(Object({"type": maybe(TEXT), "data": maybe(ANYTHING)})), empty=list)
                    )
                }
            )
        )
    }
)
SYNC_ROWS = JsonText(
    Array(
        Object(
            {
                **dict.fromkeys(("contextId", "path", "errorMessage", "status", "taskType", "taskId"), maybe(TEXT)),
                **dict.fromkeys(("startTime", "finishTime"), maybe(WHOLE)),
            }
        )
    ),
    empty=list,
)
"""What a part of ``contextStatus`` holds whose type is ``data``."""

# --- operations --------------------------------------------------------------------------------------------------


def list_contexts(max_results: int = 10, next_token: str = "") -> Call[Page[Context]]:
    """GET /sdk/ListContexts."""
    return get(
        "list contexts",
        "/sdk/ListContexts",
        {"maxResults": max_results, "nextToken": next_token},
        read=lambda reply: _read_page(reply, lambda item: _context(item, "", "")),
        shape=CONTEXT_PAGE,
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
        shape=CONTEXT,
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
        shape=SYNC_STATUS,
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
        shape=FILE_URL,
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
    context_id: str, parent_folder_path: str = "", page_number: int = 1, page_size: int = 50, next_token: str = ""
) -> Call[Page[ContextFileEntry]]:
    """POST /sdk/DescribeContextFiles; a token of the page before says where this one begins, if the service has any."""
    return post(
        f"list the files of the context {context_id}",
        "/sdk/DescribeContextFiles",
        {
            "contextId": context_id,
            "parentFolderPath": parent_folder_path,
            "pageNumber": page_number,
            "pageSize": page_size,
            "nextToken": next_token,
        },
        read=lambda reply: _read_page(reply, _file_entry),
        shape=FILE_PAGE,
        repeatable=True,
        error=AGBError,
    )


def file_listing(context_id: str, parent: str = "", page_size: int = 100) -> NumberedListing[ContextFileEntry]:
    """Return how all files of a folder of a context are listed, so many at a time."""
    return NumberedListing(
        lambda number, token: describe_context_files(context_id, parent, number, page_size, token),
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
        read=lambda reply: reply.content().get("data", []),
        shape=INTERNAL_CONTEXTS,
        repeatable=True,
        session_id=session_id,
    )


# --- readers -----------------------------------------------------------------------------------------------------


def _nothing(reply: Reply) -> None:
    reply.data()


def _read_page(reply: Reply, make: Callable[[dict[str, Any]], T]) -> Page[T]:
    """Read a page; its tokens are at the top level, or in ``data`` when that is an object."""
    page = reply.content()
    inner = page.pop("data", {"items": []})
    both = {**inner, **page}
    return Page(
        items=[make(item) for item in inner["items"]],
        next_token=page.get("nextToken") or inner.get("nextToken", ""),
        max_results=both.get("maxResults"),
        total_count=both.get("totalCount", both.get("count")),
    )


def _context(data: dict[str, Any], name: str, context_id: str) -> Context:
    return Context(
        id=data.get("id") or context_id,
        name=data.get("name") or name,
        created_at=data.get("createTime") or None,
        last_used_at=data.get("lastUsedTime") or None,
        state=data.get("state") or None,
    )


def _read_context(reply: Reply, name: str, context_id: str) -> Context:
    """Read a context; a success without data says that there is none."""
    data = reply.content().get("data")
    if data is None:
        error = reply.refused("there is no such context")
        error.kind = ErrorKind.NOT_FOUND
        raise error
    context = _context(data, name, context_id)
    if not context.id:
        raise reply.invalid("it names no context")
    return context


def _file_entry(data: dict[str, Any]) -> ContextFileEntry:
    return ContextFileEntry(
        file_id=data.get("fileId", ""),
        file_name=data.get("fileName", ""),
        file_path=data["filePath"],
        file_type=data.get("fileType") or None,
        gmt_create=data.get("gmtCreate") or None,
        gmt_modified=data.get("gmtModified") or None,
        size=data.get("size"),
        status=data.get("status") or None,
    )


def _read_file_url(reply: Reply) -> dict[str, Any]:
    data = reply.content()["data"]
    expires = data.get("expireTime")
    expires = expires if isinstance(expires, int) else None
    return {"url": data["url"], "expire_time": expires, "attributes": data.get("attributes", False)}


def with_attributes(url: str, mode: int, mtime: float) -> str:
    """Return a URL for an upload that stores a file's mode and time, for a store whose URLs have ``attributes``."""
    return f"{url}{'&' if '?' in url else '?'}mode={mode:o}&mtime={mtime:.6f}"


def stored_attributes(reply: Reply) -> tuple[int | None, float | None]:
    """Return the mode and time that a store returns with a file; None for what it does not."""
    mode, mtime = reply.header(b"x-agb-mode"), reply.header(b"x-agb-mtime")
    is_time = re.fullmatch(r"-?[0-9]{1,11}(\.[0-9]{1,9})?", mtime, re.ASCII)
    return int(mode, 8) if re.fullmatch(r"[0-7]{1,3}", mode) else None, float(mtime) if is_time else None


def _read_task_ids(reply: Reply) -> list[str] | None:
    """Read what the cloud does not promise, so another shape means that the tasks are not named."""
    data = reply.data()
    ids = data.get("taskIds") if isinstance(data, dict) else None
    if not isinstance(ids, list) or not all(isinstance(task_id, str) and task_id for task_id in ids):
        return None
    return ids


def _read_status_rows(reply: Reply) -> list[ContextStatusData]:
    """Read the rows, which are JSON inside JSON inside JSON; null and an empty text are no rows."""
    parts = reply.content().get("data", {}).get("contextStatus", [])
    return [
        ContextStatusData.from_dict(row)
        for part in parts
        if part.get("type") == "data" and part.get("data") is not None
        for row in reply.shaped(SYNC_ROWS, part["data"], "the rows of data.contextStatus")
    ]
