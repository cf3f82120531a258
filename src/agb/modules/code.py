"""Door to code: the import path of 0.12."""

from .._async.modules.code import AsyncCode as AsyncCode
from .._ops.tools.code import LANGUAGE_ALIASES as LANGUAGE_ALIASES
from .._ops.tools.code import SUPPORTED_LANGUAGES as SUPPORTED_LANGUAGES
from .._sync.modules.code import Code as Code
from ..exceptions import ExecutionError as ExecutionError
from ..results import ApiResponse as ApiResponse
from ..results import EnhancedCodeExecutionResult as EnhancedCodeExecutionResult
from ..results import ExecutionLogs as ExecutionLogs
from ..results import ExecutionResult as ExecutionResult
