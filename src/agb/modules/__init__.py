"""Door to the modules of a session: the import path of 0.12."""

from . import browser as browser
from . import computer as computer
from . import file_system as file_system
from . import file_transfer as file_transfer
from .code import Code as Code
from .command import Command as Command
from .command import CommandResult as CommandResult
from .computer import Computer as Computer
from .file_system import DirectoryListResult as DirectoryListResult
from .file_system import FileContentResult as FileContentResult
from .file_system import FileInfoResult as FileInfoResult
from .file_system import FileSystem as FileSystem
from .file_system import MultipleFileContentResult as MultipleFileContentResult

FileSystemBoolResult = file_system.BoolResult
