"""Processes: how the tool `shell` starts a program, observes it, feeds it and ends it.

A process is a directory of the session, ``${TMPDIR:-/tmp}/agb-processes/<process id>``, mode 700. A supervisor, a shell
in a session of its own (setsid), runs the program in another session, so that signals for the program's process group
do not reach the supervisor, and writes the exit code when the program has ended. In the directory:

=============  ======================================================================================================
`pid`          the program's process id, which is its process group too
`supervisor`   the supervisor's process id
`stdout`,      the output of the program
`stderr`
`stdin`        a fifo, if the program has an input; `holder` is the process that keeps it open, `closed` exists when it
               was closed
`expired`      exists if the program was ended by its time limit
`exit`         the exit code; renamed into place, so that it is complete when it exists
=============  ======================================================================================================

The state follows from two facts alone. While `exit` is missing and the supervisor lives, the process runs. When `exit`
exists, it has ended. When neither is true, the supervisor was killed, and the exit code is lost. `exit` is written
after the program has ended, so an observation that finds it finds all output of the program.

The scripts are constant and for any POSIX shell. Data (arguments, environment, input) travels in base64 as a variable
of the call's environment: no shell interprets it, and other users of the session's machine cannot see it.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from shlex import join, quote
from typing import TypeVar

from attrs import evolve, frozen

from ..._wire.toolcall import ToolCall
from ...exceptions import AGBError, CommandError, ErrorKind, Sent
from ...results.commands import CommandResult, ProcessInfo
from .program import MARK, check_text, run_script
from .shell import shell

T = TypeVar("T")

CHUNK = 256 * 1024
"""Bytes of each output that one observation returns at most."""
PIECE = 48 * 1024
"""Bytes of input that one call carries: less than a pipe holds, and in base64 less than a variable may have."""
SCRIPT_LIMIT = 30.0
"""Seconds that a script may take to start a program, to send a signal, or to clean up."""

# A process that has made a session of its own is not in the group; it is found by the variable that all of them
# inherit. They are looked for until there are none, since one of them may start another meanwhile, and a limited number
# of times, since what cannot be killed would be found for ever. A zombie has no environment.
_KILL_TREE = f"""\
kill_tree() {{
  read -r p <"$1/pid" && kill -s KILL -- "-$p" 2>/dev/null
  n=0; while [ $n -lt 50 ]; do
    found=$(grep -slzxF "{MARK}=${{1##*/}}" /proc/[0-9]*/environ); [ -n "$found" ] || break
    for f in $found; do f=${{f%/environ}}; kill -s KILL "${{f#/proc/}}" 2>/dev/null; done; n=$((n + 1))
  done
}}
"""

# --- starting -------------------------------------------------------------------------------------------------------

# A program in the background of a shell that is not interactive ignores SIGINT for ever; so the supervisor is started
# by `setsid -f` where that is known, and the program runs in its foreground. The parentheses keep the message of the
# supervisor's shell about a program that was killed out of the program's own output. The watchdog is killed by its own
# id first: if the program is over before `setsid` has run, there is no group yet.
_SUPERVISE = """\
d=$1 shell=$2 mask=$3 limit=$4 piped=$5 kill_tree=$6
echo $$ >"$d/supervisor"
if [ -n "$limit" ]; then
  setsid sh -c '
    sleep "$2"; : >"$1/expired"; read -r p <"$1/pid"; kill -s TERM -- "-$p"; sleep 5; eval "$3"; kill_tree "$1"
  ' sh "$d" "$limit" "$kill_tree" &
  watchdog=$!
fi
input=/dev/null
if [ -n "$piped" ]; then
  input=$d/stdin
  sleep 2147483647 >"$input" &
  holder=$!
  echo "$holder" >"$d/holder"
fi
(exec setsid sh "$d/run" "$d" "$shell" "$mask") <"$input" >"$d/stdout" 2>"$d/stderr"
code=$?
read -r p <"$d/pid"
[ -z "$limit" ] || kill -s KILL -- "$watchdog" "-$watchdog"
[ ! -e "$d/expired" ] || { eval "$kill_tree"; kill_tree "$d"; }
[ -z "$piped" ] || [ -d "$d/closed" ] || kill "$holder"
echo "$code" >"$d/exit.new" && mv "$d/exit.new" "$d/exit"
[ -z "$piped" ] || : <>"$d/stdin"
"""

_BASE = (
    "case ${TMPDIR:-} in /*) ;; *) TMPDIR=/tmp ;; esac; base=$TMPDIR/agb-processes; umask_before=$(umask); umask 077\n"
)

_START = (
    _BASE
    + f"""\
