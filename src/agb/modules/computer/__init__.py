"""Door to the desktop: the import path of 0.12."""

from ...desktop import InstalledApp as InstalledApp
from ...desktop import MouseButton as MouseButton
from ...desktop import Process as Process
from ...desktop import ScrollDirection as ScrollDirection
from ...desktop import Window as Window
from .app import ApplicationManager as ApplicationManager
from .app import AsyncApplicationManager as AsyncApplicationManager
from .computer import AsyncComputer as AsyncComputer
from .computer import Computer as Computer
from .keyboard import AsyncKeyboardController as AsyncKeyboardController
from .keyboard import KeyboardController as KeyboardController
from .mouse import AsyncMouseController as AsyncMouseController
from .mouse import MouseController as MouseController
from .screen import AsyncScreenController as AsyncScreenController
from .screen import ScreenController as ScreenController
from .window import AsyncWindowManager as AsyncWindowManager
from .window import WindowManager as WindowManager
