"""Record what agbcloud-sdk 0.12.0 sends for every operation of the API, and write it to agbcloud_0_12.json.

Run with the python of an environment that has agbcloud-sdk 0.12.0 (see README.md), never with this project's:
both packages are imported as ``agb``.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from importlib.metadata import version
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

RECORDING = Path(__file__).with_name("agbcloud_0_12.json")
SDK_VERSION = "0.12.0"

API_KEY = "ako-recorded"
TOKEN = "token-recorded"
PLACEHOLDER = "http://agb.invalid"
"""Stands in the recording wherever the address of the capturing server stood."""

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
"""A picture of one pixel in base64."""

HEADERS_KEPT = ("authorization", "content-type", "x-access-token")


# --- the service's side: a valid answer for every operation ----------------------------------------------------------


class Request(NamedTuple):
    """One captured request; ``body`` is the parsed JSON, or the text when it is not JSON."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


class Service:
    """Just enough memory to answer as the API would: ids that are given out, and which session was released."""

    def __init__(self) -> None:
        self.base = ""
        self.released: set[str] = set()
        self.clearing: set[str] = set()
        self._sessions = count(1)

    def session_data(self, session_id: str) -> dict[str, Any]:
        tools = [
            {"name": "run_code", "server": "wuying_codespace"},
            {"name": "shell", "server": "wuying_shell"},
            {"name": "get_metrics", "server": "wuying_system"},
        ]
        return {
            "sessionId": session_id,
            "appInstanceId": f"ai-{session_id}",
            "resourceId": f"r-{session_id}",
            "resourceUrl": f"{self.base}/page?resourceId=r-{session_id}&authcode=code",
            "linkUrl": f"{self.base}/sessions/{session_id}",
            "wsUrl": "",
            "token": TOKEN,
            "toolList": json.dumps(tools),
        }

    def create_session(self, request: Request) -> Any:
        return {**self.session_data(f"s-{next(self._sessions)}"), "success": True, "errMsg": ""}

    def get_session(self, request: Request) -> Any:
        return {**self.session_data(request.body["sessionId"]), "status": "RUNNING"}

    def get_session_info(self, request: Request) -> Any:
        return {"status": "FINISH" if request.body["sessionId"] in self.released else "RUNNING"}

    def release(self, request: Request) -> Any:
        self.released.add(request.body["sessionId"])

    def get_label(self, request: Request) -> Any:
        return {"labels": '{"project": "demo"}', "count": 1, "maxResults": 10, "nextToken": ""}

    def get_link(self, request: Request) -> Any:
        return {"url": f"{self.base}/link/{request.query['sessionId']}"}

    def get_cdp_link(self, request: Request) -> Any:
        return {"url": f"{self.base}/devtools/browser/1".replace("http", "ws", 1)}

    def get_resource(self, request: Request) -> Any:
        session_id = request.body["sessionId"]
        desktop = {
            "appId": "app-1",
            "authCode": "code",
            "connectionProperties": "{}",
            "resourceId": f"r-{session_id}",
            "resourceType": "AIAgent",
            "ticket": "ticket-1",
        }
        return {"sessionId": session_id, "resourceUrl": f"{self.base}/page?authcode=code", "desktopInfo": desktop}

    def list_tools(self, request: Request) -> Any:
        schema = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}
        shell = {"name": "shell", "description": "Run a command.", "inputSchema": schema, "server": "wuying_shell"}
        return json.dumps([{**shell, "tool": "shell"}])

    def init_browser(self, request: Request) -> Any:
        return {"port": 9222}

    def context(self, request: Request) -> Any:
        context_id = request.query.get("id", "SdkCtx-1")
        # Said once, so that a clear is seen to be under way and then to be done.
        state = "clearing" if context_id in self.clearing else "available"
        self.clearing.discard(context_id)
        times = {"createTime": "2025-01-01T00:00:00Z", "lastUsedTime": "2025-01-02T00:00:00Z"}
        return {"id": context_id, "name": request.query.get("name", "demo"), "state": state, **times}

    def clear_context(self, request: Request) -> Any:
        self.clearing.add(request.query["id"])

    def context_info(self, request: Request) -> Any:
        row = {
            "contextId": request.query.get("contextId", "SdkCtx-1"),
            "path": request.query.get("path", "/home/user/data"),
            "taskType": request.query.get("taskType", "download"),
            "status": "Success",
            "errorMessage": "",
            "startTime": 1735689600,
            "finishTime": 1735689601,
        }
        return {"contextStatus": json.dumps([{"type": "data", "data": json.dumps([row])}])}

    def object_url(self, request: Request) -> Any:
        return {"url": f"{self.base}/objects/{request.query['contextId']}?signature=recorded", "expireTime": 3600}

    def files(self, request: Request) -> Any:
        name = "ext_0123.zip" if "extensions" in request.query.get("parentFolderPath", "") else "x.txt"
        parent = request.query.get("parentFolderPath", "/tmp")
        entry = {"fileId": "fid-1", "fileName": name, "filePath": f"{parent}/{name}", "fileType": "txt", "size": 21}
        times = {"gmtCreate": "2025-01-01T00:00:00Z", "gmtModified": "2025-01-01T00:00:00Z"}
        return [{**entry, **times, "status": "ready"}]

    def internal_context(self, request: Request) -> Any:
        return [{"contextId": "SdkCtx-i", "contextType": "file_transfer", "contextPath": "/tmp/file_transfer"}]

    def call_tool(self, request: Request) -> Any:
        return {"isError": False, "content": [{"type": "text", "text": tool_text(request.body["name"])}]}

    def call_tool_by_link(self, request: Request) -> Any:
        return {"result": {"isError": False, "content": [{"type": "text", "text": tool_text(request.body["tool"])}]}}

    def nothing(self, request: Request) -> Any:
        return None


