"""Door to extensions: the import path of 0.12."""

from ._async.storage.extensions import AsyncExtensionsService as AsyncExtensionsService
from ._sync.storage.extensions import ExtensionsService as ExtensionsService
from .exceptions import AGBError as AGBError
from .results import Extension as Extension
from .results import OperationResult as OperationResult
from .session_params import EXTENSIONS_BASE_PATH as EXTENSIONS_BASE_PATH
from .session_params import ExtensionOption as ExtensionOption
