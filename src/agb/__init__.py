"""AGB: an async-first SDK for cloud sandboxes, with a synchronous twin and a local runtime.

>>> from agb import AGB, CreateSessionParams
>>> with AGB() as client, client.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
...     print(session.code.run("6 * 7", "python").result)
42

The names below are loaded when they are first used, so that ``import agb`` costs next to nothing.
"""

from __future__ import annotations

import os as _os

from ._version import __version__ as __version__

TYPE_CHECKING = bool(0)
"""Type checkers take it for true. `typing` has it too, but importing that takes half of this module's time; and if it
were the literal False, jedi, which completes names in shells and editors, would skip the names below."""
if TYPE_CHECKING:
    from ._async.batch.map import AsyncBatch as AsyncBatch
    from ._async.client import AsyncAGB as AsyncAGB
    from ._async.client import AsyncSessionIterator as AsyncSessionIterator
    from ._async.lifecycle.session_pool import AsyncSessionPool as AsyncSessionPool
    from ._async.modules.browser import AsyncBrowser as AsyncBrowser
    from ._async.modules.browser_agent import AsyncBrowserAgent as AsyncBrowserAgent
    from ._async.modules.computer.computer import AsyncComputer as AsyncComputer
    from ._async.modules.context_manager import AsyncContextManager as AsyncContextManager
    from ._async.modules.fingerprint_generator import (
        AsyncBrowserFingerprintGenerator as AsyncBrowserFingerprintGenerator,
    )
    from ._async.modules.process import AsyncProcess as AsyncProcess
    from ._async.modules.process_output import AsyncProcessOutput as AsyncProcessOutput
    from ._async.net.pool import AsyncConnectionPool as AsyncConnectionPool
    from ._async.net.transport import AsyncPoolTransport as AsyncPoolTransport
    from ._async.session import AsyncSession as AsyncSession
    from ._async.storage.context_files import AsyncContextFileIterator as AsyncContextFileIterator
    from ._async.storage.contexts import AsyncContextIterator as AsyncContextIterator
    from ._async.storage.contexts import AsyncContextService as AsyncContextService
    from ._async.storage.extensions import AsyncExtensionsService as AsyncExtensionsService
    from ._sync.batch.map import Batch as Batch
    from ._sync.client import AGB as AGB
    from ._sync.client import SessionIterator as SessionIterator
    from ._sync.lifecycle.session_pool import SessionPool as SessionPool
    from ._sync.modules.browser import Browser as Browser
    from ._sync.modules.browser_agent import BrowserAgent as BrowserAgent
    from ._sync.modules.computer.computer import Computer as Computer
    from ._sync.modules.context_manager import ContextManager as ContextManager
    from ._sync.modules.fingerprint_generator import BrowserFingerprintGenerator as BrowserFingerprintGenerator
    from ._sync.modules.process import Process as Process
    from ._sync.modules.process_output import ProcessOutput as ProcessOutput
    from ._sync.net.pool import ConnectionPool as ConnectionPool
    from ._sync.net.transport import PoolTransport as PoolTransport
    from ._sync.session import Session as Session
    from ._sync.storage.context_files import ContextFileIterator as ContextFileIterator
    from ._sync.storage.contexts import ContextIterator as ContextIterator
    from ._sync.storage.contexts import ContextService as ContextService
    from ._sync.storage.extensions import ExtensionsService as ExtensionsService
    from .browser_agent import ActOptions as ActOptions
    from .browser_agent import ActResult as ActResult
    from .browser_agent import ExtractOptions as ExtractOptions
    from .browser_agent import ExtractOutcome as ExtractOutcome
    from .browser_agent import ObserveOptions as ObserveOptions
    from .browser_agent import ObserveOutcome as ObserveOutcome
    from .browser_agent import ObserveResult as ObserveResult
    from .browser_options import BrowserFingerprint as BrowserFingerprint
    from .browser_options import BrowserOption as BrowserOption
    from .browser_options import BrowserProxy as BrowserProxy
    from .browser_options import BrowserScreen as BrowserScreen
    from .browser_options import BrowserViewport as BrowserViewport
    from .config import Config as Config
    from .config import Setting as Setting
    from .config import Settings as Settings
    from .context_sync import BWList as BWList
    from .context_sync import ContextSync as ContextSync
    from .context_sync import DeletePolicy as DeletePolicy
    from .context_sync import DownloadPolicy as DownloadPolicy
    from .context_sync import DownloadStrategy as DownloadStrategy
    from .context_sync import ExtractPolicy as ExtractPolicy
    from .context_sync import Lifecycle as Lifecycle
    from .context_sync import MappingPolicy as MappingPolicy
    from .context_sync import RecyclePolicy as RecyclePolicy
    from .context_sync import SyncPolicy as SyncPolicy
    from .context_sync import UploadMode as UploadMode
    from .context_sync import UploadPolicy as UploadPolicy
    from .context_sync import UploadStrategy as UploadStrategy
    from .context_sync import WhiteList as WhiteList
    from .desktop import CursorPosition as CursorPosition
    from .desktop import InstalledApp as InstalledApp
    from .desktop import LaunchedApp as LaunchedApp
    from .desktop import MouseButton as MouseButton
    from .desktop import Screenshot as Screenshot
    from .desktop import ScrollDirection as ScrollDirection
    from .desktop import Window as Window
    from .events import CodeEvent as CodeEvent
    from .events import Error as Error
    from .events import Finished as Finished
    from .events import Result as Result
    from .events import Stderr as Stderr
    from .events import Stdout as Stdout
    from .exceptions import AGBError as AGBError
    from .exceptions import APIError as APIError
    from .exceptions import ApplicationError as ApplicationError
    from .exceptions import AuthenticationError as AuthenticationError
    from .exceptions import BrowserError as BrowserError
    from .exceptions import ClearanceTimeoutError as ClearanceTimeoutError
    from .exceptions import CommandError as CommandError
    from .exceptions import ErrorKind as ErrorKind
    from .exceptions import ExecutionError as ExecutionError
    from .exceptions import FileError as FileError
    from .exceptions import ItemTimeoutError as ItemTimeoutError
    from .exceptions import JournalError as JournalError
    from .exceptions import RemoteTraceback as RemoteTraceback
    from .exceptions import ScreenError as ScreenError
    from .exceptions import Sent as Sent
    from .exceptions import SessionError as SessionError
    from .exceptions import WorkerLostError as WorkerLostError
    from .executor import BrokenSandbox as BrokenSandbox
    from .executor import SandboxExecutor as SandboxExecutor
    from .executor import SandboxFuture as SandboxFuture
    from .fingerprint import FingerprintFormat as FingerprintFormat
    from .hooks import RequestEvent as RequestEvent
    from .hooks import ResponseEvent as ResponseEvent
    from .hooks import RetryEvent as RetryEvent
    from .language import Language as Language
    from .limits import Limits as Limits
    from .limits import PoolStats as PoolStats
    from .outcomes import BatchStats as BatchStats
    from .outcomes import Outcome as Outcome
    from .owned import OwnedSession as OwnedSession
    from .owned import Owner as Owner
    from .owned import Reaped as Reaped
    from .refs import SessionRef as SessionRef
    from .results import AppOperationResult as AppOperationResult
    from .results import AwaitableContextSyncResult as AwaitableContextSyncResult
    from .results import BinaryFileContentResult as BinaryFileContentResult
    from .results import BoolResult as BoolResult
    from .results import ClearContextResult as ClearContextResult
    from .results import CommandResult as CommandResult
    from .results import Context as Context
    from .results import ContextFileEntry as ContextFileEntry
    from .results import ContextFileListResult as ContextFileListResult
    from .results import ContextInfoResult as ContextInfoResult
    from .results import ContextListParams as ContextListParams
    from .results import ContextListResult as ContextListResult
    from .results import ContextResult as ContextResult
    from .results import ContextStatusData as ContextStatusData
    from .results import ContextSyncResult as ContextSyncResult
    from .results import ContextTransferResult as ContextTransferResult
    from .results import DeleteResult as DeleteResult
    from .results import DirectoryEntry as DirectoryEntry
    from .results import DirectoryListResult as DirectoryListResult
    from .results import DirectoryResult as DirectoryResult
    from .results import DownloadResult as DownloadResult
    from .results import EnhancedCodeExecutionResult as EnhancedCodeExecutionResult
    from .results import ExecutionLogs as ExecutionLogs
    from .results import ExecutionResult as ExecutionResult
    from .results import ExistsResult as ExistsResult
    from .results import Extension as Extension
    from .results import FailedTransfer as FailedTransfer
    from .results import FileChangeEvent as FileChangeEvent
    from .results import FileChangeResult as FileChangeResult
    from .results import FileContentResult as FileContentResult
    from .results import FileEditResult as FileEditResult
    from .results import FileGrepResult as FileGrepResult
    from .results import FileInfo as FileInfo
    from .results import FileInfoResult as FileInfoResult
    from .results import FileMatch as FileMatch
    from .results import FileSearchResult as FileSearchResult
    from .results import FileUrlResult as FileUrlResult
    from .results import FileWriteBatchResult as FileWriteBatchResult
    from .results import GetSessionData as GetSessionData
    from .results import GetSessionResult as GetSessionResult
    from .results import InstalledAppListResult as InstalledAppListResult
    from .results import McpTool as McpTool
    from .results import McpToolResult as McpToolResult
    from .results import McpToolsResult as McpToolsResult
    from .results import MultipleFileContentResult as MultipleFileContentResult
    from .results import OperationResult as OperationResult
    from .results import ProcessListResult as ProcessListResult
    from .results import ScreenshotResult as ScreenshotResult
    from .results import SessionInfo as SessionInfo
    from .results import SessionListResult as SessionListResult
    from .results import SessionMetrics as SessionMetrics
    from .results import SessionMetricsResult as SessionMetricsResult
    from .results import SessionResult as SessionResult
    from .results import SessionStatusResult as SessionStatusResult
    from .results import TransferredFile as TransferredFile
    from .results import Truncated as Truncated
    from .results import UploadResult as UploadResult
    from .results import WindowInfoResult as WindowInfoResult
    from .results import WindowListResult as WindowListResult
    from .session_params import BrowserContext as BrowserContext
    from .session_params import BrowserFingerprintContext as BrowserFingerprintContext
    from .session_params import CreateSessionParams as CreateSessionParams
    from .session_params import ExtensionOption as ExtensionOption
    from .stats import ClientStats as ClientStats
    from .stats import CreationStats as CreationStats
    from .stats import SessionPoolStats as SessionPoolStats

