"""Mounts: which context is bound to which directory of a session; parsed and checked before anything is started."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, TypeVar

from attrs import evolve, field, frozen

from ...context_sync import (
    DeletePolicy,
    DownloadPolicy,
    DownloadStrategy,
    ExtractPolicy,
    Lifecycle,
    RecyclePolicy,
    UploadMode,
    UploadPolicy,
    UploadStrategy,
    WhiteList,
)
from ..errors import Refused, invalid
from ..inside.mount_helper.selection import Selection
from ..sandbox.directories import TMP
from ..validation import json_object, kind_of, shown
from .keys import folder_key

FILE_TRANSFER = "/tmp/file_transfer"
"""Where a session finds the files of its own, internal context."""

_NOT_SYNCED = ("file_transfer", "agb-processes")
"""Directories of /tmp that belong to the running session: they are no data of a context mounted there."""
MOST_MOUNTS = 50
_LIFETIMES = {
    Lifecycle.LIFECYCLE_1DAY: 1,
    Lifecycle.LIFECYCLE_3DAYS: 3,
    Lifecycle.LIFECYCLE_5DAYS: 5,
    Lifecycle.LIFECYCLE_10DAYS: 10,
    Lifecycle.LIFECYCLE_15DAYS: 15,
    Lifecycle.LIFECYCLE_30DAYS: 30,
    Lifecycle.LIFECYCLE_90DAYS: 90,
    Lifecycle.LIFECYCLE_180DAYS: 180,
    Lifecycle.LIFECYCLE_360DAYS: 360,
    Lifecycle.LIFECYCLE_FOREVER: None,
}

E = TypeVar("E", bound=Enum)


@frozen(kw_only=True)
class Policy:
    """A sync policy, with the defaults for absent parts."""

    upload: UploadPolicy = field(factory=UploadPolicy)
    download: DownloadPolicy = field(factory=DownloadPolicy)
    delete: DeletePolicy = field(factory=DeletePolicy)
    extract: ExtractPolicy = field(factory=ExtractPolicy)
    recycle: RecyclePolicy = field(factory=RecyclePolicy)
    white_lists: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Paths relative to the mount, without slashes around them, each with what is left out."""
    mapped: str = ""
    """The path under which the data is stored, if that is not the mount's."""

    @property
    def days(self) -> int | None:
        """For how many days stored files are kept; None is for ever."""
        return _LIFETIMES[self.recycle.lifecycle]


@frozen(kw_only=True)
class Mount:
    """A context bound to a directory of a session."""

    context_id: str
    path: str
    """As in the request; status rows have it in this form."""
    place: str
    """The directory, seen from inside, without a slash at its end."""
    policy: Policy = field(factory=Policy)
    is_internal: bool = False

    @property
    def keys(self) -> str:
        """The beginning of the keys of its files in the store."""
        return self.policy.mapped or self.place

    @property
    def selection(self) -> Selection:
        """The paths that are synchronised."""
        return Selection(self.policy.white_lists)


def internal_mount(context_id: str, path: str = FILE_TRANSFER, place: str = FILE_TRANSFER) -> Mount:
    """Return a mount of a session's own context: files are copied on request only, and archives not unpacked."""
    policy = Policy(
        upload=UploadPolicy(auto_upload=False),
        download=DownloadPolicy(auto_download=False),
        extract=ExtractPolicy(extract=False),
    )
    return Mount(context_id=context_id, path=path, place=place, policy=policy, is_internal=True)


def mounts(value: Any) -> tuple[Mount, ...]:
    """Return the mounts in ``persistenceDataList`` of a create request. Raises ``Refused``."""
    what = "persistenceDataList"
    if value is None:
        return ()
    if not isinstance(value, list):
        raise invalid(f"{what} must be an array, not {kind_of(value)}")
    if len(value) > MOST_MOUNTS:
        raise invalid(f"{what} must not have more than {MOST_MOUNTS} entries")
    found = tuple(_mount(item, f"{what}[{number}]") for number, item in enumerate(value))
    _check_apart(found)
    return found


