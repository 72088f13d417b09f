"""`camera-node serve --source rtsp://…` against GStreamer's RTSP server."""

import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.devices

SMPTE = ("white", "yellow", "cyan", "green", "magenta", "red", "blue")
"""Across the upper two thirds of GStreamer's smpte pattern; its white is a light grey."""


class RtspCamera:
    """The source, which can be killed, frozen and started again at the same address."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"rtsp://127.0.0.1:{port}/cam"
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            ["/usr/bin/python3", str(Path(__file__).parent / "rtsp" / "server.py"), str(self.port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "up\n"

    def show(self, pattern: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{pattern}\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def has_client(self) -> bool:
        connections = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return any(state == "01" and local.endswith(f":{self.port:04X}") for _, local, _, state, *_ in connections)


@pytest.fixture
def source(environment: Callable[[str], Path]) -> Iterator[RtspCamera]:
    environment("rtsp")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    camera = RtspCamera(port)
    yield camera
    camera.kill()


def _colour(picture: Any) -> str:
    red, green, blue = (channel > 80 for channel in picture.reshape(-1, 3).mean(axis=0))
    return {(True, False, False): "red", (False, True, False): "green"}.get((red, green, blue), "other")


def test_a_streams_picture_has_its_size_and_colours(serve: Any, source: RtspCamera, read_bars: Any, bars: Any) -> None:
    node = serve(source.url)
    answer = node.until(200, within_s=20)
    assert answer.picture.shape == (480, 640, 3)
    assert read_bars(answer.picture[:300], SMPTE) == {name: bars[name] for name in SMPTE}
    assert answer.age_s < 1


def test_a_killed_source_is_503_with_its_reason_and_comes_back_by_itself(serve: Any, source: RtspCamera) -> None:
    node = serve(source.url)
    node.until(200, within_s=20)
    source.kill()
    gone = node.until(503, within_s=10)
    assert gone.text.strip()
    assert int(gone.headers["Retry-After"]) >= 1
    time.sleep(3)
    assert node.get().status == 503
    source.start()
    assert node.until(200, within_s=25).age_s < 1


def test_a_source_that_freezes_without_closing_is_503_stalled_and_recovers(serve: Any, source: RtspCamera) -> None:
    node = serve(source.url)
    node.until(200, within_s=20)
    source.freeze()
    stalled = node.until(503, within_s=15)
    assert "stalled" in stalled.text
    assert stalled.took_s < 10
    source.thaw()
    assert node.until(200, within_s=40).age_s < 1


def test_a_rare_reader_gets_the_present_and_not_what_was_buffered(serve: Any, source: RtspCamera) -> None:
    node = serve(source.url)
    node.until(200, within_s=20)
    source.show("red")
    node.until(200, 20, lambda answer: _colour(answer.picture) == "red")
    time.sleep(6)
    source.show("green")
    time.sleep(1)
    assert _colour(node.get().picture) == "green"


def test_an_idle_node_hangs_up_and_calls_again_when_asked(serve: Any, source: RtspCamera) -> None:
    node = serve(source.url, "--idle-seconds", "2")
    node.until(200, within_s=20)
    assert source.has_client()
    time.sleep(5)
    assert not source.has_client()
    assert node.get().status in (200, 503)
    assert node.until(200, within_s=20).age_s < 1


def test_a_password_in_the_address_is_never_shown(serve: Any, source: RtspCamera) -> None:
    node = serve(f"rtsp://admin:sesame-7@127.0.0.1:{source.port}/nowhere")
    answer = node.until(503, within_s=20, wanted=lambda answer: "starting" not in answer.text)
    assert "sesame-7" not in answer.text
    assert "sesame-7" not in node.log()
