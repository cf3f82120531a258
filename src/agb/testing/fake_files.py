"""The files of a fake session, in memory, and the file tools on them; texts and errors are those of the protocol."""

from __future__ import annotations

import base64
import fnmatch
import json
import posixpath
from collections.abc import Callable, Mapping
from typing import Any

from .._ops.tools.files import NO_MATCHES, replaced

HOME = "/home/user"


class ToolFailure(Exception):
    """A tool of a fake session has failed; the text is that of its answer."""


class FakeFiles:
    """Files and directories in memory.

    Attributes:
        contents: the bytes of each file by its absolute path; a test may read and change it.
    """

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self._directories = {"/", "/tmp", "/home", HOME}
        self.tools: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
            "create_directory": self._create_directory,
            "edit_file": self._edit,
            "get_file_info": self._info,
            "list_directory": self._list,
            "move_file": self._move,
            "delete_file": self._delete,
            "read_file": self._read,
            "write_file": self._write,
            "search_files": self._search,
            "get_file_change": lambda args: "[]",  # noqa: ARG005 - as all tools
        }

    def is_directory(self, path: str) -> bool:
        """Return whether there is a directory, made by itself or by a file in it."""
        below = path.rstrip("/") + "/"
        return path in self._directories or any(
            other.startswith(below) for other in (*self.contents, *self._directories)
        )

    def exists(self, path: str) -> bool:
        """Return whether there is a file or a directory."""
        path = _absolute(path)
        return path in self.contents or self.is_directory(path)

    def remove(self, path: str) -> None:
        """Remove a file, or a directory with everything in it."""
        path = _absolute(path)
        if not self.exists(path):
            raise ToolFailure(f"{path!r} does not exist")
        self._directories = {one for one in self._directories if not _is_within(one, path)}
        self.contents = {name: data for name, data in self.contents.items() if not _is_within(name, path)}

    # --- the tools -----------------------------------------------------------------------------------------------

    def _create_directory(self, args: Mapping[str, Any]) -> str:
        path = _absolute(args["path"])
        if path in self.contents:
            raise ToolFailure(f"{path!r} is a file")
        self._directories.add(path)
        return f"Successfully created directory {path}"

    def _edit(self, args: Mapping[str, Any]) -> str:
        path = self._file(args["path"])
        if args.get("report") == "counts":
            edited, counts = replaced(self.contents[path], args["edits"], args["replaceAll"])
            if not args.get("dryRun") and all(count == 1 or (count and args["replaceAll"]) for count in counts):
                self.contents[path] = edited
            return json.dumps(counts)
        text = self.contents[path].decode()
        for edit in args["edits"]:
            if edit["oldText"] not in text:
                raise ToolFailure(f"the text to replace is not in {path!r}: {edit['oldText']!r}")
            text = text.replace(edit["oldText"], edit["newText"])
        if not args.get("dryRun"):
            self.contents[path] = text.encode()
        return f"Successfully edited {path}"

    def _info(self, args: Mapping[str, Any]) -> str:
        path = _absolute(args["path"])
        if not self.exists(path):
            raise ToolFailure(f"{path!r} does not exist")
        is_file = path in self.contents
        found = {
            "name": posixpath.basename(path),
            "path": path,
            "size": len(self.contents.get(path, b"")),
            "type": "file" if is_file else "directory",
            "isDirectory": str(not is_file).lower(),
            "isFile": str(is_file).lower(),
            "modified": "1000000000.000000",
            "permissions": "644" if is_file else "755",
        }
        return "\n".join(f"{name}: {value}" for name, value in found.items())

    def _list(self, args: Mapping[str, Any]) -> str:
        path = _absolute(args["path"])
        if not self.is_directory(path):
            raise ToolFailure(f"{path!r} is not a directory, or does not exist")
        below = path.rstrip("/") + "/"
        all_paths = (*self.contents, *self._directories)
        names = {one[len(below) :].partition("/")[0] for one in all_paths if one.startswith(below) and one != below}
        return "\n".join(f"[{'DIR' if self.is_directory(below + name) else 'FILE'}] {name}" for name in sorted(names))

    def _move(self, args: Mapping[str, Any]) -> str:
        source, target = _absolute(args["source"]), _absolute(args["destination"])
        if not self.exists(source):
            raise ToolFailure(f"{source!r} does not exist")
        if self.exists(target):
            raise ToolFailure(f"{target!r} exists")
        self.contents = {_moved(name, source, target): data for name, data in self.contents.items()}
        self._directories = {_moved(name, source, target) for name in self._directories}
        return f"Successfully moved {source} to {target}"

    def _delete(self, args: Mapping[str, Any]) -> str:
        path = _absolute(args["path"])
        if self.is_directory(path) and not args.get("recursive"):
            raise ToolFailure(f"{path!r} is a directory")
        self.remove(path)
        return f"Successfully deleted {path}"

    def _read(self, args: Mapping[str, Any]) -> str:
        data = self.contents[self._file(args["path"])]
        begin, length = args.get("offset", 0), args.get("length", 0)
        piece = data[begin : begin + length if length else None]
        return base64.b64encode(piece).decode() if args.get("format") == "binary" else piece.decode("utf-8", "replace")

    def _write(self, args: Mapping[str, Any]) -> str:
        path = _absolute(args["path"])
        if self.is_directory(path):
            raise ToolFailure(f"{path!r} is a directory")
        if not self.is_directory(posixpath.dirname(path)):
            raise ToolFailure(f"the directory of {path!r} does not exist")
        is_binary = args.get("format") == "binary"
        data = base64.b64decode(args["content"]) if is_binary else args["content"].encode()
        self.contents[path] = self.contents.get(path, b"") + data if args.get("mode") == "append" else data
        return f"Successfully wrote {path}"

    def _search(self, args: Mapping[str, Any]) -> str:
        top, pattern = _absolute(args["path"]), args["pattern"].lower()
        if not set("*?[") & set(pattern):
            pattern = f"*{pattern}*"
        found = [
            path
            for path in sorted(self.contents)
            if _is_within(path, top) and fnmatch.fnmatch(posixpath.basename(path).lower(), pattern)
        ]
        return "\n".join(found) or NO_MATCHES

    def _file(self, path: str) -> str:
        path = _absolute(path)
        if path not in self.contents:
            raise ToolFailure(f"{path!r} {'is a directory' if self.is_directory(path) else 'does not exist'}")
        return path


def _absolute(path: str) -> str:
    return posixpath.normpath(posixpath.join(HOME, path))


def _is_within(path: str, top: str) -> bool:
    return path == top or path.startswith(top.rstrip("/") + "/")


def _moved(path: str, source: str, target: str) -> str:
    return target + path[len(source) :] if _is_within(path, source) else path
