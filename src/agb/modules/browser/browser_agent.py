"""Door to the browser's agent: the import path of 0.12."""

from ..._async.modules.browser_agent import AsyncBrowserAgent as AsyncBrowserAgent
from ..._sync.modules.browser_agent import BrowserAgent as BrowserAgent
from ...browser_agent import ActOptions as ActOptions
from ...browser_agent import ActResult as ActResult
from ...browser_agent import ExtractOptions as ExtractOptions
from ...browser_agent import ExtractOutcome as ExtractOutcome
from ...browser_agent import ObserveOptions as ObserveOptions
from ...browser_agent import ObserveOutcome as ObserveOutcome
from ...browser_agent import ObserveResult as ObserveResult
from ...exceptions import AGBError as AGBError
from ...exceptions import BrowserError as BrowserError
from ...results.base import OperationResult as OperationResult
