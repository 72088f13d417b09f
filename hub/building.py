"""Keeps the corpus index current beside a running hub: in a process of its own, at low priority, since building takes
minutes of a core and gigabytes that collecting must not wait for."""

import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psutil

from shared.errors import BowerbirdError

_log = logging.getLogger(__name__)

WORTH_BUILDING = 20_000
"""Elements that are searched one by one before an index over them is built: these cost some milliseconds a search."""

NICE = 10
LONGEST_S = 6 * 3600.0


def build_if_worth_it(waiting: Callable[[], int], data_dir: Path) -> bool:
    """Build when enough elements wait; returns whether it was done. waiting: elements that no index holds.

    The process ends with this one, whatever ends it. BowerbirdError with its last words when it fails.
    """
    if waiting() < WORTH_BUILDING:
        return False
    _log.info("building the corpus index")
    command = ["-m", "hub.tether", "hub", "--data-dir", str(data_dir), "index", "build"]
    process = subprocess.Popen(
        [sys.executable, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stderr is not None
    give_up = threading.Timer(LONGEST_S, process.kill)
    give_up.start()
    try:
        psutil.Process(process.pid).nice(NICE)
        words = process.stderr.read()[-300:]  # and not communicate, which would close the tether
        code = process.wait()
    finally:
        give_up.cancel()
        process.kill()
        process.wait()
        process.stderr.close()
        process.stdin.close()
    if code:
        raise BowerbirdError(f"the corpus index was not built: {words.strip() or f'exit code {code}'}")
    return True
