"""Door to the screen of a session: the import path of 0.12."""

from ..._async.modules.computer.screen import AsyncScreenController as AsyncScreenController
from ..._sync.modules.computer.screen import ScreenController as ScreenController
from ...exceptions import ScreenError as ScreenError
from ...results import OperationResult as OperationResult
from ...results import ScreenshotResult as ScreenshotResult