kill_tree={quote(_KILL_TREE)}
fail() {{ [ -z "$d" ] || rm -rf -- "$d"; echo "the process could not be started: $1" >&2; exit 71; }}
run=${{AGB_RUN:-}} file=${{AGB_FILE:-}}; unset AGB_RUN AGB_FILE; d=
command -v setsid >/dev/null && command -v base64 >/dev/null || fail "the session has no setsid or no base64"
mkdir -p -- "$base" && [ -O "$base" ] && d=$(mktemp -d "$base/XXXXXXXXXXXX") || {{ d=; fail "no directory in $base"; }}
if [ -n "$file" ]; then mv -- "$file" "$d/run" || fail "no script"
else printf %s "$run" | base64 -d >"$d/run" || fail "no space left"; fi
mkfifo "$d/ready" && : >"$d/stdout" && : >"$d/stderr" || fail "no space left"
unset run; [ -z "$piped" ] || mkfifo "$d/stdin" || fail "no fifo"
shell=$(command -v bash || command -v sh)
supervise={quote(_SUPERVISE)}
set -- sh -c "$supervise" agb-process "$d" "$shell" "$umask_before" "$limit" "$piped" "$kill_tree"
if setsid -f true 2>/dev/null; then setsid -f "$@" </dev/null >/dev/null 2>&1
else setsid "$@" </dev/null >/dev/null 2>&1 & fi
read -r pid <"$d/ready" || fail "its supervisor ended"
rm -f -- "$d/ready"
echo "agb-process ${{d##*/}} $pid"
"""
)


@frozen
class Started:
    """A process that runs: its id for `attach`, and its process id in the session's operating system."""

    process_id: str
    pid: int


def check_start(cwd: str | None, stdin: bool) -> None:
    """Raise ``TypeError`` or ``ValueError`` unless a process can be started so."""
    if not isinstance(stdin, bool):
        raise TypeError(f"stdin must be True or False, not {stdin!r}; the input of the program goes to write()")
    if cwd is not None:
        check_text(cwd, "cwd")


def start(
    command: str | Sequence[str],
    *,
    cwd: str | None = None,
    envs: Mapping[str, str] | None = None,
    stdin: bool = False,
    timeout: float | None = None,
    file: str = "",
    session_id: str,
) -> ToolCall[Started]:
    """Return the call that starts a program; wrong arguments raise ``ValueError`` or ``TypeError``.

    ``file`` is a file of the session with the result of `run_script`, which is moved away; it is needed if that has
    more than `LONGEST` bytes.
    """
    check_start(cwd, stdin)
    data = {"AGB_FILE": file} if file else {"AGB_RUN": b64encode(run_script(command, envs).encode()).decode("ascii")}
    script = f"limit={'' if timeout is None else f'{timeout:.3f}'} piped={'1' if stdin else ''}\n{_START}"
    words = command if isinstance(command, str) else join(command)
    return _call(script, SCRIPT_LIMIT, session_id, _started, f"start: {words}", cwd=cwd, envs=data)


def _started(text: str) -> Started:
    match = re.search(r"^agb-process ([A-Za-z0-9]+) ([0-9]+)$", text, re.MULTILINE)
    if match is None:
        raise ValueError(text)
    return Started(match[1], int(match[2]))


# --- observing ---------------------------------------------------------------------------------------------------


def check_process_id(process_id: str) -> None:
    """Raise ``TypeError`` or ``ValueError`` unless this can be the id of a process, which is then safe in a path."""
    if not isinstance(process_id, str):
        raise TypeError(f"a process id must be a string, not {type(process_id).__name__}")
    if not re.fullmatch(r"[A-Za-z0-9]{6,64}", process_id):
        raise ValueError(f"{process_id!r} is no process id, such as the attribute process_id of a process")


_GONE = "agb-process gone"


def _in_directory(process_id: str) -> str:
    check_process_id(process_id)
    return f'{_BASE}cd -- "$base/{process_id}" 2>/dev/null || {{ echo {_GONE}; exit 0; }}\n'


