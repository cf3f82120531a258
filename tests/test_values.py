"""Values: parameters and results can be copied, pickled, compared and printed, and are checked."""

from __future__ import annotations

import copy
import inspect
import json
import pickle
from typing import Any

import attrs
import pytest

import agb
from agb import (
    AGB,
    AsyncAGB,
    BrowserContext,
    BrowserFingerprintContext,
    BWList,
    Config,
    Context,
    ContextListParams,
    ContextSync,
    CreateSessionParams,
    DeletePolicy,
    DownloadPolicy,
    ErrorKind,
    ExecutionError,
    ExtensionOption,
    ExtractPolicy,
    Lifecycle,
    MappingPolicy,
    RecyclePolicy,
    SessionError,
    SessionRef,
    SyncPolicy,
    UploadMode,
    UploadPolicy,
    WhiteList,
    results,
)
from agb._wire.secrets import masked, shown

BROWSER = BrowserContext(
    "b", extension_option=ExtensionOption("e", ["x.zip"]), fingerprint_context=BrowserFingerprintContext("f")
)
PARAMS = CreateSessionParams(
    {"project": "demo"}, "agb-code-space-1", "p", [ContextSync("c", "/home/x", SyncPolicy())], BROWSER, 60
)
ERROR = SessionError("no", kind=ErrorKind.NOT_FOUND, request_id="R", http_status=400, code="X", hint="h")
VALUES = [
    PARAMS,
    BROWSER,
    SyncPolicy(),
    SessionRef("s-1", "https://x.example"),
    Config("x", 1),
    results.OperationResult("R", True, {"a": 1}),
    results.OperationResult.failed(ERROR),
    results.DeleteResult("R", True),
    results.SessionListResult("R", True, "", ["s-1"], "t", 10, 1),
    results.GetSessionResult("R", 200, "ok", True, results.GetSessionData("a", "r", "s")),
    results.SessionStatusResult("R", 200, "ok", True, "RUNNING"),
    results.McpToolsResult("R", True, [results.McpTool("shell", "runs", {"type": "object"})]),
    results.SessionMetricsResult("R", True, results.SessionMetrics(cpu_count=2), raw={"cpu_count": 2}),
    Context("i", "n", state="available"),
    ContextListParams(5, "t"),
    results.ContextListResult("R", True, [Context("i", "n")], "t", 10, 1),
    results.ContextFileListResult("R", True, [results.ContextFileEntry("f", "n", "/n", size=1)], 1),
    results.FileUrlResult("R", True, "http://h/geheim", 5),
    results.ClearContextResult("R", True, status="clearing", context_id="i"),
    results.ContextInfoResult("R", True, [results.ContextStatusData("c", "/p", task_id="t")]),
    results.AwaitableContextSyncResult("R", True, context_status_data=[results.ContextStatusData("c")]),
    results.Extension("i", "n", "now"),
    results.CommandResult.of_exit("out", "err", 3, request_id="R"),
    results.EnhancedCodeExecutionResult(
        "R", 1, 0.5, results.ExecutionLogs(["a"]), [results.ExecutionResult("1")], ExecutionError("E", "v", "t")
    ),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_copies_are_equal(value: Any) -> None:
    for twin in (copy.copy(value), copy.deepcopy(value), pickle.loads(pickle.dumps(value))):
        assert twin == value
        assert type(twin) is type(value)
        assert repr(twin) == repr(value)


@pytest.mark.parametrize("value", [value for value in VALUES if "Result" in type(value).__name__], ids=repr)
def test_results_have_a_dict_and_answer_if(value: Any) -> None:
    assert vars(value)["success"] is bool(value)
    assert vars(value).keys() == {attribute.name for attribute in attrs.fields(type(value))}


def test_a_failed_answer_about_a_file_is_neither_true_nor_false() -> None:
    assert results.ExistsResult("R", True, True)
    assert not results.ExistsResult("R", True, False)
    with pytest.raises(SessionError) as caught:
        bool(results.ExistsResult.failed(ERROR))
    assert caught.value is ERROR


def test_texts_of_results_are_bounded_and_show_what_is_cut() -> None:
    long = 100_000
    shown = [
        (results.FileContentResult("R", True, "a" * long), "content='aaa", "(100000 characters)"),
        (results.BinaryFileContentResult("R", True, b"a" * long), "content=b'aaa", "(100000 bytes)"),
        (results.MultipleFileContentResult("R", True, {"/a": "b" * long}), "{'/a': 'bbb", "(100000 characters)"),
        (results.FileSearchResult("R", True, [f"/a{n}" for n in range(long)]), "['/a0', '/a1'", " more]"),
        (results.OperationResult("R", True, {"x": [{"y": "z"}] * long}), "'y': 'z'", " more]}"),
        (results.CommandResult.of_exit("x" * long, "", 0, request_id="R"), "stdout='xxx", "(100000 characters)"),
        (results.ExecutionResult("<Figure>", png="i" * long), "png='iii", "(100000 characters)"),
        (results.EnhancedCodeExecutionResult.failed(SessionError("e" * long)), "error_message='eee", "characters)"),
        (SessionError("e" * long), "SessionError('eee", "characters)"),
    ]
    for value, beginning, size in shown:
        assert len(repr(value)) < 2_000
        assert beginning in repr(value)
        assert size in repr(value)


def test_output_of_a_command_is_shown_once() -> None:
    assert repr(results.CommandResult.of_exit("OUT", "ERR", 0, request_id="R")).count("OUT") == 1
    assert "output='mine'" in repr(results.CommandResult("R", True, "mine"))


def test_texts_of_results_leave_out_fields_that_hold_nothing() -> None:
    assert repr(results.OperationResult("R", True, {"a": 1})) == (
        "OperationResult(request_id='R', success=True, data={'a': 1})"
    )
    assert repr(results.FileContentResult("R", True)) == "FileContentResult(request_id='R', success=True, content='')"


def test_error_of_a_pickled_result_is_whole() -> None:
    twin = pickle.loads(pickle.dumps(results.OperationResult.failed(ERROR)))
    assert vars(twin.error) == vars(ERROR)
    assert twin.error.extra == {"hint": "h"}


def test_raise_for_error() -> None:
    good = results.OperationResult("R", True)
    assert good.raise_for_error() is good
    with pytest.raises(SessionError) as caught:
        results.OperationResult.failed(ERROR).raise_for_error()
    assert caught.value is ERROR
    with pytest.raises(SessionError, match="made by a user"):
        results.OperationResult(error_message="made by a user").raise_for_error()


def test_results_are_frozen_and_positional_as_in_0_12() -> None:
    result = results.OperationResult("R", True, {"a": 1}, "")
    assert (result.request_id, result.success, result.data) == ("R", True, {"a": 1})
    assert result.get_request_id() == "R"
    with pytest.raises(AttributeError):
        result.success = False  # type: ignore[misc]


def test_result_of_a_failed_run_is_an_execution_error() -> None:
    result = results.EnhancedCodeExecutionResult.failed(ERROR)
    assert result.error is not None
    assert (result.error.name, result.error.value, result.error.kind) == ("NotFound", "no", ErrorKind.NOT_FOUND)
    assert (result.error_message, result.request_id) == ("no", "R")
    with pytest.raises(ExecutionError):
        result.raise_for_error()


def test_main_result_of_a_run() -> None:
    item = results.ExecutionResult
    made = results.EnhancedCodeExecutionResult
    assert made(results=[item("shown"), item("main", is_main_result=True)]).result == "main"
    assert made(results=[item("shown")], logs=results.ExecutionLogs(["out"])).result == "shown"
    assert made(logs=results.ExecutionLogs(["a", "b"])).result == "ab"
    assert made().result == ""


def test_deprecated_names_of_metrics() -> None:
    metrics = results.SessionMetrics(rx_rate_kbps=1.5, tx_used_kb=2.5)
    assert (metrics.rx_rate_kbyte_per_s, metrics.tx_used_kbyte) == (1.5, 2.5)
    assert (metrics.rx_rate_kbps, metrics.tx_used_kb) == (1.5, 2.5)


def test_repr_shows_no_secret() -> None:
    data = results.GetSessionData(
        token="geheim", link_url="https://h/x?token=geheim", resource_url="https://h/?authcode=geheim", ws_url="ws://h"
    )
    info = results.OperationResult(
        "R", True, {"auth_code": "geheim", "ticket": "geheim", "resource_url": data.resource_url}
    )
    link = results.OperationResult("R", True, "http://h/link/s-1/30100/geheim/")
    assert "geheim" not in repr(data) + repr(info) + repr(link)
    named = results.OperationResult("R", True, f"ws://30100-s-1-{'5f' * 16}.localhost:8080/x")
    assert "ws://30100-s-1-****.localhost:8080/x" in repr(named)
    unresolved = f"[Errno -2] Name or service not known: 30100-S-1-{'5F' * 16}.LOCALHOST"
    assert shown(unresolved) == "[Errno -2] Name or service not known: 30100-S-1-****.LOCALHOST"
    assert masked({"host": f"30100-s-1-{'5f' * 16}.localhost:80"}) == {"host": "30100-s-1-****.localhost:80"}
    ordinary = "http://x.localhost:8080/30100-s-1 and 30100-s-1-x.localhost"
    assert shown(ordinary) == ordinary
    assert info.raise_for_error().data["auth_code"] == "geheim"
    assert masked({"a": [{"api_key": "x"}], "n": None}) == {"a": [{"api_key": "****"}], "n": None}


@pytest.mark.parametrize("flavour", [AGB, AsyncAGB])
def test_what_holds_a_key_is_not_pickled(flavour: Any) -> None:
    client = flavour("ako-secret")
    session = client.attach("s-1")
    for value in (client, session, results.SessionResult("R", True, session=session)):
        for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
            if attempt is copy.copy and isinstance(value, results.SessionResult):
                continue  # a shallow copy of a result copies no session
            with pytest.raises(TypeError, match="is not pickled or copied"):
                attempt(value)


def test_reference() -> None:
    client = AGB("ako-secret", Config("http://127.0.0.1:8080", 1000))
    ref = client.attach("s-1").ref
    assert ref == SessionRef("s-1", "http://127.0.0.1:8080")
    assert SessionRef.from_json(ref.to_json()) == ref
    assert "secret" not in ref.to_json() + repr(ref)
    assert client.attach(ref).session_id == "s-1"
    with pytest.raises(ValueError, match="lives at"):
        client.attach(SessionRef("s-1", "https://elsewhere.example"))
    for text in ("[]", "{}", '{"session_id": 1, "endpoint": "x"}', "nothing"):
        with pytest.raises(ValueError, match=r"session|Expecting"):
            SessionRef.from_json(text)


def test_params_of_a_browser() -> None:
    assert [sync.path for sync in PARAMS.context_syncs] == [
        "/home/x",
        "/tmp/extensions/",
        "/tmp/agb_browser_fingerprint",
    ]
    assert PARAMS.all_context_syncs()[-1].path == "/tmp/agb_browser_data"
    assert BROWSER.extension_ids == ["x.zip"]
    assert (BROWSER.extension_context_id, BROWSER.fingerprint_context_id) == ("e", "f")
    late = CreateSessionParams(image_id="x")
    late.browser_context = BROWSER
    late.context_syncs = [ContextSync("c", "/home/x")]
    assert len(late.all_context_syncs()) == 4


def test_callers_list_is_not_changed() -> None:
    mine = [ContextSync("c", "/home/x")]
    CreateSessionParams(context_syncs=mine, browser_context=BROWSER)
    assert len(mine) == 1


@pytest.mark.parametrize(
    ("make", "arguments", "error"),
    [
        (UploadPolicy, {"auto_upload": 1}, TypeError),
        (DownloadPolicy, {"auto_download": None}, TypeError),
        (DownloadPolicy, {"download_strategy": "DownloadAsync"}, ValueError),
        (DeletePolicy, {"sync_local_file": "no"}, TypeError),
        (ExtractPolicy, {"extract": 0}, TypeError),
        (MappingPolicy, {"path": None}, TypeError),
        (BWList, {"white_lists": [{"path": "/a"}]}, TypeError),
        (BWList, {"white_lists": WhiteList("/a")}, TypeError),
        (SyncPolicy, {"upload_policy": {}}, TypeError),
        (SyncPolicy, {"mapping_policy": "/a"}, TypeError),
        (ContextSync, {"context_id": "c", "path": "/a", "policy": {}}, TypeError),
        (ContextListParams, {"max_results": 0}, ValueError),
        (ContextListParams, {"max_results": "5"}, TypeError),
        (ContextListParams, {"next_token": 5}, TypeError),
        (UploadPolicy, {"upload_mode": "File"}, ValueError),
        (UploadPolicy, {"upload_strategy": "x"}, ValueError),
        (RecyclePolicy, {"lifecycle": None}, ValueError),
        (RecyclePolicy, {"paths": ["a*"]}, ValueError),
        (RecyclePolicy, {"paths": None}, TypeError),
        (WhiteList, {"path": "a[b]"}, ValueError),
        (WhiteList, {"exclude_paths": ["?"]}, ValueError),
        (WhiteList, {"path": None}, TypeError),
        (ExtensionOption, {"context_id": "", "extension_ids": ["x"]}, ValueError),
        (ExtensionOption, {"context_id": "c", "extension_ids": []}, ValueError),
        (BrowserFingerprintContext, {"fingerprint_context_id": " "}, ValueError),
        (CreateSessionParams, {"idle_release_timeout": -1}, ValueError),
        (CreateSessionParams, {"idle_release_timeout": "60"}, TypeError),
    ],
)
def test_bad_parameters(make: Any, arguments: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        make(**arguments)


@pytest.mark.parametrize(
    ("value", "name", "wrong", "error"),
    [
        (UploadPolicy(), "upload_mode", "File", ValueError),
        (UploadPolicy(), "auto_upload", None, TypeError),
        (DownloadPolicy(), "download_strategy", None, ValueError),
        (DeletePolicy(), "sync_local_file", 0, TypeError),
        (ExtractPolicy(), "delete_src_file", 0, TypeError),
        (RecyclePolicy(), "lifecycle", "Lifecycle_1Day", ValueError),
        (RecyclePolicy(), "paths", ["a?"], ValueError),
        (WhiteList(), "path", "*", ValueError),
        (WhiteList(), "exclude_paths", "a", TypeError),
        (BWList(), "white_lists", ["/a"], TypeError),
        (MappingPolicy(), "path", 5, TypeError),
        (SyncPolicy(), "bw_list", [], TypeError),
        (ContextSync("c", "/p"), "policy", UploadPolicy(), TypeError),
        (ContextListParams(), "max_results", -1, ValueError),
    ],
)
def test_assigned_values_are_checked_too(value: Any, name: str, wrong: Any, error: type[Exception]) -> None:
    before = getattr(value, name)
    with pytest.raises(error, match=name):
        setattr(value, name, wrong)
    assert getattr(value, name) == before


def test_json_of_the_default_policy() -> None:
    """As sent with API: POST /mcp/createSession; the order of the keys is kept as well."""
    assert json.dumps(SyncPolicy().to_dict()) == (
        '{"uploadPolicy": {"autoUpload": true, "uploadStrategy": "UploadBeforeResourceRelease", "uploadMode": "File"}, '
        '"downloadPolicy": {"autoDownload": true, "downloadStrategy": "DownloadAsync"}, '
        '"deletePolicy": {"syncLocalFile": true}, '
        '"extractPolicy": {"extract": true, "deleteSrcFile": true, "extractToCurrentFolder": false}, '
        '"recyclePolicy": {"lifecycle": "Lifecycle_Forever", "paths": [""]}, '
        '"bwList": {"whiteLists": []}}'
    )


def test_json_of_all_policies() -> None:
    policy = SyncPolicy(
        UploadPolicy(auto_upload=False, upload_mode=UploadMode.ARCHIVE),
        DownloadPolicy(auto_download=False),
        DeletePolicy(sync_local_file=False),
        ExtractPolicy(extract=False, delete_src_file=False, extract_current_folder=True),
        RecyclePolicy(Lifecycle.LIFECYCLE_1DAY, ["logs"]),
        BWList([WhiteList("/src", ["/node_modules"]), WhiteList("{a}")]),
        MappingPolicy("/home/before"),
    )
    assert policy.to_dict() == {
        "uploadPolicy": {
            "autoUpload": False,
            "uploadStrategy": "UploadBeforeResourceRelease",
            "uploadMode": "Archive",
        },
        "downloadPolicy": {"autoDownload": False, "downloadStrategy": "DownloadAsync"},
        "deletePolicy": {"syncLocalFile": False},
        "extractPolicy": {"extract": False, "deleteSrcFile": False, "extractToCurrentFolder": True},
        "recyclePolicy": {"lifecycle": "Lifecycle_1Day", "paths": ["logs"]},
        "bwList": {
            "whiteLists": [
                {"path": "/src", "excludePaths": ["/node_modules"]},
                {"path": "{a}", "excludePaths": []},
            ]
        },
        "mappingPolicy": {"path": "/home/before"},
    }
    assert list(policy.to_dict())[-1] == "mappingPolicy"
    assert BWList(None).to_dict() == {"whiteLists": []}  # type: ignore[arg-type]
    assert MappingPolicy.default() == MappingPolicy("")
    assert [member.value for member in Lifecycle] == [
        *(f"Lifecycle_{days}Days".replace("_1Days", "_1Day") for days in (1, 3, 5, 10, 15, 30, 90, 180, 360)),
        "Lifecycle_Forever",
    ]


def test_policies_of_a_browser() -> None:
    """As sent with API: POST /mcp/createSession."""
    extensions, fingerprint, profile = (sync.policy for sync in PARAMS.all_context_syncs()[1:])
    assert extensions == SyncPolicy(
        upload_policy=UploadPolicy(auto_upload=False),
        delete_policy=DeletePolicy(sync_local_file=False),
        bw_list=BWList([WhiteList("x.zip")]),
    )
    assert fingerprint == SyncPolicy(upload_policy=UploadPolicy(auto_upload=False))
    white = ["/Local State", "/Default/Cookies", "/Default/Cookies-journal"]
    assert profile == SyncPolicy(bw_list=BWList([WhiteList(path) for path in white]))
    assert BROWSER.extension_context_syncs == [PARAMS.context_syncs[1]]
    assert BROWSER.fingerprint_context_sync == PARAMS.context_syncs[2]
    plain = BrowserContext("b", auto_upload=False)
    assert (plain.extension_ids, plain.extension_context_syncs, plain.extension_context_id) == ([], None, None)
    assert (plain.fingerprint_context_id, plain.fingerprint_context_sync) == (None, None)
    policy = plain.get_profile_context_sync().policy
    assert policy is not None
    assert policy.upload_policy == UploadPolicy(auto_upload=False)


def test_results_of_contexts_are_those_of_0_12() -> None:
    """Their names, order and defaults are kept."""
    context = Context("i", "n", "c", "l")
    context.name = "new"  # as programs rename one
    assert (context.id, context.name, context.created_at, context.last_used_at) == ("i", "new", "c", "l")
    assert Context("i", "n").last_used_at is None
    empty = results.ContextListResult()
    assert (empty.contexts, empty.next_token, empty.max_results, empty.total_count) == ([], None, None, None)
    assert results.ContextResult("R", True, "i", context, "m").error_message == "m"
    assert results.ContextResult().error_message is None
    assert (
        results.ContextFileListResult("R", True, [results.ContextFileEntry("f", "n", "p")], 1).entries[0].size is None
    )
    assert results.FileUrlResult("R", True, "u", 5, "m").expire_time == 5
    cleared = results.ClearContextResult("R", True, "m", "clearing", "i")
    assert (cleared.error_message, cleared.status, cleared.context_id, cleared.data) == ("m", "clearing", "i", None)
    assert isinstance(cleared, results.OperationResult)
    task = results.ContextStatusData("c", "p", "m", "s", 1, 2, "t")
    assert (task.error_message, task.status, task.start_time, task.finish_time, task.task_type) == ("m", "s", 1, 2, "t")
    assert results.ContextInfoResult("R", True, [task], "m").context_status_data == [task]
    assert results.ContextSyncResult("R", True, "m").error_message == "m"
    assert results.Extension("i", "n").created_at is None


def test_policy_can_be_set_later_as_in_0_12() -> None:
    sync = ContextSync.new("c", "/p")
    policy = SyncPolicy()
    assert sync.with_policy(policy) is sync
    assert sync.policy is policy
    policy.bw_list = None
    assert "bwList" not in policy.to_dict()


def test_errors_keep_their_0_12_shape() -> None:
    error = agb.AGBError("m", "more", extra_word=1)
    assert (str(error), error.extra) == ("m", {"extra_word": 1})
    assert str(agb.AGBError()) == "AGBError"
    assert agb.APIError("m", 500).status_code == 500
    for name in (
        "FileError",
        "CommandError",
        "BrowserError",
        "ScreenError",
        "ApplicationError",
        "ClearanceTimeoutError",
    ):
        assert issubclass(getattr(agb, name), agb.AGBError)
        assert str(getattr(agb, name)())


def test_public_names_exist_and_are_documented() -> None:
    for name in agb.__all__:
        value = getattr(agb, name)
        if inspect.isclass(value):
            assert inspect.getdoc(value), name
    assert set(agb.__all__) <= set(dir(agb))
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        agb.Nothing  # noqa: B018
