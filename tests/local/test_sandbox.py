"""The sandbox: what a session cannot see, change, outlive or use up. Escapes are attempted, not simulated."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from agb.local.errors import IsolationUnavailable, Refused
from agb.local.sandbox.pasta import Pasta
from agb.local.sessions.runtime import Runtime
from agb.local.sessions.session import LocalSession

from .runtimes import IMAGE, call, needs_bubblewrap, output, run, sandboxed, shell, wait_for_end

pytestmark = pytest.mark.asyncio

IS_ROOT = os.getuid() == 0


@pytest_asyncio.fixture
async def strict() -> AsyncIterator[Runtime]:
    async with sandboxed() as runtime:
        yield runtime


@pytest_asyncio.fixture
async def cell(strict: Runtime) -> LocalSession:
    return await strict.create(IMAGE)


@needs_bubblewrap
class TestSight:
    async def test_nothing_of_the_host_but_its_programs(
        self, strict: Runtime, cell: LocalSession, tmp_path: Path
    ) -> None:
        (tmp_path / "secret").write_text("secret")
        assert (await shell(strict, cell, f"cat {tmp_path}/secret"))["exit_code"] == 1
        assert await output(strict, cell, "ls /home") == "user"
        assert await output(strict, cell, "ls -A ~") == ""
        assert (await shell(strict, cell, "cat /etc/shadow"))["exit_code"] == 1
        assert await output(strict, cell, "cut -d: -f1 /etc/passwd") == "root\nuser"
        assert await output(strict, cell, "hostname") == "agb"

    async def test_home_of_the_runtimes_user_is_not_visible(self, strict: Runtime, cell: LocalSession) -> None:
        assert (await shell(strict, cell, f"ls -A {Path.home()}"))["stdout"] == ""

    async def test_interpreter_is_not_at_its_place_on_the_machine(self, strict: Runtime, cell: LocalSession) -> None:
        shown = [path for path in {sys.prefix, sys.base_prefix, sys.executable} if not path.startswith("/usr")]
        for path in shown:
            assert (await shell(strict, cell, f"test -e {path}"))["exit_code"] == 1, path
        # A search of what a session has of its own finds nothing of the machine's.
        assert await output(strict, cell, "find /tmp /var/tmp /home | sort") == "/home\n/home/user\n/tmp\n/var/tmp"
        prefixes = "import sys; print(sys.prefix, sys.executable, sys.base_prefix)"
        [said] = (await run(strict, cell, prefixes))["stdout"]
        assert said == f"{await output(strict, cell, f'python3 -c {prefixes!r}')}\n"
        prefix, executable, base = said.split()
        assert (prefix, executable) == ("/run/agb/python", "/run/agb/python/bin/python3")
        assert base == "/usr" or base.startswith(("/usr/", "/run/agb/"))

    async def test_ignored_signals_are_not_inherited(self) -> None:
        """As under ``nohup``, which ignores the hang-up signal."""
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        try:
            async with sandboxed() as runtime:
                session = await runtime.create(IMAGE)
                ignored = await output(runtime, session, "awk '/SigIgn/ {print $2}' /proc/self/status")
        finally:
            signal.signal(signal.SIGHUP, before)
        assert int(ignored, 16) & 1 << signal.SIGHUP - 1 == 0

    async def test_environment_does_not_leak(
        self, strict: Runtime, cell: LocalSession, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AGB_TEST_SECRET", "do-not-leak")
        other = await strict.create(IMAGE)
        for session in (cell, other):
            assert "do-not-leak" not in await output(strict, session, "env; cat /proc/*/environ 2>/dev/null; true")
            names = (await output(strict, session, "env | cut -d= -f1 | sort")).split()
            assert set(names) <= {
                "AGB_COMMAND_ID",
                "HOME", "LANG", "LOGNAME", "PATH", "PWD", "OLDPWD", "SHELL", "SHLVL", "TERM", "TMPDIR", "USER", "_"
            }  # fmt: skip

    async def test_sessions_do_not_see_each_other(self, strict: Runtime, cell: LocalSession) -> None:
        other = await strict.create(IMAGE)
        await output(
            strict, cell, "echo mine | tee ~/secret > /tmp/secret; chmod 777 ~ ~/secret /tmp/secret; sleep 99 &"
        )
        assert (await shell(strict, other, "cat ~/secret /tmp/secret"))["exit_code"] == 1
        for directory in (cell.sandbox.directories.home, cell.sandbox.directories.tmp):
            assert (await shell(strict, other, f"ls {directory}"))["exit_code"] == 2
        assert "sleep" not in await output(strict, other, "cat /proc/*/comm")

    async def test_processes_of_the_host_are_not_there(self, strict: Runtime, cell: LocalSession) -> None:
        numbers = await output(strict, cell, "ls /proc | grep -E '^[0-9]+$'")
        assert max(map(int, numbers.split())) < 50
        assert (await shell(strict, cell, f"kill -0 {os.getpid()}"))["exit_code"] == 1

    async def test_agent_cannot_be_looked_into(self, strict: Runtime, cell: LocalSession) -> None:
        assert (await shell(strict, cell, "ls /proc/1/fd"))["exit_code"] != 0
        assert (await shell(strict, cell, "head -c 1 /proc/1/mem"))["exit_code"] != 0
        assert (await shell(strict, cell, "cat /proc/1/environ"))["exit_code"] != 0


@needs_bubblewrap
class TestRights:
    async def test_no_privileges(self, strict: Runtime, cell: LocalSession) -> None:
        status = await output(strict, cell, "cat /proc/self/status")
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert int(fields["CapEff"], 16) == int(fields["CapPrm"], 16) == int(fields["CapInh"], 16) == 0
        assert fields["NoNewPrivs"] == "1"
        assert "0" not in fields["Uid"].split()
        if IS_ROOT:
            assert fields["Groups"].split() in ([], [fields["Gid"].split()[0]])

    @pytest.mark.skipif(not IS_ROOT, reason="only root can give every session a user of its own")
    async def test_each_session_has_a_user_of_its_own(self, strict: Runtime, cell: LocalSession) -> None:
        other = await strict.create(IMAGE)
        users = {await output(strict, session, "id -u") for session in (cell, other)}
        assert len(users) == 2
        assert all(int(user) >= 200_000 for user in users)

    async def test_kernel_settings_cannot_be_changed(self, strict: Runtime, cell: LocalSession) -> None:
        for name in ("kernel/core_pattern", "kernel/hostname", "vm/overcommit_memory"):
            before = Path("/proc/sys", name).read_bytes()
            assert (await shell(strict, cell, f"echo 1 > /proc/sys/{name}"))["exit_code"] == 1, name
            assert Path("/proc/sys", name).read_bytes() == before, name

    async def test_only_its_own_directories_are_writable(self, strict: Runtime, cell: LocalSession) -> None:
        for place in (
            *("/", "/etc", "/usr", "/usr/bin", "/run", "/run/agb", "/run/agb/inside", "/run/agb/python"),
            *("/dev", "/var"),
        ):
            done = await shell(strict, cell, f"test ! -w {place} && ! touch {place}/x")
            assert done["exit_code"] == 0, place

    async def test_remounting_and_devices_are_refused(self, strict: Runtime, cell: LocalSession) -> None:
        for command in (
            "mount -o remount,rw /usr",
            "mknod ~/sda b 8 0",
            "chown 0 ~",
            "chroot /tmp true",
            "mount --bind / /tmp",
        ):
            assert (await shell(strict, cell, command))["exit_code"] != 0, command

    async def test_files_it_creates_belong_to_its_user_and_are_not_setuid_root(
        self, strict: Runtime, cell: LocalSession
    ) -> None:
        await output(strict, cell, "cp /bin/sh ~/sh; chmod 4755 ~/sh")
        made = (cell.sandbox.directories.home / "sh").stat()
        assert made.st_uid == (cell.sandbox.user or os.getuid())
        assert not made.st_mode & stat.S_ISUID or made.st_uid != 0

    async def test_standard_streams_can_be_opened_by_name(self, strict: Runtime, cell: LocalSession) -> None:
        result = await shell(
            strict, cell, "echo out > /dev/stdout; echo err > /proc/self/fd/2; echo both | tee /dev/stderr"
        )
        assert result["stdout"] == "out\nboth\n"
        assert result["stderr"] == "err\nboth\n"


@needs_bubblewrap
class TestProcesses:
    async def test_agent_cannot_be_killed(self, strict: Runtime, cell: LocalSession) -> None:
        await shell(strict, cell, "kill -9 1; kill -TERM 1; kill -INT 1; kill -SEGV 1; kill -CHLD 1; kill -STOP 1")
        # The shell itself is among those it kills.
        assert (await shell(strict, cell, "kill -9 -1; kill -9 $$"))["exit_code"] == 137
        assert await output(strict, cell, "echo alive") == "alive"

    async def test_orphans_are_reaped(self, strict: Runtime, cell: LocalSession) -> None:
        await output(strict, cell, "for i in 1 2 3 4 5; do (true &) ; done")
        await output(strict, cell, "until ! grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null; do :; done")

    async def test_number_of_processes_is_bounded(self) -> None:
        bomb = textwrap.dedent("""
            import os, time
            children = 0
            try:
                while children < 500:
                    if os.fork() == 0:
                        time.sleep(1000)
                    children += 1
            except OSError as error:
                print(children, error.strerror)
        """)
        async with sandboxed(processes=32) as runtime:
            cell, other = await runtime.create(IMAGE), await runtime.create(IMAGE)
            printed = await output(runtime, cell, f"exec python3 -c '{bomb}'")
            assert printed.endswith("Resource temporarily unavailable")
            assert 16 <= int(printed.split()[0]) < 32
            assert await output(runtime, other, "echo fine") == "fine"
            reply = await call(runtime, cell, "shell", command="true; true")
            assert not reply.is_error or "Resource temporarily unavailable" in reply.text

    async def test_memory_file_size_and_open_files_are_bounded(self) -> None:
        async with sandboxed(memory=256 << 20, file_size=1 << 20, open_files=64) as runtime:
            cell = await runtime.create(IMAGE)
            assert "MemoryError" in (await shell(runtime, cell, "python3 -c 'bytearray(512 << 20)'"))["stderr"]
            assert (await shell(runtime, cell, "head -c 2M /dev/zero > big"))["exit_code"] != 0
            assert await output(runtime, cell, "stat -c %s big") == str(1 << 20)
            assert await output(runtime, cell, "ulimit -n; ulimit -Hn; ulimit -c") == "64\n64\n0"

    async def test_programs_are_ended_before_the_runtime_when_memory_is_full(
        self, strict: Runtime, cell: LocalSession
    ) -> None:
        own = int(Path("/proc/self/oom_score_adj").read_text())
        assert int(await output(strict, cell, "cat /proc/self/oom_score_adj")) == max(own, 500)

    async def test_shared_memory_is_bounded(self) -> None:
        async with sandboxed(shared_memory=1 << 20) as runtime:
            cell = await runtime.create(IMAGE)
            assert (await shell(runtime, cell, "head -c 2M /dev/zero > /dev/shm/big"))["exit_code"] != 0
            assert (
                await output(runtime, cell, "rm /dev/shm/big; python3 -c 'import multiprocessing as m; m.Lock()'") == ""
            )

    async def test_session_that_loses_its_agent_is_finished(self, strict: Runtime, cell: LocalSession) -> None:
        await output(strict, cell, "sleep 1000 > log 2>&1 & until grep -qs sleep /proc/$!/comm; do :; done")
        [sleeper] = [p for p in psutil.Process(cell.sandbox.pid).children(recursive=True) if p.name() == "sleep"]
        waiting = asyncio.create_task(call(strict, cell, "shell", command="sleep 1000", timeout_ms=600_000))
        await asyncio.sleep(0)
        os.kill(cell.sandbox.pid, signal.SIGKILL)
        await cell.sandbox.ended.wait()
        with pytest.raises(Refused, match="is not found"):
            await waiting
        await strict.released(cell.id)
        assert strict.status(cell.id) == "FINISH"
        assert wait_for_end(sleeper.pid)
        assert not cell.sandbox.directories.root.exists()


@needs_bubblewrap
class TestNetwork:
    SERVER = textwrap.dedent("""
        import socket
        server = socket.create_server((ADDRESS, 30100), family=FAMILY)
        print(flush=True)
        while True:
            link, _ = server.accept()
            link.sendall(open('name', 'rb').read())
            link.close()
    """)

    async def serve(self, runtime: Runtime, cell: LocalSession, name: str, address: str = "127.0.0.1") -> None:
        """Start a server that sends its name, and return once it listens."""
        family = "socket.AF_INET6" if ":" in address else "socket.AF_INET"
        program = self.SERVER.replace("ADDRESS", repr(address)).replace("FAMILY", family)
        (cell.sandbox.directories.home / "server.py").write_text(program)
        await output(runtime, cell, f"echo {name} > name; mkfifo up; python3 server.py > up 2> log & read < up")

    async def test_two_sessions_listen_on_the_same_port(self, strict: Runtime) -> None:
        cells = [await strict.create(IMAGE) for _ in range(2)]
        for number, cell in enumerate(cells):
            await self.serve(strict, cell, str(number))
        for number, cell in enumerate(cells):
            link = await cell.connect(30100)
            with link:
                assert not link.getblocking()
                assert (await asyncio.get_running_loop().sock_recv(link, 10)).strip() == b"%d" % number

    async def test_ipv6_only_listener(self, strict: Runtime, cell: LocalSession) -> None:
        await self.serve(strict, cell, "six", "::1")
        with await cell.connect(30100) as link:
            assert link.family == socket.AF_INET6

    async def test_nothing_listens(self, strict: Runtime, cell: LocalSession) -> None:
        with pytest.raises(ConnectionRefusedError):
            await cell.connect(30102)
        strict.release(cell.id)
        await strict.released(cell.id)
        with pytest.raises(ConnectionError):
            await cell.connect(30102)

    async def test_loopback_of_the_machine_is_out_of_reach(self, strict: Runtime, cell: LocalSession) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            refused = await shell(strict, cell, f"exec 3<>/dev/tcp/127.0.0.1/{port}")
            assert "Connection refused" in refused["stderr"]

    async def test_without_a_network(self) -> None:
        async with Runtime(isolation="bubblewrap", network="isolated") as runtime:
            assert runtime.report.network == "isolated"
            cell = await runtime.create(IMAGE)
            assert await output(runtime, cell, "cut -d: -f1 /proc/net/dev | tail -n +3 | tr -d ' '") == "lo"
            await self.serve(runtime, cell, "inside")
            (await cell.connect(30100)).close()

    async def test_with_pasta(self, strict: Runtime, cell: LocalSession) -> None:
        if strict.report.network != "pasta":
            pytest.skip(f"pasta is not used here: {strict.report.isolation_note}")
        routes = await output(strict, cell, "cat /proc/net/route")
        assert "00000000" in [line.split()[1] for line in routes.splitlines()[1:]]  # a default route
        assert (await shell(strict, cell, "test -s /etc/resolv.conf"))["exit_code"] == 0
        programs = [p for p in psutil.Process().children() if "pasta" in p.cmdline()[0]]
        assert len(programs) == 1
        strict.release(cell.id)
        await strict.released(cell.id)
        assert await asyncio.to_thread(psutil.wait_procs, programs, 120) == (programs, [])

    async def test_pasta_that_does_not_work(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("agb.local.sandbox.pasta.Pasta.find", lambda: Pasta("/bin/false", "/bin/false"))
        async with Runtime(isolation="bubblewrap") as runtime:
            assert runtime.report.network == "isolated"
            assert "pasta did not start" in runtime.report.isolation_note
            await runtime.create(IMAGE)

    @pytest.mark.parametrize(
        ("device", "remedy"), [("missing", "modprobe tun"), ("device", r"chmod a\+rw .*or use --network host")]
    )
    async def test_pasta_without_the_tunnel_device(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, device: str, remedy: str
    ) -> None:
        (tmp_path / "device").touch()
        monkeypatch.setattr("agb.local.sandbox.pasta._TUN", tmp_path / device)
        access = os.access
        monkeypatch.setattr(os, "access", lambda path, *more: path != tmp_path / device and access(path, *more))
        monkeypatch.setattr("agb.local.sandbox.pasta.Pasta.find", lambda: Pasta("/bin/false", "/bin/false"))
        async with Runtime(isolation="bubblewrap") as runtime:
            assert re.search(rf"no outgoing network: pasta did not start.*{remedy}", runtime.report.isolation_note)

    async def test_machines_network_when_asked_for(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            async with Runtime(isolation="bubblewrap", network="host") as runtime:
                assert runtime.report.network == "host"
                cell = await runtime.create(IMAGE)
                await output(runtime, cell, f"exec 3<>/dev/tcp/127.0.0.1/{server.getsockname()[1]}")


@needs_bubblewrap
async def test_a_kernels_sockets_cannot_be_exchanged_for_the_machines(
    strict: Runtime, cell: LocalSession, tmp_path: Path
) -> None:
    """A session that puts a link in the place of a socket must not have us connect to where it leads."""
    with socket.socket(socket.AF_UNIX) as private:
        private.bind(str(tmp_path / "private"))
        private.listen()
        private.settimeout(0)
        wicked = textwrap.dedent(f"""
            import os, zmq
            bind = zmq.Socket.bind
            def wicked(self, address):
                done = bind(self, address)
                path = address.removeprefix("ipc://")
                if path.endswith("-1"):
                    os.unlink(path)
                    os.symlink({str(tmp_path / "private")!r}, path)
                return done
            zmq.Socket.bind = wicked
        """)
        (cell.sandbox.directories.home / "sitecustomize.py").write_text(wicked)
        cell.sandbox.environment["PYTHONPATH"] = cell.sandbox.home
        result = await run(strict, cell, "1")
        assert "replaced a socket by something else" in result["executionError"]
        with pytest.raises(BlockingIOError):
            private.accept()


RUNTIME = """
import asyncio, json, sys
from agb.local.sessions.runtime import Runtime

