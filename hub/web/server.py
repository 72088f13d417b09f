"""gunicorn, as it fits the hub's web app: one worker process with threads, for they share models and indexes."""

import errno
import logging
import os
import socket
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.workers import gthread
from gunicorn.workers.gthread import TConn, ThreadWorker

from shared.errors import BowerbirdError
from shared.log import redact

_log = logging.getLogger(__name__)

THREADS = 8
CONNECTIONS = 256
SOCKET_TIMEOUT_S = 15
"""Nobody holds a thread by sending or reading nothing."""
SILENT_S = 0.1
"""A new connection that says nothing for this long waits for its first byte without a thread."""
RECEIVE_S = 60
"""Nor by sending a byte now and then: this long, and there is nothing more to be read from it."""
WORKER_TIMEOUT_S = 60
"""A worker whose main loop stands still this long is replaced."""
GRACEFUL_S = 5


def serve(make_app: Callable[[], Flask], host: str, port: int, *, told: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM. BowerbirdError when the address can't be had.

    make_app: called in the worker, so that neither connections nor models are made before the fork; a worker that dies
    is replaced, and it is called again. port: 0 for any free one. told: gets the URL, in the worker, once
    the first is ready.
    """
    listener = listen(host, port)
    _Server(make_app, listener, told).run()


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. BowerbirdError, with what to do, when the address can't be had."""
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=256)
    except (OSError, OverflowError) as error:
        raise _not_had(host, port, error) from None
    # Accepted sockets inherit these.
    timeout = struct.pack("ll", SOCKET_TIMEOUT_S, 0)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeout)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeout)
    return listener


def _not_had(host: str, port: int, error: OSError | OverflowError) -> BowerbirdError:
    """Why an address can't be had. Its words are short: `hub run` says them on one line."""
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        taken = f"the web app can't have port {port}: it is taken"
        return BowerbirdError(taken, hint="Stop what uses it, or set HUB_PORT.")
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    hint = "Choose another with HUB_HOST and HUB_PORT, or hub web --host and --port."
    return BowerbirdError(f"the web app can't listen on {host} port {port}: {why}", hint=hint)


def url(listener: socket.socket) -> str:
    """Where it is, as a browser on this machine or, where it listens everywhere, on another may reach it."""
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104
        host = socket.gethostname()
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


class _Server(BaseApplication):  # type: ignore[misc]
    def __init__(self, make_app: Callable[[], Flask], listener: socket.socket, told: Callable[[str], None]) -> None:
        self._make_app, self._listener, self._told = make_app, listener, told
        self._url = url(listener)  # gunicorn puts another socket in its place
        super().__init__()

    def load_config(self) -> None:
        """What differs from gunicorn's defaults."""
        shm = Path("/dev/shm")  # noqa: S108  gunicorn's heartbeat file, in memory: a slow disk must not look like a hang
        options: dict[str, Any] = {
            "bind": f"fd://{self._listener.fileno()}",
            "workers": 1,
            "worker_class": _Worker,
            "threads": THREADS,
            "worker_connections": CONNECTIONS,
            "timeout": WORKER_TIMEOUT_S,
            "graceful_timeout": GRACEFUL_S,
            "keepalive": 30,
            "limit_request_line": 8190,
            "preload_app": False,
            "loglevel": "warning",
            "worker_tmp_dir": str(shm) if shm.is_dir() else None,
            "control_socket_disable": True,
            "post_worker_init": self._tell,
            "worker_exit": _end,
        }
        for option, value in options.items():
            if option in self.cfg.settings:  # older gunicorns lack some
                self.cfg.set(option, value)

    def load(self) -> Flask:
        """Called by gunicorn in the worker."""
        logging.getLogger("gunicorn.error").addFilter(_is_worth_logging)
        gthread.DEFAULT_WORKER_DATA_TIMEOUT = SILENT_S
        try:
            return self._make_app()
        except BowerbirdError as error:
            sys.stderr.write(f"error: {redact(error.told)}\n")
            sys.exit(Arbiter.WORKER_BOOT_ERROR)  # tells the master not to try again

    def _tell(self, worker: ThreadWorker) -> None:
        if worker.age == 1:  # what follows replaces one that died
            self._told(self._url)


def _end(_: Arbiter, worker: ThreadWorker) -> None:
    """End a worker that has answered all, at once. Leaving the usual way, libraries that had threads before the fork
    (onnxruntime) abort or hang, and a worker that could not start would be started again and again."""
    logging.shutdown()
    sys.stderr.flush()
    os._exit(0 if worker.booted else Arbiter.WORKER_BOOT_ERROR)


class _Worker(ThreadWorker):  # type: ignore[misc]
    """Ends what takes too long to arrive; what has arrived may take as long as it needs to be answered."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._until: dict[TConn, float] = {}

    def handle(self, conn: TConn) -> object:
        """One request, in one of the threads."""
        self._until[conn] = time.monotonic() + RECEIVE_S
        try:
            return super().handle(conn)
        finally:
            del self._until[conn]

    def murder_pending(self) -> None:
        """Called every second by the loop."""
        super().murder_pending()
        now = time.monotonic()
        for conn, until in list(self._until.items()):
            if now > until:
                with suppress(OSError):  # it is closed by now
                    conn.sock.shutdown(socket.SHUT_RD)


def _is_worth_logging(record: logging.LogRecord) -> bool:
    """A client that timed out is its own trouble."""
    return not (record.exc_info and isinstance(record.exc_info[1], BlockingIOError))
