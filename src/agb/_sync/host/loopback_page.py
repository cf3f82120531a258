# Generated from src/agb/_async/host/loopback_page.py by tools/unasync.py. Do not edit.
"""A page that is served to a browser of this machine, to see which headers it sends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

PAGE = b"<!doctype html><title>Fingerprint</title>"


@contextmanager
def loopback_page() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Serve an empty page on a free port of the loopback interface for the time of a block.

    Yields its address and the headers of the last request for it, which is empty before one has arrived. Browsers treat
    an address on the loopback interface as a secure one: they send all headers, and scripts see all properties.
    """
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    from threading import Thread

    headers: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/":
                headers[:] = self.headers.items()
            self.send_response(200 if self.path == "/" else 404)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(PAGE) if self.path == "/" else 0))
            self.end_headers()
            self.wfile.write(PAGE if self.path == "/" else b"")

        def log_message(self, format: str, *args: object) -> None:  # which the base class would print
            del format, args

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.02,), name="agb-loopback-page", daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/", headers
        finally:
            server.shutdown()
            thread.join()
