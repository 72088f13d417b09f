"""`camera-node serve --source picamera` with the real picamera2 and libcamera, in a Debian 13 root."""

import concurrent.futures
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytestmark = pytest.mark.devices

HERE = Path(__file__).resolve().parent
ENTER = str(HERE / "picamera" / "enter.sh")
BUFFERS = "/memfd:fake-dma-buf (deleted)"
"""What a process holds while libcamera has the camera's buffers allocated."""


@pytest.fixture
def root(environment: Callable[[str], Path]) -> Path:
    return environment("picamera") / "root"


@pytest.fixture
def sensor(tmp_path: Path, bars: dict[str, tuple[int, int, int]]) -> Path:
    """A folder that is the sensor: it sees colour bars, with a strip below that differs from frame to frame."""
    (tmp_path / "frames").mkdir()
    for number in range(6):
        picture = np.zeros((720, 1280, 3), np.uint8)
        for index, rgb in enumerate(bars.values()):
            picture[:, index * 160 : (index + 1) * 160] = np.array(rgb[::-1]) * 255
        picture[660:] = number * 50
        cv2.imwrite(str(tmp_path / "frames" / f"{number}.jpg"), picture)
    return tmp_path


@pytest.fixture
def node_command(root: Path) -> list[str]:
    return [ENTER, str(root), "/opt/node/bin/camera-node"]


@pytest.fixture
def node_env(sensor: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1", "SENSOR": str(sensor)}


def test_the_picture_is_what_the_sensor_sees(serve: Any, read_bars: Any, bars: Any) -> None:
    node = serve("picamera", "--width", "1280", "--height", "720")
    answer = node.until(200, within_s=20)
    assert answer.picture.shape == (720, 1280, 3)
    assert read_bars(answer.picture) == bars
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert (b"Exif\0\0" in answer.body[:64]) == ("X-Timestamp" in answer.headers)


def test_a_picture_is_turned_when_rotation_is_asked_for(serve: Any, read_bars: Any, bars: Any) -> None:
    node = serve("picamera", "--width", "1280", "--height", "720", "--rotate", "180")
    turned = node.until(200, within_s=20).picture
    assert read_bars(turned[::-1, ::-1]) == bars


def test_pictures_follow_the_sensor(serve: Any) -> None:
    node = serve("picamera", "--width", "1280", "--height", "720")
    node.until(200, within_s=20)
    answers = [(node.get(), time.sleep(0.2 + 0.05 * number))[0] for number in range(8)]
    assert [answer.status for answer in answers] == [200] * 8
    assert len({answer.headers["ETag"] for answer in answers}) == 8
    assert len({int(answer.picture[690].mean()) // 25 for answer in answers}) >= 3
    assert max(answer.age_s for answer in answers) < 0.5


def test_eight_clients_share_the_camera(serve: Any) -> None:
    node = serve("picamera", "--width", "1280", "--height", "720")
    node.until(200, within_s=20)
    with concurrent.futures.ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(lambda _: node.get(), range(32)))
    assert {answer.status for answer in answers} == {200}


def test_no_camera_is_503_and_the_node_lives_on(serve: Any) -> None:
    node = serve("picamera", SENSOR="")
    answer = node.until(503, within_s=20, wanted=lambda answer: "starting" not in answer.text)
    assert "no camera" in answer.text.lower() or "no device" in answer.text.lower()
    assert int(answer.headers["Retry-After"]) >= 1
    assert node.get().status == 503
    assert node.process.poll() is None


def test_a_camera_held_by_another_program_is_503_busy_until_it_is_let_go(
    serve: Any, node_command: list[str], node_env: dict[str, str], tmp_path: Path
) -> None:
    hold = "import picamera2, time; c = picamera2.Picamera2(); print('held', flush=True); time.sleep(600)"
    command = [*node_command[:2], "/opt/node/bin/python", "-c", hold]
    with subprocess.Popen(command, env=node_env, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        node = serve("picamera", "--width", "1280", "--height", "720")
        answer = node.until(503, within_s=20, wanted=lambda answer: "starting" not in answer.text)
        other.kill()
    assert "busy" in answer.text.lower() or "in use" in answer.text.lower()
    assert node.until(200, within_s=25).age_s < 1


def test_an_idle_node_gives_the_camera_back_and_takes_it_again(serve: Any) -> None:
    node = serve("picamera", "--width", "1280", "--height", "720", "--idle-seconds", "2")
    node.until(200, within_s=20)
    assert node.holds(BUFFERS)
    time.sleep(5)
    assert not node.holds(BUFFERS)
    assert node.until(200, within_s=60).age_s < 1


def test_a_sensor_that_falls_silent_is_503_stalled_and_recovers(serve: Any, sensor: Path) -> None:
    node = serve("picamera", "--width", "1280", "--height", "720")
    node.until(200, within_s=20)
    (sensor / "silent").touch()
    answer = node.until(503, within_s=15)
    assert "stalled" in answer.text
    assert answer.took_s < 10
    (sensor / "silent").unlink()
    assert node.until(200, within_s=60).age_s < 1


def test_a_library_that_hangs_is_503_and_recovers(serve: Any, sensor: Path) -> None:
    node = serve("picamera", "--width", "1280", "--height", "720")
    node.until(200, within_s=20)
    (sensor / "hang").touch()
    assert node.until(503, within_s=15).took_s < 10
    with concurrent.futures.ThreadPoolExecutor(4) as clients:
        answers = list(clients.map(lambda _: node.get(), range(8)))
    assert {answer.status for answer in answers} == {503}
    assert max(answer.took_s for answer in answers) < 10
    (sensor / "hang").unlink()
    assert node.until(200, within_s=60).age_s < 1


def test_pictures_of_a_hardware_encoder_are_what_the_sensor_sees(serve: Any, read_bars: Any, bars: Any) -> None:
    node = serve("picamera", "--width", "1280", "--height", "720", VIRTUAL_CAMERA_ENCODER="hardware")
    answers = [node.until(200, within_s=20), *((time.sleep(0.2), node.get())[1] for _ in range(2))]
    assert read_bars(answers[0].picture) == bars
    assert len({answer.headers["ETag"] for answer in answers}) == 3


def test_a_silent_sensor_behind_a_hardware_encoder_is_503_stalled_and_recovers(serve: Any, sensor: Path) -> None:
    node = serve("picamera", "--width", "1280", "--height", "720", VIRTUAL_CAMERA_ENCODER="hardware")
    node.until(200, within_s=20)
    (sensor / "silent").touch()
    assert "stalled" in node.until(503, within_s=15).text
    (sensor / "silent").unlink()
    assert node.until(200, within_s=60).age_s < 1


def test_the_node_ends_promptly_while_the_camera_runs(serve: Any) -> None:
    node = serve("picamera", "--width", "1280", "--height", "720")
    node.until(200, within_s=20)
    start = time.monotonic()
    assert node.stop(signal.SIGTERM) == 0
    assert time.monotonic() - start < 8
