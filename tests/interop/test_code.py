"""Running code, on both routes: state, results, displays, errors, time limits."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from .harness import Sessions

if TYPE_CHECKING:
    from agb import Session


def test_value_of_the_last_expression(routed: Session) -> None:
    result = routed.code.run("6 * 7", "python")

    assert result.success, result.error_message
    assert result.request_id
    assert [(item.text, item.is_main_result) for item in result.results] == [("42", True)]
    assert result.result == "42"
    assert result.error is None
    assert result.execution_time >= 0


def test_state_is_kept_between_calls_and_routes(session: Session, api_session: Session) -> None:
    assert session.code.run("shared = [1]", "python").success
    assert api_session.code.run("shared.append(2)", "python").success

    assert session.code.run("shared", "python").result == "[1, 2]"


def test_execution_count_grows(routed: Session) -> None:
    first, second = (routed.code.run("pass", "python").execution_count for _ in range(2))

    assert first is not None
    assert second == first + 1


def test_output_streams_are_apart(routed: Session) -> None:
    result = routed.code.run("import sys\nprint('out: größe')\nprint('err', file=sys.stderr)", "python")

    assert result.success, result.error_message
    assert "".join(result.logs.stdout) == "out: größe\n"
    assert "".join(result.logs.stderr) == "err\n"
    assert result.results == []


def test_empty_code_is_a_failure(routed: Session) -> None:
    result = routed.code.run("", "python")

    assert not result.success
    assert "the code is empty" in result.error_message


@pytest.mark.parametrize("code", ["\n", "# only a comment", "x = 1"])
def test_code_without_a_value(routed: Session, code: str) -> None:
    result = routed.code.run(code, "python")

    assert result.success, result.error_message
    assert result.results == []
    assert result.logs.stdout == []


def test_displays_come_before_the_value(routed: Session) -> None:
    result = routed.code.run(
        "from IPython.display import HTML, Markdown, SVG, Latex, JSON, display\n"
        "display(HTML('<b>bold</b>'))\n"
        "display(Markdown('# title'))\n"
        "display(SVG('<svg xmlns=\"http://www.w3.org/2000/svg\"/>'))\n"
        "display(Latex('$x$'))\n"
        "display(JSON({'a': [1]}))\n"
        "'value'",
        "python",
    )

    assert result.success, result.error_message
    html, markdown, svg, latex, json_item, value = result.results
    assert html.html == "<b>bold</b>"
    assert markdown.markdown == "# title"
    assert svg.svg is not None
    assert "<svg" in svg.svg
    assert latex.latex == "$x$"
    assert json_item.json == {"a": [1]}
    assert value.text == "'value'"
    assert [item.is_main_result for item in result.results] == [False] * 5 + [True]


def test_object_with_a_mime_bundle(routed: Session) -> None:
    result = routed.code.run(
        "class Chart:\n"
        "    def _repr_mimebundle_(self, **kwargs):\n"
        "        return {'application/vnd.vegalite.v5+json': {'mark': 'bar'}, 'text/plain': 'chart'}\n"
        "Chart()",
        "python",
    )

    assert result.success, result.error_message
    assert result.results[0].chart == {"mark": "bar"}
    assert result.results[0].text == "chart"


def test_picture(routed: Session) -> None:
    pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

    result = routed.code.run(f"import base64, IPython.display as d; d.Image(base64.b64decode('{pixel}'))", "python")

    assert result.success, result.error_message
    assert result.results[0].png is not None
    assert result.results[0].png.replace("\n", "") == pixel


@pytest.mark.parametrize(
    ("code", "word"),
    [("1 / 0", "ZeroDivisionError"), ("undefined_name", "NameError"), ("def", "SyntaxError"), ("exit(3)", "")],
)
def test_errors_leave_the_kernel_usable(routed: Session, code: str, word: str) -> None:
    assert routed.code.run("before = 'still here'", "python").success

    result = routed.code.run(f"print('printed')\n{code}" if code != "def" else code, "python")

    if word:
        assert not result.success
        assert word in result.error_message
        assert result.error is not None
        assert word in f"{result.error.name}: {result.error.value}"
        assert code == "def" or "printed\n" in "".join(result.logs.stdout)
        assert routed.code.run("before", "python").result == "'still here'"
    assert routed.code.run("1 + 1", "python").result == "2"


def test_time_limit(routed: Session) -> None:
    assert routed.code.run("before = 'still here'", "python").success

    result = routed.code.run("import time\nprint('begun', flush=True)\nwhile True: time.sleep(0.01)", "python", 1)

    assert not result.success
    assert "timeout" in result.error_message.lower() or "timed out" in result.error_message.lower()
    assert "begun" in "".join(result.logs.stdout)
    assert routed.code.run("before", "python").result == "'still here'"


def test_long_output(routed: Session) -> None:
    result = routed.code.run("for i in range(20000): print(f'line {i:06d}')", "python")

    assert result.success, result.error_message
    lines = "".join(result.logs.stdout).splitlines()
    assert len(lines) == 20000
    assert lines[-1] == "line 019999"


def test_code_and_commands_share_files_and_directory(routed: Session) -> None:
    assert routed.code.run("open('from code.txt', 'w').write('größe')", "python").success
    assert routed.command.execute("cat 'from code.txt'").stdout == "größe"
    assert routed.command.execute("echo -n by shell > /tmp/from-shell.txt").success

    assert routed.code.run("open('/tmp/from-shell.txt').read()", "python").result == "'by shell'"


def test_javascript(routed: Session) -> None:
    assert routed.code.run("const base = 40; let half = 21;", "javascript").success

    result = routed.code.run("console.log('logged ü'); console.error('warned'); half * 2", "node")

    assert result.success, result.error_message
    assert result.result == "42"
    assert "".join(result.logs.stdout) == "logged ü\n"
    assert "".join(result.logs.stderr) == "warned\n"
    assert routed.code.run("base + 2", "js").result == "42"


def test_javascript_promises_and_modules(routed: Session) -> None:
    result = routed.code.run(
        "const fs = require('fs'); fs.writeFileSync('from node.txt', 'node was here'); await Promise.resolve(7)",
        "javascript",
    )

    assert result.success, result.error_message
    assert result.result == "7"
    assert routed.command.execute("cat 'from node.txt'").stdout == "node was here"


def test_javascript_error(routed: Session) -> None:
    assert routed.code.run("var kept = 'kept'", "javascript").success

    result = routed.code.run("throw new TypeError('wrong type')", "javascript")

    assert not result.success
    assert "TypeError" in result.error_message
    assert "wrong type" in result.error_message
    assert "kept" in routed.code.run("kept", "javascript").result


def test_javascript_time_limit(routed: Session) -> None:
    result = routed.code.run("while (true) {}", "javascript", timeout_s=1)

    assert not result.success
    assert "timeout" in result.error_message.lower() or "timed out" in result.error_message.lower()
    assert routed.code.run("1 + 1", "javascript").result == "2"


def test_language_that_0_12_does_not_know(routed: Session) -> None:
    ruby: Any = "ruby"
    result = routed.code.run("puts 1", ruby)

    assert not result.success
    assert "Unsupported language: ruby" in result.error_message


def test_language_that_the_runtime_does_not_know(routed: Session) -> None:
    result = routed.call_mcp_tool("run_code", {"code": "puts 1", "language": "ruby"})

    assert not result.success
    assert "ruby" in result.error_message


def test_time_limit_has_a_default(routed: Session) -> None:
    result = routed.call_mcp_tool("run_code", {"code": "1 + 1", "language": "python"})

    assert result.success, result.error_message
    assert result.data is not None
    reply = json.loads(result.data)
    assert reply["result"] == [{"text/plain": "2", "isMainResult": True}]
    assert reply["executionError"] is None


def test_streaming_is_refused_with_a_reason(sessions: Sessions) -> None:
    """Streams come with a WebSocket address; a session that has none says so instead of hanging."""
    session = sessions.create()
    if session.ws_url:
        pytest.skip("this runtime offers streams")

    result = session.code.run("1", "python", stream_beta=True)

    assert not result.success
    assert "ws_url" in result.error_message or "stream" in result.error_message
