"""Door to extensions: the import path of 0.12."""

from .session_params import EXTENSIONS_BASE_PATH as EXTENSIONS_BASE_PATH
from .session_params import ExtensionOption as ExtensionOption