_HOMES = {
    "._sync.storage.extensions": ("ExtensionsService",),
    "._async.storage.extensions": ("AsyncExtensionsService",),
    "._sync.modules.context_manager": ("ContextManager",),
    "._async.modules.context_manager": ("AsyncContextManager",),
    "._sync.modules.computer.computer": ("Computer",),
    "._async.modules.computer.computer": ("AsyncComputer",),
    "._async.client": ("AsyncAGB", "AsyncSessionIterator"),
    "._async.storage.context_files": ("AsyncContextFileIterator",),
    "._async.storage.contexts": ("AsyncContextIterator", "AsyncContextService"),
    "._async.net.pool": ("AsyncConnectionPool",),
    "._async.net.transport": ("AsyncPoolTransport",),
    "._async.batch.map": ("AsyncBatch",),
    "._async.modules.process": ("AsyncProcess",),
    "._async.modules.process_output": ("AsyncProcessOutput",),
    "._async.session": ("AsyncSession",),
    "._async.lifecycle.session_pool": ("AsyncSessionPool",),
    "._sync.lifecycle.session_pool": ("SessionPool",),
    "._sync.client": ("AGB", "SessionIterator"),
    "._sync.storage.context_files": ("ContextFileIterator",),
    "._sync.storage.contexts": ("ContextIterator", "ContextService"),
    "._sync.net.pool": ("ConnectionPool",),
    "._sync.net.transport": ("PoolTransport",),
    "._sync.batch.map": ("Batch",),
    "._sync.modules.process": ("Process",),
    "._sync.modules.process_output": ("ProcessOutput",),
    "._sync.session": ("Session",),
    "._async.modules.browser": ("AsyncBrowser",),
    "._async.modules.browser_agent": ("AsyncBrowserAgent",),
    "._async.modules.fingerprint_generator": ("AsyncBrowserFingerprintGenerator",),
    "._sync.modules.fingerprint_generator": ("BrowserFingerprintGenerator",),
    "._sync.modules.browser": ("Browser",),
    "._sync.modules.browser_agent": ("BrowserAgent",),
    ".browser_agent": (
        "ActOptions",
        "ActResult",
        "ExtractOptions",
        "ExtractOutcome",
        "ObserveOptions",
        "ObserveOutcome",
        "ObserveResult",
    ),
    ".browser_options": ("BrowserFingerprint", "BrowserOption", "BrowserProxy", "BrowserScreen", "BrowserViewport"),
    ".config": ("Config", "Setting", "Settings"),
    ".context_sync": (
        "BWList",
        "ContextSync",
        "DeletePolicy",
        "DownloadPolicy",
        "DownloadStrategy",
        "ExtractPolicy",
        "Lifecycle",
        "MappingPolicy",
        "RecyclePolicy",
        "SyncPolicy",
        "UploadMode",
        "UploadPolicy",
        "UploadStrategy",
        "WhiteList",
    ),
    ".desktop": (
        "CursorPosition",
        "InstalledApp",
        "LaunchedApp",
        "MouseButton",
        "Screenshot",
        "ScrollDirection",
        "Window",
    ),
    ".events": ("CodeEvent", "Error", "Finished", "Result", "Stderr", "Stdout"),
    ".executor": ("BrokenSandbox", "SandboxExecutor", "SandboxFuture"),
    ".exceptions": (
        "AGBError",
        "APIError",
        "ApplicationError",
        "AuthenticationError",
        "BrowserError",
        "ClearanceTimeoutError",
        "CommandError",
        "ErrorKind",
        "ExecutionError",
        "FileError",
        "RemoteTraceback",
        "ItemTimeoutError",
        "JournalError",
        "ScreenError",
        "Sent",
        "SessionError",
        "WorkerLostError",
    ),
    ".fingerprint": ("FingerprintFormat",),
    ".language": ("Language",),
    ".hooks": ("RequestEvent", "ResponseEvent", "RetryEvent"),
    ".limits": ("Limits", "PoolStats"),
    ".outcomes": ("BatchStats", "Outcome"),
    ".owned": ("OwnedSession", "Owner", "Reaped"),
    ".stats": ("ClientStats", "CreationStats", "SessionPoolStats"),
    ".refs": ("SessionRef",),
    ".results": (
        "AppOperationResult",
        "AwaitableContextSyncResult",
        "BinaryFileContentResult",
        "BoolResult",
        "ClearContextResult",
        "CommandResult",
        "Context",
        "ContextFileEntry",
        "ContextFileListResult",
        "ContextInfoResult",
        "ContextListParams",
        "ContextListResult",
        "ContextResult",
        "ContextStatusData",
        "ContextSyncResult",
        "ContextTransferResult",
        "DeleteResult",
        "DirectoryEntry",
        "DirectoryResult",
        "DirectoryListResult",
        "DownloadResult",
        "EnhancedCodeExecutionResult",
        "ExecutionLogs",
        "ExecutionResult",
        "ExistsResult",
        "Extension",
        "FailedTransfer",
        "FileChangeEvent",
        "FileChangeResult",
        "FileContentResult",
        "FileEditResult",
        "FileGrepResult",
        "FileInfo",
        "FileInfoResult",
        "FileMatch",
        "FileSearchResult",
        "FileWriteBatchResult",
        "FileUrlResult",
        "GetSessionData",
        "GetSessionResult",
        "InstalledAppListResult",
        "McpTool",
        "McpToolResult",
        "McpToolsResult",
        "MultipleFileContentResult",
        "OperationResult",
        "ProcessListResult",
        "ScreenshotResult",
        "SessionInfo",
        "SessionListResult",
        "SessionMetrics",
        "SessionMetricsResult",
        "SessionResult",
        "SessionStatusResult",
        "TransferredFile",
        "Truncated",
        "UploadResult",
        "WindowInfoResult",
        "WindowListResult",
    ),
    ".session_params": ("BrowserContext", "BrowserFingerprintContext", "CreateSessionParams", "ExtensionOption"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = ["__version__", *sorted(_HOME_OF)]  # pyright: ignore[reportUnsupportedDunderAll] - made from the table

if _os.path.isdir(_os.path.join(_os.path.dirname(__file__), "api")):  # noqa: PTH112, PTH118, PTH120 - pathlib costs 5 ms
    raise ImportError(
        "agbcloud-sdk is installed in the same environment: it owns the import name 'agb' too, and the files of both "
        "are mixed now. Uninstall both (pip uninstall agb agbcloud-sdk), then install the one you want."
    )


_MODULES = frozenset(
    (
        "agb",
        "browser_agent",
        "browser_options",
        "config",
        "context",
        "context_manager",
        "context_sync",
        "desktop",
        "events",
        "exceptions",
        "executor",
        "extension",
        "fingerprint",
        "hooks",
        "limits",
        "owned",
        "local",
        "logger",
        "model",
        "modules",
        "outcomes",
        "refs",
        "results",
        "session",
        "session_params",
        "stats",
        "version_utils",
    )
)
"""Modules that are attributes of the package without an import of their own, as in 0.12."""


_HOME_OF |= dict.fromkeys(("load_ipython_extension", "unload_ipython_extension"), ".integrations.notebook")
"""What IPython calls for ``%load_ext agb``; no public names of this module."""
_METHODS = frozenset(
    ("attach", "close", "create", "delete", "get", "get_session", "iterate", "list", "map", "pool", "reap")
)
"""Methods of a client that programs look for in the package, since they name their client ``agb``."""


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name in _MODULES:
        return import_module(f".{name}", __name__)
    home = _HOME_OF.get(name)
    if home is None:
        if name in _METHODS:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}, which clients have: AGB().{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(home, __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