def _mount(item: Any, what: str) -> Mount:
    if not isinstance(item, dict):
        raise invalid(f"{what} must be an object, not {kind_of(item)}")
    context_id, path = _text(item, "contextId", what), _text(item, "path", what)
    if not context_id.strip():
        raise invalid(f"{what}.contextId is missing: give the id of a context")
    try:
        place = folder_key(path)
    except Refused as refusal:
        raise invalid(f"{what}: {refusal.message}") from refusal
    if not place:
        raise invalid(f"{what}: nothing can be mounted at {shown(path)}: give a directory below /home or /tmp")
    if _is_within(place, FILE_TRANSFER):
        raise invalid(f"{what}: {FILE_TRANSFER} is taken by the session's own file transfer; give another directory")
    policy = _policy(item.get("policy"), f"{what}.policy")
    if place == str(TMP):
        lists = tuple((top, (*out, *_NOT_SYNCED)) for top, out in policy.white_lists or (("", ()),))
        policy = evolve(policy, white_lists=lists)
    return Mount(context_id=context_id, path=path, place=place, policy=policy)


def _check_apart(found: Sequence[Mount]) -> None:
    """Raise `Refused` for two mounts of which one is in the other: a file would belong to both."""
    for number, mount in enumerate(found):
        for other in found[:number]:
            if _is_within(mount.place, other.place) or _is_within(other.place, mount.place):
                raise invalid(
                    f"persistenceDataList: {shown(mount.path)} and {shown(other.path)} are the same directory or one "
                    "is inside the other; give each context a directory of its own"
                )
            # A key does not contain its mount, so two mounts of one context must not share any.
            if mount.context_id == other.context_id and (
                _is_within(mount.keys, other.keys) or _is_within(other.keys, mount.keys)
            ):
                raise invalid(
                    f"persistenceDataList: {shown(mount.path)} and {shown(other.path)} are to hold the same files of "
                    f"the context {shown(mount.context_id)}; mount them once"
                )


def _is_within(path: str, top: str) -> bool:
    return path == top or path.startswith(f"{top}/")


# --- policies ----------------------------------------------------------------------------------------------------


def _policy(value: Any, what: str) -> Policy:
    if value is None or value == "":
        return Policy()
    if isinstance(value, str):
        value = json_object(value, what)
    parts = _Part(value, what)
    upload, download, delete = parts.part("uploadPolicy"), parts.part("downloadPolicy"), parts.part("deletePolicy")
    extract, recycle = parts.part("extractPolicy"), parts.part("recyclePolicy")
    lists, mapping = parts.part("bwList"), parts.part("mappingPolicy")
    policy = Policy(
        upload=UploadPolicy(
            auto_upload=upload.flag("autoUpload", default=True),
            upload_strategy=upload.member("uploadStrategy", UploadStrategy.UPLOAD_BEFORE_RESOURCE_RELEASE),
            upload_mode=upload.member("uploadMode", UploadMode.FILE),
        ),
        download=DownloadPolicy(
            auto_download=download.flag("autoDownload", default=True),
            download_strategy=download.member("downloadStrategy", DownloadStrategy.DOWNLOAD_ASYNC),
        ),
        delete=DeletePolicy(sync_local_file=delete.flag("syncLocalFile", default=True)),
        extract=ExtractPolicy(
            extract=extract.flag("extract", default=True),
            delete_src_file=extract.flag("deleteSrcFile", default=True),
            extract_current_folder=extract.flag("extractToCurrentFolder", default=False),
        ),
        recycle=RecyclePolicy(
            lifecycle=recycle.member("lifecycle", Lifecycle.LIFECYCLE_FOREVER),
            paths=recycle.paths("paths", default=("",)),
        ),
        white_lists=tuple(_white_list(part) for part in lists.parts("whiteLists")),
        mapped=mapping.place("path"),
    )
    for part in (parts, upload, download, delete, extract, recycle, lists, mapping):
        part.check_all_read()
    return policy


