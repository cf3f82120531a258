"""Door to the results: the import path of 0.12."""

from ..exceptions import ExecutionError as ExecutionError
from ..results import ApiResponse as ApiResponse
from ..results import BinaryFileContentResult as BinaryFileContentResult
from ..results import BoolResult as BoolResult
from ..results import DeleteResult as DeleteResult
from ..results import DownloadResult as DownloadResult
from ..results import EnhancedCodeExecutionResult as EnhancedCodeExecutionResult
from ..results import ExecutionLogs as ExecutionLogs
from ..results import ExecutionResult as ExecutionResult
from ..results import GetSessionData as GetSessionData
from ..results import GetSessionResult as GetSessionResult
from ..results import McpTool as McpTool
from ..results import McpToolResult as McpToolResult
from ..results import McpToolsResult as McpToolsResult
from ..results import OperationResult as OperationResult
from ..results import SessionListResult as SessionListResult
from ..results import SessionMetrics as SessionMetrics
from ..results import SessionMetricsResult as SessionMetricsResult
from ..results import SessionResult as SessionResult
from ..results import SessionStatusResult as SessionStatusResult
from ..results import UploadResult as UploadResult
