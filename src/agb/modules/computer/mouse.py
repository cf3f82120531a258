"""Door to the mouse of a session: the import path of 0.12."""

from ..._async.modules.computer.mouse import AsyncMouseController as AsyncMouseController
from ..._sync.modules.computer.mouse import MouseController as MouseController
from ...desktop import MouseButton as MouseButton
from ...desktop import ScrollDirection as ScrollDirection
from ...results import BoolResult as BoolResult
from ...results import OperationResult as OperationResult
