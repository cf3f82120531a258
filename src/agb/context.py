"""Door to contexts: the import path of 0.12."""

from ._async.storage.context_files import AsyncContextFileIterator as AsyncContextFileIterator
from ._async.storage.contexts import AsyncContextIterator as AsyncContextIterator
from ._async.storage.contexts import AsyncContextService as AsyncContextService
from ._sync.storage.context_files import ContextFileIterator as ContextFileIterator
from ._sync.storage.contexts import ContextIterator as ContextIterator
from ._sync.storage.contexts import ContextService as ContextService
from .exceptions import AGBError as AGBError
from .exceptions import ClearanceTimeoutError as ClearanceTimeoutError
from .results import ApiResponse as ApiResponse
from .results import ClearContextResult as ClearContextResult
from .results import Context as Context
from .results import ContextFileEntry as ContextFileEntry
from .results import ContextFileListResult as ContextFileListResult
from .results import ContextListParams as ContextListParams
from .results import ContextListResult as ContextListResult
from .results import ContextResult as ContextResult
from .results import FileUrlResult as FileUrlResult
from .results import OperationResult as OperationResult
