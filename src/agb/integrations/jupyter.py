"""Jupyter: kernels that run in sessions, for JupyterLab, VS Code and nbclient (extra ``jupyter``).

`AGBProvisioner` creates a session and starts ipykernel in it. The kernel listens inside the session; a link leads to a
program beside it (`jupyter_relay`), which connects WebSockets to its ports. On this machine a thread listens at the
ports that Jupyter has chosen, and opens a WebSocket for each connection. Jupyter's messages pass unchanged, so all that
a kernel can do works: completion, input, widgets, interrupts. They are signed with the key of the connection file.

``python -m agb.integrations.jupyter install --user`` installs the kernel specification ``agb-python``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import signal as signals
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from .._async.client import AsyncAGB
from .._async.modules.process import AsyncProcess
from .._async.session import AsyncSession
from ..exceptions import AGBError, ErrorKind
from ..owned import Owner
from ..session_params import CreateSessionParams

try:
    from jupyter_client.connect import KernelConnectionInfo
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.provisioning.provisioner_base import KernelProvisionerBase
    from traitlets import Unicode
except ImportError as error:
    raise ImportError("kernels in sessions need Jupyter: pip install 'agb[jupyter]'") from error

_log = logging.getLogger("agb")
_CHANNELS = ("shell", "iopub", "stdin", "control", "hb")
_RELAY_PORT = 30199
"""In the session; the last of the ports that links lead to."""
_CONNECTION_FILE = "/tmp/agb-kernel.json"
_RELAY = "/tmp/agb-kernel-relay.py"
_PIECE = 1 << 16
_START_SECONDS = 60.0
NAME = "agb-python"
"""The name of the kernel specification."""


class AGBProvisioner(KernelProvisionerBase):
    """A provisioner of Jupyter kernels: each kernel has a session of its own, which is deleted with it.

    The key and the endpoint are read as those of ``AsyncAGB()`` are. The owner of a session is ``jupyter:KERNEL``, so
    ``agb gc --owner jupyter:KERNEL`` deletes what a killed server has left.
    """

    image_id = Unicode("agb-code-space-1", config=True, help="The image of the session.")

    _client: AsyncAGB | None = None
    _session: AsyncSession | None = None
    _kernel: AsyncProcess | None = None
    _forwarder: _Forwarder | None = None
    _exit_code: int | None = None

    @property
    def has_process(self) -> bool:
        """Whether there is a kernel."""
        return self._kernel is not None

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Choose the ports on this machine."""
        manager: Any = self.parent
        manager.write_connection_file()
        self.connection_info = manager.get_connection_info()
        return await super().pre_launch(cmd=manager.format_kernel_cmd(), **kwargs)

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Create a session, start a kernel in it, and connect the ports on this machine with it.

        Raises:
            AGBError: the session could not be created, or the kernel not be started.
        """
        del cmd, kwargs  # they are for a program of this machine
        if self._session is None:
            self._client = AsyncAGB()
            created = await self._client.create(
                CreateSessionParams(image_id=self.image_id), owner=Owner.from_ids("jupyter", self.kernel_id)
            )
            self._session = created.raise_for_error().session
        try:
            self._kernel = await self._start(self._session)
        except BaseException:
            await self.cleanup()
            raise
        return self.connection_info

    async def _start(self, session: AsyncSession) -> AsyncProcess:
        given: Any = self.connection_info
        key = given["key"]
        inside = {
            **{f"{channel}_port": 0 for channel in _CHANNELS},  # the kernel chooses them, and writes them down
            "ip": "127.0.0.1",
            "transport": "tcp",
            "signature_scheme": given["signature_scheme"],
            "key": key.decode() if isinstance(key, bytes) else key,
        }
        (await session.file.write(_CONNECTION_FILE, json.dumps(inside))).raise_for_error()
        relay = Path(__file__).with_name("jupyter_relay.py").read_text(encoding="utf-8")
        (await session.file.write(_RELAY, relay)).raise_for_error()
        kernel = await session.command.start(["python3", "-m", "ipykernel_launcher", "-f", _CONNECTION_FILE])
        self._exit_code = None
        if self._forwarder is None:
            await session.command.start(["python3", _RELAY, _CONNECTION_FILE, str(_RELAY_PORT)])
            link = (await session.get_link(port=_RELAY_PORT)).raise_for_error().data
            ports = {channel: given[f"{channel}_port"] for channel in _CHANNELS}
            self._forwarder = _Forwarder(link, ports)
            self._forwarder.start()
        return kernel

    async def poll(self) -> int | None:
        """Return None while the kernel runs, its exit code when it has ended."""
        if self._kernel is None:
            return 0
        if self._exit_code is None:
            try:
                self._exit_code = await self._kernel.poll()
            except AGBError as error:
                if error.kind is not ErrorKind.NOT_FOUND:
                    _log.debug("the state of the kernel is not known: %s", error)
                    return None
                self._exit_code = 1  # the session has ended, and its kernel with it
        return self._exit_code

    async def wait(self) -> int | None:
        """Wait for the end of the kernel, and return its exit code."""
        while await self.poll() is None:
            await asyncio.sleep(0.1)  # the kernel is on another machine, whose state is requested
        return self._exit_code

    async def send_signal(self, signum: int) -> None:
        """Send a signal to the kernel; SIGINT interrupts its cell."""
        if self._kernel is not None and await self.poll() is None:
            await self._kernel.signal(signals.Signals(signum).name.removeprefix("SIG"))

    async def kill(self, restart: bool = False) -> None:
        """Kill the kernel."""
        del restart
        await self.send_signal(signals.SIGKILL)

    async def terminate(self, restart: bool = False) -> None:
        """Ask the kernel to end."""
        del restart
        await self.send_signal(signals.SIGTERM)

    async def cleanup(self, restart: bool = False) -> None:
        """Delete the session, unless the kernel is about to be started in it again."""
        kernel, self._kernel = self._kernel, None
        if kernel is not None and restart:
            await kernel.cleanup()
        if restart:
            return
        forwarder, self._forwarder = self._forwarder, None
        if forwarder is not None:
            await asyncio.get_running_loop().run_in_executor(None, forwarder.stop)
        session, self._session = self._session, None
        if session is not None:
            deleted = await session.delete()
            if deleted.error is not None and deleted.error.kind is not ErrorKind.NOT_FOUND:
                raise deleted.error
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()


class _Forwarder(threading.Thread):
    """Listens at the ports that Jupyter has chosen, and leads each connection to the session by a WebSocket.

    It has an event loop of its own: that of a synchronous `KernelManager` runs only during its calls.
    """

    def __init__(self, link: str, ports: dict[str, int]) -> None:
        super().__init__(name="agb-kernel-ports", daemon=True)
        self._link, self._ports = link, ports
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._ready = threading.Event()
        self._failure: Exception | None = None

    def start(self) -> None:
        """Begin; all ports are open when this returns.

        Raises:
            OSError: a port is taken.
        """
        super().start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure

    def run(self) -> None:
        """Run the event loop to the end."""
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    def stop(self) -> None:
        """End, and close all connections."""
        self._loop.call_soon_threadsafe(self._stopping.set)
        self.join()

    async def _serve(self) -> None:
        async with contextlib.AsyncExitStack() as stack:
            try:
                for channel, port in self._ports.items():
                    server = await asyncio.start_server(self._leader(channel), "127.0.0.1", port)
                    await stack.enter_async_context(server)
            except OSError as error:
                self._failure = error
                return
            finally:
                self._ready.set()
            await self._stopping.wait()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()

    def _leader(self, channel: str) -> Any:
        scheme, _, rest = self._link.partition("://")
        base, question, query = rest.partition("?")
        url = f"{'wss' if scheme == 'https' else 'ws'}://{base.rstrip('/')}/{channel}{question}{query}"

        from websockets.exceptions import WebSocketException

        async def lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await self._lead(url, reader, writer)
            except (OSError, WebSocketException, asyncio.CancelledError) as error:
                _log.debug("the connection to the channel %s of a kernel has ended: %s", channel, type(error).__name__)
            finally:
                writer.close()

        return lead

    async def _lead(self, url: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from websockets.asyncio.client import connect
        from websockets.exceptions import ConnectionClosed, InvalidHandshake

        deadline = self._loop.time() + _START_SECONDS
        while True:
            try:
                websocket = await connect(url, max_size=None, proxy=None, logger=_SILENT)
                break
            except (OSError, InvalidHandshake):  # the relay has not begun to listen
                if self._loop.time() > deadline:
                    raise
                await asyncio.sleep(0.1)
        async with websocket:

            async def send() -> None:
                while data := await reader.read(_PIECE):
                    await websocket.send(data)
                await websocket.close()

            sending = asyncio.create_task(send())
            try:
                async for message in websocket:
                    writer.write(message if isinstance(message, bytes) else message.encode())
                    await writer.drain()
            except ConnectionClosed:  # the session has ended
                return
            finally:
                sending.cancel()


_SILENT = logging.Logger("agb-kernel", logging.CRITICAL + 1)
"""The address of a link is a secret, which websockets logs."""


# --- the kernel specification ---------------------------------------------------------------------------------------


def specification(image_id: str = "agb-code-space-1") -> dict[str, Any]:
    """Return the kernel specification of an image, as its ``kernel.json`` has it."""
    return {
        "argv": ["python3", "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "Python (AGB session)",
        "language": "python",
        "interrupt_mode": "signal",
        "metadata": {
            "kernel_provisioner": {"provisioner_name": "agb-provisioner", "config": {"image_id": image_id}},
        },
    }


def install(*, user: bool = True, prefix: str | None = None, image_id: str = "agb-code-space-1") -> str:
    """Install the kernel specification, and return its directory.

    Args:
        user: for this user only.
        prefix: for an environment, such as ``sys.prefix``, instead.
        image_id: the image of its sessions.
    """
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "kernel.json").write_text(json.dumps(specification(image_id), indent=1), encoding="utf-8")
        manager = KernelSpecManager()
        return str(manager.install_kernel_spec(directory, NAME, user=user and prefix is None, prefix=prefix))


def main() -> None:
    """Install the kernel specification, as the arguments say."""
    parser = argparse.ArgumentParser(prog="python -m agb.integrations.jupyter", description=main.__doc__)
    parser.add_argument("command", choices=["install"])
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--user", action="store_true", help="for this user only (the default)")
    place.add_argument("--sys-prefix", action="store_true", help="for this Python environment")
    parser.add_argument("--image", default="agb-code-space-1", help="the image of its sessions")
    given = parser.parse_args()
    directory = install(prefix=sys.prefix if given.sys_prefix else None, image_id=given.image)
    sys.stdout.write(f"installed {NAME} in {directory}\n")


if __name__ == "__main__":
    main()
