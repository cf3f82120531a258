"""Door to commands: the import path of 0.12."""

from .._async.command import AsyncCommand as AsyncCommand
from .._sync.command import Command as Command
from ..results import CommandResult as CommandResult
