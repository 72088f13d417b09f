"""A demonstration: real camera nodes replaying footage on loopback, and campaigns that watch them."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from threading import Thread

from shared.errors import BowerbirdError, InvalidInput

CAMERAS = 3
START_S = 20.0
_CHECKOUT = Path(__file__).resolve().parents[1]
_FILM = {".mp4", ".avi", ".mov", ".mkv", ".webm"}


@dataclass(frozen=True)
class DemoCamera:
    """A camera node that was started for the demonstration."""

    name: str
    url: str
    process: subprocess.Popen[str]


def footage(env: Mapping[str, str]) -> list[str]:
    """A camera source each for three cameras: films of HUB_DEMO_FOOTAGE, of the data pack beside a checkout, or
    scenes drawn by the node."""
    chosen = env.get("HUB_DEMO_FOOTAGE", "")
    folder = Path(chosen).expanduser() if chosen else _CHECKOUT.parent / "shared" / "data" / "video"
    if chosen and not folder.is_dir():
        raise InvalidInput(f"HUB_DEMO_FOOTAGE: there is no folder {folder}")
    films = _replayable(folder) if folder.is_dir() else []
    if chosen and not films:
        raise InvalidInput(f"HUB_DEMO_FOOTAGE: {folder} holds neither films nor folders of pictures")
    return [f"folder:{film}?fps=5" for film in films[:CAMERAS]] or [f"pattern?scene={n}" for n in range(1, CAMERAS + 1)]


def _replayable(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() or path.suffix.lower() in _FILM)


@contextmanager
def demo_cameras(sources: Sequence[str]) -> Iterator[list[DemoCamera]]:
    """Camera nodes serving `sources`; stopped on the way out, however that is."""
    started: list[DemoCamera] = []
    try:
        for n, source in enumerate(sources, 1):
            started.append(_start(f"demo-{n}", source))
        yield started
    finally:
        for camera in started:
            camera.process.send_signal(signal.SIGTERM)
        for camera in started:
            _stop(camera.process)


def _start(name: str, source: str) -> DemoCamera:
    command = [sys.executable, "-m", "camera_node", "serve", "--source", source, "--name", name]
    process = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # Ctrl-C is for the hub, which stops its cameras itself
    )
    said: Queue[str] = Queue()
    Thread(target=_drain, args=(process, said), daemon=True).start()
    lines: list[str] = []
    give_up_at = time.monotonic() + START_S
    while time.monotonic() < give_up_at and process.poll() is None:
        try:
            lines.append(said.get(timeout=0.1))
        except Empty:
            continue
        if found := re.search(r"http://\S+/image\.jpg", lines[-1]):
            return DemoCamera(name, found[0], process)
    _stop(process)
    raise BowerbirdError(
        f"the demo camera {name} did not start: {' '.join(lines).strip() or 'it said nothing'}",
        hint=f"Try it by hand: camera-node serve --source '{source}'",
    )


def _drain(process: subprocess.Popen[str], said: "Queue[str]") -> None:
    """Keep the pipe empty for as long as the node lives; only its first lines matter."""
    assert process.stdout is not None
    for line in process.stdout:
        if said.qsize() < 100:
            said.put(line)


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout:
        process.stdout.close()
