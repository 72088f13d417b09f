"""What a node must do with a USB camera; runs inside the virtual machine (see guest.py), not here.

/dev/video0 is the kernel's `vivid` camera: YUYV, raw frames, faults on demand. A second camera is plugged
in and out through USB/IP by the tests that use `usb`: MJPG, driven by the kernel's `uvcvideo`.
"""

import concurrent.futures
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest
from uvc_camera import UvcCamera

VIVID = "/dev/video0"
SIZE = ("--width", "640", "--height", "480")
FULL_HD = ("--width", "1920", "--height", "1080")
FIRST_PICTURE_S = 60
"""Until a node gives its first picture; the processor is emulated, some twenty times slower than a real one."""


def _control(**values: int) -> None:
    for name, value in values.items():
        subprocess.run(["v4l2-ctl", "-d", VIVID, "-c", f"{name}={value}"], check=True)


@pytest.fixture
def vivid() -> str:
    """The source name of vivid, showing plain colour bars."""
    _control(test_pattern=1, osd_text_mode=2, horizontal_movement=3, brightness=128)
    return f"opencv:{VIVID}"


def _scene(rgb: tuple[int, int, int] | None, bars: dict[str, tuple[int, int, int]]) -> list[bytes]:
    """Six JPEGs of colour bars, or of one colour, each with a strip of its own below."""
    frames = []
    for number in range(6):
        picture = np.zeros((480, 640, 3), np.uint8)
        for index, bar in enumerate(bars.values()):
            picture[:, index * 80 : (index + 1) * 80] = np.array((rgb or bar)[::-1]) * 255
        picture[440:] = number * 40
        frames.append(cv2.imencode(".jpg", picture)[1].tobytes())
    return frames


@pytest.fixture
def usb(bars: dict[str, tuple[int, int, int]]) -> Iterator[UvcCamera]:
    camera = UvcCamera(_scene(None, bars), (640, 480))
    camera.plug()
    yield camera
    if camera.plugged:
        camera.unplug()


