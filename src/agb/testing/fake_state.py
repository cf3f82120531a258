"""The state of a fake service: its sessions and contexts, and one function per operation on sessions."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import define, field

from .._wire.reply import SESSION_NOT_FOUND
from .fake_contexts import Beside, FakeContext, FakeContexts, Params, Refusal, page
from .fake_files import FakeFiles


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


class FakeState:
    """Sessions and contexts, and the operations on them."""

    def __init__(self, tool_list: Sequence[Mapping[str, Any]]) -> None:
        self.sessions: dict[str, FakeSession] = {}
        self._tool_list = json.dumps(list(tool_list))
        self._count = 0
        self._contexts = FakeContexts(self._new_id)
        self.contexts = self._contexts.contexts
        self.stored = self._contexts.stored
        self.operations: Mapping[str, Callable[[Params], Any]] = {
            **self._contexts.operations,
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
            "SyncContext": self._sync,
            "GetContextInfo": self._sync_status,
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
        return page([{"sessionId": one.session_id} for one in found], params)

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

    # --- syncs ---------------------------------------------------------------------------------------------------

    def _internal_contexts(self, params: Params) -> list[dict[str, str]]:
        session = self.session(params)
        found = []
        for kind in json.loads(params["contextTypes"]):
            path = f"/tmp/{kind}"
            if path not in session.mounts:
                session.mounts[path] = self._contexts.create(f"{kind}-{session.session_id}").context_id
            found.append({"contextId": session.mounts[path], "contextType": kind, "contextPath": path})
        return found

    def _sync(self, params: Params) -> dict[str, Any]:
        """Copy the files at once, so that each task has ended when it is reported."""
        session, mode = self.session(params), params.get("mode") or "upload"
        tasks = []
        for path, context_id in session.mounts.items():
            if params.get("contextId") not in (None, "", context_id):
                continue
            _copy(session.files, path, self._contexts.find(context_id), mode)
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
