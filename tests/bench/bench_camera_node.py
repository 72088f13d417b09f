"""What a camera node costs: CPU per snapshot, memory, requests a second, and what passing JPEGs through saves.

    python -m tests.bench camera_node [--seconds 5]

A real `camera-node serve` replays 720p JPEGs at 30 frames/s; the clients run in a process of their own on the same
machine. The last rows call the code path itself, in turns, since machines are noisy.
"""

import argparse
import contextlib
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import psutil

from camera_node.picture import Picture, Wanted, to_jpeg
from camera_node.sources.opencv import with_huffman_tables
from camera_node.sources.pattern import draw
from shared.image import with_capture_time

PHOTO = Path(__file__).resolve().parents[3] / "shared" / "data" / "photos" / "parrot.jpg"
Row = dict[str, str]


def main(arguments: list[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=5.0, help="for each measurement")
    rows = run(parser.parse_args(arguments).seconds)
    width = max(len(row["what"]) for row in rows)
    print(f"| {'what':{width}} | value |\n|{'-' * (width + 2)}|------:|")
    for row in rows:
        print(f"| {row['what']:{width}} | {row['value']} |")


def run(seconds: float = 5.0) -> list[Row]:
    """The rows of the table."""
    with tempfile.TemporaryDirectory() as folder:
        frames = _frames()
        for number, frame in enumerate(frames):
            (Path(folder) / f"{number:02}.jpg").write_bytes(frame)
        with _node(f"folder:{folder}?fps=30") as (process, port):
            rows = _serving(process, port, seconds)
    size_kb = sum(map(len, frames)) / len(frames) / 1000
    return [{"what": "snapshot, 1280×720", "value": f"{size_kb:.0f} kB"}, *rows, *_passthrough(frames, seconds)]


def _frames(count: int = 30) -> list[bytes]:
    """A real photo, panned; or a drawn scene where the photo is not at hand."""
    photo = cv2.imread(str(PHOTO)) if PHOTO.exists() else draw(1, 2.0, (1920, 1080))
    assert photo is not None
    photo = cv2.resize(photo, (1400, 800), interpolation=cv2.INTER_AREA)
    crops = (photo[n : n + 720, 4 * n : 4 * n + 1280] for n in range(count))
    return [cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes() for crop in crops]


def _serving(process: psutil.Process, port: int, seconds: float) -> list[Row]:
    rows = []
    _clients(port, clients=1, seconds=1)  # warm up
    for name, clients, rate in (
        ("1 client asking once a second", 1, 1.0),
        ("1 client at full speed", 1, 0.0),
        ("32 clients at full speed", 32, 0.0),
    ):
        before = _cpu_s(process)
        answers, took_s = _clients(port, clients, 2 * seconds if rate else seconds, rate)
        cost_ms = (_cpu_s(process) - before) / answers * 1000
        rows.append({"what": f"{name}: requests/s", "value": f"{answers / took_s:.0f}"})
        rows.append({"what": f"{name}: CPU per snapshot", "value": f"{cost_ms:.2f} ms"})
    rows.append({"what": "memory after that (own share of both processes)", "value": f"{_memory_mb(process):.0f} MB"})
    time.sleep(2.5)  # until the device is closed
    before = _cpu_s(process)
    time.sleep(2 * seconds)
    idle = (_cpu_s(process) - before) / (2 * seconds)
    return [*rows, {"what": "idle: CPU", "value": f"{100 * idle:.1f} %"}]


def _passthrough(frames: list[bytes], seconds: float) -> list[Row]:
    """One snapshot from a camera that gives MJPG: handed on, or decoded and encoded again."""

    def decoded(frame: bytes) -> Picture:
        pixels = cv2.imdecode(np.frombuffer(frame, np.uint8), cv2.IMREAD_COLOR)
        assert pixels is not None
        return pixels  # type: ignore[return-value]

    wanted = Wanted(quality=85)
    through = _cost_ms(lambda frame: to_jpeg(with_huffman_tables(frame), wanted), frames, seconds / 2)
    again = _cost_ms(lambda frame: to_jpeg(decoded(frame), wanted), frames, seconds / 2)
    through_once_more = _cost_ms(lambda frame: to_jpeg(with_huffman_tables(frame), wanted), frames, seconds / 2)
    dated = _cost_ms(lambda frame: with_capture_time(frame, 1.7e9), frames, seconds / 4)
    through = min(through, through_once_more)
    return [
        {"what": "MJPG frame decoded and encoded again: CPU", "value": f"{again:.2f} ms"},
        {"what": "MJPG frame passed through: CPU", "value": f"{through:.3f} ms"},
        {"what": "saved by passing through", "value": f"{100 * (1 - through / again):.1f} % ({again / through:.0f}×)"},
        {"what": "capture time into EXIF: CPU", "value": f"{dated:.3f} ms"},
    ]


def _cost_ms(work: Callable[[bytes], object], frames: list[bytes], seconds: float) -> float:
    """CPU milliseconds of one call."""
    began, until, calls = time.process_time(), time.monotonic() + seconds, 0
    for frame in itertools.cycle(frames):
        work(frame)
        calls += 1
        if time.monotonic() > until:
            break
    return (time.process_time() - began) / calls * 1000


# ── processes ────────────────────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def _node(source: str) -> Iterator[tuple[psutil.Process, int]]:
    command = [sys.executable, "-c", "from camera_node.cli import main; main()", "serve", "--source", source]
    flags = ["--host", "127.0.0.1", "--port", "0", "--idle-seconds", "2"]
    node = subprocess.Popen(command + flags, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert node.stdout
        found = re.search(r":(\d+)/image", node.stdout.readline())
        assert found, "the node did not start"
        yield psutil.Process(node.pid), int(found[1])
    finally:
        os.killpg(node.pid, signal.SIGTERM)
        node.communicate()


def _family(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def _cpu_s(process: psutil.Process) -> float:
    return sum(sum(member.cpu_times()[:2]) for member in _family(process))


def _memory_mb(process: psutil.Process) -> float:
    """Proportional set size: what the two processes share counts once."""
    return sum(float(member.memory_full_info().pss) for member in _family(process)) / 1e6


def _clients(port: int, clients: int, seconds: float, rate: float = 0.0) -> tuple[int, float]:
    """(answers, seconds) of that many clients in another process."""
    command = [sys.executable, __file__, "ask", str(port), str(clients), str(seconds), str(rate)]
    answers, took_s = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return answers, took_s


def _ask(port: int, seconds: float, rate: float, answers: list[int]) -> None:
    """One client on a kept connection."""
    request = b"GET /image.jpg HTTP/1.1\r\nHost: x\r\n\r\n"
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", port)) as connection, connection.makefile("rb") as reply:
        for count in itertools.count(1):
            connection.sendall(request)
            assert b" 200 " in reply.readline()
            length = 0
            while (line := reply.readline()) != b"\r\n":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            assert len(reply.read(length)) == length > 0
            answers.append(length)
            if time.monotonic() - began > seconds:
                return
            if rate:
                time.sleep(max(0.0, began + count / rate - time.monotonic()))


def _ask_in_threads(port: int, clients: int, seconds: float, rate: float) -> None:
    answers: list[int] = []
    began = time.monotonic()
    threads = [threading.Thread(target=_ask, args=(port, seconds, rate, answers)) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps((len(answers), time.monotonic() - began)))


if __name__ == "__main__":
    if sys.argv[1:2] == ["ask"]:
        _ask_in_threads(int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), float(sys.argv[5]))
    else:
        main(sys.argv[1:])
