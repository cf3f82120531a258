"""Door to the client: the import path of 0.12."""

from ._sync.client import AGB as AGB
from ._sync.session import Session as Session
from ._sync.storage.contexts import ContextService as ContextService
from .config import BROWSER_DATA_PATH as BROWSER_DATA_PATH
from .config import Config as Config
from .config import load_config as load_config
from .context_sync import BWList as BWList
from .context_sync import ContextSync as ContextSync
from .context_sync import RecyclePolicy as RecyclePolicy
from .context_sync import SyncPolicy as SyncPolicy
from .context_sync import UploadPolicy as UploadPolicy
from .context_sync import WhiteList as WhiteList
from .results import DeleteResult as DeleteResult
from .results import GetSessionData as GetSessionData
from .results import GetSessionResult as GetSessionResult
from .results import McpTool as McpTool
from .results import SessionListResult as SessionListResult
from .results import SessionResult as SessionResult
from .session_params import CreateSessionParams as CreateSessionParams
from .version_utils import get_sdk_version as get_sdk_version
from .version_utils import is_release_version as is_release_version
