"""The web app beside the collector: a process of its own, started again when it dies, that ends with this one."""

import logging
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Self

from shared.log import redact
from shared.retry import Backoff

_log = logging.getLogger(__name__)

STOP_S = 10.0
"""How long it may take to finish what it is answering."""

STEADY_S = 60.0
"""A web app that lived this long is started again at once when it dies."""

BACKOFF = Backoff(base_s=1.0, cap_s=60.0)

_URL = re.compile(r"^web +(http://\S+)$")
_LINE_BYTES = 4_096


class WebProcess:
    """Runs `hub web` on a data directory while the context lasts. It never stops whoever entered it.

    It has this process's environment, so its settings are the same. told: called from a thread with a line for people,
    once when it is up for the first time, and once for each new reason why it is not.
    """

    def __init__(
        self,
        data_dir: Path,
        told: Callable[[str], None],
        *,
        arguments: tuple[str, ...] = (),
        backoff: Backoff = BACKOFF,
    ) -> None:
        self._data_dir, self._told, self._arguments, self._backoff = data_dir, told, arguments, backoff
        self._halt, self._lock = threading.Event(), threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._watch, name="web process", daemon=True)
        self.url = ""
        """Where it is; "" while it is not up."""
        self.trouble = ""
        """Why it is not up; "" while it is, or has not been tried yet."""

    def __enter__(self) -> Self:
        """At once: it comes up meanwhile."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._halt.set()
        with self._lock:
            process = self._process
        if process is not None:
            _stop(process)
        self._thread.join()

    def _watch(self) -> None:
        """Start it, and start it again when it ends, until the end."""
        failures, said_url = 0, ""
        while not self._halt.is_set():
            began = time.monotonic()
            words, url = self._run_once(said_url)
            said_url = url or said_url
            if self._halt.is_set():
                return
            self.url = ""
            failures = 1 if url and time.monotonic() - began >= STEADY_S else failures + 1
            wait_s = self._backoff.delay(failures, random.random)
            said = words.startswith("the web app ")  # a sentence of its own
            self._say_why(words if said else f"the web app {'ended' if url else 'did not start'}: {words}")
            _log.debug("the web app is started again in %.1f s", wait_s)
            self._halt.wait(wait_s)

    def _run_once(self, said_url: str) -> tuple[str, str]:
        """One life of it: its last words, and its address if it came up."""
        before: deque[str] = deque(maxlen=20)
        try:
            process = self._start()
        except OSError as error:
            return error.strerror or str(error), ""
        if process is None:
            return "", ""
        assert process.stderr is not None
        try:
            self._listen(process.stderr, before, said_url)
        finally:
            _stop(process)
            process.stderr.close()
        words = " ".join(_sentence(line.removeprefix("error: ")) for line in before if line)
        return words or f"exit code {process.returncode}", self.url

    def _listen(self, lines: IO[str], before: deque[str], said_url: str) -> None:
        """Its log lines pass as they are; before it is up they are kept, as what may have kept it from that."""
        while line := lines.readline(_LINE_BYTES):
            found = _URL.match(line.strip())
            if found:
                self.url, self.trouble = found[1], ""
                if self.url != said_url:
                    self._told(f"web       {self.url}")
                before.clear()
            elif self.url:
                sys.stderr.write(line)
            else:
                before.append(redact(line.strip()))

    def _start(self) -> subprocess.Popen[str] | None:
        """None when the end has come meanwhile."""
        with self._lock:
            if self._halt.is_set():
                return None
            hub_web = ["-m", "hub.tether", "hub", "--data-dir", str(self._data_dir), "web", *self._arguments]
            self._process = subprocess.Popen(
                [sys.executable, *hub_web],
                stdin=subprocess.PIPE,  # whose other end closes with this process, however that ends
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                start_new_session=True,  # Ctrl-C is for the hub, which ends its web app itself
            )
            return self._process

    def _say_why(self, trouble: str) -> None:
        if trouble != self.trouble:
            self.trouble = trouble
            self._told(f"note      {_sentence(trouble)} Tried again every minute; collecting goes on.")


def _sentence(words: str) -> str:
    return words if words.endswith((".", ":", "!", "?", ",", ";")) else f"{words}."


def _stop(process: subprocess.Popen[str]) -> None:
    """End it and its workers, by force if need be; fine when it is dead already."""
    assert process.stdin is not None
    with suppress(OSError):
        process.stdin.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # the worker of a master that was killed, too
    process.wait()
