"""Processes that die at a chosen step, as tests need them."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from hub.blobs import open_blobs
from hub.forward import Forwarder
from hub.sinks.folder import FolderSink
from hub.store import open_store

_STEPS = {"open", "os.rename", "os.remove", "os.mkdir", "os.truncate", "os.utime"}


def forward(root: Path, *, now: float, die_at_step: int = 0) -> bool:
    """Deliver everything due in the hub at `root`; False when it was killed before it was done."""
    pid = os.fork()
    if pid == 0:
        _forward_and_exit(root, now, die_at_step)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) in (0, -signal.SIGKILL)
    return status == 0


def _forward_and_exit(root: Path, now: float, die_at_step: int) -> None:
    if die_at_step:
        sys.addaudithook(_killer(str(root), die_at_step))
    code = 1
    try:
        forward_here(root, now)
        code = 0
    finally:
        os._exit(code)


def forward_here(root: Path, now: float) -> None:
    """One whole drain."""
    store = open_store(f"sqlite:///{root / 'hub.sqlite'}")
    sink, blobs = FolderSink(root / "datasets"), open_blobs(f"file://{root / 'frames'}")
    forwarder = Forwarder(store, blobs, lambda _: sink, clock=lambda: now, random=lambda: 0.5)
    forwarder.drain()
    store.close()


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
