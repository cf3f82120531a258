"""Door to the session: the import path of 0.12."""

from ._async.session import AsyncSession as AsyncSession
from ._sync.modules.browser import Browser as Browser
from ._sync.modules.code import Code as Code
from ._sync.modules.command import Command as Command
from ._sync.modules.computer.computer import Computer as Computer
from ._sync.modules.context_manager import ContextManager as ContextManager
from ._sync.modules.files import FileSystem as FileSystem
from ._sync.session import Session as Session
from .exceptions import SessionError as SessionError
from .results import DeleteResult as DeleteResult
from .results import McpTool as McpTool
from .results import McpToolResult as McpToolResult
from .results import McpToolsResult as McpToolsResult
from .results import OperationResult as OperationResult
from .results import SessionMetrics as SessionMetrics
from .results import SessionMetricsResult as SessionMetricsResult
from .results import SessionStatusResult as SessionStatusResult
