"""Context operations: named persistent stores, their files, and their sync with sessions.

Source: control-plane.md, sections 2.16 to 2.27 and 4.5. The readers return plain JSON values; the methods that turn
them into results stand with the context service.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from .._wire.call import Call, get, json_text, post
from .._wire.reply import Reply
from ..exceptions import AGBError


def list_contexts(max_results: int = 10, next_token: str = "") -> Call[dict[str, Any]]:
    """GET /sdk/ListContexts (2.16): a page as ``items``, ``next_token``, ``max_results``, ``total_count``."""
    return get(
        "list contexts",
        "/sdk/ListContexts",
        {"maxResults": max_results, "nextToken": next_token},
        read=_read_page,
        repeatable=True,
        error=AGBError,
    )


def get_context(
    name: str = "", context_id: str = "", *, create: bool = False, login_region_id: str = ""
) -> Call[dict[str, Any]]:
    """GET /sdk/GetContext (2.17): find by name or id, or create by name; also tells the state of a clearing."""
    return get(
        f"{'get or create' if create else 'get'} the context {context_id or name!r}",
        "/sdk/GetContext",
        {"id": context_id, "name": name, "loginRegionId": login_region_id, "allowCreate": create},
        read=lambda reply: reply.data() or {},
        repeatable=True,  # a name is created once
        error=AGBError,
    )


def modify_context(context_id: str, name: str) -> Call[None]:
    """POST /sdk/ModifyContext (2.18): rename."""
    return _on_context(f"rename the context {context_id}", "/sdk/ModifyContext", {"id": context_id, "name": name})


def delete_context(context_id: str) -> Call[None]:
    """POST /sdk/DeleteContext (2.19)."""
    return _on_context(f"delete the context {context_id}", "/sdk/DeleteContext", {"id": context_id})


def clear_context(context_id: str) -> Call[None]:
    """POST /sdk/ClearContext (2.20): start clearing; the state is told by `get_context`."""
    return _on_context(f"clear the context {context_id}", "/sdk/ClearContext", {"id": context_id})


def _on_context(what: str, path: str, params: dict[str, Any]) -> Call[None]:
    return post(what, path, params, read=_nothing, repeatable=True, error=AGBError)


def sync_context(session_id: str, context_id: str = "", path: str = "", mode: str = "") -> Call[None]:
    """POST /sdk/SyncContext (2.21): start a sync; ``mode`` is ``upload``, ``download`` or nothing."""
    return post(
        f"sync {'the context ' + context_id if context_id else 'the contexts'} of session {session_id}",
        "/sdk/SyncContext",
        {"sessionId": session_id, "contextId": context_id, "path": path, "mode": mode},
        read=_nothing,
        repeatable=True,
        session_id=session_id,
    )


def get_context_info(
    session_id: str, context_id: str = "", path: str = "", task_type: str = ""
) -> Call[list[dict[str, Any]]]:
    """GET /sdk/GetContextInfo (2.22): the rows of the sync tasks."""
    return get(
        f"get the state of the contexts of session {session_id}",
        "/sdk/GetContextInfo",
        {"sessionId": session_id, "contextId": context_id, "path": path, "taskType": task_type},
        read=_read_status_rows,
        repeatable=True,
        session_id=session_id,
    )


def get_context_file_download_url(context_id: str, file_path: str) -> Call[dict[str, Any]]:
    """POST /sdk/GetContextFileDownloadUrl (2.23): a pre-signed GET as ``url`` and ``expire_time``."""
    return _file_url("download", "/sdk/GetContextFileDownloadUrl", context_id, file_path)


def get_context_file_upload_url(context_id: str, file_path: str) -> Call[dict[str, Any]]:
    """POST /sdk/GetContextFileUploadUrl (2.24): a pre-signed PUT as ``url`` and ``expire_time``."""
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
    """POST /sdk/DeleteContextFile (2.25)."""
    return _on_context(
        f"delete {file_path!r} from the context {context_id}",
        "/sdk/DeleteContextFile",
        {"contextId": context_id, "filePath": file_path},
    )


def describe_context_files(
    context_id: str, parent_folder_path: str = "", page_number: int = 1, page_size: int = 50
) -> Call[dict[str, Any]]:
    """POST /sdk/DescribeContextFiles (2.26): a page of stored files as ``items`` and ``total_count``."""
    return post(
        f"list the files of the context {context_id}",
        "/sdk/DescribeContextFiles",
        {
            "contextId": context_id,
            "parentFolderPath": parent_folder_path,
            "pageNumber": page_number,
            "pageSize": page_size,
        },
        read=_read_page,
        repeatable=True,
        error=AGBError,
    )


def get_and_load_internal_context(
    session_id: str, context_types: Sequence[str] = ("file_transfer",)
) -> Call[list[dict[str, Any]]]:
    """POST /sdk/GetAndLoadInternalContext (2.27): the session's own contexts, made on first use."""
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


def _read_page(reply: Reply) -> dict[str, Any]:
    """Read a page; its tokens stand at the top level, or in ``data`` when that is an object (2.16)."""
    data = reply.data()
    inner: dict[str, Any] = data if isinstance(data, dict) else {}
    items = data if isinstance(data, list) else next((v for v in inner.values() if isinstance(v, list)), [])
    places = (reply.json(), inner)

    def first(*names: str) -> Any:
        return next((place[name] for place in places for name in names if place.get(name) is not None), None)

    return {
        "items": _objects(items),
        "next_token": first("nextToken") or "",
        "max_results": first("maxResults"),
        "total_count": first("totalCount", "count"),
    }


def _read_file_url(reply: Reply) -> dict[str, Any]:
    data = reply.object()
    if not isinstance(data.get("url"), str) or not data["url"]:
        raise reply.invalid("it holds no URL")
    return {"url": data["url"], "expire_time": data.get("expireTime")}


def _read_status_rows(reply: Reply) -> list[dict[str, Any]]:
    """Read the rows, which are JSON inside JSON inside JSON (4.5)."""
    data = reply.data()
    status = data.get("contextStatus") if isinstance(data, dict) else None
    try:
        wrappers = json.loads(status) if isinstance(status, str) and status else status
        rows: list[dict[str, Any]] = []
        for wrapper in _objects(wrappers):
            if wrapper.get("type") == "data":
                inner = wrapper.get("data") or "[]"
                rows += _objects(json.loads(inner) if isinstance(inner, str) else inner)
    except (ValueError, RecursionError) as error:
        raise reply.invalid("its context status is not JSON") from error
    return rows
