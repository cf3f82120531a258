"""Door to the desktop of a session: the import path of 0.12."""

from ..._async.modules.computer.app import AsyncApplicationManager as AsyncApplicationManager
from ..._async.modules.computer.computer import AsyncComputer as AsyncComputer
from ..._async.modules.computer.keyboard import AsyncKeyboardController as AsyncKeyboardController
from ..._async.modules.computer.mouse import AsyncMouseController as AsyncMouseController
from ..._async.modules.computer.screen import AsyncScreenController as AsyncScreenController
from ..._async.modules.computer.window import AsyncWindowManager as AsyncWindowManager
from ..._sync.modules.computer.app import ApplicationManager as ApplicationManager
from ..._sync.modules.computer.computer import Computer as Computer
from ..._sync.modules.computer.keyboard import KeyboardController as KeyboardController
from ..._sync.modules.computer.mouse import MouseController as MouseController
from ..._sync.modules.computer.screen import ScreenController as ScreenController
from ..._sync.modules.computer.window import WindowManager as WindowManager
