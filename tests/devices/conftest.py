"""What the device tests share: where their environments are, and a camera node run as the user runs it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

HERE = Path(__file__).resolve().parent
REPO = HERE.parents[1]
BUILD = Path(os.environ.get("BOWERBIRD_DEVICES_BUILD") or REPO / "build" / "devices")

LOUD = {"PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1"}
"""Environment of a node: what it says arrives, even when it crashes."""

BARS = {  # across colour bars, left to right, as red, green, blue
    "white": (1, 1, 1),
    "yellow": (1, 1, 0),
    "cyan": (0, 1, 1),
    "green": (0, 1, 0),
    "magenta": (1, 0, 1),
    "red": (1, 0, 0),
    "blue": (0, 0, 1),
    "black": (0, 0, 0),
}


@dataclass(frozen=True)
class Answer:
    """One answer of a node. `status` 0: none came within the time allowed. `took_s`: how long it took."""

    status: int
    headers: dict[str, str]
    body: bytes
    took_s: float

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")

    @property
    def age_s(self) -> float:
        return float(self.headers["X-Frame-Age-Ms"]) / 1000

    @property
    def picture(self) -> npt.NDArray[np.uint8]:
        """(height, width, 3), red first."""
        assert self.status == 200, f"{self.status}: {self.text}"
        decoded = cv2.imdecode(np.frombuffer(self.body, np.uint8), cv2.IMREAD_COLOR)
        assert decoded is not None, "not a picture"
        return np.ascontiguousarray(decoded[:, :, ::-1])


class Node:
    """A `camera-node serve` process."""

    def __init__(self, command: list[str], port: int, env: dict[str, str], log: Path) -> None:
        self.port, self.log_file = port, log
        self.url = f"http://127.0.0.1:{port}/image.jpg"
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                command, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )

    def get(self, timeout_s: float = 30, **headers: str) -> Answer:
        """One request, as a hub or a browser makes it."""
        request = urllib.request.Request(self.url, headers={k.replace("_", "-"): v for k, v in headers.items()})
        start = time.monotonic()
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as reply:
                status, head, body = reply.status, reply.headers, reply.read()
        except urllib.error.HTTPError as error:
            with error:
                status, head, body = error.code, error.headers, error.read()
        except OSError as error:
            return Answer(0, {}, str(error).encode(), time.monotonic() - start)
        return Answer(status, dict(head.items()), body, time.monotonic() - start)

    def until(self, status: int, within_s: float, wanted: Callable[[Answer], bool] = lambda _: True) -> Answer:
        """Asks twice a second until an answer has this status and is `wanted`."""
        end = time.monotonic() + within_s
        while True:
            answer = self.get(timeout_s=within_s)
            if answer.status == status and wanted(answer):
                return answer
            if time.monotonic() > end or self.process.poll() is not None:
                last = f"{answer.status} {answer.text[:200]!r}"
                raise AssertionError(f"no wanted {status} within {within_s:g} s, last: {last}\n{self.log()}")
            time.sleep(0.5)

    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def pids(self) -> list[int]:
        """Its processes (they share a session)."""
        wanted = self.process.pid
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == wanted:
                found.append(int(stat.parent.name))
        return found

    def holds(self, path: str) -> bool:
        """Whether one of its processes has `path` open."""
        for pid in self.pids():
            for fd in Path(f"/proc/{pid}/fd").glob("*"):
                try:
                    if str(fd.readlink()) == path:
                        return True
                except OSError:
                    continue
        return False

    def cpu_s(self) -> float:
        """Seconds of processor time its processes have used."""
        ticks = 0
        for pid in self.pids():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def stop(self, how: signal.Signals = signal.SIGTERM, within_s: float = 15) -> int | None:
        """Ends it; its exit code, or None where it had to be killed."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            return None
        finally:
            for pid in self.pids():
                os.kill(pid, signal.SIGKILL)
            self.process.wait()


Serve = Callable[..., Node]
Bars = dict[str, tuple[int, int, int]]
ReadBars = Callable[..., Bars]


@pytest.fixture
def node_command() -> list[str]:
    """How the node is started here; environments that run it elsewhere override this."""
    return [str(Path(sys.executable).with_name("camera-node"))]


