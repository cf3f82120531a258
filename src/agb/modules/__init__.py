"""Door to the modules of a session: the import path of 0.12."""

from . import browser as browser
from .code import Code as Code
from .command import Command as Command
from .command import CommandResult as CommandResult
