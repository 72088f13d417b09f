"""gunicorn, as it fits one camera: one worker process, since one process owns the device, and threads."""

import logging
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.workers.gthread import ThreadWorker

from camera_node.app import MAX_IN_FLIGHT, create_app
from camera_node.camera import Camera
from shared.errors import BowerbirdError

THREADS = MAX_IN_FLIGHT + 8
"""Some more than may be in flight, so that there is somebody to send the others away."""

SOCKET_TIMEOUT_S = 10
KEEP_ALIVE_S = 75  # longer than most polling intervals, so that pollers need not connect anew


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. BowerbirdError, with what to do, when the address can't be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=256)
    except (OSError, OverflowError) as error:
        hint = "Stop what uses it, or choose another with --port." if port else ""
        raise BowerbirdError(f"can't listen on {host} port {port}: {error}", hint=hint) from None
    # Accepted sockets inherit these: nobody holds a thread by reading or writing nothing.
    timeout = struct.pack("ll", SOCKET_TIMEOUT_S, 0)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeout)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeout)
    return listener


def url(listener: socket.socket) -> str:
    """Where the picture is, as another machine may reach it."""
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104
        host = socket.gethostname()
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/image.jpg"


class Server(BaseApplication):  # type: ignore[misc]
    """Serves until it is told to stop. make_camera: called in the worker, for threads do not survive a fork."""

    def __init__(
        self, make_camera: Callable[[], Camera], listener: socket.socket, *, name: str, token: str = ""
    ) -> None:
        self._make_camera = make_camera
        self._listener = listener
        self._name = name
        self._token = token
        self._camera: Camera | None = None
        super().__init__()

    def load_config(self) -> None:
        """What differs from gunicorn's defaults."""
        shm = Path("/dev/shm")  # noqa: S108  gunicorn's heartbeat file: in memory, to spare the SD card
        options: dict[str, Any] = {
            "bind": f"fd://{self._listener.fileno()}",
            "workers": 1,
            "worker_class": _Worker,
            "threads": THREADS,
            "worker_connections": 512,
            "keepalive": KEEP_ALIVE_S,
            "graceful_timeout": 1,
            "loglevel": "warning",
            "worker_tmp_dir": str(shm) if shm.is_dir() else None,
            "control_socket_disable": True,
            "worker_int": lambda worker: self._send_away(),
            "worker_exit": lambda server, worker: self._send_away().join(1),
        }
        for option, value in options.items():
            if option in self.cfg.settings:  # older gunicorns lack some
                self.cfg.set(option, value)

    def load(self) -> Flask:
        """Called by gunicorn in the worker."""
        logging.getLogger("gunicorn.error").addFilter(_is_worth_logging)
        self._camera = self._make_camera()
        return create_app(self._camera, name=self._name, token=self._token)

    def _send_away(self) -> threading.Thread:
        """Stop the camera, from a thread of its own: a signal handler must not wait for locks."""
        stop = self._camera.stop if self._camera else lambda: None
        thread = threading.Thread(target=stop, name="stop")
        thread.start()
        return thread


class _Worker(ThreadWorker):  # type: ignore[misc]
    """Told to finish, it first sends waiting readers away, or they would hold it up."""

    def handle_exit(self, sig: int, frame: object) -> None:
        self.cfg.worker_int(self)
        super().handle_exit(sig, frame)


def _is_worth_logging(record: logging.LogRecord) -> bool:
    """A client that timed out is its own trouble."""
    return not (record.exc_info and isinstance(record.exc_info[1], BlockingIOError))
