"""A process that has imported the command line, and forks one more for each command: an interpreter costs 0.3 s.

As a program it is that process. Shells start commands by a program that `commands` writes, which hands over its
arguments, working directory, environment and standard streams, and ends with the exit code of the fork.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

CLIENT = """\
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    asked = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(server, [len(asked).to_bytes(4, "big")], [0, 1, 2])
    server.sendall(asked)
    sys.exit(server.recv(1)[0])
"""
LOADED_ONCE = [
    *(f"agb.cli.{name}" for name in ("execute", "output", "sessions")),
    *(f"agb._async.{name}" for name in ("client", "session", "lifecycle.creation", "net.http")),
    "anyio._backends._asyncio",
]
"""What most commands import; the rest is left to each."""


@contextlib.contextmanager
def commands(directory: Path) -> Iterator[Path]:
    """Write the command ``agb`` into a directory, and yield its path; it works as long as the block runs."""
    address = str(directory / "commands.sock")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()
        own = [sys.executable, __file__, str(listening.fileno())]
        with subprocess.Popen(own, pass_fds=[listening.fileno()]) as process:
            try:
                client = directory / "agb.py"
                client.write_text(CLIENT.format(address=address))
                command = directory / "agb"
                command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -IS "{client}" "$@"\n')
                command.chmod(0o755)
                yield command
            finally:
                process.kill()


def serve(listening: socket.socket) -> None:
    """Fork for each client; the fork runs the command in one of its own, and reports how it ended."""
    for name in LOADED_ONCE:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system reaps the forks
    while True:
        client, _ = listening.accept()
        with client:
            if not os.fork():
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                client.sendall(bytes([run(client)]))
                os._exit(0)


def run(client: socket.socket) -> int:
    """Run what a client asks for, in a process of its own, and return its exit code."""
    size, descriptors, _, _ = socket.recv_fds(client, 4, 3)
    with client.makefile("rb") as sent:
        arguments, directory, environment = json.loads(sent.read(int.from_bytes(size, "big")))
    child = os.fork()
    if child:
        for descriptor in descriptors:
            os.close(descriptor)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    client.close()
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["agb", *arguments]
    code = 1
    try:
        code = importlib.import_module("agb.cli").main()
        sys.stdout.flush()
    except BaseException:
        traceback.print_exc()
    os._exit(code)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
