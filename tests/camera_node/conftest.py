"""Real nodes: processes that serve on real sockets."""

import contextlib
import http.client
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import cv2
import numpy as np
import psutil
import pytest

COMMAND = [sys.executable, "-c", "from camera_node.cli import main; main()"]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def pixels(self) -> np.ndarray[Any, Any]:
        """The picture, BGR."""
        pixels = cv2.imdecode(np.frombuffer(self.body, np.uint8), cv2.IMREAD_COLOR)
        assert pixels is not None
        return pixels


@dataclass
class Node:
    """A `camera-node serve` process."""

    process: subprocess.Popen[str]
    url: str
    port: int = field(init=False)

    def __post_init__(self) -> None:
        self.port = urlsplit(self.url).port or 0

    def get(self, path: str = "/image.jpg", method: str = "GET", **headers: str) -> Answer:
        """One request on a connection of its own. Header names are written with _ for -."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        with contextlib.closing(connection):
            connection.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())

    def until(self, status: int, within_s: float = 10.0) -> Answer:
        """Ask until the answer has this status."""
        deadline = time.monotonic() + within_s
        while (answer := self.get()).status != status:
            assert time.monotonic() < deadline, (answer.status, answer.text[:200])
            time.sleep(0.1)
        return answer

    def family(self) -> list[psutil.Process]:
        """The process and its children."""
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]

    def cpu_s(self) -> float:
        """CPU seconds used so far by all of it."""
        return sum(sum(process.cpu_times()[:2]) for process in self.family())

    def stop(self, sig: int = signal.SIGTERM) -> tuple[int, float]:
        """(exit code, seconds until it had gone)."""
        began = time.monotonic()
        os.killpg(self.process.pid, sig) if sig == signal.SIGINT else self.process.send_signal(sig)
        code = self.process.wait(10)
        return code, time.monotonic() - began


Serve = Callable[..., Node]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start a node: `serve(source, *flags, **environment)`."""
    nodes: list[subprocess.Popen[str]] = []

    def start(source: str | None, *flags: str, **env: str) -> Node:
        log = (tmp_path / f"node{len(nodes)}.log").open("w")
        chosen = ["--source", source] if source is not None else []
        process = subprocess.Popen(
            [*COMMAND, "serve", *chosen, "--host", "127.0.0.1", "--port", "0", *flags],
            stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True, cwd=tmp_path,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **env},
        )  # fmt: skip
        nodes.append(process)
        log.close()
        assert process.stdout
        found = re.search(r"http://\S+", line := process.stdout.readline())
        assert found, (line, (tmp_path / f"node{len(nodes) - 1}.log").read_text())
        return Node(process, found[0])

    yield start
    for process in nodes:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(5)
        assert process.stdout
        process.stdout.close()


@pytest.fixture
def run() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command that ends by itself."""

    def call(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *arguments],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            env={**os.environ, **env},
        )

    return call


@pytest.fixture
def stills(tmp_path: Path) -> Path:
    """A folder of four JPEGs, 64×48, whose colours tell which is which."""
    folder = tmp_path / "stills"
    folder.mkdir()
    for number in range(4):
        pixels = np.full((48, 64, 3), 40 + 50 * number, np.uint8)
        pixels[:, :16] = (255, 0, 0)
        cv2.imwrite(str(folder / f"{number}.jpg"), pixels)
    return folder
