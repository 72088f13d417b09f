"""Video URLs, from servers that end, hang and come back."""

import contextlib
import http.server
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from camera_node.camera import Camera, Patience
from camera_node.picture import Wanted
from camera_node.sources import prepare, stream
from shared.errors import CameraError
from shared.retry import Backoff

QUICK = Patience(idle_s=2, backoff=Backoff(base_s=0.05, cap_s=0.2))


class VideoServer(http.server.ThreadingHTTPServer):
    """Serves /video.avi, and /live: motion JPEG whose pictures count up, which may hang or break off."""

    daemon_threads = True

    def __init__(self, video: bytes) -> None:
        self.video = video
        self.running = threading.Event()
        self.running.set()
        self.up = True
        self.count = 0
        super().__init__(("127.0.0.1", 0), _Answer)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Answer(http.server.BaseHTTPRequestHandler):
    server: VideoServer

    def do_GET(self) -> None:
        if not self.server.up:
            self.send_error(404)
        elif self.path == "/video.avi":
            self.send_response(200)
            self.send_header("Content-Type", "video/x-msvideo")
            self.send_header("Content-Length", str(len(self.server.video)))
            self.end_headers()
            self.wfile.write(self.server.video)
        else:
            self._live()

    def _live(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        while self.server.up:
            self.server.running.wait(30)
            self.server.count += 1
            pixels = np.full((48, 64, 3), self.server.count % 25 * 10, np.uint8)
            jpeg = cv2.imencode(".jpg", pixels)[1].tobytes()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            self.wfile.write(head.encode() + jpeg + b"\r\n")
            time.sleep(0.03)

    def log_message(self, format: str, *args: object) -> None:
        pass

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):  # a client may go when it likes
            super().handle()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[VideoServer]:
    path = tmp_path / "video.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for number in range(20):
        writer.write(np.full((48, 64, 3), 12 * number + 5, np.uint8))
    writer.release()
    server = VideoServer(path.read_bytes())
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.up = False
    server.running.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def camera_at() -> Iterator[Callable[..., Camera]]:
    made: list[Camera] = []

    def make(url: str, patience: Patience = QUICK) -> Camera:
        made.append(Camera(prepare(url, Wanted()), patience=patience))
        return made[-1]

    yield make
    for camera in made:
        camera.stop()


def level(jpeg: bytes) -> int:
    pixels = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert pixels is not None
    return round(float(pixels.mean()))


def outcome(camera: Camera) -> str:
    try:
        return "fine" if camera.snapshot().jpeg else ""
    except CameraError as error:
        return error.reason


def becomes(camera: Camera, wanted: str, within_s: float = 15) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if outcome(camera) == wanted:
            return True
        time.sleep(0.05)
    return False


def test_a_live_stream_shows_the_present(server: VideoServer, camera_at: Callable[..., Camera]) -> None:
    camera = camera_at(f"{server.url}/live")
    camera.snapshot()
    time.sleep(0.5)
    shown, newest = level(camera.snapshot().jpeg), server.count % 25 * 10
    assert (newest - shown) % 250 <= 60  # at most six frames, 0.2 s, on their way


def test_a_video_file_plays_at_its_own_speed(server: VideoServer, camera_at: Callable[..., Camera]) -> None:
    camera = camera_at(f"{server.url}/video.avi")
    first = level(camera.snapshot().jpeg)
    time.sleep(0.5)
    assert level(camera.snapshot().jpeg) - first == pytest.approx(5 * 12, abs=26)


def test_a_stream_that_breaks_off_is_503_and_comes_back(server: VideoServer, camera_at: Callable[..., Camera]) -> None:
    camera = camera_at(f"{server.url}/live")
    assert camera.snapshot().live
    server.up = False
    assert becomes(camera, "no device")
    server.up = True
    assert becomes(camera, "fine")


def test_a_stream_that_hangs_is_stalled_or_gone_and_comes_back(
    server: VideoServer, camera_at: Callable[..., Camera], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "READ_TIMEOUT_MS", 500)
    camera = camera_at(f"{server.url}/live", Patience(answer_s=0.5, grab_s=2, backoff=QUICK.backoff))
    assert becomes(camera, "fine")
    server.running.clear()
    time.sleep(0.1)
    assert outcome(camera) in ("stalled", "no device")
    server.running.set()
    assert becomes(camera, "fine")


def test_nobody_at_the_address_is_no_device(camera_at: Callable[..., Camera]) -> None:
    camera = camera_at("rtsp://anna:s3cret@127.0.0.1:1/cam")
    with pytest.raises(CameraError) as caught:
        camera.snapshot()
    assert caught.value.reason == "no device"
    assert "s3cret" not in str(caught.value)