def tool_text(name: str) -> str:
    """Return the text a tool answers with, in the tool's own format."""
    texts: dict[str, Any] = {
        "shell": {"stdout": "hello\n", "stderr": "", "exit_code": 0, "traceId": ""},
        "run_code": {
            "result": [{"text/plain": "2", "isMainResult": True}],
            "stdout": [],
            "stderr": [],
            "execution_count": 1,
            "execution_time": 0.01,
            "executionError": None,
        },
        "get_metrics": {
            "cpu_count": 4,
            "cpu_used_pct": 25.5,
            "disk_total": 1000000,
            "disk_used": 500000,
            "mem_total": 8192,
            "mem_used": 4096,
            "rx_rate_kbyte_per_s": 100.5,
            "tx_rate_kbyte_per_s": 50.2,
            "rx_used_kbyte": 1024.0,
            "tx_used_kbyte": 512.0,
            "timestamp": "2025-01-01T00:00:00Z",
        },
        "get_cursor_position": {"x": 512, "y": 384},
        "get_screen_size": {"width": 1920, "height": 1080, "dpiScalingFactor": 1.0},
        "screenshot": {"type": "screenshot", "mime_type": "image/png", "data": PNG, "width": 1, "height": 1},
        **{name: [] for name in ("list_root_windows", "start_app", "list_visible_apps", "get_installed_apps")},
        "get_active_window": {"window_id": 7, "title": "a"},
    }
    return json.dumps(texts[name]) if name in texts else "true"


Answer = Callable[[Service, Request], Any]

