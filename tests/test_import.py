"""Importing the package: loaded modules, side effects, and the import paths of 0.12."""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import agb

PACKAGE = Path(agb.__file__).parent


def run(program: str, *flags: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own, with warnings as errors."""
    command = [sys.executable, "-W", "error", *flags, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **more)


def printed(program: str, **more: Any) -> Any:
    """Run a program and return the JSON value it prints."""
    result = run(program, **more)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return json.loads(result.stdout)


# --- loaded modules ----------------------------------------------------------------------------------------------

HEAVY = {
    *("httpx", "httpx2", "httpcore", "httpcore2", "h11", "anyio", "asyncio", "trio", "sniffio", "attr", "attrs"),
    *("ssl", "socket", "certifi", "websockets", "dotenv", "concurrent", "threading", "subprocess", "urllib"),
    *("email", "json", "logging", "inspect", "typing", "pathlib", "starlette", "uvicorn", "jupyter_client", "psutil"),
}
LOADED = """
import sys
before = set(sys.modules)
{statement}
print(*{{name.partition(".")[0] for name in set(sys.modules) - before}})
"""


def loaded(statement: str) -> set[str]:
    # isolated and without site, so that nothing but the statement loads anything
    path = f"import sys; sys.path += {[str(PACKAGE.parent), *_site_packages()]!r}\n"
    result = run(path + LOADED.format(statement=statement), "-I", "-S")
    assert result.returncode == 0, result.stderr
    return set(result.stdout.split())


def _site_packages() -> list[str]:
    return [entry for entry in sys.path if entry.endswith("site-packages")]


def test_import_loads_almost_nothing() -> None:
    # the package itself imports TYPE_CHECKING from typing
    assert not (loaded("import agb") & HEAVY) - {"typing"}


def test_version_and_names_load_nothing_more() -> None:
    assert not (loaded("import agb; agb.__version__; agb.__all__; dir(agb)") & HEAVY) - {"typing"}


NETWORK = {"httpx", "httpcore", "h11", "anyio", "asyncio", "trio", "certifi", "websockets"}
SERVER = {"starlette", "uvicorn", "jupyter_client", "ipykernel", "psutil", "zmq"}


@pytest.mark.parametrize(
    "statement",
    [
        "from agb import CreateSessionParams, ContextSync, SyncPolicy",
        "from agb import AGBError, SessionError",
        "from agb import OperationResult, SessionRef",
        "from agb import AGB, Session; AGB('ako-key')",
        "from agb import AsyncAGB, AsyncSession; AsyncAGB('ako-key').attach('s-1')",
        "import agb.local",
    ],
)
def test_network_is_loaded_with_the_first_call(statement: str) -> None:
    assert not loaded(statement) & (NETWORK | SERVER)


def test_desktop_is_loaded_when_it_is_first_used() -> None:
    modules = "[name for name in sys.modules if 'computer' in name or name == 'agb.desktop']"
    session = "import agb; session = agb.AGB('ako-key').attach('s-1'); session.code; session.command"
    assert printed(f"import json, sys; {session}; print(json.dumps({modules}))") == []
    used = printed(f"import json, sys; {session}; session.computer.mouse; print(json.dumps({modules}))")
    assert "agb._sync.modules.computer.screen" in used


@pytest.mark.parametrize(
    "statement",
    [
        "from agb.modules.browser import Browser, BrowserFingerprintGenerator, BrowserOption",
        "from agb import AGB; AGB('ako-key').attach('s-1').browser.connect()",
        "from agb import AsyncAGB; AsyncAGB('ako-key').attach('s-1').browser.page()",
    ],
)
def test_playwright_is_loaded_when_a_block_is_entered(statement: str) -> None:
    """Python 3.11 has its marker of coroutine functions in asyncio."""
    assert not loaded(statement) & ({"playwright"} | NETWORK - {"asyncio"} | SERVER)


# --- side effects ------------------------------------------------------------------------------------------------

SURROUNDINGS = """
import json, logging, os, signal, sys, threading, warnings
def now():
    return {
        "files": sorted(os.listdir(".")), "environment": dict(os.environ), "directory": os.getcwd(),
        "threads": threading.active_count(), "filters": len(warnings.filters), "hooks": repr(sys.excepthook),
        "root": repr(logging.getLogger().handlers), "interrupt": repr(signal.getsignal(signal.SIGINT)),
        "limit": sys.getrecursionlimit(), "path": sys.path,
    }
before = now()
import agb
for name in agb.__all__:
    getattr(agb, name)
client = agb.AGB("ako-key")
after = now()
logger = logging.getLogger("agb")
handlers = [type(handler).__name__ for handler in logger.handlers]
print(json.dumps([before, after, handlers, logger.level, logger.propagate]))
"""


def test_import_has_no_side_effects(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("AGB_API_KEY=ako-from-the-file\nOTHER=1\n")
    before, after, handlers, level, propagate = printed(SURROUNDINGS, cwd=tmp_path)
    assert before == after
    assert set(handlers) == {"NullHandler"}
    assert (level, propagate) == (0, True)


def test_import_from_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    copy = tmp_path / "agb"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    before = sorted(copy.rglob("*"))
    path = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); sys.dont_write_bytecode = True\n"
    assert printed(path + "import agb; print('\"' + agb.__file__ + '\"')") == str(copy / "__init__.py")
    assert sorted(copy.rglob("*")) == before


# --- agbcloud-sdk in the same environment ------------------------------------------------------------------------


def test_mixed_with_agbcloud_sdk(tmp_path: Path) -> None:
    """It installs into the directory ``agb`` too; the later installation overwrites files of the earlier one."""
    copy = tmp_path / "agb"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "api").mkdir()
    (copy / "api" / "__init__.py").touch()
    path = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
    for statement in ("import agb", "from agb import AGB", "from agb.session_params import CreateSessionParams"):
        result = run(path + statement)
        assert result.returncode != 0
        last = result.stderr.strip().splitlines()[-1]
        assert last.startswith("ImportError: agbcloud-sdk is installed in the same environment")
        assert "pip uninstall agb agbcloud-sdk" in last


# --- the import paths of 0.12 ------------------------------------------------------------------------------------

POLICIES = (
    "BWList ContextSync DeletePolicy DownloadPolicy DownloadStrategy ExtractPolicy Lifecycle MappingPolicy "
    "RecyclePolicy SyncPolicy UploadMode UploadPolicy UploadStrategy WhiteList"
)
RESULTS = (
    "ApiResponse BoolResult DeleteResult EnhancedCodeExecutionResult ExecutionError ExecutionLogs ExecutionResult "
    "GetSessionData GetSessionResult McpTool McpToolResult McpToolsResult OperationResult SessionListResult "
    "SessionMetrics SessionMetricsResult SessionResult SessionStatusResult DownloadResult UploadResult"
)
IMPORT_PATHS = {
    "agb": "AGB Session CreateSessionParams ContextSync SyncPolicy UploadPolicy DownloadPolicy DeletePolicy "
    "ExtractPolicy UploadStrategy DownloadStrategy UploadMode MappingPolicy Extension ExtensionOption "
    "ExtensionsService Context ContextService ContextResult ContextListResult ContextManager ContextStatusData "
    "ContextInfoResult ContextSyncResult Computer MouseButton ScrollDirection",
    "agb.agb": "AGB",
    "agb.config": "BROWSER_DATA_PATH BROWSER_FINGERPRINT_PERSIST_PATH Config default_config load_config",
    "agb.context": "Context ContextService ContextResult ContextListResult ContextListParams ContextFileEntry "
    "ContextFileListResult FileUrlResult ClearContextResult",
    "agb.context_manager": "ContextManager ContextInfoResult ContextStatusData ContextSyncResult",
    "agb.context_sync": POLICIES,
    "agb.exceptions": "AGBError APIError ApplicationError AuthenticationError BrowserError ClearanceTimeoutError "
    "CommandError FileError ScreenError SessionError",
    "agb.extension": "EXTENSIONS_BASE_PATH Extension ExtensionOption ExtensionsService",
    "agb.model": "ApiResponse BoolResult DeleteResult EnhancedCodeExecutionResult ExecutionLogs ExecutionResult "
    "McpTool McpToolResult McpToolsResult OperationResult SessionResult",
    "agb.model.response": RESULTS,
    "agb.modules": "Code Command CommandResult Computer",
    "agb.modules.browser": "Browser BrowserFingerprint BrowserFingerprintContext BrowserFingerprintGenerator "
    "BrowserOption BrowserProxy BrowserScreen BrowserViewport FingerprintFormat",
    "agb.modules.browser.browser": "Browser BrowserFingerprint BrowserFingerprintContext BrowserOption BrowserProxy",
    "agb.modules.browser.fingerprint": "BrowserFingerprintGenerator FingerprintFormat ScreenFingerprint VideoCard",
    "agb.modules.code": "Code LANGUAGE_ALIASES SUPPORTED_LANGUAGES",
    "agb.modules.command": "Command CommandResult",
    "agb.modules.computer": "ApplicationManager Computer InstalledApp KeyboardController MouseButton MouseController "
    "ScreenController ScrollDirection Window WindowManager",
    "agb.modules.computer.app": "ApplicationManager AppOperationResult InstalledAppListResult ProcessListResult",
    "agb.modules.computer.computer": "Computer",
    "agb.modules.computer.keyboard": "KeyboardController",
    "agb.modules.computer.mouse": "MouseController",
    "agb.modules.computer.screen": "ScreenController ScreenshotResult",
    "agb.modules.computer.window": "WindowInfoResult WindowListResult WindowManager",
    "agb.modules.file_transfer": "DownloadResult FileTransfer UploadResult",
    "agb.session": "Session",
    "agb.session_params": "BrowserContext CreateSessionParams",
}
NAMES = [(module, name) for module, names in IMPORT_PATHS.items() for name in names.split()]


@pytest.mark.parametrize(("module", "name"), NAMES, ids=[f"{module}.{name}" for module, name in NAMES])
def test_import_path_has_the_name(module: str, name: str) -> None:
    value = getattr(importlib.import_module(module), name)
    if name in agb.__all__:
        assert value is getattr(agb, name)


EACH_IN_A_NEW_PROCESS = """
import asyncio, json, logging, os, ssl, sys, tarfile, tempfile, traceback, urllib.request, zipfile
import attr.validators
for program in json.loads(sys.argv[1]):
    child = os.fork()
    if not child:
        try:
            exec(program, {})
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        print(program)
"""
"""Runs programs in forks of a process that has imported what this package uses, and nothing of it."""


def failing(*programs: str) -> str:
    """Run each program in a new process, and return those that fail, with their errors."""
    command = [sys.executable, "-W", "error", "-c", EACH_IN_A_NEW_PROCESS, json.dumps(programs)]
    return subprocess.check_output(command, stderr=subprocess.STDOUT, text=True, timeout=120)


def test_import_path_works_in_a_new_process() -> None:
    """No compatibility module needs another one to be imported before.

    And each is an attribute of the package, as it was in 0.12, where ``import agb`` loaded everything:
    ``agb.exceptions.SessionError`` needs no more.
    """
    assert not failing(
        *(
            f"import agb\n{module}.{names.split()[0]}\nfrom {module} import {', '.join(names.split())}"
            for module, names in IMPORT_PATHS.items()
        )
    )


def test_program_that_fails_is_returned() -> None:
    assert "ImportError: cannot import name 'nothing'" in failing("import agb", "from agb import nothing")
    assert failing("import agb") == ""


def test_classes_say_where_they_are_imported_from() -> None:
    """Public values live where they are imported from, so that pickles and error texts name no private module."""
    for name in agb.__all__:
        value = getattr(agb, name)
        if isinstance(value, type) and not value.__module__.startswith(("agb._async.", "agb._sync.")):
            assert "._" not in value.__module__, f"{name} lives in {value.__module__}"


def test_star_import_imports_all_names() -> None:
    names: dict[str, Any] = {}
    exec("from agb import *", names)
    assert set(agb.__all__) <= set(names)
