"""A camera node that the hub starts itself, watches over, and takes with it when it ends."""

import logging
import os
import random
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from typing import Self

from hub.protocols import Store
from hub.types import Camera
from shared.errors import BowerbirdError
from shared.log import redact
from shared.retry import Backoff

_log = logging.getLogger(__name__)

START_S = 30.0
STOP_S = 5.0
STEADY_S = 60.0
"""A node that lived this long is started again at once when it dies."""

BACKOFF = Backoff(base_s=1.0, cap_s=60.0)
LOOPBACK = "http://127.0.0.1:"

_URL = re.compile(rf"{re.escape(LOOPBACK)}\d+/image\.jpg")
_NOT_FOR_IT = ("HUB_", "ROBOFLOW_")


class LocalCamera:
    """Serves a source on loopback while the context lasts, and is the camera `name` in the store.

    source: as of `camera-node serve --source`; it goes by the environment, since a stream's address may hold a password
    and everybody can read command lines.
    """

    def __init__(self, name: str, source: str, store: Store, interval_s: float, *, backoff: Backoff = BACKOFF) -> None:
        self._name, self._source, self._store, self._interval_s = name, source, store, interval_s
        self._backoff, self._token = backoff, secrets.token_urlsafe(16)
        self._up, self._halt = threading.Event(), threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._trouble: BowerbirdError | None = None
        self._thread = threading.Thread(target=self._watch, name=f"camera {name}", daemon=True)
        self.url = ""

    def __enter__(self) -> Self:
        """Once it answers. BowerbirdError, in the node's words, when it can't be started."""
        self._thread.start()
        if not self._up.wait(START_S):
            self._trouble = self._did_not_start(f"it did not say where it is within {START_S:g} s")
        if self._trouble:
            self._end()
            raise self._trouble
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        switch_off(self._store, self._name)

    def _end(self) -> None:
        self._halt.set()
        with self._lock:
            process = self._process
        if process is not None:
            _stop(process)
        self._thread.join()

    def _watch(self) -> None:
        """Start the node, and start it again when it dies, until the end."""
        failures = 0
        while not self._halt.is_set():
            began = time.monotonic()
            words = self._run_once()
            if self._halt.is_set():
                return
            if not self._up.is_set():
                self._trouble = self._did_not_start(words)
                self._up.set()
                return
            failures = 1 if time.monotonic() - began >= STEADY_S else failures + 1
            wait_s = self._backoff.delay(failures, random.random)
            _log.warning("ended: %s; started again in %.1f s", words, wait_s, extra={"camera": self._name})
            self._halt.wait(wait_s)

    def _run_once(self) -> str:
        """One life of the node; returns its last words."""
        said: deque[str] = deque(maxlen=5)
        with self._lock:
            if self._halt.is_set():
                return ""
            process = self._process = _start(self._name, self._source, self._token, self._interval_s)
        assert process.stdout is not None
        try:
            for line in process.stdout:
                said.append(redact(line.strip()))
                if found := _URL.search(line):
                    self._register(found[0])
                else:
                    _log.info("%s", said[-1], extra={"camera": self._name})
        except BowerbirdError as error:
            said.append(error.message)
        finally:
            _stop(process)
            process.stdout.close()
        return " ".join(said) or f"exit code {process.returncode}"

    def _register(self, url: str) -> None:
        """Tell the store where it is now; what a person set otherwise stays."""
        known = {camera.name: camera for camera in self._store.cameras()}
        if self._name in known:
            now = replace(known[self._name], url=url, interval_s=self._interval_s, token=self._token, enabled=True)
            self._store.update_camera(now)
        else:
            self._store.add_camera(Camera(self._name, url, self._interval_s, self._token))
        self.url = url
        self._up.set()

    def _did_not_start(self, words: str) -> BowerbirdError:
        source = redact(self._source)
        return BowerbirdError(
            f"the camera {source} did not start: {words}",
            hint=f"Try it by hand: camera-node check --source '{source}'",
        )


def is_local(camera: Camera, name: str) -> bool:
    """Whether it is one that a LocalCamera of that name registered."""
    return camera.name == name and camera.url.startswith(LOOPBACK)


def switch_off(store: Store, name: str) -> None:
    """Poll it no longer; what it collected stays."""
    for camera in store.cameras():
        if is_local(camera, name) and camera.enabled:
            store.update_camera(replace(camera, enabled=False))


def _start(name: str, source: str, token: str, interval_s: float) -> subprocess.Popen[str]:
    idle_s = max(10.0, min(2 * interval_s, 120.0))  # a device is not opened anew for each picture
    said = {"CAMERA_SOURCE": source, "CAMERA_TOKEN": token, "CAMERA_IDLE_SECONDS": f"{idle_s:g}"}
    serve = ["-m", "hub.tether", "camera_node", "serve", "--host", "127.0.0.1", "--port", "0", "--name", name]
    return subprocess.Popen(
        [sys.executable, *serve],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**_environment(os.environ), **said, "PYTHONUNBUFFERED": "1"},
        start_new_session=True,  # Ctrl-C is for the hub, which ends its camera itself
    )


def _environment(env: Mapping[str, str]) -> dict[str, str]:
    """Without what is the hub's own: a camera needs no keys."""
    return {name: value for name, value in env.items() if not name.startswith(_NOT_FOR_IT)}


def _stop(process: subprocess.Popen[str]) -> None:
    """End it, by force if need be; fine when it is dead already."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