OPERATIONS: dict[tuple[str, str], Answer] = {
    ("POST", "/mcp/createSession"): Service.create_session,
    ("POST", "/mcp/getSession"): Service.get_session,
    ("POST", "/mcp/getSessionInfo"): Service.get_session_info,
    ("GET", "/sdk/ListSession"): Service.nothing,  # its answer lies beside the data, see reply_to
    ("POST", "/mcp/releaseSessionAsync"): Service.release,
    ("POST", "/mcp/releaseSession"): Service.release,
    ("POST", "/mcp/refreshSessionIdleTime"): Service.nothing,
    ("POST", "/sdk/SetLabel"): Service.nothing,
    ("GET", "/sdk/GetLabel"): Service.get_label,
    ("GET", "/internet/getLink"): Service.get_link,
    ("GET", "/mcp/getLink"): Service.get_link,
    ("POST", "/internet/getCdpLink"): Service.get_cdp_link,
    ("POST", "/mcp/getMcpResource"): Service.get_resource,
    ("POST", "/mcp/listTools"): Service.list_tools,
    ("POST", "/mcp"): Service.call_tool,
    ("POST", "/browser/init"): Service.init_browser,
    ("GET", "/sdk/ListContexts"): lambda service, request: [service.context(request)],
    ("GET", "/sdk/GetContext"): Service.context,
    ("POST", "/sdk/ModifyContext"): Service.nothing,
    ("POST", "/sdk/DeleteContext"): Service.nothing,
    ("POST", "/sdk/ClearContext"): Service.clear_context,
    ("POST", "/sdk/SyncContext"): Service.nothing,
    ("GET", "/sdk/GetContextInfo"): Service.context_info,
    ("POST", "/sdk/GetContextFileDownloadUrl"): Service.object_url,
    ("POST", "/sdk/GetContextFileUploadUrl"): Service.object_url,
    ("POST", "/sdk/DeleteContextFile"): Service.nothing,
    ("POST", "/sdk/DescribeContextFiles"): Service.files,
    ("POST", "/sdk/GetAndLoadInternalContext"): Service.internal_context,
}
"""The whole API of the control plane; the two paths of getLink count as one operation."""


def session_page(request: Request) -> dict[str, Any]:
    """Return a page of ListSession; its paging fields stand at the top level of the envelope."""
    sessions = [{"sessionId": f"s-{number}", "sessionStatus": "RUNNING"} for number in (1, 2)]
    more = not request.query.get("nextToken")
    return {"data": sessions, "nextToken": "token-2" if more else "", "maxResults": 10, "count": 4}


# --- capturing -------------------------------------------------------------------------------------------------------


class Recorder:
    """Answers requests and keeps each exchange under the name of the call that caused it."""

    def __init__(self) -> None:
        self.service = Service()
        self.exchanges: list[dict[str, Any]] = []
        self.variant = ""
        self.call = ""
        self._names: Counter[str] = Counter()

    def answer(self, request: Request) -> tuple[int, Any]:
        status, body = self.reply_to(request)
        self.exchanges.append(
            {
                "operation": self._name(request),
                "call": self.call,
                "request": request._asdict(),
                "response": {"status": status, "body": body},
            }
        )
        return status, body

    def reply_to(self, request: Request) -> tuple[int, Any]:
        """Return status and body: JSON for the API and the link route, text for the object store."""
        if request.path.startswith("/objects/"):
            return 200, "" if request.method == "PUT" else "content of the object"
        envelope = {
            "requestId": f"{len(self.exchanges) + 1:032X}",
            "success": True,
            "code": "ok",
            "message": "",
            "httpStatusCode": 200,
        }
        if request.path == "/sdk/ListSession":
            return 200, {**envelope, **session_page(request)}
        if request.path.endswith("/callTool"):
            return 200, {**envelope, "data": self.service.call_tool_by_link(request)}
        return 200, {**envelope, "data": OPERATIONS[request.method, request.path](self.service, request)}

    def _name(self, request: Request) -> str:
        """Return a name that is unique in the recording: operation, variant, and which of several in one call."""
        operation = request.path.rpartition("/")[2]
        if request.path.startswith("/objects/"):
            operation = f"{request.method.title()}Object"
        name = f"{operation}:{self.variant}" if self.variant else operation
        self._names[name] += 1
        return name if self._names[name] == 1 else f"{name}#{self._names[name]}"


