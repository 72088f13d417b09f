"""Pictures reach an image tower as the reference CLIP image processor would bring them there."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest

from hub.models.preprocess import CLIP_MEAN, CLIP_STD, Preprocessing, read_preprocessing
from hub.models.session import Session, open_session
from hub.types import Image
from shared.errors import ModelError
from tests.hub.models.clip_pictures import pictures

TINY = Path(__file__).parent / "fixtures" / "tiny-clip"
CLIP = Preprocessing()


def reference(image: Image, side: int = 224) -> np.ndarray:
    """Hugging Face's CLIPImageProcessor in a few lines of Pillow: resize whole, cut, scale, normalise."""
    height, width = image.shape[:2]
    size = (side, int(side * height / width)) if width <= height else (int(side * width / height), side)
    whole = np.asarray(PIL.Image.fromarray(image).resize(size, PIL.Image.Resampling.BICUBIC))
    left, top = (size[0] - side) // 2, (size[1] - side) // 2
    cut = whole[top : top + side, left : left + side].astype(np.float32)
    return ((cut / 255 - np.float32(CLIP_MEAN)) / np.float32(CLIP_STD)).transpose(2, 0, 1)


def levels(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Greatest difference in 8-bit grey levels."""
    return float(np.abs((ours - theirs) * np.float32(CLIP_STD)[:, None, None]).max() * 255)


@pytest.fixture(scope="module")
def tower(models_dir: Path) -> Session:
    return open_session(models_dir / "clip-student" / "visual.onnx", device="cpu")


@pytest.fixture(scope="module")
def photos(data_dir: Path) -> list[Image]:
    """All photos and every eighth of the COCO images, RGB."""
    files = sorted((data_dir / "photos").iterdir()) + sorted(data_dir.glob("coco_val128/**/*.jpg"))[::8]
    return [cv2.cvtColor(p, cv2.COLOR_BGR2RGB) for f in files if (p := cv2.imread(str(f))) is not None]


def least_cosine(tower: Session, prepare: Callable[[Image], np.ndarray], images: list[Image]) -> float:
    def vectors(how: Callable[[Image], np.ndarray]) -> np.ndarray:
        rows = tower.run_batched(np.stack([how(image) for image in images]))[0]
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    return float((vectors(prepare) * vectors(reference)).sum(axis=1).min())


def test_every_photo_gets_the_vector_of_the_reference(tower: Session, photos: list[Image]) -> None:
    assert len(photos) > 20
    assert least_cosine(tower, lambda image: CLIP([image])[0], photos) >= 0.99999


@pytest.mark.parametrize(("mirrored", "least"), [(False, 0.99999), (True, 0.9995)])
def test_large_pictures_full_of_detail_get_that_vector(
    tower: Session, photos: list[Image], mirrored: bool, least: float
) -> None:
    """Up to 8 times the target exactly, above it nearly."""
    tiles = [cv2.resize(photo, (640, 480), interpolation=cv2.INTER_AREA) for photo in photos[:18]]
    walls = [np.vstack([np.hstack(tiles[i : i + 3]) for i in (k, k + 3, k + 6)]) for k in (0, 9)]
    if mirrored:
        walls = [np.hstack([w, w[:, ::-1]]) for w in walls]
        walls = [np.vstack([w, w[::-1]]) for w in walls]
    assert walls[0].shape == ((2880, 3840, 3) if mirrored else (1440, 1920, 3))
    assert least_cosine(tower, lambda image: CLIP([image])[0], walls) >= least


def test_bytes_are_those_of_the_reference_implementation() -> None:
    """What transformers' CLIPImageProcessorPil made of the drawn pictures; one is 9 times too large."""
    theirs = np.load(TINY / "expected.npz")["pixels"].astype(int)
    prepare = read_preprocessing(TINY / "preprocessor_config.json")
    for image, expected in zip(pictures(), theirs, strict=True):
        difference = np.abs(prepare.resized(image).astype(int) - expected)
        assert difference.max() <= (4 if min(image.shape[:2]) >= 8 * 32 else 1), image.shape
        assert difference.mean() < 0.5


@pytest.mark.parametrize(
    "size_hw",
    [(1, 1), (1, 2), (31, 4000), (4000, 31), (2, 7), (223, 225), (225, 223), (224, 224), (719, 1279), (893, 450)],
)
def test_odd_sizes_differ_by_one_grey_level_at_most(size_hw: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size_hw, 3), dtype=np.uint8)
    assert levels(CLIP([image])[0], reference(image)) < 1.01


