"""The detector that needs no weights."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from hub.models.builtin_detector import BuiltinDetector, available
from hub.types import Image

pytestmark = pytest.mark.skipif(not available(), reason="this OpenCV has no people detector")


@pytest.fixture(scope="module")
def frames(data_dir: Path) -> dict[int, Image]:
    """Frames of the person clip by number: 0 is empty, a woman stands upright in 120 and 280."""
    video = cv2.VideoCapture(str(data_dir / "video/one-by-one-person-detection.mp4"))
    wanted = {}
    for number in (0, 120, 280):
        video.set(cv2.CAP_PROP_POS_FRAMES, number)
        ok, bgr = video.read()
        assert ok
        wanted[number] = np.ascontiguousarray(bgr[..., ::-1])
    video.release()
    return wanted


def test_it_finds_people_and_leaves_an_empty_room_alone(frames: dict[int, Image]) -> None:
    empty, first, second = BuiltinDetector(confidence=0.3).detect(list(frames.values()))
    assert len(empty) == 0
    assert first.label[0] == second.label[0] == "person"


def test_a_large_picture_gives_boxes_in_its_own_pixels(frames: dict[int, Image]) -> None:
    large = np.asarray(cv2.resize(frames[120], None, fx=2.5, fy=2.5), np.uint8)
    (small,), (wide,) = BuiltinDetector().detect([frames[120]]), BuiltinDetector().detect([large])
    centres = [(seen.xyxy[:, :2] + seen.xyxy[:, 2:]) / 2 for seen in (small, wide)]
    apart = np.linalg.norm(centres[0][:, None] * 2.5 - centres[1], axis=2)
    assert len(wide) > 0 and apart.min(axis=0)[0] < 50  # the best of them


@pytest.mark.parametrize("size", [(1, 1), (4000, 31), (127, 200)])
def test_what_is_too_small_for_a_person_has_none(size: tuple[int, int]) -> None:
    (seen,) = BuiltinDetector().detect([np.zeros((*size, 3), np.uint8)])
    assert len(seen) == 0


def test_it_says_what_it_is() -> None:
    assert "built-in" in BuiltinDetector.name
    assert BuiltinDetector.labels == ("person",)