@contextmanager
def capturing(recorder: Recorder) -> Iterator[str]:
    """Serve the recorder's answers on a free loopback port; yield the base URL."""

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            url = urlsplit(self.path)
            raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, body = recorder.answer(
                Request(
                    method=self.command,
                    path=url.path,
                    query=dict(parse_qsl(url.query, keep_blank_values=True)),
                    headers={name: self.headers[name] for name in HEADERS_KEPT if name in self.headers},
                    body=parsed(raw.decode()),
                )
            )
            content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain" if isinstance(body, str) else "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = handle_any

        def log_message(self, format: str, *args: Any) -> None:
            """Stay quiet: what matters is in the recording."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def parsed(text: str) -> Any:
    """Return the JSON value of a body; text that is not JSON (an uploaded file, nothing) stays as it is."""
    try:
        return json.loads(text)
    except ValueError:
        return text


# --- the client's side -----------------------------------------------------------------------------------------------

NAMES = {
    "agb": ("AGB", "CreateSessionParams", "ContextSync", "ExtensionOption", "ExtensionsService"),
    "agb.config": ("Config",),
    "agb.context": ("Context", "ContextListParams"),
    "agb.context_sync": (
        "BWList",
        "DeletePolicy",
        "DownloadPolicy",
        "ExtractPolicy",
        "Lifecycle",
        "MappingPolicy",
        "RecyclePolicy",
        "SyncPolicy",
        "UploadMode",
        "UploadPolicy",
        "WhiteList",
    ),
    "agb.modules.browser": (
        "BrowserFingerprint",
        "BrowserFingerprintContext",
        "BrowserOption",
        "BrowserProxy",
        "BrowserScreen",
        "BrowserViewport",
    ),
    "agb.session_params": ("BrowserContext",),
}
"""The public names of the SDK that the calls below use, by module."""


class Call(NamedTuple):
    """One call to record. The text that is recorded is the text that is run."""

    variant: str
    source: str
    keep: str = ""
    """The name under which later calls find the result's session, or the result if it has none."""


POLICIES = """SyncPolicy(
    upload_policy=UploadPolicy(auto_upload=False, upload_mode=UploadMode.ARCHIVE),
    download_policy=DownloadPolicy(auto_download=False),
    delete_policy=DeletePolicy(sync_local_file=False),
    extract_policy=ExtractPolicy(extract=False, delete_src_file=False, extract_current_folder=True),
    recycle_policy=RecyclePolicy(lifecycle=Lifecycle.LIFECYCLE_30DAYS, paths=["logs", "größe"]),
    bw_list=BWList(white_lists=[WhiteList(path="/src", exclude_paths=["/src/node_modules"]), WhiteList(path="/doc")]),
    mapping_policy=MappingPolicy(path="/home/user/before"))"""

BROWSER_CONTEXT = """BrowserContext("SdkCtx-b", auto_upload=False,
    extension_option=ExtensionOption("SdkCtx-e", ["ext_1.zip", "ext_2.zip"]),
    fingerprint_context=BrowserFingerprintContext("SdkCtx-f"))"""

BROWSER_OPTION = """BrowserOption(use_stealth=True, user_agent="agent/1", viewport=BrowserViewport(1280, 720),
    screen=BrowserScreen(1280, 720), fingerprint=BrowserFingerprint(["desktop"], ["linux"], ["de-DE"]),
    fingerprint_persistent=True, solve_captchas=True,
    proxies=[BrowserProxy("custom", server="http://proxy.invalid:3128", username="u", password="p")],
    cmd_args=["--lang=de"], default_navigate_url="https://example.com/ä", browser_type="chromium")"""

DESKTOP_CALLS = {
    "mouse": (
        *("click(10, 20)", 'click(10, 20, "double_left")', "move(0, 1)", 'drag(1, 2, 3, 4, "right")'),
        *("scroll(5, 6)", 'scroll(5, 6, "left", 3)', "get_position()"),
    ),
    "keyboard": ('type("größe 名前 🙂\\n")', 'press(["Ctrl", "c"])', 'press(["Shift"], True)', 'release(["Shift"])'),
    "window": (
        *("list_root_windows()", "list_root_windows(500)", "get_active_window()", "activate(7)", "close(7)"),
        *("maximize(7)", "minimize(7)", "restore(7)", "fullscreen(7)", "resize(7, 300, 500)", "focus_mode(True)"),
    ),
    "app": (
        *('start("gedit %U")', 'start("gedit", "/tmp", "com.example/.Main")', 'stop_by_pname("gedit")'),
        *("stop_by_pid(42)", 'stop_by_cmd("kill -9 42")', "get_visible()", "list_installed()"),
        "list_installed(False, True, False)",
    ),
    "screen": ("get_size()", "beta_take_screenshot()"),
}
"""The methods of the parts of a desktop."""

