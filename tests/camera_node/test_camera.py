"""The capture thread: one device, any number of readers, and every way a device can fail."""

import concurrent.futures
import threading
import time
from collections.abc import Callable, Iterator

import cv2
import numpy as np
import pytest

from camera_node.camera import MAX_STUCK_THREADS, Camera, Opener, Patience, Shot
from camera_node.picture import Picture, Wanted
from shared.errors import CameraError, ImageError
from shared.retry import Backoff

FAST = Patience(idle_s=0.4, answer_s=0.6, open_s=0.5, grab_s=0.3, backoff=Backoff(base_s=0.02, cap_s=0.05))
JPEG = cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes()


class Device:
    """A camera on a bench: plugged or not, delivering or not, and it counts who uses it and how."""

    live = True

    def __init__(self, fps: float = 100.0) -> None:
        self.fps = fps
        self.plugged = True
        self.opening = threading.Event()
        self.running = threading.Event()
        self.opening.set()
        self.running.set()
        self.opened = self.closed = self.retrieved = 0
        self.users: set[int] = set()
        self.picture: Callable[[], Picture] = lambda: JPEG

    def open(self) -> "Device":
        self.opening.wait(10)
        if not self.plugged:
            raise CameraError("no device", "no device: unplugged")
        self.opened += 1
        return self

    def grab(self) -> float:
        self.users.add(threading.get_ident())
        time.sleep(1 / self.fps)
        self.running.wait(10)
        if not self.plugged:
            raise CameraError("no device", "no device: unplugged")
        return time.monotonic()

    def retrieve(self) -> Picture:
        self.retrieved += 1
        return self.picture()

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def device() -> Iterator[Device]:
    device = Device()
    yield device
    device.opening.set()
    device.running.set()


Make = Callable[..., Camera]


@pytest.fixture
def camera_on() -> Iterator[Make]:
    made: list[Camera] = []

    def make(opener: Opener, patience: Patience = FAST, wanted: Wanted | None = None) -> Camera:
        made.append(Camera(opener, wanted, patience))
        return made[-1]

    yield make
    for camera in made:
        camera.stop()


def failure(camera: Camera) -> CameraError:
    with pytest.raises(CameraError) as caught:
        camera.snapshot()
    return caught.value


def eventually(fact: Callable[[], object], within_s: float = 3.0) -> None:
    deadline = time.monotonic() + within_s
    while not fact():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)


def recovers(camera: Camera, within_s: float = 3.0) -> Shot:
    deadline = time.monotonic() + within_s
    while True:
        try:
            return camera.snapshot()
        except CameraError:
            assert time.monotonic() < deadline, "it never recovered"
            time.sleep(0.02)


# ── freshness and sharing ────────────────────────────────────────────────────────────────────────────


def test_the_device_is_opened_by_the_first_request(device: Device, camera_on: Make) -> None:
    camera = camera_on(device.open)
    time.sleep(0.1)
    assert device.opened == 0
    assert camera.snapshot().jpeg == JPEG
    assert device.opened == 1


def test_a_picture_is_at_most_one_frame_interval_old_when_asked_for(device: Device, camera_on: Make) -> None:
    camera = camera_on(device.open)
    for _ in range(20):
        asked = time.monotonic()
        assert camera.snapshot().clock >= asked - 1 / device.fps
        time.sleep(0.013)


def test_max_age_0_waits_for_a_picture_taken_after_the_request(device: Device, camera_on: Make) -> None:
    camera = camera_on(device.open, Patience(max_age_s=0))
    for _ in range(5):
        asked = time.monotonic()
        assert camera.snapshot().clock >= asked


def test_a_generous_max_age_is_served_at_once(device: Device, camera_on: Make) -> None:
    device.fps = 10.0
    camera = camera_on(device.open, Patience(max_age_s=60))
    first = camera.snapshot()
    assert camera.snapshot() is first


def test_capture_time_is_on_both_clocks(device: Device, camera_on: Make) -> None:
    shot = camera_on(device.open).snapshot()
    assert shot.taken_at == pytest.approx(time.time(), abs=0.5)
    assert shot.clock == pytest.approx(time.monotonic(), abs=0.5)


def test_sixty_readers_share_one_thread_and_one_device(device: Device, camera_on: Make) -> None:
    camera = camera_on(device.open)
    with concurrent.futures.ThreadPoolExecutor(60) as readers:
        shots = list(readers.map(lambda _: camera.snapshot(), range(300)))
    assert len(shots) == 300
    assert device.opened == 1
    assert len(device.users) == 1