@pytest.fixture
def node_env() -> dict[str, str]:
    return {**os.environ, **LOUD}


@pytest.fixture
def serve(node_command: list[str], node_env: dict[str, str], request: pytest.FixtureRequest) -> Iterator[Serve]:
    """Starts a node with these flags and waits until its port answers; ends it after the test.

    What the node said is shown with a failing test.
    """
    folder = Path(tempfile.mkdtemp(prefix="node-"))
    nodes: list[Node] = []

    def start(source: str, *flags: str, **env: str) -> Node:
        port = _free_port()
        command = [*node_command, "serve", "--source", source, "--port", str(port), *flags]
        node = Node(command, port, {**node_env, **env}, folder / f"{len(nodes)}.log")
        nodes.append(node)
        _await_port(node)
        return node

    yield start
    for node in nodes:
        node.stop()
        print(f"--- the node said:\n{node.log()}")
    shutil.rmtree(folder)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await_port(node: Node, within_s: float = 60) -> None:
    end = time.monotonic() + within_s
    while time.monotonic() < end and node.process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", node.port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail(f"the node does not listen (exit code {node.process.poll()}):\n{node.log()}")


def _colours_of_bars(picture: npt.NDArray[np.uint8], names: Sequence[str] = tuple(BARS)) -> Bars:
    """What stands where each of these bars should be: per channel whether it is lit."""
    width = picture.shape[1] // len(names)
    middle = picture[picture.shape[0] // 4 : picture.shape[0] * 3 // 4]
    found = {}
    for index, name in enumerate(names):
        patch = middle[:, index * width + width // 4 : (index + 1) * width - width // 4]
        red, green, blue = (int(channel > 80) for channel in patch.reshape(-1, 3).mean(axis=0))
        found[name] = (red, green, blue)
    return found


@pytest.fixture
def bars() -> Bars:
    """The colours that a picture of colour bars must show."""
    return BARS


@pytest.fixture
def read_bars() -> ReadBars:
    """Finds the colours of the bars in a picture."""
    return _colours_of_bars


def _why_not(name: str) -> str:
    """Why an environment can't be used, or ""."""
    missing = BUILD / f"{name}.missing"
    if missing.exists():
        return f"{name}: {missing.read_text().strip()}"
    return "" if (BUILD / f"{name}.built").exists() else f"{name}: not built; run make test-devices"


@pytest.fixture(scope="session")
def environment() -> Callable[[str], Path]:
    """The folder of an environment that `setup.sh` built; skips loudly where it could not."""

    def folder(name: str) -> Path:
        if reason := _why_not(name):
            pytest.skip(reason)
        return BUILD / name

    return folder


class Guest:
    """The virtual machine, running its tests."""

    LIMIT_S = 840

    def __init__(self, build: Path, tests: list[str]) -> None:
        self.log = build / "console.log"
        command = [str(HERE / "usb" / "boot.sh"), str(build), sys.executable, ",".join(tests)]
        with self.log.open("wb") as console:
            self.process = subprocess.Popen(command, stdout=console, stderr=console)

    def console(self) -> str:
        """What it said, once it has ended."""
        try:
            self.process.wait(self.LIMIT_S)
        except subprocess.TimeoutExpired:
            self.stop()
        return self.log.read_text(errors="replace")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="session", autouse=True)
def guest(request: pytest.FixtureRequest) -> Iterator[Guest | None]:
    """Starts the virtual machine before the first test, since it takes the longest, for the tests chosen of it."""
    wanted = [item.callspec.params["name"] for item in request.session.items if item.path == HERE / "test_usb.py"]
    if not wanted or _why_not("usb"):
        yield None
        return
    machine = Guest(BUILD / "usb", wanted)
    yield machine
    machine.stop()


@pytest.fixture
def compressed_pixels() -> Callable[[bytes], bytes]:
    """Takes a JPEG's compressed pixels out: what stays the same where only its headers were changed."""

    def scan(jpeg: bytes) -> bytes:
        at = jpeg.index(b"\xff\xda")
        return jpeg[at:].rstrip(b"\0")

    return scan
