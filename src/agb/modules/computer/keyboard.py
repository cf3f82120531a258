"""Door to the keyboard of a session: the import path of 0.12."""

from ..._async.modules.computer.keyboard import AsyncKeyboardController as AsyncKeyboardController
from ..._sync.modules.computer.keyboard import KeyboardController as KeyboardController
from ...results import BoolResult as BoolResult
