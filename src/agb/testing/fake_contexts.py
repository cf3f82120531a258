"""The persistent contexts of a fake service, and one function per operation on them.

The functions take the parameters of a call, those of the query and those of the body in one, and return the envelope's
``data``, or the fields of the whole envelope as `Beside`.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from attrs import define, field, frozen

from .._wire.reply import CONTEXT_NAME_TAKEN, CONTEXT_NOT_FOUND, FILE_NOT_FOUND

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
class FakeContext:
    """A persistent context of a fake service, with the bytes of its files by their paths."""

    context_id: str
    name: str
    files: dict[str, bytes] = field(factory=dict, repr=False)


class FakeContexts:
    """The contexts of a fake service by their ids, and the operations on them by their names.

    Args:
        new_id: returns a new id of a kind.
    """

    def __init__(self, new_id: Callable[[str], str]) -> None:
        self.contexts: dict[str, FakeContext] = {}
        self._new_id = new_id
        self.operations: Mapping[str, Callable[[Params], Any]] = {
            "ListContexts": self._list_contexts,
            "GetContext": self._get_context,
            "ModifyContext": self._rename,
            "DeleteContext": self._delete,
            "ClearContext": lambda params: self.find(params["id"]).files.clear(),
            "GetContextFileDownloadUrl": lambda params: self._url(params, must_exist=True),
            "GetContextFileUploadUrl": self._url,
            "DeleteContextFile": self._delete_file,
            "DescribeContextFiles": self._list_files,
        }

    def find(self, context_id: str) -> FakeContext:
        """Return a context.

        Raises:
            Refusal: there is none of that id.
        """
        if context_id not in self.contexts:
            raise Refusal(CONTEXT_NOT_FOUND, f"The context {context_id!r} is not found")
        return self.contexts[context_id]

    def _get_context(self, params: Params) -> dict[str, Any]:
        if params.get("id"):
            return _described(self.find(params["id"]))
        name = params.get("name", "")
        found = next((one for one in self.contexts.values() if one.name == name), None)
        if found is None and params.get("allowCreate") != "true":
            raise Refusal(CONTEXT_NOT_FOUND, f"There is no context {name!r}")
        return _described(found or self.create(name))

    def create(self, name: str) -> FakeContext:
        """Return a new context."""
        context = FakeContext(self._new_id("c"), name)
        self.contexts[context.context_id] = context
        return context

    def _list_contexts(self, params: Params) -> Beside:
        return page([_described(one) for one in self.contexts.values()], params)

    def _rename(self, params: Params) -> None:
        context = self.find(params["id"])
        if any(one.name == params["name"] and one is not context for one in self.contexts.values()):
            raise Refusal(CONTEXT_NAME_TAKEN, f"Another context has the name {params['name']!r}", 400)
        context.name = params["name"]

    def _delete(self, params: Params) -> None:
        del self.contexts[self.find(params["id"]).context_id]

    def _url(self, params: Params, *, must_exist: bool = False) -> dict[str, Any]:
        context, path = self.find(params["contextId"]), params["filePath"]
        if must_exist and path not in context.files:
            raise Refusal(FILE_NOT_FOUND, f"There is no file {path!r} in the context")
        return {"url": f"https://{FILES_HOST}/{context.context_id}/{quote(path, safe='')}?signature=fake"}

    def stored(self, context_id: str, path: str, content: bytes | None) -> bytes | None:
        """Return the bytes of a file, None if there is none; with ``content``, store that first."""
        context = self.find(context_id)
        if content is not None:
            context.files[path] = content
        return context.files.get(path)

    def _delete_file(self, params: Params) -> None:
        if self.find(params["contextId"]).files.pop(params["filePath"], None) is None:
            raise Refusal(FILE_NOT_FOUND, f"There is no file {params['filePath']!r} in the context")

    def _list_files(self, params: Params) -> Beside:
        parent = params.get("parentFolderPath") or ""
        files = sorted(self.find(params["contextId"]).files.items())
        found = [
            {"fileId": path, "fileName": posixpath.basename(path), "filePath": path, "size": len(data)}
            for path, data in files
            if not parent or posixpath.dirname(path) == (parent.rstrip("/") or "/")
        ]
        size, number = int(params.get("pageSize", 50)), int(params.get("pageNumber", 1))
        return Beside(found[(number - 1) * size : number * size], {"count": len(found)})


def _described(context: FakeContext) -> dict[str, Any]:
    return {"id": context.context_id, "name": context.name, "state": "available"}


def page(items: list[dict[str, Any]], params: Params) -> Beside:
    """Return a page; its token is the number of the item that comes next."""
    begin, most = int(params.get("nextToken") or 0), int(params.get("maxResults", 10))
    end = begin + most
    token = str(end) if end < len(items) else ""
    return Beside(items[begin:end], {"nextToken": token, "maxResults": most, "count": len(items)})
