"""Door to the results: the import path of 0.12."""

from .response import ApiResponse as ApiResponse
from .response import BinaryFileContentResult as BinaryFileContentResult
from .response import BoolResult as BoolResult
from .response import DeleteResult as DeleteResult
from .response import DownloadResult as DownloadResult
from .response import EnhancedCodeExecutionResult as EnhancedCodeExecutionResult
from .response import ExecutionLogs as ExecutionLogs
from .response import ExecutionResult as ExecutionResult
from .response import McpTool as McpTool
from .response import McpToolResult as McpToolResult
from .response import McpToolsResult as McpToolsResult
from .response import OperationResult as OperationResult
from .response import SessionResult as SessionResult
from .response import UploadResult as UploadResult