@frozen
class ProcessState:
    """The state of a process, and its output since; ``exit_code`` is None while it runs, and if it is lost."""

    pid: int
    is_running: bool
    exit_code: int | None
    has_expired: bool
    stdout: bytes
    stderr: bytes
    is_complete: bool
    """Whether there is no more output now than this observation and those before it returned."""


# The state is read before the sizes: of a process that has ended, no output is missed. `exit` is looked for once more
# after the supervisor was found dead, since it may have written `exit` and ended between the two checks.
_OBSERVE = """\
waited=0; ms=10
while :; do
  state=running code=-
  if [ -f exit ]; then state=ended; read -r code <exit
  elif read -r s <supervisor && ! kill -0 "$s" 2>/dev/null && [ ! -f exit ]; then state=lost
  elif [ -f exit ]; then continue; fi
  set -- $(stat -c %s stdout stderr)
  [ $state = running ] || break
  [ $outputs = no ] || [ "$1" -le $out -a "$2" -le $err ] || break
  [ $waited -lt $wait ] || break
  case $ms in 10) sleep 0.01 ;; 20) sleep 0.02 ;; 40) sleep 0.04 ;; *) sleep 0.08 ;; esac
  waited=$((waited + ms)); [ $ms -ge 80 ] || ms=$((ms * 2))
done
expired=no; [ ! -e expired ] || expired=yes
read -r pid <pid
echo "agb-process $state $code $expired $1 $2 $pid"
[ $chunk = 0 -o "$1" -le $out ] || tail -c +$((out + 1)) stdout | head -c $chunk | base64 | tr -d '\\n'
echo
[ $chunk = 0 -o "$2" -le $err ] || tail -c +$((err + 1)) stderr | head -c $chunk | base64 | tr -d '\\n'
echo
"""


def observe(
    process_id: str,
    stdout: int = 0,
    stderr: int = 0,
    *,
    wait: float = 0.0,
    for_output: bool = True,
    chunk: int = CHUNK,
    session_id: str,
) -> ToolCall[ProcessState]:
    """Return the call that observes a process; it may be repeated.

    Args:
        process_id: the process.
        stdout: the byte of its output to read from; ``stderr`` likewise.
        wait: seconds to wait in the session for the process's end or, if ``for_output``, for output.
        for_output: whether the wait ends when there is output.
        chunk: bytes of each output at most; 0 for none.
        session_id: the session.
    """
    settings = (
        f"out={stdout} err={stderr} wait={int(wait * 1000)} outputs={'yes' if for_output else 'no'} chunk={chunk}\n"
    )
    script = settings + _in_directory(process_id) + _OBSERVE

    def read(text: str) -> ProcessState:
        return _state(text, stdout, stderr, chunk)

    call = _call(script, wait + SCRIPT_LIMIT, session_id, read, f"read the output of process {process_id}")
    return evolve(call, seconds=wait, repeatable=True)


def _state(text: str, stdout: int, stderr: int, chunk: int) -> ProcessState:
    head, *bodies = text.split("\n")
    match = re.fullmatch(r"agb-process (running|ended|lost) (-|[0-9]+) (yes|no) ([0-9]+) ([0-9]+) ([0-9]+)", head)
    if match is None or len(bodies) < 2:
        raise ValueError(text)
    out, err = (b64decode(body, validate=True) for body in bodies[:2])
    return ProcessState(
        pid=int(match[6]),
        is_running=match[1] == "running",
        exit_code=int(match[2]) if match[2] != "-" else None,
        has_expired=match[3] == "yes",
        stdout=out,
        stderr=err,
        is_complete=chunk == 0 or (stdout + len(out) >= int(match[4]) and stderr + len(err) >= int(match[5])),
    )


# --- listing --------------------------------------------------------------------------------------------------------

# The command of a program that runs is what the operating system says about it; its arguments end with a zero each.
# Until the script of `run_script` has become the program, that is the script or `env`, whose arguments show the values
# of variables: neither is the command, so it is looked at again.
_LIST = """\
echo agb-process list
cd -- "$base" 2>/dev/null || exit 0
[ -O . ] || exit 0
for d in *; do
  [ -f "$d/pid" ] && read -r pid <"$d/pid" || continue
  state=running code=-
  if [ -f "$d/exit" ]; then state=ended; read -r code <"$d/exit"
  elif read -r s <"$d/supervisor" && ! kill -0 "$s" 2>/dev/null && [ ! -f "$d/exit" ]; then state=lost
  elif [ -f "$d/exit" ]; then state=ended; read -r code <"$d/exit"; fi
  command= n=0
  while [ $state = running ] && [ $n -lt 250 ]; do
    command=$(tr '\\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | head -c 300)
    case "$command " in
      "sh $base/$d/run "*|"env -- @MARK@=$d "*) command=; n=$((n + 1)); sleep 0.02 ;;
      *) break ;;
    esac
  done
  [ -z "$command" ] || command=$(printf %s "$command" | base64 | tr -d '\\n')
  echo "$d $pid $state $code $command"
done
""".replace("@MARK@", MARK)


