"""YOLO detectors on real weights, and which files are taken for one."""

from pathlib import Path

import numpy as np
import pytest

from hub.models.heads import COCO, Candidates, Family, recognise
from hub.models.session import open_session
from hub.models.yolo import YoloDetector, fill, load_detector, suppress
from hub.types import Detections, Image
from hub.vision import decode
from shared.errors import ModelError
from tests.hub.models.onnx_maker import INT64, constant_model

DETECTORS = [
    "yolov8n_dynamic", "yolov8n_640_static", "yolo11n_dynamic", "yolov8n_int8_dynquant_640",
    "yolox_nano_416", "yolox_nano_416_dynbatch",
]  # fmt: skip


@pytest.fixture(scope="module")
def photos(data_dir: Path) -> dict[str, Image]:
    names = {"owl": "owl.jpg", "cat": "cat_720p.jpg", "pets": "pets.jpg"}
    return {name: decode((data_dir / "photos" / file).read_bytes()) for name, file in names.items()}


def detector(models_dir: Path, name: str, **options: float | bool) -> YoloDetector:
    session = open_session(models_dir / f"detectors/{name}.onnx", device="cpu")
    return YoloDetector(session, recognise(session), **options)  # type: ignore[arg-type]


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    return shared / (sum((x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in (a, b)) - shared)


def same(a: Detections, b: Detections, pixels: float = 0.5) -> bool:
    return a.label == b.label and np.allclose(a.xyxy, b.xyxy, atol=pixels)


# ── what is found ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", DETECTORS)
def test_every_model_finds_the_bird_the_cat_and_the_dogs(models_dir: Path, photos: dict[str, Image], name: str) -> None:
    found = detector(models_dir, name, confidence=0.3).detect(list(photos.values()))
    assert [seen.label[0] for seen in found] == ["bird", "cat", "dog"]
    assert all((np.diff(seen.confidence) <= 0).all() for seen in found)


def test_all_models_see_the_owl_in_the_same_place(models_dir: Path, photos: dict[str, Image]) -> None:
    boxes = [detector(models_dir, name).detect([photos["owl"]])[0].box(0) for name in DETECTORS]
    assert min(overlap(boxes[0], box) for box in boxes) > 0.85


@pytest.mark.parametrize("name", ["yolov8n_dynamic", "yolox_nano_416_dynbatch"])
def test_a_batch_of_mixed_sizes_gives_what_single_pictures_give(
    models_dir: Path, photos: dict[str, Image], name: str
) -> None:
    model = detector(models_dir, name, confidence=0.3)
    mixed = [photos["owl"], photos["cat"], photos["owl"][:, ::-1].copy(), photos["pets"]]
    together = model.detect(mixed)
    for image, seen in zip(mixed, together, strict=True):
        assert same(seen, model.detect([image])[0])


def test_boxes_are_pixels_of_the_picture_given(models_dir: Path, photos: dict[str, Image]) -> None:
    model = detector(models_dir, "yolox_nano_416")
    cat = photos["cat"]
    small = np.ascontiguousarray(cat[::2, ::2])
    wide, narrow = model.detect([cat])[0].box(0), model.detect([small])[0].box(0)
    assert overlap(wide, tuple(2 * v for v in narrow)) > 0.9
    assert wide[2] <= cat.shape[1] and wide[3] <= cat.shape[0]


def test_a_mirrored_picture_gives_mirrored_boxes(models_dir: Path, photos: dict[str, Image]) -> None:
    model = detector(models_dir, "yolov8n_dynamic")
    owl = photos["owl"]
    x1, y1, x2, y2 = model.detect([owl[:, ::-1].copy()])[0].box(0)
    width = owl.shape[1]
    assert overlap(model.detect([owl])[0].box(0), (width - x2, y1, width - x1, y2)) > 0.9


def test_ultralytics_gets_red_first_and_yolox_blue() -> None:
    orange = np.full((32, 64, 3), (255, 102, 0), np.uint8)
    planes = np.empty((3, 64, 64), np.float32)
    fill(planes, orange, Family.ULTRALYTICS)
    np.testing.assert_allclose(planes[:, 32, 32], [1.0, 0.4, 0.0], atol=1e-6)
    np.testing.assert_allclose(planes[:, 0, 0], 114 / 255)
    fill(planes, orange, Family.YOLOX)
    np.testing.assert_array_equal(planes[:, 0, 0], [0, 102, 255])
    np.testing.assert_array_equal(planes[:, 63, 63], 114)


@pytest.mark.parametrize("name", ["yolov8n_dynamic", "yolov8n_640_static", "yolox_nano_416"])
@pytest.mark.parametrize("size", [(1, 1), (4000, 31), (31, 4000)])
def test_odd_sizes_are_looked_at_without_error(models_dir: Path, name: str, size: tuple[int, int]) -> None:
    (seen,) = detector(models_dir, name, confidence=0.01).detect([np.full((*size, 3), 90, np.uint8)])
    assert (seen.xyxy[:, 2:] > seen.xyxy[:, :2]).all()


def test_a_free_input_size_is_padded_only_to_the_stride(models_dir: Path) -> None:
    model = detector(models_dir, "yolov8n_dynamic")
    assert model.input_hw(768, 432) == (384, 640)
    assert detector(models_dir, "yolov8n_640_static").input_hw(768, 432) == (640, 640)
    assert detector(models_dir, "yolov8n_dynamic", rectangular=False).input_hw(768, 432) == (640, 640)


def test_the_floor_drops_the_unsure(models_dir: Path, photos: dict[str, Image]) -> None:
    (sure,) = detector(models_dir, "yolov8n_dynamic", confidence=0.7).detect([photos["cat"]])
    (all_of_them,) = detector(models_dir, "yolov8n_dynamic", confidence=0.1).detect([photos["cat"]])
    assert 0 < len(sure) < len(all_of_them) and sure.confidence.min() > 0.7


def test_no_pictures_give_no_answers(models_dir: Path) -> None:
    assert detector(models_dir, "yolox_nano_416").detect([]) == []


# ── duplicates ───────────────────────────────────────────────────────────────────────────────────────


def test_of_two_boxes_of_one_class_the_weaker_goes_and_another_class_stays() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [0, 0, 10, 10], [50, 50, 60, 60]], np.float32)
    seen = Candidates(boxes, np.array([0.5, 0.9, 0.7, 0.2], np.float32), np.array([3, 3, 4, 3]))
    assert list(suppress(seen, 0.7)) == [1, 2, 3]


