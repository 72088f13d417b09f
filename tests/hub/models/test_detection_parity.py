"""Detection quality on the 128 labelled COCO images against the figures measured with the models' own procedures.

The figures are those of the model pack's SOURCES.md. Ultralytics' `val` is reproduced exactly: a square letterbox
(it scales up too, rounds to nearest), floor 0.001, IoU 0.7 in a class, at most 300 boxes, and a box counted for
every class above the floor. The last column of the table says what the hub does with the same weights by default:
one class per box, padded to the stride instead of to a square.

|              | val        | figure      | hub's default |
|--------------|------------|-------------|---------------|
| YOLOv8n      | .438 .601  | .438 .601   | .434 .593     |
| YOLO11n      | .455 .606  | .455 .606   | .457 .605     |
| YOLOX-nano   | .339 .497  | .340 .497   | (the same)    |
"""

import contextlib
import io
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO as Truth
from pycocotools.cocoeval import COCOeval

from hub.models.heads import recognise
from hub.models.session import open_session
from hub.models.yolo import YoloDetector
from hub.types import Detections, Image
from hub.vision import decode

VAL = {"confidence": 0.001, "rectangular": False, "every_class": True}


@pytest.fixture(scope="module")
def labelled(data_dir: Path) -> tuple[list[Image], Truth]:
    folder = data_dir / "coco_val128"
    files = sorted((folder / "images").glob("*.jpg"))
    images = [decode(file.read_bytes()) for file in files]
    return images, truth([folder / "labels" / f"{file.stem}.txt" for file in files], images)


def truth(labels: list[Path], images: list[Image]) -> Truth:
    annotations = []
    for i, (file, image) in enumerate(zip(labels, images, strict=True)):
        height, width = image.shape[:2]
        for line in file.read_text().splitlines() if file.exists() else []:
            kind, cx, cy, w, h = (float(v) for v in line.split())
            box = [(cx - w / 2) * width, (cy - h / 2) * height, w * width, h * height]
            annotations.append(
                {"id": len(annotations) + 1, "image_id": i, "category_id": int(kind), "bbox": box,
                 "area": box[2] * box[3], "iscrowd": 0}
            )  # fmt: skip
    made = Truth()
    made.dataset = {
        "images": [{"id": i} for i in range(len(images))],
        "annotations": annotations,
        "categories": [{"id": i} for i in range(80)],
    }
    made.createIndex()
    return made


def mean_average_precision(found: list[Detections], labels: tuple[str, ...], true: Truth) -> tuple[float, float]:
    """(mAP50-95, mAP50) in points."""
    kind = {label: i for i, label in enumerate(labels)}
    rows = [
        [i, *seen.xyxy[k, :2], *(seen.xyxy[k, 2:] - seen.xyxy[k, :2]), seen.confidence[k], kind[seen.label[k]]]
        for i, seen in enumerate(found)
        for k in range(len(seen))
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(true, true.loadRes(np.array(rows, np.float64)), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return 100 * float(evaluation.stats[0]), 100 * float(evaluation.stats[1])


@pytest.mark.parametrize(
    ("name", "options", "figure", "within"),
    [
        ("yolov8n_640_static", VAL, (43.8, 60.1), 0.1),
        ("yolov8n_dynamic", {"confidence": 0.001}, (43.8, 60.1), 1.0),
        ("yolox_nano_416_dynbatch", {"confidence": 0.001, "iou": 0.65}, (34.0, 49.7), 0.15),
    ],
    ids=["YOLOv8n as in val", "YOLOv8n as in the hub", "YOLOX-nano"],
)
def test_detections_are_as_good_as_the_models_own_procedure_finds_them(
    models_dir: Path,
    labelled: tuple[list[Image], Truth],
    name: str,
    options: dict[str, float],
    figure: tuple[float, float],
    within: float,
) -> None:
    images, true = labelled
    session = open_session(models_dir / f"detectors/{name}.onnx", device="cpu")
    detector = YoloDetector(session, recognise(session), **options)  # type: ignore[arg-type]
    got = mean_average_precision(detector.detect(images), detector.labels, true)
    print(f"{name}: mAP50-95 {got[0]:.2f}, mAP50 {got[1]:.2f}")
    assert got == pytest.approx(figure, abs=within)
