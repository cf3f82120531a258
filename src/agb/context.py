"""Door to contexts: the import path of 0.12."""

from ._async.contexts import AsyncContextService as AsyncContextService
from ._sync.contexts import ContextService as ContextService
