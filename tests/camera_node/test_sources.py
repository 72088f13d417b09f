"""Sources that need no device: replay, pattern, and what is decided before a device is touched."""

import itertools
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from camera_node.camera import Opener, Source
from camera_node.picture import Wanted, to_jpeg
from camera_node.sources import SOURCES, auto, prepare
from camera_node.sources.opencv import with_huffman_tables
from camera_node.sources.pace import Pace
from camera_node.sources.pattern import draw
from shared import jpeg as jpeg_file
from shared.errors import CameraError, ImageError, InvalidInput
from shared.image import image_facts

FAST = "?fps=200"


def take(source: Source, count: int, wanted: Wanted | None = None) -> list[bytes]:
    taken = []
    for _ in range(count):
        source.grab()
        taken.append(to_jpeg(source.retrieve(), wanted or Wanted()))
    source.close()
    return taken


def replay(path: Path, options: str = FAST, wanted: Wanted | None = None) -> Opener:
    return prepare(f"folder:{path}{options}", wanted or Wanted())


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A video of ten frames at 20 fps, each a little brighter."""
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 20, (64, 48))
    for number in range(10):
        writer.write(np.full((48, 64, 3), 20 * number + 20, np.uint8))
    writer.release()
    return path


def brightness(jpeg: bytes) -> int:
    pixels = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    return round(float(pixels.mean()))


# ── replay ───────────────────────────────────────────────────────────────────────────────────────────


def test_jpeg_files_come_out_byte_for_byte_in_name_order_over_and_over(stills: Path) -> None:
    files = [file.read_bytes() for file in sorted(stills.iterdir())]
    assert take(replay(stills)(), 9) == files + files + files[:1]


def test_a_replay_is_not_live_so_nothing_is_added_to_its_files(stills: Path) -> None:
    source = replay(stills)()
    assert not source.live
    source.close()


def test_a_reopened_replay_goes_on_where_it_was(stills: Path) -> None:
    opener = replay(stills)
    files = [file.read_bytes() for file in sorted(stills.iterdir())]
    assert take(opener(), 2) + take(opener(), 2) == files


def test_a_video_plays_every_frame_and_starts_again(clip: Path) -> None:
    levels = [brightness(jpeg) for jpeg in take(replay(clip)(), 12)]
    assert levels == pytest.approx([20 * n + 20 for n in (*range(10), 0, 1)], abs=3)


def test_a_reopened_video_goes_on_where_it_was(clip: Path) -> None:
    opener = replay(clip)
    levels = [brightness(jpeg) for jpeg in take(opener(), 4) + take(opener(), 3)]
    assert levels == pytest.approx([20 * n + 20 for n in range(7)], abs=3)


def test_the_same_frame_of_a_video_is_always_the_same_bytes(clip: Path) -> None:
    assert take(replay(clip)(), 5) == take(replay(clip)(), 5)


def test_a_video_plays_at_its_own_speed_and_stills_rest_for_a_second(clip: Path, stills: Path) -> None:
    video, pictures = replay(clip, "")(), replay(stills, "")()
    video.grab()
    pictures.grab()
    assert (video.fps, pictures.fps) == (20, 1)
    video.close()
    pictures.close()


def test_fps_of_the_source_wins_over_the_general_one(stills: Path) -> None:
    source = replay(stills, "?fps=50", Wanted(fps=2))()
    assert source.fps == 50
    began = time.monotonic()
    take(source, 11)
    assert 0.19 < time.monotonic() - began < 0.4


def test_other_formats_and_folders_within_are_shown_too(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for number, name in enumerate(("a.png", "b/c.BMP", "d.webp")):
        cv2.imwrite(str(tmp_path / name), np.full((8, 8, 3), 60 * number + 60, np.uint8))
    (tmp_path / "notes.txt").write_text("not shown")
    levels = [brightness(jpeg) for jpeg in take(replay(tmp_path)(), 3)]
    assert levels == pytest.approx([60, 120, 180], abs=3)


def test_files_that_cannot_be_shown_are_left_out(stills: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = (stills / "0.jpg").read_bytes()
    (stills / "1.jpg").write_bytes(whole[: len(whole) // 2])
    (stills / "2.jpg").write_text("<html>")
    (stills / "clip.mp4").write_bytes(b"no video")
    assert take(replay(stills)(), 4) == [whole, (stills / "3.jpg").read_bytes()] * 2
    assert [name in caplog.text for name in ("1.jpg", "2.jpg", "clip.mp4")] == [True] * 3


def test_a_replay_without_anything_left_to_show_is_no_device(stills: Path) -> None:
    for file in stills.iterdir():
        file.write_bytes(b"")
    source = replay(stills)()
    with pytest.raises(CameraError) as caught:
        source.grab()
    assert caught.value.reason == "no device"


def test_real_footage_is_replayed_byte_for_byte(data_dir: Path) -> None:
    images = sorted((data_dir / "coco_val128").rglob("*.jpg"))
    assert take(replay(data_dir / "coco_val128")(), 5) == [image.read_bytes() for image in images[:5]]


def test_real_videos_play(data_dir: Path) -> None:
    taken = take(replay(data_dir / "video" / "car-detection.mp4")(), 30)
    assert {(image_facts(jpeg).width, image_facts(jpeg).height) for jpeg in taken} == {(768, 432)}
    assert len(set(taken)) == 30


# ── pattern ──────────────────────────────────────────────────────────────────────────────────────────


def test_scenes_differ_and_each_is_the_same_at_the_same_moment() -> None:
    size = (320, 180)
    assert np.array_equal(draw(1, 2.0, size), draw(1, 2.0, size))
    for one, other in ((1, 2), (2, 3), (1, 4)):
        assert np.abs(draw(one, 2.0, size).astype(int) - draw(other, 2.0, size)).mean() > 3


@pytest.mark.parametrize("scene", [1, 2, 3])
def test_things_move_and_now_and_then_nothing_does(scene: int) -> None:
    moments = [draw(scene, at_s / 2, (320, 180)) for at_s in range(60)]
    changes = [not np.array_equal(one, other) for one, other in itertools.pairwise(moments)]
    assert 0.4 < sum(changes) / len(changes) < 0.95


def test_a_pattern_has_the_size_and_speed_asked_for() -> None:
    source = prepare("pattern?scene=2", Wanted(width=320, height=240, fps=100))()
    began = time.monotonic()
    facts = image_facts(take(source, 11)[-1])
    assert (facts.width, facts.height) == (320, 240)
    assert 0.09 < time.monotonic() - began < 0.3


# ── pictures ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("degrees", "corner"), [(0, "left"), (90, "top"), (180, "right"), (270, "bottom")])
def test_turning_is_clockwise(degrees: int, corner: str) -> None:
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:, :20] = 255
    turned = cv2.imdecode(np.frombuffer(to_jpeg(pixels, Wanted(rotate=degrees)), np.uint8), 0)
    assert turned is not None
    sides = {"left": turned[:, :8], "right": turned[:, -8:], "top": turned[:8], "bottom": turned[-8:]}
    assert max(sides, key=lambda side: float(sides[side].mean())) == corner


def test_a_picture_is_made_to_fit_but_never_enlarged() -> None:
    pixels = np.zeros((40, 60, 3), np.uint8)
    for wanted, size in ((Wanted(width=30), (30, 20)), (Wanted(30, 10), (15, 10)), (Wanted(600, 600), (60, 40))):
        facts = image_facts(to_jpeg(pixels, wanted))
        assert (facts.width, facts.height) == size


def test_a_jpeg_as_wanted_is_passed_through_and_another_is_not() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (40, 60, 3), np.uint8)
    jpeg = to_jpeg(noise, Wanted())
    assert to_jpeg(jpeg, Wanted(width=60, height=40)) is jpeg
    assert to_jpeg(jpeg, Wanted(width=59)) != jpeg
    assert to_jpeg(jpeg, Wanted(rotate=180)) != jpeg


def test_quality_counts() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (64, 64, 3), np.uint8)
    assert len(to_jpeg(noise, Wanted(quality=30))) < len(to_jpeg(noise, Wanted(quality=90))) / 2


def test_a_picture_of_another_kind_is_refused() -> None:
    png = cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes()
    with pytest.raises(ImageError) as caught:
        to_jpeg(png, Wanted())
    assert caught.value.reason == "wrong-type"


# ── motion JPEG ──────────────────────────────────────────────────────────────────────────────────────


def without_huffman_tables(jpeg: bytes) -> bytes:
    """As many USB cameras send their frames."""
    tables = [(start, end) for marker, start, end in jpeg_file.segments(jpeg) if marker == 0xC4]
    for start, end in reversed(tables):
        jpeg = jpeg[:start] + jpeg[end:]
    assert tables
    return jpeg


def test_huffman_tables_that_a_camera_left_out_are_put_back() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (48, 64, 3), np.uint8)
    whole = cv2.imencode(".jpg", noise)[1].tobytes()
    frame = without_huffman_tables(whole)
    mended = with_huffman_tables(frame + bytes(500))
    assert image_facts(mended).complete
    assert len(mended) == len(whole)
    expected = cv2.imdecode(np.frombuffer(whole, np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(cv2.imdecode(np.frombuffer(mended, np.uint8), cv2.IMREAD_COLOR), expected)


def test_a_frame_with_its_tables_is_left_as_it_is() -> None:
    whole = to_jpeg(np.zeros((16, 16, 3), np.uint8), Wanted())
    assert with_huffman_tables(whole) == whole


def test_a_garbled_frame_is_damaged() -> None:
    with pytest.raises(ImageError):
        with_huffman_tables(b"\xff\xd8" + struct.pack(">HH", 0xFFDB, 1))


# ── the rest ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_late_tick_is_not_made_up_for() -> None:
    pace = Pace()
    pace.wait(50)
    time.sleep(0.1)
    began = time.monotonic()
    ticks = [pace.wait(50) - began for _ in range(3)]
    assert ticks == pytest.approx([0, 0.02, 0.04], abs=0.015)


def test_ticks_keep_their_beat() -> None:
    pace = Pace()
    began = pace.wait(100)
    for _ in range(30):
        time.sleep(0.004)
        last = pace.wait(100)
    assert last - began == pytest.approx(0.3, abs=0.02)


@pytest.fixture
def no_cameras(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if auto.local_cameras() or auto.picamera.is_installed():
        pytest.skip("this machine has a camera")
    yield


def test_auto_without_any_camera_is_no_device(no_cameras: None) -> None:
    with pytest.raises(CameraError) as caught:
        prepare("auto", Wanted())()
    assert caught.value.reason == "no device"
    assert "--source" in caught.value.hint


@pytest.mark.parametrize("spec", ["opencv:0x1", "picamera:front", "folder:", "auto:1", "stream:x", "pattern:?x=1", ""])
def test_a_source_that_cannot_be_right_is_refused_before_anything_is_opened(spec: str) -> None:
    with pytest.raises(InvalidInput):
        prepare(spec, Wanted())


def test_every_source_is_in_the_readme() -> None:
    readme = (Path(__file__).parents[2] / "camera_node" / "README.md").read_text()
    for name in SOURCES:
        assert f"`{name}" in readme
