"""A webhook's receiver on this machine, which answers as it is told to."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Request:
    """What came. headers: by lower-case name."""

    path: str
    headers: dict[str, str]
    body: bytes


Answer = Callable[[BaseHTTPRequestHandler], None]
"""Writes an answer to a request that was read."""


@dataclass
class Receiver:
    """Keeps what it gets. answer: of every request from now on."""

    port: int
    answer: Answer
    requests: list[Request] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks/t0ps3cret-path"


def says(status: int, text: str = "", **headers: str) -> Answer:
    """An answer with a status and a plain text."""

    def write(to: BaseHTTPRequestHandler) -> None:
        to.send_response(status)
        for name, value in {"Content-Type": "text/plain", **headers}.items():
            to.send_header(name.replace("_", "-"), value)
        to.send_header("Content-Length", str(len(text.encode())))
        to.end_headers()
        to.wfile.write(text.encode())

    return write


def drips(receiver: Receiver, head: bytes) -> Answer:
    """`head`, and then a byte of header now and then, for ever."""

    def write(to: BaseHTTPRequestHandler) -> None:
        to.wfile.write(head)
        while not receiver.stopping.wait(0.05):
            to.wfile.write(b"x")

    return write


def resets(to: BaseHTTPRequestHandler) -> None:
    """No answer: the connection is reset."""
    to.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    to.connection.close()


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver that answers 204 to everything."""

    class Handler(BaseHTTPRequestHandler):
        timeout = 10.0

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.requests.append(Request(self.path, headers, body))
            self.close_connection = True
            with suppress(OSError):  # nobody listens any more
                receiver.answer(self)

        def finish(self) -> None:
            with suppress(OSError):
                super().finish()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver = Receiver(server.server_address[1], says(204))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()
