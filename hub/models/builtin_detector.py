"""The detector for a machine with neither weights nor network: OpenCV's people detector of 2005.

Histograms of oriented gradients and a linear classifier (Dalal and Triggs, CVPR 2005), whose weights are part of
OpenCV (4.x, and the contrib build of 5.x). It finds people who stand upright, whole and at least 64×128 pixels
tall; nothing else, and not all of those.
"""

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from hub.models.heads import Candidates, Floats
from hub.models.vectors import model_version
from hub.models.yolo import suppress
from hub.types import Detections, Image
from shared.errors import ModelError

MAX_SIDE = 800
"""Larger pictures are shrunk first: cost grows with the area, and it finds people from 128 pixels of height."""


class BuiltinDetector:
    """People only, and roughly. For a first look, not for a collection that matters."""

    name = "built-in people detector (OpenCV HOG, 2005)"
    labels = ("person",)
    version = model_version("opencv-hog-default-people", "detections", {"max_side": MAX_SIDE})

    def __init__(self, *, confidence: float = 0.1) -> None:
        if not available():
            raise ModelError(
                f"OpenCV {cv2.__version__} as installed has no built-in people detector",
                hint="`hub models fetch yolox-nano` gets a real one (3.7 MB); or install "
                "opencv-contrib-python-headless in place of opencv-python-headless.",
            )
        self._confidence = confidence

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        """One answer per image, best first, in pixels of that image."""
        return [self._detect(image) for image in images]

    def _detect(self, image: Image) -> Detections:
        scale = min(1.0, MAX_SIDE / max(image.shape[:2]))
        width, height = (round(side * scale) for side in (image.shape[1], image.shape[0]))
        if width < 64 or height < 128:
            return Detections.empty()
        small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA) if scale < 1 else image
        boxes, margins = _hog().detectMultiScale(
            cv2.cvtColor(small, cv2.COLOR_RGB2BGR), winStride=(8, 8), padding=(8, 8), scale=1.05, groupThreshold=1
        )
        xywh = np.asarray(boxes, np.float32).reshape(-1, 4) / np.float32(scale)
        return self._as_detections(xywh, np.ravel(np.asarray(margins, np.float32)), image)

    def _as_detections(self, xywh: Floats, margins: Floats, image: Image) -> Detections:
        xyxy = np.hstack([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]])
        np.clip(xyxy, 0, np.array([image.shape[1], image.shape[0]] * 2, np.float32), out=xyxy)
        found = Candidates(xyxy, confidences(margins), np.zeros(len(xyxy), np.int64))
        best = [i for i in suppress(found, 0.5) if found.confidence[i] >= self._confidence]
        return Detections(xyxy[best], found.confidence[best], ("person",) * len(best))


def available() -> bool:
    """Whether the OpenCV that is installed has it."""
    return hasattr(cv2, "HOGDescriptor")


def _hog() -> Any:
    """A new one for each call, since it must not be shared between threads. Untyped: the stubs of 5.x lack it."""
    kind = vars(cv2)["HOGDescriptor"]
    hog = kind()
    hog.setSVMDetector(kind.getDefaultPeopleDetector())
    return hog


def confidences(margins: Floats) -> Floats:
    """The classifier's distances put into (0, 1) by a logistic curve, 0.5 at distance 0.7. Not a probability."""
    return np.asarray([1 / (1 + math.exp(-4 * (float(m) - 0.7))) for m in margins], np.float32)