def list_processes(*, session_id: str) -> ToolCall[list[ProcessInfo]]:
    """Return the call that lists the processes that were started and not cleaned up, the oldest ids in no order."""
    call = _call(_BASE + _LIST, SCRIPT_LIMIT, session_id, _listed, "list the processes")
    return evolve(call, repeatable=True)


def _listed(text: str) -> list[ProcessInfo]:
    head, *lines = text.splitlines()
    if head != "agb-process list":
        raise ValueError(text)
    found = []
    for line in lines:
        match = re.fullmatch(r"([A-Za-z0-9]{6,64}) ([0-9]+) (running|ended|lost) (-|[0-9]+) ([A-Za-z0-9+/=]*)", line)
        if match is None:
            raise ValueError(text)
        command = b64decode(match[5], validate=True).decode("utf-8", "replace").strip()
        code = None if match[4] == "-" else int(match[4])
        found.append(ProcessInfo(match[1], int(match[2]), match[3] == "running", code, command))
    return found


# --- input, signals, end -----------------------------------------------------------------------------------------

# Opening a fifo waits for a reader, and there may never be one again; dd can check without waiting.
_WRITE = """\
[ -p stdin ] || { echo agb-process no-input; exit 0; }
[ ! -f exit ] || { echo agb-process ended; exit 0; }
[ ! -d closed ] || { echo agb-process closed; exit 0; }
case $(LC_ALL=C dd if=/dev/null of=stdin oflag=nonblock conv=notrunc 2>&1) in
  *'No such device'*) echo agb-process not-read; exit 0 ;;
esac
data=$AGB_DATA; unset AGB_DATA
printf %s "$data" | base64 -d >stdin || { echo agb-process not-read; exit 0; }
echo agb-process done
"""

_CLOSE = """\
[ -p stdin ] || { echo agb-process no-input; exit 0; }
[ ! -f exit ] || { echo agb-process ended; exit 0; }
mkdir closed 2>/dev/null || { echo agb-process done; exit 0; }
read -r holder <holder && kill "$holder"
echo agb-process done
"""


def write(process_id: str, piece: bytes, *, wait: float, session_id: str) -> ToolCall[str]:
    """Return the call that writes at most `PIECE` bytes to a process; it returns ``done``, or why it was not done."""
    script = _in_directory(process_id) + _WRITE
    envs = {"AGB_DATA": b64encode(piece).decode("ascii")}
    return _call(script, wait, session_id, _status, f"write to process {process_id}", envs=envs)


def close_stdin(process_id: str, *, session_id: str) -> ToolCall[str]:
    """Return the call that closes the input: a process that has read everything reads the end."""
    script = _in_directory(process_id) + _CLOSE
    call = _call(script, SCRIPT_LIMIT, session_id, _status, f"close the input of process {process_id}")
    return evolve(call, repeatable=True)


def signal_name(signal: int | str) -> str:
    """Return a signal as `kill` takes it."""
    if isinstance(signal, bool) or not isinstance(signal, (int, str)):
        raise TypeError(f"a signal must be a name such as 'TERM' or a number, not {signal!r}")
    if isinstance(signal, int):
        if not 1 <= signal <= 64:
            raise ValueError(f"a signal must be a number from 1 to 64, not {int(signal)}")
        return str(int(signal))
    name = signal.upper().removeprefix("SIG")
    if not re.fullmatch(r"[A-Z][A-Z0-9]*([+-][0-9]+)?", name):
        raise ValueError(f"{signal!r} is not the name of a signal, such as 'TERM' or 'SIGTERM'")
    return name


