"""Door to the contexts of a session: the import path of 0.12."""

from ._async.modules.context_manager import AsyncContextManager as AsyncContextManager
from ._sync.modules.context_manager import ContextManager as ContextManager
from .results import ApiResponse as ApiResponse
from .results import ContextInfoResult as ContextInfoResult
from .results import ContextStatusData as ContextStatusData
from .results import ContextSyncResult as ContextSyncResult
