"""The state of a fake service: its sessions and contexts, and one function per operation on them.

The functions are named by the operations' paths (`agb._ops`). Each takes the parameters of a call, those of the query
and those of the body in one, and returns the envelope's ``data``, or the fields of the whole envelope as `Beside`.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from attrs import define, field, frozen

from .._wire.reply import CONTEXT_NAME_TAKEN, CONTEXT_NOT_FOUND, FILE_NOT_FOUND, SESSION_NOT_FOUND
from .fake_files import FakeFiles

FILES_HOST = "files.fake.invalid"
"""The host of the pre-signed URLs."""
Params = Mapping[str, Any]


class Refusal(Exception):
    """The service answers no."""

    def __init__(self, code: str, message: str, status: int = 404, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.headers = dict(headers or {})


@frozen
class Beside:
    """The data of an answer, and fields beside it."""

    data: Any
    fields: Mapping[str, Any]


@define
class FakeSession:
    """A session of a fake service.

    Attributes:
        session_id, image_id, labels: as it was created.
        files: its files.
        mounts: the directories in which it has contexts, and their ids.
        is_open: whether it was not deleted yet.
    """

    session_id: str
    image_id: str
    labels: dict[str, str] = field(factory=dict)
    files: FakeFiles = field(factory=FakeFiles, repr=False)
    mounts: dict[str, str] = field(factory=dict)
    tasks: list[dict[str, Any]] = field(factory=list, repr=False)
    is_open: bool = True


@define
class FakeContext:
    """A persistent context of a fake service, with the bytes of its files by their paths."""

    context_id: str
    name: str
    files: dict[str, bytes] = field(factory=dict, repr=False)


class FakeState:
    """Sessions and contexts, and the operations on them."""

    def __init__(self, tool_list: Sequence[Mapping[str, Any]]) -> None:
        self.sessions: dict[str, FakeSession] = {}
        self.contexts: dict[str, FakeContext] = {}
        self._tool_list = json.dumps(list(tool_list))
        self._count = 0
        self.operations: Mapping[str, Callable[[Params], Any]] = {
            "createSession": self._create_session,
            "getSession": lambda params: self._described(self.session(params)),
            "getSessionInfo": self._status,
            "ListSession": self._list_sessions,
            "releaseSessionAsync": self._release,
            "releaseSession": self._release,
            "refreshSessionIdleTime": self._nothing_to_do,
            "SetLabel": self._set_labels,
            "GetLabel": lambda params: {"labels": json.dumps(self.session(params).labels)},
            "getLink": self._link,
            "getCdpLink": self._link,
            "getMcpResource": self._resource,
            "listTools": lambda params: self._tool_list,  # noqa: ARG005 - as every operation
            "init": self._browser,
            "ListContexts": self._list_contexts,
            "GetContext": self._get_context,
            "ModifyContext": self._rename_context,
            "DeleteContext": self._delete_context,
            "ClearContext": lambda params: self._context(params["id"]).files.clear(),
            "SyncContext": self._sync,
            "GetContextInfo": self._sync_status,
            "GetContextFileDownloadUrl": lambda params: self._url(params, must_exist=True),
            "GetContextFileUploadUrl": self._url,
            "DeleteContextFile": self._delete_file,
            "DescribeContextFiles": self._list_files,
            "GetAndLoadInternalContext": self._internal_contexts,
            "dashboard": lambda params: {"url": "https://fake.invalid/dashboard"},  # noqa: ARG005 - as above
        }

    # --- sessions ------------------------------------------------------------------------------------------------

    def session(self, params: Params) -> FakeSession:
        """Return the open session that a call is for.

        Raises:
            Refusal: there is none.
        """
        session_id = str(params.get("sessionId", ""))
        found = self.sessions.get(session_id)
        if found is None or not found.is_open:
            raise Refusal(SESSION_NOT_FOUND, f"The session {session_id!r} is not found")
        return found

    def _new_id(self, kind: str) -> str:
        self._count += 1
        return f"{kind}-{self._count}"

    def _create_session(self, params: Params) -> dict[str, Any]:
        labels = json.loads(params.get("labels") or "{}")
        session = FakeSession(self._new_id("s"), str(params.get("imageId", "")), labels)
        self.sessions[session.session_id] = session
        for mount in params.get("persistenceDataList", ()):
            session.mounts[mount["path"]] = mount["contextId"]
            self._sync({"sessionId": session.session_id, "contextId": mount["contextId"], "mode": "download"})
        return {"success": True, "errMsg": "", **self._described(session)}

    def _described(self, session: FakeSession) -> dict[str, Any]:
        # Without the address of the session's own host all tools are called through the API.
        return {
            "sessionId": session.session_id,
            "imageId": session.image_id,
            "resourceUrl": f"https://fake.invalid/{session.session_id}",
            "toolList": self._tool_list,
            "status": "RUNNING",
        }

    def _status(self, params: Params) -> dict[str, Any]:
        session = self.sessions.get(params["sessionId"])
        if session is None:
            raise Refusal(SESSION_NOT_FOUND, f"The session {params['sessionId']!r} is not found")
        return {"sessionId": session.session_id, "status": "RUNNING" if session.is_open else "FINISH"}

    def _list_sessions(self, params: Params) -> Beside:
        wanted = json.loads(params.get("labels") or "{}").items()
        found = [one for one in self.sessions.values() if one.is_open and wanted <= one.labels.items()]
        return _page([{"sessionId": one.session_id} for one in found], params)

    def _release(self, params: Params) -> None:
        self.session(params).is_open = False

    def _nothing_to_do(self, params: Params) -> None:
        self.session(params)

    def _set_labels(self, params: Params) -> None:
        self.session(params).labels = json.loads(params.get("Labels") or "{}")

    def _link(self, params: Params) -> dict[str, str]:
        port = params.get("port", 30100)
        return {"url": f"https://fake.invalid/{self.session(params).session_id}/{port}"}

    def _resource(self, params: Params) -> dict[str, str]:
        session = self.session(params)
        return {"sessionId": session.session_id, "resourceUrl": f"https://fake.invalid/{session.session_id}"}

    def _browser(self, params: Params) -> dict[str, int]:
        self.session(params)
        return {"port": 9222}

    # --- contexts ------------------------------------------------------------------------------------------------

    def _context(self, context_id: str) -> FakeContext:
        if context_id not in self.contexts:
            raise Refusal(CONTEXT_NOT_FOUND, f"The context {context_id!r} is not found")
        return self.contexts[context_id]

    def _get_context(self, params: Params) -> dict[str, Any]:
        if params.get("id"):
            return _described(self._context(params["id"]))
        name = params.get("name", "")
        found = next((one for one in self.contexts.values() if one.name == name), None)
        if found is None and params.get("allowCreate") != "true":
            raise Refusal(CONTEXT_NOT_FOUND, f"There is no context {name!r}")
        return _described(found or self._new_context(name))

    def _new_context(self, name: str) -> FakeContext:
        context = FakeContext(self._new_id("c"), name)
        self.contexts[context.context_id] = context
        return context

    def _list_contexts(self, params: Params) -> Beside:
        return _page([_described(one) for one in self.contexts.values()], params)

    def _rename_context(self, params: Params) -> None:
        context = self._context(params["id"])
        if any(one.name == params["name"] and one is not context for one in self.contexts.values()):
            raise Refusal(CONTEXT_NAME_TAKEN, f"Another context has the name {params['name']!r}", 400)
        context.name = params["name"]

    def _delete_context(self, params: Params) -> None:
        del self.contexts[self._context(params["id"]).context_id]

    def _url(self, params: Params, *, must_exist: bool = False) -> dict[str, Any]:
        context, path = self._context(params["contextId"]), params["filePath"]
        if must_exist and path not in context.files:
            raise Refusal(FILE_NOT_FOUND, f"There is no file {path!r} in the context")
        return {"url": f"https://{FILES_HOST}/{context.context_id}/{quote(path, safe='')}?signature=fake"}

    def stored(self, context_id: str, path: str, content: bytes | None) -> bytes | None:
        """Return the bytes of a file, None if there is none; with ``content``, store that first."""
        context = self._context(context_id)
        if content is not None:
            context.files[path] = content
        return context.files.get(path)

    def _delete_file(self, params: Params) -> None:
        if self._context(params["contextId"]).files.pop(params["filePath"], None) is None:
            raise Refusal(FILE_NOT_FOUND, f"There is no file {params['filePath']!r} in the context")

    def _list_files(self, params: Params) -> Beside:
        parent = (params.get("parentFolderPath") or "").rstrip("/")
        files = sorted(self._context(params["contextId"]).files.items())
        found = [
            {"fileId": path, "fileName": posixpath.basename(path), "filePath": path, "size": len(data)}
            for path, data in files
            if not parent or posixpath.dirname(path) == parent
        ]
        size, number = int(params.get("pageSize", 50)), int(params.get("pageNumber", 1))
        return Beside(found[(number - 1) * size : number * size], {"count": len(found)})

    # --- syncs ---------------------------------------------------------------------------------------------------

    def _internal_contexts(self, params: Params) -> list[dict[str, str]]:
        session = self.session(params)
        found = []
        for kind in json.loads(params["contextTypes"]):
            path = f"/tmp/{kind}"
            if path not in session.mounts:
                session.mounts[path] = self._new_context(f"{kind}-{session.session_id}").context_id
            found.append({"contextId": session.mounts[path], "contextType": kind, "contextPath": path})
        return found

    def _sync(self, params: Params) -> dict[str, Any]:
        """Copy the files at once, so that each task has ended when it is reported."""
        session, mode = self.session(params), params.get("mode") or "upload"
        tasks = []
        for path, context_id in session.mounts.items():
            if params.get("contextId") not in (None, "", context_id):
                continue
            _copy(session.files, path, self._context(context_id), mode)
            task = {"contextId": context_id, "path": path, "taskType": mode, "status": "Success", "errorMessage": ""}
            tasks.append({**task, "taskId": self._new_id("t"), "startTime": 1, "finishTime": 1})
        session.tasks += tasks
        return {"taskIds": [task["taskId"] for task in tasks]}

    def _sync_status(self, params: Params) -> dict[str, str]:
        rows = self.session(params).tasks
        return {"contextStatus": json.dumps([{"type": "data", "data": json.dumps(rows)}])}


def _copy(files: FakeFiles, path: str, context: FakeContext, mode: str) -> None:
    top = path.rstrip("/")
    if mode == "download":
        files.contents |= {f"{top}/{name.lstrip('/')}": data for name, data in context.files.items()}
    else:
        found = {name: data for name, data in files.contents.items() if name.startswith(f"{top}/")}
        context.files |= {name[len(top) :]: data for name, data in found.items()}


def _described(context: FakeContext) -> dict[str, Any]:
    return {"id": context.context_id, "name": context.name, "state": "available"}


def _page(items: list[dict[str, Any]], params: Params) -> Beside:
    """Return a page; its token is the number of the item that comes next."""
    begin, most = int(params.get("nextToken") or 0), int(params.get("maxResults", 10))
    end = begin + most
    token = str(end) if end < len(items) else ""
    return Beside(items[begin:end], {"nextToken": token, "maxResults": most, "count": len(items)})