def test_boxes_that_overlap_less_than_the_limit_both_stay() -> None:
    boxes = np.array([[0, 0, 10, 10], [4, 0, 14, 10]], np.float32)
    seen = Candidates(boxes, np.array([0.5, 0.9], np.float32), np.array([0, 0]))
    assert list(suppress(seen, 0.45)) == [1, 0]
    assert list(suppress(seen, 0.40)) == [1]


# ── what a file is ───────────────────────────────────────────────────────────────────────────────────

NAMES = "{0: 'cat', 1: 'tow truck', 2: 'owl'}"


def head_of(path: Path) -> object:
    return recognise(open_session(path, device="cpu"))


def test_names_stride_and_size_come_from_the_file(models_dir: Path) -> None:
    head = detector(models_dir, "yolov8n_dynamic").head
    assert (head.family, head.size_hw, head.flexible, head.stride) == (Family.ULTRALYTICS, (640, 640), True, 32)
    assert head.labels == COCO


def test_yolox_is_told_by_its_shape_and_gets_cocos_names(models_dir: Path) -> None:
    head = detector(models_dir, "yolox_nano_416").head
    assert (head.family, head.size_hw, head.labels[14]) == (Family.YOLOX, (416, 416), "bird")


def test_a_yolox_of_other_classes_gets_numbered_ones(tmp_path: Path) -> None:
    path = constant_model(tmp_path / "own.onnx", np.zeros((1, 84, 7)))  # 84 = 64 + 16 + 4 cells at 64 pixels
    assert load_detector(path).labels == ("class_0", "class_1")


def test_an_own_ultralytics_model_keeps_its_names(tmp_path: Path) -> None:
    path = constant_model(tmp_path / "own.onnx", np.zeros((1, 7, 84)), metadata={"names": NAMES, "task": "detect"})
    assert load_detector(path).labels == ("cat", "tow truck", "owl")


def test_an_end_to_end_head_needs_no_suppression(tmp_path: Path) -> None:
    rows = np.zeros((1, 300, 6), np.float32)
    rows[0, 0] = [0, 16, 32, 32, 0.4, 2]
    rows[0, 1] = [1, 16, 33, 32, 0.9, 2]
    rows[0, 2] = [0, 0, 64, 64, 0.8, 7]  # a class that has no name
    metadata = {"names": NAMES, "task": "detect", "end2end": "True", "stride": "32"}
    model = load_detector(constant_model(tmp_path / "e2e.onnx", rows, metadata=metadata))
    (seen,) = model.detect([np.zeros((64, 128, 3), np.uint8)])  # at half its size, in rows 16 to 48
    assert seen.label == ("owl", "owl")
    np.testing.assert_allclose(seen.xyxy, [[2, 0, 66, 32], [0, 0, 64, 32]], atol=1e-4)


@pytest.mark.parametrize(
    ("output", "metadata", "looks_like"),
    [
        (np.zeros((1, 512)), {}, "embedder or classifier"),
        (np.zeros((1, 252, 8)), {}, "YOLOv5"),
        (np.zeros((1, 39, 84)), {"task": "segment", "names": NAMES}, "segment"),
        (np.zeros((1, 77, 33)), {}, "no detection head we know"),
        (np.zeros((1, 9, 84)), {"names": NAMES}, "5 classes and 3 names"),
        (np.zeros((1, 300, 6)), {}, "lacks the class names"),
    ],
)
def test_a_model_of_another_kind_says_what_it_looks_like(
    tmp_path: Path, output: np.ndarray, metadata: dict[str, str], looks_like: str
) -> None:
    path = constant_model(tmp_path / "other.onnx", output, metadata=metadata)
    with pytest.raises(ModelError, match=looks_like) as caught:
        head_of(path)
    assert "YOLOX" in caught.value.hint


def test_a_text_tower_is_no_detector(tmp_path: Path) -> None:
    path = constant_model(tmp_path / "text.onnx", np.zeros((1, 512)), input_shape=(1, 77), input_type=INT64)
    with pytest.raises(ModelError, match="text model"):
        head_of(path)


def test_hostile_metadata_is_no_reason_to_fail(tmp_path: Path) -> None:
    metadata = {"names": "__import__('os').system('x')", "imgsz": "[[", "stride": "32"}
    path = constant_model(tmp_path / "odd.onnx", np.zeros((1, 84, 84)), metadata=metadata)
    assert load_detector(path).labels == COCO
