"""Door to the browser and its options: the import path of 0.12."""

from ..._async.modules.browser import AsyncBrowser as AsyncBrowser
from ..._sync.modules.browser import Browser as Browser
from ..._sync.modules.browser_agent import BrowserAgent as BrowserAgent
from ...browser_options import BrowserFingerprint as BrowserFingerprint
from ...browser_options import BrowserOption as BrowserOption
from ...browser_options import BrowserProxy as BrowserProxy
from ...browser_options import BrowserScreen as BrowserScreen
from ...browser_options import BrowserViewport as BrowserViewport
from ...config import BROWSER_DATA_PATH as BROWSER_DATA_PATH
from ...config import BROWSER_FINGERPRINT_PERSIST_PATH as BROWSER_FINGERPRINT_PERSIST_PATH
from ...exceptions import BrowserError as BrowserError
from ...session_params import BrowserFingerprintContext as BrowserFingerprintContext
