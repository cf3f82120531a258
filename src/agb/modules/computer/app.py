"""Door to the applications of a session: the import path of 0.12."""

from ..._async.modules.computer.app import AsyncApplicationManager as AsyncApplicationManager
from ..._sync.modules.computer.app import ApplicationManager as ApplicationManager
from ...desktop import InstalledApp as InstalledApp
from ...desktop import Process as Process
from ...results import AppOperationResult as AppOperationResult
from ...results import InstalledAppListResult as InstalledAppListResult
from ...results import ProcessListResult as ProcessListResult
