"""Context syncs: which persistent context is mounted where in a session, and by what policy.

Attributes may be assigned later, as in 0.12; unlike there, an assigned value is checked like one passed to the
constructor.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, TypeVar

from attrs import Attribute, define, field
from attrs.validators import instance_of, optional

E = TypeVar("E", bound=Enum)

_WILDCARDS = frozenset("*?[]")


class UploadStrategy(Enum):
    """When data goes from the session to its context."""

    UPLOAD_BEFORE_RESOURCE_RELEASE = "UploadBeforeResourceRelease"


class DownloadStrategy(Enum):
    """When data comes from the context into the session."""

    DOWNLOAD_ASYNC = "DownloadAsync"


class UploadMode(Enum):
    """How data is stored in the context."""

    FILE = "File"
    ARCHIVE = "Archive"


class Lifecycle(Enum):
    """How long stored data is kept."""

    LIFECYCLE_1DAY = "Lifecycle_1Day"
    LIFECYCLE_3DAYS = "Lifecycle_3Days"
    LIFECYCLE_5DAYS = "Lifecycle_5Days"
    LIFECYCLE_10DAYS = "Lifecycle_10Days"
    LIFECYCLE_15DAYS = "Lifecycle_15Days"
    LIFECYCLE_30DAYS = "Lifecycle_30Days"
    LIFECYCLE_90DAYS = "Lifecycle_90Days"
    LIFECYCLE_180DAYS = "Lifecycle_180Days"
    LIFECYCLE_360DAYS = "Lifecycle_360Days"
    LIFECYCLE_FOREVER = "Lifecycle_Forever"


def _member(kind: type[E]) -> Any:
    """Return a validator for members of ``kind``; the ``ValueError`` lists them, and begins as in 0.12."""

    def check(_: object, attribute: Attribute[Any], value: object) -> None:
        if not isinstance(value, kind):
            names = ", ".join(f"{kind.__name__}.{member.name}" for member in kind)
            raise ValueError(f"Invalid {attribute.name} value: {value!r}. It is one of {names}")

    return check


def _check_path(what: str, path: object) -> None:
    if not isinstance(path, str):
        raise TypeError(f"{what} is a string, not {type(path).__name__}")
    if path.strip() and _WILDCARDS.intersection(path):
        raise ValueError(
            f"Wildcard patterns are not supported in {what}, which names one file or folder. Got: {path!r}"
        )


def _plain_path(_: object, attribute: Attribute[Any], value: object) -> None:
    _check_path(attribute.name, value)


def _plain_paths(_: object, attribute: Attribute[Any], value: object) -> None:
    if isinstance(value, str) or not isinstance(value, (list, tuple)):
        raise TypeError(f"{attribute.name} is a list of paths, not {type(value).__name__}")
    for path in value:
        _check_path(f"each of {attribute.name}", path)


@define
class UploadPolicy:
    """Whether, when and how the session's data is stored.

    Args:
        auto_upload: whether it is stored before the session is released; otherwise ``session.context.sync()`` does it.
        upload_strategy: when it is stored.
        upload_mode: whether it is stored file by file, or as one archive.

    Raises:
        TypeError, ValueError: a value is of another type, or no member of its enumeration.
    """

    auto_upload: bool = field(default=True, validator=instance_of(bool))
    upload_strategy: UploadStrategy = field(
        default=UploadStrategy.UPLOAD_BEFORE_RESOURCE_RELEASE, validator=_member(UploadStrategy)
    )
    upload_mode: UploadMode = field(default=UploadMode.FILE, validator=_member(UploadMode))

    def to_dict(self) -> dict[str, Any]:
        """Return the policy as the wire has it."""
        return {
            "autoUpload": self.auto_upload,
            "uploadStrategy": self.upload_strategy.value,
            "uploadMode": self.upload_mode.value,
        }


@define
class DownloadPolicy:
    """Whether and when the stored data is brought into the session.

    Args:
        auto_download: whether it is downloaded when the session is created; otherwise ``session.context.sync()`` with
            ``mode="download"`` does it.
        download_strategy: when it is downloaded.

    Raises:
        TypeError, ValueError: a value is of another type, or no member of its enumeration.
    """

    auto_download: bool = field(default=True, validator=instance_of(bool))
    download_strategy: DownloadStrategy = field(
        default=DownloadStrategy.DOWNLOAD_ASYNC, validator=_member(DownloadStrategy)
    )

    def to_dict(self) -> dict[str, Any]:
        """Return the policy as the wire has it."""
        return {"autoDownload": self.auto_download, "downloadStrategy": self.download_strategy.value}


@define
class DeletePolicy:
    """Whether what is deleted in the session is deleted from the store too.

    Args:
        sync_local_file: True to delete it from the store.
    """

    sync_local_file: bool = field(default=True, validator=instance_of(bool))

    def to_dict(self) -> dict[str, Any]:
        """Return the policy as the wire has it."""
        return {"syncLocalFile": self.sync_local_file}


@define
class ExtractPolicy:
    """What happens to archives that are brought into the session.

    Args:
        extract: whether archives are unpacked.
        delete_src_file: whether an archive is removed from the session when it is unpacked.
        extract_current_folder: whether it is unpacked into its own directory; otherwise into a new one beside it.
    """

    extract: bool = field(default=True, validator=instance_of(bool))
    delete_src_file: bool = field(default=True, validator=instance_of(bool))
    extract_current_folder: bool = field(default=False, validator=instance_of(bool))

    def to_dict(self) -> dict[str, Any]:
        """Return the policy as the wire has it."""
        return {
            "extract": self.extract,
            "deleteSrcFile": self.delete_src_file,
            "extractToCurrentFolder": self.extract_current_folder,
        }


@define
class RecyclePolicy:
    """How long which paths of the store are kept.

    Args:
        lifecycle: how long.
        paths: the paths; ``""`` is everything.

    Raises:
        TypeError, ValueError: ``lifecycle`` is no `Lifecycle`, or a path is no text or has a wildcard.
    """

    lifecycle: Lifecycle = field(default=Lifecycle.LIFECYCLE_FOREVER, validator=_member(Lifecycle))
    paths: list[str] = field(factory=lambda: [""], validator=_plain_paths)

    def to_dict(self) -> dict[str, Any]:
        """Return the policy as the wire has it."""
        return {"lifecycle": self.lifecycle.value, "paths": list(self.paths)}


@define
class WhiteList:
    """A path below the mount that is synchronised, without the paths excluded.

    Args:
        path: the path; ``""`` is the whole mount.
        exclude_paths: paths below it that are left out.

    Raises:
        TypeError, ValueError: a path is no text or has a wildcard.
    """

    path: str = field(default="", validator=_plain_path)
    exclude_paths: list[str] = field(factory=list, validator=_plain_paths)

    def to_dict(self) -> dict[str, Any]:
        """Return the entry as the wire has it."""
        return {"path": self.path, "excludePaths": list(self.exclude_paths)}


def _white_lists(_: object, attribute: Attribute[Any], value: object) -> None:
    if value is not None and not isinstance(value, (list, tuple)):
        raise TypeError(f"{attribute.name} is a list of WhiteList, not {type(value).__name__}")
    for entry in value or ():
        if not isinstance(entry, WhiteList):
            raise TypeError(f"each of {attribute.name} is a WhiteList, not {type(entry).__name__}")


@define
class BWList:
    """The paths of a mount that are synchronised.

    Args:
        white_lists: these paths only; an empty list means everything.
    """

    white_lists: list[WhiteList] = field(factory=list, validator=_white_lists)

    def to_dict(self) -> dict[str, Any]:
        """Return the lists as the wire has them."""
        return {"whiteLists": [entry.to_dict() for entry in self.white_lists or []]}


@define
class MappingPolicy:
    """The path under which the data was stored by an earlier session, to mount it at another path now.

    Args:
        path: the path in the earlier session.
    """

    path: str = field(default="", validator=instance_of(str))

    @classmethod
    def default(cls) -> MappingPolicy:
        """Return an empty mapping."""
        return cls()

    def to_dict(self) -> dict[str, Any]:
        """Return the policy as the wire has it."""
        return {"path": self.path}


def _part(kind: type[Any]) -> Any:
    """Return a field that holds a ``kind``, made with its defaults where None is passed to the constructor."""
    return field(default=None, validator=optional(instance_of(kind)))


@define
class SyncPolicy:
    """All policies of one sync; a part that is None gets its defaults when the policy is made.

    Args:
        upload_policy: whether and how the session's data is stored.
        download_policy: whether the stored data is brought into the session.
        delete_policy: whether what is deleted in the session is deleted from the store.
        extract_policy: whether archives are unpacked in the session.
        recycle_policy: how long the data is kept.
        bw_list: which paths are synchronised; everything by default.
        mapping_policy: the path at which an earlier session had the data; without it, the same path.

    Example:
        >>> from agb import ContextSync, SyncPolicy, UploadMode, UploadPolicy
        >>> policy = SyncPolicy(upload_policy=UploadPolicy(upload_mode=UploadMode.ARCHIVE))
        >>> ContextSync("SdkCtx-1", "/tmp/data", policy).policy.upload_policy.upload_mode.value
        'Archive'
    """

    upload_policy: UploadPolicy | None = _part(UploadPolicy)
    download_policy: DownloadPolicy | None = _part(DownloadPolicy)
    delete_policy: DeletePolicy | None = _part(DeletePolicy)
    extract_policy: ExtractPolicy | None = _part(ExtractPolicy)
    recycle_policy: RecyclePolicy | None = _part(RecyclePolicy)
    bw_list: BWList | None = _part(BWList)
    mapping_policy: MappingPolicy | None = _part(MappingPolicy)

    def __attrs_post_init__(self) -> None:
        self.upload_policy = self.upload_policy or UploadPolicy()
        self.download_policy = self.download_policy or DownloadPolicy()
        self.delete_policy = self.delete_policy or DeletePolicy()
        self.extract_policy = self.extract_policy or ExtractPolicy()
        self.recycle_policy = self.recycle_policy or RecyclePolicy()
        self.bw_list = self.bw_list or BWList()

    def to_dict(self) -> dict[str, Any]:
        """Return the policy as the wire has it; a part set to None later is left out."""
        parts = {
            "uploadPolicy": self.upload_policy,
            "downloadPolicy": self.download_policy,
            "deletePolicy": self.delete_policy,
            "extractPolicy": self.extract_policy,
            "recyclePolicy": self.recycle_policy,
            "bwList": self.bw_list,
            "mappingPolicy": self.mapping_policy,
        }
        return {name: part.to_dict() for name, part in parts.items() if part is not None}


@define
class ContextSync:
    """A context bound to a directory of the session.

    Args:
        context_id: the context's id.
        path: absolute path of the directory in the session; below ``/home`` or ``/tmp`` is safe.
        policy: how the two are kept in step; None means the defaults of `SyncPolicy`.
    """

    context_id: str
    path: str
    policy: SyncPolicy | None = field(default=None, validator=optional(instance_of(SyncPolicy)))

    @classmethod
    def new(cls, context_id: str, path: str, policy: SyncPolicy | None = None) -> ContextSync:
        """Return a new sync; the same as the constructor."""
        return cls(context_id, path, policy)

    def with_policy(self, policy: SyncPolicy) -> ContextSync:
        """Set the policy and return this very object."""
        self.policy = policy
        return self
