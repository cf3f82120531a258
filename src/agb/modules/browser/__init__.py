"""Door to the browser: the import path of 0.12."""

from ..._async.modules.browser import AsyncBrowser as AsyncBrowser
from ..._async.modules.fingerprint_generator import AsyncBrowserFingerprintGenerator as AsyncBrowserFingerprintGenerator
from ..._sync.modules.browser import Browser as Browser
from ..._sync.modules.browser_agent import BrowserAgent as BrowserAgent
from ..._sync.modules.fingerprint_generator import BrowserFingerprintGenerator as BrowserFingerprintGenerator
from ...browser_agent import ActOptions as ActOptions
from ...browser_agent import ActResult as ActResult
from ...browser_agent import ExtractOptions as ExtractOptions
from ...browser_agent import ObserveOptions as ObserveOptions
from ...browser_agent import ObserveResult as ObserveResult
from ...browser_options import BrowserFingerprint as BrowserFingerprint
from ...browser_options import BrowserOption as BrowserOption
from ...browser_options import BrowserProxy as BrowserProxy
from ...browser_options import BrowserScreen as BrowserScreen
from ...browser_options import BrowserViewport as BrowserViewport
from ...fingerprint import FingerprintFormat as FingerprintFormat
from ...session_params import BrowserFingerprintContext as BrowserFingerprintContext
from . import browser as browser
from . import browser_agent as browser_agent
from . import fingerprint as fingerprint