def test_a_strip_that_would_be_two_gigabytes_resized_is_no_trouble() -> None:
    strip = np.zeros((1, 30_000, 3), np.uint8)
    strip[:, 14_999:15_001] = 255
    pixels = CLIP.resized(strip)
    assert pixels.shape == (224, 224, 3)
    assert pixels.max() > 200


def test_red_is_the_first_plane_and_up_is_up() -> None:
    image = np.zeros((224, 224, 3), np.uint8)
    image[:112, :, 0] = 255
    red, green, blue = CLIP([image])[0]
    assert red[0, 0] == pytest.approx((1 - CLIP_MEAN[0]) / CLIP_STD[0], abs=1e-5)
    assert red[-1, 0] == pytest.approx(-CLIP_MEAN[0] / CLIP_STD[0], abs=1e-5)
    assert green.max() == pytest.approx(-CLIP_MEAN[1] / CLIP_STD[1], abs=1e-5)
    assert blue.max() == pytest.approx(-CLIP_MEAN[2] / CLIP_STD[2], abs=1e-5)


def test_a_view_into_a_frame_is_as_good_as_a_copy() -> None:
    frame = np.random.default_rng(1).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    view = frame[20:220, 30:180]
    np.testing.assert_array_equal(CLIP([view]), CLIP([view.copy()]))


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, Preprocessing()),
        ({"size": 336, "crop_size": 336}, Preprocessing(336, (336, 336))),
        ({"size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224}}, Preprocessing(256)),
        ({"size": {"height": 224, "width": 200}, "do_center_crop": False}, Preprocessing((224, 200), None)),
        ({"size": {"height": 224, "width": 224}}, Preprocessing((224, 224), None)),
        ({"resample": 2, "image_mean": [0.5] * 3, "image_std": [0.5] * 3},
         Preprocessing(resample=2, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))),
        ({"do_normalize": False}, Preprocessing(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))),
        ({"do_rescale": False}, Preprocessing(scale=1.0)),
        ({"rescale_factor": 0.5}, Preprocessing(scale=0.5)),
    ],
)  # fmt: skip
def test_the_models_own_file_is_read(tmp_path: Path, said: dict[str, object], expected: Preprocessing) -> None:
    file = tmp_path / "preprocessor_config.json"
    file.write_text(json.dumps(said))
    assert read_preprocessing(file) == expected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "can't be used"),
        ("[1]", "not a JSON object"),
        ('{"size": {"longest_edge": 448}}', "longest_edge"),
        ('{"size": 200, "crop_size": 224}', "can't cut"),
        ('{"size": 0, "crop_size": 0}', "can't cut"),
        ('{"do_resize": false}', "without resizing"),
        ('{"do_center_crop": false}', "does not crop"),
        ('{"resample": 5}', "filter 5"),
        ('{"image_std": [1, 0, 1]}', "zero"),
        ('{"image_mean": [1, 2]}', "can't be used"),
        ('{"size": "big"}', "can't be used"),
        ('{"image_mean": null}', "can't be used"),
    ],
)
def test_a_file_that_asks_for_nonsense_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "preprocessor_config.json"
    file.write_text(text)
    with pytest.raises(ModelError, match=complaint) as caught:
        read_preprocessing(file)
    assert str(file) in caught.value.message


def test_the_whole_picture_is_squeezed_where_no_crop_is_wanted() -> None:
    image = np.zeros((100, 300, 3), np.uint8)
    image[:, :20] = 255  # a crop from the middle would not show it
    assert Preprocessing((64, 64), None).resized(image)[:, :3].min() > 200
    assert Preprocessing(64, (64, 64)).resized(image).max() == 0
