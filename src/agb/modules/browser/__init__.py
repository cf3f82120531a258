"""Door to the browser's options: the import path of 0.12."""

from ...session_params import BrowserFingerprintContext as BrowserFingerprintContext
from . import browser as browser
