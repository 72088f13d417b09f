"""YOLO detectors: pictures in, boxes out. Which head a file has is told in heads.py."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from hub.models.heads import Candidates, Family, Head, candidates, recognise
from hub.models.session import Session, open_session
from hub.models.vectors import model_version
from hub.types import Detections, Image
from hub.vision import Placement, place, resize

PAD = 114
"""Grey of the border both families were trained with."""

BATCH = 16
"""Pictures prepared and run at once: bounds memory, and more gains nothing."""


class YoloDetector:
    """An Ultralytics or YOLOX model. `detect` may be called from several threads at once.

    confidence: floor below which boxes are dropped at once. iou: overlap above which, within a class, the weaker
    box is a duplicate. max_det: boxes kept per picture, the best. rectangular: models with a free input size get
    pictures padded only to the next multiple of their stride, as Ultralytics' predict does, rather than square.
    every_class: a box comes once for each of its classes above the floor, as in Ultralytics' val.
    """

    def __init__(
        self,
        session: Session,
        head: Head,
        *,
        confidence: float = 0.1,
        iou: float = 0.7,
        max_det: int = 300,
        rectangular: bool = True,
        every_class: bool = False,
    ) -> None:
        self.session = session
        self.head = head
        self.version = model_version(session.sha256, "detections", {"iou": iou, "rectangular": rectangular})
        self._confidence = confidence
        self._iou = iou
        self._max_det = max_det
        self._rectangular = rectangular and head.flexible
        self._every_class = every_class

    @property
    def name(self) -> str:
        """The file's name."""
        return self.session.path.name

    @property
    def labels(self) -> tuple[str, ...]:
        """Every label it can give."""
        return self.head.labels

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        """One answer per image, best first, in pixels of that image; images may differ in size."""
        found = [Detections.empty()] * len(images)
        by_shape: dict[tuple[int, int], list[int]] = {}
        for i, image in enumerate(images):
            by_shape.setdefault(self.input_hw(image.shape[1], image.shape[0]), []).append(i)
        for input_hw, members in by_shape.items():
            for chunk in _chunks(members, BATCH):
                answers = self._detect([images[i] for i in chunk], input_hw)
                for i, answer in zip(chunk, answers, strict=True):
                    found[i] = answer
        return found

    def input_hw(self, width: int, height: int) -> tuple[int, int]:
        """(height, width) that a picture of this size is given to the model in."""
        if not self._rectangular:
            return self.head.size_hw
        w, h = place((width, height), self.head.size_hw, centre=True).size_wh
        stride = self.head.stride
        return -(-h // stride) * stride, -(-w // stride) * stride

    def _detect(self, images: Sequence[Image], input_hw: tuple[int, int]) -> list[Detections]:
        blob = np.empty((len(images), 3, *input_hw), np.float32)
        placed = [fill(plane, image, self.head.family) for plane, image in zip(blob, images, strict=True)]
        (output, *_) = self.session.run_batched(blob, max_batch=BATCH)
        outputs = np.asarray(output, np.float32)
        return [self.finish(rows, at, image) for rows, at, image in zip(outputs, placed, images, strict=True)]

    def finish(self, output: NDArray[np.float32], at: Placement, image: Image) -> Detections:
        """What one image's slice of the model's output says. at: where the image was put in the input."""
        input_hw = self.input_hw(image.shape[1], image.shape[0])
        seen = candidates(self.head, output, input_hw, self._confidence, every_class=self._every_class)
        best = self._distinct(seen)
        boxes = at.to_image(seen.xyxy[best], (image.shape[1], image.shape[0]))
        real = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])  # others lie in the border
        best, boxes = best[real], boxes[real]
        labels = tuple(self.labels[i] for i in seen.class_id[best])
        return Detections(boxes, np.minimum(seen.confidence[best], 1.0), labels)

    def _distinct(self, seen: Candidates) -> NDArray[np.intp]:
        """Indices of the boxes to keep, best first."""
        if self.head.family is Family.END_TO_END:
            return np.argsort(-seen.confidence, kind="stable")[: self._max_det]
        return suppress(seen, self._iou)[: self._max_det]


def suppress(seen: Candidates, iou: float) -> NDArray[np.intp]:
    """Greedy non-maximum suppression within each class; indices of what stays, best first."""
    if len(seen.confidence) < 2:
        return np.arange(len(seen.confidence))
    xywh = np.hstack([seen.xyxy[:, :2], seen.xyxy[:, 2:] - seen.xyxy[:, :2]])
    kept = cv2.dnn.NMSBoxesBatched(
        xywh.tolist(), seen.confidence.tolist(), seen.class_id.tolist(), score_threshold=0.0, nms_threshold=iou
    )
    return np.asarray(kept, np.intp).reshape(-1)


def fill(planes: NDArray[np.float32], image: Image, family: Family) -> Placement:
    """Letterbox `image` into (3, height, width) float32, without a copy of the whole in between.

    Ultralytics: RGB, 0 to 1, centred. YOLOX: BGR, 0 to 255, at the top left.
    """
    yolox = family is Family.YOLOX
    at = place((image.shape[1], image.shape[0]), (planes.shape[1], planes.shape[2]), centre=not yolox)
    unit = np.float32(1 if yolox else 255)
    w, h = at.size_wh
    _border(planes, at, PAD / unit)
    channels = cv2.split(resize(image, at.size_wh))
    for plane, channel in zip(planes, reversed(channels) if yolox else channels, strict=True):
        np.divide(channel, unit, out=plane[at.dy : at.dy + h, at.dx : at.dx + w], dtype=np.float32)
    return at


def _border(planes: NDArray[np.float32], at: Placement, value: np.float32) -> None:
    w, h = at.size_wh
    planes[:, : at.dy] = value
    planes[:, at.dy + h :] = value
    planes[:, :, : at.dx] = value
    planes[:, :, at.dx + w :] = value


def _chunks(members: Sequence[int], size: int) -> Iterable[Sequence[int]]:
    return (members[i : i + size] for i in range(0, len(members), size))


def load_detector(path: Path, *, device: str = "auto", threads: int = 0, confidence: float = 0.1) -> YoloDetector:
    """Open a detector file. ModelError when it is missing, broken or of another kind."""
    session = open_session(path, device=device, threads=threads)
    return YoloDetector(session, recognise(session), confidence=confidence)