def test_two_cameras_in_one_process_know_nothing_of_each_other(camera_on: Make) -> None:
    one, two = Device(), Device()
    two.plugged = False
    first, second = camera_on(one.open), camera_on(two.open)
    assert failure(second).reason == "no device"
    assert first.snapshot().jpeg == JPEG
    assert first.boot != second.boot


def test_pictures_that_nobody_asks_for_are_not_retrieved(device: Device, camera_on: Make) -> None:
    camera = camera_on(device.open, Patience(idle_s=5))
    camera.snapshot()
    time.sleep(0.3)
    assert device.retrieved <= 2


def test_rare_pictures_are_retrieved_so_that_nobody_has_to_wait_for_the_next(device: Device, camera_on: Make) -> None:
    device.fps = 4.0
    camera = camera_on(device.open, Patience(idle_s=5))
    camera.snapshot()
    time.sleep(0.6)
    asked = time.monotonic()
    camera.snapshot()
    assert time.monotonic() - asked < 0.1


def test_numbers_grow_with_each_picture(device: Device, camera_on: Make) -> None:
    camera = camera_on(device.open, Patience(max_age_s=0))
    assert [camera.snapshot().seq for _ in range(4)] == [1, 2, 3, 4]


# ── idle ─────────────────────────────────────────────────────────────────────────────────────────────


def test_an_idle_device_is_closed_and_its_thread_ends(device: Device, camera_on: Make) -> None:
    camera = camera_on(device.open)
    camera.snapshot()
    eventually(lambda: device.closed == 1 and not camera.is_open)
    assert not any(thread.name == "capture" for thread in threading.enumerate())


def test_a_device_in_use_stays_open(device: Device, camera_on: Make) -> None:
    camera = camera_on(device.open)
    for _ in range(8):
        camera.snapshot()
        time.sleep(0.1)
    assert (device.opened, device.closed) == (1, 0)


def test_a_request_after_idling_opens_it_again_with_a_new_picture(device: Device, camera_on: Make) -> None:
    camera = camera_on(device.open)
    first = camera.snapshot()
    eventually(lambda: not camera.is_open)
    again = camera.snapshot()
    assert device.opened == 2
    assert again.seq > first.seq
    assert again.clock > first.clock + FAST.idle_s


def test_a_failing_device_is_left_alone_when_nobody_asks(device: Device, camera_on: Make) -> None:
    device.plugged = False
    camera = camera_on(device.open)
    assert failure(camera).reason == "no device"
    eventually(lambda: not camera.is_open)


# ── failures ─────────────────────────────────────────────────────────────────────────────────────────


def test_no_device_is_said_at_once_and_forgotten_when_it_is_plugged_in(device: Device, camera_on: Make) -> None:
    device.plugged = False
    camera = camera_on(device.open)
    began = time.monotonic()
    error = failure(camera)
    assert error.message == "no device: unplugged"
    assert error.retry_after_s is not None
    assert error.retry_after_s >= 1
    assert time.monotonic() - began < FAST.answer_s / 2
    device.plugged = True
    assert recovers(camera).jpeg == JPEG


def test_unplugging_is_said_and_replugging_recovers(device: Device, camera_on: Make) -> None:
    camera = camera_on(device.open)
    camera.snapshot()
    device.plugged = False
    eventually(lambda: _reason(camera) == "no device")
    assert device.closed >= 1
    device.plugged = True
    asked = time.monotonic()
    assert recovers(camera).clock > asked


def _reason(camera: Camera) -> str:
    try:
        camera.snapshot()
    except CameraError as error:
        return error.reason
    return ""


def test_a_slow_opening_is_called_starting(device: Device, camera_on: Make) -> None:
    device.opening.clear()
    camera = camera_on(device.open, Patience(answer_s=0.2))
    assert failure(camera).reason == "starting"
    device.opening.set()
    assert recovers(camera).jpeg == JPEG


def test_a_device_that_hangs_is_called_stalled_within_the_time_to_answer(device: Device, camera_on: Make) -> None:
    camera = camera_on(device.open)
    camera.snapshot()
    device.running.clear()
    time.sleep(0.05)
    began = time.monotonic()
    assert failure(camera).reason == "stalled"
    assert time.monotonic() - began < FAST.answer_s + 0.3


def test_a_stuck_thread_is_left_behind_and_the_device_opened_by_another(device: Device, camera_on: Make) -> None:
    stuck, fresh = device, Device()
    devices = [stuck, fresh]
    camera = camera_on(lambda: devices.pop(0).open())
    camera.snapshot()
    stuck.running.clear()
    eventually(lambda: _reason(camera) == "" and fresh.retrieved > 0)
    stuck.running.set()
    eventually(lambda: stuck.closed == 1)
    assert fresh.closed == 0


