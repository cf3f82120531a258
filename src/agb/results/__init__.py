"""Results: the values that the methods return.

Every result has ``success``, ``request_id``, ``error_message`` and ``error``. A refusal of the service is a result
with ``success=False``; so is a failure, except for the methods that are documented to raise. Results are frozen;
they can be compared, copied and pickled, and their ``repr`` shows no secret.

The names of the fields, their order and their defaults are those of 0.12.

Each module is loaded when one of its names is first used: making so many classes takes longer than a call.
"""

from __future__ import annotations

TYPE_CHECKING = bool(0)  # as in the package
if TYPE_CHECKING:
    from .base import ApiResponse as ApiResponse
    from .base import BoolResult as BoolResult
    from .base import DeleteResult as DeleteResult
    from .base import OperationResult as OperationResult
    from .base import Result as Result
    from .base import Truncated as Truncated
    from .code import EnhancedCodeExecutionResult as EnhancedCodeExecutionResult
    from .code import ExecutionLogs as ExecutionLogs
    from .code import ExecutionResult as ExecutionResult
    from .commands import CommandResult as CommandResult
    from .contexts import ClearContextResult as ClearContextResult
    from .contexts import Context as Context
    from .contexts import ContextFileEntry as ContextFileEntry
    from .contexts import ContextFileListResult as ContextFileListResult
    from .contexts import ContextListParams as ContextListParams
    from .contexts import ContextListResult as ContextListResult
    from .contexts import ContextResult as ContextResult
    from .contexts import Extension as Extension
    from .contexts import FileUrlResult as FileUrlResult
    from .desktop import AppOperationResult as AppOperationResult
    from .desktop import InstalledAppListResult as InstalledAppListResult
    from .desktop import ProcessListResult as ProcessListResult
    from .desktop import ScreenshotResult as ScreenshotResult
    from .desktop import WindowInfoResult as WindowInfoResult
    from .desktop import WindowListResult as WindowListResult
    from .files import BinaryFileContentResult as BinaryFileContentResult
    from .files import DirectoryEntry as DirectoryEntry
    from .files import DirectoryListResult as DirectoryListResult
    from .files import ExistsResult as ExistsResult
    from .files import FileChangeEvent as FileChangeEvent
    from .files import FileChangeResult as FileChangeResult
    from .files import FileContentResult as FileContentResult
    from .files import FileEditResult as FileEditResult
    from .files import FileGrepResult as FileGrepResult
    from .files import FileInfo as FileInfo
    from .files import FileInfoResult as FileInfoResult
    from .files import FileMatch as FileMatch
    from .files import FileSearchResult as FileSearchResult
    from .files import FileWriteBatchResult as FileWriteBatchResult
    from .files import MultipleFileContentResult as MultipleFileContentResult
    from .metrics import SessionMetrics as SessionMetrics
    from .metrics import SessionMetricsResult as SessionMetricsResult
    from .narrowed import BoolSuccess as BoolSuccess
    from .narrowed import ContextFailure as ContextFailure
    from .narrowed import ContextSuccess as ContextSuccess
    from .narrowed import GetSessionFailure as GetSessionFailure
    from .narrowed import GetSessionSuccess as GetSessionSuccess
    from .narrowed import McpToolFailure as McpToolFailure
    from .narrowed import McpToolSuccess as McpToolSuccess
    from .narrowed import OperationFailure as OperationFailure
    from .narrowed import OperationSuccess as OperationSuccess
    from .narrowed import SessionFailure as SessionFailure
    from .narrowed import SessionMetricsFailure as SessionMetricsFailure
    from .narrowed import SessionMetricsSuccess as SessionMetricsSuccess
    from .narrowed import SessionSuccess as SessionSuccess
    from .sessions import GetSessionData as GetSessionData
    from .sessions import GetSessionResult as GetSessionResult
    from .sessions import McpTool as McpTool
    from .sessions import McpToolResult as McpToolResult
    from .sessions import McpToolsResult as McpToolsResult
    from .sessions import SessionInfo as SessionInfo
    from .sessions import SessionListResult as SessionListResult
    from .sessions import SessionResult as SessionResult
    from .sessions import SessionStatusResult as SessionStatusResult
    from .syncs import AwaitableContextSyncResult as AwaitableContextSyncResult
    from .syncs import ContextInfoResult as ContextInfoResult
    from .syncs import ContextStatusData as ContextStatusData
    from .syncs import ContextSyncResult as ContextSyncResult
    from .transfers import ContextTransferResult as ContextTransferResult
    from .transfers import DirectoryResult as DirectoryResult
    from .transfers import DownloadResult as DownloadResult
    from .transfers import FailedTransfer as FailedTransfer
    from .transfers import TransferredFile as TransferredFile
    from .transfers import UploadResult as UploadResult

_HOMES = {
    ".base": (
        "ApiResponse",
        "BoolResult",
        "DeleteResult",
        "OperationResult",
        "Result",
        "Truncated",
    ),
    ".narrowed": (
        "BoolSuccess",
        "ContextFailure",
        "ContextSuccess",
        "GetSessionFailure",
        "GetSessionSuccess",
        "McpToolFailure",
        "McpToolSuccess",
        "OperationFailure",
        "OperationSuccess",
        "SessionFailure",
        "SessionMetricsFailure",
        "SessionMetricsSuccess",
        "SessionSuccess",
    ),
    ".sessions": (
        "GetSessionData",
        "GetSessionResult",
        "McpTool",
        "McpToolResult",
        "McpToolsResult",
        "SessionInfo",
        "SessionListResult",
        "SessionResult",
        "SessionStatusResult",
    ),
    ".metrics": (
        "SessionMetrics",
        "SessionMetricsResult",
    ),
    ".commands": ("CommandResult",),
    ".files": (
        "BinaryFileContentResult",
        "DirectoryEntry",
        "DirectoryListResult",
        "ExistsResult",
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
        "MultipleFileContentResult",
    ),
    ".code": (
        "EnhancedCodeExecutionResult",
        "ExecutionLogs",
        "ExecutionResult",
    ),
    ".contexts": (
        "ClearContextResult",
        "Context",
        "ContextFileEntry",
        "ContextFileListResult",
        "ContextListParams",
        "ContextListResult",
        "ContextResult",
        "Extension",
        "FileUrlResult",
    ),
    ".desktop": (
        "AppOperationResult",
        "InstalledAppListResult",
        "ProcessListResult",
        "ScreenshotResult",
        "WindowInfoResult",
        "WindowListResult",
    ),
    ".syncs": (
        "AwaitableContextSyncResult",
        "ContextInfoResult",
        "ContextStatusData",
        "ContextSyncResult",
    ),
    ".transfers": (
        "ContextTransferResult",
        "DirectoryResult",
        "DownloadResult",
        "FailedTransfer",
        "TransferredFile",
        "UploadResult",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)  # pyright: ignore[reportUnsupportedDunderAll] - made from the table


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_HOME_OF[name], __name__), name)
    return value
