"""Door to commands: the import path of 0.12."""

from .._async.modules.command import AsyncCommand as AsyncCommand
from .._sync.modules.command import Command as Command
from ..results import ApiResponse as ApiResponse
from ..results import CommandResult as CommandResult