def test_a_thread_that_was_left_behind_publishes_nothing_when_it_wakes(camera_on: Make) -> None:
    stuck, fresh = Device(), Device()

    awake = threading.Event()

    def hang() -> Picture:
        awake.wait(10)
        return JPEG + b"stale"

    stuck.picture = hang
    fresh.picture = lambda: JPEG + b"fresh"
    devices = [stuck, fresh]
    camera = camera_on(lambda: devices.pop(0).open())
    assert recovers(camera).jpeg == JPEG + b"fresh"
    awake.set()
    eventually(lambda: stuck.closed == 1)
    assert camera.snapshot().jpeg == JPEG + b"fresh"


def test_an_opening_that_hangs_is_left_behind_too(camera_on: Make) -> None:
    stuck, fresh = Device(), Device()
    stuck.opening.clear()
    devices = [stuck, fresh]
    camera = camera_on(lambda: devices.pop(0).open())
    assert recovers(camera).jpeg == JPEG
    stuck.opening.set()
    eventually(lambda: stuck.closed == 1)


def test_stuck_threads_are_bounded_and_it_recovers_when_they_let_go(device: Device, camera_on: Make) -> None:
    device.running.clear()
    camera = camera_on(device.open, Patience(answer_s=0.05, grab_s=0.05))
    for _ in range(40):
        assert failure(camera).reason == "stalled"
        time.sleep(0.02)
    threads = [thread for thread in threading.enumerate() if thread.name == "capture"]
    assert len(threads) == MAX_STUCK_THREADS
    assert "replug" in failure(camera).message
    device.running.set()
    assert recovers(camera).jpeg == JPEG


def test_anything_a_driver_raises_is_survived(device: Device, camera_on: Make) -> None:
    def explode() -> Picture:
        raise ZeroDivisionError("driver bug")

    device.picture = explode
    camera = camera_on(device.open)
    assert failure(camera).message == "unavailable: driver bug"
    device.picture = lambda: JPEG
    assert recovers(camera).jpeg == JPEG


def test_a_close_that_raises_is_survived(device: Device, camera_on: Make) -> None:
    class Clinging(Device):
        def close(self) -> None:
            super().close()
            raise OSError("busy")

    clinging = Clinging()
    camera = camera_on(clinging.open)
    camera.snapshot()
    clinging.plugged = False
    eventually(lambda: _reason(camera) == "no device")
    clinging.plugged = True
    assert recovers(camera).jpeg == JPEG


# ── damaged pictures ─────────────────────────────────────────────────────────────────────────────────


def test_a_torn_picture_now_and_then_is_skipped(device: Device, camera_on: Make) -> None:
    pictures = iter([JPEG[:-40], b"\xff\xd8garbage", JPEG])
    device.picture = lambda: next(pictures, JPEG)
    assert camera_on(device.open).snapshot().jpeg == JPEG
    assert device.retrieved >= 3


def test_nothing_but_damaged_pictures_is_a_failure(device: Device, camera_on: Make) -> None:
    device.picture = lambda: JPEG[:-40]
    error = failure(camera_on(device.open, Patience(answer_s=2)))
    assert error.reason == "unavailable"
    assert "30 damaged pictures in a row" in error.message


def test_a_source_that_cannot_decode_one_picture_goes_on(device: Device, camera_on: Make) -> None:
    seen = iter([True])

    def first_fails() -> Picture:
        if next(seen, False):
            raise ImageError("undecodable", "lost packet")
        return JPEG

    device.picture = first_fails
    assert camera_on(device.open).snapshot().jpeg == JPEG


# ── stopping ─────────────────────────────────────────────────────────────────────────────────────────


def test_stopping_closes_the_device_and_sends_waiting_readers_away(device: Device, camera_on: Make) -> None:
    device.opening.clear()
    camera = camera_on(device.open, Patience(answer_s=30))
    with concurrent.futures.ThreadPoolExecutor(1) as reader:
        waiting = reader.submit(failure, camera)
        time.sleep(0.1)
        began = time.monotonic()
        camera.stop(wait_s=0.2)
        assert waiting.result(1).reason == "stopping"
    assert time.monotonic() - began < 1
    device.opening.set()
    eventually(lambda: device.closed == device.opened)


def test_a_stopped_camera_stays_stopped(device: Device, camera_on: Make) -> None:
    camera = camera_on(device.open)
    camera.snapshot()
    camera.stop()
    assert device.closed == 1
    assert failure(camera).reason == "stopping"
    assert device.opened == 1