CALLS = [
    # sessions
    Call("", 'agb.create(CreateSessionParams(image_id="agb-code-space-1"))', keep="session"),
    Call("labels", 'agb.create(CreateSessionParams({"project": "demo", "ü": "ñ"}, image_id="agb-code-space-1"))'),
    Call("policy", 'agb.create(CreateSessionParams(image_id="agb-code-space-1", policy_id="policy-1"))'),
    Call("idle", 'agb.create(CreateSessionParams(image_id="agb-code-space-1", idle_release_timeout=120))'),
    Call("idle-zero", 'agb.create(CreateSessionParams(image_id="agb-code-space-1", idle_release_timeout=0))'),
    Call(
        "contexts",
        'agb.create(CreateSessionParams(image_id="agb-code-space-1", context_syncs=['
        'ContextSync("SdkCtx-1", "/home/user/data", SyncPolicy()), '
        f'ContextSync("SdkCtx-2", "/home/user/ä", {POLICIES}), '
        'ContextSync("SdkCtx-3", "/home/user/without-policy")]))',
    ),
    Call(
        "browser",
        f'agb.create(CreateSessionParams(image_id="agb-browser-use-1", browser_context={BROWSER_CONTEXT}))',
    ),
    Call(
        "all",
        'agb.create(CreateSessionParams({"project": "demo"}, "agb-browser-use-1", "policy-1", '
        'idle_release_timeout=300, context_syncs=[ContextSync("SdkCtx-1", "/home/user/data", SyncPolicy())], '
        'browser_context=BrowserContext("SdkCtx-b")))',
    ),
    Call(
        "low-level",
        "agb.client.create_mcp_session(models.CreateSessionRequest(authorization=bearer, image_id='agb-code-space-1', "
        "session_id='s-asked', context_id='SdkCtx-1'))",
    ),
    Call("", "agb.get_session(session.session_id)"),
    Call("get", "agb.get(session.session_id)", keep="again"),
    Call("", "session.get_status()"),
    Call("", "agb.list()"),
    Call("labels", 'agb.list({"project": "démo", "env": "test"}, limit=5)'),
    Call("page-2", 'agb.list({"project": "demo"}, page=2, limit=2)'),
    Call(
        "all",
        "agb.client.list_sessions(models.ListSessionRequest(authorization=bearer, max_results=3, next_token='token-2', "
        "labels='{}', is_all=True))",
    ),
    Call("", "session.keep_alive()"),
    Call(
        "async",
        "asyncio.run(agb.client.refresh_session_idle_time_async("
        "models.RefreshSessionIdleTimeRequest(authorization=bearer, session_id=session.session_id)))",
    ),
    Call("", 'session.set_labels({"project": "demo", "owner": "a b&c=d+e"})'),
    Call("non-ascii", 'session.set_labels({"größe": "klein", "名前": "テスト", "emoji": "🙂"})'),
    Call("", "session.get_labels()"),
    Call(
        "paging",
        "agb.client.get_label(models.GetLabelRequest(authorization=bearer, session_id=session.session_id, "
        "max_results=5, next_token='token-2'))",
    ),
    Call("", "session.info()"),
    # links
    Call("", "session.get_link()"),
    Call("port", "session.get_link(port=30150)"),
    Call("protocol", 'session.get_link(protocol_type="https")'),
    Call("protocol-and-port", 'session.get_link("wss", 30199)'),
    Call(
        "async",
        "asyncio.run(agb.client.get_link_async(models.GetLinkRequest("
        "authorization=bearer, session_id=session.session_id, protocol_type='https', port=30150)))",
    ),
    Call("", "session.browser.initialize(BrowserOption())"),
    Call("", "session.browser.get_endpoint_url()"),
    Call("options", f"again.browser.initialize({BROWSER_OPTION})"),
    Call(
        "async",
        "asyncio.run(agb.client.init_browser_async(models.InitBrowserRequest(authorization=bearer, "
        "session_id=session.session_id, persistent_path='/tmp/agb_browser_data', browser_option={})))",
    ),
    # tools: by the link as the session was created; by the API once its tool list is gone, since then no tool has
    # a server
    Call("api", "agb.get(session.session_id)", keep="api"),
    Call("", 'setattr(api, "tool_list", "")'),
    Call("", "session.list_mcp_tools()"),
    Call("image", 'again.list_mcp_tools("agb-browser-use-1")'),
    Call("shell", 'session.command.execute("echo hello")'),
    Call("shell-all", """session.command.execute("echo $A", 5000, "/tmp/a b", {"A": "1; 'x' $y"})"""),
    Call("run_code", 'session.code.run("1 + 1", "python")'),
    Call("run_code-js", 'session.code.run("const ä = 1; ä", "node", timeout_s=5)'),
    Call("get_metrics", "session.get_metrics()"),
    Call("unlisted", 'session.call_mcp_tool("tap", {"x": 1, "y": 2})'),
    Call("shell", 'api.command.execute("echo hello")'),
    Call("shell-all", """api.command.execute("echo $A", 5000, "/tmp/a b", {"A": "1; 'x' $y"})"""),
    Call("run_code", 'api.code.run("1 + 1", "python")'),
    Call("run_code-js", 'api.code.run("const ä = 1; ä", "node", timeout_s=5)'),
    Call("get_metrics", "api.get_metrics()"),
    Call(
        "nested",
        'api.call_mcp_tool("custom_tool", {"name": "größe 名前 🙂", '
        '"deep": {"list": [1, 2.5, None, True, {"k": "\\n"}], "empty": {}}})',
    ),
    Call("no-arguments", 'api.call_mcp_tool("custom_tool", {})'),
    Call("timeouts", 'api.call_mcp_tool("custom_tool", {"x": 1}, read_timeout=5000, connect_timeout=2000)'),
    Call(
        "low-level",
        "agb.client.call_mcp_tool(models.CallMcpToolRequest(authorization=bearer, session_id=session.session_id, "
        "name='shell', server='wuying_shell', image_id='agb-code-space-1', args={'command': 'true'}))",
    ),
    # contexts
    Call("", "agb.context.list()"),
    Call("paging", 'agb.context.list(ContextListParams(max_results=5, next_token="token-2"))'),
    Call("name", 'agb.context.get("größe")'),
    Call("id", 'agb.context.get(context_id="SdkCtx-1")'),
    Call("region", 'agb.context.get("demo", login_region_id="eu-central-1")'),
    Call("create", 'agb.context.create("demo")'),
    Call("", 'agb.context.update(Context("SdkCtx-1", "new name"))'),
    Call("", 'agb.context.delete(Context("SdkCtx-1", "demo"))'),
    Call("", 'agb.context.clear_async("SdkCtx-1")'),
    Call("clear-status", 'agb.context.get_clear_status("SdkCtx-1")'),
    Call("clear", 'agb.context.clear("SdkCtx-1", timeout=1, poll_interval=0.01)'),
    Call("", "session.context.info()"),
    Call("filter", 'session.context.info("SdkCtx-1", "/home/user/data", "upload")'),
    Call("", "asyncio.run(session.context.sync())"),
    Call("path", 'asyncio.run(session.context.sync("SdkCtx-1", "/home/user/data", mode="upload"))'),
    Call("", 'agb.context.get_file_download_url("SdkCtx-1", "/tmp/a b/ä.txt")'),
    Call("", 'agb.context.get_file_upload_url("SdkCtx-1", "/tmp/a b/ä.txt")'),
    Call("", 'agb.context.delete_file("SdkCtx-1", "/tmp/x.txt")'),
    Call("", 'agb.context.list_files("SdkCtx-1")'),
    Call("page", 'agb.context.list_files("SdkCtx-1", "/tmp", page_number=2, page_size=10)'),
    Call(
        "",
        "agb.client.get_and_load_internal_context(models.GetAndLoadInternalContextRequest("
        "authorization=bearer, session_id=session.session_id, context_types=['file_transfer']))",
    ),
    Call("upload", 'session.file.upload("upload.txt", "/tmp/file_transfer/x.txt", content_type="text/plain")'),
    Call("download", 'session.file.download("/tmp/file_transfer/x.txt", "download.txt")'),
    Call("extensions", 'ExtensionsService(agb, "my extensions")', keep="extensions"),
    Call("extension-list", "extensions.list()"),
    Call("extension-create", 'extensions.create("extension.zip")'),
    Call("extension-delete", 'extensions.delete("ext_0123.zip")'),
    # the end of sessions
    Call("", "session.delete()"),
    Call("sync", "again.delete(sync_context=True)"),
    Call(
        "",
        "agb.client.release_mcp_session(models.ReleaseSessionRequest("
        "authorization=bearer, session_id=session.session_id))",
    ),
    # the desktop; the calls need no session that runs
    *(
        Call(f"{part}-{number}", f"session.computer.{part}.{call}")
        for part, calls in DESKTOP_CALLS.items()
        for number, call in enumerate(calls, start=1)
    ),
]


