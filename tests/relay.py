"""A relay on the loopback that cuts or stalls connections at a byte of either direction, as networks do."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial

from attrs import define, field, frozen

from agb.testing.listening import Listener


@frozen
class Fate:
    """The fault of a connection: after this many bytes up (to the server) or down it is cut, or it stalls."""

    up: int | None = None
    down: int | None = None
    stalls: bool = False


@define(eq=False)
class Relay:
    """Forwards connections; ``fate`` chooses the fault of each from its first bytes."""

    fate: Callable[[bytes], Fate]
    target: tuple[str, int]
    listener: Listener = field(init=False)
    cuts: int = 0

    def __attrs_post_init__(self) -> None:
        self.listener = Listener(self.pass_on)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.listener.port}"

    def pass_on(self, client: socket.socket) -> None:
        with closing(client):
            try:
                first = client.recv(65536)
            except OSError:
                first = b""
            if not first:
                return
            fate = self.fate(first)
            with closing(socket.create_connection(self.target)) as server:
                down = partial(self.pump, data=b"", most=fate.down, fate=fate)
                back = self.listener.run(down, server, client)
                self.pump(client, server, first, fate.up, fate)
                back.join()

    def pump(self, source: socket.socket, sink: socket.socket, data: bytes, most: int | None, fate: Fate) -> None:
        try:
            while True:
                if most is not None and len(data) >= most:
                    sink.sendall(data[:most])
                    self.cuts += 1
                    while fate.stalls and source.recv(65536):  # until that end closes the connection
                        pass
                    return
                sink.sendall(data)
                most = None if most is None else most - len(data)
                data = source.recv(65536)
                if not data:
                    return
        except OSError:
            return
        finally:
            for sock in (source, sink):
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)


@contextmanager
def relay(port: int, fate: Callable[[bytes], Fate]) -> Iterator[Relay]:
    """Run a relay to a port of this machine for the time of a block."""
    running = Relay(fate, ("127.0.0.1", port))
    try:
        yield running
    finally:
        running.listener.close()


def unlucky(seed: int, stalls: bool = True) -> Callable[[bytes], Fate]:
    """Return a function that chooses random faults for connections that create a session, and none for others."""
    dice = random.Random(seed)

    def fate(first: bytes) -> Fate:
        if b"/mcp/createSession" not in first.partition(b"\r\n")[0]:
            return Fate()
        stalled = stalls and dice.random() < 0.15
        match dice.randrange(6):
            case 0:
                return Fate()
            case 1:
                return Fate(up=dice.randrange(len(first)), stalls=stalled)
            case 2:
                return Fate(up=len(first) + dice.randrange(800), stalls=stalled)
            case 3:
                return Fate(down=0, stalls=stalled)
            case 4:
                return Fate(down=dice.randrange(300), stalls=stalled)
            case _:
                return Fate(down=dice.randrange(2000), stalls=stalled)

    return fate
