"""Door to the windows of a session: the import path of 0.12."""

from ..._async.modules.computer.window import AsyncWindowManager as AsyncWindowManager
from ..._sync.modules.computer.window import WindowManager as WindowManager
from ...desktop import Window as Window
from ...results import BoolResult as BoolResult
from ...results import WindowInfoResult as WindowInfoResult
from ...results import WindowListResult as WindowListResult