def _without_tables(jpeg: bytes) -> bytes:
    """The JPEG as most webcams send it: no Huffman tables, since Motion-JPEG implies the standard ones."""
    at, kept = 2, [jpeg[:2]]
    while jpeg[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
        if jpeg[at + 1] != 0xC4:
            kept.append(jpeg[at:end])
        at = end
    return b"".join([*kept, jpeg[at:]])


# ── vivid: a camera of raw frames ────────────────────────────────────────────────────────────────────────


def test_a_camera_without_mjpg_gives_a_picture_of_the_size_asked_for(serve: Any, vivid: str) -> None:
    answer = serve(vivid, *SIZE).until(200, FIRST_PICTURE_S)
    assert answer.picture.shape == (480, 640, 3)
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert int(answer.headers["Content-Length"]) == len(answer.body)
    assert (b"Exif\0\0" in answer.body[:64]) == ("X-Timestamp" in answer.headers)


def test_colour_bars_keep_their_order_and_their_colours(serve: Any, vivid: str, read_bars: Any, bars: Any) -> None:
    assert read_bars(serve(vivid, *SIZE).until(200, FIRST_PICTURE_S).picture) == bars


def test_auto_finds_the_camera(serve: Any, vivid: str, read_bars: Any, bars: Any) -> None:
    node = serve("auto", *SIZE)
    assert read_bars(node.until(200, FIRST_PICTURE_S).picture) == bars


def test_several_clients_share_the_camera_and_pictures_stay_fresh(serve: Any, vivid: str) -> None:
    _control(horizontal_movement=6)
    node = serve(vivid, *SIZE)
    node.until(200, FIRST_PICTURE_S)
    with concurrent.futures.ThreadPoolExecutor(4) as clients:
        answers = list(clients.map(lambda _: node.get(), range(12)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) >= 3
    assert max(answer.age_s for answer in answers) < 1


def test_an_idle_camera_is_let_go_and_taken_again(serve: Any, vivid: str) -> None:
    node = serve(vivid, *SIZE, "--idle-seconds", "2")
    assert not node.holds(VIVID)
    node.until(200, FIRST_PICTURE_S)
    assert node.holds(VIVID)
    time.sleep(5)
    assert not node.holds(VIVID)
    assert node.until(200, FIRST_PICTURE_S).age_s < 1


def test_a_camera_held_by_another_program_is_503_busy_until_it_is_let_go(serve: Any, vivid: str) -> None:
    with subprocess.Popen(["v4l2-ctl", "-d", VIVID, "--stream-mmap"], stderr=subprocess.DEVNULL) as other:
        time.sleep(1)
        node = serve(vivid, *SIZE)
        answer = node.until(503, FIRST_PICTURE_S, lambda answer: "starting" not in answer.text)
        other.terminate()
    assert "busy" in answer.text or "in use" in answer.text
    assert node.until(200, FIRST_PICTURE_S).age_s < 1


def test_a_disconnect_under_an_open_camera_is_survived(serve: Any, vivid: str) -> None:
    node = serve(vivid, *SIZE)
    before = node.until(200, FIRST_PICTURE_S)
    _control(disconnect=1)
    answers = [node.get() for _ in range(4)]
    assert {answer.status for answer in answers} <= {200, 503}
    assert all(answer.age_s < 1 for answer in answers if answer.status == 200)
    assert node.until(200, FIRST_PICTURE_S).headers["ETag"] != before.headers["ETag"]


def test_a_driver_that_fails_for_good_in_mid_stream_is_opened_again(serve: Any, vivid: str) -> None:
    node = serve(vivid, *SIZE)
    before = node.until(200, FIRST_PICTURE_S)
    _control(inject_fatal_streaming_error=1)
    after = node.until(200, 30, lambda answer: answer.headers["ETag"] != before.headers["ETag"])
    assert after.age_s < 1
    assert after.picture.shape == (480, 640, 3)


def test_a_driver_that_refuses_to_start_once_is_tried_again(serve: Any, vivid: str) -> None:
    _control(inject_vidioc_streamon_error=1)
    assert serve(vivid, *SIZE).until(200, FIRST_PICTURE_S).picture.shape == (480, 640, 3)


def test_a_node_killed_hard_leaves_the_camera_usable(serve: Any, vivid: str) -> None:
    first = serve(vivid, *SIZE)
    first.until(200, FIRST_PICTURE_S)
    first.stop(signal.SIGKILL)
    assert serve(vivid, *SIZE).until(200, FIRST_PICTURE_S).age_s < 1


def test_a_node_ends_promptly_while_its_camera_runs(serve: Any, vivid: str) -> None:
    node = serve(vivid, *SIZE)
    node.until(200, FIRST_PICTURE_S)
    start = time.monotonic()
    assert node.stop(signal.SIGTERM) == 0
    assert time.monotonic() - start < 10


def test_no_device_at_that_path_is_503_and_names_it(serve: Any) -> None:
    answer = serve("opencv:/dev/video7").until(503, FIRST_PICTURE_S, lambda answer: "starting" not in answer.text)
    assert "/dev/video7" in answer.text
    assert int(answer.headers["Retry-After"]) >= 1


# ── USB: a camera of MJPG that can be unplugged ──────────────────────────────────────────────────────────


def test_mjpg_is_passed_through_without_decode_and_encode(
    serve: Any, usb: UvcCamera, compressed_pixels: Any, read_bars: Any, bars: Any
) -> None:
    node = serve(f"opencv:{usb.path}")
    answer = node.until(200, FIRST_PICTURE_S)
    sent = {compressed_pixels(frame) for frame in usb.frames}
    assert {compressed_pixels(body.body) for body in (answer, node.get(), node.get())} <= sent
    assert read_bars(answer.picture[:430]) == bars
    assert (b"Exif\0\0" in answer.body[:64]) == ("X-Timestamp" in answer.headers)


def test_mjpg_is_found_by_auto_where_it_is_the_only_camera_that_works(
    serve: Any, usb: UvcCamera, compressed_pixels: Any
) -> None:
    with subprocess.Popen(["v4l2-ctl", "-d", VIVID, "--stream-mmap"], stderr=subprocess.DEVNULL) as other:
        time.sleep(1)
        answer = serve("auto", *SIZE).until(200, FIRST_PICTURE_S)
        other.terminate()
    assert compressed_pixels(answer.body) in {compressed_pixels(frame) for frame in usb.frames}


def test_mjpg_without_huffman_tables_arrives_as_a_complete_jpeg(
    serve: Any, usb: UvcCamera, read_bars: Any, bars: Any
) -> None:
    usb.frames = [_without_tables(frame) for frame in usb.frames]
    answer = serve(f"opencv:{usb.path}", *SIZE).until(200, FIRST_PICTURE_S)
    assert b"\xff\xc4" in answer.body.partition(b"\xff\xda")[0]
    assert read_bars(answer.picture[:430]) == bars


def test_mjpg_is_turned_when_rotation_is_asked_for(serve: Any, usb: UvcCamera, read_bars: Any, bars: Any) -> None:
    answer = serve(f"opencv:{usb.path}", *SIZE, "--rotate", "180").until(200, FIRST_PICTURE_S)
    assert read_bars(answer.picture[::-1, ::-1][:430]) == bars


def test_an_unplugged_camera_is_503_within_seconds_and_is_back_when_plugged_in(serve: Any, usb: UvcCamera) -> None:
    node = serve(f"opencv:{usb.path}", *SIZE)
    node.until(200, FIRST_PICTURE_S)
    usb.unplug()
    gone = node.until(503, 8)
    assert gone.took_s < 8
    assert usb.path in node.until(503, 20, lambda answer: usb.path in answer.text).text
    assert not node.holds(usb.path)
    assert usb.plug() == usb.path
    assert node.until(200, FIRST_PICTURE_S).age_s < 1


def test_a_camera_that_stops_sending_is_503_stalled_and_recovers(serve: Any, usb: UvcCamera) -> None:
    node = serve(f"opencv:{usb.path}", *SIZE)
    node.until(200, FIRST_PICTURE_S)
    usb.stalled = True
    answer = node.until(503, 20)
    assert "stalled" in answer.text
    assert answer.took_s < 12
    usb.stalled = False
    assert node.until(200, FIRST_PICTURE_S).age_s < 1


def test_pictures_cut_off_on_the_cable_are_never_served(serve: Any, usb: UvcCamera) -> None:
    node = serve(f"opencv:{usb.path}", *SIZE)
    node.until(200, FIRST_PICTURE_S)
    usb.cut = 0.6
    time.sleep(1.5)
    answers = [node.get() for _ in range(3)]
    assert all(answer.body.rstrip(b"\0").endswith(b"\xff\xd9") for answer in answers if answer.status == 200)
    assert any(answer.status == 503 for answer in answers)
    usb.cut = 1.0
    assert node.until(200, FIRST_PICTURE_S).body.rstrip(b"\0").endswith(b"\xff\xd9")


def test_a_rare_reader_gets_the_present_and_not_the_drivers_old_buffers(
    serve: Any, usb: UvcCamera, bars: dict[str, tuple[int, int, int]]
) -> None:
    node = serve(f"opencv:{usb.path}", *SIZE, "--idle-seconds", "30")
    node.until(200, FIRST_PICTURE_S)
    time.sleep(4)
    usb.frames = _scene((1, 0, 0), bars)
    time.sleep(0.5)
    red, green, blue = node.get().picture[:430].reshape(-1, 3).mean(axis=0)
    assert red > 200
    assert max(green, blue) < 60


def test_passing_mjpg_through_takes_a_fraction_of_the_work_of_encoding(serve: Any, usb: UvcCamera) -> None:
    """Per full-HD picture, one request each; printed, since emulation distorts the figure."""
    usb.unplug()
    usb.size_wh = (1920, 1080)
    texture = np.random.default_rng(7).integers(0, 255, (270, 480, 3), np.uint8)
    usb.frames = [cv2.imencode(".jpg", cv2.resize(texture, usb.size_wh))[1].tobytes()]
    usb.plug()
    passed = _cost_ms(serve(f"opencv:{usb.path}", *FULL_HD))
    turned = _cost_ms(serve(f"opencv:{usb.path}", *FULL_HD, "--rotate", "180"))
    print(f"ms per picture: passed through {passed:.1f}, decoded, turned and encoded {turned:.1f}")
    assert passed < 0.5 * turned


def _cost_ms(node: Any) -> float:
    """Processor time per picture served; ends the node."""
    node.until(200, FIRST_PICTURE_S)
    before = node.cpu_s()
    assert [node.get().status for _ in range(12)] == [200] * 12
    spent_s = node.cpu_s() - before
    node.stop()
    return spent_s / 12 * 1000