def sdk_names(base: str) -> dict[str, Any]:
    """Return what the calls may name: the SDK's public names, a client, and the low-level request models."""
    names = {name: getattr(import_module(module), name) for module, wanted in NAMES.items() for name in wanted}
    client = names["AGB"](API_KEY, names["Config"](base, 10_000))
    return {
        **names,
        "asyncio": asyncio,
        "models": import_module("agb.api.models"),
        "bearer": f"Bearer {API_KEY}",
        "agb": client,
    }


def run(call: Call, names: dict[str, Any]) -> None:
    """Run one call and stop if the SDK did not take the answer for a success: the recording would be worthless."""
    result = eval(call.source, names)
    outcome = getattr(result, "success", None)
    if outcome is None and hasattr(result, "is_successful"):
        outcome = result.is_successful()
    if outcome is False or result is False:
        raise SystemExit(f"not taken for a success: {call.source}: {getattr(result, 'error_message', result)}")
    if call.keep:
        names[call.keep] = getattr(result, "session", None) or result


def missing(exchanges: list[dict[str, Any]]) -> list[str]:
    """Return the operations and routes that no exchange shows."""
    seen: set[tuple[str, str]] = {(e["request"]["method"], e["request"]["path"]) for e in exchanges}
    by_link = any(path.endswith("/callTool") for _, path in seen)
    absent = [f"{method} {path}" for method, path in OPERATIONS if (method, path) not in seen]
    return absent if by_link else [*absent, "POST {linkUrl}/callTool"]