def _white_list(part: _Part) -> tuple[str, tuple[str, ...]]:
    path = part.paths_of("path", [part.take("path") or ""])[0]
    excluded = tuple(path for path in part.paths("excludePaths") if path)
    part.check_all_read()
    return WhiteList(path).path, excluded


class _Part:
    """One object of a policy; values are checked when they are read, and an entry that is not read is refused."""

    def __init__(self, value: Any, what: str) -> None:
        if not isinstance(value, dict):
            raise invalid(f"{what} must be an object, not {kind_of(value)}")
        self._value: Mapping[str, Any] = value
        self._what = what
        self._read: set[str] = set()

    def take(self, name: str) -> Any:
        self._read.add(name)
        return self._value.get(name)

    def check_all_read(self) -> None:
        if unknown := sorted(set(self._value) - self._read):
            known = ", ".join(sorted(self._read))
            raise invalid(f"{self._what} has {shown(unknown[0])}, which this runtime does not know; it knows {known}")

    def part(self, name: str) -> _Part:
        value = self.take(name)
        return _Part({} if value is None else value, f"{self._what}.{name}")

    def parts(self, name: str) -> list[_Part]:
        return [_Part(item, f"{self._what}.{name}[{number}]") for number, item in enumerate(self._list(name))]

    def flag(self, name: str, *, default: bool) -> bool:
        value = self.take(name)
        if value is None or isinstance(value, bool):
            return default if value is None else value
        raise invalid(f"{self._what}.{name} must be true or false, not {kind_of(value)}")

    def member(self, name: str, default: E) -> E:
        value = self.take(name)
        if value is None:
            return default
        members = {member.value: member for member in type(default)}
        if not isinstance(value, str) or value not in members:
            given = shown(value) if isinstance(value, str) else kind_of(value)
            raise invalid(f"{self._what}.{name} must be one of {', '.join(members)}, not {given}")
        return members[value]

    def paths(self, name: str, default: Sequence[str] = ()) -> list[str]:
        return self.paths_of(name, self._list(name)) or list(default)

    def paths_of(self, name: str, values: Sequence[Any]) -> list[str]:
        """Return paths relative to the mount, which may begin with a slash, without slashes around them."""
        return [self._path(name, value) for value in values]

    def _path(self, name: str, value: Any) -> str:
        if not isinstance(value, str):
            raise invalid(f"{self._what}.{name} must hold strings, not {kind_of(value)}")
        if any(letter in value for letter in "*?[]"):
            raise invalid(f"{self._what}.{name}: wildcards (* ? [ ]) are not supported: {shown(value)}")
        try:
            return folder_key(f"/{value.strip()}")[1:]
        except Refused as refusal:
            raise invalid(f"{self._what}.{name}: {refusal.message}") from refusal

    def place(self, name: str) -> str:
        value = self.take(name)
        if value is None or value == "":
            return ""
        if not isinstance(value, str):
            raise invalid(f"{self._what}.{name} must be a string, not {kind_of(value)}")
        try:
            return folder_key(value)
        except Refused as refusal:
            raise invalid(f"{self._what}.{name}: {refusal.message}") from refusal

    def _list(self, name: str) -> list[Any]:
        value = self.take(name)
        if value is None:
            return []
        return value if isinstance(value, list) else _not_a_list(f"{self._what}.{name}", value)


def _not_a_list(what: str, value: Any) -> Any:
    raise invalid(f"{what} must be an array, not {kind_of(value)}")


def _text(item: Mapping[str, Any], name: str, what: str) -> str:
    value = item.get(name)
    if value is None or value == "":
        raise invalid(f"{what}.{name} is missing: send it as a string")
    if not isinstance(value, str):
        raise invalid(f"{what}.{name} must be a string, not {kind_of(value)}")
    return value