def send_signal(process_id: str, signal: int | str, *, session_id: str) -> ToolCall[str]:
    """Return the call that sends a signal to a process and all processes of its group."""
    name = signal_name(signal)
    send = f'read -r p <pid; kill -s {quote(name)} -- "-$p" && echo agb-process done'
    if name in ("KILL", "9"):
        send = f'{_KILL_TREE}kill_tree "$PWD"; echo agb-process done'
    script = f"[ ! -f exit ] || {{ echo agb-process ended; exit 0; }}\n{send}\n"
    shown = f"send {signal} to process {process_id}"
    return _call(_in_directory(process_id) + script, SCRIPT_LIMIT, session_id, _status, shown)


# SIGKILL takes effect later than `kill` returns. The supervisor writes `exit` when the program was reaped, but the
# group may hold more processes than the program, and there may be no supervisor any more. So the script also waits
# until `kill -s 0` finds no process of the group, and then no supervisor, which still opens its end of the fifo when
# `exit` is written, and would make the file anew; for a second only, since in a session whose first process reaps no
# orphans a dead process would be found for ever.
_CLEAN = (
    _KILL_TREE
    + """\
if [ ! -f exit ]; then
  kill_tree "$PWD"; read -r p <pid
  n=0; while [ ! -f exit ] && [ $n -lt 250 ] && read -r s <supervisor && kill -0 "$s" 2>/dev/null; do
    n=$((n + 1)); sleep 0.02
  done
  n=0; while [ $n -lt 50 ] && kill -s 0 -- "-$p" 2>/dev/null; do n=$((n + 1)); sleep 0.02; done
fi
n=0; while [ $n -lt 50 ] && read -r s <supervisor && kill -0 "$s" 2>/dev/null; do n=$((n + 1)); sleep 0.02; done
d=$PWD; cd / && rm -rf -- "$d" && echo agb-process done
"""
)


def clean_up(process_id: str, *, session_id: str) -> ToolCall[str]:
    """Return the call that ends a process and its group if it still runs, and removes its directory."""
    script = _in_directory(process_id) + _CLEAN
    return evolve(_call(script, SCRIPT_LIMIT, session_id, _status, f"end process {process_id}"), repeatable=True)


def _status(text: str) -> str:
    match = re.search(r"^agb-process ([a-z-]+)$", text, re.MULTILINE)
    if match is None:
        raise ValueError(text)
    return match[1]


# --- the call ----------------------------------------------------------------------------------------------------


def _call(
    script: str,
    seconds: float,
    session_id: str,
    parse: Callable[[str], T],
    shown: str,
    *,
    cwd: str | None = None,
    envs: dict[str, str] | None = None,
) -> ToolCall[T]:
    """Return the call of `shell` for one of these scripts; its reader returns ``parse`` of the output, or raises."""
    call = shell(script, max(1, int(seconds * 1000)), cwd, envs, session_id=session_id, shown=shown)

    def read(result: CommandResult) -> T:
        if result.stdout.startswith(_GONE):
            raise _error(
                "there is no such process in this session: it was cleaned up, or belongs to another session",
                result,
                session_id,
                ErrorKind.NOT_FOUND,
            )
        if result.error is not None:
            raise _script_error(result, seconds, session_id) from result.error
        try:
            return parse(result.stdout)
        except ValueError as error:
            message = f"the output is not what the script prints in a POSIX shell: {result.output[:200]!r}"
            raise _error(message, result, session_id, ErrorKind.INVALID_ANSWER) from error

    return evolve(call, read=lambda reply: read(call.read(reply)), seconds=seconds)  # type: ignore[arg-type, return-value]


def _script_error(result: CommandResult, seconds: float, session_id: str) -> AGBError:
    """Return the error of a script that failed, in the words of the script where they are known."""
    assert result.error is not None  # the result is a failure
    if result.error.kind is ErrorKind.TIMED_OUT and result.error.sent is Sent.YES:
        message = f"the session did not do what a process needs within {seconds:g} s"
        return _error(message, result, session_id, ErrorKind.TIMED_OUT)
    if result.error.kind is ErrorKind.PROGRAM_FAILED:
        message = result.stderr.strip() or f"the script of a process ended with exit code {result.exit_code}"
        return _error(message, result, session_id, ErrorKind.REFUSED)
    return result.error


def _error(message: str, result: CommandResult, session_id: str, kind: ErrorKind) -> CommandError:
    return CommandError(message, kind=kind, request_id=result.request_id, session_id=session_id, sent=Sent.YES)