async def main():
    async with Runtime(isolation=sys.argv[1]) as runtime:
        session = await runtime.create("agb-code-space-1")
        await runtime.call_tool(session.id, "shell", {"command": "setsid sleep 1000 > /dev/null 2>&1 &"}, route="api")
        await runtime.call_tool(session.id, "run_code", {"code": "1", "language": "python"}, route="api")
        import psutil
        pids = [process.pid for process in psutil.Process().children(recursive=True)]
        print(json.dumps([pids, str(session.sandbox.directories.root)]), flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.parametrize("isolation", [pytest.param("bubblewrap", marks=needs_bubblewrap), "none"])
async def test_killed_runtime_leaves_no_process(isolation: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", RUNTIME, isolation]
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as program:
        assert program.stdout is not None
        pids, _ = json.loads(program.stdout.readline())
        names = {psutil.Process(pid).name() for pid in pids}
        assert "sleep" in names
        assert len(pids) >= 3
        program.kill()
    assert [pid for pid in pids if not await asyncio.to_thread(wait_for_end, pid)] == []


class TestWithoutSandbox:
    async def test_everything_ends_with_the_session(self) -> None:
        async with Runtime(isolation="none") as runtime:
            session = await runtime.create(IMAGE)
            pids = await output(
                runtime, session, "setsid sleep 1000 > log 2>&1 & echo $!; (setsid sleep 1000 > log 2>&1 & echo $!)"
            )
            assert await output(runtime, session, "pwd; cd ~; pwd") == "\n".join(
                [str(session.sandbox.directories.home)] * 2
            )
            runtime.release(session.id)
            await runtime.released(session.id)
            assert [pid for pid in pids.split() if not wait_for_end(int(pid), 0)] == []
            assert not session.sandbox.directories.root.exists()

    async def test_agent_killed_from_inside(self) -> None:
        async with Runtime(isolation="none") as runtime:
            session = await runtime.create(IMAGE)
            sleeper = int(await output(runtime, session, "setsid sleep 1000 > log 2>&1 & echo $!"))
            with pytest.raises(Refused, match="is not found"):
                await call(runtime, session, "shell", command="kill -9 $PPID; sleep 1000", timeout_ms=600_000)
            await runtime.released(session.id)
            assert runtime.status(session.id) == "FINISH"
            assert wait_for_end(sleeper)

    async def test_environment_does_not_leak(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AGB_TEST_SECRET", "do-not-leak")
        async with Runtime(isolation="none") as runtime:
            session = await runtime.create(IMAGE)
            assert "do-not-leak" not in await output(runtime, session, "env")

    async def test_paths_that_callers_name(self) -> None:
        async with Runtime(isolation="none") as runtime:
            sandbox = (await runtime.create(IMAGE)).sandbox
            directories = sandbox.directories
            assert sandbox.inside("/tmp/a/b") == str(directories.tmp / "a/b")
            assert sandbox.inside("/home/user/a") == str(directories.home / "a")
            assert sandbox.inside("/opt/a") == "/opt/a"

            assert directories.is_missing("/tmp/a/b")
            (directories.tmp / "a").symlink_to("/nowhere")
            # Where a link leads is known inside only, and so is what lies outside of the session's own directories.
            assert not any(map(directories.is_missing, ("/tmp/a/b", "/tmp", "/opt/a")))


class TestWhenThereIsNone:
    @pytest.fixture(autouse=True)
    def _without_bubblewrap(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("agb.local.sandbox.bubblewrap.find", lambda: None)

    @pytest.mark.parametrize("isolation", ["auto", "bubblewrap"])
    async def test_it_does_not_start(self, isolation: str) -> None:
        with pytest.raises(IsolationUnavailable, match=r"apt install bubblewrap.*--isolation none"):
            async with Runtime(isolation=isolation):  # type: ignore[arg-type]  # parametrised
                pass

    async def test_unless_that_is_requested(self) -> None:
        async with Runtime(allow_none=True) as runtime:
            assert runtime.report.isolation == "none"
            assert "not installed" in runtime.report.isolation_note

    async def test_bubblewrap_that_does_not_work(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("agb.local.sandbox.bubblewrap.find", lambda: "/bin/false")
        with pytest.raises(IsolationUnavailable, match="cannot start a sandbox here"):
            async with Runtime():
                pass