def record() -> list[Mapping[str, Any]]:
    """Drive the SDK through every call and return the exchanges, free of this machine's addresses."""
    recorder = Recorder()
    with capturing(recorder) as base, tempfile.TemporaryDirectory() as directory:
        recorder.service.base = base
        os.chdir(directory)  # the calls name local files by bare names, so that no path of the machine is recorded
        Path("upload.txt").write_text("uploaded text")
        Path("extension.zip").write_text("not really an archive")
        names = sdk_names(base)
        for call in CALLS:
            recorder.variant, recorder.call = call.variant, " ".join(call.source.split())
            run(call, names)
        os.chdir(RECORDING.parent)
    if absent := missing(recorder.exchanges):
        raise SystemExit(f"not recorded: {', '.join(absent)}")
    text = json.dumps(recorder.exchanges)
    for scheme in ("http", "ws"):
        text = text.replace(base.replace("http", scheme, 1), PLACEHOLDER.replace("http", scheme, 1))
    exchanges: list[Mapping[str, Any]] = json.loads(text)
    return exchanges


def main() -> None:
    """Record with the SDK of this environment, refusing any other package called ``agb``."""
    if version("agbcloud-sdk") != SDK_VERSION:
        raise SystemExit(f"this records agbcloud-sdk {SDK_VERSION}, not {version('agbcloud-sdk')}")
    os.environ["AGB_LOG_LEVEL"] = "CRITICAL"
    import_module("agb.logger")
    import_module("loguru").logger.remove()
    exchanges = record()
    RECORDING.write_text(json.dumps(exchanges, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{len(exchanges)} exchanges written to {RECORDING.name}", file=sys.stderr)


if __name__ == "__main__":
    main()
