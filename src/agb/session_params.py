"""Session parameters: what a session is created from (API: POST /mcp/createSession).

The client never changes the object that is passed to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import Attribute, define, field
from attrs.validators import instance_of, optional

from .config import BROWSER_DATA_PATH, BROWSER_FINGERPRINT_PERSIST_PATH
from .context_sync import (
    BWList,
    ContextSync,
    DeletePolicy,
    ExtractPolicy,
    RecyclePolicy,
    SyncPolicy,
    UploadPolicy,
    WhiteList,
)

EXTENSIONS_BASE_PATH = "/tmp/extensions"  # a path inside a context
"""The folder of browser extensions in a context, and in a session."""


def _not_blank(_: object, attribute: Attribute[Any], value: object) -> None:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{attribute.name} cannot be empty; expected the id of a context, not {value!r}")


def _some_ids(_: object, attribute: Attribute[Any], value: object) -> None:
    if not value or isinstance(value, str):
        raise ValueError(f"{attribute.name} cannot be empty; expected a list of extension ids, not {value!r}")


def _whole_seconds(_: object, attribute: Attribute[Any], value: object) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{attribute.name} is a whole number of seconds, not {value!r}")
    if value < 0:
        raise ValueError(f"{attribute.name} is a number of seconds, not {value!r}")


@define
class ExtensionOption:
    """Browser extensions, by id, of one context.

    Raises:
        ValueError: a blank ``context_id``, or no ``extension_ids``.
    """

    context_id: str = field(validator=_not_blank)
    extension_ids: list[str] = field(validator=_some_ids)

    def validate(self) -> bool:
        """Return whether the context's id and every extension's id are strings that are not blank."""
        ids = [self.context_id, *self.extension_ids]
        return bool(self.extension_ids) and all(isinstance(value, str) and bool(value.strip()) for value in ids)


@define
class BrowserFingerprintContext:
    """A context that keeps a browser fingerprint; a blank id raises ``ValueError``."""

    fingerprint_context_id: str = field(validator=_not_blank)


@define
class BrowserContext:
    """A browser profile that outlives the session, with extensions and a fingerprint if wanted.

    Args:
        context_id: the context that keeps the profile.
        auto_upload: whether the profile is stored before the session is released.
        extension_option: extensions to install.
        fingerprint_context: where the fingerprint is kept.
    """

    context_id: str
    auto_upload: bool = field(default=True, validator=instance_of(bool))
    extension_option: ExtensionOption | None = field(default=None, validator=optional(instance_of(ExtensionOption)))
    fingerprint_context: BrowserFingerprintContext | None = field(
        default=None, validator=optional(instance_of(BrowserFingerprintContext))
    )

    @property
    def extension_context_id(self) -> str | None:
        """The context of the extensions, if any."""
        return self.extension_option.context_id if self.extension_option else None

    @property
    def extension_ids(self) -> list[str]:
        """The ids of the extensions."""
        return list(self.extension_option.extension_ids) if self.extension_option else []

    @property
    def extension_context_syncs(self) -> list[ContextSync] | None:
        """The sync that brings the extensions into the session, in a list, or None."""
        return self.get_extension_context_syncs() or None

    @property
    def fingerprint_context_id(self) -> str | None:
        """The context of the fingerprint, if any."""
        return self.fingerprint_context.fingerprint_context_id if self.fingerprint_context else None

    @property
    def fingerprint_context_sync(self) -> ContextSync | None:
        """The sync that brings the fingerprint into the session, if any."""
        return self.get_fingerprint_context_sync()

    def get_extension_context_syncs(self) -> list[ContextSync]:
        """Return the sync of the extensions in a list, which is empty without extensions."""
        if self.extension_option is None:
            return []
        policy = SyncPolicy(
            upload_policy=UploadPolicy(auto_upload=False),
            delete_policy=DeletePolicy(sync_local_file=False),
            extract_policy=ExtractPolicy(extract=True, delete_src_file=True),
            bw_list=BWList([WhiteList(path=extension_id) for extension_id in self.extension_option.extension_ids]),
        )
        return [ContextSync(self.extension_option.context_id, f"{EXTENSIONS_BASE_PATH}/", policy)]

    def get_fingerprint_context_sync(self) -> ContextSync | None:
        """Return the sync of the fingerprint, or None."""
        if self.fingerprint_context is None:
            return None
        policy = SyncPolicy(
            upload_policy=UploadPolicy(auto_upload=False),
            extract_policy=ExtractPolicy(extract=True, delete_src_file=True),
        )
        return ContextSync(self.fingerprint_context.fingerprint_context_id, BROWSER_FINGERPRINT_PERSIST_PATH, policy)

    def get_profile_context_sync(self) -> ContextSync:
        """Return the sync of the profile itself: local state and cookies."""
        policy = SyncPolicy(
            upload_policy=UploadPolicy(auto_upload=self.auto_upload),
            recycle_policy=RecyclePolicy(),
            bw_list=BWList(
                [WhiteList(path=path) for path in ("/Local State", "/Default/Cookies", "/Default/Cookies-journal")]
            ),
        )
        return ContextSync(self.context_id, BROWSER_DATA_PATH, policy)


@define(init=False)
class CreateSessionParams:
    """What a session is created from.

    Pass the arguments by name: the image is required, and is not the first one.

    Args:
        labels: the session's labels, a dict of strings, by which ``client.list`` finds it.
        image_id: the image, such as ``"agb-code-space-1"``. Without one, ``create`` returns a failure.
        policy_id: the id of a policy of the account.
        context_syncs: the persistent contexts to mount, each as a `ContextSync`.
        browser_context: the browser profile to mount; its extension and fingerprint syncs join ``context_syncs``.
        idle_release_timeout: seconds without activity after which the session is released; None or 0 leaves the
            service's default (300 s).

    Raises:
        TypeError, ValueError: ``idle_release_timeout`` is not a whole number of seconds, or negative.

    Example:
        >>> from agb import CreateSessionParams
        >>> params = CreateSessionParams(
        ...     image_id="agb-code-space-1", labels={"project": "demo"}, idle_release_timeout=900
        ... )
        >>> params.labels
        {'project': 'demo'}
    """

    labels: dict[str, str]
    image_id: str | None
    policy_id: str | None
    context_syncs: list[ContextSync]
    browser_context: BrowserContext | None = field(validator=optional(instance_of(BrowserContext)))
    idle_release_timeout: int | None = field(validator=_whole_seconds)

    def __init__(
        self,
        labels: Mapping[str, str] | None = None,
        image_id: str | None = None,
        policy_id: str | None = None,
        context_syncs: list[ContextSync] | None = None,
        browser_context: BrowserContext | None = None,
        idle_release_timeout: int | None = None,
    ) -> None:
        self.labels = {} if labels is None else labels  # type: ignore[assignment]  # checked by create, as in 0.12
        self.image_id = image_id
        self.policy_id = policy_id
        self.context_syncs = list(context_syncs or [])
        self.browser_context = browser_context
        self.idle_release_timeout = idle_release_timeout
        self.context_syncs += self._missing_browser_syncs()

    def _missing_browser_syncs(self) -> list[ContextSync]:
        """Return the extension and fingerprint syncs that are not in ``context_syncs``."""
        if self.browser_context is None:
            return []
        syncs = self.browser_context.get_extension_context_syncs()
        if fingerprint := self.browser_context.get_fingerprint_context_sync():
            syncs.append(fingerprint)
        return [sync for sync in syncs if sync not in self.context_syncs]

    def all_context_syncs(self) -> list[ContextSync]:
        """Return every sync of the session in the protocol's order: the caller's, extensions, fingerprint, profile."""
        profile = [self.browser_context.get_profile_context_sync()] if self.browser_context else []
        return [*self.context_syncs, *self._missing_browser_syncs(), *profile]
