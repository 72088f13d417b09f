"""Processes that die at a chosen step, as tests need them."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from hub.blobs import open_blobs
from hub.deliveries import Redacted
from hub.forward import Forwarder
from hub.sinks.folder import FolderSink
from hub.sinks.options import RoboflowOptions
from hub.sinks.roboflow import RoboflowSink
from hub.store import open_store
from hub.types import Sample
from tests.roboflow_server import KEY, WORKSPACE

_STEPS = {"open", "os.rename", "os.remove", "os.mkdir", "os.truncate", "os.utime"}


def forward(root: Path, *, now: float, die_at_step: int = 0) -> bool:
    """Deliver everything due in the hub at `root` to its folder; False when it was killed before it was done. A step
    is one on files."""

    def work() -> None:
        if die_at_step:
            sys.addaudithook(_killer(str(root), die_at_step))
        sink, store = FolderSink(root / "datasets"), open_store(f"sqlite:///{root / 'hub.sqlite'}")
        blobs = open_blobs(f"file://{root / 'frames'}")
        Forwarder(store, blobs, lambda _: sink, clock=lambda: now, random=lambda: 0.5).drain()
        store.close()

    return _in_a_process(work)


def upload(root: Path, url: str, project: str, *, now: float, die_at_step: int = 0) -> bool:
    """Deliver everything due in the hub at `root` to a Roboflow server, redacted; False when it was killed before it
    was done. A step is before or after a call of the store, the pictures, the redaction, or the server."""

    def work() -> None:
        step = _Step(die_at_step)
        httpx.Client.send = step.around(httpx.Client.send)  # type: ignore[method-assign]
        store = open_store(f"sqlite:///{root / 'hub.sqlite'}")
        blobs = open_blobs(f"file://{root / 'frames'}")
        options = RoboflowOptions(KEY, WORKSPACE, project, url)
        forwarder = Forwarder(
            _Watched(store, step),
            _Watched(blobs, step),
            lambda _: RoboflowSink(options),
            clock=lambda: now,
            random=lambda: 0.5,
            redact=step.around(redacted),
        )
        forwarder.drain()
        store.close()

    return _in_a_process(work)


def redacted(sample: Sample, picture: bytes) -> Redacted:
    """Another picture, always the same."""
    return Redacted(picture + b"less", "1 face")


def _in_a_process(work: Callable[[], None]) -> bool:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) in (0, -signal.SIGKILL)
    return status == 0


class _Step:
    """Counts down to the step at which this process is killed."""

    def __init__(self, left: int) -> None:
        self._left, self._lock = left, threading.Lock()

    def __call__(self) -> None:
        with self._lock:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same call, with a step before and one after."""

        def stepping(*args: Any, **kwargs: Any) -> Any:
            self()
            result = call(*args, **kwargs)
            self()
            return result

        return stepping


class _Watched:
    """Something of which each call is two steps."""

    def __init__(self, what: object, step: _Step) -> None:
        self._what, self._step = what, step

    def __getattr__(self, name: str) -> Any:
        return self._step.around(getattr(self._what, name))


def _killer(root: str, step: int) -> Callable[[str, tuple[object, ...]], None]:
    """An audit hook that kills this process just before its n-th step on files below `root`."""
    left = step

    def hook(event: str, args: tuple[object, ...]) -> None:
        nonlocal left
        if event in _STEPS and any(str(arg).startswith(root) for arg in args):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return hook
