"""Shell commands, on both routes: output, exit codes, directories, environments, time limits, background work."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from agb import Session


def test_output(routed: Session) -> None:
    result = routed.command.execute("echo größe; echo problem >&2")

    assert result.success, result.error_message
    assert result.exit_code == 0
    assert result.stdout == "größe\n"
    assert result.stderr == "problem\n"
    assert result.output == "größe\nproblem\n"
    assert result.request_id


@pytest.mark.parametrize(
    ("command", "exit_code", "stderr"),
    [
        ("exit 3", 3, ""),
        ("ls /nonexistent", 2, "No such file"),
        ("invalid_command_12345", 127, "not found"),
        ("kill -9 $$", 137, ""),
    ],
)
def test_failure(routed: Session, command: str, exit_code: int, stderr: str) -> None:
    result = routed.command.execute(command)

    assert not result.success
    assert result.exit_code == exit_code
    assert stderr in result.stderr
    assert stderr in result.error_message
    assert result.trace_id
    assert result.request_id


def test_output_before_a_failure_is_kept(routed: Session) -> None:
    result = routed.command.execute("echo done so far; echo why >&2; exit 1")

    assert result.stdout == "done so far\n"
    assert result.stderr == "why\n"
    assert result.output == "done so far\nwhy\n"


def test_working_directory(routed: Session) -> None:
    assert routed.command.execute("mkdir -p '/tmp/with a space'").success

    assert routed.command.execute("pwd", cwd="/tmp/with a space").stdout == "/tmp/with a space\n"
    assert routed.command.execute("pwd").stdout == routed.command.execute("cd /; cd; pwd").stdout
    missing = routed.command.execute("pwd", cwd="/tmp/nowhere")
    assert not missing.success
    assert "/tmp/nowhere" in missing.error_message


def test_environment(routed: Session) -> None:
    values = {"PLAIN": "x", "ODD": "a 'b' \"c\"; $HOME `id` !@#$%^&*()", "LINES": "1\n2", "WIDE": "größe 🙂"}

    result = routed.command.execute('printf "%s|" "$PLAIN" "$ODD" "$LINES" "$WIDE"; test -n "$HOME"', envs=values)

    assert result.success, result.error_message
    assert result.stdout == "|".join(values.values()) + "|"


@pytest.mark.parametrize("envs", [{"A": 1}, {1: "a"}])
def test_environment_that_0_12_refuses(routed: Session, envs: Any) -> None:
    with pytest.raises(ValueError, match="environment"):
        routed.command.execute("true", envs=envs)


def test_every_call_is_a_new_shell(routed: Session) -> None:
    assert routed.command.execute("cd /tmp; export GONE=1; echo kept > shell.txt").success

    assert routed.command.execute('echo "$GONE"; cat shell.txt', cwd="/tmp").stdout == "\nkept\n"


def test_shell_language(routed: Session) -> None:
    result = routed.command.execute(
        'names=(one two)\nfor name in "${names[@]}"; do echo $name; done | tr a-z A-Z\ncat <<END\nhere $((6*7))\nEND'
    )

    assert result.stdout == "ONE\nTWO\nhere 42\n"


def test_time_limit(routed: Session) -> None:
    begun = time.monotonic()

    result = routed.command.execute("echo begun; sleep 30", timeout_ms=300)

    assert time.monotonic() - begun < 10
    assert not result.success
    assert "timeout" in result.error_message.lower() or "timed out" in result.error_message.lower()
    assert "begun" in result.stdout


def test_time_limit_ends_the_whole_command(routed: Session) -> None:
    assert not routed.command.execute("sleep 31.5 | cat & sleep 31.5", timeout_ms=200).success

    left = routed.command.execute("grep -lz '^31.5$' /proc/[0-9]*/cmdline 2> /dev/null")

    assert left.stdout == ""


def test_time_limit_has_a_default(routed: Session) -> None:
    result = routed.call_mcp_tool("shell", {"command": "echo ok"})

    assert result.success, result.error_message
    assert result.data is not None
    assert json.loads(result.data)["stdout"] == "ok\n"
    late = routed.call_mcp_tool("shell", {"command": "sleep 30"})
    assert not late.success


def test_background_work_outlives_its_call(routed: Session) -> None:
    begun = time.monotonic()
    started = routed.command.execute(
        "rm -f /tmp/go /tmp/went; mkfifo /tmp/go; nohup sh -c 'cat /tmp/go; echo went > /tmp/went' > /tmp/log 2>&1 &",
        timeout_ms=20000,
    )
    assert started.success, started.error_message
    assert time.monotonic() - begun < 10

    finished = routed.command.execute(
        "echo go > /tmp/go; until test -s /tmp/went; do sleep 0.02; done; cat /tmp/went", timeout_ms=20000
    )

    assert finished.stdout == "went\n"


def test_long_output(routed: Session) -> None:
    result = routed.command.execute("seq 200000", timeout_ms=20000)

    assert result.success, result.error_message
    assert result.stdout == "".join(f"{number}\n" for number in range(1, 200001))


def test_output_that_is_not_text(routed: Session) -> None:
    result = routed.command.execute(r"printf 'a\377b\0c'")

    assert result.success, result.error_message
    assert result.stdout.startswith("a")
    assert result.stdout.endswith("c")


def test_output_that_looks_like_a_reply(routed: Session) -> None:
    text = '{"stdout": "x", "exit_code": 7}'

    result = routed.command.execute(f"echo -n '{text}'")

    assert result.success
    assert result.stdout == text


def test_no_input_is_waited_for(routed: Session) -> None:
    result = routed.command.execute("cat; echo end", timeout_ms=5000)

    assert result.success, result.error_message
    assert result.stdout == "end\n"
